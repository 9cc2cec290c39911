//! A turn at writing an index that several processes share: one writes at a time, the others look at what it did.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Shared;
use crate::catalog::Catalog;
use crate::error::Result;
use crate::scope::CollectionScope;

/// After this a process that died no longer keeps the others waiting.
const LEASE: Duration = Duration::from_secs(30);
/// How often a turn is made longer.
const RENEWED: Duration = Duration::from_secs(8);

/// Lasts until it is ended; one that is only dropped runs out.
pub(super) struct Turn {
    catalog: Arc<dyn Catalog>,
    scope: CollectionScope,
    pub(super) generation: u32,
    holder: Arc<str>,
    renewing: JoinHandle<()>,
}

impl Turn {
    /// `None` while another process writes this generation.
    pub(super) async fn take(
        shared: &Shared,
        scope: &CollectionScope,
        generation: u32,
    ) -> Result<Option<Self>> {
        let (catalog, holder) = (Arc::clone(&shared.catalog), shared.engines.holder());
        if !catalog.claim_writing(scope, generation, &holder, LEASE).await? {
            return Ok(None);
        }
        let renewing =
            tokio::spawn(renew(Arc::clone(&catalog), scope.clone(), generation, Arc::clone(&holder)));
        Ok(Some(Self { catalog, scope: scope.clone(), generation, holder, renewing }))
    }

    /// Lets others write at once.
    pub(super) async fn end(self) {
        self.renewing.abort();
        if let Err(e) = self.catalog.end_writing(&self.scope, self.generation, &self.holder).await {
            tracing::debug!(
                collection = self.scope.name().as_str(),
                "a turn was not ended, it runs out: {e}"
            );
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

async fn renew(catalog: Arc<dyn Catalog>, scope: CollectionScope, generation: u32, holder: Arc<str>) {
    loop {
        tokio::time::sleep(RENEWED).await;
        match catalog.claim_writing(&scope, generation, &holder, LEASE).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(
                    collection = scope.name().as_str(),
                    "another process took over writing an index: this one was too slow"
                );
                return;
            }
            // Until the turn runs out there is time for another try.
            Err(e) => tracing::debug!(collection = scope.name().as_str(), "a turn was not made longer: {e}"),
        }
    }
}
