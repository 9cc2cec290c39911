//! The doors in OpenAI's shape: chat, embeddings and models, with errors as its clients read them.

mod chat;
mod chunks;
mod embeddings;
mod models;
mod wire;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use crate::problem::{Code, Problem};

/// Chat, embeddings and models.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(chat::complete))
        .routes(routes!(embeddings::embed))
        .routes(routes!(models::list))
        .routes(routes!(models::show))
}

/// An error as OpenAI's clients read it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorDetail {
    /// The cause and, where there is one, the fix.
    message: String,
    /// `invalid_request_error`, `authentication_error`, `permission_error`, `rate_limit_error` or `server_error`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The member of the request that is wrong.
    #[schema(required)]
    param: Option<String>,
    /// Stable, for programs: a problem's code, or `model_not_found`.
    code: &'static str,
}

/// A problem on its way to a client that speaks OpenAI's dialect.
#[derive(Debug)]
pub(super) struct Failure {
    problem: Problem,
    code: &'static str,
}

impl<P: Into<Problem>> From<P> for Failure {
    fn from(problem: P) -> Self {
        let problem = problem.into();
        Self { code: problem.code(), problem }
    }
}

impl Failure {
    /// A request that asks for what is not offered here.
    fn unsupported(member: &str, detail: impl Into<String>) -> Self {
        Problem::new(Code::Invalid, detail).at(member).into()
    }

    /// A model name that nothing has, or that this caller may not know of: the two look the same.
    fn no_model(name: &str, kinds: &str) -> Self {
        let detail =
            format!("there is no model `{name}` here; a model is {kinds}: GET /v1/models lists them");
        Self { problem: Problem::new(Code::NotFound, detail).at("model"), code: "model_not_found" }
    }

    /// OpenAI says 400 where we say 422.
    fn status(&self) -> StatusCode {
        match self.problem.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            status => status,
        }
    }

    /// What goes into a body or an event.
    fn body(&self) -> ErrorBody {
        let kind = match self.status().as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        let (message, param) = (self.problem.detail().to_owned(), self.problem.path().map(str::to_owned));
        ErrorBody { error: ErrorDetail { message, kind, param, code: self.code } }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        if let Some(seconds) = self.problem.wait() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_problem_becomes_what_the_clients_know() {
        let failure = Failure::from(Problem::new(Code::Invalid, "`k` is 0").at("k"));
        assert_eq!(failure.status(), StatusCode::BAD_REQUEST);
        let body = serde_json::to_value(failure.body()).unwrap();
        let wanted = serde_json::json!({ "error": {
            "message": "`k` is 0", "type": "invalid_request_error", "param": "k", "code": "invalid" } });
        assert_eq!(body, wanted);
        let busy = Problem::new(Code::RateLimited, "slow down").retry_after(Duration::from_secs(3));
        let response = Failure::from(busy).into_response();
        assert_eq!(
            (response.status(), &response.headers()["retry-after"]),
            (StatusCode::TOO_MANY_REQUESTS, &HeaderValue::from(3))
        );
        let ours = Failure::from(Problem::new(Code::Timeout, "late"));
        assert_eq!((ours.status().as_u16(), ours.body().error.kind), (504, "server_error"));
    }
}
