//! The approximate vector index on qdrant-edge: a graph over quantised vectors, in a folder.
//!
//! What the engine (0.7.2) does and does not promise shapes this file:
//!
//! - Only its `flush` makes anything durable; its log is never replayed. So the watermark is a file of ours, written after
//!   a flush, and what a crash takes is applied again from there.
//! - `flush` panics if another update runs at the same moment, also when the shard is dropped. So one thread of its own
//!   does every update, flush, optimisation and the drop; a panic there is an error here, after which the index refuses
//!   work and is built anew.
//! - Its log only grows, and must not be deleted (operation numbers would start again and newer writes be ignored as old).
//!   So beyond a size the index asks for a new generation.
//! - A filter makes the graph lose hits. So few candidates are compared one by one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use qdrant_edge::{
    Condition, CountRequest, Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard, EdgeVectorParams, Filter,
    HasIdCondition, NamedQuery, PointId, PointInsertOperations, PointOperations, PointStructPersisted,
    QuantizationConfig, QuantizationSearchParams, QueryEnum, QueryRequest, ScalarQuantizationConfig,
    ScalarType, ScoredPoint, ScoringQuery, ScrollRequest, SearchParams, UpdateOperation,
    VectorStructInternal, VectorStructPersisted, WalOptions, WithPayloadInterface, WithVector,
};
use roaring::RoaringTreemap;
use tokio::sync::{mpsc, oneshot};

use super::flat::top::TopHits;
use super::{VectorEntry, VectorHit, VectorIndex, VectorQuery, VectorStats};
use crate::document::{ChunkKey, Seq};
use crate::error::{ErrorKind, Result, StoreError};

mod files;

/// Up to so many candidates are compared one by one: some milliseconds, and every true neighbour is found.
const EXACT_CANDIDATES: u64 = 20_000;

/// The beam of a graph search, at least; twice `k` where that is more.
const BEAM: usize = 128;

/// Bytes of vectors in one log record at most.
const BATCH_BYTES: usize = 1 << 20;

/// Entries listed at a time.
const PAGE: usize = 10_000;

type Job = Box<dyn FnOnce(&Inner) + Send>;

/// See the module's description.
pub struct EdgeIndex {
    inner: Arc<Inner>,
    jobs: mpsc::Sender<Job>,
    reason: String,
}

struct Inner {
    folder: PathBuf,
    dimension: usize,
    /// `None` once closed.
    shard: RwLock<Option<EdgeShard>>,
    broken: AtomicBool,
}

impl std::fmt::Debug for EdgeIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeIndex").field("folder", &self.inner.folder).finish_non_exhaustive()
    }
}

impl EdgeIndex {
    /// Opens the index in `folder`, or makes an empty one if there is no such folder; `reason` is what [`VectorStats`]
    /// will say. `Corrupt` if it can't be read, is of another dimension, or was never completely made: build a new one.
    /// Blocks.
    pub fn open(folder: &Path, dimension: usize, reason: impl Into<String>) -> Result<Self> {
        let shard = catch_unwind(|| open_shard(folder, dimension))
            .unwrap_or_else(|_| Err(unreadable("the engine gave up")))?;
        let inner = Arc::new(Inner {
            folder: folder.to_owned(),
            dimension,
            shard: RwLock::new(Some(shard)),
            broken: AtomicBool::new(false),
        });
        // One writer waits for each of its jobs, so the queue never fills.
        let (jobs, mut received) = mpsc::channel::<Job>(16);
        let owned = Arc::clone(&inner);
        std::thread::Builder::new()
            .name("edge-index".to_owned())
            .spawn(move || {
                while let Some(job) = received.blocking_recv() {
                    job(&owned);
                }
                owned.close();
            })
            .map_err(|e| {
                StoreError::new(
                    ErrorKind::Unavailable,
                    "no thread for a vector index; raise the process limit",
                )
                .with_source(e)
            })?;
        Ok(Self { inner, jobs, reason: reason.into() })
    }

    /// Has the owner thread do something to the shard.
    async fn own<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner, &EdgeShard) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |inner| {
            let result = inner.with(|shard| work(inner, shard));
            // Who stopped waiting is not told.
            let _ = reply.send(result);
        });
        self.jobs.send(job).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Reads from the shard on a blocking thread; writers don't disturb it.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&EdgeShard) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || inner.with(work)).await.map_err(|_| closed())?
    }
}

impl Inner {
    /// Runs `work` on the open shard. A panic inside the engine is `Corrupt`, and the index refuses work from then on.
    fn with<T>(&self, work: impl FnOnce(&EdgeShard) -> Result<T>) -> Result<T> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(unreadable("it failed before"));
        }
        let guard = self.shard.read().unwrap_or_else(PoisonError::into_inner);
        let shard = guard.as_ref().ok_or_else(closed)?;
        catch_unwind(AssertUnwindSafe(|| work(shard))).unwrap_or_else(|_| {
            self.broken.store(true, Ordering::Relaxed);
            Err(unreadable("the engine gave up; the log says where"))
        })
    }

    /// Dropping the shard flushes it, which may panic on a full disk; its watermark stays where it was.
    fn close(&self) {
        let shard = self.shard.write().unwrap_or_else(PoisonError::into_inner).take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(shard)));
    }
}

