//! The exact vector index: every vector in memory, scanned in parallel, in one of three number forms.
//!
//! It keeps nothing on disk. What it holds is derived from the catalog, which `sync` reads again at every start, so there
//! is no file that could be damaged, and [`VectorIndex::flush`] only moves the watermark in memory. In `f32` it is the
//! oracle that the other forms and engines are compared with.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use rayon::prelude::*;
use roaring::RoaringTreemap;

use super::{VectorEntry, VectorHit, VectorIndex, VectorQuery, VectorStats};
use crate::document::{ChunkKey, Seq};
use crate::error::{ErrorKind, Result, StoreError};

mod numbers;
pub(crate) mod top;

pub use numbers::Form;
use numbers::{PreparedQuery, Vectors};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use top::TopHits;

/// Slots that one task scans: about a millisecond of work, so that a search spreads over the pool without overhead.
const SLOTS_PER_TASK: usize = 8_192;

/// Below this share of the index, listed candidates are looked up one by one instead of being tested slot by slot.
const LOOKUP_SHARE: u64 = 8;

/// Threads for exact scans, shared by the indexes of one process and never the global pool.
#[derive(Clone)]
pub struct ScanPool(Arc<rayon::ThreadPool>);

impl ScanPool {
    /// A pool of `threads` (at least 1). `Unavailable` if the system refuses threads.
    pub fn new(threads: usize) -> Result<Self> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|i| format!("scan-{i}"))
            // Without one, a panic in spawned work ends the process. The caller learns that no answer came.
            .panic_handler(|_| tracing::error!("a vector scan panicked"))
            .build()
            .map(|pool| Self(Arc::new(pool)))
            .map_err(|e| {
                StoreError::new(
                    ErrorKind::Unavailable,
                    "no threads for vector search; raise the process limit",
                )
                .with_source(e)
            })
    }

    /// Runs `work` on the pool; the calling task waits without blocking its thread.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.0.spawn(move || {
            // The caller may have gone away (a deadline): nobody wants the answer then.
            let _ = sender.send(work());
        });
        receiver.await.map_err(|e| {
            StoreError::new(ErrorKind::Internal, "a vector scan ended without an answer; see the log")
                .with_source(e)
        })
    }
}

impl std::fmt::Debug for ScanPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScanPool").field("threads", &self.0.current_num_threads()).finish()
    }
}

/// See the module's description.
#[derive(Debug)]
pub struct FlatIndex {
    pool: ScanPool,
    reason: String,
    state: Arc<RwLock<State>>,
}

/// Vector `i` belongs to `keys[i]`; `slots` is the way back. There are no holes: a removal moves the last one in.
#[derive(Debug)]
struct State {
    keys: Vec<ChunkKey>,
    slots: HashMap<ChunkKey, usize>,
    vectors: Vectors,
    watermark: Seq,
}

impl FlatIndex {
    /// An empty index for vectors of `dimension` (1–65 536) components; `reason` is what [`VectorStats`] will say.
    pub fn new(dimension: usize, form: Form, pool: ScanPool, reason: impl Into<String>) -> Result<Self> {
        if !(1..=65_536).contains(&dimension) {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                format!("a dimension of {dimension} is outside 1-65536"),
            ));
        }
        let state = State {
            keys: Vec::new(),
            slots: HashMap::new(),
            vectors: Vectors::new(form, dimension),
            watermark: Seq(0),
        };
        Ok(Self { pool, reason: reason.into(), state: Arc::new(RwLock::new(state)) })
    }

    /// The lock is taken by the calling task, never by a thread of the pool: a thread that waits for its part of a scan
    /// takes other work meanwhile, and that work must not wait for a lock which the thread's own stack holds.
    async fn read(&self) -> OwnedRwLockReadGuard<State> {
        Arc::clone(&self.state).read_owned().await
    }

    async fn write(&self) -> OwnedRwLockWriteGuard<State> {
        Arc::clone(&self.state).write_owned().await
    }
}

impl State {
    fn upsert(&mut self, entry: &VectorEntry) {
        if let Some(&slot) = self.slots.get(&entry.key) {
            self.vectors.set(slot, &entry.vector);
        } else {
            self.slots.insert(entry.key, self.keys.len());
            self.keys.push(entry.key);
            self.vectors.push(&entry.vector);
        }
    }

