//! Whether two test sets over the same documents put configurations into the same order: synthetic against judged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ablate::{Variant, variant};
use crate::compare::ALPHA;
use crate::error::Result;
use crate::metrics::Scores;
use crate::stats::{self, Interval, Seeded, holm, kendall_tau, paired_randomisation};

/// Configurations that differ in what they rank, name and switches: legs, how they are fused, how documents are cut, and
/// what headings weigh. Fusions ask no index again.
const CONFIGURATIONS: &[(&str, &str)] = &[
    ("default", ""),
    ("keyword", "mode = 'keyword'"),
    ("dense", "mode = 'dense'"),
    ("weight 0.1", "retrieve.fusion = { method = 'convex', weight = 0.1 }"),
    ("weight 0.3", "retrieve.fusion = { method = 'convex', weight = 0.3 }"),
    ("weight 0.7", "retrieve.fusion = { method = 'convex', weight = 0.7 }"),
    ("weight 0.9", "retrieve.fusion = { method = 'convex', weight = 0.9 }"),
    ("rrf 10", "retrieve.fusion = { method = 'rrf', k = 10 }"),
    ("rrf 60", "retrieve.fusion = { method = 'rrf', k = 60 }"),
    ("whole, hybrid", "chunking = 'whole'"),
    ("whole, keyword", "chunking = 'whole'\nmode = 'keyword'"),
    ("whole, dense", "chunking = 'whole'\nmode = 'dense'"),
    ("chunks of 64, hybrid", "chunk_tokens = 64"),
    ("chunks of 64, keyword", "chunk_tokens = 64\nmode = 'keyword'"),
    ("chunks of 64, dense", "chunk_tokens = 64\nmode = 'dense'"),
    ("headings 0.5, hybrid", "retrieve.keyword.headings = 0.5"),
    ("headings 0.5, keyword", "retrieve.keyword.headings = 0.5\nmode = 'keyword'"),
];

/// Resamples of the queries of both sets.
const RESAMPLES: usize = 1_000;

/// What is evaluated under both sets. The default stands first.
pub fn configurations() -> Result<Vec<Variant>> {
    CONFIGURATIONS.iter().map(|(name, toml)| variant(name, toml)).collect()
}

/// One configuration under both sets.
#[derive(Debug, Clone)]
pub struct Both {
    /// Its name.
    pub name: String,
    /// Under judgements.
    pub judged: Scores,
    /// Under synthetic questions.
    pub made: Scores,
}

/// How far two sets agree in one measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// The measure's JSON name.
    pub measure: String,
    /// Name, mean under judgements, mean under synthetic questions; in the order given.
    pub configurations: Vec<(String, f64, f64)>,
    /// Kendall's τ-b of the two orders; `None` where one set ties them all.
    pub tau: Option<f64>,
    /// 95 % percentile interval of τ where the queries of both sets are resampled. Resampled orders are noisier than the
    /// observed ones, so it lies rather low.
    pub interval: Option<Interval>,
    /// Pairs that differ significantly under judgements (paired randomisation, 5 % after Holm's correction over all
    /// pairs): those whose order is known.
    pub significant: usize,
    /// How many of those the synthetic questions put into the same order.
    pub same: usize,
    /// `(same − other) / significant`: τ over those pairs only; `None` where no pair differs significantly.
    pub tau_significant: Option<f64>,
    /// Those of them that come in the other order: better under judgements, worse.
    pub turned: Vec<(String, String)>,
}

/// Compares the orders in one measure; `None` where a configuration lacks it.
pub fn agreement(systems: &[Both], measure: &str, seed: u64) -> Option<Agreement> {
    let values = |pick: fn(&Both) -> &Scores| -> Option<Vec<Vec<f64>>> {
        systems.iter().map(|system| pick(system).values(measure)).collect()
    };
    let (judged, made) = (values(|system| &system.judged)?, values(|system| &system.made)?);
    let means =
        |values: &[Vec<f64>]| -> Vec<f64> { values.iter().map(|of| rounded(stats::mean(of))).collect() };
    let (real, synthetic) = (means(&judged), means(&made));
    let mut found = Agreement {
        measure: measure.to_owned(),
        configurations: systems
            .iter()
            .zip(real.iter().zip(&synthetic))
            .map(|(system, (real, made))| (system.name.clone(), *real, *made))
            .collect(),
        tau: kendall_tau(&real, &synthetic),
        interval: interval(&judged, &made, seed),
        significant: 0,
        same: 0,
        tau_significant: None,
        turned: Vec::new(),
    };
    for (better, worse) in significant(&judged, seed) {
        found.significant += 1;
        if synthetic[better] > synthetic[worse] {
            found.same += 1;
        } else {
            found.turned.push((systems[better].name.clone(), systems[worse].name.clone()));
        }
    }
    if found.significant > 0 {
        let other = found.significant - found.same;
        found.tau_significant = Some((found.same as f64 - other as f64) / found.significant as f64);
    }
    Some(found)
}

