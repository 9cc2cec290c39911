//! Trains a ranker on judged queries and says by nested cross-validation what it is worth on queries it has not seen.
//!
//! A linear model of the features of [`FEATURES`], fitted by pairwise logistic regression over the hits of each query.
//! For each outer fold the strength of the pull towards zero is chosen, and the model fitted, on the other folds alone; the
//! fold's queries are ranked by that, and their nDCG@10 is compared with that of the order the hits came in. The model that
//! is kept is fitted on all queries.

mod pairwise;

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use wellspring_retrieve::ranker::{CANDIDATES, FEATURES, FORMAT, LinearRanker};
use wellspring_retrieve::{Mode, SearchRequest};

use crate::dataset::Dataset;
use crate::engine::Engine;
use crate::error::{ErrorKind, EvalError, Result};
use crate::measure::{Kind, Measure};
use crate::metrics::{Qrels, Ranking, query_value, sort_as_trec_eval};
use crate::stats::{self, Difference, Seeded};

use pairwise::{Example, Fitted, fit};

/// Outer folds.
const FOLDS: usize = 5;
/// Folds within the folds.
const INNER_FOLDS: usize = 3;
/// Pulls towards zero that are tried, weakest first.
const PULLS: [f64; 3] = [0.001, 0.01, 0.1];
/// Fewest queries with a relevant and another hit that a model is trained on: with fewer, features are fitted to chance.
pub const FEWEST_QUERIES: usize = 200;

/// One hit of one query.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its document's id.
    pub document: String,
    /// What it scored before.
    pub score: f32,
    /// One value per name in [`FEATURES`].
    pub row: Vec<f64>,
}

/// A trained model and what it is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// To be written to a file for `retrieve.ranker`.
    pub model: LinearRanker,
    /// Queries it was trained on: those with a relevant and another hit.
    pub queries: usize,
    /// Mean nDCG@10 of the order the hits came in.
    pub before: f64,
    /// Mean nDCG@10 of models that had not seen the query.
    pub after: f64,
    /// The second against the first, per query.
    pub difference: Difference,
    /// The pull towards zero that was chosen for the model.
    pub pull: f64,
}

impl Learned {
    /// Whether the model is worth using: better than before, and beyond chance at 5 %.
    pub fn is_better(&self) -> bool {
        self.difference.mean > 0.0 && self.difference.is_significant(0.05)
    }
}

/// Asks every query for its best hits with their features, in the order of query ids.
pub async fn collect(
    engine: &Engine,
    dataset: &Dataset,
    mode: Mode,
    concurrency: usize,
) -> Result<BTreeMap<String, Vec<Candidate>>> {
    let ask = |(id, text): (&String, &String)| {
        let request = SearchRequest { k: CANDIDATES, mode, ..SearchRequest::new(text) };
        let id = id.clone();
        async move {
            let found = engine.retriever.features(&engine.collection, request).await;
            let found = found.map_err(|e| EvalError::engine("collecting features", e))?;
            let candidates = found
                .into_iter()
                .map(|(hit, row)| Candidate { document: hit.document_id.into(), score: hit.score, row })
                .collect();
            Ok::<_, EvalError>((id, candidates))
        }
    };
    let asked: Vec<_> = dataset.queries.iter().map(ask).collect();
    stream::iter(asked).buffer_unordered(concurrency.max(1)).try_collect().await
}

