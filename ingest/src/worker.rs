//! Takes documents in, has workers index them, and tells how far each is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio::sync::{Notify, RwLock, RwLockReadGuard, broadcast};
use wellspring_store::catalog::{Accepted, IdempotencyKey};
use wellspring_store::jobs::{Job, JobId};
use wellspring_store::{
    CollectionScope, ContentHash, DocumentId, NewDocument, Scope, Seq, Store, StoreError, Version, fault,
};

use crate::config::IngestConfig;
use crate::error::{ErrorKind, IngestError, Result};
use crate::pipeline::chunkers::Chunkers;
use crate::pipeline::memory::Memory;
use crate::pipeline::{Embedders, Extract};
use crate::source::{Content, Submission};
use crate::spans;

pub(crate) mod beat;
mod files;
mod forecast;
mod maintenance;
mod pool;
mod recut;

pub use forecast::{Forecast, ForecastSummary, Planned, Target};
pub use pool::WorkerPool;

/// Job changes kept for listeners that are slow; whoever misses some looks at the catalog instead.
const CHANGES: usize = 1_024;
/// How often a document's bytes are stored whose like another process purges at the same time.
const BYTES_GONE: u32 = 3;

/// What submitters, workers and listeners share.
pub(crate) struct Inner {
    store: Store,
    embedders: Arc<dyn Embedders>,
    extractor: Arc<dyn Extract>,
    chunkers: Chunkers,
    memory: Memory,
    config: IngestConfig,
    owner: String,
    /// There may be work.
    wake: Notify,
    /// There is something to tidy up.
    tidy: Notify,
    publishes: AtomicU64,
    /// Whether looking for work failed the last time: said once per outage, not once per worker and try.
    failing: AtomicBool,
    changes: broadcast::Sender<JobId>,
    /// Running jobs whose cancellation was asked for in this process.
    cancelling: Mutex<HashMap<JobId, Arc<Notify>>>,
    /// Held shared from storing bytes to accepting the document that refers to them, and alone while purging: bytes
    /// that were there already must not be purged between the two.
    bytes_in_use: RwLock<()>,
}

impl Inner {
    fn changed(&self, job: JobId) {
        self.cancelling.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
        // Nobody listening is no fault.
        let _ = self.changes.send(job);
    }

    fn published(&self) {
        if self.publishes.fetch_add(1, Ordering::Relaxed) + 1 >= self.config.maintenance_publishes.max(1) {
            self.tidy.notify_one();
        }
    }

    fn canceller(&self, job: JobId) -> Arc<Notify> {
        Arc::clone(self.cancelling.lock().unwrap_or_else(PoisonError::into_inner).entry(job).or_default())
    }

    /// Says that looking for work fails, and that it does so no more.
    fn looked(&self, failure: Option<&StoreError>) {
        let before = self.failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(error) if !before => {
                tracing::warn!(%error, "looking for work fails; trying again until it does not")
            }
            None if before => tracing::info!("looking for work goes on"),
            _ => {}
        }
    }

    async fn cancelled(&self, job: JobId) {
        let canceller = self.canceller(job);
        canceller.notified().await;
    }
}

/// The way into a store: accepts documents and makes them searchable. Clones share everything.
#[derive(Clone)]
pub struct Ingestor {
    inner: Arc<Inner>,
}

