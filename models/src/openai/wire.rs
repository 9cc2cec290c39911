//! What endpoints send, read leniently: servers that call themselves compatible leave out and add fields.

use serde::Deserialize;
use serde_json::Value;

use crate::chat::{FinishReason, Usage};

/// Characters of an endpoint's own message that are passed on.
const MAX_MESSAGE: usize = 300;

/// A reply of `/embeddings`.
#[derive(Debug, Deserialize)]
pub(super) struct EmbeddingReply {
    pub(super) data: Vec<EmbeddingItem>,
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
}

impl Choice {
    /// Why it ended, if it did.
    pub(super) fn finish(&self) -> Option<FinishReason> {
        match self.finish_reason.as_deref()? {
            "" => None,
            "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" => Some(FinishReason::Stop),
            "length" | "max_tokens" => Some(FinishReason::Length),
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
}

impl WireUsage {
    /// `None` unless both numbers are there.
    pub(super) fn usage(self) -> Option<Usage> {
        Some(Usage { input_tokens: self.prompt_tokens?, output_tokens: self.completion_tokens? })
    }
}

/// What an error reply says, short and on one line.
pub(super) fn error_message(body: &[u8]) -> String {
    let said = match serde_json::from_slice::<Value>(body) {
        Ok(value) => error_text(value.get("error").unwrap_or(&value)),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let line: Vec<&str> = said.split_whitespace().collect();
    let line = line.join(" ");
    if line.is_empty() { "no reason given".to_owned() } else { line.chars().take(MAX_MESSAGE).collect() }
}

/// The text of an error value: a string, or an object with a `message` (and a `code` or `type`) or `detail`.
pub(super) fn error_text(error: &Value) -> String {
    if let Some(text) = error.as_str() {
        return text.to_owned();
    }
    let field = |name: &str| error.get(name).and_then(Value::as_str);
    match (field("message").or(field("detail")), field("code").or(field("type"))) {
        (Some(message), Some(code)) => format!("{message} ({code})"),
        (Some(message), None) => message.to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_every_usual_shape() {
        for (body, expected) in [
            (
                r#"{"error":{"message":"no such\nmodel","code":"model_not_found"}}"#,
                "no such model (model_not_found)",
            ),
            (r#"{"error":"model not loaded"}"#, "model not loaded"),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            ("<html>Bad  Gateway</html>", "<html>Bad Gateway</html>"),
            ("", "no reason given"),
        ] {
            assert_eq!(error_message(body.as_bytes()), expected);
        }
    }

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