fn open_shard(folder: &Path, dimension: usize) -> Result<EdgeShard> {
    let shard_folder = folder.join("shard");
    if folder.exists() {
        // Written last when an index is made: without it, making it was interrupted.
        files::read_watermark(folder)?;
        return EdgeShard::load(&shard_folder, Some(config(dimension)))
            .map_err(|e| unreadable("it does not load").with_source(e));
    }
    fs_err::create_dir_all(&shard_folder).map_err(files::unusable)?;
    let shard = EdgeShard::new(&shard_folder, config(dimension)).map_err(|e| {
        StoreError::new(ErrorKind::Unavailable, "can't make a vector index; check the disk").with_source(e)
    })?;
    shard.flush();
    files::write_watermark(folder, Seq(0))?;
    Ok(shard)
}

fn config(dimension: usize) -> EdgeConfig {
    // Vectors are of norm 1, so the dot product is the cosine, and they are kept as they are given.
    let vectors = EdgeVectorParams::builder(dimension, Distance::Dot).on_disk(true).build();
    let quantization =
        ScalarQuantizationConfig { r#type: ScalarType::Int8, quantile: Some(0.99), always_ram: Some(true) };
    // A search visits segments one after the other, so few large ones are best.
    let optimizers = EdgeOptimizersConfig {
        default_segment_number: Some(1),
        max_segment_size: Some(usize::MAX / 2_048),
        ..EdgeOptimizersConfig::default()
    };
    EdgeConfig::builder()
        .vector(qdrant_edge::DEFAULT_VECTOR_NAME, vectors)
        .quantization_config(QuantizationConfig::from(quantization))
        .optimizers(optimizers)
        .wal_options(WalOptions { segment_capacity: 4 << 20, ..WalOptions::default() })
        .build()
}

fn search(
    shard: &EdgeShard,
    vector: &[f32],
    k: usize,
    among: Option<&RoaringTreemap>,
) -> Result<Vec<VectorHit>> {
    let exact = among.is_some_and(|keys| keys.len() <= EXACT_CANDIDATES);
    let filter = among.map(|keys| {
        Filter::new_must(Condition::HasId(HasIdCondition::from_iter(keys.iter().map(PointId::NumId))))
    });
    let all = count(shard)?;
    let k = k.min(all);
    let mut limit = k.saturating_add(16).min(all);
    loop {
        let found = ranked(shard, vector, limit, filter.clone(), exact)?;
        // The engine breaks ties as it likes. Where one crosses the end of the list, more is fetched until it does not.
        let cut_tie = found.len() > k
            && found.len() == limit
            && limit < all
            && found[k - 1].score == found[found.len() - 1].score;
        if !cut_tie {
            let mut top = TopHits::new(k);
            for point in found {
                if let PointId::NumId(key) = point.id {
                    top.offer(ChunkKey(key as i64), point.score);
                }
            }
            return Ok(top.into_sorted());
        }
        limit = limit.saturating_mul(2).min(all);
    }
}

fn ranked(
    shard: &EdgeShard,
    vector: &[f32],
    limit: usize,
    filter: Option<Filter>,
    exact: bool,
) -> Result<Vec<ScoredPoint>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let quantization =
        QuantizationSearchParams { ignore: exact, rescore: Some(true), oversampling: Some(2.0) };
    let params = SearchParams {
        hnsw_ef: Some(BEAM.max(limit.saturating_mul(2))),
        exact,
        quantization: Some(quantization),
        ..SearchParams::default()
    };
    let request = QueryRequest {
        prefetches: Vec::new(),
        query: Some(ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::default_dense(vector.to_vec())))),
        filter,
        score_threshold: None,
        limit,
        offset: 0,
        params: Some(params),
        with_vector: WithVector::Bool(false),
        with_payload: WithPayloadInterface::Bool(false),
    };
    shard.query(request).map_err(|e| failed("search", e))
}

fn count(shard: &EdgeShard) -> Result<usize> {
    shard.count(CountRequest { filter: None, exact: true }).map_err(|e| failed("count", e))
}

fn upsert(shard: &EdgeShard, entries: &[VectorEntry], dimension: usize) -> Result<()> {
    for batch in entries.chunks((BATCH_BYTES / (dimension * size_of::<f32>())).max(1)) {
        let points = batch.iter().map(|entry| PointStructPersisted {
            id: PointId::NumId(entry.key.0 as u64),
            vector: VectorStructPersisted::Single(entry.vector.clone()),
            payload: None,
        });
        let operation = PointOperations::UpsertPoints(PointInsertOperations::PointsList(points.collect()));
        shard.update(UpdateOperation::PointOperation(operation)).map_err(|e| failed("add to", e))?;
    }
    Ok(())
}

