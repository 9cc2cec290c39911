//! Searches for further queries beside the first one and joins the rankings by weighed reciprocal ranks.
//!
//! `score = Σ wᵢ / (10 + rankᵢ)` (Cormack, Clarke and Büttcher, SIGIR 2009, with the damping that measured better than
//! their 60). Scores of different queries are on no common scale, so only ranks are joined.

use std::collections::HashMap;

use futures::future::join_all;

use super::failed;
use crate::error::Result;
use crate::explain::{Degraded, Timings};
use crate::fuse::{Fused, Fusion, fuse};
use crate::recall::Legs;

const DAMPING: f64 = 10.0;

/// The further queries of one search.
#[derive(Default)]
pub(super) struct Extras<'a> {
    queries: Vec<ExtraQuery<'a>>,
    degraded: Vec<Degraded>,
}

struct ExtraQuery<'a> {
    legs: Legs<'a>,
    weight: f64,
    /// What it found, and how deep it was asked; kept, since one round may need it twice.
    found: Option<(usize, Vec<Fused>)>,
}

impl<'a> Extras<'a> {
    pub(super) fn push(&mut self, legs: Legs<'a>, weight: f64) {
        self.queries.push(ExtraQuery { legs, weight, found: None });
    }

    /// What did not work, each once.
    pub(super) fn degraded(self) -> Vec<Degraded> {
        self.degraded
    }

    /// The ranking of the query itself joined with those of the others, each asked for `depth` hits. A query that fails is
    /// left out and named; with none left the ranking stays as it is.
    pub(super) async fn blend(
        &mut self,
        own: Vec<Fused>,
        depth: usize,
        fusion: Fusion,
        timings: &mut Timings,
    ) -> Vec<Fused> {
        if self.queries.is_empty() {
            return own;
        }
        let start = std::time::Instant::now();
        let asked = join_all(self.queries.iter_mut().map(|query| query.ask(depth, fusion))).await;
        timings.add(super::EXPAND, start);
        let mut left = Vec::with_capacity(self.queries.len());
        for (query, asked) in std::mem::take(&mut self.queries).into_iter().zip(asked) {
            match asked {
                Ok(()) => left.push(query),
                Err(error) => {
                    let reason = format!("a further query is left out: {error}");
                    self.degraded.push(failed(reason));
                }
            }
        }
        self.queries = left;
        let others: Vec<(f64, &[Fused])> = self
            .queries
            .iter()
            .filter_map(|query| Some((query.weight, query.found.as_ref()?.1.as_slice())))
            .collect();
        join(own, &others)
    }
}

impl ExtraQuery<'_> {
    async fn ask(&mut self, depth: usize, fusion: Fusion) -> Result<()> {
        if self.found.as_ref().is_some_and(|(asked, _)| *asked == depth) {
            return Ok(());
        }
        let recalled = self.legs.round(depth, &mut Timings::default()).await?;
        self.found = Some((depth, fuse(recalled.dense.as_ref(), recalled.keyword.as_ref(), fusion)));
        Ok(())
    }
}

/// Joins rankings; the first has weight 1. What only another one has keeps no standing in the legs: it is the query
/// itself that they explain.
fn join(own: Vec<Fused>, others: &[(f64, &[Fused])]) -> Vec<Fused> {
    if others.is_empty() {
        return own;
    }
    let part = |weight: f64, index: usize| weight / (DAMPING + (index + 1) as f64);
    let mut scores = HashMap::new();
    for (index, hit) in own.iter().enumerate() {
        scores.insert(hit.key, part(1.0, index));
    }
    let mut all = own;
    for (weight, ranking) in others {
        for (index, hit) in ranking.iter().enumerate() {
            let score = scores.entry(hit.key).or_insert_with(|| {
                all.push(Fused { key: hit.key, score: 0.0, dense: None, keyword: None });
                0.0
            });
            *score += part(*weight, index);
        }
    }
    for hit in &mut all {
        hit.score = scores.get(&hit.key).copied().unwrap_or_default() as f32;
    }
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.key.cmp(&b.key)));
    all
}

#[cfg(test)]
mod tests {
    use wellspring_store::ChunkKey;

    use super::*;

    fn ranking(keys: &[i64]) -> Vec<Fused> {
        let hit = |key: &i64| Fused { key: ChunkKey(*key), score: 9.0, dense: None, keyword: None };
        keys.iter().map(hit).collect()
    }

    #[test]
    fn rankings_are_joined_by_hand() {
        let joined = join(ranking(&[1, 2]), &[(0.5, &ranking(&[3, 2]))]);
        // 1: 1/11; 2: 1/12 + 0.5/12; 3: 0.5/11.
        let expected = [(2, 1.5 / 12.0), (1, 1.0 / 11.0), (3, 0.5 / 11.0)];
        for (hit, (key, score)) in joined.iter().zip(expected) {
            assert!(hit.key.0 == key && (f64::from(hit.score) - score).abs() < 1e-7, "{hit:?}");
        }
        assert_eq!(joined.len(), 3);
    }

    #[test]
    fn without_another_ranking_nothing_changes() {
        assert_eq!(join(ranking(&[2, 1]), &[]), ranking(&[2, 1]));
    }
}
