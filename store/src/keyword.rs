//! The seam to keyword search: what an index is told, asked and answers.

use async_trait::async_trait;
use roaring::RoaringTreemap;

use crate::document::{ChunkKey, DocumentKey, Seq, Version};
use crate::error::Result;

pub mod analyzer;
pub mod tantivy;

/// One chunk as a keyword index keeps it.
#[derive(Debug, Clone)]
pub struct KeywordEntry {
    /// The chunk; the id of the entry.
    pub key: ChunkKey,
    /// Its document.
    pub document: DocumentKey,
    /// Its version.
    pub version: Version,
    /// The document's title, or empty.
    pub title: String,
    /// The heading path, joined, or empty.
    pub headings: String,
    /// The chunk's own text.
    pub body: String,
    /// ISO 639-1 of the chunk's language; `None` where unknown.
    pub language: Option<String>,
}

/// One search.
#[derive(Debug, Clone)]
pub struct KeywordQuery<'a> {
    /// What the user typed; never parsed as a query language.
    pub text: &'a str,
    /// Most hits wanted.
    pub k: usize,
    /// Only these chunks; `None` for all.
    pub among: Option<&'a RoaringTreemap>,
}

/// One hit.
#[derive(Debug, Clone, PartialEq)]
pub struct KeywordHit {
    /// The chunk.
    pub key: ChunkKey,
    /// BM25, above 0, comparable only within one search.
    pub score: f32,
}

/// Finds chunks by words. Derived data: everything in it can be made again from the catalog. The write rules are those
/// of [`crate::vector::VectorIndex`].
#[async_trait]
pub trait KeywordIndex: Send + Sync + 'static {
    /// Adds or replaces entries by key. Applying the same entries twice is harmless.
    async fn upsert(&self, entries: Vec<KeywordEntry>) -> Result<()>;

    /// Removes entries by key; absent ones are removed already.
    async fn remove(&self, keys: &[ChunkKey]) -> Result<()>;

    /// Makes everything applied so far durable and searchable, together with `seq`.
    async fn flush(&self, seq: Seq) -> Result<()>;

    /// The `seq` of the last completed flush; `Seq(0)` for a new index.
    async fn watermark(&self) -> Result<Seq>;

    /// At most `k` hits, score descending, then key ascending. A query without a single indexable word has none.
    async fn search(&self, query: KeywordQuery<'_>) -> Result<Vec<KeywordHit>>;

    /// Every key in the index, for `verify`.
    async fn keys(&self) -> Result<RoaringTreemap>;

    /// A hash of the entry's stored content as given to `upsert`, for `verify`; `None` if absent.
    async fn content_hash(&self, key: ChunkKey) -> Result<Option<[u8; 32]>>;

    /// Entries.
    async fn len(&self) -> Result<u64>;
}
