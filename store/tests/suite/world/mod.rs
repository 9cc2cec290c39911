//! A store in a folder, and documents written into it as a worker would.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use wellspring_store::catalog::IndexKind;
use wellspring_store::jobs::JobState;
use wellspring_store::keyword::KeywordQuery;
use wellspring_store::sync::SyncConfig;
use wellspring_store::vector::VectorQuery;
use wellspring_store::{
    ChunkId, ChunkKey, CollectionName, CollectionScope, ContentHash, DocumentId, ErrorKind, Metadata,
    NewChunk, NewCollection, NewDocument, ProcessedDocument, Scope, Seq, Store, StoreConfig, TenantId,
};

pub(crate) const DIMENSION: usize = 24;

pub(crate) fn administrator() -> Scope {
    Scope::administrator(TenantId::default_tenant())
}

pub(crate) fn name(name: &str) -> CollectionName {
    CollectionName::new(name).unwrap()
}

pub(crate) async fn open(folder: &Path) -> Store {
    open_with(folder, SyncConfig::default()).await
}

pub(crate) async fn open_with(folder: &Path, sync: SyncConfig) -> Store {
    Store::open(StoreConfig { sync, ..StoreConfig::new(folder, "test") }).await.unwrap()
}

/// The collection, made if it is not there.
pub(crate) async fn collection(store: &Store, called: &str) -> CollectionScope {
    let new = NewCollection {
        name: name(called),
        model: "fake".into(),
        fingerprint: "fake-1".into(),
        dimension: DIMENSION,
        settings: serde_json::Value::Null,
    };
    match store.catalog.create_collection(&administrator(), new).await {
        Err(e) if e.kind() != ErrorKind::Conflict => panic!("{e}"),
        _ => store.catalog.collection(&administrator(), &name(called)).await.unwrap().0,
    }
}

/// A vector of norm 1 that depends on the text alone.
pub(crate) fn embed(text: &str) -> Vec<f32> {
    let bytes: Vec<u8> = (0_u8..)
        .take(DIMENSION)
        .map(|i| blake3::hash(&[&[i], text.as_bytes()].concat()).as_bytes()[0])
        .collect();
    let raw: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) - 127.5).collect();
    let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
    raw.iter().map(|x| x / norm).collect()
}

pub(crate) fn processed(id: &str, version: i64, passages: &[String]) -> ProcessedDocument {
    let mut text = String::new();
    let mut chunks = Vec::new();
    for (ordinal, passage) in (0..).zip(passages) {
        let start = text.len();
        text.push_str(passage);
        let hash = ContentHash::of(passage.as_bytes());
        chunks.push(NewChunk {
            id: ChunkId(
                ContentHash::of(format!("{id}/{version}/{ordinal}").as_bytes()).to_hex()[..32].to_owned(),
            ),
            ordinal,
            start,
            end: text.len(),
            page: None,
            headings: Vec::new(),
            section: None,
            links: Vec::new(),
            embedded_text: passage.clone(),
            content_hash: hash,
            tokens: 8,
            language: Some("en".into()),
            vector: embed(passage),
        });
        text.push('\n');
    }
    ProcessedDocument {
        text,
        title: None,
        media_type: "text/plain".into(),
        metadata: Metadata::new(),
        pages: Vec::new(),
        offsets: serde_json::Value::Null,
        warnings: Vec::new(),
        pipeline: "test".into(),
        chunks,
    }
}

/// Accepts a document, and leaves its job to whoever leases it.
pub(crate) async fn accepted(
    store: &Store,
    scope: &CollectionScope,
    id: &str,
    text: &str,
) -> wellspring_store::jobs::JobId {
    let bytes = Bytes::from(format!("{id} {text}"));
    let stream = futures::stream::iter([Ok(bytes)]).boxed();
    let (blob, bytes) = store.blobs.put(scope.tenant(), stream, 1 << 20).await.unwrap();
    let document = NewDocument {
        id: DocumentId::new(id).unwrap(),
        blob,
        bytes,
        source: format!("{id}.txt"),
        media_type: None,
        title: None,
        metadata: Metadata::new(),
        acl: None,
        trace: None,
    };
    store.catalog.accept(scope, document, None).await.unwrap().job
}

