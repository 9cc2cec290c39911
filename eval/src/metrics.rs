//! Retrieval measures with trec_eval's arithmetic: its order, its ties, its treatment of missing and unjudged documents.
//!
//! A document is relevant if its grade is at least the measure's level; a grade below 0 counts as 0 (not relevant, no
//! gain). Unjudged documents are not relevant. Means are over every query of the qrels (macro): one that the run lacks
//! counts 0, one that only the run has is left out (trec_eval's `-c`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, EvalError, Result};
use crate::measure::{Kind, Measure};
use crate::stats::Interval;

/// Grades by document of one query.
pub type Judgements = HashMap<String, i32>;

/// Grades by query and document.
pub type Qrels = BTreeMap<String, Judgements>;

/// A ranking: documents with scores. [`sort_as_trec_eval`] puts it into the order in which it is judged.
pub type Ranking = Vec<(String, f32)>;

/// Rankings by query.
pub type Run = BTreeMap<String, Ranking>;

/// Puts a ranking into the order in which trec_eval judges it: score as a 32-bit number descending, then document id
/// descending (by bytes). The rank column of a run file plays no part.
pub fn sort_as_trec_eval(ranking: &mut Ranking) {
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
}

/// One query's value.
///
/// `ranking` must be in [`sort_as_trec_eval`]'s order, without a document twice.
pub fn query_value(measure: Measure, judgements: &Judgements, ranking: &[(String, f32)]) -> f64 {
    let k = measure.cut.unwrap_or(usize::MAX);
    let grade = |id: &String| judgements.get(id).copied().unwrap_or(0).max(0);
    let is_relevant = |id: &String| grade(id) >= measure.level;
    let relevant = judgements.values().filter(|grade| **grade >= measure.level).count();
    let hits = |k: usize| ranking.iter().take(k).filter(|(id, _)| is_relevant(id)).count();
    match measure.kind {
        Kind::Ndcg => {
            let gains = ranking.iter().take(k).map(|(id, _)| grade(id));
            let mut ideal: Vec<i32> = judgements.values().copied().filter(|grade| *grade > 0).collect();
            ideal.sort_unstable_by(|a, b| b.cmp(a));
            ratio(discounted(gains), discounted(ideal.into_iter().take(k)))
        }
        Kind::Recall => ratio(hits(k) as f64, relevant as f64),
        Kind::Precision => hits(k) as f64 / k as f64,
        Kind::RPrecision => ratio(hits(relevant) as f64, relevant as f64),
        Kind::ReciprocalRank => {
            ranking.iter().take(k).position(|(id, _)| is_relevant(id)).map_or(0.0, |at| 1.0 / (at + 1) as f64)
        }
        Kind::AveragePrecision => {
            let mut found = 0_usize;
            let mut sum = 0.0;
            for (at, (id, _)) in ranking.iter().take(k).enumerate() {
                if is_relevant(id) {
                    found += 1;
                    sum += found as f64 / (at + 1) as f64;
                }
            }
            ratio(sum, relevant as f64)
        }
        Kind::Hit => indicator(hits(k) > 0),
        Kind::AllRecall => indicator(relevant > 0 && hits(k) == relevant),
        Kind::Judged => {
            let judged = ranking.iter().take(k).filter(|(id, _)| judgements.contains_key(id)).count();
            ratio(judged as f64, ranking.len().min(k) as f64)
        }
        Kind::Bpref => {
            let judged_against = judgements.len() - relevant;
            let worst = judged_against.min(relevant) as f64;
            let mut against = 0_usize;
            let mut sum = 0.0;
            for (id, _) in ranking {
                if is_relevant(id) {
                    sum += if against == 0 { 1.0 } else { 1.0 - against.min(relevant) as f64 / worst };
                } else if judgements.contains_key(id) {
                    against += 1;
                }
            }
            ratio(sum, relevant as f64)
        }
    }
}

