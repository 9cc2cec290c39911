//! The composition root: from a configuration and a data folder to the parts that commands and handlers use.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Map, Value};
use wellspring_answer::{Agent, Answerer, ConversationStore, RunStore};
use wellspring_ingest::extract::Libraries;
use wellspring_ingest::sandbox::{Sandbox, SandboxConfig};
use wellspring_ingest::{CollectionSettings, Ingestor};
use wellspring_models::ModelError;
use wellspring_models::registry::Registry;
use wellspring_retrieve::Retriever;
use wellspring_store::{
    Collection, CollectionName, CollectionScope, ErrorKind, NewCollection, Scope, Store, StoreConfig,
    StoreError,
};

use crate::cli::Global;
use crate::config::{self, Config};
use crate::duty::Duty;
use crate::talk::Kept;
use crate::tools;

/// What a process opens the data folder for; shown to whoever finds it locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// `serve`
    Server(Duty),
    /// Any other command.
    Command,
}

/// Everything, opened and wired.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) store: Store,
    pub(crate) registry: Arc<Registry>,
    pub(crate) ingestor: Ingestor,
    pub(crate) retriever: Arc<Retriever>,
    pub(crate) answerer: Arc<Answerer>,
    pub(crate) agent: Arc<Agent>,
    pub(crate) conversations: Arc<dyn ConversationStore>,
}

impl App {
    /// Opens the data folder (making it if it is not there) and wires the parts. Nothing is downloaded, and no model is
    /// loaded before it is needed.
    pub(crate) async fn open(global: &Global, config: Config, role: Role) -> anyhow::Result<Self> {
        let (role, indexes) = match role {
            Role::Server(duty) => {
                duty.check(&config)?;
                ("server", duty.answers())
            }
            Role::Command => ("command", true),
        };
        let opening = StoreConfig { indexes, ..store_config(global, &config, role)? };
        let store = Store::open(opening).await?;
        let registry = config.budget.keep_books(Registry::new(config.models.clone())?, &store)?;
        let registry = Arc::new(registry);
        Self::wire(config, store, registry)
    }

    /// Wires the parts around a store and models that are there already (`eval` brings its own).
    pub(crate) fn wire(config: Config, store: Store, registry: Arc<Registry>) -> anyhow::Result<Self> {
        let sandbox = sandbox(&config, &registry)?;
        let ingestor = Ingestor::new(
            store.clone(),
            Arc::clone(&registry) as Arc<dyn wellspring_ingest::Embedders>,
            Arc::new(sandbox),
            config.ingest.clone(),
            uuid::Uuid::now_v7().to_string(),
        );
        let retriever =
            Arc::new(Retriever::new(store.clone(), Arc::clone(&registry), config.retrieve.clone())?);
        let answerer =
            Arc::new(Answerer::new(Arc::clone(&retriever), Arc::clone(&registry), config.answer.clone())?);
        let kept = Arc::new(Kept::new(&store, config.conversations.clone()));
        let toolbox =
            Arc::new(tools::toolbox(&config.tools).context("the configuration is wrong at `tools`")?);
        let runs = Arc::clone(&kept) as Arc<dyn RunStore>;
        let agent = Arc::new(Agent::new(answerer.as_ref().clone(), toolbox, runs));
        let conversations = kept as Arc<dyn ConversationStore>;
        Ok(Self {
            agent,
            conversations,
            config: Arc::new(config),
            store,
            registry,
            ingestor,
            retriever,
            answerer,
        })
    }

    /// The collection, made with the configured embedder if it is not there.
    pub(crate) async fn ensure_collection(
        &self,
        scope: &Scope,
        name: &CollectionName,
    ) -> anyhow::Result<CollectionScope> {
        match self.store.catalog.collection(scope, name).await {
            Ok((scope, _)) => return Ok(scope),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        match self.create_collection(scope, name, None).await {
            Ok(_) => {}
            // Somebody else made it meanwhile.
            Err(error) if is_conflict(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(self.store.catalog.collection(scope, name).await?.0)
    }

    /// Makes a collection with the embedder of this name (the configured one if none is named) and keeps its
    /// fingerprint.
    pub(crate) async fn create_collection(
        &self,
        scope: &Scope,
        name: &CollectionName,
        model: Option<String>,
    ) -> anyhow::Result<Collection> {
        self.create_collection_cut(scope, name, model, &Map::new()).await
    }

    /// The same, with members of `chunk` laid over the configured ones.
    pub(crate) async fn create_collection_cut(
        &self,
        scope: &Scope,
        name: &CollectionName,
        model: Option<String>,
        chunk: &Map<String, Value>,
    ) -> anyhow::Result<Collection> {
        let embedder = match model {
            Some(model) => self.registry.embedder(&model).await?,
            // Nobody named it: that it is not there is not the caller's fault.
            None => {
                self.registry.embedder(&self.registry.config().default_embedder).await.map_err(|error| {
                    ModelError::new(wellspring_models::ErrorKind::Unavailable, error.to_string())
                        .with_source(error)
                })?
            }
        };
        let settings = CollectionSettings { chunk: self.config.chunk.clone() }.with_chunk(chunk)?;
        settings.suits(embedder.as_ref())?;
        let info = embedder.info();
        let new = NewCollection {
            name: name.clone(),
            model: info.name.clone(),
            fingerprint: info.fingerprint.to_string(),
            dimension: info.dimension,
            settings: settings.to_value()?,
        };
        Ok(self.store.catalog.create_collection(scope, new).await?)
    }

    /// Ends index work in good order.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        Ok(self.store.close().await?)
    }

    /// Deletes a collection: gone at once from the catalog, then its index files.
    pub(crate) async fn delete_collection(&self, scope: &CollectionScope) -> anyhow::Result<()> {
        self.store.catalog.delete_collection(scope).await?;
        self.store.indexes.drop_collection(scope.key()).await?;
        self.ingestor.maintain().await?;
        Ok(())
    }
}

fn is_conflict(error: &anyhow::Error) -> bool {
    error.downcast_ref::<StoreError>().is_some_and(|e| e.kind() == ErrorKind::Conflict)
}

/// The data folder that `--data` names, or the user's own.
pub(crate) fn data_folder(global: &Global) -> anyhow::Result<PathBuf> {
    match &global.data {
        Some(folder) => Ok(folder.clone()),
        None => config::default_data_folder(),
    }
}

/// How the store of this configuration is opened; `role` is what others are told that find it locked.
pub(crate) fn store_config(global: &Global, config: &Config, role: &str) -> anyhow::Result<StoreConfig> {
    let mut opening = StoreConfig::new(data_folder(global)?, role);
    opening.sync = config.store.clone();
    opening.vectors = config.vectors.clone();
    opening.postgres = config.postgres.clone();
    Ok(opening)
}

/// What reads documents: a pool of children of this very binary, under the configured limits.
pub(crate) fn sandbox(config: &Config, registry: &Registry) -> anyhow::Result<Sandbox> {
    let binary = std::env::current_exe()
        .context("the path of this binary is unknown, so extraction can't be started")?;
    let fetched = registry.cache_dir().join("lib").join("libpdfium.so");
    let pdfium = config.extract.pdfium.clone().or_else(|| fetched.is_file().then_some(fetched));
    let mut sandbox = SandboxConfig::new(binary);
    sandbox.args = vec!["extract-child".into()];
    sandbox.limits = config.extract.limits.clone();
    sandbox.libs = Libraries { pdfium };
    if config.extract.children > 0 {
        sandbox.size = config.extract.children;
    }
    Ok(Sandbox::new(sandbox))
}
