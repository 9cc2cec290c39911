//! Keeps the best hits from saying the same thing: equal texts, too many of one document, near copies.

use std::collections::HashMap;

use wellspring_store::{ChunkId, DocumentKey, StoredChunk};

use crate::similar::Sketch;

/// Why a chunk is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its text equals that of this better hit.
    Duplicate(ChunkId),
    /// It says nearly the same as this better hit.
    NearDuplicate(ChunkId),
    /// Its document has enough hits.
    PerDocument,
}

/// Decides hit by hit, best first, what is let in.
#[derive(Debug)]
pub(crate) struct Gate {
    collapse: bool,
    similarity: Option<f32>,
    per_document: Option<usize>,
    texts: HashMap<String, ChunkId>,
    sketches: Vec<(Sketch, ChunkId)>,
    documents: HashMap<DocumentKey, usize>,
}

impl Gate {
    pub(crate) fn new(collapse: bool, similarity: Option<f32>, per_document: Option<usize>) -> Self {
        Self {
            collapse,
            similarity,
            per_document,
            texts: HashMap::new(),
            sketches: Vec::new(),
            documents: HashMap::new(),
        }
    }

    /// Lets the chunk in and remembers it, or says why not.
    pub(crate) fn admit(&mut self, chunk: &StoredChunk) -> Result<(), Refusal> {
        if self.collapse
            && let Some(kept) = self.texts.get(chunk.text.trim())
        {
            return Err(Refusal::Duplicate(kept.clone()));
        }
        let sketch = self.similarity.map(|threshold| (Sketch::of(&chunk.text), threshold));
        if let Some((sketch, threshold)) = &sketch
            && let Some((_, kept)) = self.sketches.iter().find(|(kept, _)| kept.is_like(sketch, *threshold))
        {
            return Err(Refusal::NearDuplicate(kept.clone()));
        }
        let of_document = self.documents.entry(chunk.document_key).or_default();
        if self.per_document.is_some_and(|cap| *of_document >= cap) {
            return Err(Refusal::PerDocument);
        }
        *of_document += 1;
        if let Some((sketch, _)) = sketch {
            self.sketches.push((sketch, chunk.id.clone()));
        }
        if self.collapse {
            self.texts.insert(chunk.text.trim().to_owned(), chunk.id.clone());
        }
        Ok(())
    }
}

/// Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): picks `k` indices one by one, each the largest
/// `lambda · relevance − (1 − lambda) · (largest cosine to one already picked)`. `relevance` is scaled to 0–1 first; a
/// missing vector counts as unlike everything. Ties go to the smaller index.
pub(crate) fn marginal_relevance(
    scores: &[f32],
    vectors: &[Option<Vec<f32>>],
    lambda: f32,
    k: usize,
) -> Vec<usize> {
    let low = scores.iter().copied().fold(f32::INFINITY, f32::min);
    let high = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let relevance = |index: usize| if high > low { (scores[index] - low) / (high - low) } else { 1.0 };
    let mut nearest = vec![0.0_f32; scores.len()];
    let mut left: Vec<usize> = (0..scores.len()).collect();
    let mut picked = Vec::with_capacity(k.min(scores.len()));
    while picked.len() < k && !left.is_empty() {
        let gain = |index: usize| lambda * relevance(index) - (1.0 - lambda) * nearest[index];
        let mut best = 0;
        for place in 1..left.len() {
            if gain(left[place]) > gain(left[best]) {
                best = place;
            }
        }
        let chosen = left.remove(best);
        picked.push(chosen);
        for &index in &left {
            nearest[index] = nearest[index].max(cosine(&vectors[index], &vectors[chosen]));
        }
    }
    picked
}

fn cosine(a: &Option<Vec<f32>>, b: &Option<Vec<f32>>) -> f32 {
    match (a, b) {
        (Some(a), Some(b)) => a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>().max(0.0),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::marginal_relevance;

    #[test]
    fn relevance_alone_keeps_the_order_and_novelty_passes_over_a_copy() {
        let scores = [0.9, 0.8, 0.1];
        let vectors = vec![Some(vec![1.0, 0.0]), Some(vec![1.0, 0.0]), Some(vec![0.0, 1.0])];
        assert_eq!(marginal_relevance(&scores, &vectors, 1.0, 3), [0, 1, 2]);
        assert_eq!(marginal_relevance(&scores, &vectors, 0.4, 2), [0, 2]);
    }

    #[test]
    fn equal_scores_and_missing_vectors_keep_the_order() {
        assert_eq!(marginal_relevance(&[0.5, 0.5], &[None, None], 0.5, 5), [0, 1]);
        assert!(marginal_relevance(&[], &[], 0.5, 3).is_empty());
    }
}
