//! What a chat client sends and gets: OpenAI's shapes, as far as they mean something here.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wellspring_answer::{Answer, Exchange};
use wellspring_retrieve::Mode;

use super::super::schema;
use super::Failure;

/// A chat. Members of OpenAI's that are not listed are accepted and named in `wellspring.ignored`, unless they ask for
/// something that the answer would then lack (`n` above 1, `tools`, audio, …): those are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "model": "default", "stream": false,
    "messages": [{ "role": "user", "content": "How much notice does annual leave need?" }],
}))]
pub(super) struct ChatBody {
    /// The collection to answer from.
    pub(super) model: String,
    /// The conversation, oldest first. The last message must be a user's: it is the question.
    pub(super) messages: Vec<ChatMessage>,
    /// Whether the answer comes as server-sent events that end with `[DONE]`.
    #[serde(default)]
    pub(super) stream: Option<bool>,
    #[serde(default)]
    pub(super) stream_options: Option<StreamOptions>,
    /// What this service offers beyond OpenAI's members.
    #[serde(default)]
    pub(super) wellspring: Option<Extras>,
    #[serde(flatten)]
    #[schema(ignore)]
    pub(super) rest: Map<String, Value>,
}

/// One message.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ChatMessage {
    /// `user`, `assistant`, `system`, `developer` or `tool`.
    pub(super) role: ChatRole,
    /// A text, or parts of `{"type": "text", "text": …}`.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    content: Option<Content>,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ChatRole {
    System,
    Developer,
    User,
    Assistant,
    Tool,
    Function,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
}

/// What a stream carries besides the text.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
pub(super) struct StreamOptions {
    /// Whether an event with the tokens used comes before the end.
    #[serde(default)]
    pub(super) include_usage: bool,
}

/// What this service offers beyond OpenAI's members; see `/v1/answers`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Extras {
    /// Passages to answer from, 1-50.
    #[schema(minimum = 1, maximum = 50)]
    pub(super) k: Option<usize>,
    /// How passages are found.
    #[serde(default)]
    #[schema(value_type = schema::Mode, default = "hybrid")]
    pub(super) mode: Mode,
    /// Only documents whose metadata passes.
    #[serde(default)]
    #[schema(value_type = Option<schema::FilterInput>)]
    pub(super) filter: Option<Value>,
    /// The chat model that writes, or `extractive`; the operator's if absent.
    pub(super) model: Option<String>,
}

impl ChatMessage {
    /// The text of a message; parts are joined by line feeds.
    fn text(&self) -> Result<String, Failure> {
        match &self.content {
            None => Ok(String::new()),
            Some(Content::Text(text)) => Ok(text.clone()),
            Some(Content::Parts(parts)) => {
                let texts = parts.iter().map(|part| match (part.kind.as_str(), &part.text) {
                    ("text" | "input_text", Some(text)) => Ok(text.as_str()),
                    (kind, _) => {
                        let detail = format!("a part of type `{kind}` can't be read here: send `text`");
                        Err(Failure::unsupported("messages", detail))
                    }
                });
                Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
            }
        }
    }
}

impl ChatBody {
    /// The question: the last message, which must be a user's.
    pub(super) fn question(&self) -> Result<String, Failure> {
        match self.messages.last() {
            Some(message) if message.role == ChatRole::User => message.text(),
            Some(_) => {
                Err(Failure::unsupported("messages", "the last message must be a user's: it is the question"))
            }
            None => Err(Failure::unsupported("messages", "`messages` is empty")),
        }
    }

    /// What was asked and answered before the last message, oldest first: what a follow-up is understood from.
    pub(super) fn history(&self) -> Result<Vec<Exchange>, Failure> {
        let mut history: Vec<Exchange> = Vec::new();
        for message in self.messages.iter().take(self.messages.len().saturating_sub(1)) {
            match message.role {
                ChatRole::User => {
                    history.push(Exchange { question: message.text()?, answer: String::new() });
                }
                ChatRole::Assistant => {
                    if let Some(last) = history.last_mut() {
                        last.answer = message.text()?;
                    }
                }
                _ => {}
            }
        }
        Ok(history)
    }

    /// Names what was sent and has no effect here.
    ///
    /// # Errors
    /// Where leaving it out would give the client another thing than it asked for.
    pub(super) fn ignored(&self) -> Result<Vec<String>, Failure> {
        let mut ignored = Vec::new();
        for (name, value) in &self.rest {
            let wanted = match (name.as_str(), value) {
                (_, Value::Null) | ("store", Value::Bool(false)) => continue,
                ("n", n) => n.as_u64() != Some(1),
                ("tools" | "functions", list) => list.as_array().is_none_or(|list| !list.is_empty()),
                ("tool_choice" | "function_call", choice) => {
                    !matches!(choice.as_str(), Some("none" | "auto"))
                }
                ("response_format", format) => format["type"] != "text",
                ("modalities", list) => *list != serde_json::json!(["text"]),
                ("logprobs", asked) => *asked != Value::Bool(false),
                ("audio", _) => true,
                _ => {
                    ignored.push(name.clone());
                    continue;
                }
            };
            if wanted {
                return Err(Failure::unsupported(
                    name,
                    format!("`{name}` as it was sent is not offered here"),
                ));
            }
        }
        let instructs =
            |message: &ChatMessage| matches!(message.role, ChatRole::System | ChatRole::Developer);
        if self.messages.iter().any(instructs) {
            ignored.push("messages: instructions".to_owned());
        }
        ignored.sort();
        Ok(ignored)
    }
}

