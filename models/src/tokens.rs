//! Counting tokens as a model counts them, so that a chunk never exceeds what the model reads.

/// Counts tokens the way one model does.
pub trait TokenCounter: Send + Sync + 'static {
    /// Tokens the model would see for `text`, special tokens (`[CLS]`, `[SEP]`, …) and the passage prefix included,
    /// before any truncation. Empty text counts only those.
    fn count(&self, text: &str) -> usize;
}
