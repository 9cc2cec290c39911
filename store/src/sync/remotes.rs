//! The engines outside the process that the configuration names, and what they keep of this catalog.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::engines::VectorEngine;
use crate::catalog::postgres::PostgresCatalog;
use crate::document::CollectionKey;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::CollectionScope;
use crate::vector::VectorIndex;
use crate::vector::choice::{EngineChoice, VectorsConfig};
use crate::vector::pgvector::PgVectors;
use crate::vector::qdrant::QdrantEngine;
use crate::vector::remote::RemoteEngine;

/// How long others may go on with a generation that was replaced before it is removed: they look for a new one more often.
const GRACE: Duration = Duration::from_secs(60);

/// Which engine outside the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RemoteKind {
    Pgvector,
    Qdrant,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Remotes {
    choice: EngineChoice,
    pgvector: Option<Arc<dyn RemoteEngine>>,
    qdrant: Option<Arc<dyn RemoteEngine>>,
    /// This process among those that write.
    holder: Arc<str>,
    /// Whether other processes may use the same catalog.
    shared: bool,
}

impl Remotes {
    /// None: vectors are kept in the process.
    pub(crate) fn none() -> Self {
        let choice = EngineChoice::Auto;
        Self { choice, pgvector: None, qdrant: None, holder: "".into(), shared: false }
    }

    /// What the settings name, for the catalog of this name; pgvector where the catalog is in PostgreSQL. `Invalid` where an
    /// engine is chosen that this catalog, these settings or this build don't have.
    pub(crate) fn open(
        config: &VectorsConfig,
        catalog: &str,
        postgres: Option<&PostgresCatalog>,
    ) -> Result<Self> {
        let holder: Arc<str> = uuid::Uuid::new_v4().to_string().into();
        let pgvector = postgres.map(|catalog| {
            let engine = PgVectors::new(catalog, config.pgvector.clone(), Arc::clone(&holder));
            Arc::new(engine) as Arc<dyn RemoteEngine>
        });
        let qdrant = match &config.qdrant {
            Some(config) => Some(Arc::new(QdrantEngine::new(config, catalog)?) as Arc<dyn RemoteEngine>),
            None => None,
        };
        let lacks = match config.engine {
            EngineChoice::Pgvector if pgvector.is_none() => {
                "vectors in pgvector need the catalog in PostgreSQL: set `postgres.url`, or choose another engine"
            }
            EngineChoice::Qdrant if qdrant.is_none() => {
                "vectors in Qdrant need its address: set `vectors.qdrant.url` or QDRANT_URL"
            }
            EngineChoice::Edge if !cfg!(feature = "edge") => {
                "this build has no graphs of its own: build with the feature `edge`, or choose another engine"
            }
            _ => "",
        };
        if !lacks.is_empty() {
            return Err(StoreError::new(ErrorKind::Invalid, lacks));
        }
        Ok(Self { choice: config.engine, pgvector, qdrant, holder, shared: postgres.is_some() })
    }

    /// The engine that new generations are made in, whatever the size; `None` where the size decides.
    pub(super) fn chosen(&self) -> Option<VectorEngine> {
        match self.choice {
            EngineChoice::Auto if self.qdrant.is_some() => Some(VectorEngine::Remote(RemoteKind::Qdrant)),
            EngineChoice::Auto => None,
            EngineChoice::Flat => Some(VectorEngine::Flat),
            #[cfg(feature = "edge")]
            EngineChoice::Edge => Some(VectorEngine::Edge),
            #[cfg(not(feature = "edge"))]
            EngineChoice::Edge => None,
            EngineChoice::Pgvector => Some(VectorEngine::Remote(RemoteKind::Pgvector)),
            EngineChoice::Qdrant => Some(VectorEngine::Remote(RemoteKind::Qdrant)),
        }
    }

    /// Whether the processes of the catalog share their vector indexes.
    pub(crate) fn shares(&self) -> bool {
        matches!(self.chosen(), Some(VectorEngine::Remote(_)))
    }

