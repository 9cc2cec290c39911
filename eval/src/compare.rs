//! Several systems over the same queries: which is better, by how much, and how sure that is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, EvalError, Result};
use crate::metrics::{Qrels, Run, Scores, sort_as_trec_eval};
use crate::stats::{self, Difference};

/// Chance that a difference is called significant though there is none, after Holm's correction.
pub const ALPHA: f64 = 0.05;

/// One system under comparison.
#[derive(Debug, Clone)]
pub struct System {
    /// What people call it.
    pub name: String,
    /// Its values.
    pub scores: Scores,
    /// Its rankings, where they are known: shown side by side for the queries that moved most.
    pub run: Option<Run>,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The system that the others are compared with.
    pub baseline: String,
    /// The others, in the order given.
    pub systems: Vec<Compared>,
    /// Queries.
    pub queries: usize,
    /// Of every resampling.
    pub seed: u64,
    /// Tests that Holm's correction was over: systems × measures.
    pub family: usize,
}

/// One system against the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The system.
    pub name: String,
    /// By measure name.
    pub measures: BTreeMap<String, Pair>,
    /// The queries that moved most in the first measure, furthest first.
    pub moved: Vec<Moved>,
}

/// One measure of one system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The baseline's mean.
    pub baseline: f64,
    /// The system's mean.
    pub system: f64,
    /// How they differ.
    #[serde(flatten)]
    pub difference: Difference,
    /// Pearson's correlation of the two systems' values; `None` where one does not vary.
    pub correlation: Option<f64>,
}

/// A query that moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// The query's id.
    pub query: String,
    /// The baseline's value.
    pub baseline: f64,
    /// The system's value.
    pub system: f64,
    /// The two rankings' first places side by side; empty where the rankings are not known.
    pub places: Vec<Place>,
}

/// A document in a ranking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranked {
    /// Its id.
    pub document: String,
    /// Its grade; `None` for unjudged.
    pub grade: Option<i32>,
}

/// One rank of two rankings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// From 1.
    pub rank: usize,
    /// Of the baseline.
    pub baseline: Option<Ranked>,
    /// Of the system.
    pub system: Option<Ranked>,
}

/// What is shown of the queries that moved.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// Queries per system.
    pub queries: usize,
    /// Ranks of each.
    pub ranks: usize,
}

impl Default for Shown {
    fn default() -> Self {
        Self { queries: 10, ranks: 5 }
    }
}

/// Compares every further system with the first one on these measures (names as in JSON), with Holm's correction over all
/// systems and measures. `Invalid` if the systems were not scored over the same queries or lack a measure.
pub fn compare(
    systems: &[System],
    measures: &[String],
    qrels: Option<&Qrels>,
    seed: u64,
    shown: Shown,
) -> Result<Comparison> {
    let Some((baseline, others)) = systems.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Err(EvalError::new(ErrorKind::Invalid, "a comparison needs at least two systems"));
    };
    let mut compared = Vec::with_capacity(others.len());
    for other in others {
        let mut pairs = BTreeMap::new();
        for measure in measures {
            let (a, b) = paired(baseline, other, measure)?;
            let Some(difference) = Difference::of(&a, &b, seed) else {
                return Err(EvalError::new(ErrorKind::Invalid, "there is no query to compare"));
            };
            pairs.insert(
                measure.clone(),
                Pair {
                    baseline: stats::mean(&a),
                    system: stats::mean(&b),
                    difference,
                    correlation: correlation(&a, &b),
                },
            );
        }
        let moved =
            measures.first().map_or_else(Vec::new, |first| moved(baseline, other, first, qrels, shown));
        compared.push(Compared { name: other.name.clone(), measures: pairs, moved });
    }
    let family = compared.iter_mut().flat_map(|system| system.measures.values_mut());
    stats::correct(family.map(|pair| &mut pair.difference));
    Ok(Comparison {
        baseline: baseline.name.clone(),
        family: compared.iter().map(|system| system.measures.len()).sum(),
        systems: compared,
        queries: baseline.scores.queries,
        seed,
    })
}

fn paired(a: &System, b: &System, measure: &str) -> Result<(Vec<f64>, Vec<f64>)> {
    if !a.scores.per_query.keys().eq(b.scores.per_query.keys()) {
        return Err(EvalError::new(
            ErrorKind::Invalid,
            format!(
                "`{}` and `{}` were not scored over the same queries, so they can't be compared",
                a.name, b.name
            ),
        ));
    }
    let values = |system: &System| {
        system.scores.values(measure).ok_or_else(|| {
            EvalError::new(
                ErrorKind::Invalid,
                format!("`{}` was not measured for `{}`", measure, system.name),
            )
        })
    };
    Ok((values(a)?, values(b)?))
}

fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mean_a, mean_b) = (stats::mean(a), stats::mean(b));
    let spread = stats::deviation(a) * stats::deviation(b);
    let covariance: f64 = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum();
    (spread > 1e-12).then(|| covariance / (a.len() - 1) as f64 / spread)
}

