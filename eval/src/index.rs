//! Brings a dataset's documents into the collection under evaluation, as a user would.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use wellspring_ingest::{Content, Outcome, Submission};
use wellspring_store::jobs::JobState;
use wellspring_store::{DocumentId, ErrorKind as StoreKind};

use crate::dataset::{Dataset, Documents, corpus};
use crate::engine::Engine;
use crate::error::{ErrorKind, EvalError, Result};

/// What indexing the documents came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Indexed {
    /// Documents in the dataset.
    pub documents: usize,
    /// By outcome: `indexed`, `unchanged`, `empty`, or the reason of a failure.
    pub outcomes: BTreeMap<String, usize>,
    /// Seconds.
    pub seconds: f64,
}

/// The version of the note.
const NOTE: u32 = 1;

/// That all documents of a collection are there, as a note for the next evaluation.
#[derive(Serialize, Deserialize)]
struct Note {
    /// [`NOTE`]; a note of another version, or without one, says nothing.
    #[serde(default)]
    version: u32,
    /// Documents and chunks in the collection then. (The change sequence would not do: a purge forgets changes.)
    holds: (u64, u64),
    indexed: Indexed,
}

/// Indexes the dataset's documents through the ingest pipeline and waits until they are searchable.
///
/// Empty documents count and are never found; any other failure is an error, since the figures would be about another
/// collection than the dataset's. Of documents that are in a collection already, every judged one must be there.
///
/// Retrieval has learned from the documents when this returns, as it would have with a user's.
pub async fn index(engine: &Engine, dataset: &Dataset, progress: &(dyn Fn(u64) + Sync)) -> Result<Indexed> {
    let indexed = documents(engine, dataset, progress).await?;
    let learned = engine.retriever.learn_if_stale(&engine.collection).await;
    learned.map_err(|e| EvalError::engine("learning from the documents", e))?;
    Ok(indexed)
}

async fn documents(engine: &Engine, dataset: &Dataset, progress: &(dyn Fn(u64) + Sync)) -> Result<Indexed> {
    if matches!(dataset.documents, Documents::Indexed) {
        return judged_are_there(engine, dataset).await;
    }
    let started = Instant::now();
    if let Some(noted) = noted(engine).await? {
        let mut outcomes = BTreeMap::new();
        for (outcome, times) in noted.outcomes {
            let now = if outcome == "indexed" { "unchanged".to_owned() } else { outcome };
            *outcomes.entry(now).or_default() += times;
        }
        return Ok(Indexed { outcomes, seconds: started.elapsed().as_secs_f64(), ..noted });
    }
    let mut indexed = match &dataset.documents {
        Documents::Corpus(path) => index_corpus(engine, path, progress).await?,
        Documents::Folder(path) => index_folder(engine, path, progress).await?,
        Documents::Indexed => Indexed::default(),
    };
    indexed.documents = indexed.outcomes.values().sum();
    indexed.seconds = started.elapsed().as_secs_f64();
    note(engine, &indexed).await?;
    Ok(indexed)
}

async fn noted(engine: &Engine) -> Result<Option<Indexed>> {
    let Some(path) = engine.indexed_file.as_ref().filter(|path| path.is_file()) else { return Ok(None) };
    let note: Option<Note> = serde_json::from_slice(&fs_err::read(path)?).ok();
    let holds = holds(engine).await?;
    Ok(note.filter(|note| note.version == NOTE && note.holds == holds).map(|note| note.indexed))
}

async fn note(engine: &Engine, indexed: &Indexed) -> Result<()> {
    let Some(path) = &engine.indexed_file else { return Ok(()) };
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let note = Note { version: NOTE, holds: holds(engine).await?, indexed: indexed.clone() };
    let text = serde_json::to_vec(&note).map_err(|e| {
        EvalError::new(ErrorKind::Io, "the note of what is indexed can't be written").with_source(e)
    })?;
    Ok(fs_err::write(path, text)?)
}

async fn holds(engine: &Engine) -> Result<(u64, u64)> {
    let found = engine.catalog.collection(engine.collection.scope(), engine.collection.name()).await;
    let (_, kept) = found.map_err(|e| EvalError::engine("looking the collection up", e))?;
    Ok((kept.documents, kept.chunks))
}

async fn judged_are_there(engine: &Engine, dataset: &Dataset) -> Result<Indexed> {
    let mut judged: Vec<&String> = dataset.qrels.values().flat_map(|judged| judged.keys()).collect();
    judged.sort();
    judged.dedup();
    for id in &judged {
        let document = DocumentId::new(id.as_str()).map_err(|e| EvalError::engine("naming a document", e))?;
        match engine.catalog.document(&engine.collection, &document).await {
            Ok(_) => {}
            Err(error) if error.kind() == StoreKind::NotFound => {
                return Err(EvalError::new(
                    ErrorKind::Invalid,
                    format!(
                        "document `{id}` is judged, but collection `{}` does not have it",
                        engine.collection.name()
                    ),
                ));
            }
            Err(error) => return Err(EvalError::engine("looking a document up", error)),
        }
    }
    let outcomes = BTreeMap::from([("judged and in the collection".to_owned(), judged.len())]);
    Ok(Indexed { documents: judged.len(), outcomes, seconds: 0.0 })
}

/// Documents handed over and not yet searchable, at most: enough to keep every stage busy, and few enough that on a machine
/// busy with other work none waits in vain for the catalog.
const IN_FLIGHT: usize = 24;

/// One document is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(600);

async fn index_corpus(engine: &Engine, path: &Path, progress: &(dyn Fn(u64) + Sync)) -> Result<Indexed> {
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

async fn index_folder(engine: &Engine, path: &Path, progress: &(dyn Fn(u64) + Sync)) -> Result<Indexed> {
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
