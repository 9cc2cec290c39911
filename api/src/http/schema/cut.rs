//! Shapes of a document as it would be cut.
#![expect(dead_code, reason = "shapes for openapi.json: described, never built")]

use utoipa::ToSchema;

/// A document as it would be cut. Offsets are bytes of the text that would be stored.
#[derive(ToSchema)]
pub(crate) struct CutPreview {
    /// What the file was read as.
    format: String,
    #[schema(required)]
    title: Option<String>,
    /// Bytes of the text.
    bytes: u64,
    /// The number of the last page; 0 where the format has none.
    pages: u32,
    totals: CutTotals,
    /// The settings it was cut with.
    settings: serde_json::Map<String, serde_json::Value>,
    /// The limit on embedded text, tokens.
    max_tokens: u64,
    /// In order.
    chunks: Vec<CutChunk>,
    /// What could not be read.
    warnings: Vec<String>,
}

/// Sums and extremes over the chunks; 0 where there are none.
#[derive(ToSchema)]
pub(crate) struct CutTotals {
    chunks: u64,
    /// Tokens that would be embedded.
    tokens: u64,
    /// Tokens of the smallest chunk.
    least_tokens: u64,
    median_tokens: u64,
    /// Tokens of the largest chunk.
    most_tokens: u64,
    /// Bytes that stand in two chunks.
    overlap_bytes: u64,
    /// Tokens that the model would not see.
    truncated_tokens: u64,
}

/// A chunk as it would be stored.
#[derive(ToSchema)]
pub(crate) struct CutChunk {
    /// From 0.
    ordinal: u64,
    /// First byte.
    start: u64,
    /// One past the last byte.
    end: u64,
    /// Bytes at its beginning that the chunk before holds too.
    overlap: u64,
    /// First page it touches.
    #[schema(required)]
    page: Option<u32>,
    /// Headings above it, outermost first.
    headings: Vec<String>,
    /// The section it lies in: first byte and one past the last.
    #[schema(required)]
    section: Option<Vec<u64>>,
    /// ISO 639-1, where detected.
    #[schema(required)]
    language: Option<String>,
    /// Tokens of `embedded_text`, special ones included.
    tokens: u64,
    /// The text from `start` to `end`.
    text: String,
    /// What would be embedded: title and headings, a repeated table header, then `text`.
    embedded_text: String,
    /// With late chunking the bytes that `text` would be read in.
    read_in: Option<Vec<u64>>,
}