/// A whole chat completion.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Completion {
    pub(super) id: String,
    /// Always `chat.completion`.
    pub(super) object: &'static str,
    /// Seconds since 1970.
    pub(super) created: i64,
    /// The collection.
    pub(super) model: String,
    /// Exactly one.
    pub(super) choices: Vec<Choice>,
    /// Tokens of the generation; null where the provider does not say.
    #[schema(required)]
    pub(super) usage: Option<TokenUsage>,
    #[schema(value_type = ExtraAnswer)]
    pub(super) wellspring: Value,
}

/// What `/v1/answers` gives, without the passages, and the members of the request that had no effect.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for openapi.json: described, never built")]
pub(super) struct ExtraAnswer {
    /// The text without footnotes.
    answer: String,
    citations: Vec<schema::Citation>,
    claims: Vec<schema::CheckedClaim>,
    #[schema(required)]
    short_answer: Option<schema::ShortAnswer>,
    abstained: bool,
    #[schema(required)]
    reason: Option<String>,
    complete: bool,
    #[schema(required)]
    usage: Option<schema::Usage>,
    #[schema(required)]
    model: Option<String>,
    #[schema(required)]
    prompt: Option<schema::PromptVersion>,
    warnings: Vec<schema::Warning>,
    #[schema(required)]
    confidence: Option<schema::Confidence>,
    conflicts: Vec<schema::Conflict>,
    spending: schema::Spending,
    /// The question as it was understood from the messages before it, where that differs.
    standalone: Option<String>,
    degraded: Vec<schema::Degraded>,
    timings: std::collections::BTreeMap<String, f64>,
    /// What was sent and had no effect.
    ignored: Vec<String>,
}

/// The one choice.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Choice {
    /// Always 0.
    pub(super) index: u32,
    pub(super) message: Reply,
    /// Never known here.
    #[schema(required, value_type = Option<Object>)]
    pub(super) logprobs: Option<Value>,
    /// `stop`, or `length` where the generation was cut short.
    pub(super) finish_reason: &'static str,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reply {
    /// Always `assistant`.
    pub(super) role: &'static str,
    /// The checked text with `[n]` after each sentence, then a footnote per cited passage.
    pub(super) content: String,
    /// Why the documents do not answer; `content` says that they do not.
    #[schema(required)]
    pub(super) refusal: Option<String>,
}

/// Tokens of one completion.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(super) struct TokenUsage {
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) total_tokens: u64,
}

impl TokenUsage {
    /// Tokens of an answer: none were used where no model wrote it, and they are unknown where its provider is silent.
    pub(super) fn of(answer: &Answer) -> Option<Self> {
        match (answer.usage, &answer.model) {
            (Some(usage), _) => Some(Self {
                prompt_tokens: usage.input_tokens,
                completion_tokens: usage.output_tokens,
                total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            }),
            (None, None) => Some(Self { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }),
            (None, Some(_)) => None,
        }
    }
}

/// `stop`, or `length` where the generation was cut short.
pub(super) fn finish_reason(answer: &Answer) -> &'static str {
    if answer.complete { "stop" } else { "length" }
}

/// The extra member: the answer without its passages, and what had no effect.
pub(super) fn extra(answer: &Answer, ignored: &[String]) -> Value {
    let mut value = serde_json::json!(answer);
    if let Some(members) = value.as_object_mut() {
        members.remove("passages");
        members.insert("ignored".to_owned(), serde_json::json!(ignored));
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(more: Value) -> ChatBody {
        let mut body = json!({ "model": "default", "messages": [{ "role": "user", "content": "Why?" }] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn the_question_is_the_last_message() {
        let parts = json!([{ "type": "text", "text": "And" }, { "type": "text", "text": "why?" }]);
        let messages = json!({ "messages": [
            { "role": "system", "content": "Be brief." }, { "role": "user", "content": "Who?" },
            { "role": "assistant", "content": null }, { "role": "user", "content": parts } ] });
        let chat = body(messages);
        assert_eq!(chat.question().unwrap(), "And\nwhy?");
        assert_eq!(chat.ignored().unwrap(), ["messages: instructions"]);
        assert_eq!(
            chat.history().unwrap(),
            [Exchange { question: "Who?".to_owned(), answer: String::new() }]
        );
        let image = json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": {} }] }] });
        assert!(body(image).question().is_err());
        assert!(body(json!({ "messages": [] })).question().is_err());
        assert!(body(json!({ "messages": [{ "role": "assistant", "content": "x" }] })).question().is_err());
    }

    #[test]
    fn what_would_change_the_reply_is_refused_and_the_rest_is_named() {
        let harmless = json!({ "temperature": 0.2, "n": 1, "tools": [], "tool_choice": "auto", "user": "u",
            "response_format": { "type": "text" }, "logprobs": false, "seed": null });
        assert_eq!(body(harmless).ignored().unwrap(), ["temperature", "user"]);
        for wanted in [
            json!({ "n": 2 }),
            json!({ "tools": [{ "type": "function" }] }),
            json!({ "tool_choice": "required" }),
            json!({ "response_format": { "type": "json_object" } }),
            json!({ "logprobs": true }),
            json!({ "audio": {} }),
        ] {
            assert!(body(wanted.clone()).ignored().is_err(), "{wanted}");
        }
    }
}
