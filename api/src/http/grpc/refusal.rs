//! How a problem is said in gRPC: a status, the stable code as `wellspring-code`, the wait as `retry-after`.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, header};
use axum::middleware::Next;
use axum::response::Response;
use serde::Deserialize;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::problem::Problem;

/// Longest problem that is read back, in bytes; one that quotes a request is cut far below this.
const LONGEST: usize = 64 << 10;
/// What layers say beside the problem, and a client may want to know.
const KEPT: [HeaderName; 7] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceresponse"),
    header::RETRY_AFTER,
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
    HeaderName::from_static("ratelimit-policy"),
];

/// A problem as it stands in a response's body.
#[derive(Deserialize)]
struct Said {
    status: u16,
    code: String,
    detail: String,
    path: Option<String>,
    retry_after: Option<u64>,
}

/// The status that says what a problem says.
pub(super) fn status(problem: &Problem) -> Status {
    of(&Said {
        status: problem.status().as_u16(),
        code: problem.code().to_owned(),
        detail: problem.detail().to_owned(),
        path: problem.path().map(str::to_owned),
        retry_after: problem.wait(),
    })
}

fn of(said: &Said) -> Status {
    let mut metadata = MetadataMap::new();
    // A path may quote a member's name in any script; what metadata can't carry stands in the message all the same.
    for (name, value) in [("wellspring-code", Some(&said.code)), ("wellspring-path", said.path.as_ref())] {
        if let Some(value) = value.and_then(|value| MetadataValue::try_from(value).ok()) {
            metadata.insert(name, value);
        }
    }
    if let Some(seconds) = said.retry_after {
        metadata.insert("retry-after", MetadataValue::from(seconds));
    }
    Status::with_metadata(code(said.status, &said.code), &*said.detail, metadata)
}

/// The canonical code: what a client does about it, not how HTTP numbers it.
fn code(status: u16, code: &str) -> Code {
    match (status, code) {
        (403, "quota-exceeded") | (429 | 507, _) => Code::ResourceExhausted,
        (400 | 413 | 415 | 422, _) => Code::InvalidArgument,
        (401, _) => Code::Unauthenticated,
        (403, _) => Code::PermissionDenied,
        (404, _) => Code::NotFound,
        (405, _) => Code::Unimplemented,
        (409 | 412, _) => Code::FailedPrecondition,
        (503, _) => Code::Unavailable,
        (504, _) => Code::DeadlineExceeded,
        _ => Code::Internal,
    }
}

/// The outermost layer: what the layers below refuse as a problem leaves as a status.
pub(super) async fn translate(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let is_problem =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    if !is_problem {
        return response;
    }
    let (parts, body) = response.into_parts();
    let said = to_bytes(body, LONGEST).await.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let status = match said {
        Some(said) => of(&said),
        None => Status::new(code(parts.status.as_u16(), ""), "the request was refused"),
    };
    let mut response: Response<Body> = status.into_http();
    for name in KEPT {
        if let Some(value) = parts.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::problem;

    #[test]
    fn a_problem_keeps_its_code_and_its_wait() {
        let problem =
            Problem::new(problem::Code::RateLimited, "too many").retry_after(Duration::from_secs(7));
        let status = status(&problem);
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "too many"));
        assert_eq!(status.metadata().get("wellspring-code").unwrap(), "rate-limited");
        assert_eq!(status.metadata().get("retry-after").unwrap(), "7");
    }

    #[test]
    fn canonical_codes_say_what_to_do() {
        for (wrong, expected) in [
            (problem::Code::Unauthenticated, Code::Unauthenticated),
            (problem::Code::Forbidden, Code::PermissionDenied),
            (problem::Code::QuotaExceeded, Code::ResourceExhausted),
            (problem::Code::NotFound, Code::NotFound),
            (problem::Code::Invalid, Code::InvalidArgument),
            (problem::Code::Unavailable, Code::Unavailable),
            (problem::Code::Timeout, Code::DeadlineExceeded),
            (problem::Code::Internal, Code::Internal),
        ] {
            assert_eq!(status(&Problem::new(wrong, "x")).code(), expected, "{wrong:?}");
        }
    }

    #[test]
    fn a_path_that_metadata_cannot_carry_is_left_out() {
        let status = status(&Problem::new(problem::Code::Invalid, "`é` is wrong").at("é\n"));
        assert!(status.metadata().get("wellspring-path").is_none());
        assert_eq!(status.message(), "`é` is wrong");
    }
}
