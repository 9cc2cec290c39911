//! Which embedder a collection was made with, checked before its vectors are compared with anything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use wellspring_models::registry::Registry;
use wellspring_models::{Account, Embedder, Work};
use wellspring_store::{CollectionKey, CollectionScope, Store};

use crate::error::{ErrorKind, Result, RetrieveError};

/// Collections remembered before all are forgotten: far above what one process serves, far below what would hurt.
const REMEMBERED: usize = 10_000;

/// Hands out each collection's embedder.
pub(crate) struct CollectionModels {
    registry: Arc<Registry>,
    /// Model and fingerprint never change for a key, and keys are never reused.
    recorded: Mutex<HashMap<CollectionKey, Arc<Recorded>>>,
}

/// What the catalog says the collection's vectors are made of.
struct Recorded {
    model: String,
    fingerprint: String,
}

impl CollectionModels {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, recorded: Mutex::new(HashMap::new()) }
    }

    /// The embedder of the collection, for queries that `account` pays for; `Conflict` if the model of that name is no
    /// longer the one its vectors are of.
    pub(crate) async fn embedder(
        &self,
        store: &Store,
        scope: &CollectionScope,
        account: &Account,
    ) -> Result<Arc<dyn Embedder>> {
        let recorded = self.recorded(store, scope).await?;
        let embedder = self.registry.embedder_for(&recorded.model, Work::QUERY, account).await?;
        let fingerprint = &embedder.info().fingerprint;
        if fingerprint.0 != recorded.fingerprint {
            return Err(RetrieveError::new(
                ErrorKind::Conflict,
                format!(
                    "collection `{}` holds vectors of `{}` with fingerprint {}, but that model is now {fingerprint}: put \
                     the original model back, or add the documents to a new collection",
                    scope.name(),
                    recorded.model,
                    recorded.fingerprint,
                ),
            ));
        }
        Ok(embedder)
    }

    async fn recorded(&self, store: &Store, scope: &CollectionScope) -> Result<Arc<Recorded>> {
        let known = self.recorded.lock().unwrap_or_else(PoisonError::into_inner).get(&scope.key()).cloned();
        if let Some(recorded) = known {
            return Ok(recorded);
        }
        let (_, collection) = store.catalog.collection(scope.scope(), scope.name()).await?;
        let recorded = Arc::new(Recorded { model: collection.model, fingerprint: collection.fingerprint });
        let mut known = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(collection.key, Arc::clone(&recorded));
        Ok(recorded)
    }
}
