//! The one error of this crate: a kind that callers can act on, a message, and the cause.

use std::time::Duration;

/// What a caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing named does not exist, or the scope may not see it: the two look the same.
    NotFound,
    /// It exists already, or changed under the caller (a lost lease, another fingerprint, a locked folder).
    Conflict,
    /// The request itself is wrong and will fail again unchanged.
    Invalid,
    /// The scope may see it but not do this.
    Unauthorized,
    /// A bounded queue or quota is full; see [`StoreError::retry_after`].
    RateLimited,
    /// The disk is full or an engine can't serve now; a later try may work.
    Unavailable,
    /// A deadline passed.
    Timeout,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A fault of ours.
    Internal,
}

/// A failed store call. `Display` says what failed and how to mend it; the cause is in `source`.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: ErrorKind,
    message: String,
    retry_after: Option<Duration>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
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

    /// How long the endpoint asked us to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// A document's bytes were deleted between being stored and being referred to.
    pub(crate) fn bytes_gone() -> Self {
        let message = "the document's bytes were purged while it was being accepted: send it again";
        Self::new(ErrorKind::Unavailable, message).with_source(BytesGone)
    }

    /// Whether storing the document's bytes once more and accepting it again mends it.
    pub fn is_bytes_gone(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.is::<BytesGone>())
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The wait the endpoint asked for, where it named one.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The message and every cause behind it, for a log line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Timeout)
    }
}

/// See [`StoreError::is_bytes_gone`].
#[derive(Debug, thiserror::Error)]
#[error("nothing referred to them yet")]
struct BytesGone;

/// The result of a store call.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
