//! A store in memory with workers over it, an embedder that can be held up or taken down, and searches to look with.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part of the rig")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use wellspring_ingest::{
    CollectionSettings, Content, Embedders, InProcess, IngestConfig, Ingestor, JobReport, Submission,
};
use wellspring_models::fake::{CallCount, HashEmbedder};
use wellspring_models::{
    Embedder, EmbedderInfo, Embedding, ErrorKind, ModelError, TextKind, TokenCounter, TokenEmbedder,
};
use wellspring_store::clock::{Clock, SystemClock};
use wellspring_store::jobs::{Job, JobId, JobState, Stage};
use wellspring_store::keyword::KeywordQuery;
use wellspring_store::sync::SyncConfig;
use wellspring_store::vector::VectorQuery;
use wellspring_store::{CollectionName, CollectionScope, DocumentId, NewCollection, Scope, Store, TenantId};

/// Nothing in these tests takes this long; reaching it is a hang.
pub const SOON: Duration = Duration::from_secs(60);

/// The hash embedder behind a gate and a switch.
pub struct Gated {
    inner: HashEmbedder,
    open: watch::Sender<bool>,
    down: AtomicBool,
    broken: AtomicBool,
    refused: AtomicU64,
}

impl Gated {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: HashEmbedder::default(),
            open: watch::Sender::new(true),
            down: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            refused: AtomicU64::new(0),
        })
    }

    pub fn open(&self, open: bool) {
        self.open.send_replace(open);
    }

    pub fn down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Answers with nonsense: nobody knows whose fault it is.
    pub fn broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// Calls made while it was down.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    pub fn calls(&self) -> Arc<CallCount> {
        self.inner.calls()
    }
}

#[async_trait]
impl Embedder for Gated {
    fn info(&self) -> &EmbedderInfo {
        self.inner.info()
    }

    fn counter(&self) -> Arc<dyn TokenCounter> {
        self.inner.counter()
    }

    fn tokens(&self) -> Option<&dyn TokenEmbedder> {
        self.inner.tokens()
    }

    async fn embed(&self, kind: TextKind, texts: &[&str]) -> wellspring_models::Result<Vec<Embedding>> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(ModelError::new(ErrorKind::Invalid, "what the endpoint answers makes no sense"));
        }
        if self.down.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(ModelError::new(ErrorKind::Unavailable, "the endpoint does not answer"));
        }
        let mut open = self.open.subscribe();
        open.wait_for(|open| *open).await.map_err(|e| ModelError::new(ErrorKind::Internal, e.to_string()))?;
        self.inner.embed(kind, texts).await
    }
}

pub struct Named(pub Arc<Gated>);

#[async_trait]
impl Embedders for Named {
    async fn embedder(&self, _name: &str) -> wellspring_models::Result<Arc<dyn Embedder>> {
        Ok(Arc::clone(&self.0) as _)
    }
}

pub struct Rig {
    pub store: Store,
    pub gate: Arc<Gated>,
    pub ingestor: Ingestor,
    pub scope: CollectionScope,
    pub tenant: Scope,
}

pub fn config() -> IngestConfig {
    IngestConfig {
        poll_ms: 20,
        retry_base_ms: 1,
        retry_cap_ms: 2,
        maintenance_ms: 50,
        outage_ms: 100,
        ..IngestConfig::default()
    }
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(config(), Arc::new(SystemClock)).await
    }

    pub async fn with(config: IngestConfig, clock: Arc<dyn Clock>) -> Self {
        let store = Store::in_memory_with(SyncConfig::default(), clock).await.unwrap();
        let gate = Gated::new();
        let tenant = Scope::administrator(TenantId::default_tenant());
        let name = CollectionName::new("default").unwrap();
        let info = gate.info();
        let new = NewCollection {
            name: name.clone(),
            model: info.name.clone(),
            fingerprint: info.fingerprint.0.clone(),
            dimension: info.dimension,
            settings: CollectionSettings::default().to_value().unwrap(),
        };
        store.catalog.create_collection(&tenant, new).await.unwrap();
        let (scope, _) = store.catalog.collection(&tenant, &name).await.unwrap();
        let ingestor = Self::another(&store, &gate, config, "first");
        Self { store, gate, ingestor, scope, tenant }
    }

    pub fn another(store: &Store, gate: &Arc<Gated>, config: IngestConfig, owner: &str) -> Ingestor {
        Ingestor::new(
            store.clone(),
            Arc::new(Named(Arc::clone(gate))),
            Arc::new(InProcess::default()),
            config,
            owner,
        )
    }

    pub fn markdown(id: &str, text: &str) -> Submission {
        let content = Content::Bytes(Bytes::copy_from_slice(text.as_bytes()));
        Submission::new(DocumentId::new(id).unwrap(), format!("{id}.md"), content)
    }

    pub async fn submit(&self, id: &str, text: &str) -> JobId {
        self.ingestor.submit(&self.scope, Self::markdown(id, text), None).await.unwrap().job
    }

    pub async fn wait(&self, job: JobId) -> Job {
        self.ingestor.wait(&self.tenant, job, SOON).await.unwrap()
    }

    pub async fn add(&self, id: &str, text: &str) -> (Job, JobReport) {
        let job = self.submit(id, text).await;
        let job = self.wait(job).await;
        let report = serde_json::from_value(job.report.clone()).unwrap_or_default();
        (job, report)
    }

    /// Returns when the job has come to this stage.
    pub async fn until(&self, job: JobId, stage: Stage) {
        let reached = async {
            loop {
                let seen = self.store.catalog.job(&self.tenant, job).await.unwrap();
                if seen.state == JobState::Running && seen.stage == stage {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, reached).await.unwrap();
    }

    /// Ids of documents found by vector and by word, after the join with the catalog.
    pub async fn find(&self, query: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let vector = HashEmbedder::default().embed(TextKind::Query, &[query]).await.unwrap().remove(0).vector;
        let index = self.store.indexes.vector(&self.scope).await.unwrap();
        let near = index.search(VectorQuery { vector: &vector, k: 1_000, among: None }).await.unwrap();
        let near: Vec<_> = near.iter().filter(|hit| hit.score > 0.01).map(|hit| hit.key).collect();
        let index = self.store.indexes.keyword(&self.scope).await.unwrap();
        let words =
            index.search(KeywordQuery { fuzzy: false, ..KeywordQuery::new(query, 1_000) }).await.unwrap();
        let words: Vec<_> = words.iter().map(|hit| hit.key).collect();
        let mut found = Vec::new();
        for keys in [near, words] {
            let chunks = self.store.catalog.visible_chunks(&self.scope, &keys, None).await.unwrap();
            found.push(chunks.iter().map(|c| c.document_id.to_string()).collect::<BTreeSet<_>>());
        }
        (found.remove(0), found.remove(0))
    }

    /// That catalog and indexes hold the same, and that what is kept is sound.
    pub async fn check_clean(&self) {
        self.ingestor.maintain().await.unwrap();
        let expected = self.store.catalog.expected_keys(&self.scope).await.unwrap();
        assert_eq!(self.store.indexes.vector(&self.scope).await.unwrap().keys().await.unwrap(), expected);
        assert_eq!(self.store.indexes.keyword(&self.scope).await.unwrap().keys().await.unwrap(), expected);
        assert_eq!(self.store.catalog.check().await.unwrap(), Vec::<String>::new());
    }
}

pub fn paragraph(topic: &str, sentences: usize) -> String {
    (0..sentences)
        .map(|i| format!("The {topic} number {i} stands here as a plain sentence. "))
        .collect::<String>()
        .trim_end()
        .to_owned()
}
