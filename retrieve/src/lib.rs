//! Query in, ranked and explained passages out.
//!
//! A search asks the vector and the keyword index side by side, fuses their scores, and joins every hit with the catalog
//! under the caller's scope before anything leaves: what the scope may not see, what was deleted and what is not yet
//! whole never appears. Needs no chat model.

pub mod boost;
pub mod config;
pub mod context;
pub mod error;
pub mod expand;
pub mod explain;
pub mod fuse;
pub mod hop;
pub mod memory;
pub mod passage;
pub mod pipeline;
pub mod query;
pub mod ranker;
pub mod refine;
pub mod replay;
pub mod tuning;

mod adjust;
mod blocking;
mod choose;
mod diversify;
mod exact;
mod freshness;
mod learned;
mod models;
mod recall;
mod rerank;
mod scale;
mod similar;
mod smooth;
mod spans;
mod stages;

pub use boost::Boost;
pub use config::{RecordConfig, RerankConfig, RetrieveConfig};
pub use context::NeighbourConfig;
pub use error::{ErrorKind, Result, RetrieveError};
pub use expand::{ChatExpansion, ExpandConfig, Expanded};
pub use explain::{Degraded, Explain, HitExplain, Timings};
pub use fuse::{Fusion, Missing, Normalization};
pub use hop::LinksConfig;
pub use memory::{KeywordAsk, LegAsk, LegMemory};
pub use passage::{Context, Passage, SearchResponse};
pub use pipeline::{Retriever, document_ranking};
pub use query::{Mode, Overrides, SearchRequest};
pub use refine::RefineConfig;
pub use replay::Replayed;
pub use tuning::{LanguageTuning, Tuning};
pub use wellspring_store::keyword::KeywordScoring;
pub use wellspring_store::{
    Access, ChunkId, CollectionName, CollectionScope, Collections, DocumentId, Filter, Metadata, PageSpan,
    Scope, TenantId, Version,
};
