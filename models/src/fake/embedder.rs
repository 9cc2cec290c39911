//! An embedder that hashes words into components, so that texts sharing words are near each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use super::HASH_EMBEDDER;
use crate::embed::{Embedder, EmbedderInfo, Embedding, Fingerprint, TextKind, TokenEmbedder, TokenVectors};
use crate::error::Result;
use crate::tokens::TokenCounter;

/// Components when none are asked for.
const DEFAULT_DIMENSION: usize = 256;
/// Words read when no other limit is asked for: the limit of the default local model.
const DEFAULT_MAX_TOKENS: usize = 256;

/// How often an embedder was called and with how many texts; shared, so that a test can watch one that it gave away.
#[derive(Debug, Default)]
pub struct CallCount {
    calls: AtomicU64,
    texts: AtomicU64,
}

impl CallCount {
    /// Calls of `embed` with at least one text.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Texts over all calls.
    pub fn texts(&self) -> u64 {
        self.texts.load(Ordering::Relaxed)
    }

    fn add(&self, texts: usize) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.texts.fetch_add(texts as u64, Ordering::Relaxed);
    }
}

/// A bag of hashed words (feature hashing with signs: Weinberger et al. 2009, "Feature Hashing for Large Scale
/// Multitask Learning"). A token is a run of anything but white space; letter case and punctuation at a word's edges
/// make no difference to its component. Both text kinds give the same vector.
#[derive(Debug)]
pub struct HashEmbedder {
    info: EmbedderInfo,
    count: Arc<CallCount>,
}

impl Default for HashEmbedder {
    fn default() -> Self {
        Self::new(DEFAULT_DIMENSION, DEFAULT_MAX_TOKENS)
    }
}

impl HashEmbedder {
    /// An embedder of `dimension` components (at least 1) that reads the first `max_tokens` words (at least 1).
    pub fn new(dimension: usize, max_tokens: usize) -> Self {
        let (dimension, max_tokens) = (dimension.max(1), max_tokens.max(1));
        Self {
            info: EmbedderInfo {
                name: HASH_EMBEDDER.to_owned(),
                dimension,
                max_tokens,
                fingerprint: Fingerprint(format!(
                    "{HASH_EMBEDDER};v=1;dimension={dimension};max={max_tokens}"
                )),
            },
            count: Arc::new(CallCount::default()),
        }
    }

    /// The counter of this embedder's calls.
    pub fn calls(&self) -> Arc<CallCount> {
        Arc::clone(&self.count)
    }

    fn embed_one(&self, text: &str) -> Embedding {
        let mut vector = vec![0.0_f32; self.info.dimension];
        let mut words = text.split_whitespace();
        let mut tokens = 0;
        for word in words.by_ref().take(self.info.max_tokens) {
            tokens += 1;
            let (component, sign) = slot(word, self.info.dimension);
            vector[component] += sign;
        }
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if norm > 0.0 {
            vector.iter_mut().for_each(|x| *x /= norm);
        } else {
            // No words, or words that cancel out: still a vector of norm 1.
            vector[0] = 1.0;
        }
        Embedding { vector, tokens, truncated: words.count() }
    }
}

/// The component a word adds to, and with which sign.
fn slot(word: &str, dimension: usize) -> (usize, f32) {
    let trimmed = word.trim_matches(|c: char| !c.is_alphanumeric());
    let key = if trimmed.is_empty() { word } else { trimmed }.to_lowercase();
    let hash = blake3::hash(key.as_bytes());
    let mut first = [0_u8; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    let component = u64::from_le_bytes(first) % dimension as u64;
    let sign = if hash.as_bytes()[8] & 1 == 0 { 1.0 } else { -1.0 };
    (component as usize, sign)
}

#[async_trait]
impl Embedder for HashEmbedder {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn counter(&self) -> Arc<dyn TokenCounter> {
        Arc::new(WordCounter)
    }

    async fn embed(&self, _kind: TextKind, texts: &[&str]) -> Result<Vec<Embedding>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        self.count.add(texts.len());
        Ok(texts.iter().map(|text| self.embed_one(text)).collect())
    }

    fn tokens(&self) -> Option<&dyn TokenEmbedder> {
        Some(self)
    }
}

#[async_trait]
impl TokenEmbedder for HashEmbedder {
    /// A token's vector is its word's one component: nothing depends on the words around it.
    async fn embed_tokens(&self, texts: &[&str]) -> Result<Vec<TokenVectors>> {
        let dimension = self.info.dimension;
        let one = |text: &&str| {
            let mut found =
                TokenVectors { spans: Vec::new(), vectors: Vec::new(), norms: Vec::new(), dimension };
            for word in text.split_whitespace().take(self.info.max_tokens) {
                let start = word.as_ptr() as usize - text.as_ptr() as usize;
                let (component, sign) = slot(word, dimension);
                found.spans.push(start..start + word.len());
                found.norms.push(1.0);
                found.vectors.extend((0..dimension).map(|at| if at == component { sign } else { 0.0 }));
            }
            found
        };
        Ok(texts.iter().map(one).collect())
    }
}

/// Counts runs of anything but white space.
struct WordCounter;

impl TokenCounter for WordCounter {
    fn count(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &Embedding, b: &Embedding) -> f32 {
        a.vector.iter().zip(&b.vector).map(|(x, y)| x * y).sum()
    }

    #[tokio::test]
    async fn texts_that_share_words_are_nearer() {
        let embedder = HashEmbedder::default();
        let texts = ["The red fox jumps.", "a red FOX sleeps", "quarterly revenue grew"];
        let vectors = embedder.embed(TextKind::Passage, &texts).await.unwrap();
        assert!(cosine(&vectors[0], &vectors[1]) > 0.4);
        assert!(cosine(&vectors[0], &vectors[2]) < 0.2);
    }

    #[tokio::test]
    async fn calls_and_texts_are_counted_and_an_empty_call_is_none() {
        let embedder = HashEmbedder::new(8, 4);
        let calls = embedder.calls();
        embedder.embed(TextKind::Query, &[]).await.unwrap();
        assert_eq!((calls.calls(), calls.texts()), (0, 0));
        embedder.embed(TextKind::Query, &["a", "b"]).await.unwrap();
        assert_eq!((calls.calls(), calls.texts()), (1, 2));
    }
}
