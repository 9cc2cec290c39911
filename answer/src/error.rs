//! The one error of this crate: a kind that callers can act on, a message, and the cause.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use wellspring_models::{ErrorKind as ModelKind, ModelError};
use wellspring_retrieve::{ErrorKind as RetrieveKind, RetrieveError};

/// What a caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The collection or model named does not exist, or the scope may not see it: the two look the same.
    NotFound,
    /// The collection's vectors are of another embedder than the one configured.
    Conflict,
    /// The request itself is wrong and will fail again unchanged.
    Invalid,
    /// The scope may see it but not do this.
    Unauthorized,
    /// A quota, bounded queue or model endpoint asks to slow down; see [`AnswerError::retry_after`].
    RateLimited,
    /// Search or model can't serve now; a later try may work.
    Unavailable,
    /// A deadline passed.
    Timeout,
    /// Stored bytes are not what was written, or a model's reply was not what it promised.
    Corrupt,
    /// A fault of ours.
    Internal,
}

/// A failed answer. `Display` says what failed and how to mend it; the cause is in `source`.
#[derive(Debug)]
pub struct AnswerError {
    kind: ErrorKind,
    message: String,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn Error + Send + Sync>>,
    /// The cause's own message is this error's message: a walk along the chain goes on with the cause's cause.
    passed_on: bool,
}

impl AnswerError {
    /// An error of `kind`; `message` is lower-case, without a full stop, and names cause and fix.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, cause: None, passed_on: false }
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The wait that was asked for, where one was named.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for AnswerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let cause = self.cause.as_deref()?;
        if self.passed_on { cause.source() } else { Some(cause) }
    }
}

impl From<RetrieveError> for AnswerError {
    fn from(error: RetrieveError) -> Self {
        let kind = match error.kind() {
            RetrieveKind::NotFound => ErrorKind::NotFound,
            RetrieveKind::Conflict => ErrorKind::Conflict,
            RetrieveKind::Invalid => ErrorKind::Invalid,
            RetrieveKind::Unauthorized => ErrorKind::Unauthorized,
            RetrieveKind::RateLimited => ErrorKind::RateLimited,
            RetrieveKind::Unavailable => ErrorKind::Unavailable,
            RetrieveKind::Timeout => ErrorKind::Timeout,
            RetrieveKind::Corrupt => ErrorKind::Corrupt,
            _ => ErrorKind::Internal,
        };
        let retry_after = error.retry_after();
        Self { kind, message: error.to_string(), retry_after, cause: Some(Box::new(error)), passed_on: true }
    }
}

impl From<ModelError> for AnswerError {
    /// An endpoint that refuses our credential is a fault of the service, not of the caller: `Unavailable`.
    fn from(error: ModelError) -> Self {
        let kind = match error.kind() {
            // A question that names a model which is not there is wrong.
            ModelKind::NotFound => ErrorKind::Invalid,
            ModelKind::Conflict => ErrorKind::Conflict,
            ModelKind::Invalid => ErrorKind::Invalid,
            ModelKind::RateLimited => ErrorKind::RateLimited,
            ModelKind::Unauthorized | ModelKind::Unavailable => ErrorKind::Unavailable,
            ModelKind::Timeout => ErrorKind::Timeout,
            ModelKind::Corrupt => ErrorKind::Corrupt,
            _ => ErrorKind::Internal,
        };
        let retry_after = error.retry_after();
        Self { kind, message: error.to_string(), retry_after, cause: Some(Box::new(error)), passed_on: true }
    }
}

/// The result of an answer.
pub type Result<T, E = AnswerError> = std::result::Result<T, E>;
