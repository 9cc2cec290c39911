//! An engine over a real store in memory, real ingestion and the hashing embedder.

use std::path::PathBuf;
use std::sync::Arc;

use wellspring_eval::dataset::Dataset;
use wellspring_eval::engine::Engine;
use wellspring_eval::index::{Indexed, index};
use wellspring_eval::legs::RememberedLegs;
use wellspring_ingest::{CollectionSettings, InProcess, IngestConfig, Ingestor, WorkerPool};
use wellspring_models::fake::{HASH_EMBEDDER, HashEmbedder};
use wellspring_models::{Embedder, ModelsConfig, Registry};
use wellspring_retrieve::{LegMemory, RetrieveConfig, Retriever};
use wellspring_store::{CollectionName, NewCollection, Scope, Store, TenantId};

/// Everything that must live as long as the engine.
pub(crate) struct Rig {
    pub(crate) engine: Engine,
    pub(crate) store: Store,
    pub(crate) registry: Arc<Registry>,
    pub(crate) folder: tempfile::TempDir,
    _pool: WorkerPool,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let store = Store::in_memory().await.unwrap();
        let embedder: Arc<dyn Embedder> = Arc::new(HashEmbedder::default());
        let registry = Arc::new(Registry::new(ModelsConfig::default()).unwrap());
        registry.register_embedder(HASH_EMBEDDER, Arc::clone(&embedder));
        let config = IngestConfig { poll_ms: 20, maintenance_ms: 50, ..IngestConfig::default() };
        let extract = Arc::new(InProcess::default());
        let embedders = Arc::clone(&registry) as Arc<dyn wellspring_ingest::Embedders>;
        let ingestor = Ingestor::new(store.clone(), embedders, extract, config, "test");
        let pool = ingestor.start(2);
        let scope = Scope::administrator(TenantId::default_tenant());
        let name = CollectionName::new("test").unwrap();
        let info = embedder.info();
        let new = NewCollection {
            name: name.clone(),
            model: HASH_EMBEDDER.to_owned(),
            fingerprint: info.fingerprint.to_string(),
            dimension: info.dimension,
            settings: CollectionSettings::default().to_value().unwrap(),
        };
        store.catalog.create_collection(&scope, new).await.unwrap();
        let (collection, _) = store.catalog.collection(&scope, &name).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let legs = Arc::new(RememberedLegs::default());
        let retriever = Retriever::new(store.clone(), Arc::clone(&registry), RetrieveConfig::default())
            .unwrap()
            .with_memory(Arc::clone(&legs) as Arc<dyn LegMemory>);
        let engine = Engine {
            ingestor,
            retriever: Arc::new(retriever),
            catalog: Arc::clone(&store.catalog),
            embedder,
            collection,
            legs,
            legs_file: Some(folder.path().join("legs")),
            indexed_file: Some(folder.path().join("indexed.json")),
            documents_checksum: String::new(),
            configuration: serde_json::json!({}),
        };
        Self { engine, store, registry, folder, _pool: pool }
    }

    /// The same collection under another configuration, with what the legs found so far.
    pub(crate) fn again(&self, config: RetrieveConfig) -> Engine {
        let legs = Arc::new(RememberedLegs::open(&self.folder.path().join("legs")).unwrap());
        let retriever = Retriever::new(self.store.clone(), Arc::clone(&self.registry), config)
            .unwrap()
            .with_memory(Arc::clone(&legs) as Arc<dyn LegMemory>);
        Engine { retriever: Arc::new(retriever), legs, ..self.engine.clone() }
    }

    /// Writes files and makes them searchable.
    pub(crate) async fn holds(&self, files: &[(&str, &str)], questions: &str) -> (Dataset, Indexed) {
        let documents = self.folder.path().join("documents");
        for (name, text) in files {
            let path = documents.join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        let path: PathBuf = self.folder.path().join("questions.csv");
        fs_err::write(&path, questions).unwrap();
        let dataset = Dataset::over(&path, &documents).unwrap();
        let indexed = index(&self.engine, &dataset, &|_| {}).await.unwrap();
        (dataset, indexed)
    }
}
