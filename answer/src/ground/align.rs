//! How well each word of a claim is matched by some word of its evidence, by the vectors a local model gives to both.
//!
//! The greedy matching of BERTScore's recall (Zhang et al. 2020, "BERTScore: Evaluating Text Generation with BERT"),
//! over content words only: a word's similarity is the mean over its tokens of their best cosine.

use std::ops::Range;
use std::sync::Arc;

use wellspring_models::TokenVectors;

/// One similarity (−1 to 1) per word, in order; 0 for a word without a token or when there is no evidence.
pub(crate) fn words(
    claim: &TokenVectors,
    words: &[Range<usize>],
    evidence: &[Arc<TokenVectors>],
) -> Vec<f64> {
    words
        .iter()
        .map(|word| {
            let tokens = (0..claim.spans.len())
                .filter(|&token| claim.spans[token].start < word.end && claim.spans[token].end > word.start);
            let best: Vec<f64> = tokens.map(|token| best(claim.vector(token), evidence)).collect();
            if best.is_empty() { 0.0 } else { best.iter().sum::<f64>() / best.len() as f64 }
        })
        .collect()
}

fn best(vector: &[f32], evidence: &[Arc<TokenVectors>]) -> f64 {
    let tokens = evidence.iter().flat_map(|text| text.vectors.chunks_exact(text.dimension));
    let cosine = |other: &[f32]| vector.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
    tokens.map(cosine).reduce(f32::max).map_or(0.0, f64::from)
}

#[cfg(test)]
mod tests {
    use wellspring_models::Embedder;
    use wellspring_models::fake::HashEmbedder;

    use super::*;

    #[tokio::test]
    async fn a_word_that_stands_in_the_evidence_is_matched() {
        let embedder = HashEmbedder::new(4096, 64);
        let vectors =
            embedder.tokens().unwrap().embed_tokens(&["paid leave", "leave is paid"]).await.unwrap();
        let evidence = [Arc::new(vectors[1].clone())];
        assert_eq!(words(&vectors[0], &[0..4, 5..10], &evidence), [1.0, 1.0]);
        assert_eq!(words(&vectors[0], std::slice::from_ref(&(0..4)), &[]), [0.0]);
    }
}
