//! One attempt at one job: from the stored bytes to a version that every index holds and nobody sees yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tracing::Instrument;
use wellspring_models::{Account, Embedder, ModelError, Refusal, Statement};
use wellspring_store::jobs::{JobState, Lease, Stage};
use wellspring_store::{Collection, ErrorKind as StoreKind, Store, StoreError, fault};

use super::chunkers::Chunkers;
use super::cut::{Cut, Uncut};
use super::drift::drift;
use super::{Embedders, Extract, Given, identity, vectors};
use crate::chunk::Chunker;
use crate::config::{CollectionSettings, IngestConfig};
use crate::dedup;
use crate::error::{ErrorKind, IngestError};
use crate::extract::{Extracted, Failure, Reason};
use crate::report::{JobReport, Timings};
use crate::spans;
use crate::worker::beat::Beat;

/// Attempts at a document that makes the extractor crash: once may be chance, twice is the document.
const CRASHES: u32 = 2;

/// The reason of a job that waits for money or tokens.
const BUDGET: &str = "budget";

/// Tries, a minute apart, after which an embedder that never answered for a document may have that document to blame.
const A_DAY_OF_TRIES: i64 = 1_440;

/// What an attempt needs.
pub(crate) struct Attempt<'a> {
    pub(crate) store: &'a Store,
    pub(crate) embedders: &'a dyn Embedders,
    pub(crate) extractor: &'a dyn Extract,
    pub(crate) chunkers: &'a Chunkers,
    pub(crate) config: &'a IngestConfig,
    pub(crate) lease: &'a Lease,
    pub(crate) beat: &'a Beat<'a>,
}

/// How an attempt that ran to its end came out.
#[derive(Debug)]
pub(crate) enum Done {
    /// Nothing to do.
    Unchanged,
    /// Every index holds the version: it may be published.
    Ready(Box<JobReport>),
}