fn moved(a: &System, b: &System, measure: &str, qrels: Option<&Qrels>, shown: Shown) -> Vec<Moved> {
    let value = |system: &System, query: &str| {
        system.scores.per_query.get(query).and_then(|values| values.get(measure)).copied().unwrap_or(0.0)
    };
    let mut moved: Vec<(f64, &String)> = a
        .scores
        .per_query
        .keys()
        .map(|query| ((value(b, query) - value(a, query)).abs(), query))
        .filter(|(by, _)| *by > 1e-9)
        .collect();
    moved.sort_by(|x, y| y.0.total_cmp(&x.0).then_with(|| x.1.cmp(y.1)));
    moved
        .into_iter()
        .take(shown.queries)
        .map(|(_, query)| Moved {
            query: query.clone(),
            baseline: value(a, query),
            system: value(b, query),
            places: places(a.run.as_ref(), b.run.as_ref(), query, qrels, shown.ranks),
        })
        .collect()
}

fn places(a: Option<&Run>, b: Option<&Run>, query: &str, qrels: Option<&Qrels>, ranks: usize) -> Vec<Place> {
    let (Some(a), Some(b)) = (a, b) else { return Vec::new() };
    let ranking = |run: &Run| {
        let mut ranking = run.get(query).cloned().unwrap_or_default();
        sort_as_trec_eval(&mut ranking);
        ranking
    };
    let (a, b) = (ranking(a), ranking(b));
    let judged = qrels.and_then(|qrels| qrels.get(query));
    let at = |ranking: &[(String, f32)], rank: usize| {
        let (document, _) = ranking.get(rank)?;
        let grade = judged.and_then(|judged| judged.get(document)).copied();
        Some(Ranked { document: document.clone(), grade })
    };
    (0..ranks.min(a.len().max(b.len())))
        .map(|rank| Place { rank: rank + 1, baseline: at(&a, rank), system: at(&b, rank) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::score;

    fn run(rankings: &[(&str, &[&str])]) -> Run {
        rankings
            .iter()
            .map(|(query, ids)| {
                let ranking =
                    ids.iter().enumerate().map(|(at, id)| ((*id).to_owned(), 10.0 - at as f32)).collect();
                ((*query).to_owned(), ranking)
            })
            .collect()
    }

    fn system(name: &str, run: Run, qrels: &Qrels) -> System {
        let measures = ["ndcg@10".parse().unwrap(), "recall@10".parse().unwrap()];
        System { name: name.into(), scores: score(qrels, &run, &measures).unwrap(), run: Some(run) }
    }

    fn qrels() -> Qrels {
        (0..12)
            .map(|q| (format!("q{q:02}"), [("good".to_owned(), 1), ("bad".to_owned(), 0)].into()))
            .collect()
    }

    fn everywhere(ids: &[&str]) -> Run {
        let qrels = qrels();
        let rankings: Vec<_> = qrels.keys().map(|query| (query.as_str(), ids)).collect();
        run(&rankings)
    }

    #[test]
    fn the_better_system_is_told_and_shown() {
        let qrels = qrels();
        let systems = [
            system("a", everywhere(&["bad", "x", "good"]), &qrels),
            system("b", everywhere(&["good", "bad"]), &qrels),
        ];
        let measures = ["ndcg@10".to_owned(), "recall@10".to_owned()];
        let comparison = compare(&systems, &measures, Some(&qrels), 1, Shown::default()).unwrap();
        let ndcg = &comparison.systems[0].measures["ndcg@10"];
        assert_eq!((ndcg.baseline, ndcg.system, ndcg.difference.wins), (0.5, 1.0, 12));
        // Of 2¹² assignments only the two extreme ones reach the observed sum.
        assert_eq!(ndcg.difference.p, 2.0 / 4096.0);
        assert_eq!(ndcg.difference.p_holm, 4.0 / 4096.0, "the smaller of two p-values is doubled");
        assert!(ndcg.difference.is_significant(ALPHA));
        let recall = &comparison.systems[0].measures["recall@10"];
        assert_eq!((recall.difference.p_holm, recall.difference.ties), (1.0, 12));
        let moved = &comparison.systems[0].moved[0];
        assert_eq!(moved.query, "q00");
        assert_eq!(moved.places[0].baseline, Some(Ranked { document: "bad".into(), grade: Some(0) }));
        assert_eq!(moved.places[1].baseline, Some(Ranked { document: "x".into(), grade: None }));
        assert_eq!((&moved.places[2].system, comparison.family), (&None, 2));
    }

    #[test]
    fn what_cannot_be_paired_is_refused() {
        let (mut fewer, all) = (qrels(), qrels());
        fewer.remove("q03");
        let a = system("a", everywhere(&["good"]), &all);
        let b = system("b", everywhere(&["good"]), &fewer);
        let ndcg = ["ndcg@10".to_owned()];
        let error = compare(&[a.clone(), b], &ndcg, None, 1, Shown::default()).unwrap_err();
        assert!(error.to_string().contains("not scored over the same queries"), "{error}");
        let unmeasured = ["map".to_owned()];
        assert!(compare(&[a.clone(), a.clone()], &unmeasured, None, 1, Shown::default()).is_err());
        assert!(compare(&[a], &ndcg, None, 1, Shown::default()).is_err());
    }
}
