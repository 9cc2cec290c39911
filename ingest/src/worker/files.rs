//! A folder run: finds files, takes them in a few at a time, and reports how each ended.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, stream};
use wellspring_store::jobs::{Job, JobId, JobState};
use wellspring_store::{CollectionScope, ContentHash, DocumentId, ErrorKind as StoreKind};

use super::Ingestor;
use crate::config::CollectionSettings;
use crate::error::{ErrorKind, IngestError, Result};
use crate::extract::Reason;
use crate::pipeline::{Given, identity};
use crate::report::{FileReport, Outcome};
use crate::source::{Content, Entry, Found, Submission, walk};

/// Waits before a full queue is tried again, in turn.
const FULL: [u64; 5] = [1, 2, 4, 8, 16];

impl Ingestor {
    /// What [`Ingestor::ingest_entries`] would read: see [`walk`]. Nothing is read yet.
    pub async fn find(paths: Vec<PathBuf>) -> Result<Vec<Entry>> {
        tokio::task::spawn_blocking(move || walk(&paths))
            .await
            .map_err(|e| IngestError::new(ErrorKind::Internal, "walking the folders failed").with_source(e))
    }

    /// Ingests what was found and yields one report per entry as each ends, in no order; the stream ends when the last
    /// file is searchable or has failed. Workers must be running. No file stops another. Dropping the stream leaves the
    /// jobs of files already accepted to the workers.
    ///
    /// While nothing ends any more, files whose attempts fail for want of something outside them are waited for no longer
    /// than `outage_ms`: they are reported as failed, and their jobs stay queued.
    ///
    /// A file whose bytes and settings are those of the visible version is not even copied, unless jobs from before are
    /// still waiting: one of them may be about to replace that version.
    pub fn ingest_entries(
        &self,
        scope: CollectionScope,
        entries: Vec<Entry>,
    ) -> impl Stream<Item = FileReport> + Send + 'static {
        let (this, idle) = (self.clone(), self.clone());
        let whole = scope.clone();
        stream::once(async move { idle.shortcut(&whole).await }).flat_map(move |shortcut| {
            let (this, scope, width) = (this.clone(), scope.clone(), this.config().files_in_flight.max(1));
            let outage = Arc::new(Outage::new(Duration::from_millis(this.config().outage_ms)));
            stream::iter(entries.clone())
                .map(move |entry| {
                    let (this, scope, outage) = (this.clone(), scope.clone(), Arc::clone(&outage));
                    let shortcut = shortcut.as_ref().is_some_and(|to_come| match &entry {
                        Entry::File(found) => !to_come.contains(&found.id),
                        Entry::Problem { .. } => false,
                    });
                    async move { this.entry(&scope, entry, shortcut, &outage).await }
                })
                .buffer_unordered(width)
        })
    }

    /// Whether files may be skipped as unchanged without a job, and if so which not: those of which a version is to come
    /// that could replace the visible one (its job is dead, and may be queued again).
    async fn shortcut(&self, scope: &CollectionScope) -> Option<BTreeSet<DocumentId>> {
        let catalog = &self.inner.store.catalog;
        match catalog.backlog().await {
            Ok((0, _)) => {
                let to_come = catalog.blobs_to_come(scope).await.ok()?;
                Some(to_come.into_iter().map(|(document, _)| document).collect())
            }
            _ => None,
        }
    }

    /// [`Ingestor::find`] and [`Ingestor::ingest_entries`] in one.
    pub async fn ingest_paths(
        &self,
        scope: CollectionScope,
        paths: Vec<PathBuf>,
    ) -> Result<impl Stream<Item = FileReport> + Send + 'static> {
        Ok(self.ingest_entries(scope, Self::find(paths).await?))
    }

    async fn entry(
        &self,
        scope: &CollectionScope,
        entry: Entry,
        shortcut: bool,
        outage: &Outage,
    ) -> FileReport {
        let clock = Instant::now();
        match entry {
            Entry::Problem { path, reason, message } => {
                FileReport::without_job(path.display().to_string(), None, Outcome::Failed, 0)
                    .because(reason, message)
            }
            Entry::File(found) => {
                let (path, id) = (found.path.display().to_string(), found.id.as_str().to_owned());
                self.file(scope, found, shortcut, outage, clock).await.unwrap_or_else(|e| {
                    FileReport::without_job(path, Some(id), Outcome::Failed, elapsed(clock))
                        .because(code(&e), e.to_string())
                })
            }
        }
    }

    async fn file(
        &self,
        scope: &CollectionScope,
        found: Found,
        shortcut: bool,
        outage: &Outage,
        clock: Instant,
    ) -> Result<FileReport> {
        let (path, id) = (found.path.display().to_string(), found.id.as_str().to_owned());
        let unreadable =
            |e: std::io::Error| IngestError::new(ErrorKind::Unavailable, e.to_string()).with_source(e);
        let bytes = fs_err::tokio::metadata(&found.path).await.map_err(unreadable)?.len();
        let limit = self.config().max_upload_bytes;
        if bytes > limit {
            let message = format!("the file has {bytes} bytes, the limit is {limit} (max_upload_bytes)");
            let report = FileReport::without_job(path, Some(id), Outcome::Failed, elapsed(clock));
            return Ok(report.because(Reason::TooLarge.code(), message));
        }
        if shortcut && self.is_unchanged(scope, &found, bytes).await? {
            return Ok(FileReport::without_job(path, Some(id), Outcome::Unchanged, elapsed(clock)));
        }
        let accepted = self.submit_file(scope, &found).await?;
        let job = self.ended_or_stuck(scope, accepted, outage).await?;
        Ok(FileReport::of_job(path, job, elapsed(clock)))
    }

    /// The job when it has ended, or as it waits for another attempt while nothing of the run ends any more.
    async fn ended_or_stuck(&self, scope: &CollectionScope, job: JobId, outage: &Outage) -> Result<Job> {
        let limit = Duration::from_millis(self.config().wait_ms);
        let deadline = Instant::now() + limit;
        let mut events = std::pin::pin!(self.events(scope.scope(), job));
        let mut stuck: Option<Job> = None;
        let mut failing = None;
        loop {
            let patience = match (&stuck, failing) {
                (Some(_), Some(since)) => outage.left(since),
                _ => Duration::MAX,
            };
            let left = patience.min(deadline.saturating_duration_since(Instant::now()));
            match tokio::time::timeout(left, events.next()).await {
                Ok(Some(seen)) => {
                    let seen = seen?;
                    if seen.state.is_final() {
                        outage.over();
                        return Ok(seen);
                    }
                    // A reason on a waiting job is that of the attempt before.
                    stuck = (seen.state == JobState::Queued && seen.reason.is_some()).then_some(seen);
                    if stuck.is_some() {
                        failing.get_or_insert_with(Instant::now);
                    }
                }
                Ok(None) => {
                    let message = "the job's events ended before the job";
                    return Err(IngestError::new(ErrorKind::Internal, message));
                }
                Err(_) => match stuck.take() {
                    Some(job) if deadline <= Instant::now() => return Ok(job),
                    Some(job) if failing.is_none_or(|since| outage.left(since).is_zero()) => return Ok(job),
                    Some(job) => stuck = Some(job),
                    None if deadline <= Instant::now() => {
                        let seconds = limit.as_secs();
                        let message = format!("job {job} has not ended within {seconds} s; it goes on");
                        return Err(IngestError::new(ErrorKind::Timeout, message));
                    }
                    None => {}
                },
            }
        }
    }

    /// Submits, waiting a while where the queue is full.
    async fn submit_file(&self, scope: &CollectionScope, found: &Found) -> Result<JobId> {
        let mut waits = FULL.iter();
        loop {
            let submission =
                Submission::new(found.id.clone(), found.id.as_str(), Content::File(found.path.clone()));
            match self.submit(scope, submission, None).await {
                Ok(accepted) => return Ok(accepted.job),
                Err(e) if e.kind() == ErrorKind::RateLimited => match waits.next() {
                    Some(seconds) => tokio::time::sleep(Duration::from_secs(*seconds)).await,
                    None => return Err(e),
                },
                Err(e) => return Err(e),
            }
        }
    }

    /// Whether the file is what the visible version was made of, in the way it would be made now.
    pub(super) async fn is_unchanged(
        &self,
        scope: &CollectionScope,
        found: &Found,
        bytes: u64,
    ) -> Result<bool> {
        let catalog = &self.inner.store.catalog;
        let visible = match catalog.document(scope, &found.id).await {
            Ok(visible) => visible,
            Err(e) if e.kind() == StoreKind::NotFound => return Ok(false),
            Err(e) => return Err(e.into()),
        };
        let (_, collection) = catalog.collection(scope.scope(), scope.name()).await?;
        let settings = CollectionSettings::read(&collection.settings)?;
        let given = Given {
            source: found.id.as_str(),
            media_type: None,
            title: None,
            metadata: &Default::default(),
            acl: None,
        };
        if visible.bytes != bytes || visible.pipeline != identity(&collection, &settings.chunk, &given) {
            return Ok(false);
        }
        let path = found.path.clone();
        let hash = move || {
            blake3::Hasher::new().update_reader(fs_err::File::open(path)?).map(|hasher| hasher.finalize())
        };
        let hash = tokio::task::spawn_blocking(hash)
            .await
            .map_err(|e| IngestError::new(ErrorKind::Internal, "hashing the file failed").with_source(e))?
            .map_err(|e| IngestError::new(ErrorKind::Unavailable, e.to_string()).with_source(e))?;
        Ok(visible.content_hash == ContentHash(*hash.as_bytes()).to_hex())
    }
}

/// How long nothing of a run has ended.
struct Outage {
    since: Mutex<Instant>,
    patience: Duration,
}

impl Outage {
    fn new(patience: Duration) -> Self {
        Self { since: Mutex::new(Instant::now()), patience }
    }

    fn over(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How much longer a file that fails since then is waited for.
    fn left(&self, failing: Instant) -> Duration {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        self.patience.saturating_sub(since.max(failing).elapsed())
    }
}

/// A stable code for a file that no job could be made or awaited for.
fn code(error: &IngestError) -> &'static str {
    match error.kind() {
        ErrorKind::Unavailable => "unreadable",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Invalid => "invalid",
        ErrorKind::RateLimited => "queue_full",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Unauthorized => "unauthorized",
        ErrorKind::Corrupt => "corrupt_store",
        ErrorKind::Internal => "internal",
    }
}

fn elapsed(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
