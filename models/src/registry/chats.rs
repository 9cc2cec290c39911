//! Chat models of a configuration: endpoints, the providers they belong to, and the order in which they are tried.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::{Deadlines, RetryPolicy};
use super::rerankers::{RerankApi, RerankerEndpoint};
use crate::anthropic::AnthropicChat;
use crate::chat::ChatModel;
use crate::error::{ErrorKind, ModelError, Result};
use crate::openai::OpenAiChat;
use crate::remote::{BreakerConfig, GateConfig};
use crate::secret::Secret;
use crate::traced::TracedChat;

/// Which API an endpoint speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// `/chat/completions`, as OpenAI and the many compatible servers have it.
    #[default]
    Openai,
    /// `/messages` of Anthropic.
    Anthropic,
}

/// How an OpenAI-compatible endpoint is asked for JSON. Anthropic's is asked by a tool that it must use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    /// `response_format` with the schema.
    #[default]
    Schema,
    /// `response_format` with `json_object`, for servers that know no schemas: the prompt alone tells the form.
    Object,
}

/// A chat model behind an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatEndpoint {
    /// The name a configuration uses.
    pub name: String,
    /// Which API it speaks.
    #[serde(default)]
    pub api: Api,
    /// Up to and with the version, e.g. `https://api.openai.com/v1`; empty: the API's provider's, see [`Providers`].
    #[serde(default)]
    pub base_url: String,
    /// Its key; unset: the provider's, but only where `base_url` is empty, so that a key goes nowhere by accident.
    #[serde(default)]
    pub api_key: Option<Secret>,
    /// The model as the endpoint names it.
    pub model: String,
    /// How it is asked for JSON.
    #[serde(default)]
    pub output: OutputMode,
    /// Tokens the model reads and writes together.
    #[serde(default = "default_context_tokens")]
    pub context_tokens: usize,
    /// Calls at a time, at least 1.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// Calls that may wait for one of those; more are refused.
    #[serde(default = "default_queue")]
    pub queue: usize,
    /// Limits on waiting.
    #[serde(default)]
    pub deadlines: Deadlines,
    /// Limits on trying again. Where another model can be tried instead, nothing is tried again.
    #[serde(default = "default_retry")]
    pub retry: RetryPolicy,
    /// When it is left alone.
    #[serde(default)]
    pub breaker: BreakerConfig,
}

fn default_context_tokens() -> usize {
    32_768
}

pub(super) fn default_concurrency() -> usize {
    16
}

pub(super) fn default_queue() -> usize {
    64
}

fn default_retry() -> RetryPolicy {
    RetryPolicy { retries: 2, min_ms: 500, max_ms: 10_000 }
}

impl ChatEndpoint {
    /// An endpoint with every default.
    pub fn new(name: impl Into<String>, api: Api, model: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            api,
            base_url: String::new(),
            api_key: None,
            model: model.into(),
            output: OutputMode::default(),
            context_tokens: default_context_tokens(),
            concurrency: default_concurrency(),
            queue: default_queue(),
            deadlines: Deadlines::default(),
            retry: default_retry(),
            breaker: BreakerConfig::default(),
        }
    }

    pub(crate) fn gate(&self) -> GateConfig {
        GateConfig { concurrency: self.concurrency, queue: self.queue, breaker: self.breaker }
    }
}

/// Where an API's own service is, and the key for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// Up to and with the version; empty: the provider's own.
    pub base_url: String,
    /// Its key; unset: none is sent.
    pub api_key: Option<Secret>,
    /// Its models that may be named, as `openai/…`, `anthropic/…`, `cohere/…` and `jina/…`, without an endpoint of their
    /// own; only with a key.
    pub models: Vec<String>,
}

impl Provider {
    /// Its models that may be named: none without a key.
    fn usable(&self) -> impl Iterator<Item = &String> {
        let usable = self.api_key.as_ref().is_some_and(|key| !key.expose().is_empty());
        self.models.iter().filter(move |_| usable)
    }
}

/// The services that endpoints without a URL use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Providers {
    /// OpenAI, or what stands in its place.
    pub openai: Provider,
    /// Anthropic, or what stands in its place.
    pub anthropic: Provider,
    /// Cohere's rerankers, or what stands in its place.
    pub cohere: Provider,
    /// Jina's rerankers, or what stands in its place.
    pub jina: Provider,
}

impl Providers {
    fn of(&self, api: Api) -> (&Provider, &'static str) {
        match api {
            Api::Openai => (&self.openai, "https://api.openai.com/v1"),
            Api::Anthropic => (&self.anthropic, "https://api.anthropic.com/v1"),
        }
    }

    /// The endpoint with its provider's URL and key where it has none.
    fn complete(&self, mut endpoint: ChatEndpoint) -> ChatEndpoint {
        if endpoint.base_url.is_empty() {
            let (provider, own) = self.of(endpoint.api);
            let given = provider.base_url.trim_end_matches('/');
            endpoint.base_url = if given.is_empty() { own.to_owned() } else { given.to_owned() };
            endpoint.api_key = endpoint.api_key.or_else(|| provider.api_key.clone());
        }
        endpoint
    }

    /// An endpoint for each model that may be named, where its provider has a key.
    pub(super) fn endpoints(&self) -> Vec<ChatEndpoint> {
        let each =
            [(Api::Openai, "openai"), (Api::Anthropic, "anthropic")].into_iter().flat_map(|(api, name)| {
                let models = self.of(api).0.usable();
                models.map(move |model| ChatEndpoint::new(format!("{name}/{model}"), api, model))
            });
        each.collect()
    }

