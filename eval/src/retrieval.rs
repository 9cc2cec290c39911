//! Measures retrieval alone: indexes a dataset's documents as a user would, asks its queries, scores the ranking.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use wellspring_ingest::{Content, Ingestor, Outcome, Submission};
use wellspring_retrieve::{Mode, Retriever, SearchRequest, document_ranking};
use wellspring_store::jobs::JobState;
use wellspring_store::{CollectionScope, DocumentId};

use crate::dataset::{Dataset, Documents, corpus};
use crate::error::{ErrorKind, EvalError, Result};
use crate::measure::Measure;
use crate::metrics::{Run, Scores, score};

/// What differs between engines under evaluation.
#[derive(Debug, Clone, Serialize)]
pub struct Switches {
    /// The embedder's name; `None` for the configured one.
    pub model: Option<String>,
    /// One chunk per document, cut where the model stops reading: the setting of the literature. Otherwise the
    /// configured chunking.
    pub whole_documents: bool,
}

/// A ready engine with a collection for this dataset.
pub struct Engine {
    /// Reads documents; its workers run.
    pub ingestor: Ingestor,
    /// Answers queries.
    pub retriever: Arc<Retriever>,
    /// Where the dataset's documents go.
    pub collection: CollectionScope,
    /// The embedder's fingerprint.
    pub fingerprint: String,
}

/// Makes engines; the composition root implements it, so that nothing here reads a configuration.
#[async_trait]
pub trait EngineFactory: Send + Sync {
    /// An engine whose collection belongs to this dataset and these switches. It may hold documents of an earlier
    /// evaluation; what is unchanged is not embedded again.
    async fn engine(&self, dataset: &Dataset, switches: &Switches) -> Result<Engine>;
}

/// How an evaluation is run.
#[derive(Debug, Clone)]
pub struct RetrievalOptions {
    /// Depth of each ranking in documents.
    pub depth: usize,
    /// What is reported.
    pub measures: Vec<Measure>,
    /// Queries asked at the same time; 1 gives undisturbed latencies.
    pub concurrency: usize,
}

/// What indexing the documents came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Indexed {
    /// Documents in the dataset.
    pub documents: usize,
    /// By outcome: `indexed`, `unchanged`, `empty`, or the reason of a failure.
    pub outcomes: BTreeMap<String, usize>,
    /// Seconds.
    pub seconds: f64,
}

/// One evaluated mode.
#[derive(Debug, Clone, Serialize)]
pub struct RetrievalReport {
    /// The dataset's name.
    pub dataset: String,
    /// Its checksum.
    pub checksum: String,
    /// `hybrid`, `dense` or `keyword`.
    pub mode: Mode,
    /// The embedder's fingerprint.
    pub fingerprint: String,
    /// The switches.
    pub switches: Switches,
    /// Depth of each ranking in documents.
    pub depth: usize,
    /// Means, queries, values per query.
    #[serde(flatten)]
    pub scores: Scores,
    /// Queries whose answer was degraded, with the reasons.
    pub degraded: BTreeMap<String, Vec<String>>,
    /// Wall-clock milliseconds per query.
    pub latency_ms: Latency,
    /// What indexing came to.
    pub indexed: Indexed,
}

/// Latency over the queries, in milliseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// Largest.
    pub max: f64,
}

/// Indexes the dataset's documents through the ingest pipeline and waits until they are searchable.
///
/// Empty documents count and are never found; any other failure is an error, since the figures would be about another
/// collection than the dataset's.
pub async fn index(engine: &Engine, dataset: &Dataset, progress: &(dyn Fn(u64) + Sync)) -> Result<Indexed> {
    let started = Instant::now();
    let mut indexed = match &dataset.documents {
        Documents::Corpus(path) => index_corpus(engine, path, progress).await?,
        Documents::Folder(path) => index_folder(engine, path, progress).await?,
        Documents::Indexed => Indexed::default(),
    };
    indexed.documents = indexed.outcomes.values().sum();
    indexed.seconds = started.elapsed().as_secs_f64();
    Ok(indexed)
}

/// Documents handed over and not yet searchable, at most: enough to keep every stage busy.
const IN_FLIGHT: usize = 64;

/// One document is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(600);

