//! What the two APIs write, whole and streamed.

use serde_json::{Value, json};

/// Which API.
#[derive(Debug, Clone, Copy)]
pub(super) enum Format {
    Openai,
    Anthropic,
}

fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// One of Anthropic's events, which name their kind twice.
pub(super) fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default())
}

impl Format {
    pub(super) fn error(self, status: u16) -> String {
        match self {
            Self::Openai => json!({"error": {"message": "a fault as ordered", "type": "x", "code": status}}),
            Self::Anthropic => {
                json!({"type": "error", "error": {"type": "x", "message": "a fault as ordered"}})
            }
        }
        .to_string()
    }

    pub(super) fn error_event(self) -> String {
        match self {
            Self::Openai => data(&json!({"error": {"message": "overloaded", "type": "server_error"}})),
            Self::Anthropic => event(
                &json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
            ),
        }
    }

    /// A whole reply.
    pub(super) fn reply(self, text: &str, usage: bool) -> String {
        let mut reply = match self {
            Self::Openai => json!({
                "id": "c1", "object": "chat.completion", "created": 1, "model": "m-1",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            }),
            Self::Anthropic => json!({
                "id": "m1", "type": "message", "role": "assistant", "model": "m-1", "stop_reason": "end_turn",
                "stop_sequence": null, "content": [{"type": "text", "text": text}],
            }),
        };
        if usage {
            reply["usage"] = match self {
                Self::Openai => json!({"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}),
                Self::Anthropic => json!({"input_tokens": 11, "output_tokens": 3}),
            };
        }
        reply.to_string()
    }

    pub(super) fn opening(self) -> String {
        match self {
            Self::Openai => chunk(json!({"role": "assistant", "content": ""}), None),
            Self::Anthropic => {
                let message = json!({"id": "m1", "type": "message", "role": "assistant", "model": "m-1", "content": [],
                    "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 11, "output_tokens": 1}});
                event(&json!({"type": "message_start", "message": message}))
                    + &event(
                        &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                    )
                    + &event(&json!({"type": "ping"}))
            }
        }
    }

    pub(super) fn piece(self, text: &str) -> String {
        match self {
            Self::Openai => chunk(json!({"content": text}), None),
            Self::Anthropic => event(
                &json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
            ),
        }
    }

    /// All that follows the text.
    pub(super) fn closing(self, usage: bool) -> String {
        match self {
            Self::Openai => {
                let counts = json!({"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14});
                let counted = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-1",
                    "choices": [], "usage": counts});
                let counted = if usage { data(&counted) } else { String::new() };
                chunk(json!({}), Some("stop")) + &counted + &self.last()
            }
            Self::Anthropic => {
                let mut delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}});
                if usage {
                    delta["usage"] = json!({"output_tokens": 3});
                }
                event(&json!({"type": "content_block_stop", "index": 0})) + &event(&delta) + &self.last()
            }
        }
    }

    /// All that follows a reply that was played, usage included.
    pub(super) fn closing_with(self, reason: &str) -> String {
        match self {
            Self::Openai => {
                let counts = json!({"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14});
                let counted = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-1",
                    "choices": [], "usage": counts});
                chunk(json!({}), Some(reason)) + &data(&counted) + &self.last()
            }
            Self::Anthropic => {
                let delta = json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
                    "usage": {"output_tokens": 3}});
                event(&delta) + &self.last()
            }
        }
    }

    /// The last event.
    pub(super) fn last(self) -> String {
        match self {
            Self::Openai => "data: [DONE]\n\n".to_owned(),
            Self::Anthropic => event(&json!({"type": "message_stop"})),
        }
    }
}

pub(super) fn chunk(delta: Value, finish: Option<&str>) -> String {
    data(&json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
}
