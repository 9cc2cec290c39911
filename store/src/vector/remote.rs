//! Engines outside the process, whose indexes every process of a catalog shares.

use std::sync::Arc;

use async_trait::async_trait;

use super::VectorIndex;
use crate::document::CollectionKey;
use crate::error::Result;
use crate::scope::CollectionScope;

/// A server that keeps generations of collections. Its indexes fail as `Unavailable` or `Timeout` while it is away, and as
/// `NotFound` where their generation is gone.
#[async_trait]
pub(crate) trait RemoteEngine: Send + Sync + 'static {
    /// Whether the server will do: `Invalid` with the reason where it won't.
    async fn check(&self) -> Result<()>;

    /// The generation, if it is kept here.
    async fn find(
        &self,
        scope: &CollectionScope,
        generation: u32,
        dimension: usize,
    ) -> Result<Option<Arc<dyn VectorIndex>>>;

    /// An empty generation; what was kept under its number is removed first.
    async fn create(
        &self,
        scope: &CollectionScope,
        generation: u32,
        dimension: usize,
    ) -> Result<Arc<dyn VectorIndex>>;

    /// Shows the generation to whoever asks the server by the collection's lasting name, if it has such names.
    async fn put_in_use(&self, _collection: CollectionKey, _generation: u32) -> Result<()> {
        Ok(())
    }

    /// Removes a generation, if it is kept here.
    async fn remove(&self, collection: CollectionKey, generation: u32) -> Result<()>;

    /// Every generation that is kept for this catalog.
    async fn generations(&self) -> Result<Vec<(CollectionKey, u32)>>;
}
