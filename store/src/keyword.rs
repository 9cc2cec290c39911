//! The seam to keyword search: what an index is told, asked and answers.

use async_trait::async_trait;
use roaring::RoaringTreemap;

use crate::document::{ChunkKey, DocumentKey, Seq, Version};
use crate::error::{ErrorKind, Result, StoreError};

pub mod analyzer;
mod scoring;
pub mod tantivy;

pub use analyzer::exact::{Exact, ExactKind, exacts};
pub use scoring::KeywordScoring;

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

impl KeywordEntry {
    /// BLAKE3 of title, headings, body and language: what an index keeps to tell an entry that differs from the catalog's.
    pub fn content_hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for part in
            [self.title.as_str(), &self.headings, &self.body, self.language.as_deref().unwrap_or_default()]
        {
            // Lengths keep neighbouring parts apart: ("ab", "c") is not ("a", "bc").
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
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
    /// How matches are weighed.
    pub scoring: KeywordScoring,
    /// Whether words of the query that no text holds are replaced by words that begin with them or differ by a letter or
    /// two, at a discount. Identifiers and numbers never are.
    pub fuzzy: bool,
}

impl<'a> KeywordQuery<'a> {
    /// The best `k` of all chunks, with every default.
    pub fn new(text: &'a str, k: usize) -> Self {
        Self { text, k, among: None, scoring: KeywordScoring::default(), fuzzy: true }
    }
}

/// One hit.
#[derive(Debug, Clone, PartialEq)]
pub struct KeywordHit {
    /// The chunk.
    pub key: ChunkKey,
    /// BM25, above 0, comparable only within one search.
    pub score: f32,
}

/// A query put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The query as it was probably meant, normalised.
    pub text: String,
    /// For each word that was replaced, some of the chunks that hold the new one (1–8, key ascending). An index may be
    /// behind the catalog: before the words are told to anyone, one of each must still be visible to him.
    pub held_by: Vec<Vec<ChunkKey>>,
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
    /// `Invalid` for a scoring out of range.
    async fn search(&self, query: KeywordQuery<'_>) -> Result<Vec<KeywordHit>>;

    /// At most `k` chunks that hold at least one of `exacts` in title, headings or body, certainly all of them if `k`
    /// allows, none that only holds something like it: score descending, then key ascending. The score is BM25 over what
    /// is held, summed; a rare one weighs more. To have the best of each, ask for each alone.
    ///
    /// What holds: see [`Exact`].
    async fn holding(
        &self,
        exacts: &[Exact],
        k: usize,
        among: Option<&RoaringTreemap>,
    ) -> Result<Vec<KeywordHit>>;

    /// The query with misspelt words put right, where a word that no text holds has one clearly likeliest correction;
    /// `None` otherwise. Only words that an entry of `among` (`None` for all) holds are ever proposed: a correction must
    /// not tell what is in a text that the caller may not see.
    async fn did_you_mean(&self, text: &str, among: Option<&RoaringTreemap>) -> Result<Option<Correction>>;

    /// Every key in the index, for `verify`.
    async fn keys(&self) -> Result<RoaringTreemap>;

    /// A hash of the entry's stored content as given to `upsert`, for `verify`; `None` if absent.
    async fn content_hash(&self, key: ChunkKey) -> Result<Option<[u8; 32]>>;

    /// Entries.
    async fn len(&self) -> Result<u64>;

    /// Whether there is no entry.
    async fn is_empty(&self) -> Result<bool> {
        Ok(self.len().await? == 0)
    }

    /// Checks what is on disk as far as the engine can; `Corrupt` says what is damaged.
    async fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Work that makes searches faster and may take long (merging). Safe to skip.
    async fn optimize(&self) -> Result<()> {
        Ok(())
    }

    /// Gives back memory and threads that only writing needs; the next write takes them again.
    async fn rest(&self) -> Result<()> {
        Ok(())
    }
}

/// The key as engines keep it; only positive keys exist.
pub(crate) fn checked_key(key: ChunkKey) -> Result<u64> {
    u64::try_from(key.0)
        .ok()
        .filter(|&key| key > 0)
        .ok_or_else(|| StoreError::new(ErrorKind::Invalid, "a chunk key must be positive"))
}
