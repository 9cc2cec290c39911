//! Vectors on a Qdrant server or cluster, by gRPC.
//!
//! Each generation of a collection is a collection of the server's: a graph (HNSW) over int8 forms held in memory, whose finds
//! are compared again with the full vectors on disk. Every point says whose it is, and every search asks for that. Point 0,
//! which no chunk can have, has no vector: it keeps how far the index has followed the catalog.
//!
//! A filter has become a set of chunks before it comes here. A few are compared one by one; where most are let through, the
//! graph is searched for more than is wanted and the rest dropped; in between the server gets the list.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::vector_output::Vector as Kept;
use qdrant_client::qdrant::vectors_output::VectorsOptions;
use qdrant_client::qdrant::{
    CollectionStatus, Condition, CountPointsBuilder, DeletePointsBuilder, Filter, GetPointsBuilder,
    NamedVectors, PointId, PointStruct, PointsIdsList, QuantizationSearchParamsBuilder, Query,
    QueryPointsBuilder, RetrievedPoint, ScoredPoint, ScrollPointsBuilder, SearchParamsBuilder,
    UpsertPointsBuilder, Value, VectorsOutput, WriteOrdering, WriteOrderingType,
};
use roaring::RoaringTreemap;

use super::flat::top::TopHits;
use super::{VectorEntry, VectorHit, VectorIndex, VectorQuery, VectorStats, check_entries, check_query};
use crate::document::{ChunkKey, Seq};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::TenantId;

mod client;
mod engine;

use client::{Client, failed};
pub use engine::QdrantEngine;

/// The name of the one vector that a point has.
const VECTOR: &str = "text";
const TENANT: &str = "tenant";
const DOCUMENT: &str = "document";
const WATERMARK: &str = "watermark";
/// The point that keeps the watermark.
const STATE: u64 = 0;

/// The beam of a graph search, at least; twice the hits where that is more.
const BEAM: u64 = 128;
/// Bytes of vectors in one request at most.
const BATCH_BYTES: usize = 1 << 20;
/// Requests with vectors under way at once: what comes faster waits.
const IN_FLIGHT: usize = 4;
/// Points listed, or removed, at a time.
const PAGE: usize = 10_000;
/// More hits than this are asked for only where there are as many points.
const MANY: usize = 5_000;
/// From this share of the index on (one in so many) candidates are sifted out of what the whole index finds.
const SIFTED_SHARE: u64 = 8;
/// How long [`VectorIndex::optimize`] waits for the server to have built its graphs.
const PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Clone)]
pub struct QdrantIndex {
    client: Arc<Client>,
    exact_among: u64,
    name: Arc<str>,
    /// The collection's lasting name: whatever generation is in use.
    alias: Arc<str>,
    tenant: TenantId,
    dimension: usize,
}

impl QdrantIndex {
    /// Our points: those of the tenant, among these keys.
    fn filter(&self, among: Option<&RoaringTreemap>) -> Filter {
        let mut conditions = vec![Condition::matches(TENANT, self.tenant.as_str().to_owned())];
        if let Some(keys) = among {
            conditions.push(Condition::has_id(keys.iter()));
        }
        Filter::must(conditions)
    }

    async fn count(&self, exact: bool) -> Result<u64> {
        let count = CountPointsBuilder::new(&*self.name).filter(self.filter(None)).exact(exact);
        let answer = self.client.api.count(count).await.map_err(|e| failed("count", e))?;
        Ok(answer.result.map_or(0, |result| result.count))
    }

    /// The best `limit`, in the server's order.
    async fn ranked(
        &self,
        vector: &[f32],
        limit: usize,
        filter: Filter,
        exact: bool,
    ) -> Result<Vec<ScoredPoint>> {
        let limit = limit as u64;
        let quantization =
            QuantizationSearchParamsBuilder::default().ignore(exact).rescore(true).oversampling(2.0);
        let params = SearchParamsBuilder::default()
            .hnsw_ef(BEAM.max(limit.saturating_mul(2)))
            .exact(exact)
            .quantization(quantization);
        let request = |name: &str| {
            QueryPointsBuilder::new(name)
                .query(Query::new_nearest(vector.to_vec()))
                .using(VECTOR)
                .filter(filter.clone())
                .params(params.clone())
                .limit(limit)
                .with_payload(false)
        };
        let answer = match self.client.api.query(request(&self.name)).await.map_err(|e| failed("search", e)) {
            // Another process put the next generation in use and this process has not looked yet.
            Err(gone) if gone.kind() == ErrorKind::NotFound => {
                self.client.api.query(request(&self.alias)).await.map_err(|e| failed("search", e))
            }
            answer => answer,
        };
        Ok(answer?.result)
    }

