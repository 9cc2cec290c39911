//! What a search does with what was learned about its collection.

use std::sync::Arc;

use wellspring_store::CollectionScope;

use crate::error::{ErrorKind, Result, RetrieveError};
use crate::fuse::Fusion;
use crate::pipeline::Retriever;
use crate::query::{Mode, Query};
use crate::tuning::{self, Tuning};

impl Retriever {
    /// What was learned about the collection, if anything yet.
    pub async fn tuning(&self, scope: &CollectionScope) -> Result<Option<Arc<Tuning>>> {
        self.tunings.get(self.store.catalog.as_ref(), scope).await
    }

    /// Learns from the collection's documents anew and keeps what was learned. Takes seconds. The scope's access decides
    /// which documents are looked at: meant for the tenant's own authority.
    pub async fn learn(&self, scope: &CollectionScope) -> Result<Arc<Tuning>> {
        let (_, collection) = self.store.catalog.collection(scope.scope(), scope.name()).await?;
        let tuning = tuning::learn(&self.store, &self.models, scope, collection.chunks).await?;
        let report = serde_json::to_value(&tuning).map_err(|error| {
            RetrieveError::new(ErrorKind::Internal, "what was learned can't be written as JSON")
                .with_source(error)
        })?;
        self.store.catalog.keep_tuning(scope, report).await?;
        let tuning = Arc::new(tuning);
        self.tunings.remember(scope.key(), Some(Arc::clone(&tuning)));
        Ok(tuning)
    }

    /// Learns if self-tuning is on and the collection has doubled or halved since the last time; `None` otherwise.
    pub async fn learn_if_stale(&self, scope: &CollectionScope) -> Result<Option<Arc<Tuning>>> {
        if !self.config.self_tuning {
            return Ok(None);
        }
        let (_, collection) = self.store.catalog.collection(scope.scope(), scope.name()).await?;
        match self.tuning(scope).await? {
            Some(tuning) if !tuning.is_stale(collection.chunks) => Ok(None),
            None if collection.chunks == 0 => Ok(None),
            _ => self.learn(scope).await.map(Some),
        }
    }

    /// How a search for this text would be fused, by the configuration and what was learned.
    pub async fn fusion_of(&self, scope: &CollectionScope, text: &str) -> Fusion {
        let trust = if self.config.self_tuning { self.trust(scope, text).await } else { None };
        trusted(self.config.fusion, trust)
    }

    /// Lets the dense leg have the weight that it earned in this collection and the query's language.
    pub(crate) async fn tune(&self, scope: &CollectionScope, query: &mut Query) {
        if query.self_tuning && query.mode == Mode::Hybrid {
            query.trust = self.trust(scope, &query.text).await;
            query.fusion = trusted(query.fusion, query.trust);
        }
    }

    /// What was learned is a refinement: where it can't be read, the configured weight stands.
    async fn trust(&self, scope: &CollectionScope, text: &str) -> Option<f64> {
        match self.tuning(scope).await {
            Ok(tuning) => tuning.map(|tuning| tuning.trust(text)),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "what was learned can't be read");
                None
            }
        }
    }
}

fn trusted(fusion: Fusion, trust: Option<f64>) -> Fusion {
    trust.map_or(fusion, |trust| fusion.with_weight(fusion.weight() * trust))
}