/// Why an attempt ended early.
#[derive(Debug)]
pub(crate) enum Halt {
    /// For good, for a reason in the document or its collection.
    Ended { state: JobState, reason: &'static str, message: String },
    /// For a reason outside the document, or one that may pass: to be tried again. What would have failed for any document
    /// does not count against this one.
    Outside { reason: &'static str, error: IngestError, counts: bool },
    /// A client asked for it, or the document was deleted.
    Cancelled,
    /// The lease, the document or the collection is gone: there is nothing left to write to.
    Lost,
    /// The process shuts down.
    HandBack,
}

impl Halt {
    fn ended(state: JobState, reason: &'static str, message: impl Into<String>) -> Self {
        Self::Ended { state, reason, message: message.into() }
    }

    /// Counts unless the error says that something could not be reached, or not used by us.
    pub(crate) fn outside(reason: &'static str, error: impl Into<IngestError>) -> Self {
        let error = error.into();
        let unreachable = matches!(
            error.kind(),
            ErrorKind::Unavailable | ErrorKind::RateLimited | ErrorKind::Timeout | ErrorKind::Unauthorized
        );
        Self::Outside { reason, error, counts: !unreachable }
    }

    /// Does not count: any document would have failed.
    fn not_the_document(reason: &'static str, error: impl Into<IngestError>) -> Self {
        Self::Outside { reason, error: error.into(), counts: false }
    }

    /// Counts whatever the error is: the document may be what makes it happen.
    pub(crate) fn perhaps_the_document(reason: &'static str, error: impl Into<IngestError>) -> Self {
        Self::Outside { reason, error: error.into(), counts: true }
    }
}

/// A failed read from the store.
fn reading(error: StoreError) -> Halt {
    match error.kind() {
        StoreKind::NotFound => Halt::Lost,
        _ => Halt::outside("store_unavailable", error),
    }
}

/// A failed write under the lease.
pub(crate) fn writing(error: StoreError) -> Halt {
    match error.kind() {
        StoreKind::Conflict | StoreKind::NotFound => Halt::Lost,
        _ => Halt::outside("store_unavailable", error),
    }
}

impl Attempt<'_> {
    /// Runs the stages. Dropping the future stops it; what was stored by then is replaced by the next attempt or
    /// abandoned with the job.
    pub(crate) async fn run(&self) -> Result<Done, Halt> {
        self.beat.stage(Stage::Extract).await?;
        let scope = &self.lease.collection;
        let (_, collection) =
            self.store.catalog.collection(scope.scope(), scope.name()).await.map_err(reading)?;
        let settings = CollectionSettings::read(&collection.settings)
            .map_err(|e| Halt::ended(JobState::Failed, "invalid_settings", e.to_string()))?;
        let pipeline = identity(&collection, &settings.chunk, &Given::of(&self.lease.document));
        if self.is_unchanged(&pipeline).await? {
            return Ok(Done::Unchanged);
        }
        // The job pays, whatever attempt it is.
        let account = Account::new(scope.tenant().as_str(), None, format!("job-{}", self.lease.job));
        let embedder = self.embedder(&collection, &account).await?;
        settings
            .suits(embedder.as_ref())
            .map_err(|e| Halt::ended(JobState::Failed, "invalid_settings", e.to_string()))?;
        let mut times = Timings::default();

        let clock = Instant::now();
        let span = spans::stage(spans::Stage::Extract);
        let extracted = self.extract().instrument(span.clone()).await?;
        span.record("document.format", extracted.format.name());
        drop(span);
        times.extract_ms = elapsed(clock);
        fault::point("ingest.extract.after");

        let clock = Instant::now();
        self.beat.stage(Stage::Chunk).await?;
        let chunker = self
            .chunkers
            .get(&settings.chunk, &embedder)
            .map_err(|e| Halt::ended(JobState::Failed, "invalid_settings", e.to_string()))?;
        let span = spans::stage(spans::Stage::Chunk);
        let cut = self.cut(chunker, &embedder, extracted).instrument(span.clone()).await?;
        span.record("document.chunks", cut.chunks.len());
        drop(span);
        times.chunk_ms = elapsed(clock);
        fault::point("ingest.chunk.after");

        let clock = Instant::now();
        let span = spans::stage(spans::Stage::Embed);
        span.record("gen_ai.request.model", embedder.info().name.as_str());
        let found = self.embed(&embedder, &cut, &account).instrument(span.clone()).await?;
        span.record("document.embedded", found.embedded);
        drop(span);
        times.embed_ms = elapsed(clock);
        fault::point("ingest.embed.after");

        let mut report = Self::report(&cut, &found, account.statement());
        let clock = Instant::now();
        self.beat.stage(Stage::Store).await?;
        let (lease, chunker) = (self.lease.clone(), settings.chunk.fingerprint());
        let commit = async {
            let processed = blocking(move || cut.processed(&found, &lease, pipeline, &chunker)).await?;
            self.store.catalog.store_version(self.lease, processed).await.map_err(writing)
        };
        let seq = commit.instrument(spans::stage(spans::Stage::Commit)).await?;
        times.store_ms = elapsed(clock);
        fault::point("ingest.store.after");

        let clock = Instant::now();
        self.beat.stage(Stage::Index).await?;
        // The change is in the log by now, and every index will get it: never the document's fault.
        let index = self.store.indexes.catch_up(scope, seq).instrument(spans::stage(spans::Stage::Index));
        index.await.map_err(|e| match e.kind() {
            StoreKind::NotFound => Halt::Lost,
            _ => Halt::not_the_document("index_unavailable", e),
        })?;
        times.index_ms = elapsed(clock);
        fault::point("ingest.index.after");
        // The lease must outlast the publication that follows.
        self.beat.stage(Stage::Index).await?;
        report.timings = times;
        Ok(Done::Ready(Box::new(report)))
    }

    /// Whether the visible version has the same bytes and came through the same pipeline.
    async fn is_unchanged(&self, pipeline: &str) -> Result<bool, Halt> {
        let document = &self.lease.document;
        match self.store.catalog.document(&self.lease.collection, &document.id).await {
            Ok(visible) => Ok(visible.content_hash == document.blob.to_hex() && visible.pipeline == pipeline),
            Err(e) if e.kind() == StoreKind::NotFound => Ok(false),
            Err(e) => Err(reading(e)),
        }
    }

    /// The collection's embedder, if it still is the one the collection was made with.
    async fn embedder(&self, collection: &Collection, account: &Account) -> Result<Arc<dyn Embedder>, Halt> {
        let embedder = self
            .embedders
            .paid_embedder(&collection.model, account)
            .await
            // A model that is not set up fails every document alike.
            .map_err(|e| Halt::not_the_document("embedder_unavailable", e))?;
        let info = embedder.info();
        if info.fingerprint.0 == collection.fingerprint && info.dimension == collection.dimension {
            return Ok(embedder);
        }
        Err(Halt::ended(
            JobState::Failed,
            "model_mismatch",
            format!(
                "collection {} was made with {} ({}), but that name now means {} ({}); restore the model or make a new collection",
                collection.name, collection.model, collection.fingerprint, info.name, info.fingerprint
            ),
        ))
    }

    async fn extract(&self) -> Result<Extracted, Halt> {
        let document = &self.lease.document;
        let bytes: Bytes = self
            .store
            .blobs
            .get(self.lease.collection.tenant(), &document.blob)
            .await
            .map_err(|e| Halt::outside("blob_unavailable", e))?;
        let name = document.source.rsplit(['/', '\\']).next().filter(|name| !name.is_empty());
        match self.extractor.extract(bytes, name, document.media_type.as_deref()).await {
            Ok(extracted) => Ok(extracted),
            Err(failure) => Err(self.failure(failure)),
        }
    }

    fn failure(&self, failure: Failure) -> Halt {
        let Failure { reason, message } = failure;
        let again = match reason {
            Reason::Unavailable => true,
            Reason::Crashed => self.lease.attempt < CRASHES.min(self.lease.max_attempts),
            _ => false,
        };
        if again {
            // A library that is not set up stays away, unlike an endpoint: the job ends, and its document is kept.
            let error = IngestError::new(ErrorKind::Unavailable, message);
            return Halt::perhaps_the_document(reason.code(), error);
        }
        let state = if reason.is_skip() { JobState::Skipped } else { JobState::Failed };
        Halt::ended(state, reason.code(), message)
    }

    /// Chunks with titles and languages, made on a blocking thread.
    async fn cut(
        &self,
        chunker: Chunker,
        embedder: &Arc<dyn Embedder>,
        extracted: Extracted,
    ) -> Result<Cut, Halt> {
        let (given, source) = (self.lease.document.title.clone(), self.lease.document.source.clone());
        let reading = chunker.clone();
        let (uncut, runs) = blocking(move || {
            let uncut = Uncut::new(&reading, extracted, given.as_deref(), &source);
            let runs = uncut.runs(&reading);
            Ok((uncut, runs))
        })
        .await?;
        let drift = drift(embedder, &uncut.extracted.text, &runs, self.config.embed_batch)
            .await
            .map_err(|e| self.not_embedded(e, false))?;
        let cut = blocking(move || Ok(uncut.cut(&chunker, &drift))).await?;
        if cut.chunks.is_empty() {
            return Err(Halt::ended(
                JobState::Failed,
                Reason::Empty.code(),
                "the document holds no text to be found by",
            ));
        }
        Ok(cut)
    }

    async fn embed(
        &self,
        embedder: &Arc<dyn Embedder>,
        cut: &Cut,
        account: &Account,
    ) -> Result<vectors::Vectors, Halt> {
        let (chunks, text) = (&cut.chunks, &cut.extracted.text);
        self.beat.stage(Stage::Embed).await?;
        let dimension = embedder.info().dimension;
        let plan = dedup::plan(self.store.catalog.as_ref(), &self.lease.collection, chunks, dimension)
            .await
            .map_err(|e| Halt::outside("store_unavailable", e))?;
        let tokens: usize =
            plan.missing.iter().filter_map(|&i| chunks.get(i)).map(|chunk| chunk.tokens).sum();
        // A document that the budget ends in the middle of would be paid for again and never be finished.
        self.embedders.affords(&embedder.info().name, tokens as u64, account).await.map_err(refused)?;
        let total = plan.missing.len() as u64;
        self.beat.progress(0, total);
        let embedded = AtomicU64::new(0);
        vectors::embed(
            embedder,
            chunks,
            text,
            plan,
            self.config.embed_batch,
            self.config.embed_calls,
            |done| {
                embedded.store(done, Ordering::Relaxed);
                self.beat.progress(done, total)
            },
        )
        .await
        .map_err(|e| self.not_embedded(e, embedded.into_inner() > 0))
    }

    /// A failure of the embedder: its own, where it did nothing for this document either. Where it embedded other parts of
    /// it, or has been asked for a day, what it fails on may be a text of this document.
    fn not_embedded(&self, error: IngestError, embedded_some: bool) -> Halt {
        if Refusal::within(&error).is_some() {
            return Halt::not_the_document(BUDGET, error);
        }
        let its_own = !matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::Internal);
        match its_own && !embedded_some && self.lease.fence < A_DAY_OF_TRIES {
            true => Halt::not_the_document("embedder_unavailable", error),
            false => Halt::perhaps_the_document("embedder_unavailable", error),
        }
    }

