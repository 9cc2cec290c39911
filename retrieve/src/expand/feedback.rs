//! Learns from the first hits what else may be relevant, to widen the pool that later stages read.
//!
//! RM3 (Abdul-Jaleel et al., "UMass at TREC 2004: Novelty and HARD"): `P(w) = 0.8 · P(w|query) + 0.2 · Σ_d P(w|d) P(d)`
//! over the 20 likeliest words of 10 passages. Rocchio (1971) over vectors: `0.8 · query + 0.2 · mean` of
//! 3 passages. On
//! fourteen sets both together lift recall@100 by a point and lower nDCG@10 where they rank, so here they only propose:
//! what they find is scored with the query as it was asked. Bo1 is left out: it lost on nine of the fourteen.

use std::collections::{BTreeMap, HashMap, HashSet};

use wellspring_models::text::words;
use wellspring_store::ChunkKey;
use wellspring_store::keyword::analyzer::Analysis;

use crate::error::Result;
use crate::fuse::{Fused, Fusion, fuse};
use crate::passage::Passage;
use crate::recall::Legs;

/// Passages that words are taken from.
const DOCUMENTS: usize = 10;
/// Words that are taken.
const TERMS: usize = 20;
/// Share of the query's own words, and of its own vector.
const OWN: f64 = 0.8;
/// Passages whose vectors are taken.
const VECTORS: usize = 3;
/// How finely weights become repetitions of a word.
const GRAIN: f64 = 100.0;

/// Chunks that feedback proposes, best first, with the words it looked for; at most `depth` of each leg. None without
/// hits.
pub(super) async fn candidates(
    legs: &Legs<'_>,
    query: &str,
    passages: &[Passage],
    depth: usize,
) -> Result<(Vec<ChunkKey>, String)> {
    if passages.is_empty() {
        return Ok((Vec::new(), String::new()));
    }
    let text = expanded_words(query, &passages[..passages.len().min(DOCUMENTS)]);
    let keys: Vec<ChunkKey> = passages.iter().take(VECTORS).map(|passage| passage.place.key).collect();
    let found = legs.like(&text, &keys, OWN, depth).await?;
    let fused = fuse(found.dense.as_ref(), found.keyword.as_ref(), Fusion::default());
    Ok((fused.into_iter().map(|hit| hit.key).collect(), text))
}

/// The query's words and those of RM3, each repeated in proportion to its weight: the analyzer counts repetitions.
fn expanded_words(query: &str, passages: &[Passage]) -> String {
    let own: Vec<String> = words(query).collect();
    let mut weights: BTreeMap<String, f64> = BTreeMap::new();
    for word in &own {
        *weights.entry(word.clone()).or_default() += OWN / own.len() as f64;
    }
    let mut learnt: Vec<(String, f64)> = relevance_model(passages).into_iter().collect();
    learnt.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    learnt.truncate(TERMS);
    let total: f64 = learnt.iter().map(|(_, weight)| weight).sum();
    for (word, weight) in learnt {
        *weights.entry(word).or_default() += (1.0 - OWN) * weight / total;
    }
    let repeated = weights.iter().flat_map(|(word, weight)| {
        let times = (weight * GRAIN).round().max(1.0) as usize;
        std::iter::repeat_n(word.as_str(), times)
    });
    repeated.collect::<Vec<_>>().join(" ")
}

/// `Σ_d P(w|d) P(d)` for every word that an index would hold: words with one stem count together, under the form that comes
/// first; stop words and single characters are left out. `P(d)` falls off exponentially with the fused score.
fn relevance_model(passages: &[Passage]) -> BTreeMap<String, f64> {
    let best = passages.iter().map(|passage| passage.score).fold(f32::MIN, f32::max);
    let mut forms: HashMap<String, String> = HashMap::new();
    let mut model: BTreeMap<String, f64> = BTreeMap::new();
    for passage in passages {
        let analysis = Analysis::of(passage.language.as_deref());
        let belief = f64::from(passage.score - best).exp();
        let kept: Vec<(String, String)> = words(&passage.text)
            .filter(|word| word.chars().nth(1).is_some())
            .filter_map(|word| Some((analysis.terms(&word).into_iter().next()?, word)))
            .collect();
        for (stem, word) in &kept {
            let form = forms.entry(stem.clone()).or_insert_with(|| word.clone());
            *model.entry(form.clone()).or_default() += belief / kept.len() as f64;
        }
    }
    model
}

/// Brings the first `places` of the proposed chunks that are not among the first `want` hits to the end of those. Every
/// hit keeps its score.
pub(super) fn promote(fused: Vec<Fused>, proposed: &[ChunkKey], want: usize, places: usize) -> Vec<Fused> {
    let places = places.min(want / 2);
    let head: HashSet<ChunkKey> = fused.iter().take(want).map(|hit| hit.key).collect();
    let ranked: HashSet<ChunkKey> = fused.iter().map(|hit| hit.key).collect();
    let chosen: HashSet<ChunkKey> = proposed
        .iter()
        .filter(|key| !head.contains(key) && ranked.contains(key))
        .take(places)
        .copied()
        .collect();
    if chosen.is_empty() {
        return fused;
    }
    let (promoted, mut rest): (Vec<Fused>, Vec<Fused>) =
        fused.into_iter().partition(|hit| chosen.contains(&hit.key));
    let below = rest.split_off(want.saturating_sub(promoted.len()).min(rest.len()));
    rest.into_iter().chain(promoted).chain(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposed_chunks_take_the_last_places_of_the_head() {
        let fused: Vec<Fused> = (1..=8)
            .map(|key| Fused { key: ChunkKey(key), score: -(key as f32), dense: None, keyword: None })
            .collect();
        let keys = |fused: Vec<Fused>| fused.iter().map(|hit| hit.key.0).collect::<Vec<_>>();
        let proposed = [ChunkKey(2), ChunkKey(8), ChunkKey(99), ChunkKey(7)];
        assert_eq!(keys(promote(fused.clone(), &proposed, 4, 1)), [1, 2, 3, 8, 4, 5, 6, 7]);
        assert_eq!(keys(promote(fused.clone(), &proposed, 4, 9)), [1, 2, 7, 8, 3, 4, 5, 6], "at most half");
        assert_eq!(keys(promote(fused.clone(), &[ChunkKey(1)], 4, 2)), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(keys(promote(fused, &proposed, 1, 1)), [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