impl Ingestor {
    /// An ingestor over a store. `owner` names this process in leases and is unlike that of any other process on the
    /// same catalog. Accepts at once; nothing is indexed before [`Ingestor::start`].
    pub fn new(
        store: Store,
        embedders: Arc<dyn Embedders>,
        extractor: Arc<dyn Extract>,
        config: IngestConfig,
        owner: impl Into<String>,
    ) -> Self {
        let inner = Inner {
            store,
            embedders,
            extractor,
            chunkers: Chunkers::default(),
            memory: Memory::new(config.memory_bytes),
            config,
            owner: owner.into(),
            wake: Notify::new(),
            tidy: Notify::new(),
            publishes: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            changes: broadcast::Sender::new(CHANGES),
            cancelling: Mutex::default(),
            bytes_in_use: RwLock::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &IngestConfig {
        &self.inner.config
    }

    /// Starts `workers` (at least 1) and the maintenance task. Work left by an earlier process goes on.
    pub fn start(&self, workers: usize) -> WorkerPool {
        WorkerPool::start(&self.inner, workers)
    }

    /// Accepts a document: when this returns its bytes, its row and its job are durable.
    ///
    /// # Errors
    /// `Invalid` for bytes, metadata or an access list above the limits; `RateLimited` when too many jobs wait;
    /// `Unavailable` when the source can't be read or the disk is full; the catalog's own otherwise.
    pub async fn submit(
        &self,
        scope: &CollectionScope,
        submission: Submission,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<Accepted> {
        self.check(&submission)?;
        self.check_backlog().await?;
        let Submission { id, source, mut content, media_type, title, metadata, acl } = submission;
        let mut document = NewDocument {
            id,
            blob: ContentHash::of(b""),
            bytes: 0,
            source,
            media_type,
            title,
            metadata,
            acl,
            trace: spans::here(),
        };
        let repeated = idempotency.is_some();
        for tries_left in (0..BYTES_GONE).rev() {
            let again = content.again();
            let (in_use, blob, bytes) = self.keep(scope, content).await?;
            (document.blob, document.bytes) = (blob, bytes);
            let accepted =
                self.inner.store.catalog.accept(scope, document.clone(), idempotency.clone()).await;
            drop(in_use);
            match (accepted, again) {
                (Ok(accepted), _) => {
                    // The catalog may have answered with an earlier job, whose document was deleted since with its bytes.
                    if repeated {
                        self.forget(scope, &blob).await;
                    }
                    fault::point("ingest.submit.after_accept");
                    self.inner.wake.notify_one();
                    return Ok(accepted);
                }
                (Err(error), Some(again)) if error.is_bytes_gone() && tries_left > 0 => content = again,
                (Err(error), _) => {
                    self.forget(scope, &blob).await;
                    return Err(error.into());
                }
            }
        }
        Err(IngestError::new(ErrorKind::Internal, "accepting a document ended without a result"))
    }

    /// Stores the bytes, which this process does not purge before what is returned first is dropped.
    async fn keep(
        &self,
        scope: &CollectionScope,
        content: Content,
    ) -> Result<(RwLockReadGuard<'_, ()>, ContentHash, u64)> {
        let unreadable = |e: std::io::Error| {
            IngestError::new(ErrorKind::Unavailable, format!("the document can't be read: {e}"))
                .with_source(e)
        };
        let bytes = content.stream().await.map_err(unreadable)?;
        let in_use = self.inner.bytes_in_use.read().await;
        let (blob, bytes) =
            self.inner.store.blobs.put(scope.tenant(), bytes, self.inner.config.max_upload_bytes).await?;
        fault::point("ingest.submit.after_blob");
        Ok((in_use, blob, bytes))
    }

    /// Deletes bytes that no document has: those of a refused one. What fails here is swept at the next
    /// start.
    async fn forget(&self, scope: &CollectionScope, blob: &ContentHash) {
        let store = &self.inner.store;
        // Mostly a document has them, and nobody need be held up.
        if matches!(store.catalog.blob_in_use(scope.tenant(), blob).await, Ok(true)) {
            return;
        }
        let _alone = self.inner.bytes_in_use.write().await;
        if let Err(error) = store.delete_unused_blob(scope.tenant(), blob, Duration::ZERO).await {
            tracing::warn!(%error, "the bytes of a refused document could not be deleted");
        }
    }

    fn check(&self, submission: &Submission) -> Result<()> {
        let config = &self.inner.config;
        let invalid = |message: String| Err(IngestError::new(ErrorKind::Invalid, message));
        let metadata = serde_json::to_vec(&submission.metadata)
            .map_err(|e| IngestError::new(ErrorKind::Invalid, "the metadata is not JSON").with_source(e))?
            .len();
        if metadata > config.max_metadata_bytes {
            return invalid(format!(
                "the metadata has {metadata} bytes, the limit is {} (max_metadata_bytes)",
                config.max_metadata_bytes
            ));
        }
        let principals = submission.acl.as_ref().map_or(0, Vec::len);
        if principals > config.max_acl_entries {
            return invalid(format!(
                "the access list has {principals} entries, the limit is {} (max_acl_entries)",
                config.max_acl_entries
            ));
        }
        Ok(())
    }

    /// `RateLimited` when [`Ingestor::submit`] would refuse because too many jobs wait: worth knowing before a document is
    /// received.
    pub async fn check_backlog(&self) -> Result<()> {
        let (waiting, _) = self.inner.store.catalog.backlog().await?;
        if waiting < self.inner.config.max_backlog {
            return Ok(());
        }
        let message = format!(
            "{waiting} documents are waiting, the limit is {} (`ingest.max_backlog`); try again later",
            self.inner.config.max_backlog
        );
        Err(StoreError::new(wellspring_store::ErrorKind::RateLimited, message)
            .with_retry_after(Some(Duration::from_secs(10)))
            .into())
    }

    /// Deletes a document: gone for everybody when this returns, out of the indexes and off the disk soon after.
    pub async fn delete(&self, scope: &CollectionScope, id: &DocumentId) -> Result<Seq> {
        let seq = self.inner.store.catalog.delete_document(scope, id).await?;
        self.inner.tidy.notify_one();
        Ok(seq)
    }

    /// Deletes a document if this version of it is the visible one; `Conflict` otherwise.
    pub async fn delete_version(
        &self,
        scope: &CollectionScope,
        id: &DocumentId,
        version: Version,
    ) -> Result<Seq> {
        let seq = self.inner.store.catalog.delete_version(scope, id, version).await?;
        self.inner.tidy.notify_one();
        Ok(seq)
    }

    /// Cancels a job: at once if it waits or runs in this process, else at its next heartbeat. `Conflict` if it has ended.
    pub async fn cancel(&self, scope: &Scope, job: JobId) -> Result<Job> {
        let seen = self.inner.store.catalog.cancel_job(scope, job).await?;
        if seen.state.is_final() {
            self.inner.changed(job);
        } else {
            let cancelling = self.inner.cancelling.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(running) = cancelling.get(&job) {
                running.notify_one();
            }
        }
        Ok(seen)
    }

    /// Queues a dead job again; `Conflict` names the state of any other.
    pub async fn requeue(&self, scope: &Scope, job: JobId) -> Result<Job> {
        let seen = self.inner.store.catalog.requeue_job(scope, job).await?;
        self.inner.changed(job);
        self.inner.wake.notify_one();
        Ok(seen)
    }

    /// The job once it has ended; `Timeout` if it has not by then (it goes on).
    pub async fn wait(&self, scope: &Scope, job: JobId, deadline: Duration) -> Result<Job> {
        let ended = async {
            let mut events = std::pin::pin!(self.events(scope, job));
            while let Some(seen) = events.next().await {
                let seen = seen?;
                if seen.state.is_final() {
                    return Ok(seen);
                }
            }
            Err(IngestError::new(ErrorKind::Internal, "the job's events ended before the job"))
        };
        tokio::time::timeout(deadline, ended).await.unwrap_or_else(|_| {
            let message = format!("job {job} has not ended within {} s; it goes on", deadline.as_secs());
            Err(IngestError::new(ErrorKind::Timeout, message))
        })
    }

    /// The job now and after every change, up to its end or the first error. A change made by another process is seen
    /// at the next poll.
    pub fn events(&self, scope: &Scope, job: JobId) -> impl Stream<Item = Result<Job>> + Send + 'static {
        let watch = Watch {
            inner: Arc::clone(&self.inner),
            scope: scope.clone(),
            job,
            changes: self.inner.changes.subscribe(),
            last: None,
            over: false,
        };
        stream::unfold(watch, Watch::next)
    }

    /// Brings every index up to the catalog and purges, now rather than at the next interval.
    pub async fn maintain(&self) -> Result<()> {
        maintenance::round(&self.inner).await
    }
}

struct Watch {
    inner: Arc<Inner>,
    scope: Scope,
    job: JobId,
    changes: broadcast::Receiver<JobId>,
    last: Option<Job>,
    over: bool,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<Job>, Self)> {
        if self.over {
            return None;
        }
        loop {
            match self.inner.store.catalog.job(&self.scope, self.job).await {
                Err(e) => {
                    self.over = true;
                    return Some((Err(e.into()), self));
                }
                Ok(seen) if self.last.as_ref() != Some(&seen) => {
                    self.over = seen.state.is_final();
                    self.last = Some(seen.clone());
                    return Some((Ok(seen), self));
                }
                Ok(_) => self.changed().await,
            }
        }
    }

    /// Returns when the job may have changed.
    async fn changed(&mut self) {
        let job = self.job;
        let changes = &mut self.changes;
        let heard = async {
            loop {
                match changes.recv().await {
                    Ok(other) if other != job => {}
                    // The channel lives as long as `inner`; having missed some is a reason to look.
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        // Running out of time is the poll.
        let _ = tokio::time::timeout(self.inner.config.poll(), heard).await;
    }
}
