//! Turns names into models: local folders, configured endpoints, built-in ones, and what a caller registers.

mod chats;
mod config;
mod listing;
mod paid;
mod rerankers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

pub use chats::{Api, ChatEndpoint, OutputMode, Provider, Providers, Purpose, Routes};
pub use config::{
    DEFAULT_EMBEDDER, Deadlines, EmbedderEndpoint, ModelsConfig, RetryPolicy, default_cache_dir,
    user_cache_dir,
};
pub use listing::{Finding, ListedKind, ListedSource, ModelListing};
pub use rerankers::{RerankApi, RerankerEndpoint};

use crate::budget::Accounting;
use crate::cache::CachedEmbedder;
use crate::chat::ChatModel;
use crate::embed::Embedder;
use crate::error::{ErrorKind, ModelError, Result};
use crate::fake::{self, HashEmbedder, OfflineChat, OverlapReranker};
use crate::local::{LocalEmbedder, LocalReranker, ModelFolder, Runtime, int8_is_sound, library_file_name};
use crate::openai::OpenAiEmbedder;
use crate::rerank::{HttpReranker, LISTWISE_RERANKER, ListwiseReranker, Reranker};
use crate::router::RoutedChat;

use paid::{Remote, Terms};

/// Another name for the configured default.
const DEFAULT: &str = "default";

type Slots<M> = Mutex<BTreeMap<String, Arc<OnceCell<Arc<M>>>>>;

/// All models of a process. A model is made when it is first asked for, and shared from then on. Names that mean the
/// same local model (with and without its precision) share one.
pub struct Registry {
    config: ModelsConfig,
    cache_dir: PathBuf,
    embedders: Slots<dyn Embedder>,
    rerankers: Slots<dyn Reranker>,
    chats: Mutex<BTreeMap<String, Arc<dyn ChatModel>>>,
    /// The same remote models as in `chats`, without retries.
    routed: Mutex<BTreeMap<String, Arc<dyn ChatModel>>>,
    /// Of the chat models behind endpoints.
    terms: BTreeMap<String, Terms>,
    /// The embedders and rerankers behind endpoints.
    remotes: BTreeMap<String, Remote>,
    remote_rerankers: BTreeMap<String, Arc<HttpReranker>>,
    /// `None`: nobody keeps books.
    accounting: Option<Accounting>,
}