/// Means that differ in the last digits of a sum are a tie.
fn rounded(mean: f64) -> f64 {
    (mean * 1e9).round() / 1e9
}

fn interval(judged: &[Vec<f64>], made: &[Vec<f64>], seed: u64) -> Option<Interval> {
    let mut seeded = Seeded::new(seed);
    let mut taus: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let (real, synthetic) = (resampled(judged, &mut seeded), resampled(made, &mut seeded));
            kendall_tau(&real, &synthetic)
        })
        .collect();
    Interval::of_resamples(&mut taus)
}

/// Every configuration's mean over the same drawn queries.
fn resampled(values: &[Vec<f64>], seeded: &mut Seeded) -> Vec<f64> {
    let queries = values.first().map_or(0, Vec::len);
    let drawn: Vec<usize> = (0..queries).map(|_| seeded.below(queries)).collect();
    values.iter().map(|of| rounded(drawn.iter().map(|at| of[*at]).sum::<f64>() / queries as f64)).collect()
}

/// Pairs of configurations, the better first, that differ significantly.
fn significant(values: &[Vec<f64>], seed: u64) -> Vec<(usize, usize)> {
    let mut pairs = BTreeMap::new();
    for first in 0..values.len() {
        for second in 0..first {
            let differences: Vec<f64> =
                values[first].iter().zip(&values[second]).map(|(a, b)| rounded(a - b)).collect();
            pairs.insert(
                (first, second),
                (paired_randomisation(&differences, seed).0, stats::mean(&differences)),
            );
        }
    }
    let adjusted = holm(&pairs.values().map(|(p, _)| *p).collect::<Vec<_>>());
    let known = pairs.into_iter().zip(adjusted).filter(|(_, p)| *p < ALPHA);
    known
        .map(|(((first, second), (_, mean)), _)| if mean > 0.0 { (first, second) } else { (second, first) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Scores;

    fn scores(value: impl Fn(usize) -> f64) -> Scores {
        let per_query: BTreeMap<String, BTreeMap<String, f64>> =
            (0..60).map(|q| (format!("q{q:02}"), BTreeMap::from([("map".to_owned(), value(q))]))).collect();
        Scores {
            metrics: BTreeMap::new(),
            intervals: BTreeMap::new(),
            queries: per_query.len(),
            per_query,
            missing: Vec::new(),
        }
    }

    /// Values around `mean` that differ from query to query.
    fn around(mean: f64) -> Scores {
        scores(move |query| mean + 0.01 * (query % 7) as f64)
    }

    fn system(name: &str, judged: f64, made: f64) -> Both {
        Both { name: name.into(), judged: around(judged), made: around(made) }
    }

    #[test]
    fn the_same_order_agrees_and_a_turned_pair_is_named() {
        let systems = [system("a", 0.1, 0.5), system("b", 0.3, 0.6), system("c", 0.4, 0.7)];
        let found = agreement(&systems, "map", 1).unwrap();
        assert_eq!((found.tau, found.significant, found.same), (Some(1.0), 3, 3));
        assert_eq!(found.tau_significant, Some(1.0));
        let turned = [system("a", 0.1, 0.5), system("b", 0.3, 0.8), system("c", 0.4, 0.7)];
        let found = agreement(&turned, "map", 1).unwrap();
        assert!((found.tau.unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(found.turned, [("c".to_owned(), "b".to_owned())]);
        assert!(agreement(&turned, "ndcg@10", 1).is_none());
    }

    #[test]
    fn what_differs_by_chance_has_no_known_order() {
        let noisy = |seed: u64| {
            let mut seeded = Seeded::new(seed);
            let drawn: Vec<f64> = (0..60).map(|_| seeded.below(1000) as f64 / 1000.0).collect();
            Both { name: seed.to_string(), judged: scores(|q| drawn[q]), made: scores(|q| drawn[59 - q]) }
        };
        let found = agreement(&[noisy(1), noisy(2), noisy(3)], "map", 1).unwrap();
        assert_eq!((found.significant, found.tau_significant), (0, None));
        let interval = found.interval.unwrap();
        assert!(interval.low < 0.0 && interval.high > 0.9, "three orders of noise: {interval:?}");
    }

    #[test]
    fn configurations_read_and_differ() {
        let all = configurations().unwrap();
        assert!(all.len() >= 8 && all[0].switches == crate::engine::Switches::default());
        assert!(all.iter().enumerate().all(|(at, one)| all[..at].iter().all(|o| o.switches != one.switches)));
    }
}
