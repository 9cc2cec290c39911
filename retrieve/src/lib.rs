//! Query in, ranked and explained passages out.
//!
//! A search asks the vector and the keyword index side by side, fuses their scores, and joins every hit with the catalog
//! under the caller's scope before anything leaves: what the scope may not see, what was deleted and what is not yet
//! whole never appears. Needs no chat model.

pub mod config;
pub mod context;
pub mod error;
pub mod explain;
pub mod fuse;
pub mod memory;
pub mod passage;
pub mod pipeline;
pub mod query;

mod choose;
mod diversify;
mod models;
mod recall;
mod rerank;

pub use config::{RerankConfig, RetrieveConfig};
pub use context::NeighbourConfig;
pub use error::{ErrorKind, Result, RetrieveError};
pub use explain::{Degraded, Explain, HitExplain, Timings};
pub use fuse::{Fusion, Missing};
pub use memory::{KeywordAsk, LegAsk, LegMemory};
pub use passage::{Context, Passage, SearchResponse};
pub use pipeline::{Retriever, document_ranking};
pub use query::{Mode, Overrides, SearchRequest};
pub use wellspring_store::keyword::KeywordScoring;
pub use wellspring_store::{
    Access, ChunkId, CollectionName, CollectionScope, Collections, DocumentId, Filter, Metadata, PageSpan,
    Scope, TenantId, Version,
};