impl Registry {
    /// A registry over `config`. Loads no model and calls no endpoint.
    ///
    /// # Errors
    ///
    /// `Invalid` for an endpoint that can't be used as written (URL, dimension of 0, a name given twice).
    pub fn new(config: ModelsConfig) -> Result<Self> {
        let cache_dir = config.cache_dir.clone().unwrap_or_else(default_cache_dir);
        let mut registry = Self {
            cache_dir,
            embedders: Slots::default(),
            rerankers: Slots::default(),
            chats: Mutex::default(),
            routed: Mutex::default(),
            terms: BTreeMap::new(),
            remotes: BTreeMap::new(),
            remote_rerankers: BTreeMap::new(),
            accounting: None,
            config,
        };
        for endpoint in &registry.config.embedders {
            let model = Arc::new(OpenAiEmbedder::new(endpoint.clone())?);
            let bytes = registry.config.embedding_cache_bytes;
            let cached = (bytes > 0).then(|| Arc::new(CachedEmbedder::new(Arc::clone(&model) as _, bytes)));
            let known: Arc<dyn Embedder> = match &cached {
                Some(cached) => Arc::clone(cached) as _,
                None => Arc::clone(&model) as _,
            };
            registry.remotes.insert(endpoint.name.clone(), Remote { model, cached });
            let slot = Arc::new(OnceCell::new_with(Some(known)));
            if lock(&registry.embedders).insert(endpoint.name.clone(), slot).is_some() {
                return Err(twice(&endpoint.name));
            }
        }
        let providers = &registry.config.providers;
        for endpoint in registry.config.rerankers.iter().chain(&providers.rerankers()) {
            let model = Arc::new(HttpReranker::new(providers.complete_reranker(endpoint.clone()))?);
            registry.remote_rerankers.insert(endpoint.name.clone(), Arc::clone(&model));
            let slot = Arc::new(OnceCell::new_with(Some(model as Arc<dyn Reranker>)));
            if lock(&registry.rerankers).insert(endpoint.name.clone(), slot).is_some() {
                return Err(twice(&endpoint.name));
            }
        }
        let named = registry.config.providers.endpoints();
        for endpoint in registry.config.chats.iter().chain(&named) {
            registry.terms.insert(endpoint.name.clone(), Terms::of(endpoint));
            if registry.add_chat(endpoint)? {
                return Err(twice(&endpoint.name));
            }
        }
        for name in registry.config.routes.all() {
            registry.chat(Some(name))?;
        }
        Ok(registry)
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &ModelsConfig {
        &self.config
    }

    /// The folder with `models/` and `lib/`.
    pub fn cache_dir(&self) -> &Path {
        &self.cache_dir
    }

    /// The embedder called `name`: `default`, a registered or configured name, `fake/hash`, or a local model with or
    /// without `/precision`. Local and remote ones come with the embedding cache before them.
    ///
    /// # Errors
    ///
    /// `NotFound` for an unknown name or missing files, `Corrupt` for damaged ones; the message says what to run.
    pub async fn embedder(&self, name: &str) -> Result<Arc<dyn Embedder>> {
        let name = if name == DEFAULT { &self.config.default_embedder } else { name };
        if let Some(slot) = existing(&self.embedders, name)
            && let Some(model) = slot.get()
        {
            return Ok(Arc::clone(model));
        }
        if name == fake::HASH_EMBEDDER {
            let slot = slot(&self.embedders, name);
            return Ok(Arc::clone(slot.get_or_init(async || Arc::new(HashEmbedder::default()) as _).await));
        }
        let (folder, precision) = self.local(name)?;
        let slot = slot(&self.embedders, &format!("{}/{precision}", folder.manifest().name));
        let (library, threads) = (self.library_path(), self.threads());
        let load = async move || {
            let inner = blocking(move || {
                let runtime = Runtime::load(&library)?;
                LocalEmbedder::open(&runtime, &folder, &precision, threads)
            })
            .await?;
            Ok(self.cached(Arc::new(inner)))
        };
        let model = slot.get_or_try_init(load).await.cloned()?;
        lock(&self.embedders).entry(name.to_owned()).or_insert(slot);
        Ok(model)
    }

    /// The reranker called `name`: a registered or configured name, `fake/overlap`, `chat/listwise` over the chat models of
    /// the rerank route, or a local model; unnamed, the configured default; `None` where there is none.
    ///
    /// # Errors
    ///
    /// As [`Self::embedder`]; `NotFound` for `chat/listwise` without a chat model.
    pub async fn reranker(&self, name: Option<&str>) -> Result<Option<Arc<dyn Reranker>>> {
        let Some(name) = name.filter(|name| *name != DEFAULT).or(self.config.default_reranker.as_deref())
        else {
            return Ok(None);
        };
        if let Some(slot) = existing(&self.rerankers, name)
            && let Some(model) = slot.get()
        {
            return Ok(Some(Arc::clone(model)));
        }
        if name == fake::OVERLAP_RERANKER {
            return Ok(Some(Arc::new(OverlapReranker)));
        }
        if name == LISTWISE_RERANKER {
            let chat = self.route(Purpose::Rerank)?.ok_or_else(|| {
                ModelError::new(
                    ErrorKind::NotFound,
                    format!("{LISTWISE_RERANKER} needs a chat model; configure `models.chats` and `models.routes.rerank`"),
                )
            })?;
            return Ok(Some(Arc::new(ListwiseReranker::new(chat))));
        }
        let (folder, precision) = self.local(name)?;
        let slot = slot(&self.rerankers, &format!("{}/{precision}", folder.manifest().name));
        let (library, threads) = (self.library_path(), self.threads());
        let load = async move || {
            let model = blocking(move || {
                let runtime = Runtime::load(&library)?;
                LocalReranker::open(&runtime, &folder, &precision, threads)
            })
            .await?;
            Ok(Arc::new(model) as Arc<dyn Reranker>)
        };
        let model = slot.get_or_try_init(load).await.cloned()?;
        lock(&self.rerankers).entry(name.to_owned()).or_insert(slot);
        Ok(Some(model))
    }

    /// The chat model called `name`, or the configured default, or the first configured one; `None` where there is
    /// none, which is no error: answers are extractive then.
    ///
    /// # Errors
    ///
    /// `NotFound` for a name that nothing has.
    pub fn chat(&self, name: Option<&str>) -> Result<Option<Arc<dyn ChatModel>>> {
        let first = self.config.chats.first().map(|chat| chat.name.as_str());
        let default = self.config.default_chat.as_deref().or(first);
        let Some(name) = name.filter(|name| *name != DEFAULT).or(default) else {
            return Ok(None);
        };
        if let Some(chat) = lock(&self.chats).get(name) {
            return Ok(Some(Arc::clone(chat)));
        }
        if name == fake::OFFLINE_CHAT {
            return Ok(Some(Arc::new(OfflineChat)));
        }
        let known: Vec<String> = lock(&self.chats).keys().cloned().collect();
        Err(ModelError::new(
            ErrorKind::NotFound,
            format!("there is no chat model {name}; configured: {}", list(&known)),
        ))
    }

    /// The chat model of a purpose: one that tries those of its route in their order, else the default one; `None` where
    /// there is none.
    ///
    /// # Errors
    ///
    /// As [`Self::chat`].
    pub fn route(&self, purpose: Purpose) -> Result<Option<Arc<dyn ChatModel>>> {
        let names = self.config.routes.names(purpose);
        let mut models = Vec::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            // The last has nobody after it, so it is tried again as it is configured.
            let routed = lock(&self.routed).get(name).filter(|_| place + 1 < names.len()).cloned();
            models.extend(match routed {
                Some(model) => Some(model),
                None => self.chat(Some(name))?,
            });
        }
        match models.len() {
            0 => self.chat(None),
            1 => Ok(models.pop()),
            _ => Ok(Some(Arc::new(RoutedChat::new(names.join(", "), models)?))),
        }
    }

