//! Measures retrieval alone: asks a dataset's queries as a user would, and scores the rankings.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use wellspring_retrieve::{Mode, Retriever, SearchRequest, SearchResponse, document_ranking};
use wellspring_store::CollectionScope;

use crate::dataset::{Accepted, Dataset};
use crate::engine::{Engine, Switches};
use crate::error::{ErrorKind, EvalError, Result};
use crate::index::Indexed;
use crate::measure::Measure;
use crate::metrics::{Run, Scores, exclude_own_ids, score, sort_as_trec_eval};
use crate::{spans, stats};

/// How an evaluation is run.
#[derive(Debug, Clone)]
pub struct RetrievalOptions {
    /// Depth of each ranking in documents.
    pub depth: usize,
    /// What is reported.
    pub measures: Vec<Measure>,
    /// Queries asked at the same time; 1 gives undisturbed latencies.
    pub concurrency: usize,
    /// Leaves out of each ranking the document whose id is the query's (BEIR's rule for ArguAna and Quora).
    pub exclude_own_ids: bool,
    /// Of every resampling.
    pub seed: u64,
}

impl RetrievalOptions {
    /// `Invalid` for a measure that looks at more ranks than a ranking has: it would be another measure under its name.
    pub fn check(&self) -> Result<()> {
        let deeper = self.measures.iter().find(|measure| measure.cut.is_some_and(|cut| cut > self.depth));
        match deeper {
            None => Ok(()),
            Some(measure) => Err(EvalError::new(
                ErrorKind::Invalid,
                format!(
                    "{} looks deeper than rankings of {} documents: raise -k",
                    measure.ir_name(),
                    self.depth
                ),
            )),
        }
    }

    /// Documents asked for: one more where one may be taken out again, so that as many are left as are wanted.
    fn asked_depth(&self) -> usize {
        self.depth + usize::from(self.exclude_own_ids)
    }
}

/// The version of [`RetrievalReport`] as JSON: what a gate reads as its baseline.
pub const VERSION: u32 = 2;

/// One evaluated configuration on one dataset.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RetrievalReport {
    /// [`VERSION`]; 1 for a file that has none.
    #[serde(default = "first_version")]
    pub version: u32,
    /// The dataset's name.
    pub dataset: String,
    /// Its checksum.
    pub checksum: String,
    /// A hash of its documents; empty for those that were in a collection already.
    #[serde(default)]
    pub documents_checksum: String,
    /// What was unusual in it and accepted.
    pub accepted: Accepted,
    /// `hybrid`, `dense` or `keyword`.
    pub mode: Mode,
    /// The embedder's fingerprint.
    pub fingerprint: String,
    /// The switches.
    pub switches: Switches,
    /// Depth of each ranking in documents.
    pub depth: usize,
    /// Of every resampling.
    pub seed: u64,
    /// Means, queries, values per query.
    #[serde(flatten)]
    pub scores: Scores,
    /// The smallest difference in each measure that so many queries let one find in four of five cases, against a system
    /// whose values correlate by [`ASSUMED_CORRELATION`].
    pub detectable: BTreeMap<String, f64>,
    /// Queries whose answer was degraded, with the reasons.
    pub degraded: BTreeMap<String, Vec<String>>,
    /// Wall-clock milliseconds per query, measured apart by [`latency`]: an evaluation recalls what legs found before.
    pub latency_ms: Latency,
    /// What a query costs beside time.
    pub cost: Cost,
    /// By query: the first hit's cosine (of the keyword mode: its BM25 score), which a caller could refuse by.
    pub confidence: BTreeMap<String, f64>,
    /// By query: hits asked from each leg, after as many rounds as it took.
    #[serde(default)]
    pub asked: BTreeMap<String, usize>,
    /// Whether documents whose id is the query's were left out.
    #[serde(default)]
    pub exclude_own_ids: bool,
    /// How many that were.
    pub own_ids_excluded: usize,
    /// What indexing came to.
    pub indexed: Indexed,
    /// The configuration in force, secrets hidden.
    pub configuration: serde_json::Value,
}

fn first_version() -> u32 {
    1
}

/// The correlation that [`RetrievalReport::detectable`] assumes: two systems that are close. One leg alone and hybrid lie
/// between 0.19 and 0.90 in `datasets/RESULTS.md`, so a comparison prints the figure from the actual differences.
pub const ASSUMED_CORRELATION: f64 = 0.9;

/// Latency over queries that were asked live, one after the other, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// Largest.
    pub max: f64,
    /// Queries these are over; 0 if latency was not measured.
    pub queries: usize,
    /// Medians of the stages.
    pub stages: BTreeMap<String, f64>,
    /// By query.
    pub per_query: BTreeMap<String, f64>,
}

/// What a query costs beside time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Tokens embedded per query, mean, as the embedder counts them; 0 where no query is embedded.
    pub tokens_per_query: f64,
}