    /// The best `limit` that are candidates, and whether there may be more.
    async fn among(
        &self,
        vector: &[f32],
        limit: usize,
        among: Option<&RoaringTreemap>,
    ) -> Result<(Vec<VectorHit>, bool)> {
        let Some(keys) = among else {
            let found = self.ranked(vector, limit, self.filter(None), false).await?;
            let more = found.len() == limit;
            return Ok((hits(found), more));
        };
        if keys.len() > self.exact_among {
            let all = self.count(false).await?;
            if keys.len().saturating_mul(SIFTED_SHARE) >= all
                && let Some(sifted) = self.sifted(vector, limit, keys, all).await?
            {
                return Ok((sifted, true));
            }
        }
        let exact = keys.len() <= self.exact_among;
        let found = self.ranked(vector, limit, self.filter(among), exact).await?;
        let more = found.len() == limit;
        Ok((hits(found), more))
    }

    /// Candidates out of what the whole index finds; `None` where they are too rare there.
    async fn sifted(
        &self,
        vector: &[f32],
        limit: usize,
        keys: &RoaringTreemap,
        all: u64,
    ) -> Result<Option<Vec<VectorHit>>> {
        let share = (all / keys.len().max(1) + 1) as usize;
        let wide = limit.saturating_mul(share).saturating_mul(2);
        if wide > MANY {
            return Ok(None);
        }
        let found = hits(self.ranked(vector, wide, self.filter(None), false).await?);
        let mut kept: Vec<VectorHit> =
            found.into_iter().filter(|hit| keys.contains(hit.key.0 as u64)).collect();
        kept.truncate(limit);
        Ok((kept.len() == limit).then_some(kept))
    }

    async fn get(&self, point: u64, vectors: bool) -> Result<Option<RetrievedPoint>> {
        let ids = vec![PointId::from(point)];
        let get = GetPointsBuilder::new(&*self.name, ids).with_payload(!vectors).with_vectors(vectors);
        let answer = self.client.api.get_points(get).await.map_err(|e| failed("read", e))?;
        Ok(answer.result.into_iter().next())
    }

    fn point(&self, entry: &VectorEntry) -> PointStruct {
        let payload = HashMap::from([
            (TENANT.to_owned(), Value::from(self.tenant.as_str())),
            (DOCUMENT.to_owned(), Value::from(entry.document.0)),
            ("version".to_owned(), Value::from(entry.version)),
        ]);
        let vector = NamedVectors::from(vec![(VECTOR, entry.vector.clone())]);
        PointStruct::new(entry.key.0 as u64, vector, payload)
    }
}

/// Chunks and scores, as the server has them.
fn hits(points: Vec<ScoredPoint>) -> Vec<VectorHit> {
    points
        .into_iter()
        .filter_map(|point| {
            let key = ChunkKey(number(point.id?)? as i64);
            Some(VectorHit { key, score: point.score })
        })
        .collect()
}

fn number(id: PointId) -> Option<u64> {
    match id.point_id_options? {
        PointIdOptions::Num(number) => Some(number),
        PointIdOptions::Uuid(_) => None,
    }
}

