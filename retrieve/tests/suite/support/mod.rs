//! A real store in memory with documents put in the way the worker does it, for tests of retrieval and answering.
#![allow(dead_code, reason = "each test target uses its own part of the support")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use wellspring_models::fake::{HASH_EMBEDDER, HashEmbedder};
use wellspring_models::{
    Embedder, EmbedderInfo, Embedding, ErrorKind, ModelError, ModelsConfig, Registry, TextKind, TokenCounter,
};
use wellspring_retrieve::{RetrieveConfig, Retriever};
use wellspring_store::clock::TestClock;
use wellspring_store::jobs::{JobState, Lease};
use wellspring_store::sync::SyncConfig;
use wellspring_store::{
    ChunkId, CollectionName, CollectionScope, Collections, ContentHash, DocumentId, Metadata, NewChunk,
    NewCollection, NewDocument, PageSpan, ProcessedDocument, Scope, Seq, Store, TenantId,
};

/// Midnight of 1 March 2026.
const START: i64 = 1_772_323_200_000_000;

/// One store, one collection called `test` of tenant `default`.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) registry: Arc<Registry>,
    pub(crate) scope: CollectionScope,
    embedder: Arc<dyn Embedder>,
}

/// A document to be put in; every paragraph becomes a chunk.
pub(crate) struct Text<'a> {
    pub(crate) id: &'a str,
    pub(crate) title: Option<&'a str>,
    pub(crate) text: &'a str,
    pub(crate) metadata: serde_json::Value,
    pub(crate) acl: Option<&'a [&'a str]>,
    /// Byte offsets at which pages begin; empty for none.
    pub(crate) pages: &'a [usize],
    /// Sections as byte spans; empty for none.
    pub(crate) sections: &'a [(usize, usize)],
    /// Targets of links that no text shows, in every chunk.
    pub(crate) links: &'a [&'a str],
}

impl Default for Text<'_> {
    fn default() -> Self {
        Self {
            id: "d",
            title: None,
            text: "",
            metadata: serde_json::json!({}),
            acl: None,
            pages: &[],
            sections: &[],
            links: &[],
        }
    }
}

impl World {
    /// An empty collection of the hashing embedder.
    pub(crate) async fn new() -> Self {
        Self::with_embedder(HASH_EMBEDDER, Arc::new(HashEmbedder::default())).await
    }

    /// An empty collection of this embedder, registered under the name.
    pub(crate) async fn with_embedder(name: &str, embedder: Arc<dyn Embedder>) -> Self {
        let clock = Arc::new(TestClock::at(START));
        let store = Store::in_memory_with(SyncConfig::default(), clock).await.unwrap();
        let registry = Registry::new(ModelsConfig::default()).unwrap();
        registry.register_embedder(name, Arc::clone(&embedder));
        let scope = collection(&store, &administrator("default"), "test", name, embedder.as_ref()).await;
        Self { store, registry: Arc::new(registry), scope, embedder }
    }

    /// Another collection, with the same embedder.
    pub(crate) async fn collection(&self, tenant: &str, name: &str) -> CollectionScope {
        let model = self.embedder.info().name.clone();
        collection(&self.store, &administrator(tenant), name, &model, self.embedder.as_ref()).await
    }

    /// The collection as somebody with these principals sees it.
    pub(crate) async fn seen_by(&self, principals: &[&str]) -> CollectionScope {
        let principals: BTreeSet<String> = principals.iter().map(|p| (*p).to_owned()).collect();
        let scope = Scope::restricted(TenantId::default_tenant(), principals, Collections::All);
        self.store.catalog.collection(&scope, self.scope.name()).await.unwrap().0
    }

    /// A retriever whose deadline a busy machine keeps, unless the test sets its own.
    pub(crate) fn retriever(&self, mut config: RetrieveConfig) -> Arc<Retriever> {
        if config.deadline_ms == RetrieveConfig::default().deadline_ms {
            config.deadline_ms = 60_000;
        }
        Arc::new(Retriever::new(self.store.clone(), Arc::clone(&self.registry), config).unwrap())
    }

    /// Puts a plain document in and waits until it is visible.
    pub(crate) async fn add(&self, id: &str, text: &str) {
        self.put(Text { id, text, ..Text::default() }).await;
    }

    pub(crate) async fn put(&self, text: Text<'_>) {
        self.put_into(&self.scope, text).await;
    }

    /// Puts documents in together: one flush of the indexes for all.
    pub(crate) async fn put_all(&self, texts: Vec<Text<'_>>) {
        let mut stored = Vec::with_capacity(texts.len());
        for text in texts {
            stored.push(self.store_one(&self.scope, text).await);
        }
        self.publish_all(&self.scope, stored).await;
    }

    pub(crate) async fn put_into(&self, scope: &CollectionScope, text: Text<'_>) {
        let stored = self.store_one(scope, text).await;
        self.publish_all(scope, vec![stored]).await;
    }

