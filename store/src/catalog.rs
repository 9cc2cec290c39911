//! The source of truth: documents, versions, chunks, vectors, jobs and the change sequence, in transactions.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use roaring::RoaringTreemap;

use crate::document::{
    ChunkId, ChunkKey, Collection, CollectionName, ContentHash, Document, DocumentId, DocumentKey,
    NewCollection, NewDocument, PageSpan, ProcessedDocument, Seq, StoredChunk, Version,
};
use crate::error::{ErrorKind, Result, StoreError};
use crate::feedback::FeedbackRows;
use crate::filter::Filter;
use crate::jobs::{Ending, Job, JobId, JobState, Lease, Progress, Retry, Stage};
use crate::keyword::KeywordEntry;
use crate::names::{Bearer, NameHash};
use crate::queries::{KeptQueries, NewQuery, RecordedQuery};
use crate::scope::{CollectionScope, Scope, TenantId};
use crate::vector::VectorEntry;
use crate::webhooks::DeliveryRows;

pub mod postgres;
pub(crate) mod rows;
pub mod sqlite;

/// What accepting a document made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The version to come.
    pub version: Version,
    /// The job that makes it.
    pub job: JobId,
}

/// A client's key for one write, so that a repeated request is answered with the first one's result.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// 1–255 visible ASCII characters.
    pub key: String,
    /// A hash of the request: the same key with another request is `Conflict`.
    pub request: ContentHash,
}

/// One page of a listing.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give it back to get the next page; `None` at the end.
    pub next: Option<String>,
}

/// One change that indexes must follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place in the sequence, unique over the whole catalog.
    pub seq: Seq,
    /// What happened.
    pub kind: ChangeKind,
    /// The document.
    pub document: DocumentKey,
    /// The version.
    pub version: Version,
}

/// What happened to a document's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Its chunks were stored.
    Stored,
    /// Its chunks must leave every index (deleted, superseded, or abandoned before it became visible).
    Removed,
}

/// Which of a collection's two indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexKind {
    /// Vectors.
    Vector,
    /// Words.
    Keyword,
}

/// A chunk as `sync` and rebuild feed it to the indexes.
#[derive(Debug, Clone)]
pub struct IndexEntry {
    /// For the vector index.
    pub vector: VectorEntry,
    /// For the keyword index.
    pub keyword: KeywordEntry,
}

/// Some of the chunks in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanguageSample {
    /// ISO 639-1; `None` for chunks whose language is not known.
    pub language: Option<String>,
    /// Visible chunks in that language.
    pub chunks: u64,
    /// The sample, in an order that has nothing to do with the documents'.
    pub keys: Vec<ChunkKey>,
}

/// What a purge removed for good.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Purged {
    /// Document versions whose text, chunks and vectors are gone.
    pub versions: u64,
    /// Chunks.
    pub chunks: u64,
    /// Blobs that no version refers to any more, of this purge and of earlier ones, to be deleted by the caller, who
    /// then says so with [`Catalog::blob_deleted`].
    #[serde(skip)]
    pub blobs: Vec<(TenantId, ContentHash)>,
}

