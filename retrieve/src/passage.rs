//! What a search gives back: passages with where they stand, as every door prints them.

use serde::Serialize;
use wellspring_store::{ChunkId, ChunkKey, DocumentId, DocumentKey, Metadata, StoredChunk, Version};

use crate::explain::{Degraded, Explain, HitExplain, Timings};
use crate::fuse::LegScore;

/// A piece of a visible document's stored text.
#[derive(Debug, Clone, Serialize)]
pub struct Passage {
    /// Its document.
    pub document_id: DocumentId,
    /// The chunk.
    pub chunk_id: ChunkId,
    /// The document's version that it belongs to.
    pub version: Version,
    /// What it was ranked by: fused, of one leg, or the reranker's; higher is better, comparable only within one
    /// response. 0 for a passage that was fetched by id.
    pub score: f32,
    /// The document's title.
    pub title: Option<String>,
    /// The stored text from `start` to `end`.
    pub text: String,
    /// Where the document came from.
    pub source: String,
    /// First page it touches, from 1.
    pub page: Option<u32>,
    /// First byte in the stored text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Headings above it, outermost first.
    pub headings: Vec<String>,
    /// The document's metadata.
    pub metadata: Metadata,
    /// ISO 639-1, where detected.
    pub language: Option<String>,
    /// The passage widened by its neighbours or to its section, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// How it came about, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<HitExplain>,
    #[serde(skip)]
    pub(crate) place: Place,
    /// Where it stood when the legs were fused; `None` for a passage that was fetched by id.
    #[serde(skip)]
    pub(crate) origin: Option<Origin>,
}

/// A longer stretch of the stored text around a passage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Context {
    /// The stored text from `start` to `end`.
    pub text: String,
    /// First byte in the stored text, at most the passage's.
    pub start: usize,
    /// One past the last byte, at least the passage's.
    pub end: usize,
}

/// Where the catalog keeps it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) key: ChunkKey,
    pub(crate) document: DocumentKey,
    pub(crate) ordinal: u32,
    /// The span of the sections it touches; `None` where the document has no headings.
    pub(crate) section: Option<(usize, usize)>,
}

/// Where a hit stood when the legs were fused.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Origin {
    pub(crate) fused: f32,
    /// From 1, before anything was left out.
    pub(crate) fused_rank: usize,
    pub(crate) dense: Option<LegScore>,
    pub(crate) keyword: Option<LegScore>,
}

impl Passage {
    /// What to read: the widened text where there is one, and the byte of the stored text at which it begins.
    pub fn reading(&self) -> (&str, usize) {
        match &self.context {
            Some(context) => (&context.text, context.start),
            None => (&self.text, self.start),
        }
    }

    pub(crate) fn of(chunk: StoredChunk, score: f32, explain: Option<HitExplain>) -> Self {
        let StoredChunk {
            key,
            id,
            document_key,
            document_id,
            version,
            ordinal,
            start,
            end,
            text,
            page,
            headings,
            section,
            title,
            source,
            metadata,
            language,
            // Only for finding what it leads to.
            links: _,
        } = chunk;
        Self {
            document_id,
            chunk_id: id,
            version,
            score,
            title,
            text,
            source,
            page,
            start,
            end,
            headings,
            metadata,
            language,
            context: None,
            explain,
            place: Place { key, document: document_key, ordinal, section },
            origin: None,
        }
    }
}

/// A search's result.
#[derive(Debug, Clone, Serialize)]
pub struct SearchResponse {
    /// Best first: score descending, then chunk key ascending.
    pub hits: Vec<Passage>,
    /// What did not work; empty when the result is all it should be.
    pub degraded: Vec<Degraded>,
    /// The query with misspelt words put right, where a word that no text holds has one clearly likeliest correction.
    /// The hits are those of the query as it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub did_you_mean: Option<String>,
    /// How the search came about, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explain>,
    /// Milliseconds per stage.
    pub timings: Timings,
}
