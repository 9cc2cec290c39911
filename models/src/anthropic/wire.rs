//! What Anthropic's Messages API takes and sends, read leniently: fields and events are added over time.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tools::{Calls, Reading};
use crate::chat::{ChatRequest, FinishReason, Usage};
use crate::error::ErrorKind;
use crate::remote::{Dialect, Piece, error_text};
use crate::tools::ToolCall;

/// A request of `/messages`.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    pub(super) model: &'a str,
    pub(super) max_tokens: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) system: Vec<Instructions>,
    pub(super) messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tools: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_choice: Option<Value>,
    pub(super) temperature: f32,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) stop_sequences: &'a [String],
    pub(super) stream: bool,
}

/// The operator's instructions: the same in every request, so they are the prefix that is worth caching. A prefix that is
/// shorter than the model caches (1024 tokens and more) is read as ever, at no cost.
#[derive(Debug, Serialize)]
pub(super) struct Instructions {
    #[serde(rename = "type")]
    kind: &'static str,
    text: String,
    cache_control: CacheControl,
}

/// How long the prefix up to here is cached.
#[derive(Debug, Serialize)]
struct CacheControl {
    #[serde(rename = "type")]
    kind: &'static str,
}

impl Instructions {
    pub(super) fn new(text: String) -> Self {
        Self { kind: "text", text, cache_control: CacheControl { kind: "ephemeral" } }
    }
}

/// One message of a request.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    pub(super) role: &'static str,
    pub(super) content: Content<'a>,
}

/// What a message holds: text, or blocks where there is more.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(&'a str),
    Blocks(Vec<Value>),
}

/// A whole reply.
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    #[serde(default)]
    pub(super) model: Option<String>,
    pub(super) content: Vec<Block>,
    #[serde(default)]
    pub(super) stop_reason: Option<String>,
    #[serde(default)]
    pub(super) usage: Counts,
}

/// A piece of a reply; only text and calls are read.
#[derive(Debug, Deserialize)]
pub(super) struct Block {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    input: Value,
}

impl Reply {
    /// The text; where JSON was asked for, the input of the tool that stands for the reply.
    pub(super) fn text(&self, request: &ChatRequest) -> String {
        let mut used = self.content.iter().filter(|block| block.kind == "tool_use");
        match &request.output {
            Some(output) => used
                .find(|block| block.name == output.name)
                .map(|block| block.input.to_string())
                .unwrap_or_default(),
            None => {
                let texts = self.content.iter().filter(|block| block.kind == "text");
                texts.map(|block| block.text.as_str()).collect()
            }
        }
    }

    /// The calls, where tools were offered.
    pub(super) fn calls(&self, request: &ChatRequest) -> Vec<ToolCall> {
        if Reading::of(request) != Reading::Calls {
            return Vec::new();
        }
        let called = self.content.iter().filter(|block| block.kind == "tool_use");
        let call = |block: &Block| ToolCall {
            id: block.id.clone(),
            name: block.name.clone(),
            arguments: Ok(block.input.clone()),
        };
        called.map(call).collect()
    }
}

/// Tokens so far, as the API counts them: what was read from or written to its prompt cache stands apart.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

impl Counts {
    /// `None` unless both sides are known.
    pub(super) fn usage(self) -> Option<Usage> {
        let (written, read) =
            (self.cache_creation_input_tokens.unwrap_or(0), self.cache_read_input_tokens.unwrap_or(0));
        Some(Usage {
            input_tokens: self.input_tokens? + written + read,
            output_tokens: self.output_tokens?,
            cached_input_tokens: read,
            cache_write_tokens: written,
        })
    }

    /// Later counts replace earlier ones.
    fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens =
            later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
    }
}

/// Why it ended; a reply that was asked for as JSON is done once it has used its tool.
pub(super) fn finish(reason: &str, request: &ChatRequest) -> FinishReason {
    reason_of(reason, Reading::of(request))
}

fn reason_of(reason: &str, reading: Reading) -> FinishReason {
    match reason {
        "tool_use" if reading == Reading::Output => FinishReason::Stop,
        "tool_use" => FinishReason::ToolCalls,
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    }
}

