//! What is kept: collections, documents, their versions and chunks, and the names and keys they go by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Result, StoreError};

/// 1–64 characters of `a-z 0-9 _ -`, starting with a letter or digit.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    (1..=64).contains(&name.len())
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// A collection's name within its tenant: 1–64 characters of `a-z 0-9 _ -`, starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CollectionName(String);

impl CollectionName {
    /// Checks the name; anything else is `Invalid`.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        if is_plain_name(&name) {
            Ok(Self(name))
        } else {
            Err(StoreError::new(
                ErrorKind::Invalid,
                "a collection name is 1-64 characters of a-z, 0-9, _ or -, starting with a letter or digit",
            ))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CollectionName {
    type Error = StoreError;
    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<CollectionName> for String {
    fn from(name: CollectionName) -> Self {
        name.0
    }
}

impl std::fmt::Display for CollectionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A document's id within its collection, chosen by the client or made from the source: 1–512 bytes, no control
/// characters. It never becomes a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentId(String);

impl DocumentId {
    /// Checks the id; anything else is `Invalid`.
    pub fn new(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        if (1..=512).contains(&id.len()) && !id.chars().any(char::is_control) {
            Ok(Self(id))
        } else {
            Err(StoreError::new(
                ErrorKind::Invalid,
                "a document id is 1-512 bytes without control characters",
            ))
        }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DocumentId {
    type Error = StoreError;
    fn try_from(id: String) -> Result<Self> {
        Self::new(id)
    }
}

impl From<DocumentId> for String {
    fn from(id: DocumentId) -> Self {
        id.0
    }
}

impl std::fmt::Display for DocumentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);
    )+};
}

keys! {
    /// A collection's row; never reused.
    CollectionKey,
    /// A document's row; a document deleted and added again has a new one. Never reused.
    DocumentKey,
    /// A chunk's row, positive, never reused: the id that indexes keep.
    ChunkKey,
    /// A place in the catalog's change sequence; 0 is before the first change.
    Seq,
}

/// A document's version: 1, 2, 3 … in the order of acceptance.
pub type Version = i64;

/// A chunk's public id: 32 hexadecimal digits, a hash of collection, document, version, position and the chunker's
/// fingerprint, and never of the text alone (two equal texts are two chunks).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChunkId(pub String);

/// BLAKE3 of some content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(hex: &str) -> Result<Self> {
        blake3::Hash::from_hex(hex)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|e| StoreError::new(ErrorKind::Corrupt, "not a content hash").with_source(e))
    }
}

/// What a client or an extractor says about a document: JSON scalars, arrays of scalars, or nested objects (fields of
/// those go by dotted names in filters).
pub type Metadata = BTreeMap<String, serde_json::Value>;

/// A collection as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Collection {
    /// Its key.
    #[serde(skip, default = "no_key")]
    pub key: CollectionKey,
    /// Its name.
    pub name: CollectionName,
    /// The embedder's name it was made with.
    pub model: String,
    /// The embedder's fingerprint; vectors of any other are refused.
    pub fingerprint: String,
    /// Components per vector.
    pub dimension: usize,
    /// Settings of chunking and the like, owned by `ingest`; opaque here.
    pub settings: serde_json::Value,
    /// RFC 3339.
    pub created_at: String,
    /// Visible documents.
    pub documents: u64,
    /// Chunks of visible documents.
    pub chunks: u64,
}

fn no_key() -> CollectionKey {
    CollectionKey(0)
}

/// A collection to be made.
#[derive(Debug, Clone)]
pub struct NewCollection {
    /// Its name.
    pub name: CollectionName,
    /// See [`Collection::model`].
    pub model: String,
    /// See [`Collection::fingerprint`].
    pub fingerprint: String,
    /// See [`Collection::dimension`].
    pub dimension: usize,
    /// See [`Collection::settings`].
    pub settings: serde_json::Value,
}

/// A document as accepted: its bytes are already in the blob store.
#[derive(Debug, Clone)]
pub struct NewDocument {
    /// Its id.
    pub id: DocumentId,
    /// The original bytes, stored and synced.
    pub blob: ContentHash,
    /// Their count.
    pub bytes: u64,
    /// Where it came from: a file name, a relative path, a URL. Shown to people, never opened.
    pub source: String,
    /// The media type the client declared, if any.
    pub media_type: Option<String>,
    /// The title the client gave, if any; an extracted one is used otherwise.
    pub title: Option<String>,
    /// The client's metadata; wins over extracted metadata of the same name.
    pub metadata: Metadata,
    /// Principals that may see it; `None` for everybody of the tenant.
    pub acl: Option<Vec<String>>,
    /// The place in a trace of the request that brought it, as W3C's Trace Context writes it, where one is recorded.
    pub trace: Option<String>,
}

