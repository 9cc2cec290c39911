//! The embedder over `/v1/embeddings`.

use std::sync::Arc;

use async_openai::types::embeddings::{CreateEmbeddingRequest, EmbeddingInput, EncodingFormat};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::approximate::ApproximateCounter;
use super::wire::EmbeddingReply;
use crate::budget::{Meter, Toll, Used};
use crate::chat::Usage;
use crate::embed::{Embedder, EmbedderInfo, Embedding, Fingerprint, TextKind, normalize};
use crate::error::{ErrorKind, ModelError, Result};
use crate::registry::EmbedderEndpoint;
use crate::remote::{Credential, Endpoint, GateConfig};
use crate::tokens::TokenCounter;

/// A remote embedding model. Tokens are estimated upwards ([`ApproximateCounter`]), and a text longer than
/// `max_tokens` by that estimate is cut before it is sent, so that no endpoint refuses it or cuts it unseen. A blank
/// text is sent as one space: most endpoints refuse an empty one.
///
/// The fingerprint names model and dimension and not the host, so that a proxy or a second region may serve the same
/// collection; prefixes are part of it where there are any.
pub struct OpenAiEmbedder {
    info: EmbedderInfo,
    endpoint: Endpoint,
    config: EmbedderEndpoint,
    /// Pays for every try; `None` where nobody keeps books.
    toll: Option<Toll>,
}

impl OpenAiEmbedder {
    /// Calls nothing yet.
    ///
    /// # Errors
    ///
    /// `Invalid` for a base URL or key that can't be used, or a limit of zero.
    pub fn new(config: EmbedderEndpoint) -> Result<Self> {
        let what = format!("the embedding endpoint {}", config.name);
        if config.dimension == 0
            || config.max_tokens == 0
            || config.batch_texts == 0
            || config.concurrency == 0
        {
            return Err(ModelError::new(
                ErrorKind::Invalid,
                format!("{what}: dimension, max_tokens, batch_texts and concurrency must be at least 1"),
            ));
        }
        let endpoint = Endpoint::new(
            what,
            &config.base_url,
            Credential::Bearer(config.api_key.as_ref()),
            config.deadlines,
            config.retry,
            // Its calls are bounded by `concurrency` already.
            GateConfig::open(),
        )?;
        let mut fingerprint = format!("openai:{}:{}", config.model, config.dimension);
        if !(config.query_prefix.is_empty() && config.passage_prefix.is_empty()) {
            let both = blake3::hash(format!("{}\0{}", config.query_prefix, config.passage_prefix).as_bytes());
            fingerprint.push_str(&format!(":prefix={}", &both.to_hex()[..16]));
        }
        let info = EmbedderInfo {
            name: config.name.clone(),
            dimension: config.dimension,
            max_tokens: config.max_tokens,
            fingerprint: Fingerprint(fingerprint),
        };
        Ok(Self { info, endpoint, config, toll: None })
    }

    /// The same model over the same connections, each of whose tries is paid for.
    pub(crate) fn paid_by(&self, meter: Meter) -> Self {
        Self {
            info: self.info.clone(),
            endpoint: self.endpoint.without_retries(),
            config: self.config.clone(),
            toll: Some(Toll { meter, retry: self.config.retry }),
        }
    }

    /// The text as it is sent, with the tokens it counts and those cut off.
    fn prepare(&self, kind: TextKind, text: &str) -> Prepared {
        let prefix = match kind {
            TextKind::Query => &self.config.query_prefix,
            TextKind::Passage => &self.config.passage_prefix,
        };
        let whole = if text.trim().is_empty() { format!("{prefix} ") } else { format!("{prefix}{text}") };
        let all = ApproximateCounter.count(&whole);
        let sent = ApproximateCounter.cut(&whole, self.config.max_tokens);
        let tokens = all.min(self.config.max_tokens);
        Prepared { tokens, truncated: all - tokens, text: sent.to_owned() }
    }

