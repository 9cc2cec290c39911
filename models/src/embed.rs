//! The seam between text and vectors.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, ModelError, Result};
use crate::tokens::TokenCounter;

/// Which side of a search a text stands on: asymmetric models put a different prefix before each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    /// What a user asks.
    Query,
    /// What is searched.
    Passage,
}

/// Names everything that decides the bits of a vector: model checksum, pooling, normalisation, quantisation and
/// kernel class. Two vectors may be compared only if their fingerprints are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an embedder is.
#[derive(Debug, Clone)]
pub struct EmbedderInfo {
    /// The name a configuration uses, e.g. `all-MiniLM-L6-v2` or `all-MiniLM-L6-v2/int8`.
    pub name: String,
    /// Components per vector.
    pub dimension: usize,
    /// Tokens the model reads, special tokens included; the rest is cut and reported as truncated.
    pub max_tokens: usize,
    /// See [`Fingerprint`].
    pub fingerprint: Fingerprint,
}

/// One text's vector, L2-normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// `dimension` finite components, norm 1 (a text of no tokens still has a vector).
    pub vector: Vec<f32>,
    /// Tokens the model saw, special tokens included.
    pub tokens: usize,
    /// Tokens that did not fit and were not seen.
    pub truncated: usize,
}

/// One text's tokens in order, each with its place and a vector that depends on the words around it.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenVectors {
    /// Bytes of the text that each token covers: ascending, on character bounds. Special tokens are left out.
    pub spans: Vec<Range<usize>>,
    /// `dimension` components per token, one token after the other, each of norm 1.
    pub vectors: Vec<f32>,
    /// The norm that each token's vector had before: a model that pools by the mean weighs its tokens so.
    pub norms: Vec<f32>,
    /// Components per token.
    pub dimension: usize,
}

impl TokenVectors {
    /// The vector of token `index`, which must be one of `spans`.
    pub fn vector(&self, index: usize) -> &[f32] {
        &self.vectors[index * self.dimension..(index + 1) * self.dimension]
    }

    /// The mean of the tokens that touch one of the spans (of a title, say, and a part of the text below it), each as long as the model made it, brought to norm 1: mean pooling
    /// over a part of what was read. `None` where no token does, or nothing is left of the mean.
    pub fn pooled(&self, spans: [Range<usize>; 2]) -> Option<Vec<f32>> {
        let touches = |token: &Range<usize>| spans.iter().any(|s| token.start < s.end && s.start < token.end);
        let mut sum = vec![0.0_f32; self.dimension];
        let tokens = self.spans.iter().zip(&self.norms).zip(self.vectors.chunks_exact(self.dimension));
        for ((_, norm), vector) in tokens.filter(|((span, _), _)| touches(span)) {
            sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += norm * x);
        }
        normalize(&mut sum, "pooled").is_ok().then_some(sum)
    }
}

/// Text in, a vector per token out. The same promises as [`Embedder`]: the same text gives the same bits.
#[async_trait]
pub trait TokenEmbedder: Send + Sync {
    /// One [`TokenVectors`] per text, in the same order; tokens beyond the model's limit are left out. An empty slice
    /// gives an empty vector without a call, a text without words no tokens.
    async fn embed_tokens(&self, texts: &[&str]) -> Result<Vec<TokenVectors>>;
}

/// Text in, vectors out.
///
/// A local implementation returns the same bits for the same text whatever the batch, the order and the number of
/// threads. Dropping the future cancels texts that were not started.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// What this embedder is; constant over its life.
    fn info(&self) -> &EmbedderInfo;

    /// Counts tokens as this model does.
    fn counter(&self) -> Arc<dyn TokenCounter>;

    /// One [`Embedding`] per text, in the same order; an empty slice gives an empty vector without a call.
    async fn embed(&self, kind: TextKind, texts: &[&str]) -> Result<Vec<Embedding>>;

    /// The same model as a [`TokenEmbedder`]; `None` where it gives one vector per text only, as remote ones do.
    fn tokens(&self) -> Option<&dyn TokenEmbedder> {
        None
    }
}

/// Brings a vector to L2 norm 1 and returns the norm it had. `model` is named in the error.
///
/// # Errors
///
/// `Corrupt` when a component is not finite or all are zero: no direction can be read from it.
pub(crate) fn normalize(vector: &mut [f32], model: &str) -> Result<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if !norm.is_finite() || norm <= f32::MIN_POSITIVE {
        return Err(ModelError::new(
            ErrorKind::Corrupt,
            format!(
                "the model {model} gave a vector without direction (zero or not finite); check its files"
            ),
        ));
    }
    vector.iter_mut().for_each(|x| *x /= norm);
    Ok(norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_weighs_tokens_by_their_norms_and_leaves_the_others_out() {
        let tokens = TokenVectors {
            spans: vec![0..3, 4..7, 8..9],
            vectors: vec![1.0, 0.0, 0.0, 1.0, -1.0, 0.0],
            norms: vec![3.0, 4.0, 3.0],
            dimension: 2,
        };
        assert_eq!(tokens.pooled([0..0, 0..7]), Some(vec![0.6, 0.8]));
        assert_eq!(tokens.pooled([0..1, 6..7]), Some(vec![0.6, 0.8]), "a token that is touched counts whole");
        assert_eq!(tokens.pooled([0..0, 4..8]), Some(vec![0.0, 1.0]));
        assert_eq!(tokens.pooled([0..0, 3..4]), None, "no token");
        assert_eq!(tokens.pooled([0..1, 8..9]), None, "nothing is left");
    }
}
