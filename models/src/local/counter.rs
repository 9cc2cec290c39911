//! Counts tokens with a model's own tokenizer.

use std::ops::Range;

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

    /// The bytes of `text` that each token covers, `None` for special ones; empty if the tokenizer refuses the text.
    pub(super) fn spans(&self, text: &str) -> Vec<Option<Range<usize>>> {
        let Ok(encoding) = self.tokenizer.encode(text, true) else { return Vec::new() };
        let special = encoding.get_special_tokens_mask();
        let spans = encoding.get_offsets().iter().zip(special);
        spans.map(|(&(start, end), &special)| (special == 0).then_some(start..end)).collect()
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