    /// Makes the endpoint's model known; whether there was one of that name.
    fn add_chat(&self, endpoint: &ChatEndpoint) -> Result<bool> {
        let made = chats::make(endpoint, &self.config.providers)?;
        lock(&self.routed).insert(endpoint.name.clone(), made.routed);
        Ok(lock(&self.chats).insert(endpoint.name.clone(), made.alone).is_some())
    }

    /// Makes `model` known as `name`, before anything else of that name; it gets no cache.
    pub fn register_embedder(&self, name: impl Into<String>, model: Arc<dyn Embedder>) {
        lock(&self.embedders).insert(name.into(), Arc::new(OnceCell::new_with(Some(model))));
    }

    /// Makes `model` known as `name`, before anything else of that name.
    pub fn register_reranker(&self, name: impl Into<String>, model: Arc<dyn Reranker>) {
        lock(&self.rerankers).insert(name.into(), Arc::new(OnceCell::new_with(Some(model))));
    }

    /// Makes `model` known as `name`, before anything else of that name.
    pub fn register_chat(&self, name: impl Into<String>, model: Arc<dyn ChatModel>) {
        let name = name.into();
        lock(&self.routed).remove(&name);
        lock(&self.chats).insert(name, model);
    }

    fn cached(&self, inner: Arc<dyn Embedder>) -> Arc<dyn Embedder> {
        match self.config.embedding_cache_bytes {
            0 => inner,
            bytes => Arc::new(CachedEmbedder::new(inner, bytes)),
        }
    }

    /// The ONNX Runtime library to load.
    fn library_path(&self) -> PathBuf {
        let set = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
        let own = || self.cache_dir.join("lib").join(library_file_name());
        self.config.onnxruntime.clone().or(set).unwrap_or_else(own)
    }

