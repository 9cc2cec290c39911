//! Retrieval measures with trec_eval's arithmetic: its order, its ties, its treatment of missing and unjudged documents.
//!
//! All values lie between 0 and 1. A document is relevant if its grade is at least 1; a grade below 0 counts as 0 (not
//! relevant, no gain). Unjudged documents are not relevant. Means are over every query of the qrels: one that the run
//! lacks counts 0, one that only the run has is left out (trec_eval's `-c`).

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, EvalError, Result};

/// Grades by document of one query.
pub type Judgements = HashMap<String, i32>;

/// Grades by query and document.
pub type Qrels = BTreeMap<String, Judgements>;

/// A ranking: documents with scores. [`sort_as_trec_eval`] puts it into the order in which it is judged.
pub type Ranking = Vec<(String, f32)>;

/// Rankings by query.
pub type Run = BTreeMap<String, Ranking>;

/// One measure, by the names that `ir_measures` gives them, in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// `ndcg@k`: discounted cumulative gain over the ideal one, both cut at k, with linear gain and a discount of
    /// log2(rank + 1) (Järvelin and Kekäläinen 2002, as trec_eval's `ndcg_cut`).
    Ndcg(usize),
    /// `recall@k`: relevant documents among the first k, over all relevant ones (`recall`).
    Recall(usize),
    /// `p@k`: relevant documents among the first k, over k, however few were retrieved (`P`).
    Precision(usize),
    /// `mrr@k`: one over the rank of the first relevant document among the first k, else 0 (`recip_rank`, cut).
    ReciprocalRank(usize),
    /// `map`: mean over all relevant documents of the precision at their ranks, 0 for those not retrieved (`map`).
    AveragePrecision,
    /// `hit@k`: 1 if a relevant document is among the first k, else 0 (`success`).
    Hit(usize),
    /// `judged@k`: documents with any judgement among the first k, over those (k, or fewer if fewer were retrieved): how far
    /// the other measures can be believed. (`ir_measures` orders ties by ascending id for this one measure only; here
    /// every measure sees the same order.)
    Judged(usize),
}

impl std::fmt::Display for Measure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ndcg(k) => write!(f, "ndcg@{k}"),
            Self::Recall(k) => write!(f, "recall@{k}"),
            Self::Precision(k) => write!(f, "p@{k}"),
            Self::ReciprocalRank(k) => write!(f, "mrr@{k}"),
            Self::AveragePrecision => f.write_str("map"),
            Self::Hit(k) => write!(f, "hit@{k}"),
            Self::Judged(k) => write!(f, "judged@{k}"),
        }
    }
}

impl std::str::FromStr for Measure {
    type Err = EvalError;

    fn from_str(name: &str) -> Result<Self> {
        let lower = name.to_ascii_lowercase();
        if matches!(lower.as_str(), "map" | "ap") {
            return Ok(Self::AveragePrecision);
        }
        let known = lower.split_once('@').and_then(|(base, k)| {
            let k: usize = k.parse().ok().filter(|k| *k > 0)?;
            match base {
                "ndcg" => Some(Self::Ndcg(k)),
                "recall" | "r" => Some(Self::Recall(k)),
                "p" => Some(Self::Precision(k)),
                "mrr" | "rr" => Some(Self::ReciprocalRank(k)),
                "hit" | "success" => Some(Self::Hit(k)),
                "judged" => Some(Self::Judged(k)),
                _ => None,
            }
        });
        known.ok_or_else(|| {
            EvalError::new(
                ErrorKind::Invalid,
                format!("`{name}` is not a measure; there are ndcg@k, recall@k, p@k, mrr@k, map, hit@k and judged@k, k ≥ 1"),
            )
        })
    }
}

/// What `eval retrieval` reports unless told otherwise.
pub const DEFAULT_MEASURES: &[Measure] = &[
    Measure::Ndcg(10),
    Measure::Recall(10),
    Measure::Recall(100),
    Measure::ReciprocalRank(10),
    Measure::AveragePrecision,
    Measure::Precision(5),
    Measure::Precision(10),
    Measure::Hit(5),
    Measure::Judged(10),
];

/// Puts a ranking into the order in which trec_eval judges it: score as a 32-bit number descending, then document id
/// descending (by bytes). The rank column of a run file plays no part.
pub fn sort_as_trec_eval(ranking: &mut Ranking) {
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
}

