//! The reranker behind an HTTP endpoint of Cohere's, Jina's or text-embeddings-inference's API.

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::Reranker;
use super::wire::{Ranked, Request, Results, in_order};
use crate::budget::{Meter, Toll, Used};
use crate::chat::Usage;
use crate::error::{ErrorKind, ModelError, Result};
use crate::openai::ApproximateCounter;
use crate::registry::{RerankApi, RerankerEndpoint};
use crate::remote::{Credential, Endpoint};
use crate::tokens::TokenCounter;

/// A remote reranking model. Passages go out in requests of at most `batch_passages`; each passage longer than
/// `max_tokens` (estimated upwards, [`ApproximateCounter`]) is cut before it is sent. The score of a passage is compared
/// across requests, so a model that scores the passages of one request against each other needs them all in one.
pub struct HttpReranker {
    endpoint: Endpoint,
    config: RerankerEndpoint,
    batch: usize,
    calibrated: bool,
    /// Pays for every try; `None` where nobody keeps books.
    toll: Option<Toll>,
}

impl HttpReranker {
    /// Calls nothing yet.
    ///
    /// # Errors
    ///
    /// `Invalid` for a base URL or key that can't be used, a missing model, or a limit of zero.
    pub fn new(config: RerankerEndpoint) -> Result<Self> {
        let what = format!("the reranking endpoint {}", config.name);
        let invalid = |why: &str| ModelError::new(ErrorKind::Invalid, format!("{what}: {why}"));
        let batch = config.batch();
        if batch == 0 || config.concurrency == 0 || config.max_tokens == 0 {
            return Err(invalid("batch_passages, max_tokens and concurrency must be at least 1"));
        }
        if config.model.is_empty() && config.api != RerankApi::Tei {
            return Err(invalid("it needs a `model`; only text-embeddings-inference serves just one"));
        }
        let endpoint = Endpoint::new(
            what,
            &config.base_url,
            Credential::Bearer(config.api_key.as_ref()),
            config.deadlines,
            config.retry,
            config.gate(),
        )?;
        Ok(Self { endpoint, batch, calibrated: config.calibrated(), config, toll: None })
    }

    /// The same model over the same connections, each of whose tries is paid for: at an estimate from above, since these
    /// APIs don't tell tokens.
    pub(crate) fn paid_by(&self, meter: Meter) -> Self {
        Self {
            endpoint: self.endpoint.without_retries(),
            batch: self.batch,
            calibrated: self.calibrated,
            config: self.config.clone(),
            toll: Some(Toll { meter, retry: self.config.retry }),
        }
    }

    async fn request(&self, query: &str, passages: &[&str], end: Instant) -> Result<Vec<f32>> {
        let Some(toll) = &self.toll else { return self.ask(query, passages, end).await };
        // The query is read with each passage.
        let asked = ApproximateCounter.count(query);
        let tokens: usize = passages.iter().map(|passage| asked + ApproximateCounter.count(passage)).sum();
        let worst = Usage { input_tokens: tokens as u64, ..Usage::default() };
        let attempt = || async { Ok((self.ask(query, passages, end).await?, Used::AtMost(worst))) };
        toll.pay(worst, end, attempt).await
    }

    async fn ask(&self, query: &str, passages: &[&str], end: Instant) -> Result<Vec<f32>> {
        let RerankerEndpoint { api, model, max_tokens, .. } = &self.config;
        let body = Request::new(*api, model, *max_tokens, query, passages);
        let ranked: Vec<Ranked> = match api {
            RerankApi::Cohere | RerankApi::Jina => {
                self.endpoint.json::<Results>("/rerank", &body, end).await?.results
            }
            RerankApi::Tei => self.endpoint.json("/rerank", &body, end).await?,
        };
        in_order(&ranked, passages.len(), self.calibrated)
            .map_err(|why| ModelError::new(ErrorKind::Corrupt, format!("{} {why}", self.endpoint.what())))
    }
}

#[async_trait]
impl Reranker for HttpReranker {
    fn name(&self) -> &str {
        &self.config.name
    }

    async fn rerank(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>> {
        let end = self.endpoint.end();
        let cut: Vec<&str> =
            passages.iter().map(|passage| ApproximateCounter.cut(passage, self.config.max_tokens)).collect();
        let requests: Vec<_> = cut.chunks(self.batch).map(|batch| self.request(query, batch, end)).collect();
        let scores: Vec<Vec<f32>> =
            stream::iter(requests).buffered(self.config.concurrency).try_collect().await?;
        Ok(scores.into_iter().flatten().collect())
    }

    fn probability(&self, score: f32) -> Option<f32> {
        self.calibrated.then_some(score)
    }
}
