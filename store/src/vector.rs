//! The seam to vector search: what an index is told, asked and answers.

use async_trait::async_trait;
use roaring::RoaringTreemap;

use crate::document::{ChunkKey, DocumentKey, Seq, Version};
use crate::error::{ErrorKind, Result, StoreError};

pub mod choice;
#[cfg(feature = "edge")]
pub mod edge;
pub mod flat;
pub mod pgvector;
pub mod qdrant;
pub(crate) mod remote;

/// One chunk as a vector index keeps it.
#[derive(Debug, Clone)]
pub struct VectorEntry {
    /// The chunk; the id of the entry.
    pub key: ChunkKey,
    /// Its document.
    pub document: DocumentKey,
    /// Its version.
    pub version: Version,
    /// Norm 1.
    pub vector: Vec<f32>,
}

/// One search.
#[derive(Debug, Clone)]
pub struct VectorQuery<'a> {
    /// Norm 1, of the index's dimension.
    pub vector: &'a [f32],
    /// Most hits wanted.
    pub k: usize,
    /// Only these chunks (their keys as u64); `None` for all. The catalog computes it from filter and access list, so it
    /// is exact; an approximate index must go exact where few are left.
    pub among: Option<&'a RoaringTreemap>,
}

/// One hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VectorHit {
    /// The chunk.
    pub key: ChunkKey,
    /// Cosine, −1 to 1.
    pub score: f32,
}

/// What an index says about itself.
#[derive(Debug, Clone, serde::Serialize)]
pub struct VectorStats {
    /// `flat`, `edge`, `pgvector` or `qdrant`.
    pub engine: &'static str,
    /// Why this engine was chosen, in words with the figures.
    pub reason: String,
    /// `f32`, `f16` or `int8`.
    pub quantization: &'static str,
    /// Entries.
    pub entries: u64,
    /// Resident bytes of vectors, estimated where the engine does not say.
    pub bytes: u64,
}

/// Finds chunks by vector. Derived data: everything in it can be made again from the catalog.
///
/// Writers are serialised by `sync`; searches run at any time beside them and see some state between two writes.
#[async_trait]
pub trait VectorIndex: Send + Sync + 'static {
    /// Adds or replaces entries by key. Applying the same entries twice is harmless.
    async fn upsert(&self, entries: Vec<VectorEntry>) -> Result<()>;

    /// Removes entries by key; absent ones are removed already.
    async fn remove(&self, keys: &[ChunkKey]) -> Result<()>;

    /// Makes everything applied so far durable together with `seq`, so that [`VectorIndex::watermark`] returns it after
    /// a crash and never more than what is there.
    async fn flush(&self, seq: Seq) -> Result<()>;

    /// The `seq` of the last completed flush; `Seq(0)` for a new index.
    async fn watermark(&self) -> Result<Seq>;

    /// At most `k` hits, score descending, then key ascending.
    async fn search(&self, query: VectorQuery<'_>) -> Result<Vec<VectorHit>>;

    /// Every key in the index, for `verify`.
    async fn keys(&self) -> Result<RoaringTreemap>;

    /// The vector kept for a key as it was given (up to quantisation), for `verify`.
    async fn vector(&self, key: ChunkKey) -> Result<Option<Vec<f32>>>;

    /// Work that makes searches faster and may take long (building the graph, merging). Safe to skip.
    async fn optimize(&self) -> Result<()>;

    /// What it is.
    async fn stats(&self) -> Result<VectorStats>;

    /// Checks what is on disk as far as the engine can; `Corrupt` says what is damaged. Nothing on disk is never damaged.
    async fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Whether the index holds more on disk than it needs and wants to be built anew, with the reason.
    async fn wants_rebuild(&self) -> Option<String> {
        None
    }

    /// Flushes nothing, ends writing and lets go of files, so that the folder may be opened again or removed. Calls after
    /// it may fail as `Unavailable`.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// Refuses a query that is not of the index's dimension or holds something that is not a finite number.
pub(crate) fn check_query(vector: &[f32], dimension: usize) -> Result<()> {
    if vector.len() != dimension {
        return Err(StoreError::new(
            ErrorKind::Invalid,
            format!(
                "a vector of {} components does not fit an index of {dimension}; use the collection's model",
                vector.len()
            ),
        ));
    }
    if vector.iter().all(|x| x.is_finite()) {
        Ok(())
    } else {
        Err(StoreError::new(ErrorKind::Invalid, "a vector holds a component that is not a finite number"))
    }
}

/// Refuses a batch with a vector that would not be found again or a key that is not positive; nothing of it is applied.
pub(crate) fn check_entries(entries: &[VectorEntry], dimension: usize) -> Result<()> {
    for entry in entries {
        if entry.key.0 <= 0 {
            return Err(StoreError::new(ErrorKind::Invalid, "a chunk key must be positive"));
        }
        check_query(&entry.vector, dimension)?;
    }
    Ok(())
}