/// Trains on hits and judgements. The same input and seed give the same model.
///
/// # Errors
///
/// `Invalid` with fewer than [`FEWEST_QUERIES`] queries to learn from, or a row of another length than [`FEATURES`].
pub fn learn(
    hits: &BTreeMap<String, Vec<Candidate>>,
    qrels: &Qrels,
    trained_on: &str,
    seed: u64,
) -> Result<Learned> {
    if hits.values().flatten().any(|hit| hit.row.len() != FEATURES.len()) {
        return Err(EvalError::new(ErrorKind::Invalid, "a hit has not one value per feature"));
    }
    let mut queries: Vec<Query<'_>> =
        hits.iter().filter_map(|(id, hits)| Query::of(id, hits, qrels)).collect();
    if queries.len() < FEWEST_QUERIES {
        return Err(EvalError::new(
            ErrorKind::Invalid,
            format!(
                "{} queries have a relevant and another hit; a ranker is trained on {FEWEST_QUERIES} or more: judge more",
                queries.len()
            ),
        ));
    }
    Seeded::new(seed).shuffle(&mut queries);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for fold in 0..FOLDS {
        let (held, others) = split(&queries, FOLDS, fold);
        let fitted = train(&others, choose_pull(&others));
        before.extend(held.iter().map(|query| query.ndcg(|hit| f64::from(hit.score))));
        after.extend(held.iter().map(|query| query.ndcg(|hit| fitted.score(&hit.row))));
    }
    let difference = Difference::of(&before, &after, seed)
        .ok_or_else(|| EvalError::new(ErrorKind::Invalid, "there is nothing to compare"))?;
    let all: Vec<&Query<'_>> = queries.iter().collect();
    let pull = choose_pull(&all);
    let Fitted { center, scale, weights } = train(&all, pull);
    let features = FEATURES.iter().map(|name| (*name).to_owned()).collect();
    let trained_on = format!("{} queries of {trained_on}", queries.len());
    Ok(Learned {
        model: LinearRanker { format: FORMAT, features, center, scale, weights, trained_on },
        queries: queries.len(),
        before: stats::mean(&before),
        after: stats::mean(&after),
        difference,
        pull,
    })
}

/// One query that something can be learnt from.
struct Query<'a> {
    id: &'a str,
    hits: &'a [Candidate],
    qrels: &'a Qrels,
    examples: Vec<Example<'a>>,
}

impl<'a> Query<'a> {
    /// `None` unless two hits have different grades.
    fn of(id: &'a str, hits: &'a [Candidate], qrels: &'a Qrels) -> Option<Self> {
        let judged = qrels.get(id)?;
        let gain = |hit: &Candidate| judged.get(&hit.document).copied().unwrap_or(0).max(0);
        let examples: Vec<Example<'a>> =
            hits.iter().map(|hit| Example { row: &hit.row, gain: f64::from(gain(hit)) }).collect();
        let differ = examples.windows(2).any(|pair| pair[0].gain != pair[1].gain);
        differ.then_some(Self { id, hits, qrels, examples })
    }

    /// nDCG@10 of the documents by their best hit under `score`.
    fn ndcg(&self, score: impl Fn(&Candidate) -> f64) -> f64 {
        let mut best: BTreeMap<&str, f32> = BTreeMap::new();
        for hit in self.hits {
            let score = score(hit) as f32;
            best.entry(&hit.document).and_modify(|old| *old = old.max(score)).or_insert(score);
        }
        let mut ranking: Ranking = best.into_iter().map(|(id, score)| (id.to_owned(), score)).collect();
        sort_as_trec_eval(&mut ranking);
        let measure = Measure::at(Kind::Ndcg, 10);
        self.qrels.get(self.id).map_or(0.0, |judged| query_value(measure, judged, &ranking))
    }
}

