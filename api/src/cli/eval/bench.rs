//! Makes engines out of the configuration and switches laid over it, one after the other on the same data folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use serde_json::json;
use tokio::sync::Mutex;
use wellspring_answer::{AnswerConfig, Answerer};
use wellspring_eval::dataset::{Dataset, Documents};
use wellspring_eval::engine::{Engine, EngineFactory, Switches};
use wellspring_eval::error::EvalError;
use wellspring_eval::legs::RememberedLegs;
use wellspring_ingest::{ChunkConfig, ChunkMode, CollectionSettings, WorkerPool};
use wellspring_models::registry::user_cache_dir;
use wellspring_models::{ChatModel, Embedder, Purpose};
use wellspring_retrieve::Retriever;
use wellspring_store::{CollectionName, CollectionScope, ContentHash, ErrorKind, NewCollection};

use crate::app::{App, Role};
use crate::cli::{Global, InCollection, local_scope, variables};
use crate::config::{self, Config};

/// Keys of `[retrieve]` that decide nothing about what a leg finds for a text at a depth, or that a remembered list is kept
/// by: they may change and the remembered legs stay good. Every other key of the configuration makes them be asked again.
const AFTER_THE_LEGS: &[&str] = &[
    "deadline_ms",
    "depth",
    "max_depth",
    "fusion",
    "self_tuning",
    "keyword",
    "keyword_fuzzy",
    "missing",
    "links",
    "boosts",
    "near_duplicates",
    "record",
    "collapse_duplicates",
    "per_document",
    "mmr",
    "exact",
    "refine",
    "expand",
    "smooth",
    "ranker",
    "rerank",
];

/// What every evaluation runs with: a query embedded for one variant must not be free for the next, and a busy machine must
/// not decide which leg answers in time.
const FIXED: &str = "models.embedding_cache_bytes = 0\nretrieve.deadline_ms = 60000";

/// Workers' time to finish when the data folder is closed.
const CLOSING: Duration = Duration::from_secs(10);

/// Where engines are made.
pub(super) struct Bench {
    global: Global,
    base: toml::Table,
    /// Evaluate in the user's own collection.
    existing: Option<InCollection>,
    /// Ask every leg anew.
    fresh: bool,
    opened: Mutex<Option<Opened>>,
}

/// The data folder, opened under the settings of `key`.
struct Opened {
    key: String,
    app: App,
    pool: WorkerPool,
}

impl Bench {
    /// On the folder kept for evaluations: `work`, or `eval` in the cache folder; or, for documents that are in a
    /// collection already, on the user's own.
    pub(super) fn new(
        global: &Global,
        work: Option<PathBuf>,
        existing: Option<InCollection>,
        fresh: bool,
    ) -> anyhow::Result<Self> {
        let mut base = config::table(global.config.as_deref(), variables())?;
        config::overlay(&mut base, &FIXED.parse().context("a fixed setting is no TOML")?);
        let mut global = global.clone();
        if existing.is_none() {
            // Never beside an installed model: that folder may not be the user's.
            let cache = || {
                let models = config::checked(base.clone())?.models;
                anyhow::Ok(models.cache_dir.unwrap_or_else(user_cache_dir).join("eval"))
            };
            global.data = Some(match work {
                Some(work) => work,
                None => cache()?,
            });
        }
        Ok(Self { global, base, existing, fresh, opened: Mutex::new(None) })
    }

    /// The configuration under some switches.
    pub(super) fn configuration(&self, switches: &Switches) -> anyhow::Result<Config> {
        let mut table = self.base.clone();
        config::overlay(&mut table, &switches.settings);
        config::checked(table)
    }