/// After everything before it, on every replica, in one order.
fn strongly() -> WriteOrdering {
    WriteOrdering { r#type: WriteOrderingType::Strong.into() }
}

/// The one vector of a point.
fn kept(vectors: VectorsOutput) -> Option<Vec<f32>> {
    let VectorsOptions::Vectors(mut named) = vectors.vectors_options? else { return None };
    match named.vectors.remove(VECTOR)?.into_vector() {
        Kept::Dense(vector) => Some(vector.data),
        Kept::Sparse(_) | Kept::MultiDense(_) => None,
    }
}

#[async_trait]
impl VectorIndex for QdrantIndex {
    async fn upsert(&self, entries: Vec<VectorEntry>) -> Result<()> {
        check_entries(&entries, self.dimension)?;
        // The last of a key holds; requests under way together may arrive in any order.
        let unique: BTreeMap<ChunkKey, VectorEntry> =
            entries.into_iter().map(|entry| (entry.key, entry)).collect();
        let points: Vec<PointStruct> = unique.values().map(|entry| self.point(entry)).collect();
        let size = (BATCH_BYTES / (self.dimension * size_of::<f32>()).max(1)).max(1);
        let requests: Vec<_> = points
            .chunks(size)
            .map(|batch| {
                let request = UpsertPointsBuilder::new(&*self.name, batch.to_vec()).wait(true);
                async move { self.client.api.upsert_points(request).await.map_err(|e| failed("add", e)) }
            })
            .collect();
        futures::stream::iter(requests)
            .buffer_unordered(IN_FLIGHT)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
    }

    async fn remove(&self, keys: &[ChunkKey]) -> Result<()> {
        for page in keys.chunks(PAGE) {
            let ids: Vec<PointId> = page.iter().map(|key| PointId::from(key.0 as u64)).collect();
            let request = DeletePointsBuilder::new(&*self.name)
                .points(PointsIdsList { ids })
                .ordering(strongly())
                .wait(true);
            self.client.api.delete_points(request).await.map_err(|e| failed("remove", e))?;
        }
        Ok(())
    }

    async fn flush(&self, seq: Seq) -> Result<()> {
        if self.watermark().await? >= seq {
            return Ok(());
        }
        let payload = HashMap::from([(WATERMARK.to_owned(), Value::from(seq.0))]);
        let state = PointStruct::new(STATE, NamedVectors::default(), payload);
        let request = UpsertPointsBuilder::new(&*self.name, vec![state]).ordering(strongly()).wait(true);
        self.client.api.upsert_points(request).await.map_err(|e| failed("record the state", e)).map(|_| ())
    }

    async fn watermark(&self) -> Result<Seq> {
        let seq = self.get(STATE, false).await?.and_then(|state| state.payload.get(WATERMARK)?.as_integer());
        Ok(Seq(seq.unwrap_or(0)))
    }

    async fn search(&self, query: VectorQuery<'_>) -> Result<Vec<VectorHit>> {
        check_query(query.vector, self.dimension)?;
        if query.k == 0 || query.among.is_some_and(RoaringTreemap::is_empty) {
            return Ok(Vec::new());
        }
        let k = match query.k {
            few if few <= MANY => few,
            many => many.min(self.count(true).await? as usize),
        };
        let mut limit = k.saturating_add(16);
        loop {
            let (found, more) = self.among(query.vector, limit, query.among).await?;
            // The server breaks ties as it likes. Where one crosses the end of the list, more is fetched until it does not.
            let cut_tie = more
                && k > 0
                && found.len() > k
                && found.last().is_some_and(|last| last.score == found[k - 1].score);
            if !cut_tie {
                let mut top = TopHits::new(k);
                for hit in found {
                    top.offer(hit.key, hit.score);
                }
                return Ok(top.into_sorted());
            }
            limit = limit.saturating_mul(2);
        }
    }

    async fn keys(&self) -> Result<RoaringTreemap> {
        let mut keys = RoaringTreemap::new();
        let mut offset: Option<PointId> = None;
        loop {
            let mut scroll = ScrollPointsBuilder::new(&*self.name)
                .limit(PAGE as u32)
                .with_payload(false)
                .with_vectors(false);
            if let Some(offset) = offset {
                scroll = scroll.offset(offset);
            }
            let page = self.client.api.scroll(scroll).await.map_err(|e| failed("list", e))?;
            keys.extend(page.result.into_iter().filter_map(|point| number(point.id?)));
            match page.next_page_offset {
                Some(next) => offset = Some(next),
                None => break,
            }
        }
        keys.remove(STATE);
        Ok(keys)
    }

    async fn vector(&self, key: ChunkKey) -> Result<Option<Vec<f32>>> {
        Ok(self.get(key.0 as u64, true).await?.and_then(|point| kept(point.vectors?)))
    }

    /// The server builds graphs by itself: this waits a while until it has.
    async fn optimize(&self) -> Result<()> {
        let patience = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < patience {
            let info = self.client.api.collection_info(&*self.name).await;
            let info = info.map_err(|e| failed("look at an index", e))?.result;
            if info.is_none_or(|info| info.status() == CollectionStatus::Green) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    async fn stats(&self) -> Result<VectorStats> {
        let entries = self.count(true).await?;
        Ok(VectorStats {
            engine: "qdrant",
            reason: format!("kept by {}", self.client.place()),
            quantization: "int8, compared again in f32",
            entries,
            // In memory: the graph's points; full vectors are on the server's disk.
            bytes: entries * self.dimension as u64,
        })
    }

    async fn check(&self) -> Result<()> {
        let info = self.client.api.collection_info(&*self.name).await;
        let info = match info.map_err(|e| failed("look at an index", e)) {
            Err(gone) if gone.kind() == ErrorKind::NotFound => return Err(damaged("its collection is gone")),
            info => info?.result,
        };
        match info {
            Some(info) if info.status() == CollectionStatus::Red => {
                Err(damaged("the server says that it failed"))
            }
            _ => Ok(()),
        }
    }
}

fn damaged(why: &str) -> StoreError {
    StoreError::new(
        ErrorKind::Corrupt,
        format!("the index in Qdrant can't be used: {why}; it is rebuilt from the catalog"),
    )
}
