//! The one place where an error becomes a response: RFC 9457 problem details with a stable `type` and `code`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use wellspring_answer::AnswerError;
use wellspring_ingest::IngestError;
use wellspring_models::ledger::LimitName;
use wellspring_models::{ModelError, Refusal};
use wellspring_retrieve::RetrieveError;
use wellspring_store::StoreError;

/// What went wrong, as `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// `urn:wellspring:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:wellspring:problem:not-found")]
    kind: String,
    /// The code in words.
    title: &'static str,
    /// The HTTP status again.
    status: u16,
    /// Stable, for programs.
    #[schema(example = "not-found")]
    code: &'static str,
    /// The cause and, where there is one, the fix.
    detail: String,
    /// The member of the request that is wrong, as a path such as `filter.and[0].eq`.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// Seconds to wait before trying again, as in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// What a client can do about it; the status, code and title follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    BadRequest,
    Unauthenticated,
    Forbidden,
    QuotaExceeded,
    NotFound,
    MethodNotAllowed,
    Conflict,
    PreconditionFailed,
    IdempotencyMismatch,
    TooLarge,
    UnsupportedMediaType,
    Invalid,
    RateLimited,
    Budget(LimitName),
    Internal,
    Unavailable,
    Timeout,
    StorageFull,
}

impl Code {
    /// The stable name that a problem carries as `code`.
    pub(crate) fn name(self) -> &'static str {
        self.parts().1
    }

    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad-request", "the request can't be read"),
            Self::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "who is asking is not known")
            }
            Self::QuotaExceeded => {
                (StatusCode::FORBIDDEN, "quota-exceeded", "the tenant holds as much as it may")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "not allowed"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "not found"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "the method is not offered here")
            }
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "in conflict with what is there"),
            Self::PreconditionFailed => {
                (StatusCode::PRECONDITION_FAILED, "precondition-failed", "not the version that was named")
            }
            Self::IdempotencyMismatch => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-mismatch",
                "the idempotency key was used for another request",
            ),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "too large"),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "the content type is not read here",
            ),
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "the request is wrong"),
            Self::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate-limited", "too many at once"),
            Self::Budget(limit) => (StatusCode::TOO_MANY_REQUESTS, limit.code(), "the budget leaves no room"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "a fault of the server"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "can't be served now"),
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout", "took too long"),
            Self::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, "storage-full", "the disk is full"),
        }
    }
}

impl Problem {
    /// A problem whose `detail` a client may read.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        let (status, code, title) = code.parts();
        Self {
            kind: format!("urn:wellspring:problem:{code}"),
            title,
            status: status.as_u16(),
            code,
            detail: detail.into(),
            path: None,
            retry_after: None,
        }
    }

    /// Names the member of the request that is wrong.
    #[must_use]
    pub(crate) fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Adds the wait, in whole seconds, at least one.
    #[must_use]
    pub(crate) fn retry_after(mut self, wait: std::time::Duration) -> Self {
        self.retry_after = Some(wait.as_secs().max(1));
        self
    }

    /// What a limit refused, until its window ends.
    fn refused(refusal: &Refusal) -> Self {
        Self::new(Code::Budget(refusal.limit), refusal.to_string()).retry_after(refusal.ends_in)
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The cause in words, which a client may read.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The member of the request that is wrong, if one is.
    pub(crate) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Seconds to wait before trying again, if that helps.
    pub(crate) fn wait(&self) -> Option<u64> {
        self.retry_after
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"wellspring\""));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What a client is told of a fault of ours.
const FAULT: &str =
    "the server failed; the cause is in its log under this request's id (header X-Request-Id)";

/// What a client is told of a full disk: which one is in the log.
const FULL: &str = "the server's disk is full and nothing was kept of this request; free space and try again";

/// Logs the whole chain of a server-side fault, once; what a client did wrong is not logged as an error.
fn log(code: Code, error: &dyn std::error::Error) {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        chain.push_str(": ");
        chain.push_str(&cause.to_string());
        source = cause.source();
    }
    match code {
        Code::Internal => tracing::error!(error = chain, "request failed"),
        Code::Unavailable | Code::Timeout | Code::StorageFull => {
            tracing::warn!(error = chain, "request failed")
        }
        _ => tracing::debug!(error = chain, "request refused"),
    }
}

/// Whether somewhere in the chain the file system said that it is full.
fn is_storage_full(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|io| matches!(io.kind(), StorageFull | QuotaExceeded))
}

