//! Chooses a configuration by nested cross-validation, reports the honest gain, and recommends only what is significant.
//!
//! Per query and candidate there is one value. For each outer fold the candidate with the best mean on the *other* folds
//! is chosen, and its values on the fold itself are collected: so every query is scored by a choice that it had no part
//! in (Stone 1974; Cawley and Talbot, JMLR 11, 2010, on why the best mean over all queries flatters). Candidates have no
//! parameters of their own, so the inner choice needs no folds within the folds. The collected values are compared with
//! the default's. The whole is repeated over several shuffles and the median repetition is reported.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ablate::{Variant, variant};
use crate::error::{ErrorKind, EvalError, Result};
use crate::stats::{self, Difference, Seeded};

mod grid;

pub use grid::{Param, grid};

/// Outer folds.
pub const FOLDS: usize = 5;
/// Shuffles.
pub const REPETITIONS: usize = 5;
/// Fewest queries that folds are made of: below, a fold is a handful and the choice is noise.
pub const FEWEST_QUERIES: usize = 25;

/// What is tried: every fusion weight and reciprocal-rank constant at each title weight, pair of BM25's constants and
/// depth. The first is the default.
pub fn candidates() -> Result<Vec<Variant>> {
    let mut fusions = vec![("default fusion".to_owned(), String::new())];
    for percent in (0..=100).step_by(10) {
        let weight = f64::from(percent) / 100.0;
        fusions.push((
            format!("weight {weight:.1}"),
            format!("retrieve.fusion = {{ method = 'convex', weight = {weight:.1} }}\n"),
        ));
    }
    for k in [10, 60] {
        fusions.push((format!("rrf {k}"), format!("retrieve.fusion = {{ method = 'rrf', k = {k} }}\n")));
    }
    let others = [
        ("", ""),
        (", titles 0.25", "retrieve.keyword.title = 0.25\n"),
        (", titles 0.5", "retrieve.keyword.title = 0.5\n"),
        (", k1 0.9 b 0.4", "retrieve.keyword = { k1 = 0.9, b = 0.4 }\n"),
        (", k1 0.9 b 0.75", "retrieve.keyword = { k1 = 0.9, b = 0.75 }\n"),
        (", depth 1000", "retrieve.depth = 1000\n"),
        (", true scores", "retrieve.missing = 'exact'\n"),
    ];
    let mut all = Vec::new();
    for (other, switched) in others {
        for (fusion, toml) in &fusions {
            all.push(variant(&format!("{fusion}{other}"), &format!("{toml}{switched}"))?);
        }
    }
    Ok(all)
}

/// What tuning found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// The measure that was maximised.
    pub measure: String,
    /// Queries.
    pub queries: usize,
    /// Candidates tried, the default included.
    pub candidates: usize,
    /// The candidate with the best mean over all queries.
    pub best: String,
    /// The default's mean.
    pub default_mean: f64,
    /// That candidate's mean over all queries: flattering, since they chose it.
    pub best_mean: f64,
    /// How the held-out values differ from the default's: the honest gain.
    pub held_out: Difference,
    /// How often each candidate was chosen, over all folds and shuffles.
    pub chosen: BTreeMap<String, usize>,
    /// Whether the best candidate is recommended: the held-out gain is positive and significant.
    pub recommended: bool,
    /// Why, in words.
    pub reason: String,
}

/// `Invalid` for fewer queries than [`FEWEST_QUERIES`]: known before anything is evaluated.
pub fn check(queries: usize) -> Result<()> {
    if queries >= FEWEST_QUERIES {
        return Ok(());
    }
    Err(EvalError::new(
        ErrorKind::Invalid,
        format!("tuning needs {FEWEST_QUERIES} or more judged queries; there are {queries}"),
    ))
}

/// Tunes. `values[c][q]` is candidate c's value of query q; candidate 0 is the default and wins ties.
pub fn tune(names: &[String], values: &[Vec<f64>], measure: &str, alpha: f64, seed: u64) -> Result<Tuning> {
    let invalid = |what: &str| EvalError::new(ErrorKind::Invalid, what);
    let Some(default) = values.first().filter(|_| values.len() == names.len() && values.len() > 1) else {
        return Err(invalid("tuning needs a default and at least one other candidate"));
    };
    let queries = default.len();
    check(queries)?;
    if values.iter().any(|of| of.len() != queries) {
        return Err(invalid("tuning needs the same queries for every candidate"));
    }
    let mut chosen: BTreeMap<String, usize> = BTreeMap::new();
    let mut repetitions = Vec::with_capacity(REPETITIONS);
    let mut seeded = Seeded::new(seed);
    for _ in 0..REPETITIONS {
        let mut order: Vec<usize> = (0..queries).collect();
        seeded.shuffle(&mut order);
        let mut held_out = vec![0.0; queries];
        for fold in 0..FOLDS {
            let (test, train): (Vec<_>, Vec<_>) =
                order.iter().enumerate().partition(|(at, _)| at % FOLDS == fold);
            let train: Vec<usize> = train.into_iter().map(|(_, query)| *query).collect();
            let winner = best(values, &train);
            *chosen.entry(names[winner].clone()).or_default() += 1;
            for (_, query) in test {
                held_out[*query] = values[winner][*query];
            }
        }
        let difference =
            Difference::of(default, &held_out, seed).ok_or_else(|| invalid("there is no query"))?;
        repetitions.push(difference);
    }
    repetitions.sort_by(|a, b| a.mean.total_cmp(&b.mean));
    let held_out = repetitions.swap_remove(REPETITIONS / 2);
    let everything: Vec<usize> = (0..queries).collect();
    let winner = best(values, &everything);
    let recommended = winner != 0 && held_out.mean > 0.0 && held_out.p < alpha;
    let reason = if winner == 0 {
        "no candidate is better than the default".to_owned()
    } else if recommended {
        format!(
            "on queries that had no part in the choice it gains {:+.4} (p = {:.4})",
            held_out.mean, held_out.p
        )
    } else {
        format!(
            "on queries that had no part in the choice the difference is {:+.4} (p = {:.4}): not beyond chance; {} \
             queries can show {}",
            held_out.mean,
            held_out.p,
            queries,
            stats::shown(held_out.detectable, 4)
        )
    };
    Ok(Tuning {
        measure: measure.to_owned(),
        queries,
        candidates: values.len(),
        best: names[winner].clone(),
        default_mean: stats::mean(default),
        best_mean: stats::mean(&values[winner]),
        held_out,
        chosen,
        recommended,
        reason,
    })
}

