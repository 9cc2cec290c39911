//! What endpoints send, read leniently: servers that call themselves compatible leave out and add fields.

use serde::Deserialize;
use serde_json::Value;

use super::tools::{Calls, WireCall};
use crate::chat::{ChatRequest, FinishReason, Usage};
use crate::error::ErrorKind;
use crate::remote::{Dialect, Piece, error_text};
use crate::tools::ToolCall;

/// A reply of `/embeddings`.
#[derive(Debug, Deserialize)]
pub(super) struct EmbeddingReply {
    pub(super) data: Vec<EmbeddingItem>,
    #[serde(default)]
    pub(super) usage: Option<EmbeddingUsage>,
}

/// Tokens of all inputs together.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct EmbeddingUsage {
    #[serde(default)]
    pub(super) prompt_tokens: Option<u64>,
}

/// One vector, and which input it belongs to.
#[derive(Debug, Deserialize)]
pub(super) struct EmbeddingItem {
    #[serde(default)]
    pub(super) index: Option<usize>,
    pub(super) embedding: Vec<f32>,
}

/// A whole reply of `/chat/completions`.
#[derive(Debug, Deserialize)]
pub(super) struct ChatCompletion {
    #[serde(default)]
    pub(super) model: Option<String>,
    pub(super) choices: Vec<Choice>,
    #[serde(default)]
    pub(super) usage: Option<WireUsage>,
}

/// One piece of a streamed reply.
#[derive(Debug, Deserialize)]
pub(super) struct Chunk {
    #[serde(default)]
    pub(super) choices: Option<Vec<Choice>>,
    #[serde(default)]
    pub(super) usage: Option<WireUsage>,
    #[serde(default)]
    pub(super) error: Option<Value>,
}

/// One alternative of a reply; only the first is read.
#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    #[serde(default, alias = "delta")]
    pub(super) message: Option<Content>,
    #[serde(default)]
    finish_reason: Option<String>,
}

/// What a message or a piece of one says.
#[derive(Debug, Deserialize)]
pub(super) struct Content {
    #[serde(default)]
    pub(super) content: Option<String>,
    #[serde(default)]
    pub(super) refusal: Option<String>,
    #[serde(default)]
    pub(super) tool_calls: Option<Vec<WireCall>>,
}

impl Choice {
    /// Why it ended, if it did.
    pub(super) fn finish(&self) -> Option<FinishReason> {
        match self.finish_reason.as_deref()? {
            "" => None,
            "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" => Some(FinishReason::Stop),
            "length" | "max_tokens" => Some(FinishReason::Length),
            "tool_calls" | "function_call" | "tool_use" => Some(FinishReason::ToolCalls),
            "content_filter" => Some(FinishReason::ContentFilter),
            _ => Some(FinishReason::Other),
        }
    }
}

/// Tokens as the endpoint counted them.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct WireUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
}

/// Parts of the prompt's tokens.
#[derive(Debug, Clone, Copy, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

impl WireUsage {
    /// `None` unless both numbers are there.
    pub(super) fn usage(self) -> Option<Usage> {
        Some(Usage {
            input_tokens: self.prompt_tokens?,
            output_tokens: self.completion_tokens?,
            cached_input_tokens: self
                .prompt_tokens_details
                .and_then(|parts| parts.cached_tokens)
                .unwrap_or(0),
            cache_write_tokens: 0,
        })
    }
}

/// Reads the pieces of one stream.
#[derive(Debug, Default)]
pub(super) struct ChunkReader {
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    /// The model declined in words of its own.
    refused: bool,
    calls: Calls,
}

impl ChunkReader {
    /// For the reply to a request: calls are read only where tools are offered.
    pub(super) fn of(request: &ChatRequest) -> Self {
        Self { calls: Calls::of(request), ..Self::default() }
    }
}

impl Dialect for ChunkReader {
    fn read(&mut self, data: &str) -> Result<Piece, serde_json::Error> {
        if data == "[DONE]" {
            return Ok(Piece::End);
        }
        let chunk: Chunk = serde_json::from_str(data)?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            let said = error_text(&error);
            let kind = if said.contains("rate_limit") {
                ErrorKind::RateLimited
            } else if said.contains("context_length") || said.contains("invalid_request") {
                ErrorKind::Invalid
            } else {
                ErrorKind::Unavailable
            };
            return Ok(Piece::Failed(kind, said));
        }
        if let Some(usage) = chunk.usage.and_then(WireUsage::usage) {
            self.usage = Some(usage);
        }
        let Some(choice) = chunk.choices.unwrap_or_default().into_iter().next() else {
            return Ok(Piece::Nothing);
        };
        if self.finish.is_none() {
            self.finish = choice.finish();
        }
        let mut called = false;
        let text = choice.message.and_then(|said| {
            called = said.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
            self.calls.add(said.tool_calls);
            self.refused |= said.refusal.as_ref().is_some_and(|refusal| !refusal.is_empty());
            said.content.filter(|content| !content.is_empty()).or(said.refusal)
        });
        let otherwise = if called { Piece::Progress } else { Piece::Nothing };
        Ok(text.filter(|text| !text.is_empty()).map_or(otherwise, Piece::Text))
    }

    fn finish(&self) -> Option<FinishReason> {
        self.finish.map(|finish| if self.refused { FinishReason::ContentFilter } else { finish })
    }

    fn calls(&mut self) -> Vec<ToolCall> {
        self.calls.take()
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_null_fields_are_fine() {
        let chunk: Chunk =
            serde_json::from_str(r#"{"choices":null,"usage":{"prompt_tokens":1},"x":1}"#).unwrap();
        assert_eq!(chunk.usage.and_then(WireUsage::usage), None);
        let chunk: Chunk =
            serde_json::from_str(r#"{"choices":[{"delta":{"content":null},"finish_reason":""}]}"#).unwrap();
        assert_eq!(chunk.choices.unwrap()[0].finish(), None);
    }
}
