//! Tools and structured replies in Anthropic's format: a reply as JSON is the input of a tool that must be used.

use serde_json::{Value, json};

use super::wire::{Content, Turn};
use crate::chat::{ChatRequest, ToolChoice};
use crate::tools::{ToolCall, ToolTurn};

/// Calls of one reply; more are not read.
const MAX_CALLS: usize = 64;

/// What of a reply is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Reading {
    /// Text alone: nothing was offered, so nothing was called.
    #[default]
    Text,
    /// Text and calls.
    Calls,
    /// The input of the tool that stands for the reply.
    Output,
}

impl Reading {
    pub(super) fn of(request: &ChatRequest) -> Self {
        match (&request.output, request.tools.is_empty()) {
            (Some(_), _) => Self::Output,
            (None, true) => Self::Text,
            (None, false) => Self::Calls,
        }
    }
}

/// The tools of a request, or the one that stands for its reply.
pub(super) fn offered(request: &ChatRequest) -> Vec<Value> {
    if let Some(output) = &request.output {
        return vec![
            json!({ "name": output.name, "description": output.description, "input_schema": output.schema }),
        ];
    }
    let tools = request.tools.iter();
    tools
        .map(|tool| {
            json!({ "name": tool.name, "description": tool.description, "input_schema": tool.parameters })
        })
        .collect()
}

/// Said only where the model must use one tool, or none.
pub(super) fn choice(request: &ChatRequest) -> Option<Value> {
    match (&request.output, request.tool_choice) {
        (Some(output), _) => {
            Some(json!({ "type": "tool", "name": output.name, "disable_parallel_tool_use": true }))
        }
        (None, ToolChoice::None) if !request.tools.is_empty() => Some(json!({ "type": "none" })),
        _ => None,
    }
}

/// Each turn as the assistant's blocks, and one message with all results, as the API wants them.
pub(super) fn turns<'a>(turns: &[ToolTurn]) -> impl Iterator<Item = Turn<'a>> + use<'a, '_> {
    turns.iter().flat_map(|turn| {
        let text = (!turn.text.trim().is_empty()).then(|| json!({ "type": "text", "text": turn.text }));
        let calls = turn.calls.iter().map(|(call, _)| {
            // Input must be an object, also where the model wrote none.
            let input = call.arguments.as_ref().ok().filter(|value| value.is_object());
            let input = input.cloned().unwrap_or_else(|| json!({}));
            json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
        });
        let results = turn.calls.iter().map(|(call, result)| {
            json!({
                "type": "tool_result", "tool_use_id": call.id, "content": result.content, "is_error": result.is_error,
            })
        });
        let said = text.into_iter().chain(calls).collect();
        [
            Turn { role: "assistant", content: Content::Blocks(said) },
            Turn { role: "user", content: Content::Blocks(results.collect()) },
        ]
    })
}

/// Puts the calls of a streamed reply together.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<(usize, String, String, String)>);

impl Calls {
    /// A block began.
    pub(super) fn open(&mut self, index: usize, id: String, name: String) {
        if self.0.len() < MAX_CALLS {
            self.0.push((index, id, name, String::new()));
        }
    }

    /// More of a block's input.
    pub(super) fn extend(&mut self, index: usize, json: &str) {
        if let Some(open) = self.0.iter_mut().find(|open| open.0 == index) {
            open.3.push_str(json);
        }
    }

    /// The calls, in order.
    pub(super) fn take(&mut self) -> Vec<ToolCall> {
        let open = std::mem::take(&mut self.0);
        open.into_iter().map(|(_, id, name, input)| ToolCall::parse(id, name, &input)).collect()
    }
}
