//! Shapes of collections, documents, chunks and jobs.
#![expect(dead_code, reason = "shapes for openapi.json: described, never built")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A collection.
#[derive(ToSchema)]
pub(crate) struct Collection {
    /// Its name.
    #[schema(example = "default")]
    name: String,
    /// The embedder it was made with.
    #[schema(example = "all-MiniLM-L6-v2")]
    model: String,
    /// The embedder's fingerprint.
    fingerprint: String,
    /// Components per vector.
    #[schema(example = 384)]
    dimension: u64,
    /// Settings of chunking.
    #[schema(required)]
    settings: Value,
    /// RFC 3339.
    #[schema(format = DateTime)]
    created_at: String,
    /// Visible documents.
    documents: u64,
    /// Chunks of visible documents.
    chunks: u64,
}

/// Every collection.
#[derive(ToSchema)]
pub(crate) struct CollectionList {
    /// By name.
    collections: Vec<Collection>,
}

/// A collection and its indexes.
#[derive(ToSchema)]
pub(crate) struct CollectionDetail {
    collection: Collection,
    indexes: IndexStats,
}

/// Both indexes of a collection.
#[derive(ToSchema)]
pub(crate) struct IndexStats {
    vector: VectorStats,
    /// Counts from 1 with every rebuild.
    vector_generation: u32,
    /// Chunks in the keyword index.
    keyword_entries: u64,
    /// Counts from 1 with every rebuild.
    keyword_generation: u32,
    /// Whether a new generation of either is being built.
    building: bool,
}

/// A vector index.
#[derive(ToSchema)]
pub(crate) struct VectorStats {
    /// `flat` (exact), `edge` (HNSW), `pgvector` or `qdrant`.
    #[schema(example = "flat")]
    engine: String,
    /// Why this engine was chosen.
    reason: String,
    /// `f32`, `f16` or `int8`.
    quantization: String,
    /// Chunks.
    entries: u64,
    /// Resident bytes of vectors.
    bytes: u64,
}

/// A document's visible version.
#[derive(ToSchema)]
pub(crate) struct Document {
    /// Its id.
    #[schema(example = "handbook/welcome.md")]
    id: String,
    /// Counts from 1 with every accepted change.
    version: i64,
    #[schema(required)]
    title: Option<String>,
    /// A file name, relative path or URL.
    source: String,
    /// What it was read as.
    #[schema(example = "text/markdown")]
    media_type: String,
    /// The client's and the extractor's, merged.
    metadata: BTreeMap<String, Value>,
    /// Principals that may see it; null for everybody of the tenant.
    #[schema(required)]
    acl: Option<Vec<String>>,
    /// Original bytes.
    bytes: u64,
    /// BLAKE3 of the original bytes.
    content_hash: String,
    /// What made text, chunks and vectors out of the bytes.
    pipeline: String,
    /// 0 where the format has none.
    pages: u32,
    chunks: u64,
    /// What extraction wants people to know.
    warnings: Vec<String>,
    /// RFC 3339.
    #[schema(format = DateTime)]
    created_at: String,
    /// RFC 3339: when this version became visible.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A page of documents.
#[derive(ToSchema)]
pub(crate) struct DocumentList {
    /// By id.
    documents: Vec<Document>,
    /// Give it back as `cursor` for the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
}

/// A document's stored text: UTF-8, NFC, line feeds.
#[derive(ToSchema)]
pub(crate) struct DocumentText {
    document_id: String,
    /// Spans of chunks and citations are UTF-8 byte offsets into it.
    text: String,
    pages: Vec<PageSpan>,
}

/// Bytes of the stored text that stand on one page.
#[derive(ToSchema)]
pub(crate) struct PageSpan {
    /// Counts from 1.
    page: u32,
    /// First byte.
    start: u64,
    /// One past the last byte.
    end: u64,
}

/// A document's chunks.
#[derive(ToSchema)]
pub(crate) struct ChunkList {
    document_id: String,
    /// In the order of the text.
    chunks: Vec<Chunk>,
}

/// A chunk.
#[derive(ToSchema)]
pub(crate) struct Chunk {
    chunk_id: String,
    /// Position in the document, from 0.
    ordinal: u32,
    /// First byte in the stored text.
    start: u64,
    /// One past the last byte.
    end: u64,
    /// First page it touches, from 1.
    #[schema(required)]
    page: Option<u32>,
    /// Headings above it, outermost first.
    headings: Vec<String>,
    /// ISO 639-1, where detected.
    #[schema(required)]
    language: Option<String>,
    /// The stored text from `start` to `end`.
    text: String,
}

/// A job: one version of one document on its way to being searchable.
#[derive(ToSchema)]
pub(crate) struct Job {
    id: Uuid,
    collection: String,
    document_id: String,
    /// The version it makes.
    version: i64,
    source: String,
    state: JobState,
    stage: Stage,
    /// Units done and to do within the stage, where known.
    #[schema(required)]
    progress: Option<Progress>,
    /// Attempts begun.
    attempts: u32,
    max_attempts: u32,
    /// A stable code for the end, e.g. `encrypted`, `image_only`, `cancelled`.
    #[schema(required, example = "encrypted")]
    reason: Option<String>,
    /// The reason in words.
    #[schema(required)]
    message: Option<String>,
    /// What the finished job made: chunks, tokens, pages, warnings …
    #[schema(required)]
    report: Value,
    cancel_requested: bool,
    /// RFC 3339.
    #[schema(format = DateTime)]
    created_at: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// Where a job stands; all but `queued` and `running` are final.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum JobState {
    Queued,
    Running,
    Indexed,
    Unchanged,
    Skipped,
    Failed,
    Cancelled,
    Dead,
}

/// What a running job is doing.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Stage {
    Waiting,
    Extract,
    Chunk,
    Embed,
    Store,
    Index,
    Done,
}

/// Units done and to do.
#[derive(ToSchema)]
pub(crate) struct Progress {
    done: u64,
    total: u64,
}

/// A page of jobs.
#[derive(ToSchema)]
pub(crate) struct JobList {
    /// Newest first.
    jobs: Vec<Job>,
    /// Give it back as `cursor` for the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
}
