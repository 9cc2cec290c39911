//! Deterministic models without weights or network: the offline provider, and the ground that tests stand on.

mod chat;
mod embedder;
mod offline;
mod reranker;

pub use chat::{Script, ScriptEnd, ScriptedChat};
pub use embedder::{CallCount, HashEmbedder};
pub use offline::OfflineChat;
pub use reranker::OverlapReranker;

/// The name under which the registry knows [`HashEmbedder`].
pub const HASH_EMBEDDER: &str = "fake/hash";
/// The name under which the registry knows [`OverlapReranker`].
pub const OVERLAP_RERANKER: &str = "fake/overlap";
/// The name under which the registry knows [`OfflineChat`].
pub const OFFLINE_CHAT: &str = "fake/offline";