async fn index_corpus(
    engine: &Engine,
    path: &std::path::Path,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Indexed> {
    let documents: Vec<_> = corpus(path)?.collect::<Result<_>>()?;
    let outcomes = stream::iter(documents)
        .map(|document| async move {
            if document.text.trim().is_empty() && document.title.trim().is_empty() {
                return Ok(("empty".to_owned(), document.id));
            }
            let id = DocumentId::new(document.id.as_str())
                .map_err(|e| EvalError::engine("naming a document", e))?;
            let title = (!document.title.is_empty()).then_some(document.title);
            let content = Content::Bytes(document.text.into_bytes().into());
            let mut submission = Submission::new(id, document.id.as_str(), content);
            submission.media_type = Some("text/plain".to_owned());
            submission.title = title;
            let accepted = engine
                .ingestor
                .submit(&engine.collection, submission, None)
                .await
                .map_err(|e| EvalError::engine("accepting a document", e))?;
            let job = engine
                .ingestor
                .wait(engine.collection.scope(), accepted.job, PATIENCE)
                .await
                .map_err(|e| EvalError::engine("waiting for a document", e))?;
            Ok::<_, EvalError>((outcome(job.state, job.reason.as_deref()), document.id))
        })
        .buffer_unordered(IN_FLIGHT);
    collect(outcomes, OF_A_CORPUS, progress).await
}

async fn index_folder(
    engine: &Engine,
    path: &std::path::Path,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Indexed> {
    let reports = engine
        .ingestor
        .ingest_paths(engine.collection.clone(), vec![path.to_owned()])
        .await
        .map_err(|e| EvalError::engine("reading a folder", e))?;
    let outcomes = reports.map(|report| {
        let outcome = match report.outcome {
            Outcome::Indexed => "indexed".to_owned(),
            Outcome::Unchanged => "unchanged".to_owned(),
            Outcome::Skipped | Outcome::Failed => report.reason.unwrap_or_else(|| "failed".to_owned()),
        };
        Ok((outcome, report.path))
    });
    collect(outcomes, OF_A_FOLDER, progress).await
}

/// The job's end as one word: the state, or the reason where there is one.
fn outcome(state: JobState, reason: Option<&str>) -> String {
    match state {
        JobState::Indexed => "indexed".to_owned(),
        JobState::Unchanged => "unchanged".to_owned(),
        _ => reason.unwrap_or("failed").to_owned(),
    }
}

/// How a document of a corpus file may end.
const OF_A_CORPUS: &[&str] = &["indexed", "unchanged", "empty"];

/// How a file of a folder may end: other kinds of files may lie there.
const OF_A_FOLDER: &[&str] = &["indexed", "unchanged", "empty", "unsupported"];

async fn collect(
    outcomes: impl stream::Stream<Item = Result<(String, String)>>,
    accepted: &[&str],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Indexed> {
    let mut indexed = Indexed::default();
    let mut done = 0;
    let mut outcomes = std::pin::pin!(outcomes);
    while let Some((outcome, document)) = outcomes.try_next().await? {
        done += 1;
        progress(done);
        if !accepted.contains(&outcome.as_str()) {
            return Err(EvalError::new(
                ErrorKind::Engine,
                format!("document `{document}` of the dataset could not be indexed: {outcome}"),
            ));
        }
        *indexed.outcomes.entry(outcome).or_default() += 1;
    }
    Ok(indexed)
}

/// Asks every judged query in one mode and scores the rankings. The document score is its best chunk's.
pub async fn evaluate(
    engine: &Engine,
    dataset: &Dataset,
    switches: &Switches,
    mode: Mode,
    options: &RetrievalOptions,
    indexed: Indexed,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(RetrievalReport, Run)> {
    let mut rankings = stream::iter(&dataset.queries)
        .map(|(id, text)| async move {
            let started = Instant::now();
            let request = SearchRequest { mode, ..SearchRequest::new(text.clone()) };
            let ranking = engine
                .retriever
                .search_documents(&engine.collection, request, options.depth)
                .await
                .map_err(|e| EvalError::engine("searching", e))?;
            Ok::<_, EvalError>((id.clone(), ranking, started.elapsed()))
        })
        .buffer_unordered(options.concurrency.max(1));
    let mut run = Run::new();
    let mut degraded = BTreeMap::new();
    let mut latencies = Vec::with_capacity(dataset.queries.len());
    while let Some((id, ranking, latency)) = rankings.try_next().await? {
        latencies.push(latency);
        if !ranking.degraded.is_empty() {
            let reasons = ranking.degraded.iter().map(|d| format!("{}: {}", d.leg, d.reason)).collect();
            degraded.insert(id.clone(), reasons);
        }
        let documents = document_ranking(&ranking.hits);
        run.insert(id, documents.into_iter().map(|(id, score)| (id.into(), score)).collect());
        progress(latencies.len() as u64);
    }
    let report = RetrievalReport {
        dataset: dataset.name.clone(),
        checksum: dataset.checksum.clone(),
        mode,
        fingerprint: engine.fingerprint.clone(),
        switches: switches.clone(),
        depth: options.depth,
        scores: score(&dataset.qrels, &run, &options.measures)?,
        degraded,
        latency_ms: latency(latencies),
        indexed,
    };
    Ok((report, run))
}

fn latency(mut all: Vec<Duration>) -> Latency {
    all.sort_unstable();
    let at = |share: f64| {
        let index = (share * all.len() as f64).ceil() as usize;
        all.get(index.saturating_sub(1)).map_or(0.0, |d| d.as_secs_f64() * 1e3)
    };
    Latency { p50: at(0.5), p95: at(0.95), max: at(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let all = (1..=100).rev().map(Duration::from_millis).collect();
        let latency = latency(all);
        assert_eq!((latency.p50, latency.p95, latency.max), (50.0, 95.0, 100.0));
        assert_eq!(super::latency(Vec::new()).max, 0.0);
    }
}