/// One query's value.
///
/// `ranking` must be in [`sort_as_trec_eval`]'s order, without a document twice.
pub fn query_value(measure: Measure, judgements: &Judgements, ranking: &[(String, f32)]) -> f64 {
    let grade = |id: &String| judgements.get(id).copied().unwrap_or(0).max(0);
    let relevant = judgements.values().filter(|grade| **grade > 0).count();
    let hits = |k: usize| ranking.iter().take(k).filter(|(id, _)| grade(id) > 0).count();
    match measure {
        Measure::Ndcg(k) => {
            let gains = ranking.iter().take(k).map(|(id, _)| grade(id));
            let mut ideal: Vec<i32> = judgements.values().copied().filter(|grade| *grade > 0).collect();
            ideal.sort_unstable_by(|a, b| b.cmp(a));
            ratio(discounted(gains), discounted(ideal.into_iter().take(k)))
        }
        Measure::Recall(k) => ratio(hits(k) as f64, relevant as f64),
        Measure::Precision(k) => hits(k) as f64 / k as f64,
        Measure::ReciprocalRank(k) => {
            ranking.iter().take(k).position(|(id, _)| grade(id) > 0).map_or(0.0, |at| 1.0 / (at + 1) as f64)
        }
        Measure::AveragePrecision => {
            let mut found = 0_usize;
            let mut sum = 0.0;
            for (at, (id, _)) in ranking.iter().enumerate() {
                if grade(id) > 0 {
                    found += 1;
                    sum += found as f64 / (at + 1) as f64;
                }
            }
            ratio(sum, relevant as f64)
        }
        Measure::Hit(k) => f64::from(u8::from(hits(k) > 0)),
        Measure::Judged(k) => {
            let judged = ranking.iter().take(k).filter(|(id, _)| judgements.contains_key(id)).count();
            ratio(judged as f64, ranking.len().min(k) as f64)
        }
    }
}

fn discounted(gains: impl Iterator<Item = i32>) -> f64 {
    gains.enumerate().map(|(at, gain)| f64::from(gain) / ((at + 2) as f64).log2()).sum()
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Values of every query of the qrels and their means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Mean over the queries, by measure name.
    pub metrics: BTreeMap<String, f64>,
    /// Queries the means are over.
    pub queries: usize,
    /// Values by query, then by measure name.
    pub per_query: BTreeMap<String, BTreeMap<String, f64>>,
    /// Judged queries that the run lacks; they count 0.
    pub missing: Vec<String>,
}

/// Scores a run. Rankings are re-sorted as trec_eval does; a document twice in one ranking is `Invalid`.
pub fn score(qrels: &Qrels, run: &Run, measures: &[Measure]) -> Result<Scores> {
    let mut per_query = BTreeMap::new();
    let mut sums: BTreeMap<String, f64> = measures.iter().map(|m| (m.to_string(), 0.0)).collect();
    let mut missing = Vec::new();
    for (query, judgements) in qrels {
        let mut ranking = match run.get(query) {
            Some(ranking) => ranking.clone(),
            None => {
                missing.push(query.clone());
                Vec::new()
            }
        };
        sort_as_trec_eval(&mut ranking);
        let mut seen = std::collections::HashSet::with_capacity(ranking.len());
        if let Some((twice, _)) = ranking.iter().find(|(id, _)| !seen.insert(id.as_str())) {
            return Err(EvalError::new(
                ErrorKind::Invalid,
                format!("the run has document `{twice}` twice for query `{query}`"),
            ));
        }
        let mut values = BTreeMap::new();
        for measure in measures {
            let value = query_value(*measure, judgements, &ranking);
            *sums.entry(measure.to_string()).or_default() += value;
            values.insert(measure.to_string(), value);
        }
        per_query.insert(query.clone(), values);
    }
    let queries = qrels.len();
    let metrics = sums.into_iter().map(|(name, sum)| (name, ratio(sum, queries as f64))).collect();
    Ok(Scores { metrics, queries, per_query, missing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(ids: &[(&str, f32)]) -> Ranking {
        ids.iter().map(|(id, score)| ((*id).to_owned(), *score)).collect()
    }

    #[test]
    fn ties_are_ordered_by_descending_id_in_32_bits() {
        // The two scores differ as 64-bit numbers only, so they tie.
        let mut run = ranking(&[("a", 0.1_f64 as f32), ("b", (0.1_f64 + 1e-12) as f32), ("c", 1.0)]);
        sort_as_trec_eval(&mut run);
        assert_eq!(run.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
    }

    #[test]
    fn a_query_without_relevant_documents_counts_zero() {
        let qrels = Qrels::from([("q".to_owned(), Judgements::from([("d".to_owned(), 0)]))]);
        let run = Run::from([("q".to_owned(), ranking(&[("d", 1.0)]))]);
        let scores = score(&qrels, &run, DEFAULT_MEASURES).unwrap();
        assert_eq!(scores.metrics["ndcg@10"], 0.0);
        assert_eq!(scores.metrics["judged@10"], 1.0);
        assert_eq!(scores.queries, 1);
    }

    #[test]
    fn a_document_twice_is_refused() {
        let qrels = Qrels::from([("q".to_owned(), Judgements::from([("d".to_owned(), 1)]))]);
        let run = Run::from([("q".to_owned(), ranking(&[("d", 1.0), ("d", 0.5)]))]);
        assert_eq!(score(&qrels, &run, DEFAULT_MEASURES).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn measure_names_round_trip() {
        for measure in DEFAULT_MEASURES {
            assert_eq!(measure.to_string().parse::<Measure>().unwrap(), *measure);
        }
        assert_eq!("nDCG@10".parse::<Measure>().unwrap(), Measure::Ndcg(10));
        for wrong in ["ndcg", "ndcg@0", "ndcg@x", "bleu@4", ""] {
            assert!(wrong.parse::<Measure>().is_err(), "{wrong}");
        }
    }
}
