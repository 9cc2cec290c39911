//! `/v1/session`: hands a key to a browser as a cookie that no script can read, so that the web page can be used.
//!
//! A browser adds the cookie to requests of this origin only (`SameSite=Strict`), and writes of other origins are refused
//! besides, so no other page can use it.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::authorise::refused;
use super::extract::ProblemJson;
use crate::auth::COOKIE;
use crate::problem::{Code, Problem};

/// Where sessions are opened and closed.
pub(super) const ROUTE: &str = "/v1/session";
/// How long a browser keeps the cookie, in seconds: a working day.
const LIFE: u64 = 12 * 3_600;

/// What a session is opened with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSession {
    /// An API key, or a token.
    #[schema(example = "ws_9f86d081884c7d65_…")]
    key: String,
}

/// Open a session
///
/// For browsers: the key comes back as a cookie that scripts can't read and other sites can't use. Everybody else sends the
/// key itself with each request.
#[utoipa::path(
    post, path = "/v1/session", operation_id = "openSession", tag = "service", request_body = NewSession,
    responses(
        (status = 204, description = "Opened: the cookie is set"),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The key is not valid", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Authentication is off, or an unknown member", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn open(
    State(server): State<Shared>,
    headers: HeaderMap,
    ProblemJson(NewSession { key }): ProblemJson<NewSession>,
) -> Result<Response, Problem> {
    if !server.authenticator.is_on() {
        return Err(Problem::new(
            Code::Invalid,
            "authentication is off here: there is nothing to sign in to",
        ));
    }
    let key = key.trim();
    if let Err(refusal) = server.authenticator.identify_text(key).await {
        return Ok(refused(refusal));
    }
    Ok(answer(&headers, key, LIFE))
}

/// Close the session
///
/// Takes the cookie back. The key itself stays good until it is revoked.
#[utoipa::path(
    delete, path = "/v1/session", operation_id = "closeSession", tag = "service",
    responses(
        (status = 204, description = "Closed"),
        (status = 403, description = "A page of another origin asked", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn close(headers: HeaderMap) -> Response {
    answer(&headers, "", 0)
}

/// A cookie for pages of ours alone, which no script reads; one that lives 0 seconds is taken back. `None` for a value that
/// no header can hold.
pub(super) fn cookie(
    headers: &HeaderMap,
    name: &str,
    path: &str,
    value: &str,
    life: u64,
) -> Option<HeaderValue> {
    // A page that came over TLS gets a cookie that goes over nothing else.
    let secure = headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path={path}; HttpOnly; SameSite=Strict; Max-Age={life}{secure}");
    let mut cookie = HeaderValue::from_str(&cookie).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}

fn answer(headers: &HeaderMap, value: &str, life: u64) -> Response {
    match cookie(headers, COOKIE, "/", value, life) {
        Some(cookie) => (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response(),
        // What was let in as a credential is a header's value.
        None => Problem::new(Code::Internal, "the server failed to write the cookie").into_response(),
    }
}
