//! The one error of this crate: a kind that callers can act on, a message, and the cause.

/// What a caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or folder named does not exist.
    NotFound,
    /// A file is not what its format says; the message names file and line.
    Invalid,
    /// What it is about has changed meanwhile.
    Conflict,
    /// The engine under evaluation failed.
    Engine,
    /// Reading or writing failed.
    Io,
}

/// A failed evaluation. `Display` says what failed and how to mend it; the cause is in `source`.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl EvalError {
    /// An error of `kind`; `message` is lower-case, without a full stop, and names cause and fix.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
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

    /// The engine failed while `doing`.
    pub(crate) fn engine(doing: &str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::new(ErrorKind::Engine, format!("the engine under evaluation failed while {doing}"))
            .with_source(source)
    }
}

impl From<std::io::Error> for EvalError {
    fn from(error: std::io::Error) -> Self {
        let kind =
            if error.kind() == std::io::ErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::Io };
        // fs-err puts the operation and the path into its message.
        Self::new(kind, error.to_string()).with_source(error)
    }
}

/// The result of an evaluation step.
pub type Result<T, E = EvalError> = std::result::Result<T, E>;
