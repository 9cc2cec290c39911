//! The one error of this crate: a kind that callers can act on, a message, and the cause.

use std::time::Duration;

use wellspring_models::{ErrorKind as ModelKind, ModelError};
use wellspring_store::{ErrorKind as StoreKind, StoreError};

/// What a caller can do about a failure. The meanings are those of [`wellspring_store::ErrorKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing named does not exist, or the scope may not see it.
    NotFound,
    /// It exists already, or does not match what was recorded (a lost lease, another model).
    Conflict,
    /// The request itself is wrong and will fail again unchanged.
    Invalid,
    /// The scope may see it but not do this, or a credential was refused.
    Unauthorized,
    /// A bounded queue or quota is full; see [`IngestError::retry_after`].
    RateLimited,
    /// Something this needs can't serve now; a later try may work.
    Unavailable,
    /// A deadline passed.
    Timeout,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A fault of ours.
    Internal,
}

/// A failed call. `Display` says what failed and how to mend it; the cause is in `source`.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct IngestError {
    kind: ErrorKind,
    message: String,
    retry_after: Option<Duration>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl IngestError {
    /// An error of `kind`; `message` is lower-case, without a full stop, and names cause and fix.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, source: None }
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The wait that a full queue or an endpoint asked for, where it named one.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Timeout)
    }
}

impl From<StoreError> for IngestError {
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
            source: Some(Box::new(error)),
        }
    }
}

impl From<ModelError> for IngestError {
    fn from(error: ModelError) -> Self {
        let kind = match error.kind() {
            ModelKind::NotFound => ErrorKind::NotFound,
            ModelKind::Conflict => ErrorKind::Conflict,
            ModelKind::Invalid => ErrorKind::Invalid,
            ModelKind::Unauthorized => ErrorKind::Unauthorized,
            ModelKind::RateLimited => ErrorKind::RateLimited,
            ModelKind::Unavailable => ErrorKind::Unavailable,
            ModelKind::Timeout => ErrorKind::Timeout,
            ModelKind::Corrupt => ErrorKind::Corrupt,
            _ => ErrorKind::Internal,
        };
        Self {
            kind,
            message: error.to_string(),
            retry_after: error.retry_after(),
            source: Some(Box::new(error)),
        }
    }
}

/// The result of a call into this crate.
pub type Result<T, E = IngestError> = std::result::Result<T, E>;
