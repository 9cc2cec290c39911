//! Replies with calls: played from a script, or by a model that obeys whatever it reads.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::wire::Format;

/// One reply.
#[derive(Debug, Clone)]
pub(crate) enum Play {
    /// This text; where a tool must be used, its input.
    Text(String),
    /// Calls of these tools with these arguments.
    Calls(Vec<(String, Value)>),
}

impl Play {
    pub(crate) fn call(name: &str, arguments: Value) -> Self {
        Self::Calls(vec![(name.to_owned(), arguments)])
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// What the models `script` and `obey` say, and every request that came.
#[derive(Debug, Default)]
pub(crate) struct Plays {
    script: Mutex<VecDeque<Play>>,
    seen: Mutex<Vec<Value>>,
}

impl Plays {
    pub(crate) fn add(&self, plays: impl IntoIterator<Item = Play>) {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).extend(plays);
    }

    pub(crate) fn seen(&self) -> Vec<Value> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is said to a request, if it is not the plain text of every other model: `script` plays what was added, `obey`
    /// calls what any text it reads tells it to (`CALL name {…}`) and then repeats what it was shown, and others call
    /// the first tool they are offered once.
    pub(super) fn reply(&self, model: &str, request: &Value) -> Option<Play> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        match model {
            "script" => {
                let next = self.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                Some(next.unwrap_or(Play::Text("The script has ended.".to_owned())))
            }
            "obey" => Some(obey(request)),
            _ => {
                let tool = &request["tools"][0];
                let name = tool["function"]["name"].as_str().or(tool["name"].as_str())?;
                let must = request["tool_choice"]["type"] == "tool";
                (!must && !has_results(request)).then(|| Play::call(name, json!({})))
            }
        }
    }
}

/// Everything that stands in the request's messages.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => members.values().for_each(|member| texts(member, found)),
        _ => {}
    }
}

fn has_results(request: &Value) -> bool {
    let text = request["messages"].to_string();
    text.contains("\"tool_result\"") || text.contains("\"role\":\"tool\"")
}

/// Obeys each order once: an order is taken for carried out when its name and arguments were called before.
fn obey(request: &Value) -> Play {
    let mut read = Vec::new();
    texts(&request["messages"], &mut read);
    let done = request["messages"].to_string();
    let mut calls = Vec::new();
    for line in read.iter().flat_map(|text| text.lines()) {
        let Some(order) = line.split("CALL ").nth(1) else { continue };
        let Some((name, arguments)) = order.split_once(' ') else { continue };
        let mut arguments = serde_json::Deserializer::from_str(arguments).into_iter::<Value>();
        let Some(Ok(arguments)) = arguments.next() else { continue };
        let called = done.contains(&format!("\"name\":\"{name}\""));
        if !called && !calls.iter().any(|(known, _)| known == name) {
            calls.push((name.to_owned(), arguments));
        }
    }
    if calls.is_empty() || request["tools"].as_array().is_none_or(Vec::is_empty) {
        return Play::Text(read.join(" [1]\n"));
    }
    Play::Calls(calls)
}

impl Format {
    /// The whole reply.
    pub(super) fn played(self, play: &Play, request: &Value) -> String {
        match self {
            Self::Openai => {
                let (message, finish) = match play {
                    Play::Text(text) => (json!({ "role": "assistant", "content": text }), "stop"),
                    Play::Calls(calls) => {
                        let calls: Vec<Value> = calls.iter().enumerate().map(openai_call).collect();
                        (json!({ "role": "assistant", "content": null, "tool_calls": calls }), "tool_calls")
                    }
                };
                json!({
                    "id": "c1", "object": "chat.completion", "created": 1, "model": "m-1",
                    "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
                    "usage": { "prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14 },
                })
            }
            Self::Anthropic => {
                let (content, reason) = anthropic(play, request);
                json!({
                    "id": "m1", "type": "message", "role": "assistant", "model": "m-1", "stop_reason": reason,
                    "stop_sequence": null, "content": content, "usage": { "input_tokens": 11, "output_tokens": 3 },
                })
            }
        }
        .to_string()
    }

    /// Every event of the reply.
    pub(super) fn played_stream(self, play: &Play, request: &Value) -> String {
        match self {
            Self::Openai => {
                let mut events = String::new();
                let finish = match play {
                    Play::Text(text) => {
                        pieces(text).for_each(|piece| events.push_str(&self.piece(&piece)));
                        "stop"
                    }
                    Play::Calls(calls) => {
                        for (place, call) in calls.iter().enumerate() {
                            let mut begun = openai_call((place, call));
                            begun["index"] = place.into();
                            begun["function"]["arguments"] = "".into();
                            events.push_str(&super::wire::chunk(json!({ "tool_calls": [begun] }), None));
                            for piece in pieces(&call.1.to_string()) {
                                let more = json!({ "index": place, "function": { "arguments": piece } });
                                events.push_str(&super::wire::chunk(json!({ "tool_calls": [more] }), None));
                            }
                        }
                        "tool_calls"
                    }
                };
                self.opening() + &events + &self.closing_with(finish)
            }
            Self::Anthropic => {
                let (content, reason) = anthropic(play, request);
                let begun = json!({ "type": "content_block_stop", "index": 0 });
                let mut events = self.opening() + &super::wire::event(&begun);
                for (place, block) in content.iter().enumerate() {
                    let index = place + 1;
                    let mut begun = block.clone();
                    let (kind, member, body) = match block["type"].as_str() {
                        Some("tool_use") => {
                            begun["input"] = json!({});
                            ("input_json_delta", "partial_json", block["input"].to_string())
                        }
                        _ => {
                            begun["text"] = "".into();
                            ("text_delta", "text", block["text"].as_str().unwrap_or_default().to_owned())
                        }
                    };
                    events.push_str(&super::wire::event(
                        &json!({ "type": "content_block_start", "index": index, "content_block": begun }),
                    ));
                    for piece in pieces(&body) {
                        events.push_str(&super::wire::event(
                            &json!({ "type": "content_block_delta", "index": index, "delta": { "type": kind, member: piece } }),
                        ));
                    }
                    events.push_str(&super::wire::event(
                        &json!({ "type": "content_block_stop", "index": index }),
                    ));
                }
                events + &self.closing_with(reason)
            }
        }
    }
}

/// Twelve characters at a time.
fn pieces(text: &str) -> impl Iterator<Item = String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(12).map(|piece| piece.iter().collect()).collect::<Vec<String>>().into_iter()
}

fn openai_call((place, (name, arguments)): (usize, &(String, Value))) -> Value {
    json!({ "id": format!("t{place}"), "type": "function",
        "function": { "name": name, "arguments": arguments.to_string() } })
}

/// The blocks, and why it stopped.
fn anthropic(play: &Play, request: &Value) -> (Vec<Value>, &'static str) {
    match play {
        Play::Text(text) if request["tool_choice"]["type"] == "tool" => {
            let input: Value = serde_json::from_str(text).unwrap_or_else(|_| json!({ "said": text }));
            let block = json!({ "type": "tool_use", "id": "t0", "name": request["tool_choice"]["name"], "input": input });
            (vec![block], "tool_use")
        }
        Play::Text(text) => (vec![json!({ "type": "text", "text": text })], "end_turn"),
        Play::Calls(calls) => {
            let block = |(place, (name, input)): (usize, &(String, Value))| json!({ "type": "tool_use", "id": format!("t{place}"), "name": name, "input": input });
            (calls.iter().enumerate().map(block).collect(), "tool_use")
        }
    }
}