/// A document's visible version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Document {
    /// Its key.
    #[serde(skip, default = "no_document")]
    pub key: DocumentKey,
    /// Its id.
    pub id: DocumentId,
    /// The visible version.
    pub version: Version,
    /// Its title.
    pub title: Option<String>,
    /// Where it came from.
    pub source: String,
    /// What it was read as.
    pub media_type: String,
    /// The client's and the extractor's metadata, merged.
    pub metadata: Metadata,
    /// Principals that may see it.
    pub acl: Option<Vec<String>>,
    /// Original bytes.
    pub bytes: u64,
    /// BLAKE3 of the original bytes, hexadecimal.
    pub content_hash: String,
    /// What made the stored text, chunks and vectors out of the bytes (extractor, cleaner, chunker, embedder).
    pub pipeline: String,
    /// Pages, 0 where the format has none.
    pub pages: u32,
    /// Chunks.
    pub chunks: u64,
    /// What extraction wants people to know.
    pub warnings: Vec<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339: when this version became visible.
    pub updated_at: String,
}

fn no_document() -> DocumentKey {
    DocumentKey(0)
}

/// Bytes of the stored text that stand on one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageSpan {
    /// Counts from 1.
    pub page: u32,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// What the worker made of a document's bytes, to be stored with its chunks in one transaction.
#[derive(Debug, Clone)]
pub struct ProcessedDocument {
    /// The stored text: UTF-8, NFC, LF. Chunk spans and citations are byte offsets into it.
    pub text: String,
    /// The title: the client's, else the extractor's.
    pub title: Option<String>,
    /// What it was read as.
    pub media_type: String,
    /// Merged metadata.
    pub metadata: Metadata,
    /// Pages, in order.
    pub pages: Vec<PageSpan>,
    /// The map from the stored text back to the source, as `ingest` serialises it.
    pub offsets: serde_json::Value,
    /// See [`Document::warnings`].
    pub warnings: Vec<String>,
    /// See [`Document::pipeline`].
    pub pipeline: String,
    /// The chunks, in order of position.
    pub chunks: Vec<NewChunk>,
}

/// A chunk to be stored.
#[derive(Debug, Clone)]
pub struct NewChunk {
    /// Its public id.
    pub id: ChunkId,
    /// Position in the document, from 0.
    pub ordinal: u32,
    /// First byte in the stored text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// First page it touches.
    pub page: Option<u32>,
    /// Headings above it, outermost first.
    pub headings: Vec<String>,
    /// The section it belongs to, as a span of the stored text; `None` where the document has no structure.
    pub section: Option<(usize, usize)>,
    /// Where links in it lead that its text does not show: addresses as the document has them, each once.
    pub links: Vec<String>,
    /// Exactly what was embedded (title and heading path in front, by the chunker's settings).
    pub embedded_text: String,
    /// BLAKE3 of what decides the vector: of `embedded_text`, and of the text it was read in where that has a say.
    pub content_hash: ContentHash,
    /// Tokens of `embedded_text`.
    pub tokens: u32,
    /// ISO 639-1 of the chunk's language where detected.
    pub language: Option<String>,
    /// `dimension` components, norm 1.
    pub vector: Vec<f32>,
}

/// A chunk of a visible document, joined with what a person wants to know about where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredChunk {
    /// Its key.
    pub key: ChunkKey,
    /// Its public id.
    pub id: ChunkId,
    /// Its document's key.
    pub document_key: DocumentKey,
    /// Its document.
    pub document_id: DocumentId,
    /// The visible version, which is the chunk's.
    pub version: Version,
    /// Position in the document, from 0.
    pub ordinal: u32,
    /// First byte in the stored text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// The stored text from `start` to `end`.
    pub text: String,
    /// First page it touches.
    pub page: Option<u32>,
    /// Headings above it.
    pub headings: Vec<String>,
    /// Its section's span.
    pub section: Option<(usize, usize)>,
    /// Where links in it lead that its text does not show.
    pub links: Vec<String>,
    /// Its document's title.
    pub title: Option<String>,
    /// Its document's source.
    pub source: String,
    /// Its document's metadata.
    pub metadata: Metadata,
    /// ISO 639-1.
    pub language: Option<String>,
}