fn discounted(gains: impl Iterator<Item = i32>) -> f64 {
    gains.enumerate().map(|(at, gain)| f64::from(gain) / ((at + 2) as f64).log2()).sum()
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn indicator(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// Values of every query of the qrels and their means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Mean over the queries, by measure name.
    pub metrics: BTreeMap<String, f64>,
    /// 95 % bootstrap intervals of the means, by measure name; empty until [`Scores::with_intervals`].
    #[serde(default)]
    pub intervals: BTreeMap<String, Interval>,
    /// Queries the means are over.
    pub queries: usize,
    /// Values by query, then by measure name.
    pub per_query: BTreeMap<String, BTreeMap<String, f64>>,
    /// Judged queries that the run lacks; they count 0.
    pub missing: Vec<String>,
}

impl Scores {
    /// The values of one measure in the order of the queries' ids; `None` if it was not measured. A measure over quotes has
    /// values for queries with quotes only.
    pub fn values(&self, measure: &str) -> Option<Vec<f64>> {
        let values: Vec<f64> =
            self.per_query.values().filter_map(|values| values.get(measure).copied()).collect();
        (!values.is_empty()).then_some(values)
    }

    /// Adds the bootstrap interval of every mean.
    #[must_use]
    pub fn with_intervals(mut self, seed: u64) -> Self {
        let names: Vec<String> = self.metrics.keys().cloned().collect();
        for name in names {
            if let Some(interval) = self.values(&name).and_then(|values| Interval::of_mean(&values, seed)) {
                self.intervals.insert(name, interval);
            }
        }
        self
    }

    /// Adds one measure's values of some queries; its mean is over those.
    pub fn add(&mut self, name: &str, values: &BTreeMap<String, f64>) {
        for (query, value) in values {
            if let Some(kept) = self.per_query.get_mut(query) {
                kept.insert(name.to_owned(), *value);
            }
        }
        if let Some(values) = self.values(name) {
            self.metrics.insert(name.to_owned(), ratio(values.iter().sum(), values.len() as f64));
        }
    }
}

/// Scores a run. Rankings are re-sorted as trec_eval does; a document twice in one ranking is `Invalid`, and so is a run
/// that has none of the judged queries.
pub fn score(qrels: &Qrels, run: &Run, measures: &[Measure]) -> Result<Scores> {
    if !run.is_empty() && !run.keys().any(|query| qrels.contains_key(query)) {
        return Err(EvalError::new(
            ErrorKind::Invalid,
            "the run has none of the judged queries: are run and judgements of the same test set?",
        ));
    }
    let measures: BTreeSet<&Measure> = measures.iter().collect();
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
        let mut seen = HashSet::with_capacity(ranking.len());
        if let Some((twice, _)) = ranking.iter().find(|(id, _)| !seen.insert(id.as_str())) {
            return Err(EvalError::new(
                ErrorKind::Invalid,
                format!("the run has document `{twice}` twice for query `{query}`"),
            ));
        }
        let mut values = BTreeMap::new();
        for measure in &measures {
            let value = query_value(**measure, judgements, &ranking);
            *sums.entry(measure.to_string()).or_default() += value;
            values.insert(measure.to_string(), value);
        }
        per_query.insert(query.clone(), values);
    }
    let queries = qrels.len();
    let metrics = sums.into_iter().map(|(name, sum)| (name, ratio(sum, queries as f64))).collect();
    Ok(Scores { metrics, intervals: BTreeMap::new(), queries, per_query, missing })
}

/// Takes documents whose id is the query's own out of every ranking, as BEIR does for sets whose queries are documents
/// (ArguAna, Quora). Returns how many were taken out.
pub fn exclude_own_ids(run: &mut Run) -> usize {
    let mut excluded = 0;
    for (query, ranking) in run {
        let before = ranking.len();
        ranking.retain(|(document, _)| document != query);
        excluded += before - ranking.len();
    }
    excluded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::DEFAULT_MEASURES;

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
        for (name, value) in &scores.metrics {
            let expected = f64::from(u8::from(name == "judged@10"));
            assert_eq!(*value, expected, "{name}");
        }
        assert_eq!(scores.queries, 1);
    }

    #[test]
    fn a_document_twice_and_a_foreign_run_are_refused() {
        let qrels = Qrels::from([("q".to_owned(), Judgements::from([("d".to_owned(), 1)]))]);
        let twice = Run::from([("q".to_owned(), ranking(&[("d", 1.0), ("d", 0.5)]))]);
        assert_eq!(score(&qrels, &twice, DEFAULT_MEASURES).unwrap_err().kind(), ErrorKind::Invalid);
        let foreign = Run::from([("other".to_owned(), ranking(&[("d", 1.0)]))]);
        assert_eq!(score(&qrels, &foreign, DEFAULT_MEASURES).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_measure_named_twice_counts_once() {
        let qrels = Qrels::from([("q".to_owned(), Judgements::from([("d".to_owned(), 1)]))]);
        let run = Run::from([("q".to_owned(), ranking(&[("d", 1.0)]))]);
        let ndcg = Measure::at(Kind::Ndcg, 10);
        assert_eq!(score(&qrels, &run, &[ndcg, ndcg]).unwrap().metrics["ndcg@10"], 1.0);
    }

    #[test]
    fn every_relevant_document_counts_for_all_recall() {
        let judged = Judgements::from([("a".to_owned(), 1), ("b".to_owned(), 2), ("c".to_owned(), 0)]);
        let run = ranking(&[("a", 3.0), ("c", 2.0), ("b", 1.0)]);
        let at = |k| query_value(Measure::at(Kind::AllRecall, k), &judged, &run);
        assert_eq!((at(2), at(3)), (0.0, 1.0));
    }

    #[test]
    fn own_ids_are_taken_out() {
        let mut run = Run::from([("q".to_owned(), ranking(&[("q", 2.0), ("d", 1.0)]))]);
        assert_eq!(exclude_own_ids(&mut run), 1);
        assert_eq!(run["q"], ranking(&[("d", 1.0)]));
    }
}