    /// Ends work on the data folder in good order.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        match self.opened.into_inner() {
            Some(opened) => opened.close().await,
            None => Ok(()),
        }
    }

    /// Work on the indexes that makes searches faster: the graph of a large collection, merging.
    pub(super) async fn optimize(&self, collection: &CollectionScope) -> anyhow::Result<()> {
        let opened = self.opened.lock().await;
        match opened.as_ref() {
            Some(opened) => Ok(opened.app.store.indexes.optimize(collection).await?),
            None => Ok(()),
        }
    }

    /// An engine without memory, in which latencies are those of a user.
    pub(super) async fn live(&self, switches: &Switches) -> anyhow::Result<Retriever> {
        let config = self.configuration(switches)?;
        let opened = self.opened.lock().await;
        let app = &opened.as_ref().context("an engine is made before its latency is measured")?.app;
        Ok(Retriever::new(app.store.clone(), Arc::clone(&app.registry), config.retrieve)?)
    }

    /// The chat model of a route (`answer`, `expand`, `rerank`, `judge`), of a name, or for `default` the configured one;
    /// `None` where none is configured.
    pub(super) async fn chat(&self, named: &str) -> anyhow::Result<Option<Arc<dyn ChatModel>>> {
        let opened = self.opened.lock().await;
        let registry =
            &opened.as_ref().context("an engine is made before a chat model is asked for")?.app.registry;
        let purpose = match named {
            "answer" => Some(Purpose::Answer),
            "expand" => Some(Purpose::Expand),
            "rerank" => Some(Purpose::Rerank),
            "judge" => Some(Purpose::Judge),
            _ => None,
        };
        Ok(match (purpose, named) {
            (Some(purpose), _) => registry.route(purpose)?,
            (None, "default") => registry.chat(None)?,
            (None, name) => registry.chat(Some(name))?,
        })
    }

    /// What answers questions over an engine's collection, with `[answer]` of the configuration changed by `change`.
    pub(super) async fn answerer(
        &self,
        engine: &Engine,
        switches: &Switches,
        change: impl FnOnce(&mut AnswerConfig),
    ) -> anyhow::Result<Answerer> {
        let mut config = self.configuration(switches)?.answer;
        change(&mut config);
        let opened = self.opened.lock().await;
        let app = &opened.as_ref().context("an engine is made before it answers")?.app;
        Ok(Answerer::new(Arc::clone(&engine.retriever), Arc::clone(&app.registry), config)?)
    }

    async fn make(&self, dataset: &Dataset, switches: &Switches) -> anyhow::Result<Engine> {
        let config = self.configuration(switches)?;
        let app = self.opened(&config).await?;
        let documents_checksum = documents_checksum(&dataset.documents)?;
        let (collection, embedder) = match &self.existing {
            Some(existing) => {
                let collection = existing.open(&app).await?;
                let (_, kept) = app.store.catalog.collection(collection.scope(), collection.name()).await?;
                (collection, app.registry.embedder(&kept.model).await?)
            }
            None => self.collection(&app, dataset, &documents_checksum, switches).await?,
        };
        let notes = self.notes()?;
        let named = |what: String| notes.as_ref().map(|notes| notes.join(what));
        let legs_file =
            named(format!("{}-{}.legs", collection.name(), legs_hash(&config, collection.key().0)?));
        let memory = match legs_file.as_deref().filter(|_| !self.fresh) {
            Some(path) => RememberedLegs::open(path)?,
            None => RememberedLegs::default(),
        };
        let memory = Arc::new(memory);
        let retriever =
            Retriever::new(app.store.clone(), Arc::clone(&app.registry), config.retrieve.clone())?
                .with_memory(Arc::clone(&memory) as Arc<dyn wellspring_retrieve::LegMemory>);
        Ok(Engine {
            ingestor: app.ingestor.clone(),
            retriever: Arc::new(retriever),
            catalog: Arc::clone(&app.store.catalog),
            embedder,
            indexed_file: named(format!("{}.indexed.json", collection.name())),
            collection,
            legs: memory,
            legs_file,
            documents_checksum,
            configuration: serde_json::to_value(&config)?,
        })
    }

    /// Where this build keeps what it found, with that of other builds removed: only the same build would use it, and the
    /// data folder is held by one process. `None` on the user's own data folder.
    fn notes(&self) -> anyhow::Result<Option<PathBuf>> {
        let Some(work) = self.global.data.as_ref().filter(|_| self.existing.is_none()) else {
            return Ok(None);
        };
        let (all, own) = (work.join("notes"), build()?);
        if all.is_dir() {
            for entry in fs_err::read_dir(&all)? {
                let entry = entry?;
                if entry.file_name() != own.as_str() && entry.file_type()?.is_dir() {
                    fs_err::remove_dir_all(entry.path())?;
                }
            }
        }
        Ok(Some(all.join(own)))
    }

    /// The data folder under this configuration's store and models; opened again where they differ from before.
    async fn opened(&self, config: &Config) -> anyhow::Result<App> {
        let key = json!([config.store, config.vectors, config.postgres, config.models]).to_string();
        let mut opened = self.opened.lock().await;
        if let Some(open) = opened.as_ref().filter(|open| open.key == key) {
            return Ok(open.app.clone());
        }
        if let Some(open) = opened.take() {
            open.close().await?;
        }
        let app = App::open(&self.global, config.clone(), Role::Command).await?;
        let pool = app.ingestor.start(app.config.ingest.workers);
        *opened = Some(Opened { key, app: app.clone(), pool });
        Ok(app)
    }

    /// The collection of a dataset's content under these switches: another corpus, model or chunking is another
    /// collection, so that nothing stale is ever measured.
    async fn collection(
        &self,
        app: &App,
        dataset: &Dataset,
        documents_checksum: &str,
        switches: &Switches,
    ) -> anyhow::Result<(CollectionScope, Arc<dyn Embedder>)> {
        let model = switches.model.clone().unwrap_or_else(|| app.registry.config().default_embedder.clone());
        let embedder = app.registry.embedder(&model).await?;
        let info = embedder.info().clone();
        let mut settings = CollectionSettings { chunk: self.configuration(switches)?.chunk };
        if switches.whole_documents {
            settings.chunk.mode = ChunkMode::Whole;
        }
        if let Some(tokens) = switches.chunk_tokens {
            // The other sizes keep their relation to the target.
            let usual = ChunkConfig::default();
            let scaled = |size: usize| size * tokens / usual.target_tokens;
            settings.chunk.target_tokens = tokens;
            settings.chunk.min_tokens = scaled(usual.min_tokens);
            settings.chunk.overlap_tokens = scaled(usual.overlap_tokens);
        }
        let settings = settings.to_value()?;
        let identity = json!([documents_checksum, info.fingerprint, settings]);
        let hash = ContentHash::of(identity.to_string().as_bytes()).to_hex();
        let stem: String = dataset
            .documents
            .name()
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(40)
            .collect();
        let name = CollectionName::new(format!("{}-{}", stem.trim_start_matches('-'), &hash[..12]))?;
        let scope = local_scope();
        match app.store.catalog.collection(&scope, &name).await {
            Ok((scope, _)) => return Ok((scope, embedder)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let new = NewCollection {
            name: name.clone(),
            model: info.name,
            fingerprint: info.fingerprint.to_string(),
            dimension: info.dimension,
            settings,
        };
        app.store.catalog.create_collection(&scope, new).await?;
        Ok((app.store.catalog.collection(&scope, &name).await?.0, embedder))
    }
}

#[async_trait]
impl EngineFactory for Bench {
    async fn engine(&self, dataset: &Dataset, switches: &Switches) -> Result<Engine, EvalError> {
        self.make(dataset, switches).await.map_err(|error| {
            let kind = wellspring_eval::ErrorKind::Engine;
            EvalError::new(kind, "the engine can't be made ready").with_source(error)
        })
    }
}

impl Opened {
    async fn close(self) -> anyhow::Result<()> {
        self.pool.shutdown(CLOSING).await;
        self.app.close().await
    }
}

/// Which program this is: another build may read, cut or search otherwise.
fn build() -> anyhow::Result<String> {
    let binary = std::env::current_exe().context("the path of this binary is unknown")?;
    let about = fs_err::metadata(&binary)?;
    Ok(short(&json!([about.len(), about.modified().ok().map(|t| format!("{t:?}"))])))
}

/// Of all settings that decide what a leg finds.
fn legs_hash(config: &Config, collection: i64) -> anyhow::Result<String> {
    let mut retrieve = serde_json::to_value(&config.retrieve)?;
    if let Some(keys) = retrieve.as_object_mut() {
        keys.retain(|key, _| !AFTER_THE_LEGS.contains(&key.as_str()));
    }
    Ok(short(&json!([config.store, config.vectors, config.models, retrieve, collection])))
}

fn short(value: &serde_json::Value) -> String {
    ContentHash::of(value.to_string().as_bytes()).to_hex()[..10].to_owned()
}

/// A hash of the documents: of the corpus file, or of every file's name and content.
fn documents_checksum(documents: &Documents) -> anyhow::Result<String> {
    let hash = |path: &Path| anyhow::Ok(ContentHash::of(&fs_err::read(path)?).to_hex());
    Ok(match documents {
        Documents::Corpus(path) => hash(path)?,
        Documents::Folder(path) => {
            let mut hashes = Vec::new();
            for entry in wellspring_ingest::source::walk(std::slice::from_ref(path)) {
                if let wellspring_ingest::source::Entry::File(found) = entry {
                    hashes.push((found.id, hash(&found.path)?));
                }
            }
            ContentHash::of(json!(hashes).to_string().as_bytes()).to_hex()
        }
        Documents::Indexed => String::new(),
    })
}
