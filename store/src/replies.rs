//! Replies of chat models that were kept, to be given again to the same ask while every document behind them stands.

use std::time::Duration;

use async_trait::async_trait;

use crate::document::{ContentHash, DocumentId, Version};
use crate::error::Result;
use crate::scope::CollectionScope;

/// A reply to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReply {
    /// A hash of all that decided it.
    pub ask: ContentHash,
    /// The reply, with a version of its own; opaque here.
    pub reply: serde_json::Value,
    /// What it was made from.
    pub sources: Vec<(DocumentId, Version)>,
    /// How long it may be given.
    pub keep: Duration,
    /// Replies kept at most, of all tenants; the ones that end first make room.
    pub most: u32,
}

/// Kept replies. One is gone, also from the disk, when the call returns that changes or deletes one of its documents or
/// its collection.
#[async_trait]
pub trait Replies: Send + Sync + 'static {
    /// The reply to this ask of this tenant, unless its time is over.
    async fn reply(&self, scope: &CollectionScope, ask: ContentHash) -> Result<Option<serde_json::Value>>;

    /// Keeps a reply in place of an earlier one to the same ask, if every source is its document's visible version still;
    /// says whether it did.
    async fn keep_reply(&self, scope: &CollectionScope, reply: NewReply) -> Result<bool>;
}
