//! The best k of a stream of scored keys, in the one order that every index answers in.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::super::VectorHit;
use crate::document::ChunkKey;

/// Ordered by worth: the higher score, then the smaller key, is the greater.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ranked {
    score: f32,
    key: ChunkKey,
}

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.key.cmp(&self.key))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Keeps the best `k`: score descending, then key ascending, whatever the order of arrival. A score that is not a number
/// is never kept.
#[derive(Debug)]
pub(crate) struct TopHits {
    k: usize,
    heap: BinaryHeap<Reverse<Ranked>>,
}

impl TopHits {
    /// Room for `k` hits; memory grows with what arrives, so an absurd `k` costs nothing.
    pub(crate) fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::new() }
    }

    /// Considers one hit.
    pub(crate) fn offer(&mut self, key: ChunkKey, score: f32) {
        if score.is_nan() || self.k == 0 {
            return;
        }
        // −0 and +0 are one score; as bits they would sort apart.
        let new = Ranked { score: score + 0.0, key };
        if self.heap.len() < self.k {
            self.heap.push(Reverse(new));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && worst.0 < new
        {
            *worst = Reverse(new);
        }
    }

    /// A score below this can't get in any more; `None` while there is room. An equal one can, by a smaller key.
    pub(crate) fn floor(&self) -> Option<f32> {
        (self.heap.len() >= self.k).then(|| self.heap.peek().map(|worst| worst.0.score)).flatten()
    }

    /// The best of both.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        for Reverse(hit) in other.heap {
            self.offer(hit.key, hit.score);
        }
        self
    }

    /// What was kept, best first.
    pub(crate) fn into_sorted(self) -> Vec<VectorHit> {
        self.heap
            .into_sorted_vec()
            .into_iter()
            .map(|Reverse(hit)| VectorHit { key: hit.key, score: hit.score })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_by_score_then_key_and_nan_never_enters() {
        let offers = [(3, 0.5), (1, 0.5), (2, 0.5), (9, f32::NAN), (4, -0.0), (5, 0.0), (6, 0.9)];
        for rotate in 0..offers.len() {
            let mut rotated = offers;
            rotated.rotate_left(rotate);
            let mut top = TopHits::new(3);
            for (key, score) in rotated {
                top.offer(ChunkKey(key), score);
            }
            let keys: Vec<i64> = top.into_sorted().iter().map(|hit| hit.key.0).collect();
            assert_eq!(keys, [6, 1, 2]);
        }
    }

    #[test]
    fn signed_zeros_tie() {
        let mut top = TopHits::new(2);
        top.offer(ChunkKey(2), 0.0);
        top.offer(ChunkKey(1), -0.0);
        let keys: Vec<i64> = top.into_sorted().iter().map(|hit| hit.key.0).collect();
        assert_eq!(keys, [1, 2]);
    }

    #[test]
    fn no_room_keeps_nothing() {
        let mut top = TopHits::new(0);
        top.offer(ChunkKey(1), 1.0);
        assert!(top.into_sorted().is_empty());
    }
}
