//! The one error of this crate: a kind that callers can act on, a message, and the cause.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use wellspring_models::{ErrorKind as ModelKind, ModelError};
use wellspring_store::{ErrorKind as StoreKind, StoreError};

/// What a caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing named does not exist, or the scope may not see it: the two look the same.
    NotFound,
    /// The collection's vectors are of another embedder than the one configured.
    Conflict,
    /// The request itself is wrong and will fail again unchanged.
    Invalid,
    /// The scope may see it but not do this.
    Unauthorized,
    /// A quota or bounded queue is full; see [`RetrieveError::retry_after`].
    RateLimited,
    /// No leg of the search could answer; a later try may work.
    Unavailable,
    /// The deadline passed before any leg answered.
    Timeout,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A fault of ours.
    Internal,
}

/// A failed search. `Display` says what failed and how to mend it; the cause is in `source`.
#[derive(Debug)]
pub struct RetrieveError {
    kind: ErrorKind,
    message: String,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn Error + Send + Sync>>,
    /// The cause's own message is this error's message: a walk along the chain goes on with the cause's cause.
    passed_on: bool,
}

impl RetrieveError {
    /// An error of `kind`; `message` is lower-case, without a full stop, and names cause and fix.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, cause: None, passed_on: false }
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(source.into());
        self
    }

    /// How long to wait before another try.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The wait that was asked for, where one was named.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Timeout)
    }
}

impl fmt::Display for RetrieveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for RetrieveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let cause = self.cause.as_deref()?;
        if self.passed_on { cause.source() } else { Some(cause) }
    }
}

impl From<StoreError> for RetrieveError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreKind::NotFound => ErrorKind::NotFound,
            StoreKind::Conflict => ErrorKind::Conflict,
            StoreKind::Invalid => ErrorKind::Invalid,
            StoreKind::Unauthorized => ErrorKind::Unauthorized,
            StoreKind::RateLimited => ErrorKind::RateLimited,
            StoreKind::Unavailable => ErrorKind::Unavailable,
            StoreKind::Timeout => ErrorKind::Timeout,
            StoreKind::Corrupt => ErrorKind::Corrupt,
            _ => ErrorKind::Internal,
        };
        Self {
            kind,
            message: error.to_string(),
            retry_after: error.retry_after(),
            cause: Some(Box::new(error)),
            passed_on: true,
        }
    }
}

impl From<ModelError> for RetrieveError {
    /// A model that is missing or refuses our credential is a fault of the service, not of the request: `Unavailable`.
    fn from(error: ModelError) -> Self {
        let kind = match error.kind() {
            ModelKind::Conflict => ErrorKind::Conflict,
            ModelKind::Invalid => ErrorKind::Invalid,
            ModelKind::RateLimited => ErrorKind::RateLimited,
            ModelKind::NotFound | ModelKind::Unauthorized | ModelKind::Unavailable => ErrorKind::Unavailable,
            ModelKind::Timeout => ErrorKind::Timeout,
            ModelKind::Corrupt => ErrorKind::Corrupt,
            _ => ErrorKind::Internal,
        };
        Self {
            kind,
            message: error.to_string(),
            retry_after: error.retry_after(),
            cause: Some(Box::new(error)),
            passed_on: true,
        }
    }
}

/// The result of a search.
pub type Result<T, E = RetrieveError> = std::result::Result<T, E>;