/// Accepts and stores a version, and leaves it to the caller to index and publish it.
pub(crate) async fn stored(
    store: &Store,
    scope: &CollectionScope,
    id: &str,
    passages: &[String],
) -> (wellspring_store::jobs::Lease, Seq) {
    let job = accepted(store, scope, id, &passages.join(" ")).await;
    let lease = store.catalog.lease("test", Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(lease.job, job);
    let seq = store.catalog.store_version(&lease, processed(id, lease.version, passages)).await.unwrap();
    (lease, seq)
}

/// Stores, indexes and publishes the version of a lease.
pub(crate) async fn finish(
    store: &Store,
    scope: &CollectionScope,
    lease: &wellspring_store::jobs::Lease,
    id: &str,
    passages: &[String],
) {
    let seq = store.catalog.store_version(lease, processed(id, lease.version, passages)).await.unwrap();
    store.indexes.catch_up(scope, seq).await.unwrap();
    let state = store.catalog.publish(lease, serde_json::Value::Null).await.unwrap();
    assert_eq!(state, JobState::Indexed);
}

/// A document that is searchable when this returns.
pub(crate) async fn add(store: &Store, scope: &CollectionScope, id: &str, passages: &[&str]) {
    let passages: Vec<String> = passages.iter().map(|&passage| passage.to_owned()).collect();
    let (lease, seq) = stored(store, scope, id, &passages).await;
    store.indexes.catch_up(scope, seq).await.unwrap();
    let state = store.catalog.publish(&lease, serde_json::Value::Null).await.unwrap();
    assert_eq!(state, JobState::Indexed);
}

pub(crate) async fn delete(store: &Store, scope: &CollectionScope, id: &str) {
    let seq = store.catalog.delete_document(scope, &DocumentId::new(id).unwrap()).await.unwrap();
    store.indexes.catch_up(scope, seq).await.unwrap();
}

/// A dozen documents of three passages, some of them updated and some deleted again.
pub(crate) async fn fill(store: &Store, scope: &CollectionScope) {
    for i in 0..12 {
        let passages: Vec<String> =
            (0..3).map(|j| format!("pump {i} has valve {j} and serial S-{i}{j}")).collect();
        add(store, scope, &format!("doc-{i}"), &passages.iter().map(String::as_str).collect::<Vec<_>>())
            .await;
    }
    for i in 0..3 {
        add(store, scope, &format!("doc-{i}"), &["pump replaced by compressor", "valves were kept"]).await;
    }
    delete(store, scope, "doc-11").await;
    let last = store.catalog.last_seq(scope).await.unwrap();
    store.indexes.catch_up(scope, last).await.unwrap();
}

/// What a few searches in both indexes find, scores left out.
pub(crate) async fn answers(store: &Store, scope: &CollectionScope) -> Vec<Vec<ChunkKey>> {
    let mut answers = Vec::new();
    for text in ["valve 2", "compressor", "serial S-52", "pump"] {
        let vector = embed(text);
        let query = VectorQuery { vector: &vector, k: 8, among: None };
        let hits = store.indexes.vector(scope).await.unwrap().search(query).await.unwrap();
        answers.push(hits.iter().map(|hit| hit.key).collect());
        let query = KeywordQuery::new(text, 100);
        let hits = store.indexes.keyword(scope).await.unwrap().search(query).await.unwrap();
        // Removed chunks count in BM25's statistics until they are merged away, so only the set is sure.
        let mut keys: Vec<ChunkKey> = hits.iter().map(|hit| hit.key).collect();
        keys.sort_unstable();
        answers.push(keys);
    }
    assert!(answers.iter().all(|keys| !keys.is_empty()));
    answers
}

/// The folder of an index's generation.
pub(crate) fn index_folder(
    root: &Path,
    scope: &CollectionScope,
    kind: IndexKind,
    generation: u32,
) -> std::path::PathBuf {
    let kind = if kind == IndexKind::Vector { "vector" } else { "keyword" };
    root.join("indexes").join(scope.key().0.to_string()).join(format!("{kind}-g{generation}"))
}

/// Closes the store and gives its folder free.
pub(crate) async fn close(store: Store) {
    store.close().await.unwrap();
    drop(store);
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs_err::copy(entry.path(), &target).unwrap();
        }
    }
}

/// Returns once the collection's vectors are kept by this engine and nothing is being built.
pub(crate) async fn engine_becomes(store: &Store, scope: &CollectionScope, engine: &str) {
    for _ in 0..600 {
        let stats = store.indexes.stats(scope).await.unwrap();
        if stats.vector.engine == engine && !stats.building {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the engine did not become {engine}: {:?}", store.indexes.stats(scope).await.unwrap());
}