    /// The reranker with its provider's URL and key where it has none. Text-embeddings-inference has no provider.
    pub(super) fn complete_reranker(&self, mut endpoint: RerankerEndpoint) -> RerankerEndpoint {
        let (provider, own) = match endpoint.api {
            RerankApi::Cohere => (&self.cohere, "https://api.cohere.com/v2"),
            RerankApi::Jina => (&self.jina, "https://api.jina.ai/v1"),
            RerankApi::Tei => return endpoint,
        };
        if endpoint.base_url.is_empty() {
            let given = provider.base_url.trim_end_matches('/');
            endpoint.base_url = if given.is_empty() { own.to_owned() } else { given.to_owned() };
            endpoint.api_key = endpoint.api_key.or_else(|| provider.api_key.clone());
        }
        endpoint
    }

    /// As [`Self::endpoints`], of rerankers.
    pub(super) fn rerankers(&self) -> Vec<RerankerEndpoint> {
        [(RerankApi::Cohere, "cohere", &self.cohere), (RerankApi::Jina, "jina", &self.jina)]
            .into_iter()
            .flat_map(|(api, name, provider)| {
                let models = provider.usable();
                models.map(move |model| RerankerEndpoint::new(format!("{name}/{model}"), api, model))
            })
            .collect()
    }
}

/// The chat models of each purpose by name, in the order in which they are tried; empty: the default one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routes {
    /// Writing answers.
    pub answer: Vec<String>,
    /// Rewriting queries.
    pub expand: Vec<String>,
    /// Reading hits again.
    pub rerank: Vec<String>,
    /// Judging answers.
    pub judge: Vec<String>,
}

/// What a chat model is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Writing answers.
    Answer,
    /// Rewriting queries.
    Expand,
    /// Reading hits again.
    Rerank,
    /// Judging answers.
    Judge,
}

impl Purpose {
    /// Its name in usage and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Expand => "expand",
            Self::Rerank => "rerank",
            Self::Judge => "judge",
        }
    }
}

impl Routes {
    pub(super) fn names(&self, purpose: Purpose) -> &[String] {
        match purpose {
            Purpose::Answer => &self.answer,
            Purpose::Expand => &self.expand,
            Purpose::Rerank => &self.rerank,
            Purpose::Judge => &self.judge,
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        self.answer.iter().chain(&self.expand).chain(&self.rerank).chain(&self.judge)
    }
}

/// A remote model, and the same one without retries for use beside others.
pub(super) struct Made {
    pub(super) alone: Arc<dyn ChatModel>,
    pub(super) routed: Arc<dyn ChatModel>,
}

/// `Invalid` for a URL or key that can't be used, and for limits of 0.
pub(super) fn make(endpoint: &ChatEndpoint, providers: &Providers) -> Result<Made> {
    if endpoint.concurrency == 0 {
        let message =
            format!("the chat endpoint {}: `concurrency` is 0; it must be 1 or more", endpoint.name);
        return Err(ModelError::new(ErrorKind::Invalid, message));
    }
    let endpoint = providers.complete(endpoint.clone());
    let model = endpoint.model.clone();
    Ok(match endpoint.api {
        Api::Openai => {
            let chat = OpenAiChat::new(endpoint)?;
            traced(chat.without_retries(), chat, "openai", &model)
        }
        Api::Anthropic => {
            let chat = AnthropicChat::new(endpoint)?;
            traced(chat.without_retries(), chat, "anthropic", &model)
        }
    })
}

fn traced<M: ChatModel>(routed: M, alone: M, provider: &'static str, model: &str) -> Made {
    let traced = |chat| Arc::new(TracedChat::new(chat, provider, model)) as Arc<dyn ChatModel>;
    Made { alone: traced(alone), routed: traced(routed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_key_goes_only_to_that_provider() {
        let models = vec!["gpt/x".to_owned()];
        let provider = Provider {
            base_url: "http://here/v1/".to_owned(),
            api_key: Some(Secret::new("sk-1")),
            models: models.clone(),
        };
        let providers = Providers { openai: provider, ..Providers::default() };
        let own = providers.complete(ChatEndpoint::new("a", Api::Openai, "m"));
        assert_eq!((own.base_url.as_str(), own.api_key), ("http://here/v1", Some(Secret::new("sk-1"))));
        let elsewhere =
            ChatEndpoint { base_url: "http://there".to_owned(), ..ChatEndpoint::new("a", Api::Openai, "m") };
        assert_eq!(providers.complete(elsewhere).api_key, None);
        let other = providers.complete(ChatEndpoint::new("a", Api::Anthropic, "m"));
        assert_eq!((other.base_url.as_str(), other.api_key), ("https://api.anthropic.com/v1", None));
        let names: Vec<String> = providers.endpoints().into_iter().map(|endpoint| endpoint.name).collect();
        assert_eq!(names, ["openai/gpt/x"]);
        let keyless = Provider { models, ..Provider::default() };
        assert!(Providers { anthropic: keyless, ..Providers::default() }.endpoints().is_empty());
    }

    #[test]
    fn rerankers_have_providers_too() {
        let provider = Provider {
            api_key: Some(Secret::new("co-1")),
            models: vec!["rerank-v3.5".to_owned()],
            ..Provider::default()
        };
        let providers = Providers { cohere: provider, ..Providers::default() };
        let named = providers.rerankers();
        let names: Vec<&str> = named.iter().map(|endpoint| endpoint.name.as_str()).collect();
        assert_eq!(names, ["cohere/rerank-v3.5"]);
        let own = providers.complete_reranker(named[0].clone());
        assert_eq!(
            (own.base_url.as_str(), own.api_key),
            ("https://api.cohere.com/v2", Some(Secret::new("co-1")))
        );
        let elsewhere = RerankerEndpoint { base_url: "http://there".to_owned(), ..named[0].clone() };
        assert_eq!(providers.complete_reranker(elsewhere).api_key, None);
    }
}