fn keys(shard: &EdgeShard) -> Result<RoaringTreemap> {
    let mut keys = RoaringTreemap::new();
    let mut offset = None;
    loop {
        let request = ScrollRequest {
            offset,
            limit: Some(PAGE),
            filter: None,
            with_payload: Some(WithPayloadInterface::Bool(false)),
            with_vector: WithVector::Bool(false),
            order_by: None,
        };
        let (page, next) = shard.scroll(request).map_err(|e| failed("list", e))?;
        for record in page {
            if let PointId::NumId(key) = record.id {
                keys.insert(key);
            }
        }
        match next {
            Some(next) => offset = Some(next),
            None => return Ok(keys),
        }
    }
}

fn failed(doing: &str, source: qdrant_edge::OperationError) -> StoreError {
    StoreError::new(ErrorKind::Unavailable, format!("could not {doing} a vector index; check the disk"))
        .with_source(source)
}

fn unreadable(why: &str) -> StoreError {
    StoreError::new(
        ErrorKind::Corrupt,
        format!("the approximate vector index can't be used: {why}; it is rebuilt from the catalog"),
    )
}

fn closed() -> StoreError {
    StoreError::new(ErrorKind::Unavailable, "the vector index was closed; try again")
}

#[async_trait]
impl VectorIndex for EdgeIndex {
    async fn upsert(&self, entries: Vec<VectorEntry>) -> Result<()> {
        super::check_entries(&entries, self.inner.dimension)?;
        self.own(move |inner, shard| upsert(shard, &entries, inner.dimension)).await
    }

    async fn remove(&self, keys: &[ChunkKey]) -> Result<()> {
        let ids: Vec<PointId> = keys.iter().map(|key| PointId::NumId(key.0 as u64)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let operation = UpdateOperation::PointOperation(PointOperations::DeletePoints { ids });
        self.own(move |_, shard| shard.update(operation).map_err(|e| failed("remove from", e))).await
    }

    async fn flush(&self, seq: Seq) -> Result<()> {
        self.own(move |inner, shard| {
            shard.flush();
            files::write_watermark(&inner.folder, seq)
        })
        .await
    }

    async fn watermark(&self) -> Result<Seq> {
        self.own(|inner, _| files::read_watermark(&inner.folder)).await
    }

    async fn search(&self, query: VectorQuery<'_>) -> Result<Vec<VectorHit>> {
        super::check_query(query.vector, self.inner.dimension)?;
        if query.k == 0 || query.among.is_some_and(RoaringTreemap::is_empty) {
            return Ok(Vec::new());
        }
        let (vector, k, among) = (query.vector.to_vec(), query.k, query.among.cloned());
        self.read(move |shard| search(shard, &vector, k, among.as_ref())).await
    }

    async fn keys(&self) -> Result<RoaringTreemap> {
        self.read(keys).await
    }

    async fn vector(&self, key: ChunkKey) -> Result<Option<Vec<f32>>> {
        self.read(move |shard| {
            let found = shard.retrieve(
                &[PointId::NumId(key.0 as u64)],
                Some(WithPayloadInterface::Bool(false)),
                Some(WithVector::Bool(true)),
            );
            Ok(found.map_err(|e| failed("read", e))?.into_iter().find_map(|record| match record.vector {
                Some(VectorStructInternal::Single(vector)) => Some(vector),
                _ => None,
            }))
        })
        .await
    }

    async fn optimize(&self) -> Result<()> {
        self.own(|_, shard| shard.optimize().map(|_| ()).map_err(|e| failed("optimise", e))).await
    }

    async fn stats(&self) -> Result<VectorStats> {
        let entries = self.read(count).await? as u64;
        Ok(VectorStats {
            engine: "edge",
            reason: self.reason.clone(),
            quantization: "int8",
            entries,
            bytes: entries * self.inner.dimension as u64,
        })
    }

    async fn wants_rebuild(&self) -> Option<String> {
        let vectors = self.stats().await.ok()?.bytes * size_of::<f32>() as u64;
        self.read(|shard| Ok(files::log_bytes(&shard.path().join("wal"))))
            .await
            .ok()
            .filter(|&log| log > files::LOG_ALLOWANCE + 3 * vectors)
            .map(|log| format!("its log has grown to {} MiB", log >> 20))
    }

    async fn close(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |inner| {
            inner.close();
            let _ = reply.send(());
        });
        // Closed already is closed.
        if self.jobs.send(job).await.is_ok() {
            let _ = answer.await;
        }
        Ok(())
    }
}
