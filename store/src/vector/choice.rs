//! Which engine keeps the vectors, and where those are that run outside the process: settings.

use serde::{Deserialize, Serialize};

use super::pgvector::PgVectorConfig;

/// The engine of every collection. Another one is built beside the one in use and takes its place when it is whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// Qdrant where a server is named; else scanned or searched through a graph in the data folder, by size.
    #[default]
    Auto,
    /// Scanned exactly in memory, whatever the size.
    Flat,
    /// A graph in the data folder, whatever the size.
    Edge,
    /// The catalog's PostgreSQL database.
    Pgvector,
    /// A Qdrant server or cluster.
    Qdrant,
}

/// Which engine keeps vectors, and how those outside the process are used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VectorsConfig {
    /// The engine.
    pub engine: EngineChoice,
    /// When pgvector compares one by one.
    pub pgvector: PgVectorConfig,
    /// The Qdrant server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qdrant: Option<QdrantConfig>,
}

/// Where Qdrant is and how it is used.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QdrantConfig {
    /// Of the gRPC port: `http://127.0.0.1:6334`, or `https://…`, checked against the system's certificate authorities.
    pub url: String,
    /// Sent with every call, where the server wants one.
    #[serde(default, serialize_with = "redacted", skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// Up to this many candidates of a filter are compared one by one.
    #[serde(default = "exact_among")]
    pub exact_among: u64,
    /// Begins the name of every collection of ours, so that others may use the same server.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// Seconds that one call may take.
    #[serde(default = "timeout_seconds")]
    pub timeout_seconds: u32,
}

fn exact_among() -> u64 {
    20_000
}

fn prefix() -> String {
    "wellspring".to_owned()
}

fn timeout_seconds() -> u32 {
    30
}

fn redacted<S: serde::Serializer>(_: &Option<String>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str("[redacted]")
}

impl QdrantConfig {
    /// The server of this URL with default settings.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            api_key: None,
            exact_among: exact_among(),
            prefix: prefix(),
            timeout_seconds: timeout_seconds(),
        }
    }
}

/// Without the key.
impl std::fmt::Debug for QdrantConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QdrantConfig")
            .field("url", &self.url)
            .field("prefix", &self.prefix)
            .field("timeout_seconds", &self.timeout_seconds)
            .finish_non_exhaustive()
    }
}
