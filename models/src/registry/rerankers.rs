//! Rerankers of a configuration that run behind an endpoint.

use serde::{Deserialize, Serialize};

use super::chats::{default_concurrency, default_queue};
use super::config::{Deadlines, RetryPolicy};
use crate::remote::{BreakerConfig, GateConfig};
use crate::secret::Secret;

/// Which API a reranking endpoint speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RerankApi {
    /// Cohere's `/v2/rerank`.
    #[default]
    Cohere,
    /// Jina's `/v1/rerank`; also vLLM, Infinity, LocalAI and llama.cpp.
    Jina,
    /// `/rerank` of Hugging Face's text-embeddings-inference.
    Tei,
}

/// A reranking model behind an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RerankerEndpoint {
    /// The name a configuration uses.
    pub name: String,
    /// Which API it speaks.
    #[serde(default)]
    pub api: RerankApi,
    /// What stands before `/rerank`; empty: the API's provider's, see [`super::Providers`]. Text-embeddings-inference has
    /// no provider.
    #[serde(default)]
    pub base_url: String,
    /// Sent as bearer token; unset: the provider's, but only where `base_url` is empty.
    #[serde(default)]
    pub api_key: Option<Secret>,
    /// The model as the endpoint names it; text-embeddings-inference serves one and needs no name.
    #[serde(default)]
    pub model: String,
    /// Tokens of a passage that are sent, as counted here; the rest is cut.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: usize,
    /// Most passages in one request; unset: 32 for text-embeddings-inference, as its servers start with, else 100.
    #[serde(default)]
    pub batch_passages: Option<usize>,
    /// Whether its scores are probabilities, 0 to 1, that a threshold may act on; unset: of Cohere and
    /// text-embeddings-inference yes, of Jina's API no, since many who speak it send raw scores. A score beyond 0 to 1
    /// from an endpoint said to be calibrated is an error.
    #[serde(default)]
    pub calibrated: Option<bool>,
    /// Requests at a time, at least 1.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// Requests that may wait for one of those; more are refused.
    #[serde(default = "default_queue")]
    pub queue: usize,
    /// Limits on waiting. By default 1.2 s in all, below the rerank stage's own default budget: an endpoint that hangs
    /// is then seen to fail, and its breaker spares later searches the wait.
    #[serde(default = "default_deadlines")]
    pub deadlines: Deadlines,
    /// Limits on trying again; by default once, after at most 200 ms.
    #[serde(default = "default_retry")]
    pub retry: RetryPolicy,
    /// When it is left alone.
    #[serde(default)]
    pub breaker: BreakerConfig,
}

fn default_max_tokens() -> usize {
    4_096
}

fn default_deadlines() -> Deadlines {
    Deadlines { connect_ms: 1_000, total_ms: 1_200, ..Deadlines::default() }
}

fn default_retry() -> RetryPolicy {
    RetryPolicy { retries: 1, min_ms: 50, max_ms: 200 }
}

impl RerankerEndpoint {
    /// An endpoint with every default.
    pub fn new(name: impl Into<String>, api: RerankApi, model: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            api,
            base_url: String::new(),
            api_key: None,
            model: model.into(),
            max_tokens: default_max_tokens(),
            batch_passages: None,
            calibrated: None,
            concurrency: default_concurrency(),
            queue: default_queue(),
            deadlines: default_deadlines(),
            retry: default_retry(),
            breaker: BreakerConfig::default(),
        }
    }

    pub(crate) fn batch(&self) -> usize {
        self.batch_passages.unwrap_or(match self.api {
            RerankApi::Tei => 32,
            RerankApi::Cohere | RerankApi::Jina => 100,
        })
    }

    pub(crate) fn calibrated(&self) -> bool {
        self.calibrated.unwrap_or(self.api != RerankApi::Jina)
    }

    pub(crate) fn gate(&self) -> GateConfig {
        GateConfig { concurrency: self.concurrency, queue: self.queue, breaker: self.breaker }
    }
}