    fn remove(&mut self, key: ChunkKey) {
        let Some(slot) = self.slots.remove(&key) else { return };
        self.keys.swap_remove(slot);
        self.vectors.swap_remove(slot);
        if let Some(&moved) = self.keys.get(slot) {
            self.slots.insert(moved, slot);
        }
    }

    fn search(&self, vector: &[f32], k: usize, among: Option<&RoaringTreemap>) -> Vec<VectorHit> {
        let k = k.min(self.keys.len());
        if k == 0 {
            return Vec::new();
        }
        let query = self.vectors.prepare(vector);
        let shortlist = self.vectors.shortlist(k);
        let listed = shortlist.unwrap_or(k);
        let mut top = match among {
            Some(few) if few.len() < self.keys.len() as u64 / LOOKUP_SHARE => {
                self.score_listed(&query, listed, few)
            }
            _ => self.score_all(&query, listed, among),
        };
        if shortlist.is_some() {
            let mut exact = TopHits::new(k);
            for hit in top.into_sorted() {
                if let Some(&slot) = self.slots.get(&hit.key) {
                    exact.offer(hit.key, self.vectors.exact_score(&query, slot));
                }
            }
            top = exact;
        }
        top.into_sorted()
    }

    fn score_listed(&self, query: &PreparedQuery, k: usize, keys: &RoaringTreemap) -> TopHits {
        let mut top = TopHits::new(k);
        for key in keys.iter().filter_map(|key| i64::try_from(key).ok()).map(ChunkKey) {
            if let Some(&slot) = self.slots.get(&key) {
                top.offer(key, self.vectors.score(query, slot));
            }
        }
        top
    }

    fn score_all(&self, query: &PreparedQuery, k: usize, among: Option<&RoaringTreemap>) -> TopHits {
        self.keys
            .par_chunks(SLOTS_PER_TASK)
            .enumerate()
            .map(|(task, keys)| {
                let mut top = TopHits::new(k);
                for (offset, &key) in keys.iter().enumerate() {
                    if among.is_none_or(|keys| keys.contains(key.0 as u64)) {
                        top.offer(key, self.vectors.score(query, task * SLOTS_PER_TASK + offset));
                    }
                }
                top
            })
            .reduce(|| TopHits::new(k), TopHits::merge)
    }
}

#[async_trait]
impl VectorIndex for FlatIndex {
    async fn upsert(&self, entries: Vec<VectorEntry>) -> Result<()> {
        let mut state = self.write().await;
        self.pool
            .run(move || {
                super::check_entries(&entries, state.vectors.dimension())?;
                for entry in &entries {
                    state.upsert(entry);
                }
                Ok(())
            })
            .await?
    }

    async fn remove(&self, keys: &[ChunkKey]) -> Result<()> {
        let (mut state, keys) = (self.write().await, keys.to_vec());
        self.pool
            .run(move || {
                for key in keys {
                    state.remove(key);
                }
            })
            .await
    }

    async fn flush(&self, seq: Seq) -> Result<()> {
        self.write().await.watermark = seq;
        Ok(())
    }

    async fn watermark(&self) -> Result<Seq> {
        Ok(self.read().await.watermark)
    }

    async fn search(&self, query: VectorQuery<'_>) -> Result<Vec<VectorHit>> {
        let state = self.read().await;
        super::check_query(query.vector, state.vectors.dimension())?;
        let (vector, k, among) = (query.vector.to_vec(), query.k, query.among.cloned());
        self.pool.run(move || state.search(&vector, k, among.as_ref())).await
    }

    async fn keys(&self) -> Result<RoaringTreemap> {
        let state = self.read().await;
        self.pool.run(move || state.keys.iter().map(|key| key.0 as u64).collect()).await
    }

    async fn vector(&self, key: ChunkKey) -> Result<Option<Vec<f32>>> {
        let state = self.read().await;
        Ok(state.slots.get(&key).map(|&slot| state.vectors.get(slot)))
    }

    async fn optimize(&self) -> Result<()> {
        let mut state = self.write().await;
        self.pool.run(move || state.vectors.shrink()).await
    }

    async fn stats(&self) -> Result<VectorStats> {
        let state = self.read().await;
        Ok(VectorStats {
            engine: "flat",
            reason: self.reason.clone(),
            quantization: state.vectors.form().name(),
            entries: state.keys.len() as u64,
            bytes: state.vectors.bytes(),
        })
    }
}
