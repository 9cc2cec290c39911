//! Variants over several datasets together: the mean in which every dataset counts the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::compare::System;
use crate::error::{ErrorKind, EvalError, Result};
use crate::stats::{holm, mean, paired_randomisation};

/// One variant against the default, over all datasets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overall {
    /// The variant's name.
    pub name: String,
    /// By measure name.
    pub measures: BTreeMap<String, Together>,
}

/// One measure over all datasets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Together {
    /// The default's mean over the datasets' means.
    pub baseline: f64,
    /// The variant's.
    pub system: f64,
    /// The variant's less the default's.
    pub difference: f64,
    /// Of the stratified paired randomisation test, two-sided: signs are drawn query by query, and the statistic is the mean
    /// over the datasets of their mean differences.
    pub p: f64,
    /// The same after Holm's correction over all variants and measures.
    pub p_holm: f64,
    /// The variant's mean less the default's on the dataset where it does worst.
    pub worst: f64,
}

/// Every further system against the first one. `sets` are the systems on each dataset, in the same order and by the same
/// names; measures that a dataset lacks are `Invalid`.
pub fn overall(sets: &[Vec<System>], measures: &[String], seed: u64) -> Result<Vec<Overall>> {
    let Some(first) = sets.first().filter(|systems| systems.len() > 1) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (place, system) in first.iter().enumerate().skip(1) {
        let mut together = BTreeMap::new();
        for measure in measures {
            let pairs: Vec<(Vec<f64>, Vec<f64>)> =
                sets.iter().map(|systems| pair(systems, place, measure)).collect::<Result<_>>()?;
            together.insert(measure.clone(), of(&pairs, seed));
        }
        found.push(Overall { name: system.name.clone(), measures: together });
    }
    let corrected = holm(&found.iter().flat_map(|o| o.measures.values().map(|t| t.p)).collect::<Vec<_>>());
    for (together, p) in found.iter_mut().flat_map(|o| o.measures.values_mut()).zip(corrected) {
        together.p_holm = p;
    }
    Ok(found)
}

fn pair(systems: &[System], place: usize, measure: &str) -> Result<(Vec<f64>, Vec<f64>)> {
    let values = |place: usize| systems.get(place).and_then(|system| system.scores.values(measure));
    match (values(0), values(place)) {
        (Some(a), Some(b)) if a.len() == b.len() => Ok((a, b)),
        _ => Err(EvalError::new(
            ErrorKind::Invalid,
            format!("`{measure}` was not measured over the same queries in every dataset"),
        )),
    }
}

fn of(pairs: &[(Vec<f64>, Vec<f64>)], seed: u64) -> Together {
    let sets = pairs.len() as f64;
    let baseline = pairs.iter().map(|(a, _)| mean(a)).sum::<f64>() / sets;
    let system = pairs.iter().map(|(_, b)| mean(b)).sum::<f64>() / sets;
    // Scaled so that their sum is the statistic: a dataset with few queries weighs as much as one with many.
    let differences: Vec<f64> = pairs
        .iter()
        .flat_map(|(a, b)| {
            let queries = a.len() as f64;
            a.iter().zip(b).map(move |(a, b)| (b - a) / (queries * sets))
        })
        .collect();
    Together {
        baseline,
        system,
        difference: system - baseline,
        p: paired_randomisation(&differences, seed).0,
        p_holm: 1.0,
        worst: pairs.iter().map(|(a, b)| mean(b) - mean(a)).fold(f64::INFINITY, f64::min),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Scores;

    fn system(name: &str, values: &[f64]) -> System {
        let per_query = values
            .iter()
            .enumerate()
            .map(|(query, value)| (format!("q{query:03}"), BTreeMap::from([("ndcg@10".to_owned(), *value)])));
        let scores = Scores {
            metrics: BTreeMap::from([("ndcg@10".to_owned(), mean(values))]),
            per_query: per_query.collect(),
            queries: values.len(),
            intervals: BTreeMap::new(),
            missing: Vec::new(),
        };
        System { name: name.into(), scores, run: None }
    }

    #[test]
    fn every_dataset_counts_the_same() {
        let sets = [
            vec![system("default", &[0.5; 2]), system("other", &[0.9; 2])],
            vec![system("default", &[0.5; 40]), system("other", &[0.4; 40])],
        ];
        let found = overall(&sets, &["ndcg@10".to_owned()], 1).unwrap();
        let together = found[0].measures["ndcg@10"];
        assert!((together.difference - 0.15).abs() < 1e-12);
        assert!((together.system - 0.65).abs() < 1e-12 && (together.worst + 0.1).abs() < 1e-12);
        // Two queries carry the difference: of four assignments of their signs two are as extreme.
        assert!(together.p > 0.3, "{together:?}");
        let agreeing = [sets[1].clone(), sets[1].clone()];
        assert!(overall(&agreeing, &["ndcg@10".to_owned()], 1).unwrap()[0].measures["ndcg@10"].p < 0.001);
        assert!(overall(&sets, &["map".to_owned()], 1).is_err());
        assert!(overall(&[vec![system("alone", &[1.0])]], &["ndcg@10".to_owned()], 1).unwrap().is_empty());
    }
}
