//! The models' cache of replies over the store's rows.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use wellspring_models::replies::{CacheStore, Shown};
use wellspring_models::{ErrorKind, ModelError, Result};
use wellspring_store::replies::NewReply;
use wellspring_store::{
    Catalog, CollectionName, CollectionScope, ContentHash, DocumentId, Replies, Scope, Store, StoreError,
    TenantId,
};

/// Replies kept in one store.
pub(super) struct KeptReplies {
    rows: Arc<dyn Replies>,
    catalog: Arc<dyn Catalog>,
    keep: Duration,
    most: u32,
}

impl KeptReplies {
    pub(super) fn new(store: &Store, keep: Duration, most: u32) -> Self {
        Self { rows: Arc::clone(&store.replies), catalog: Arc::clone(&store.catalog), keep, most }
    }

    /// The collection as the tenant itself sees it: what of it a reply may rest on was decided when its passages were found
    /// for whoever asks.
    async fn scope(&self, shown: &Shown) -> Result<CollectionScope> {
        let tenant = TenantId::new(shown.tenant.as_str()).map_err(failed)?;
        let name = CollectionName::new(shown.collection.as_str()).map_err(failed)?;
        Ok(self.catalog.collection(&Scope::administrator(tenant), &name).await.map_err(failed)?.0)
    }
}

#[async_trait]
impl CacheStore for KeptReplies {
    async fn get(&self, shown: &Shown, ask: [u8; 32]) -> Result<Option<Value>> {
        let scope = self.scope(shown).await?;
        let found = self.rows.reply(&scope, ContentHash(ask)).await.map_err(failed)?;
        let outcome = if found.is_some() { "hit" } else { "miss" };
        metrics::counter!("wellspring_kept_replies_total", "outcome" => outcome).increment(1);
        Ok(found)
    }

    async fn put(&self, shown: &Shown, ask: [u8; 32], reply: Value) -> Result<()> {
        let scope = self.scope(shown).await?;
        let sources = shown
            .documents
            .iter()
            .map(|(id, version)| Ok((DocumentId::new(id.as_str()).map_err(failed)?, *version)))
            .collect::<Result<Vec<_>>>()?;
        let new = NewReply { ask: ContentHash(ask), reply, sources, keep: self.keep, most: self.most };
        self.rows.keep_reply(&scope, new).await.map_err(failed)?;
        Ok(())
    }
}

fn failed(error: StoreError) -> ModelError {
    ModelError::new(ErrorKind::Unavailable, error.to_string()).with_source(error)
}