    /// Consecutive texts that fit into one request each.
    fn batches<'p>(&self, prepared: &'p [Prepared]) -> Vec<&'p [Prepared]> {
        let mut batches = Vec::new();
        let (mut start, mut tokens) = (0, 0);
        for (index, text) in prepared.iter().enumerate() {
            let full =
                index - start == self.config.batch_texts || tokens + text.tokens > self.config.batch_tokens;
            if full && index > start {
                batches.push(&prepared[start..index]);
                (start, tokens) = (index, 0);
            }
            tokens += text.tokens;
        }
        if start < prepared.len() {
            batches.push(&prepared[start..]);
        }
        batches
    }

    async fn request(&self, batch: &[Prepared], end: Instant) -> Result<Vec<Embedding>> {
        let Some(toll) = &self.toll else { return Ok(self.ask(batch, end).await?.0) };
        let tokens: usize = batch.iter().map(|prepared| prepared.tokens).sum();
        let worst = Usage { input_tokens: tokens as u64, ..Usage::default() };
        let attempt = || async {
            let (embeddings, told) = self.ask(batch, end).await?;
            let used = told.map_or(Used::AtMost(worst), |tokens| {
                Used::Told(Usage { input_tokens: tokens, ..Usage::default() })
            });
            Ok((embeddings, used))
        };
        toll.pay(worst, end, attempt).await
    }

    /// One request: the embeddings, and the tokens that the endpoint counted, where it says.
    async fn ask(&self, batch: &[Prepared], end: Instant) -> Result<(Vec<Embedding>, Option<u64>)> {
        let dimensions =
            self.config.request_dimension.then(|| u32::try_from(self.config.dimension).ok()).flatten();
        let body = CreateEmbeddingRequest {
            model: self.config.model.clone(),
            input: EmbeddingInput::StringArray(batch.iter().map(|prepared| prepared.text.clone()).collect()),
            encoding_format: Some(EncodingFormat::Float),
            user: None,
            dimensions,
        };
        let reply: EmbeddingReply = self.endpoint.json("/embeddings", &body, end).await?;
        let told = reply.usage.and_then(|usage| usage.prompt_tokens);
        let vectors = self.in_order(reply, batch.len())?;
        let finished = |(mut vector, prepared): (Vec<f32>, &Prepared)| {
            normalize(&mut vector, &self.info.name)?;
            Ok(Embedding { vector, tokens: prepared.tokens, truncated: prepared.truncated })
        };
        let embeddings: Result<Vec<Embedding>> = vectors.into_iter().zip(batch).map(finished).collect();
        Ok((embeddings?, told))
    }

    /// The reply's vectors in the order of the inputs: by `index` where it is given, else as they came.
    fn in_order(&self, reply: EmbeddingReply, inputs: usize) -> Result<Vec<Vec<f32>>> {
        let wrong = |kind, why: String| ModelError::new(kind, format!("{} {why}", self.endpoint.what()));
        if reply.data.len() != inputs {
            return Err(wrong(
                ErrorKind::Corrupt,
                format!("gave {} vectors for {inputs} texts", reply.data.len()),
            ));
        }
        let mut ordered: Vec<Option<Vec<f32>>> = vec![None; inputs];
        for (place, item) in reply.data.into_iter().enumerate() {
            if item.embedding.len() != self.config.dimension {
                let found = item.embedding.len();
                return Err(wrong(
                    ErrorKind::Conflict,
                    format!(
                        "gave {found} components instead of {}; correct `dimension`",
                        self.config.dimension
                    ),
                ));
            }
            match ordered.get_mut(item.index.unwrap_or(place)) {
                Some(slot @ None) => *slot = Some(item.embedding),
                _ => return Err(wrong(ErrorKind::Corrupt, "numbered its vectors wrongly".to_owned())),
            }
        }
        Ok(ordered.into_iter().flatten().collect())
    }
}

/// A text ready to be sent.
struct Prepared {
    text: String,
    tokens: usize,
    truncated: usize,
}

#[async_trait]
impl Embedder for OpenAiEmbedder {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn counter(&self) -> Arc<dyn TokenCounter> {
        Arc::new(PrefixedCounter { prefix: self.config.passage_prefix.clone() })
    }

    async fn embed(&self, kind: TextKind, texts: &[&str]) -> Result<Vec<Embedding>> {
        let end = self.endpoint.end();
        let prepared: Vec<Prepared> = texts.iter().map(|text| self.prepare(kind, text)).collect();
        let requests: Vec<_> =
            self.batches(&prepared).into_iter().map(|batch| self.request(batch, end)).collect();
        let replies: Vec<Vec<Embedding>> =
            stream::iter(requests).buffered(self.config.concurrency).try_collect().await?;
        Ok(replies.into_iter().flatten().collect())
    }
}

/// The estimate for a passage with its prefix.
struct PrefixedCounter {
    prefix: String,
}

impl TokenCounter for PrefixedCounter {
    fn count(&self, text: &str) -> usize {
        if self.prefix.is_empty() {
            ApproximateCounter.count(text)
        } else {
            ApproximateCounter.count(&format!("{}{text}", self.prefix))
        }
    }
}
