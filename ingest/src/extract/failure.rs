//! Why a document yields no text: a stable code to act on and a sentence for a person.

use serde::{Deserialize, Serialize};

/// The kinds of failure; [`Reason::code`] is stable and may be stored and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// No bytes, or no text in a format that can hold some.
    Empty,
    /// A kind of file that is not read; the message names what was seen.
    Unsupported,
    /// Needs a password.
    Encrypted,
    /// Pages without a text layer (scans).
    ImageOnly,
    /// The file, its text or its page count is above a configured limit.
    TooLarge,
    /// Not what it claims to be, or damaged.
    Corrupt,
    /// Needed more time, memory, depth or unpacked bytes than allowed.
    LimitExceeded,
    /// The extractor itself failed (a defect of ours or of a library); the document may be fine.
    Crashed,
    /// A library or the extraction process is missing on this machine; try again after mending that.
    Unavailable,
}

impl Reason {
    /// The stable snake_case code, the same as the serialised form.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Unsupported => "unsupported",
            Self::Encrypted => "encrypted",
            Self::ImageOnly => "image_only",
            Self::TooLarge => "too_large",
            Self::Corrupt => "corrupt",
            Self::LimitExceeded => "limit_exceeded",
            Self::Crashed => "crashed",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether the document counts as skipped rather than failed: there was nothing to do (`Unsupported`, `Empty`).
    pub fn is_skip(self) -> bool {
        matches!(self, Self::Unsupported | Self::Empty)
    }

    /// Whether the same bytes may succeed later (`Unavailable`, `Crashed`).
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Crashed)
    }
}

/// A document that yields no text, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{}: {message}", reason.code())]
pub struct Failure {
    /// What kind of failure.
    pub reason: Reason,
    /// One sentence: what was seen, and what would help where that is known. Holds no document text.
    pub message: String,
}

impl Failure {
    /// A failure with its sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(Reason::Corrupt, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Reason::Unsupported, message)
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(Reason::LimitExceeded, message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(Reason::TooLarge, message)
    }
}
