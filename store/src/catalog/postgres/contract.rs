//! The catalog's trait on PostgreSQL: each call handed to the module that carries it out, in a transaction of whoever's rows
//! it is about.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roaring::RoaringTreemap;

use super::connection::For;
use super::{
    PostgresCatalog, accept, acl, changes, check, collections, documents, jobs, leases, names, purge,
    queries, recorded, replicas, store, tuning, writers,
};
use crate::catalog::rows::{processed, values};
use crate::catalog::{
    Accepted, Catalog, Change, IdempotencyKey, IndexEntry, IndexKind, LanguageSample, Page, Purged,
};
use crate::document::{
    ChunkId, ChunkKey, Collection, CollectionName, ContentHash, Document, DocumentId, DocumentKey,
    NewCollection, NewDocument, PageSpan, ProcessedDocument, Seq, StoredChunk, Version,
};
use crate::error::{ErrorKind, Result, StoreError};
use crate::filter::Filter;
use crate::jobs::{Ending, Job, JobId, JobState, Lease, Progress, Retry, Stage};
use crate::names::{Bearer, NameHash};
use crate::queries::{KeptQueries, NewQuery, RecordedQuery};
use crate::scope::{Access, CollectionScope, Scope, TenantId};

#[async_trait]
impl Catalog for PostgresCatalog {
    async fn create_collection(&self, scope: &Scope, new: NewCollection) -> Result<Collection> {
        let (now, scope, replica) = (self.now(), scope.clone(), self.replica.clone());
        write!(self, scope.tenant(), collections::create(now, scope, new, replica))
    }

    async fn collection(
        &self,
        scope: &Scope,
        name: &CollectionName,
    ) -> Result<(CollectionScope, Collection)> {
        let (scope, name) = (scope.clone(), name.clone());
        read!(self, scope.tenant(), collections::get(scope, name))
    }

    async fn collections(&self, scope: &Scope) -> Result<Vec<Collection>> {
        let scope = scope.clone();
        read!(self, scope.tenant(), collections::list(scope))
    }

    async fn delete_collection(&self, scope: &CollectionScope) -> Result<()> {
        let (now, scope) = (self.now(), scope.clone());
        write!(self, scope.tenant(), "delete", collections::delete(now, scope))
    }

    async fn all_collections(&self) -> Result<Vec<(CollectionScope, Collection)>> {
        read!(self, For::Everybody, collections::all())
    }

