//! The seam to a chat model: messages in, text out, whole or as a stream.

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::tools::{OutputSchema, ToolCall, ToolSpec, ToolTurn};

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The operator's instructions.
    System,
    /// The person asking, and the passages as data.
    User,
    /// The model.
    Assistant,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// One generation.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// What the model may call; empty: it can't call anything.
    pub tools: Vec<ToolSpec>,
    /// Whether it may call them this time.
    pub tool_choice: ToolChoice,
    /// Turns with calls that follow the messages, oldest first.
    pub turns: Vec<ToolTurn>,
    /// Where given, the text of the reply is asked for as JSON of this schema, in whichever way the endpoint offers. What
    /// comes is still to be validated: see [`crate::structured`]. Not together with tools.
    pub output: Option<OutputSchema>,
    /// Most tokens to generate.
    pub max_tokens: u32,
    /// 0 (deterministic) to 2.
    pub temperature: f32,
    /// Passed on where the provider supports it.
    pub seed: Option<u64>,
    /// Generation ends before any of these.
    pub stop: Vec<String>,
}

/// Whether a model may call the tools it knows of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// As it likes.
    #[default]
    Auto,
    /// No: it must answer. Earlier calls stay readable, which some providers allow only where the tools are named.
    None,
}

impl ChatRequest {
    /// What is sent beside the messages (tools, earlier calls, the form of the reply) as JSON; empty where there is nothing.
    pub(crate) fn beside(&self) -> String {
        let parts = (&self.tools, &self.tool_choice, &self.turns, &self.output);
        match (self.tools.is_empty(), self.turns.is_empty(), &self.output) {
            (true, true, None) => String::new(),
            // Strings, numbers and values of JSON: nothing in it can't be written.
            _ => serde_json::to_string(&parts).unwrap_or_default(),
        }
    }
}

impl Default for ChatRequest {
    /// No message, 800 tokens, deterministic, nothing to call.
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            turns: Vec::new(),
            output: None,
            max_tokens: 800,
            temperature: 0.0,
            seed: None,
            stop: Vec::new(),
        }
    }
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// `max_tokens` was reached: the text is cut.
    Length,
    /// It waits for the results of the calls it made.
    ToolCalls,
    /// The provider withheld the rest.
    ContentFilter,
    /// Anything else the provider names.
    Other,
}

/// Tokens of one call as the provider counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Of the tokens read, how many the provider had in its prompt cache.
    #[serde(default)]
    pub cached_input_tokens: u64,
    /// Of the tokens read, how many the provider put into its prompt cache, where it charges for that.
    #[serde(default)]
    pub cache_write_tokens: u64,
}

/// A whole generation.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatReply {
    /// The text.
    pub text: String,
    /// What it wants to call, in order; empty for a request without tools, whatever the provider sends.
    pub calls: Vec<ToolCall>,
    /// Why it ended.
    pub finish: FinishReason,
    /// What it used; `None` where the provider does not say.
    pub usage: Option<Usage>,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// The configured name of the model that answered.
    pub served_by: String,
}

/// One event of a streamed generation.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// More text; never empty.
    Token(String),
    /// A call, whole; only where the request offers tools.
    Call(ToolCall),
    /// The provider said that it ended and why: the last event. A stream that closes without it was cut, and yields an
    /// error instead.
    Done {
        /// Why it ended.
        finish: FinishReason,
        /// What it used, where the provider says.
        usage: Option<Usage>,
        /// The configured name of the model that wrote it.
        served_by: String,
    },
}

/// A chat model.
#[async_trait]
pub trait ChatModel: Send + Sync + 'static {
    /// The name a configuration uses.
    fn name(&self) -> &str;

    /// Tokens the model can read and write together.
    fn context_tokens(&self) -> usize;

    /// The whole reply, within the model's total deadline.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatReply>;

    /// Events as they come. An error of the call itself means that nothing was received; a remote model returns once the
    /// first event is there. The stream ends after exactly one [`ChatEvent::Done`] or one `Err`. Dropping it closes the
    /// connection to the provider.
    async fn stream(&self, request: &ChatRequest) -> Result<BoxStream<'static, Result<ChatEvent>>>;
}
