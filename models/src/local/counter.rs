//! Counts tokens with a model's own tokenizer.

use tokenizers::Tokenizer;

use crate::tokens::TokenCounter;

/// A tokenizer without truncation and padding, and the prefix that goes before a passage.
pub(super) struct ModelCounter {
    tokenizer: Tokenizer,
    prefix: String,
}

impl ModelCounter {
    pub(super) fn new(tokenizer: Tokenizer, prefix: String) -> Self {
        Self { tokenizer, prefix }
    }

    /// Tokens of `text`, which already has its prefix.
    pub(super) fn count_whole(&self, text: &str) -> usize {
        // Encoding without offsets is the cheapest there is. No tokenizer of an encoder refuses a string; if one did,
        // its bytes are an upper bound that keeps a chunk small rather than cut.
        self.tokenizer.encode_fast(text, true).map_or(text.len(), |encoding| encoding.len())
    }
}

impl TokenCounter for ModelCounter {
    fn count(&self, text: &str) -> usize {
        if self.prefix.is_empty() {
            self.count_whole(text)
        } else {
            self.count_whole(&format!("{}{text}", self.prefix))
        }
    }
}