fn split<'q, 'a, Q: std::borrow::Borrow<Query<'a>>>(
    queries: &'q [Q],
    folds: usize,
    fold: usize,
) -> (Vec<&'q Query<'a>>, Vec<&'q Query<'a>>) {
    let (held, others): (Vec<_>, Vec<_>) =
        queries.iter().enumerate().partition(|(index, _)| index % folds == fold);
    let plain = |part: Vec<(usize, &'q Q)>| part.into_iter().map(|(_, query)| query.borrow()).collect();
    (plain(held), plain(others))
}

fn train(queries: &[&Query<'_>], pull: f64) -> Fitted {
    let examples: Vec<&[Example<'_>]> = queries.iter().map(|query| query.examples.as_slice()).collect();
    fit(&examples, pull)
}

/// The pull whose models rank unseen queries best; the stronger of equals.
fn choose_pull(queries: &[&Query<'_>]) -> f64 {
    let mut best = (f64::NEG_INFINITY, PULLS[0]);
    for pull in PULLS {
        let mut values = Vec::with_capacity(queries.len());
        for fold in 0..INNER_FOLDS {
            let (held, others) = split(queries, INNER_FOLDS, fold);
            let fitted = train(&others, pull);
            values.extend(held.iter().map(|query| query.ndcg(|hit| fitted.score(&hit.row))));
        }
        let mean = stats::mean(&values);
        if mean >= best.0 {
            best = (mean, pull);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hits whose scores are noise and whose grade shows in `coverage`, but for some noise there, too.
    fn world(queries: usize) -> (BTreeMap<String, Vec<Candidate>>, Qrels) {
        let mut random = Seeded::new(7);
        let (mut hits, mut qrels) = (BTreeMap::new(), Qrels::new());
        let coverage = FEATURES.iter().position(|name| *name == "coverage").unwrap();
        for query in 0..queries {
            let id = format!("q{query:04}");
            let relevant = random.below(12);
            let found = (0..12).map(|n| {
                let mut row: Vec<f64> = FEATURES.iter().map(|_| random.below(100) as f64 / 100.0).collect();
                row[coverage] += if n == relevant { 0.8 } else { 0.0 };
                Candidate { document: format!("d{n}"), score: random.below(1_000) as f32, row }
            });
            hits.insert(id.clone(), found.collect());
            qrels.insert(id, [(format!("d{relevant}"), 1)].into());
        }
        (hits, qrels)
    }

    #[test]
    fn what_the_features_show_is_learnt_and_the_gain_is_of_unseen_queries() {
        let (hits, qrels) = world(240);
        let learned = learn(&hits, &qrels, "a made-up set", 42).unwrap();
        assert!(learned.is_better() && learned.after > 0.75 && learned.before < 0.5, "{learned:?}");
        let weight =
            |name: &str| learned.model.weights[FEATURES.iter().position(|known| *known == name).unwrap()];
        assert!(
            FEATURES.iter().all(|name| *name == "coverage" || weight(name).abs() < weight("coverage") / 4.0)
        );
        assert_eq!(learn(&hits, &qrels, "a made-up set", 42).unwrap(), learned, "the same each time");
        let file = serde_json::to_string(&learned.model).unwrap();
        let read = LinearRanker::parse(&file).unwrap();
        assert_eq!(read.features, learned.model.features);
        // A number read from JSON may differ in its last digit.
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(near(&read.weights, &learned.model.weights) && near(&read.scale, &learned.model.scale));
        assert_eq!(learned.model.trained_on, "240 queries of a made-up set");
    }

    #[test]
    fn noise_is_not_called_a_gain() {
        let (mut hits, qrels) = world(220);
        let mut random = Seeded::new(11);
        // The grade shows nowhere, so nothing can be learnt.
        for hit in hits.values_mut().flatten() {
            hit.row = FEATURES.iter().map(|_| random.below(100) as f64 / 100.0).collect();
        }
        assert!(!learn(&hits, &qrels, "noise", 42).unwrap().is_better());
    }

    #[test]
    fn too_few_queries_are_refused() {
        let (hits, mut qrels) = world(220);
        assert!(learn(&hits, &qrels, "x", 42).is_ok());
        // Without a relevant hit there is nothing to learn from.
        qrels.values_mut().take(30).for_each(|judged| *judged = [("elsewhere".to_owned(), 1)].into());
        let error = learn(&hits, &qrels, "x", 42).unwrap_err();
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("190 queries"), "{error}");
    }
}
