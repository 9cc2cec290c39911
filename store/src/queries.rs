//! Searches that were kept, so that they can be asked again under other settings.

use crate::document::ChunkId;
use crate::scope::Access;

/// A search to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewQuery {
    /// What was asked, as `retrieve` writes it; opaque here.
    pub request: serde_json::Value,
    /// A fingerprint of the settings it was answered under.
    pub settings: String,
    /// What came back, best first: ids only.
    pub chunks: Vec<ChunkId>,
}

/// How many searches of a collection are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptQueries {
    /// The newest ones, at least 1.
    pub most: u32,
    /// No longer than this many days.
    pub days: u32,
}

/// A search that was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedQuery {
    /// Its number, ascending with time.
    pub key: i64,
    /// What those who asked could see.
    pub access: Access,
    /// See [`NewQuery`].
    pub query: NewQuery,
    /// RFC 3339.
    pub at: String,
}