    async fn store_one(&self, scope: &CollectionScope, text: Text<'_>) -> (Lease, Seq) {
        let catalog = &self.store.catalog;
        let metadata: Metadata = serde_json::from_value(text.metadata.clone()).unwrap();
        let document = NewDocument {
            id: DocumentId::new(text.id).unwrap(),
            blob: ContentHash::of(text.text.as_bytes()),
            bytes: text.text.len() as u64,
            source: format!("{}.md", text.id),
            media_type: None,
            title: text.title.map(str::to_owned),
            metadata: metadata.clone(),
            acl: text.acl.map(|acl| acl.iter().map(|p| (*p).to_owned()).collect()),
            trace: None,
        };
        catalog.accept(scope, document, None).await.unwrap();
        let lease = catalog.lease("test", Duration::from_secs(3_600)).await.unwrap().unwrap();
        let processed = ProcessedDocument {
            text: text.text.to_owned(),
            title: text.title.map(str::to_owned),
            media_type: "text/markdown".to_owned(),
            metadata,
            pages: pages(&text),
            offsets: serde_json::Value::Null,
            warnings: Vec::new(),
            pipeline: "test".to_owned(),
            chunks: chunks(&text, scope, lease.version, self.embedder.as_ref()).await,
        };
        let seq = catalog.store_version(&lease, processed).await.unwrap();
        (lease, seq)
    }

    async fn publish_all(&self, scope: &CollectionScope, stored: Vec<(Lease, Seq)>) {
        let Some(last) = stored.iter().map(|(_, seq)| *seq).max() else { return };
        self.store.indexes.catch_up(scope, last).await.unwrap();
        for (lease, _) in stored {
            let state = self.store.catalog.publish(&lease, serde_json::Value::Null).await.unwrap();
            assert_eq!(state, JobState::Indexed);
        }
    }

    /// Deletes a document; the indexes may or may not have noticed.
    pub(crate) async fn delete(&self, id: &str) {
        self.store.catalog.delete_document(&self.scope, &DocumentId::new(id).unwrap()).await.unwrap();
    }
}

fn administrator(tenant: &str) -> Scope {
    Scope::administrator(TenantId::new(tenant).unwrap())
}

async fn collection(
    store: &Store,
    scope: &Scope,
    name: &str,
    model: &str,
    embedder: &dyn Embedder,
) -> CollectionScope {
    let name = CollectionName::new(name).unwrap();
    let new = NewCollection {
        name: name.clone(),
        model: model.to_owned(),
        fingerprint: embedder.info().fingerprint.0.clone(),
        dimension: embedder.info().dimension,
        settings: serde_json::Value::Null,
    };
    store.catalog.create_collection(scope, new).await.unwrap();
    store.catalog.collection(scope, &name).await.unwrap().0
}

fn pages(text: &Text<'_>) -> Vec<PageSpan> {
    let ends = text.pages.iter().skip(1).copied().chain([text.text.len()]);
    let spans = text.pages.iter().zip(ends).enumerate();
    spans.map(|(index, (&start, end))| PageSpan { page: index as u32 + 1, start, end }).collect()
}

async fn chunks(
    text: &Text<'_>,
    scope: &CollectionScope,
    version: i64,
    embedder: &dyn Embedder,
) -> Vec<NewChunk> {
    let spans = pages(text);
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut headings: Vec<String> = Vec::new();
    for (ordinal, paragraph) in text.text.split("\n\n").enumerate() {
        let (from, end) = (start, start + paragraph.len());
        start = end + 2;
        if let Some(heading) = paragraph.strip_prefix("# ") {
            headings = vec![heading.lines().next().unwrap_or_default().to_owned()];
        }
        let embedded_text = match text.title {
            Some(title) => format!("{title}\n{paragraph}"),
            None => paragraph.to_owned(),
        };
        let embedding = embedder.embed(TextKind::Passage, &[&embedded_text]).await.unwrap().remove(0);
        let id =
            ContentHash::of(format!("{:?} {} {version} {ordinal}", scope.key(), text.id).as_bytes()).to_hex();
        chunks.push(NewChunk {
            id: ChunkId(id[..32].to_owned()),
            ordinal: ordinal as u32,
            start: from,
            end,
            page: spans.iter().find(|page| (page.start..page.end).contains(&from)).map(|page| page.page),
            headings: headings.clone(),
            section: text.sections.iter().copied().find(|s| (s.0..s.1).contains(&from)),
            links: text.links.iter().map(|&link| link.to_owned()).collect(),
            content_hash: ContentHash::of(embedded_text.as_bytes()),
            tokens: embedding.tokens as u32,
            embedded_text,
            language: Some("en".to_owned()),
            vector: embedding.vector,
        });
    }
    chunks
}

/// An embedder that makes passages into vectors as its inner one does, and fails or hangs on queries.
pub(crate) struct BrokenEmbedder {
    pub(crate) inner: HashEmbedder,
    pub(crate) hangs: bool,
}

#[async_trait]
impl Embedder for BrokenEmbedder {
    fn info(&self) -> &EmbedderInfo {
        self.inner.info()
    }

    fn counter(&self) -> Arc<dyn TokenCounter> {
        self.inner.counter()
    }

    async fn embed(&self, kind: TextKind, texts: &[&str]) -> wellspring_models::Result<Vec<Embedding>> {
        match kind {
            TextKind::Passage => self.inner.embed(kind, texts).await,
            TextKind::Query if self.hangs => std::future::pending().await,
            TextKind::Query => Err(ModelError::new(ErrorKind::Unavailable, "the embedding endpoint is down")),
        }
    }
}