    async fn accept(
        &self,
        scope: &CollectionScope,
        document: NewDocument,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<Accepted> {
        values::check_acl(document.acl.as_deref())?;
        values::check_writer(scope.scope(), document.acl.as_deref())?;
        values::check_key(idempotency.as_ref())?;
        let (now, scope, blobs) = (self.now(), scope.clone(), self.database.keeps_blobs());
        write!(self, scope.tenant(), "accept", accept::accept(now, scope, document, idempotency, blobs))
    }

    async fn document(&self, scope: &CollectionScope, id: &DocumentId) -> Result<Document> {
        let (scope, id) = (scope.clone(), id.clone());
        read!(self, scope.tenant(), documents::get(scope, id))
    }

    async fn documents(
        &self,
        scope: &CollectionScope,
        filter: Option<&Filter>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Document>> {
        let limit = values::limit(limit)?;
        let (scope, filter, cursor) = (scope.clone(), filter.cloned(), cursor.map(str::to_owned));
        read!(self, scope.tenant(), documents::list(scope, filter, cursor, limit))
    }

    async fn text(
        &self,
        scope: &CollectionScope,
        id: &DocumentId,
    ) -> Result<(String, Vec<PageSpan>, serde_json::Value)> {
        let (scope, id) = (scope.clone(), id.clone());
        read!(self, scope.tenant(), documents::text(scope, id))
    }

    async fn blob(&self, scope: &CollectionScope, id: &DocumentId) -> Result<ContentHash> {
        let (scope, id) = (scope.clone(), id.clone());
        read!(self, scope.tenant(), documents::blob(scope, id))
    }

    async fn chunks(&self, scope: &CollectionScope, id: &DocumentId) -> Result<Vec<StoredChunk>> {
        let (scope, id) = (scope.clone(), id.clone());
        read!(self, scope.tenant(), queries::chunks_of(scope, id))
    }

    async fn delete_document(&self, scope: &CollectionScope, id: &DocumentId) -> Result<Seq> {
        let (now, scope, id) = (self.now(), scope.clone(), id.clone());
        write!(self, scope.tenant(), "delete", accept::delete(now, scope, id))
    }

    async fn set_acl(
        &self,
        scope: &CollectionScope,
        id: &DocumentId,
        acl: Option<Vec<String>>,
    ) -> Result<()> {
        values::check_acl(acl.as_deref())?;
        let (now, scope, id) = (self.now(), scope.clone(), id.clone());
        write!(self, scope.tenant(), acl::set(now, scope, id, acl))
    }

    async fn delete_version(
        &self,
        scope: &CollectionScope,
        id: &DocumentId,
        version: Version,
    ) -> Result<Seq> {
        let (now, scope, id) = (self.now(), scope.clone(), id.clone());
        write!(self, scope.tenant(), "delete", accept::delete_version(now, scope, id, version))
    }

    async fn lease(&self, owner: &str, lease: Duration) -> Result<Option<Lease>> {
        // An idle worker that asks should not make the disk sync.
        let now = self.now();
        if !read!(self, For::Everybody, leases::is_due(now))? {
            return Ok(None);
        }
        let owner = owner.to_owned();
        write!(self, For::Everybody, leases::lease(now, owner, lease))
    }

    async fn heartbeat(
        &self,
        lease: &Lease,
        stage: Stage,
        progress: Option<Progress>,
        extend: Duration,
    ) -> Result<bool> {
        let (now, lease) = (self.now(), lease.clone());
        write!(self, lease.collection.tenant(), leases::heartbeat(now, lease, stage, progress, extend))
    }

    async fn known_vectors(
        &self,
        scope: &CollectionScope,
        hashes: &[ContentHash],
    ) -> Result<HashMap<ContentHash, Vec<f32>>> {
        let (scope, hashes) = (scope.clone(), hashes.to_vec());
        read!(self, scope.tenant(), store::known_vectors(scope, hashes))
    }

    async fn store_version(&self, lease: &Lease, processed: ProcessedDocument) -> Result<Seq> {
        processed::check(&processed)?;
        let (now, lease, processed) = (self.now(), lease.clone(), Arc::new(processed));
        write!(self, lease.collection.tenant(), "store_version", store::store_version(now, lease, processed))?
    }

    async fn publish(&self, lease: &Lease, report: serde_json::Value) -> Result<JobState> {
        let (now, lease) = (self.now(), lease.clone());
        write!(self, lease.collection.tenant(), "publish", store::publish(now, lease, report))
    }

    async fn end_job(&self, lease: &Lease, ending: Ending) -> Result<()> {
        let (now, lease) = (self.now(), lease.clone());
        write!(self, lease.collection.tenant(), leases::end(now, lease, ending))
    }

    async fn retry_job(&self, lease: &Lease, retry: Retry) -> Result<JobState> {
        let (now, lease) = (self.now(), lease.clone());
        write!(self, lease.collection.tenant(), leases::retry(now, lease, retry))
    }

    async fn job(&self, scope: &Scope, id: JobId) -> Result<Job> {
        let scope = scope.clone();
        read!(self, scope.tenant(), jobs::get(scope, id))
    }

    async fn jobs(
        &self,
        scope: &CollectionScope,
        state: Option<JobState>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Job>> {
        let limit = values::limit(limit)?;
        let (scope, cursor) = (scope.clone(), cursor.map(str::to_owned));
        read!(self, scope.tenant(), jobs::list(scope, state, cursor, limit))
    }

    async fn cancel_job(&self, scope: &Scope, id: JobId) -> Result<Job> {
        let (now, scope) = (self.now(), scope.clone());
        write!(self, scope.tenant(), jobs::cancel(now, scope, id))
    }

    async fn requeue_job(&self, scope: &Scope, id: JobId) -> Result<Job> {
        let (now, scope) = (self.now(), scope.clone());
        write!(self, scope.tenant(), jobs::requeue(now, scope, id))
    }

    async fn backlog(&self) -> Result<(u64, u64)> {
        let now = self.now();
        read!(self, For::Everybody, jobs::backlog(now))
    }

    async fn candidates(
        &self,
        scope: &CollectionScope,
        filter: Option<&Filter>,
    ) -> Result<Option<RoaringTreemap>> {
        if filter.is_none() && *scope.scope().access() == Access::Everything {
            return Ok(None);
        }
        let (scope, filter) = (scope.clone(), filter.cloned());
        read!(self, scope.tenant(), queries::candidates(scope, filter)).map(Some)
    }

    async fn visible_chunks(
        &self,
        scope: &CollectionScope,
        keys: &[ChunkKey],
        filter: Option<&Filter>,
    ) -> Result<Vec<StoredChunk>> {
        let (scope, keys, filter) = (scope.clone(), keys.to_vec(), filter.cloned());
        read!(self, scope.tenant(), queries::visible_chunks(scope, keys, filter))
    }

    async fn chunks_by_id(&self, scope: &CollectionScope, ids: &[ChunkId]) -> Result<Vec<StoredChunk>> {
        let (scope, ids) = (scope.clone(), ids.to_vec());
        read!(self, scope.tenant(), queries::chunks_by_id(scope, ids))
    }

    async fn text_span(
        &self,
        scope: &CollectionScope,
        id: &DocumentId,
        version: Version,
        start: usize,
        end: usize,
    ) -> Result<String> {
        let (scope, id) = (scope.clone(), id.clone());
        read!(self, scope.tenant(), queries::text_span(scope, id, version, start, end))
    }

    async fn neighbours(
        &self,
        scope: &CollectionScope,
        document: DocumentKey,
        version: Version,
        ordinal: u32,
        before: u32,
        after: u32,
    ) -> Result<Vec<StoredChunk>> {
        let (scope, around) = (scope.clone(), values::around(ordinal, before, after));
        read!(self, scope.tenant(), queries::neighbours(scope, document, version, around))
    }

    async fn sample_chunks(&self, scope: &CollectionScope, per_language: u32) -> Result<Vec<LanguageSample>> {
        let scope = scope.clone();
        read!(self, scope.tenant(), tuning::sample(scope, per_language))
    }

    async fn tuning(&self, scope: &CollectionScope) -> Result<Option<serde_json::Value>> {
        let scope = scope.clone();
        read!(self, scope.tenant(), tuning::get(scope))
    }

    async fn keep_tuning(&self, scope: &CollectionScope, report: serde_json::Value) -> Result<()> {
        let (now, scope) = (self.now(), scope.clone());
        write!(self, scope.tenant(), tuning::put(now, scope, report))
    }

    async fn bearers(&self, scope: &CollectionScope, names: &[NameHash], most: usize) -> Result<Vec<Bearer>> {
        let (scope, names) = (scope.clone(), names.iter().copied().collect());
        read!(self, scope.tenant(), names::bearers(scope, names, most))
    }

    async fn record_query(&self, scope: &CollectionScope, query: NewQuery, kept: KeptQueries) -> Result<()> {
        let (now, scope) = (self.now(), scope.clone());
        write!(self, scope.tenant(), recorded::record(now, scope, query, kept))
    }

    async fn recorded_queries(&self, scope: &CollectionScope, limit: u32) -> Result<Vec<RecordedQuery>> {
        let (scope, limit) = (scope.clone(), values::limit(limit)?);
        read!(self, scope.tenant(), recorded::list(scope, limit))
    }

    async fn last_seq(&self, scope: &CollectionScope) -> Result<Seq> {
        let scope = scope.clone();
        read!(self, scope.tenant(), changes::last_seq(scope))
    }

    async fn changes(&self, scope: &CollectionScope, after: Seq, limit: u32) -> Result<Vec<Change>> {
        let scope = scope.clone();
        read!(self, scope.tenant(), changes::after(scope, after, limit))
    }

    async fn index_entries(
        &self,
        scope: &CollectionScope,
        document: DocumentKey,
        version: Version,
    ) -> Result<Vec<IndexEntry>> {
        let scope = scope.clone();
        read!(self, scope.tenant(), changes::index_entries(scope, document, version))
    }

    async fn chunk_keys(
        &self,
        scope: &CollectionScope,
        document: DocumentKey,
        version: Version,
    ) -> Result<Vec<ChunkKey>> {
        let scope = scope.clone();
        read!(self, scope.tenant(), changes::chunk_keys(scope, document, version))
    }

    async fn entries_after(
        &self,
        scope: &CollectionScope,
        after: ChunkKey,
        limit: u32,
    ) -> Result<Vec<IndexEntry>> {
        let scope = scope.clone();
        read!(self, scope.tenant(), changes::entries_after(scope, after, limit))
    }

    async fn expected_keys(&self, scope: &CollectionScope) -> Result<RoaringTreemap> {
        let scope = scope.clone();
        read!(self, scope.tenant(), changes::expected_keys(scope))
    }

    async fn index_state(&self, scope: &CollectionScope, index: IndexKind) -> Result<(u32, Seq)> {
        let (scope, replica) = (scope.clone(), self.follower());
        read!(self, scope.tenant(), changes::index_state(scope, index, replica))
    }

    async fn record_watermark(
        &self,
        scope: &CollectionScope,
        index: IndexKind,
        generation: u32,
        seq: Seq,
    ) -> Result<()> {
        let (scope, from, to, replica) = (scope.clone(), generation, generation, self.follower());
        write!(
            self,
            scope.tenant(),
            "record_watermark",
            changes::set_index_state(scope, index, replica, from, to, seq)
        )
    }

    async fn swap_generation(
        &self,
        scope: &CollectionScope,
        index: IndexKind,
        from: u32,
        to: u32,
        seq: Seq,
    ) -> Result<()> {
        if from == to {
            return Err(StoreError::new(ErrorKind::Invalid, "an index's next generation has another number"));
        }
        let (scope, replica) = (scope.clone(), self.follower());
        write!(
            self,
            scope.tenant(),
            "swap_generation",
            changes::set_index_state(scope, index, replica, from, to, seq)
        )
    }

    async fn newest_visible(&self, scope: &CollectionScope) -> Result<Option<Seq>> {
        let scope = scope.clone();
        read!(self, scope.tenant(), replicas::newest_visible(scope)).map(Some)
    }

    async fn behind(&self) -> Result<Vec<(CollectionScope, Seq)>> {
        let replica = self.follower();
        read!(self, For::Everybody, replicas::behind(replica))
    }

    async fn enroll(&self, scope: &CollectionScope) -> Result<()> {
        let (scope, replica) = (scope.clone(), self.follower());
        write!(self, scope.tenant(), replicas::enroll(scope, replica))
    }

    async fn purged_to(&self, scope: &CollectionScope) -> Result<Seq> {
        let scope = scope.clone();
        read!(self, scope.tenant(), replicas::purged_to(scope))
    }

    async fn beat(&self) -> Result<bool> {
        let Some(replica) = self.replica.clone() else { return Ok(true) };
        let now = self.now();
        write!(self, For::Everybody, replicas::beat(now, replica))
    }

    async fn leave(&self) -> Result<()> {
        let Some(replica) = self.replica.clone() else { return Ok(()) };
        write!(self, For::Everybody, replicas::leave(replica))
    }

    async fn tenants(&self) -> Result<Vec<TenantId>> {
        read!(self, For::Everybody, replicas::tenants())
    }

    async fn claim_writing(
        &self,
        scope: &CollectionScope,
        generation: u32,
        holder: &str,
        lease: Duration,
    ) -> Result<bool> {
        let (scope, holder) = (scope.clone(), holder.to_owned());
        write!(self, scope.tenant(), writers::claim(scope, generation, holder, lease))
    }

    async fn end_writing(&self, scope: &CollectionScope, generation: u32, holder: &str) -> Result<()> {
        let (scope, holder) = (scope.clone(), holder.to_owned());
        write!(self, scope.tenant(), writers::end(scope, generation, holder))
    }

    async fn purge(&self, limit: u32) -> Result<Purged> {
        let now = self.now();
        write!(self, For::Everybody, "purge", purge::purge(now, limit))
    }

    async fn compact(&self) -> Result<bool> {
        // The server does this by itself.
        Ok(true)
    }

    async fn blob_in_use(&self, tenant: &TenantId, hash: &ContentHash) -> Result<bool> {
        let (tenant, hash) = (tenant.clone(), *hash);
        read!(self, &tenant, purge::blob_in_use(tenant, hash))
    }

    async fn blobs_to_come(&self, scope: &CollectionScope) -> Result<Vec<(DocumentId, ContentHash)>> {
        let scope = scope.clone();
        read!(self, scope.tenant(), purge::blobs_to_come(scope))
    }

    async fn blob_deleted(&self, tenant: &TenantId, hash: &ContentHash) -> Result<()> {
        let (tenant, hash) = (tenant.clone(), *hash);
        write!(self, &tenant, purge::blob_deleted(tenant, hash))
    }

    async fn check(&self) -> Result<Vec<String>> {
        read!(self, For::Everybody, check::check())
    }

    async fn ping(&self) -> Result<()> {
        let never = 0;
        read!(self, For::Everybody, leases::is_due(never)).map(|_| ())
    }

    async fn work_arrives(&self) {
        self.waker.woken().await;
    }
}