/// One event of a stream. Unknown kinds are to be passed over.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    index: usize,
    #[serde(default)]
    content_block: Option<Block>,
    #[serde(default)]
    message: Option<Start>,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    usage: Option<Counts>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Start {
    #[serde(default)]
    usage: Counts,
}

#[derive(Debug, Deserialize)]
struct Delta {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    partial_json: Option<String>,
    #[serde(default)]
    stop_reason: Option<String>,
}

/// Reads the events of one stream.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    finish: Option<FinishReason>,
    counts: Counts,
    reading: Reading,
    calls: Calls,
}

impl EventReader {
    /// For the reply to a request.
    pub(super) fn of(request: &ChatRequest) -> Self {
        Self { reading: Reading::of(request), ..Self::default() }
    }

    /// A piece of a block: text, or input of a tool, which is the text where JSON was asked for.
    fn delta(&mut self, index: usize, delta: Delta) -> Piece {
        let said =
            |text: Option<String>| text.filter(|text| !text.is_empty()).map_or(Piece::Nothing, Piece::Text);
        match (self.reading, delta.partial_json) {
            (Reading::Output, json) => said(json),
            (Reading::Calls, Some(json)) => {
                self.calls.extend(index, &json);
                Piece::Progress
            }
            (Reading::Text | Reading::Calls, _) => said(delta.text),
        }
    }
}

impl Dialect for EventReader {
    fn read(&mut self, data: &str) -> Result<Piece, serde_json::Error> {
        let event: Event = serde_json::from_str(data)?;
        // What was written is only known at the end: the start counts the first token alone.
        let start = event.message.map(|start| Counts { output_tokens: None, ..start.usage });
        if let Some(counts) = event.usage.or(start) {
            self.counts.update(counts);
        }
        Ok(match event.kind.as_str() {
            "content_block_start" => match event.content_block {
                Some(block) if block.kind == "tool_use" && self.reading == Reading::Calls => {
                    self.calls.open(event.index, block.id, block.name);
                    Piece::Progress
                }
                _ => Piece::Nothing,
            },
            "content_block_delta" => match event.delta {
                Some(delta) => self.delta(event.index, delta),
                None => Piece::Nothing,
            },
            "message_delta" => {
                let reason = event.delta.and_then(|delta| delta.stop_reason);
                let reading = self.reading;
                self.finish = reason.map(|reason| reason_of(&reason, reading)).or(self.finish);
                Piece::Nothing
            }
            "message_stop" => Piece::End,
            "error" => {
                let error = event.error.unwrap_or_default();
                let kind = match error.get("type").and_then(Value::as_str) {
                    Some("rate_limit_error") => ErrorKind::RateLimited,
                    Some("authentication_error" | "permission_error" | "billing_error") => {
                        ErrorKind::Unauthorized
                    }
                    Some("invalid_request_error" | "request_too_large") => ErrorKind::Invalid,
                    Some("not_found_error") => ErrorKind::NotFound,
                    Some("timeout_error") => ErrorKind::Timeout,
                    _ => ErrorKind::Unavailable,
                };
                Piece::Failed(kind, error_text(&error))
            }
            _ => Piece::Nothing,
        })
    }

    fn finish(&self) -> Option<FinishReason> {
        self.finish
    }

    fn calls(&mut self) -> Vec<ToolCall> {
        self.calls.take()
    }

    fn usage(&self) -> Option<Usage> {
        self.counts.usage()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_start_and_end_are_put_together() {
        let mut reader = EventReader::default();
        for data in [
            r#"{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"something_new","delta":{"text":"x"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#,
        ] {
            assert!(matches!(reader.read(data), Ok(Piece::Nothing)), "{data}");
        }
        let used = Usage { input_tokens: 15, output_tokens: 7, cached_input_tokens: 5, ..Usage::default() };
        assert_eq!(reader.usage(), Some(used));
        let mut cut = EventReader::default();
        cut.read(r#"{"type":"message_start","message":{"usage":{"input_tokens":10,"output_tokens":1}}}"#)
            .unwrap();
        assert_eq!(cut.usage(), None);
        assert_eq!(reader.finish(), Some(FinishReason::Stop));
    }
}
