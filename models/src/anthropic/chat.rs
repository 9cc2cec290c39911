//! The chat model over `/v1/messages`.

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::tools;
use super::wire::{Content, EventReader, Instructions, Reply, Request, Turn, finish};
use crate::chat::{ChatEvent, ChatModel, ChatReply, ChatRequest, FinishReason, Role};
use crate::error::Result;
use crate::registry::ChatEndpoint;
use crate::remote::{Credential, Endpoint};

/// A remote chat model. What fails before the first token is tried again within the deadline; afterwards nothing is.
/// The API has no seed: it is left out. Its temperature ends at 1: a higher one is 1.
pub struct AnthropicChat {
    config: ChatEndpoint,
    endpoint: Endpoint,
}

impl AnthropicChat {
    /// Calls nothing yet.
    ///
    /// # Errors
    ///
    /// `Invalid` for a base URL or key that can't be used.
    pub fn new(config: ChatEndpoint) -> Result<Self> {
        let what = format!("the chat endpoint {}", config.name);
        let credential = Credential::Anthropic(config.api_key.as_ref());
        let endpoint =
            Endpoint::new(what, &config.base_url, credential, config.deadlines, config.retry, config.gate())?;
        Ok(Self { config, endpoint })
    }

    /// The same model over the same connections, whose failures are not tried again.
    #[must_use]
    pub fn without_retries(&self) -> Self {
        Self { config: self.config.clone(), endpoint: self.endpoint.without_retries() }
    }

    fn body<'a>(&'a self, request: &'a ChatRequest, stream: bool) -> Request<'a> {
        let of = |role: Role| {
            request
                .messages
                .iter()
                .filter(move |message| (message.role == Role::System) == (role == Role::System))
        };
        let system: Vec<&str> = of(Role::System).map(|message| message.content.as_str()).collect();
        let turn = |message: &'a crate::chat::Message| Turn {
            role: if message.role == Role::Assistant { "assistant" } else { "user" },
            content: Content::Text(&message.content),
        };
        Request {
            model: &self.config.model,
            max_tokens: request.max_tokens,
            system: if system.is_empty() { Vec::new() } else { vec![Instructions::new(system.join("\n\n"))] },
            messages: of(Role::User).map(turn).chain(tools::turns(&request.turns)).collect(),
            tools: tools::offered(request),
            tool_choice: tools::choice(request),
            temperature: request.temperature.min(1.0),
            stop_sequences: &request.stop,
            stream,
        }
    }
}

#[async_trait]
impl ChatModel for AnthropicChat {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn context_tokens(&self) -> usize {
        self.config.context_tokens
    }

    async fn complete(&self, request: &ChatRequest) -> Result<ChatReply> {
        let body = self.body(request, false);
        let reply: Reply = self.endpoint.json("/messages", &body, self.endpoint.end()).await?;
        Ok(ChatReply {
            text: reply.text(request),
            calls: reply.calls(request),
            finish: reply
                .stop_reason
                .as_deref()
                .map_or(FinishReason::Other, |reason| finish(reason, request)),
            usage: reply.usage.usage(),
            model: reply.model.unwrap_or_else(|| self.config.model.clone()),
            served_by: self.config.name.clone(),
        })
    }

    async fn stream(&self, request: &ChatRequest) -> Result<BoxStream<'static, Result<ChatEvent>>> {
        let body = self.body(request, true);
        self.endpoint.stream("/messages", &body, &self.config.name, || EventReader::of(request)).await
    }
}
