//! Looks again at the best hits with signals that are too dear for all of them, and blends those with the fused score.
//!
//! Over the hits looked at, `score = (1 − Σ wᵢ) · z(fused) + Σ wᵢ · z(signalᵢ)`, `z(s) = (s − mean) / deviation`. Hits
//! further down keep their order below them. Signals are late interaction (`late`) and proximity (`proximity`).

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wellspring_models::Embedder;

use crate::blocking::blocking;
use crate::config::within;
use crate::error::{ErrorKind, Result, RetrieveError};
use crate::explain::{Degraded, Timings};
use crate::passage::Passage;

pub(crate) mod late;
pub(crate) mod proximity;

use late::TokenMemory;

/// Settings of the stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefineConfig {
    /// Hits that are looked at, 1 to 1000.
    pub candidates: usize,
    /// Weight of late interaction, 0 to 1: every token of the query compared with every token of the passage. 0 is off.
    pub late: f64,
    /// Weight of the nearness and order of the query's words, 0 to 1. 0 is off.
    pub proximity: f64,
    /// Milliseconds the stage may take, 1 to 60 000; the fused order stands if it takes longer.
    pub budget_ms: u64,
    /// Bytes of token vectors kept in memory for the next queries, one per component of a token.
    pub cache_bytes: u64,
}

impl Default for RefineConfig {
    fn default() -> Self {
        Self { candidates: 50, late: 0.0, proximity: 0.0, budget_ms: 1_500, cache_bytes: 256 << 20 }
    }
}

impl RefineConfig {
    /// `Invalid` names the setting and its range.
    pub(crate) fn check(&self) -> Result<()> {
        within("refine.candidates", self.candidates as u64, 1, 1_000)?;
        within("refine.budget_ms", self.budget_ms, 1, 60_000)?;
        let range = 0.0..=1.0;
        if range.contains(&self.late)
            && range.contains(&self.proximity)
            && range.contains(&(self.late + self.proximity))
        {
            return Ok(());
        }
        Err(RetrieveError::new(
            ErrorKind::Invalid,
            format!(
                "`refine.late` is {} and `refine.proximity` is {}; each and their sum must be 0 to 1",
                self.late, self.proximity
            ),
        ))
    }

    /// Whether the stage does anything.
    pub(crate) fn is_on(&self) -> bool {
        self.late > 0.0 || self.proximity > 0.0
    }
}

/// Reorders the first `candidates` hits (score descending, then chunk key ascending). A signal that could not be had
/// leaves the order to the others, and the reason is returned.
pub(crate) async fn refine(
    settings: &RefineConfig,
    embedder: Result<std::sync::Arc<dyn Embedder>>,
    memory: &TokenMemory,
    query: &str,
    hits: &mut [Passage],
    timings: &mut Timings,
) -> Option<Degraded> {
    let (head, tail) = hits.split_at_mut(settings.candidates.min(hits.len()));
    if head.len() < 2 {
        return None;
    }
    let mut degraded = None;
    let mut signals: Vec<(f64, Vec<f64>)> = Vec::new();
    if settings.late > 0.0 {
        let stage = Instant::now();
        let budget = Duration::from_millis(settings.budget_ms);
        match late::similarities(embedder, memory, query, head, budget).await {
            Ok(similarities) => {
                for (hit, similarity) in head.iter_mut().zip(&similarities) {
                    if let Some(explain) = &mut hit.explain {
                        explain.late = Some(*similarity as f32);
                    }
                }
                signals.push((settings.late, similarities));
            }
            Err(error) => {
                let reason = format!("{error}; hits are ordered without late interaction");
                degraded = Some(Degraded { leg: "late".to_owned(), reason });
            }
        }
        timings.add("late", stage);
    }
    if settings.proximity > 0.0 {
        let stage = Instant::now();
        let (asked, read) = (query.to_owned(), head.to_vec());
        match blocking("comparing the words of the hits", move || proximity::nearness(&asked, &read)).await {
            Ok(nearness) => {
                for (hit, nearness) in head.iter_mut().zip(&nearness) {
                    if let Some(explain) = &mut hit.explain {
                        explain.proximity = Some(*nearness as f32);
                    }
                }
                signals.push((settings.proximity, nearness));
            }
            Err(error) => {
                let reason = format!("{error}; hits are ordered without proximity");
                degraded = Some(Degraded { leg: "proximity".to_owned(), reason });
            }
        }
        timings.add("proximity", stage);
    }
    if !signals.is_empty() {
        blend(head, &signals);
        sink(head, tail);
    }
    degraded
}

fn blend(head: &mut [Passage], signals: &[(f64, Vec<f64>)]) {
    let left = 1.0 - signals.iter().map(|(weight, _)| weight).sum::<f64>();
    let fused: Vec<f64> = head.iter().map(|hit| f64::from(hit.score)).collect();
    let mut scores: Vec<f64> = z_scores(&fused).into_iter().map(|z| left * z).collect();
    for (weight, signal) in signals {
        for (score, z) in scores.iter_mut().zip(z_scores(signal)) {
            *score += weight * z;
        }
    }
    for (hit, score) in head.iter_mut().zip(scores) {
        hit.score = score as f32;
    }
    head.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.place.key.cmp(&b.place.key)));
}

/// Hits that were not looked at keep their order and distances, below those that were.
pub(crate) fn sink(head: &[Passage], tail: &mut [Passage]) {
    if let (Some(last), Some(first)) = (head.last(), tail.first()) {
        let (lowest, highest) = (last.score.next_down(), first.score);
        for hit in tail {
            hit.score = lowest - (highest - hit.score);
        }
    }
}

/// Values that are all the same have z = 0: they say nothing about order.
fn z_scores(values: &[f64]) -> Vec<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    if deviation <= 1e-9 * mean.abs().max(1.0) {
        return vec![0.0; values.len()];
    }
    values.iter().map(|v| (v - mean) / deviation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z_scores_have_mean_0_and_deviation_1() {
        let z = z_scores(&[1.0, 2.0, 3.0, 6.0]);
        assert!(z.iter().sum::<f64>().abs() < 1e-12);
        assert!((z.iter().map(|z| z * z).sum::<f64>() / 4.0 - 1.0).abs() < 1e-12);
        assert_eq!(z_scores(&[0.3; 3]), [0.0; 3]);
    }

    #[test]
    fn weights_above_one_in_sum_are_refused() {
        assert!(RefineConfig { late: 0.6, proximity: 0.5, ..RefineConfig::default() }.check().is_err());
        assert!(RefineConfig { late: -0.1, ..RefineConfig::default() }.check().is_err());
        assert!(RefineConfig { late: 0.5, proximity: 0.1, ..RefineConfig::default() }.check().is_ok());
        assert!(!RefineConfig::default().is_on());
    }
}