    fn threads(&self) -> usize {
        match self.config.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// All model folders that can be read, by name.
    fn folders(&self) -> Vec<ModelFolder> {
        let Ok(entries) = fs_err::read_dir(self.cache_dir.join("models")) else {
            return Vec::new();
        };
        let mut folders: Vec<ModelFolder> = entries
            .flatten()
            .filter(|entry| !is_hidden(&entry.file_name()))
            .filter_map(|entry| ModelFolder::open(&entry.path()).ok())
            .collect();
        folders.sort_by(|a, b| a.manifest().name.cmp(&b.manifest().name));
        folders
    }

    /// The folder of a local model. The name is compared with what is there, and never made into a path.
    fn folder(&self, name: &str) -> Result<ModelFolder> {
        let models = self.cache_dir.join("models");
        let entries = fs_err::read_dir(&models)
            .map(|entries| entries.flatten().collect::<Vec<_>>())
            .unwrap_or_default();
        match entries.into_iter().find(|entry| entry.file_name() == name && !is_hidden(&entry.file_name())) {
            Some(entry) => ModelFolder::open(&entry.path()),
            None => Err(self.unknown(name)),
        }
    }

    fn unknown(&self, name: &str) -> ModelError {
        let mut known: Vec<String> =
            self.folders().iter().map(|folder| folder.manifest().name.clone()).collect();
        known.extend(lock(&self.embedders).keys().cloned());
        known.sort_unstable();
        known.dedup();
        let fix = if name == DEFAULT_EMBEDDER {
            "run `make setup`".to_owned()
        } else {
            format!("run `wellspring models pull {name}` or choose another")
        };
        ModelError::new(
            ErrorKind::NotFound,
            format!(
                "the model {name} is not in {}; {fix} (known: {})",
                self.cache_dir.display(),
                list(&known)
            ),
        )
    }

    /// A local name's parts: folder and precision.
    fn split_local<'n>(&self, name: &'n str) -> (&'n str, Option<&'n str>) {
        match name.rsplit_once('/') {
            Some((model, precision)) => (model, Some(precision)),
            None => (name, None),
        }
    }

    fn choose_precision(&self, folder: &ModelFolder, asked: Option<&str>) -> Result<String> {
        if let Some(precision) = asked {
            return folder.onnx(precision).map(|_| precision.to_owned());
        }
        let default = match self.config.default_precision.as_str() {
            config::AUTO if int8_is_sound() => "int8",
            config::AUTO => "fp32",
            precision => precision,
        };
        match folder.precisions().as_slice() {
            [only] => Ok((*only).to_owned()),
            _ => folder.onnx(default).map(|_| default.to_owned()),
        }
    }

    fn local(&self, name: &str) -> Result<(ModelFolder, String)> {
        let (model, precision) = self.split_local(name);
        let folder = self.folder(model)?;
        let precision = self.choose_precision(&folder, precision)?;
        Ok((folder, precision))
    }

    /// Whether an embedder's name can only mean a local model.
    fn is_local(&self, name: &str) -> bool {
        name != fake::HASH_EMBEDDER && !self.config.embedders.iter().any(|endpoint| endpoint.name == name)
    }

    fn known(&self, name: &str) -> Result<()> {
        if self.is_local(name) { self.local(name).map(|_| ()) } else { Ok(()) }
    }
}

/// Downloads under way are kept in hidden folders.
fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn existing<M: ?Sized>(slots: &Slots<M>, name: &str) -> Option<Arc<OnceCell<Arc<M>>>> {
    lock(slots).get(name).cloned()
}

fn slot<M: ?Sized>(slots: &Slots<M>, name: &str) -> Arc<OnceCell<Arc<M>>> {
    Arc::clone(lock(slots).entry(name.to_owned()).or_default())
}

fn twice(name: &str) -> ModelError {
    ModelError::new(ErrorKind::Invalid, format!("two endpoints are called {name}; rename one"))
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Runs what reads files off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(ModelError::new(ErrorKind::Internal, "loading a model was interrupted").with_source(error))
    })
}

#[cfg(test)]
mod tests;