/// The candidate with the best mean over these queries; the earlier one of equals.
fn best(values: &[Vec<f64>], queries: &[usize]) -> usize {
    let mean = |candidate: &Vec<f64>| queries.iter().map(|query| candidate[*query]).sum::<f64>();
    let mut winner = 0;
    for candidate in 1..values.len() {
        if mean(&values[candidate]) > mean(&values[winner]) + 1e-12 {
            winner = candidate;
        }
    }
    winner
}

/// The recommendation as a configuration fragment for `--config`, with the figures behind it as comments.
pub fn fragment(tuning: &Tuning, variant: &Variant, dataset: &str) -> Result<String> {
    let mut text = format!(
        "# Chosen by `wellspring eval tune` on {dataset} ({} queries): {}.\n# {} {:.4} → {:.4} on all queries; {}.\n",
        tuning.queries, tuning.best, tuning.measure, tuning.default_mean, tuning.best_mean, tuning.reason
    );
    let settings = toml::to_string(&variant.switches.settings).map_err(|e| {
        EvalError::new(ErrorKind::Invalid, "the settings can't be written as TOML").with_source(e)
    })?;
    text.push_str(&settings);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("c{at}")).collect()
    }

    #[test]
    fn candidates_read_and_begin_with_the_default() {
        let all = candidates().unwrap();
        assert_eq!(all.len(), 98);
        assert!(all[0].switches.settings.is_empty());
        let names: std::collections::BTreeSet<_> = all.iter().map(|v| &v.name).collect();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn a_real_gain_is_recommended() {
        let mut seeded = Seeded::new(5);
        let mut draw = || seeded.below(1000) as f64 / 1000.0;
        let default: Vec<f64> = (0..100).map(|_| draw() * 0.5).collect();
        let better: Vec<f64> = default.iter().map(|value| value + 0.1 * draw()).collect();
        let noise: Vec<f64> = default.iter().map(|value| value + 0.02 * (draw() - 0.5)).collect();
        let tuning = tune(&names(3), &[default, better, noise], "ndcg@10", 0.05, 1).unwrap();
        assert!(tuning.recommended && tuning.best == "c1", "{tuning:?}");
        assert_eq!(tuning.chosen, BTreeMap::from([("c1".to_owned(), FOLDS * REPETITIONS)]));
        let text = fragment(&tuning, &variant("c1", "retrieve.depth = 7").unwrap(), "set").unwrap();
        assert!(text.contains("[retrieve]\ndepth = 7\n"), "{text}");
    }

    #[test]
    fn noise_is_not_recommended_however_good_its_mean() {
        // Forty candidates that are the default plus noise: one of them always looks better over all queries.
        let recommended = (0..10_u64)
            .filter(|seed| {
                let mut seeded = Seeded::new(100 + seed);
                let mut draw = || seeded.below(1000) as f64 / 1000.0;
                let default: Vec<f64> = (0..100).map(|_| draw()).collect();
                let mut values = vec![default.clone()];
                for _ in 0..40 {
                    values.push(default.iter().map(|value| value + 0.2 * (draw() - 0.5)).collect());
                }
                let tuning = tune(&names(41), &values, "ndcg@10", 0.05, *seed).unwrap();
                assert!(tuning.best_mean > tuning.default_mean, "the flattering figure");
                tuning.recommended
            })
            .count();
        assert!(recommended <= 1, "{recommended} of 10");
    }

    #[test]
    fn too_little_is_refused_and_ties_keep_the_default() {
        let few = vec![vec![0.5; 10]; 2];
        assert!(tune(&names(2), &few, "map", 0.05, 1).is_err());
        let equal = vec![vec![0.5; 50]; 3];
        let tuning = tune(&names(3), &equal, "map", 0.05, 1).unwrap();
        assert!(!tuning.recommended && tuning.best == "c0");
        assert!(tune(&names(1), &equal[..1], "map", 0.05, 1).is_err());
    }
}
