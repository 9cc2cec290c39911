//! The one error of this crate: a kind that callers can act on, a message, and the cause.

use std::time::Duration;

/// What a caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The model, file or endpoint named does not exist.
    NotFound,
    /// What was found does not match what was recorded (a fingerprint, a dimension).
    Conflict,
    /// The request itself is wrong and will fail again unchanged.
    Invalid,
    /// The endpoint refused the credential: a configuration fault, never retried.
    Unauthorized,
    /// The endpoint asked us to slow down; see [`ModelError::retry_after`].
    RateLimited,
    /// The endpoint or local runtime can't serve now; a later try may work.
    Unavailable,
    /// A deadline passed.
    Timeout,
    /// A file or a reply is damaged: wrong checksum, not the promised format.
    Corrupt,
    /// A fault of ours.
    Internal,
}

/// A failed model call. `Display` says what failed and how to mend it; the cause is in `source`.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    kind: ErrorKind,
    message: String,
    retry_after: Option<Duration>,
    /// Nothing was done that anybody charges for.
    unbilled: bool,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ModelError {
    /// An error of `kind`; `message` is lower-case, without a full stop, and names cause and fix.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, unbilled: false, source: None }
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// How long the endpoint asked us to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Says that nothing was done that anybody charges for: the call never reached a model.
    #[must_use]
    pub(crate) fn unbilled(mut self) -> Self {
        self.unbilled = true;
        self
    }

    /// Whether the call certainly cost nothing.
    pub fn is_unbilled(&self) -> bool {
        self.unbilled
    }

    /// The limit that refused the call before it was made, if one did.
    pub fn refusal(&self) -> Option<&crate::ledger::Refusal> {
        crate::ledger::Refusal::within(self)
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The wait the endpoint asked for, where it named one.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Timeout)
    }
}

/// The result of a model call.
pub type Result<T, E = ModelError> = std::result::Result<T, E>;
