//! Tools and structured replies in OpenAI's format: what is offered, what was called, what came back.

use async_openai::types::chat::{
    ChatCompletionMessageToolCall, ChatCompletionMessageToolCalls, ChatCompletionRequestAssistantMessage,
    ChatCompletionRequestAssistantMessageContent, ChatCompletionRequestMessage,
    ChatCompletionRequestToolMessage, ChatCompletionRequestToolMessageContent, ChatCompletionTool,
    ChatCompletionToolChoiceOption, ChatCompletionTools, FunctionCall, FunctionObject, ResponseFormat,
    ResponseFormatJsonSchema, ToolChoiceOptions,
};
use serde::Deserialize;
use serde_json::Value;

use crate::chat::{ChatRequest, ToolChoice};
use crate::registry::OutputMode;
use crate::tools::{OutputSchema, ToolCall, ToolSpec, ToolTurn};

/// Calls of one reply; more are not read.
const MAX_CALLS: usize = 64;

/// The tools of a request; `None` where there are none, since some servers refuse an empty list.
pub(super) fn offered(tools: &[ToolSpec]) -> Option<Vec<ChatCompletionTools>> {
    let tool = |tool: &ToolSpec| {
        ChatCompletionTools::Function(ChatCompletionTool {
            function: FunctionObject {
                name: tool.name.clone(),
                description: Some(tool.description.clone()),
                parameters: Some(tool.parameters.clone()),
                strict: None,
            },
        })
    };
    (!tools.is_empty()).then(|| tools.iter().map(tool).collect())
}

/// Said only where the model must not call what it knows of.
pub(super) fn choice(request: &ChatRequest) -> Option<ChatCompletionToolChoiceOption> {
    let forbidden = !request.tools.is_empty() && request.tool_choice == ToolChoice::None;
    forbidden.then_some(ChatCompletionToolChoiceOption::Mode(ToolChoiceOptions::None))
}

/// The form of the reply, as the endpoint can be asked for it.
pub(super) fn format(output: &OutputSchema, mode: OutputMode) -> ResponseFormat {
    match mode {
        OutputMode::Object => ResponseFormat::JsonObject,
        OutputMode::Schema => ResponseFormat::JsonSchema {
            json_schema: ResponseFormatJsonSchema {
                name: output.name.clone(),
                description: Some(output.description.clone()),
                schema: output.schema.clone(),
                // Strict mode takes only a part of JSON schema, and a user's own is rarely in it.
                strict: None,
            },
        },
    }
}

/// Each turn as the assistant's message with its calls, and a message per result.
pub(super) fn turns(turns: &[ToolTurn]) -> impl Iterator<Item = ChatCompletionRequestMessage> + '_ {
    turns.iter().flat_map(|turn| {
        let calls = turn.calls.iter().map(|(call, _)| {
            ChatCompletionMessageToolCalls::Function(ChatCompletionMessageToolCall {
                id: call.id.clone(),
                function: FunctionCall { name: call.name.clone(), arguments: call.arguments_text() },
            })
        });
        let text = Some(turn.text.clone()).filter(|text| !text.is_empty());
        let said = ChatCompletionRequestMessage::Assistant(ChatCompletionRequestAssistantMessage {
            content: text.map(ChatCompletionRequestAssistantMessageContent::Text),
            tool_calls: Some(calls.collect()),
            ..Default::default()
        });
        let results = turn.calls.iter().map(|(call, result)| {
            ChatCompletionRequestMessage::Tool(ChatCompletionRequestToolMessage {
                content: ChatCompletionRequestToolMessageContent::Text(result.content.clone()),
                tool_call_id: call.id.clone(),
            })
        });
        std::iter::once(said).chain(results).collect::<Vec<_>>()
    })
}

/// A call, or a piece of one, as endpoints send it.
#[derive(Debug, Deserialize)]
pub(super) struct WireCall {
    #[serde(default)]
    index: Option<usize>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<WireFunction>,
}

#[derive(Debug, Deserialize)]
struct WireFunction {
    #[serde(default)]
    name: Option<String>,
    /// Text by the API; some servers send the object itself.
    #[serde(default)]
    arguments: Option<Value>,
}

/// Puts the calls of a reply together.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Whether the request offered tools: else nothing is read.
    wanted: bool,
    /// Index, id, name and arguments so far.
    open: Vec<(usize, String, String, String)>,
}

impl Calls {
    pub(super) fn of(request: &ChatRequest) -> Self {
        Self { wanted: !request.tools.is_empty(), open: Vec::new() }
    }

    /// Adds pieces: those of one index belong together; without indexes, one with an id of its own opens a call.
    pub(super) fn add(&mut self, pieces: Option<Vec<WireCall>>) {
        for piece in pieces.into_iter().flatten().filter(|_| self.wanted) {
            let id = piece.id.filter(|id| !id.is_empty());
            let known = match (piece.index, &id) {
                (Some(index), _) => self.open.iter().position(|open| open.0 == index),
                (None, Some(id)) => self.open.iter().position(|open| open.1 == *id),
                (None, None) => self.open.len().checked_sub(1),
            };
            let place = match known {
                Some(place) => place,
                None if self.open.len() < MAX_CALLS => {
                    let index = piece.index.unwrap_or(self.open.len());
                    self.open.push((index, format!("call-{index}"), String::new(), String::new()));
                    self.open.len() - 1
                }
                None => continue,
            };
            let open = &mut self.open[place];
            if let Some(id) = id {
                open.1 = id;
            }
            let Some(function) = piece.function else { continue };
            if let Some(name) = function.name.filter(|name| !name.is_empty()) {
                open.2 = name;
            }
            match function.arguments {
                Some(Value::String(text)) => open.3.push_str(&text),
                Some(Value::Null) | None => {}
                Some(value) => open.3 = value.to_string(),
            }
        }
    }

    /// The calls, in order.
    pub(super) fn take(&mut self) -> Vec<ToolCall> {
        let open = std::mem::take(&mut self.open);
        open.into_iter().map(|(_, id, name, arguments)| ToolCall::parse(id, name, &arguments)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[Value]) -> Vec<ToolCall> {
        let mut calls = Calls { wanted: true, open: Vec::new() };
        for piece in pieces {
            calls.add(Some(vec![serde_json::from_value(piece.clone()).unwrap()]));
        }
        calls.take()
    }

    #[test]
    fn pieces_are_put_together_by_index() {
        use serde_json::json;
        let calls = read(&[
            json!({"index": 0, "id": "a", "function": {"name": "search", "arguments": ""}}),
            json!({"index": 0, "function": {"arguments": "{\"q\": "}}),
            json!({"index": 1, "id": "b", "function": {"name": "fetch", "arguments": "{}"}}),
            json!({"index": 0, "function": {"arguments": "1}"}}),
        ]);
        let told: Vec<_> =
            calls.iter().map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.clone())).collect();
        assert_eq!(told, [("a", "search", Ok(json!({"q": 1}))), ("b", "fetch", Ok(json!({})))]);
        let whole = read(&[json!({"id": "a", "function": {"name": "x", "arguments": {"q": 2}}})]);
        assert_eq!(whole[0].arguments, Ok(json!({"q": 2})));
    }
}