    pub(super) fn holder(&self) -> Arc<str> {
        Arc::clone(&self.holder)
    }

    /// Refuses, as `Invalid`, a chosen server that won't do. One that is away now may come.
    pub(super) async fn check(&self) -> Result<()> {
        let Some(VectorEngine::Remote(kind)) = self.chosen() else { return Ok(()) };
        match self.engine(kind)?.check().await {
            Err(e) if e.is_transient() => {
                tracing::warn!(
                    error = e.chain(),
                    "the engine that keeps vectors is away; searches go by words"
                );
                Ok(())
            }
            checked => checked,
        }
    }

    /// Its name in statistics.
    pub(super) fn name(kind: RemoteKind) -> &'static str {
        match kind {
            RemoteKind::Pgvector => "pgvector",
            RemoteKind::Qdrant => "qdrant",
        }
    }

    pub(super) fn engine(&self, kind: RemoteKind) -> Result<&Arc<dyn RemoteEngine>> {
        let engine = match kind {
            RemoteKind::Pgvector => &self.pgvector,
            RemoteKind::Qdrant => &self.qdrant,
        };
        engine
            .as_ref()
            .ok_or_else(|| StoreError::new(ErrorKind::Internal, "an engine was asked that is not configured"))
    }

    fn all(&self) -> impl Iterator<Item = (RemoteKind, &Arc<dyn RemoteEngine>)> {
        let pgvector = self.pgvector.as_ref().map(|engine| (RemoteKind::Pgvector, engine));
        let qdrant = self.qdrant.as_ref().map(|engine| (RemoteKind::Qdrant, engine));
        // The chosen one first: it has what is asked for, nearly always.
        let mut all: Vec<_> = pgvector.into_iter().chain(qdrant).collect();
        all.sort_by_key(|(kind, _)| self.chosen() != Some(VectorEngine::Remote(*kind)));
        all.into_iter()
    }

    /// The engine that keeps this generation, if one does.
    pub(super) async fn find(
        &self,
        scope: &CollectionScope,
        generation: u32,
        dimension: usize,
    ) -> Result<Option<(Arc<dyn VectorIndex>, RemoteKind)>> {
        for (kind, engine) in self.all() {
            if let Some(index) = engine.find(scope, generation, dimension).await? {
                return Ok(Some((index, kind)));
            }
        }
        Ok(None)
    }

    /// Every collection that an engine keeps something of. An engine that is away is left out.
    pub(super) async fn collections(&self) -> BTreeSet<CollectionKey> {
        let mut kept = BTreeSet::new();
        for (_, engine) in self.all() {
            match engine.generations().await {
                Ok(generations) => kept.extend(generations.into_iter().map(|(collection, _)| collection)),
                // Whoever chose it was told that it is away.
                Err(e) => tracing::debug!(error = e.chain(), "indexes outside the process were not listed"),
            }
        }
        kept
    }

    /// Removes a collection's generations below this one, all without one. What can't be removed now is at a later start.
    pub(super) async fn remove_below(&self, collection: CollectionKey, generation: Option<u32>) {
        for (_, engine) in self.all() {
            let removed = async {
                for (of, number) in engine.generations().await? {
                    if of == collection && generation.is_none_or(|first| number < first) {
                        engine.remove(of, number).await?;
                    }
                }
                Ok::<_, StoreError>(())
            };
            if let Err(e) = removed.await {
                tracing::debug!(error = e.chain(), "an old index outside the process was not removed");
            }
        }
    }

    /// The same, once nobody can be using them any more: at once where there is no other process.
    pub(super) async fn retire_below(&self, collection: CollectionKey, generation: u32) {
        if !self.shared {
            return self.remove_below(collection, Some(generation)).await;
        }
        if self.pgvector.is_none() && self.qdrant.is_none() {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            this.remove_below(collection, Some(generation)).await;
        });
    }
}
