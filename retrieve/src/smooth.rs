//! Lets a hit inherit from the better of its neighbours: turns of a conversation and lines of a log belong together.
//!
//! `s' = s + w · max(s before, s after)`, scores counted from the lowest of the pool, a neighbour that is not in the pool
//! as 0. Meant for conversations and logs; not measured here.

use std::collections::HashMap;

use wellspring_store::DocumentKey;

use crate::passage::Passage;

/// Hits that neighbours are looked for among.
pub(crate) const POOL: usize = 100;

/// Reorders the hits: score descending, then chunk key ascending. Neighbours are chunks of the same document whose
/// places in it follow each other.
pub(crate) fn smooth(hits: &mut [Passage], weight: f32) {
    let lowest = hits.iter().map(|hit| hit.score).fold(f32::INFINITY, f32::min);
    let above: HashMap<(DocumentKey, u32), f32> =
        hits.iter().map(|hit| ((hit.place.document, hit.place.ordinal), hit.score - lowest)).collect();
    for hit in hits.iter_mut() {
        let score = |ordinal: Option<u32>| {
            ordinal.and_then(|ordinal| above.get(&(hit.place.document, ordinal))).copied().unwrap_or(0.0)
        };
        let better = score(hit.place.ordinal.checked_sub(1)).max(score(hit.place.ordinal.checked_add(1)));
        hit.score += weight * better;
    }
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.place.key.cmp(&b.place.key)));
}
