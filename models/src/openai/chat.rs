//! The chat model over `/v1/chat/completions`.

use async_openai::types::chat::{
    ChatCompletionRequestAssistantMessage, ChatCompletionRequestAssistantMessageContent,
    ChatCompletionRequestMessage, ChatCompletionRequestSystemMessage,
    ChatCompletionRequestSystemMessageContent, ChatCompletionRequestUserMessage,
    ChatCompletionRequestUserMessageContent, ChatCompletionStreamOptions, CreateChatCompletionRequest,
    StopConfiguration,
};
use async_trait::async_trait;
use futures::stream::BoxStream;

use super::tools::{self, Calls};
use super::wire::{ChatCompletion, ChunkReader, WireUsage};
use crate::chat::{ChatEvent, ChatModel, ChatReply, ChatRequest, FinishReason, Message, Role};
use crate::error::{ErrorKind, ModelError, Result};
use crate::registry::ChatEndpoint;
use crate::remote::{Credential, Endpoint};

/// A remote chat model. What fails before the first token is tried again within the deadline; afterwards nothing is.
pub struct OpenAiChat {
    config: ChatEndpoint,
    endpoint: Endpoint,
}

impl OpenAiChat {
    /// Calls nothing yet.
    ///
    /// # Errors
    ///
    /// `Invalid` for a base URL or key that can't be used.
    pub fn new(config: ChatEndpoint) -> Result<Self> {
        let what = format!("the chat endpoint {}", config.name);
        let credential = Credential::Bearer(config.api_key.as_ref());
        let endpoint =
            Endpoint::new(what, &config.base_url, credential, config.deadlines, config.retry, config.gate())?;
        Ok(Self { config, endpoint })
    }

    /// The same model over the same connections, whose failures are not tried again.
    #[must_use]
    pub fn without_retries(&self) -> Self {
        Self { config: self.config.clone(), endpoint: self.endpoint.without_retries() }
    }

    /// Leads requests that begin with the same instructions to the same prompt cache. Only OpenAI's own service knows the
    /// field; others may refuse it.
    fn cache_key(&self, request: &ChatRequest) -> Option<String> {
        let system = request.messages.first().filter(|message| message.role == Role::System)?;
        let hash = blake3::hash(system.content.as_bytes()).to_hex();
        self.endpoint.is_openai().then(|| format!("wellspring-{}", &hash[..16]))
    }

    #[expect(
        deprecated,
        reason = "compatible servers know only the older names of the token limit and the seed"
    )]
    fn body(&self, request: &ChatRequest, stream: bool) -> CreateChatCompletionRequest {
        let limit = Some(request.max_tokens);
        // OpenAI's newer models refuse the older name, other servers ignore the newer one.
        let (max_tokens, max_completion_tokens) =
            if self.endpoint.is_openai() { (None, limit) } else { (limit, None) };
        CreateChatCompletionRequest {
            model: self.config.model.clone(),
            messages: request.messages.iter().map(message).chain(tools::turns(&request.turns)).collect(),
            tools: tools::offered(&request.tools),
            tool_choice: tools::choice(request),
            response_format: request.output.as_ref().map(|output| tools::format(output, self.config.output)),
            max_tokens,
            max_completion_tokens,
            temperature: Some(request.temperature),
            seed: request.seed.map(u64::cast_signed),
            prompt_cache_key: self.cache_key(request),
            stop: (!request.stop.is_empty()).then(|| StopConfiguration::StringArray(request.stop.clone())),
            stream: stream.then_some(true),
            stream_options: stream.then_some(ChatCompletionStreamOptions {
                include_usage: Some(true),
                include_obfuscation: None,
            }),
            ..Default::default()
        }
    }
}

fn message(message: &Message) -> ChatCompletionRequestMessage {
    let text = message.content.clone();
    match message.role {
        Role::System => ChatCompletionRequestMessage::System(ChatCompletionRequestSystemMessage {
            content: ChatCompletionRequestSystemMessageContent::Text(text),
            name: None,
        }),
        Role::User => ChatCompletionRequestMessage::User(ChatCompletionRequestUserMessage {
            content: ChatCompletionRequestUserMessageContent::Text(text),
            name: None,
        }),
        Role::Assistant => ChatCompletionRequestMessage::Assistant(ChatCompletionRequestAssistantMessage {
            content: Some(ChatCompletionRequestAssistantMessageContent::Text(text)),
            ..Default::default()
        }),
    }
}

#[async_trait]
impl ChatModel for OpenAiChat {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn context_tokens(&self) -> usize {
        self.config.context_tokens
    }

    async fn complete(&self, request: &ChatRequest) -> Result<ChatReply> {
        let body = self.body(request, false);
        let reply: ChatCompletion =
            self.endpoint.json("/chat/completions", &body, self.endpoint.end()).await?;
        let choice = reply.choices.into_iter().next().ok_or_else(|| {
            ModelError::new(ErrorKind::Corrupt, format!("{} gave no choice; try again", self.endpoint.what()))
        })?;
        let finish = choice.finish().unwrap_or(FinishReason::Other);
        let (text, finish, calls) = match choice.message {
            Some(said) => {
                let mut calls = Calls::of(request);
                calls.add(said.tool_calls);
                match (said.content, said.refusal) {
                    (None, Some(refusal)) => (refusal, FinishReason::ContentFilter, Vec::new()),
                    (content, _) => (content.unwrap_or_default(), finish, calls.take()),
                }
            }
            None => (String::new(), finish, Vec::new()),
        };
        let model = reply.model.unwrap_or_else(|| self.config.model.clone());
        let usage = reply.usage.and_then(WireUsage::usage);
        Ok(ChatReply { text, calls, finish, usage, model, served_by: self.config.name.clone() })
    }

    async fn stream(&self, request: &ChatRequest) -> Result<BoxStream<'static, Result<ChatEvent>>> {
        let body = self.body(request, true);
        self.endpoint.stream("/chat/completions", &body, &self.config.name, || ChunkReader::of(request)).await
    }
}
