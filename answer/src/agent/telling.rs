//! Asks an agent's model: what it is told of the turns so far, and what it may call.

use std::sync::Arc;

use serde_json::Value;
use wellspring_models::prompt::{fence, fill};
use wellspring_models::{
    ChatModel, ChatReply, ChatRequest, Message, Role, ToolChoice, ToolResult, ToolSpec, ToolTurn,
};

use super::SYSTEM;
use super::look::{Found, specs};
use super::state::{Outcome, Turn};
use super::turns::Going;
use crate::error::{AnswerError, ErrorKind, Result};
use crate::prompt;

impl Going {
    /// Asks the model; whether it had to answer this time.
    pub(super) async fn ask(&mut self, model: &dyn ChatModel, found: &Found) -> Result<(ChatReply, bool)> {
        let (config, settings) = (self.config(), Arc::clone(&self.agent.answerer.config));
        let used = self.state.usage.input_tokens + self.state.usage.output_tokens;
        if used >= config.tokens {
            let message = format!(
                "the agent used {used} tokens, and {} is the limit (`answer.agent.tokens`)",
                config.tokens
            );
            return Err(AnswerError::new(ErrorKind::RateLimited, message));
        }
        let last = self.state.turns.len() + 1 >= config.turns;
        let short = used + 2 * u64::from(settings.max_tokens) >= config.tokens;
        let fence = fence()?;
        let system = fill(SYSTEM, &[("fence", &fence)]).trim_end().to_owned();
        let question = format!("Question: {}", self.state.question());
        let request = ChatRequest {
            messages: vec![
                Message { role: Role::System, content: system },
                Message { role: Role::User, content: question },
            ],
            tools: self.offered(),
            tool_choice: if last || short { ToolChoice::None } else { ToolChoice::Auto },
            turns: self.state.turns.iter().map(|turn| told(turn, found, &fence)).collect(),
            output: None,
            max_tokens: settings.max_tokens,
            temperature: settings.temperature,
            seed: settings.seed,
            stop: Vec::new(),
        };
        let reply = model.complete(&request).await?;
        let usage = &mut self.state.usage;
        match reply.usage {
            Some(counted) => {
                usage.input_tokens += counted.input_tokens;
                usage.output_tokens += counted.output_tokens;
            }
            // A provider that does not count must not make the run endless.
            None => {
                usage.input_tokens += estimate(&request) as u64;
                usage.output_tokens += prompt::estimate(&reply.text) as u64 + 50 * reply.calls.len() as u64;
            }
        }
        Ok((reply, last || short))
    }

    /// The tools of this run, as the model is told of them.
    fn offered(&self) -> Vec<ToolSpec> {
        let registered = self.agent.toolbox.list(&self.allowed).into_iter();
        let usable = registered.filter(|info| self.may_wait || !info.needs_approval);
        specs().into_iter().chain(usable.map(|info| info.spec.clone())).collect()
    }
}

/// A turn as the model reads it again.
fn told(turn: &Turn, found: &Found, fence: &str) -> ToolTurn {
    let result = |outcome: &Option<Outcome>| match outcome {
        Some(Outcome::Passages { numbers, note }) => {
            let quoted = numbers.iter().filter_map(|&n| Some(prompt::quote(n, found.0.get(n - 1)?, fence)));
            let quoted: Vec<String> =
                quoted.chain((!note.is_empty()).then(|| note.trim().to_owned())).collect();
            ToolResult { content: quoted.join("\n\n"), is_error: false }
        }
        Some(Outcome::Text { content, is_error }) => {
            ToolResult { content: content.clone(), is_error: *is_error }
        }
        None => ToolResult { content: "this call was not made".to_owned(), is_error: true },
    };
    let calls = turn.calls.iter().map(|(call, outcome)| (call.clone(), result(outcome))).collect();
    ToolTurn { text: turn.text.clone(), calls }
}

/// Tokens of a prompt, from above.
fn estimate(request: &ChatRequest) -> usize {
    let messages: usize = request.messages.iter().map(|message| prompt::estimate(&message.content)).sum();
    let turns = request.turns.iter().flat_map(|turn| &turn.calls);
    messages
        + turns
            .map(|(call, result)| {
                prompt::estimate(&call.arguments_text()) + prompt::estimate(&result.content)
            })
            .sum::<usize>()
}

/// Every number and numeric text in a tool's result.
pub(super) fn numbers(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Number(number) => found.push(number.to_string()),
        Value::String(text) if text.parse::<f64>().is_ok() => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| numbers(item, found)),
        Value::Object(members) => members.values().for_each(|member| numbers(member, found)),
        _ => {}
    }
}

/// At most so many bytes, cut at a character and marked.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", &text[..end])
}