    fn report(cut: &Cut, found: &vectors::Vectors, paid: Statement) -> JobReport {
        let chunks = cut.chunks.len() as u64;
        JobReport {
            chunks,
            embedded: found.embedded,
            reused: chunks - found.embedded,
            tokens: cut.chunks.iter().map(|c| c.tokens as u64).sum(),
            truncated: found.truncated,
            pages: cut.pages.last().map_or(0, |p| p.page),
            characters: cut.characters,
            format: cut.extracted.format.name().to_owned(),
            // Known when it is published.
            duplicate_of: None,
            warnings: cut.extracted.warnings.clone(),
            cost: paid.cost,
            currency: paid.currency,
            timings: Timings::default(),
        }
    }
}

/// A document that the budget has no room for waits until it has; one that it will never have room for is given up after
/// the attempts that any document has.
fn refused(error: ModelError) -> Halt {
    match error.refusal() {
        Some(refusal) if refusal.is_for_ever() => Halt::perhaps_the_document(BUDGET, error),
        Some(_) => Halt::not_the_document(BUDGET, error),
        None => Halt::outside("ledger_unavailable", error),
    }
}

/// Runs work that takes longer than an async thread may be held up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IngestError> + Send + 'static,
) -> Result<T, Halt> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| {
        Err(IngestError::new(ErrorKind::Internal, "a stage stopped in the middle; see the log")
            .with_source(e))
    });
    done.map_err(|e| Halt::outside("internal", e))
}

fn elapsed(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