/// The transactional source of truth. Every method is one transaction, durable when it returns; none is partly applied.
/// What a scope may not see is `NotFound`.
#[async_trait]
pub trait Catalog: FeedbackRows + DeliveryRows + Send + Sync + 'static {
    // ---- collections -------------------------------------------------------------------------------------------

    /// Makes a collection; `Conflict` if the name is taken. The tenant's row is made with its first collection.
    async fn create_collection(&self, scope: &Scope, new: NewCollection) -> Result<Collection>;

    /// The collection, and the scope narrowed to it: the only way to a [`CollectionScope`].
    async fn collection(&self, scope: &Scope, name: &CollectionName)
    -> Result<(CollectionScope, Collection)>;

    /// The tenant's collections that the scope permits, by name.
    async fn collections(&self, scope: &Scope) -> Result<Vec<Collection>>;

    /// Deletes a collection with its documents: gone for everybody when it returns, purged later.
    async fn delete_collection(&self, scope: &CollectionScope) -> Result<()>;

    /// Every living collection of every tenant, under its tenant's own authority: for workers, sync and verify.
    async fn all_collections(&self) -> Result<Vec<(CollectionScope, Collection)>>;

    // ---- documents ---------------------------------------------------------------------------------------------

    /// Accepts a document: document row (made if new), next version, and job, in one transaction. The same idempotency
    /// key with the same request returns the first result (keys are remembered for a week). `Conflict` if the id is that
    /// of a document which the scope may not see; `Unauthorized` for an access list under which the scope would not see it.
    async fn accept(
        &self,
        scope: &CollectionScope,
        document: NewDocument,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<Accepted>;

    /// The visible version.
    async fn document(&self, scope: &CollectionScope, id: &DocumentId) -> Result<Document>;

    /// Visible documents by id, at most `limit` (1–1000) after `cursor`.
    async fn documents(
        &self,
        scope: &CollectionScope,
        filter: Option<&Filter>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Document>>;

    /// The visible version's stored text, pages, and offset map.
    async fn text(
        &self,
        scope: &CollectionScope,
        id: &DocumentId,
    ) -> Result<(String, Vec<PageSpan>, serde_json::Value)>;

    /// The hash of the visible version's original bytes.
    async fn blob(&self, scope: &CollectionScope, id: &DocumentId) -> Result<ContentHash>;

    /// The visible version's chunks, in order.
    async fn chunks(&self, scope: &CollectionScope, id: &DocumentId) -> Result<Vec<StoredChunk>>;

    /// Deletes a document, which may have been accepted only: when it returns no query sees it, its unfinished jobs are cancelled, and its removal from
    /// the indexes is in the change sequence.
    async fn delete_document(&self, scope: &CollectionScope, id: &DocumentId) -> Result<Seq>;

    /// Replaces a document's access list, of the visible version and of those to come: in force for everything that is asked
    /// after it returns. Chunks, vectors and indexes are not touched. `Unauthorized` for a list under which the scope would
    /// not see the document any more.
    async fn set_acl(&self, scope: &CollectionScope, id: &DocumentId, acl: Option<Vec<String>>)
    -> Result<()>;
    /// Deletes a document if this version of it is the visible one, like [`Catalog::delete_document`]; `Conflict` otherwise.
    async fn delete_version(&self, scope: &CollectionScope, id: &DocumentId, version: Version)
    -> Result<Seq>;

    // ---- the write path ----------------------------------------------------------------------------------------

    /// Leases a due job for `owner` until `now + lease`: a queued one, or a running one whose lease ran out. The oldest of
    /// those that were never leased comes first, then whichever has been due for longest.
    /// Jobs of one document are leased in the order of their versions, one at a time. A job whose attempts are used up
    /// becomes `Dead` instead, its version and bytes kept. `None` if nothing is due.
    async fn lease(&self, owner: &str, lease: Duration) -> Result<Option<Lease>>;

    /// Extends the lease and records stage and progress. Returns whether cancellation was asked for (or the document
    /// was deleted); `Conflict` if the lease is lost.
    async fn heartbeat(
        &self,
        lease: &Lease,
        stage: Stage,
        progress: Option<Progress>,
        extend: Duration,
    ) -> Result<bool>;

    /// Vectors of chunks in this collection (any version not purged) by content hash; those not known are left out.
    async fn known_vectors(
        &self,
        scope: &CollectionScope,
        hashes: &[ContentHash],
    ) -> Result<HashMap<ContentHash, Vec<f32>>>;

    /// Stores text, chunks, spans and vectors of the leased version and takes a change sequence number. Storing again
    /// (a later attempt) replaces what an earlier attempt stored: a `Removed` and a `Stored` change, to be applied in
    /// that order. `Conflict` if the document was deleted meanwhile; the job is `Cancelled` then.
    async fn store_version(&self, lease: &Lease, processed: ProcessedDocument) -> Result<Seq>;

    /// Makes the leased version visible, the older one invisible (with a `Removed` change for it), and the job
    /// `Indexed`, in one update; older versions that wait or whose jobs are dead are abandoned. If a newer version is
    /// visible already or the document was deleted, the version is abandoned (with a `Removed` change) and the job
    /// `Cancelled`. Returns the job's state.
    ///
    /// `report`, a JSON object or null, is kept as the job's report. Where another visible document of the collection
    /// has the same original bytes and no access list but this one's own, `duplicate_of` is added to it: the smallest
    /// such id. Of two that are ingested together it is the one published last that names the other.
    async fn publish(&self, lease: &Lease, report: serde_json::Value) -> Result<JobState>;

    /// Ends the job without making anything visible; what an attempt stored is abandoned (`Removed`).
    async fn end_job(&self, lease: &Lease, ending: Ending) -> Result<()>;

    /// Gives the job back after a failed attempt: `Queued` again after the wait, or `Dead`, its version and bytes kept,
    /// if it was the last attempt that counts. Jobs of newer versions, which wait for this one, get its message.
    async fn retry_job(&self, lease: &Lease, retry: Retry) -> Result<JobState>;

    /// Returns once another process may have queued a job. Only saves a worker time: one that also polls loses nothing where a
    /// catalog cannot tell, as here.
    async fn work_arrives(&self) {
        std::future::pending::<()>().await;
    }

    // ---- jobs as people see them -------------------------------------------------------------------------------

    /// One job of the tenant, if the scope permits its collection.
    async fn job(&self, scope: &Scope, id: JobId) -> Result<Job>;

    /// Jobs of a collection, newest first, at most `limit` (1–1000) after `cursor`, of one state if given.
    async fn jobs(
        &self,
        scope: &CollectionScope,
        state: Option<JobState>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Job>>;

    /// Asks for cancellation: a queued or dead job is cancelled at once, a running one at its next heartbeat, any other is
    /// left (`Conflict` names its state).
    async fn cancel_job(&self, scope: &Scope, id: JobId) -> Result<Job>;

    /// Queues a dead job again, with all its attempts before it; `Conflict` names the state of any other.
    async fn requeue_job(&self, scope: &Scope, id: JobId) -> Result<Job>;

    /// Queued and running jobs in all, and the age of the oldest in seconds.
    async fn backlog(&self) -> Result<(u64, u64)>;

    // ---- queries -----------------------------------------------------------------------------------------------

    /// Keys of visible chunks that pass scope and filter; `None` when both let everything through (no filter and
    /// [`crate::scope::Access::Everything`]).
    async fn candidates(
        &self,
        scope: &CollectionScope,
        filter: Option<&Filter>,
    ) -> Result<Option<RoaringTreemap>>;

    /// Those of the keys that are visible under the scope and filter, with their text; the order is not kept.
    async fn visible_chunks(
        &self,
        scope: &CollectionScope,
        keys: &[ChunkKey],
        filter: Option<&Filter>,
    ) -> Result<Vec<StoredChunk>>;

    /// Those of the ids that are visible under the scope; the order is not kept.
    async fn chunks_by_id(&self, scope: &CollectionScope, ids: &[ChunkId]) -> Result<Vec<StoredChunk>>;

    /// Bytes `start..end` of the stored text of this version if it is the visible one, cut to the text's length and
    /// inwards to character boundaries; `NotFound` otherwise.
    async fn text_span(
        &self,
        scope: &CollectionScope,
        id: &DocumentId,
        version: Version,
        start: usize,
        end: usize,
    ) -> Result<String>;

    /// Chunks of the same version `before` and `after` positions around an ordinal, in order, itself included; none if
    /// that version is not visible under the scope.
    async fn neighbours(
        &self,
        scope: &CollectionScope,
        document: DocumentKey,
        version: Version,
        ordinal: u32,
        before: u32,
        after: u32,
    ) -> Result<Vec<StoredChunk>>;

    // ---- what retrieval learns about a collection ---------------------------------------------------------------

    /// Visible chunks spread over the collection, at most `per_language` of each language: languages by number of
    /// chunks, most first, then by code. The same draw for the same chunks. Costs a look at every visible chunk's row.
    async fn sample_chunks(&self, scope: &CollectionScope, per_language: u32) -> Result<Vec<LanguageSample>>;

    /// The report that was kept last; opaque here.
    async fn tuning(&self, scope: &CollectionScope) -> Result<Option<serde_json::Value>>;

    /// Keeps a report in place of the former one. It goes with the collection.
    async fn keep_tuning(&self, scope: &CollectionScope, report: serde_json::Value) -> Result<()>;

    // ---- what documents are called ------------------------------------------------------------------------------

    /// Visible documents, under the scope, that bear one of these names, by name and then by document key; names that more
    /// than `most` of them bear are left out, and so are those of 64 and more documents whoever sees them. A name is kept
    /// with the version: it leads to a document from the moment that this version is visible, and no longer.
    async fn bearers(&self, scope: &CollectionScope, names: &[NameHash], most: usize) -> Result<Vec<Bearer>>;

    /// Keeps a search and forgets those of the collection that are too many or too old. They are gone with the collection
    /// when its deletion returns.
    async fn record_query(&self, scope: &CollectionScope, query: NewQuery, kept: KeptQueries) -> Result<()>;

    /// Kept searches of the collection, newest first, at most `limit` (1–1000). `Unauthorized` for a scope that does not
    /// see everything.
    async fn recorded_queries(&self, scope: &CollectionScope, limit: u32) -> Result<Vec<RecordedQuery>>;

    // ---- sync, rebuild, verify ---------------------------------------------------------------------------------

    /// The newest change's sequence number in the collection; `Seq(0)` if none.
    async fn last_seq(&self, scope: &CollectionScope) -> Result<Seq>;

    /// Changes of the collection after `after`, ascending, at most `limit`.
    async fn changes(&self, scope: &CollectionScope, after: Seq, limit: u32) -> Result<Vec<Change>>;

    /// What the indexes hold for a version: empty once it is purged.
    async fn index_entries(
        &self,
        scope: &CollectionScope,
        document: DocumentKey,
        version: Version,
    ) -> Result<Vec<IndexEntry>>;

    /// Keys of a version's chunks, those that an earlier attempt stored included: what a `Removed` change takes out of the
    /// indexes. Empty once it is purged.
    async fn chunk_keys(
        &self,
        scope: &CollectionScope,
        document: DocumentKey,
        version: Version,
    ) -> Result<Vec<ChunkKey>>;

    /// Entries of every chunk that an index at the end of the change sequence must hold (versions stored and not
    /// removed, visible yet or not), ascending by key, at most `limit` after `after`: what rebuild reads.
    async fn entries_after(
        &self,
        scope: &CollectionScope,
        after: ChunkKey,
        limit: u32,
    ) -> Result<Vec<IndexEntry>>;

    /// Keys of those chunks: what `verify` compares an index with.
    async fn expected_keys(&self, scope: &CollectionScope) -> Result<RoaringTreemap>;

    /// The generation (from 1) of an index that is in use, and the sequence number it was last known to have flushed.
    async fn index_state(&self, scope: &CollectionScope, index: IndexKind) -> Result<(u32, Seq)>;

    /// Records a flush; never goes backwards within a generation.
    async fn record_watermark(
        &self,
        scope: &CollectionScope,
        index: IndexKind,
        generation: u32,
        seq: Seq,
    ) -> Result<()>;

    /// Puts generation `to` in use in place of `from`; `Conflict` if `from` is not in use.
    async fn swap_generation(
        &self,
        scope: &CollectionScope,
        index: IndexKind,
        from: u32,
        to: u32,
        seq: Seq,
    ) -> Result<()>;

    // ---- several processes on one catalog ------------------------------------------------------------------------

    /// The newest change that an index must have applied to know every visible chunk; `None` where this process alone
    /// changes the catalog, so that its indexes know them all.
    async fn newest_visible(&self, scope: &CollectionScope) -> Result<Option<Seq>> {
        let _ = scope;
        Ok(None)
    }

    /// Collections of every tenant with changes that this process's indexes have not flushed, each with its newest change.
    async fn behind(&self) -> Result<Vec<(CollectionScope, Seq)>> {
        let mut behind = Vec::new();
        for (scope, _) in self.all_collections().await? {
            let reached = async {
                let (_, vector) = self.index_state(&scope, IndexKind::Vector).await?;
                let (_, keyword) = self.index_state(&scope, IndexKind::Keyword).await?;
                Ok::<_, StoreError>((vector.min(keyword), self.last_seq(&scope).await?))
            };
            match reached.await {
                Ok((flushed, newest)) if flushed < newest => behind.push((scope, newest)),
                Ok(_) => {}
                // Deleted meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(behind)
    }

    /// Makes purges wait, from now on, until this process's indexes of the collection have flushed a removal. To be called
    /// before they are compared with the catalog.
    async fn enroll(&self, scope: &CollectionScope) -> Result<()> {
        let _ = scope;
        Ok(())
    }

    /// The newest removal that was purged without waiting for everybody, or with: an index that has not applied it may hold
    /// chunks that no change names any more, and has to be compared with the catalog.
    async fn purged_to(&self, scope: &CollectionScope) -> Result<Seq> {
        let _ = scope;
        Ok(Seq(0))
    }

    /// Says that this process is there, so that purges wait for its indexes. `false` if it was given up since it last said
    /// so: its open indexes have to be compared with the catalog.
    async fn beat(&self) -> Result<bool> {
        Ok(true)
    }

    /// Says that this process ends: purges wait for it no longer.
    async fn leave(&self) -> Result<()> {
        Ok(())
    }

    /// Makes `holder` the one process that writes this generation of a vector index which processes share, until `lease` from
    /// now; again, to go on. `false` while another one is. A catalog of one process always says yes.
    async fn claim_writing(
        &self,
        _scope: &CollectionScope,
        _generation: u32,
        _holder: &str,
        _lease: Duration,
    ) -> Result<bool> {
        Ok(true)
    }

    /// Lets others write, if `holder` is the one who does.
    async fn end_writing(&self, _scope: &CollectionScope, _generation: u32, _holder: &str) -> Result<()> {
        Ok(())
    }

    // ---- purge and health --------------------------------------------------------------------------------------

    /// Removes for good, and records, at most `limit` versions that are deleted, superseded or abandoned and whose
    /// `Removed` change every index has flushed, with rows of collections that were deleted, and changes nobody needs.
    async fn purge(&self, limit: u32) -> Result<Purged>;

    /// Gives back to the file system what purges of this process left free, if anything. `false` if readers were in the
    /// way: call again later. Not a transaction; writers hardly wait.
    async fn compact(&self) -> Result<bool>;

    /// Whether any version, purged ones excepted, refers to the blob: checked again right before a blob is deleted.
    async fn blob_in_use(&self, tenant: &TenantId, hash: &ContentHash) -> Result<bool>;

    /// Every tenant that has or had a collection, by name.
    async fn tenants(&self) -> Result<Vec<TenantId>>;

    /// The document ids and blobs of versions that were accepted and are not visible yet, those of dead jobs included, by
    /// id and version.
    async fn blobs_to_come(&self, scope: &CollectionScope) -> Result<Vec<(DocumentId, ContentHash)>>;

    /// Records that a blob named by [`Catalog::purge`] was deleted. Until then every purge names it again, so that a
    /// crash between the two leaves no bytes behind.
    async fn blob_deleted(&self, tenant: &TenantId, hash: &ContentHash) -> Result<()>;

    /// Checks the catalog's own structure (page checksums, foreign keys, spans within texts, vectors of the right
    /// size); one line per damage found.
    async fn check(&self) -> Result<Vec<String>>;

    /// Answers if the catalog can be read.
    async fn ping(&self) -> Result<()>;
}