/// Asks every judged query and scores the rankings. The document score is its best chunk's. Remembered legs are left for
/// the next evaluation.
pub async fn evaluate(
    engine: &Engine,
    dataset: &Dataset,
    switches: &Switches,
    options: &RetrievalOptions,
    indexed: Indexed,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(RetrievalReport, Run)> {
    let mut answers = stream::iter(&dataset.queries)
        .map(|(id, text)| ask(engine, switches.mode, options.asked_depth(), id, text))
        .buffer_unordered(options.concurrency.max(1));
    options.check()?;
    let (mut run, mut degraded, mut confidence) = (Run::new(), BTreeMap::new(), BTreeMap::new());
    let mut asked = BTreeMap::new();
    let mut done = 0;
    while let Some((id, response)) = answers.try_next().await? {
        if !response.degraded.is_empty() {
            let reasons = response.degraded.iter().map(|d| format!("{}: {}", d.leg, d.reason)).collect();
            degraded.insert(id.clone(), reasons);
        }
        if let Some(sure) = sureness(&response, switches.mode) {
            confidence.insert(id.clone(), sure);
        }
        if let Some(explain) = &response.explain {
            asked.insert(id.clone(), explain.depth);
        }
        let documents = document_ranking(&response.hits);
        run.insert(id, documents.into_iter().map(|(id, score)| (id.into(), score)).collect());
        done += 1;
        progress(done);
    }
    if let Some(path) = &engine.legs_file {
        engine.legs.save(path)?;
    }
    let own_ids_excluded = if options.exclude_own_ids { exclude_own_ids(&mut run) } else { 0 };
    run.values_mut().for_each(|ranking| {
        sort_as_trec_eval(ranking);
        ranking.truncate(options.depth);
    });
    let mut scores = score(&dataset.qrels, &run, &options.measures)?;
    for (name, values) in spans::measure(engine, dataset, switches).await? {
        scores.add(&name, &values);
    }
    let report = RetrievalReport {
        version: VERSION,
        dataset: dataset.name.clone(),
        checksum: dataset.checksum.clone(),
        documents_checksum: engine.documents_checksum.clone(),
        accepted: dataset.accepted.clone(),
        mode: switches.mode,
        fingerprint: engine.embedder.info().fingerprint.to_string(),
        switches: switches.clone(),
        depth: options.depth,
        seed: options.seed,
        detectable: detectable(&scores),
        scores: scores.with_intervals(options.seed),
        degraded,
        latency_ms: Latency::default(),
        cost: cost(engine, dataset, switches.mode),
        confidence,
        asked,
        exclude_own_ids: options.exclude_own_ids,
        own_ids_excluded,
        indexed,
        configuration: engine.configuration.clone(),
    };
    Ok((report, run))
}

async fn ask(
    engine: &Engine,
    mode: Mode,
    depth: usize,
    id: &str,
    text: &str,
) -> Result<(String, SearchResponse)> {
    let request = SearchRequest { mode, explain: true, ..SearchRequest::new(text) };
    let response = engine.retriever.search_documents(&engine.collection, request, depth).await;
    Ok((id.to_owned(), response.map_err(|e| EvalError::engine("searching", e))?))
}

/// What a caller could refuse by: the score of the first hit in the leg whose scores compare between queries.
fn sureness(response: &SearchResponse, mode: Mode) -> Option<f64> {
    let explain = response.hits.first()?.explain.as_ref()?;
    let leg = if mode.wants_dense() { explain.dense } else { explain.keyword };
    // The first hit may be one that the vector leg did not list.
    Some(f64::from(leg?.score.unwrap_or(0.0)))
}

fn detectable(scores: &Scores) -> BTreeMap<String, f64> {
    let of = |name: &String| {
        let values = scores.values(name)?;
        let deviation = stats::deviation(&values);
        let expected = stats::deviation_of_differences(deviation, ASSUMED_CORRELATION);
        // Where every query has the same value nothing says how far two systems would differ.
        (deviation > 0.0).then(|| (name.clone(), stats::detectable(expected, values.len())))
    };
    scores.metrics.keys().filter_map(of).collect()
}

fn cost(engine: &Engine, dataset: &Dataset, mode: Mode) -> Cost {
    if !mode.wants_dense() || dataset.queries.is_empty() {
        return Cost::default();
    }
    let counter = engine.embedder.counter();
    let tokens: usize = dataset.queries.values().map(|text| counter.count(text)).sum();
    Cost { tokens_per_query: tokens as f64 / dataset.queries.len() as f64 }
}

/// A value that occurred; 0 of none.
fn percentile(mut all: Vec<f64>, share: f64) -> f64 {
    all.sort_by(f64::total_cmp);
    let index = (share * all.len() as f64).ceil() as usize;
    all.get(index.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// Latency of at most `queries` queries spread over the dataset, asked one after the other of a retriever without memory:
/// what one user waits for ten passages. None of 0 queries.
pub async fn latency(
    retriever: &Retriever,
    collection: &CollectionScope,
    dataset: &Dataset,
    switches: &Switches,
    queries: usize,
) -> Result<Latency> {
    let step = dataset.queries.len().div_ceil(queries.max(1)).max(1);
    let mut per_query = BTreeMap::new();
    let mut stages: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (at, (id, text)) in dataset.queries.iter().step_by(step).take(queries).enumerate() {
        let request = SearchRequest {
            mode: switches.mode,
            neighbours: switches.widening(),
            ..SearchRequest::new(text.as_str())
        };
        let search = || async {
            let response = retriever.search(collection, request.clone()).await;
            response.map_err(|e| EvalError::engine("searching", e))
        };
        if at == 0 {
            // The first search of an engine loads model and index.
            search().await?;
        }
        let started = Instant::now();
        let response = search().await?;
        per_query.insert(id.clone(), started.elapsed().as_secs_f64() * 1e3);
        for (stage, ms) in response.timings.0 {
            stages.entry(stage).or_default().push(ms);
        }
    }
    let all: Vec<f64> = per_query.values().copied().collect();
    Ok(Latency {
        p50: percentile(all.clone(), 0.5),
        p95: percentile(all.clone(), 0.95),
        max: percentile(all.clone(), 1.0),
        queries: all.len(),
        stages: stages.into_iter().map(|(stage, times)| (stage, percentile(times, 0.5))).collect(),
        per_query,
    })
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let all: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(all.clone(), 0.5), 50.0);
        assert_eq!(percentile(all.clone(), 0.95), 95.0);
        assert_eq!(percentile(all, 1.0), 100.0);
        assert_eq!(percentile(Vec::new(), 0.5), 0.0);
    }
}