macro_rules! from_error {
    ($error:ty, $kinds:path) => {
        from_error!($error, $kinds, Code::NotFound);
    };
    ($error:ty, $kinds:path, $not_found:path) => {
        impl From<$error> for Problem {
            fn from(error: $error) -> Self {
                use $kinds as Kind;
                if let Some(refusal) = Refusal::within(&error) {
                    return Self::refused(refusal);
                }
                let code = match error.kind() {
                    Kind::NotFound => $not_found,
                    Kind::Conflict => Code::Conflict,
                    Kind::Invalid => Code::Invalid,
                    Kind::Unauthorized => Code::Forbidden,
                    Kind::RateLimited => Code::RateLimited,
                    Kind::Unavailable if is_storage_full(&error) => Code::StorageFull,
                    Kind::Unavailable => Code::Unavailable,
                    Kind::Timeout => Code::Timeout,
                    _ => Code::Internal,
                };
                log(code, &error);
                match code {
                    Code::Internal => return Self::new(code, FAULT),
                    Code::StorageFull => return Self::new(code, FULL),
                    _ => {}
                }
                let problem = Self::new(code, error.to_string());
                match code {
                    Code::RateLimited | Code::Unavailable => {
                        problem.retry_after(error.retry_after().unwrap_or(std::time::Duration::from_secs(1)))
                    }
                    _ => problem,
                }
            }
        }
    };
}

from_error!(StoreError, wellspring_store::ErrorKind);
// A model is nothing that a path of ours names: a request that names one which is not there is wrong.
from_error!(ModelError, wellspring_models::ErrorKind, Code::Invalid);
from_error!(IngestError, wellspring_ingest::ErrorKind);
from_error!(RetrieveError, wellspring_retrieve::ErrorKind);
from_error!(AnswerError, wellspring_answer::ErrorKind);

impl From<anyhow::Error> for Problem {
    /// The composition root speaks `anyhow`: what lies beneath decides.
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<StoreError>() {
            Ok(error) => return error.into(),
            Err(error) => error,
        };
        let error = match error.downcast::<ModelError>() {
            Ok(error) => return error.into(),
            Err(error) => error,
        };
        match error.downcast::<IngestError>() {
            Ok(error) => error.into(),
            Err(error) => {
                log(Code::Internal, &*error);
                Self::new(Code::Internal, FAULT)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_unavailability() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error =
            StoreError::new(wellspring_store::ErrorKind::Unavailable, "cannot write").with_source(full);
        assert_eq!(Problem::from(error).code(), "storage-full");
        let error = StoreError::new(wellspring_store::ErrorKind::Unavailable, "cannot write");
        let problem = Problem::from(error);
        assert_eq!((problem.code(), problem.retry_after), ("unavailable", Some(1)));
    }

    #[test]
    fn a_fault_of_ours_does_not_show_its_message() {
        let error =
            StoreError::new(wellspring_store::ErrorKind::Corrupt, "page 7 of /secret/catalog.db is damaged");
        let problem = Problem::from(error);
        assert_eq!(problem.code(), "internal");
        assert!(!problem.detail.contains("secret"));
    }

    #[test]
    fn a_refusal_is_found_under_every_error_that_passes_it_on() {
        let refusal = Refusal {
            limit: LimitName::TenantMoney,
            most: 20,
            used: 20,
            asked: 1,
            ends_in: std::time::Duration::from_secs(90),
        };
        let retrieve = || wellspring_retrieve::RetrieveError::from(refusal.into_error());
        for problem in [
            Problem::from(refusal.into_error()),
            Problem::from(IngestError::from(refusal.into_error())),
            Problem::from(retrieve()),
            Problem::from(AnswerError::from(retrieve())),
            Problem::from(AnswerError::from(refusal.into_error())),
        ] {
            assert_eq!((problem.code(), problem.status), ("budget-tenant-money", 429));
            assert_eq!(problem.retry_after, Some(90));
            assert!(problem.detail.contains("budget.tenant.money"), "{}", problem.detail);
        }
    }

    #[test]
    fn an_error_under_anyhow_keeps_its_kind() {
        let error = anyhow::Error::from(StoreError::new(wellspring_store::ErrorKind::Conflict, "taken"))
            .context("while");
        assert_eq!(Problem::from(error).code(), "conflict");
    }
}
