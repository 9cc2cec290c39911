//! A whole store whose vectors are in Qdrant: the same answers, moves from and to it, and a server that goes and comes back.

use std::path::Path;
use std::time::Duration;

use wellspring_store::catalog::IndexKind;
use wellspring_store::keyword::KeywordQuery;
use wellspring_store::vector::VectorQuery;
use wellspring_store::vector::choice::{EngineChoice, QdrantConfig, VectorsConfig};
use wellspring_store::verify::{VerifyOptions, verify};
use wellspring_store::{CollectionScope, ErrorKind, Store, StoreConfig};

use super::proxy::Wire;
use super::{servers, stand_in};
use crate::world::{self, accepted, add, answers, close, collection, delete, embed, engine_becomes, fill};

fn config(folder: &Path, engine: EngineChoice, qdrant: &QdrantConfig) -> StoreConfig {
    let vectors = VectorsConfig { engine, qdrant: Some(qdrant.clone()), ..VectorsConfig::default() };
    StoreConfig { vectors, ..StoreConfig::new(folder, "test") }
}

async fn open(folder: &Path, engine: EngineChoice, qdrant: &QdrantConfig) -> Store {
    Store::open(config(folder, engine, qdrant)).await.unwrap()
}

async fn clean(store: &Store) {
    let options = VerifyOptions { repair: false, orphan_grace: Duration::ZERO };
    let found = verify(store, None, options, None).await.unwrap();
    assert!(found.is_clean(), "{found:?}");
}

async fn by_vector(store: &Store, scope: &CollectionScope, text: &str) -> Result<usize, ErrorKind> {
    let vector = embed(text);
    let query = VectorQuery { vector: &vector, k: 8, among: None };
    let index = store.indexes.vector(scope).await.unwrap();
    index.search(query).await.map(|hits| hits.len()).map_err(|e| e.kind())
}

/// A connection that is cut may be told from one that does not come about.
async fn is_away(store: &Store, scope: &CollectionScope) -> bool {
    matches!(by_vector(store, scope, "a pump").await, Err(ErrorKind::Unavailable | ErrorKind::Timeout))
}

async fn by_word(store: &Store, scope: &CollectionScope, text: &str) -> usize {
    let index = store.indexes.keyword(scope).await.unwrap();
    index.search(KeywordQuery::new(text, 8)).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_a_scan_in_memory() {
    for qdrant in servers("whole") {
        same_answers(&qdrant).await;
    }
}

async fn same_answers(qdrant: &QdrantConfig) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = world::open(&folder.path().join("flat")).await;
    let scope = collection(&sqlite, "docs").await;
    fill(&sqlite, &scope).await;
    let expected = answers(&sqlite, &scope).await;
    close(sqlite).await;
    let home = folder.path().join("qdrant");
    // Naming a server is enough.
    let store = open(&home, EngineChoice::Auto, qdrant).await;
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    assert_eq!(store.indexes.stats(&scope).await.unwrap().vector.engine, "qdrant");
    assert_eq!(answers(&store, &scope).await, expected);
    clean(&store).await;
    close(store).await;
    let store = open(&home, EngineChoice::Auto, qdrant).await;
    assert_eq!(answers(&store, &scope).await, expected);
    assert!(store.indexes.mended_at_opening(&scope).await.unwrap().is_empty());
    assert_eq!(store.indexes.stats(&scope).await.unwrap().vector_generation, 1);
    // The lasting name follows the generation.
    store.indexes.rebuild(&scope, IndexKind::Vector, None).await.unwrap();
    store.indexes.rebuild(&scope, IndexKind::Vector, None).await.unwrap();
    assert_eq!(store.indexes.stats(&scope).await.unwrap().vector_generation, 3);
    assert_eq!(answers(&store, &scope).await, expected);
    clean(&store).await;
    store.catalog.delete_collection(&scope).await.unwrap();
    store.indexes.drop_collection(scope.key()).await.unwrap();
    close(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_moves_to_the_server_and_back() {
    for qdrant in servers("moves") {
        moves(&qdrant).await;
    }
}

async fn moves(qdrant: &QdrantConfig) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), EngineChoice::Flat, qdrant).await;
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    let expected = answers(&store, &scope).await;
    close(store).await;
    for (choice, engine) in [(EngineChoice::Qdrant, "qdrant"), (EngineChoice::Flat, "flat")] {
        let store = open(folder.path(), choice, qdrant).await;
        assert_eq!(answers(&store, &scope).await, expected);
        engine_becomes(&store, &scope, engine).await;
        assert_eq!(answers(&store, &scope).await, expected);
        clean(&store).await;
        close(store).await;
    }
}

/// Cut while it runs, and away when the store is opened: words are searched, writes wait, and nobody has to do anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_comes_back_by_itself() {
    for direct in servers("away") {
        goes_and_comes(&direct).await;
    }
}

async fn goes_and_comes(direct: &QdrantConfig) {
    let there = direct.url.split_once("://").unwrap().1.trim_end_matches('/').to_owned();
    let wire = Wire::to(there).await;
    let qdrant =
        QdrantConfig { url: format!("http://{}", wire.address), timeout_seconds: 2, ..direct.clone() };
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), EngineChoice::Qdrant, &qdrant).await;
    let scope = collection(&store, "docs").await;
    add(&store, &scope, "one", &["a pump", "its valve"]).await;
    assert_eq!(by_vector(&store, &scope, "a pump").await, Ok(2));
    wire.cut();
    assert!(is_away(&store, &scope).await);
    assert_eq!(by_word(&store, &scope, "pump").await, 1);
    // A document is accepted and stored; it becomes visible once the index holds it.
    accepted(&store, &scope, "two", "a compressor").await;
    let lease = store.catalog.lease("test", Duration::from_secs(60)).await.unwrap().unwrap();
    let seq = store.catalog.last_seq(&scope).await.unwrap();
    let processed = world::processed("two", lease.version, &["a compressor".to_owned()]);
    let later = store.catalog.store_version(&lease, processed).await.unwrap();
    assert!(later > seq);
    let waits = store.indexes.catch_up(&scope, later).await.unwrap_err();
    assert!(waits.is_transient(), "{}", waits.chain());
    close(store).await;
    // The store opens without its server.
    let store = open(folder.path(), EngineChoice::Qdrant, &qdrant).await;
    assert_eq!(by_word(&store, &scope, "pump").await, 1);
    assert!(is_away(&store, &scope).await);
    assert!(store.indexes.catch_up(&scope, later).await.unwrap_err().is_transient());
    wire.join();
    store.indexes.catch_up(&scope, later).await.unwrap();
    assert_eq!(by_vector(&store, &scope, "a pump").await, Ok(3));
    store.catalog.publish(&lease, serde_json::Value::Null).await.unwrap();
    delete(&store, &scope, "one").await;
    assert_eq!(by_vector(&store, &scope, "a pump").await, Ok(1));
    clean(&store).await;
    store.catalog.delete_collection(&scope).await.unwrap();
    store.indexes.drop_collection(scope.key()).await.unwrap();
    close(store).await;
}

/// Needs no server: there is none.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_server_a_store_opens_and_searches_words() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let qdrant = QdrantConfig::new(format!("http://{}", listener.local_addr().unwrap()));
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), EngineChoice::Flat, &qdrant).await;
    let scope = collection(&store, "docs").await;
    add(&store, &scope, "one", &["a pump", "its valve"]).await;
    close(store).await;
    let store = open(folder.path(), EngineChoice::Qdrant, &qdrant).await;
    assert_eq!(by_word(&store, &scope, "pump").await, 1);
    assert_eq!(by_vector(&store, &scope, "a pump").await, Err(ErrorKind::Unavailable));
    let one = wellspring_store::DocumentId::new("one").unwrap();
    let gone = store.catalog.delete_document(&scope, &one).await.unwrap();
    assert!(store.indexes.catch_up(&scope, gone).await.unwrap_err().is_transient());
    close(store).await;
    // What was left undone is done by whichever engine comes next.
    let vectors = VectorsConfig { engine: EngineChoice::Flat, ..VectorsConfig::default() };
    let store =
        Store::open(StoreConfig { vectors, ..StoreConfig::new(folder.path(), "test") }).await.unwrap();
    assert_eq!(by_vector(&store, &scope, "a pump").await, Ok(0));
    clean(&store).await;
    close(store).await;
}

#[tokio::test]
async fn its_address_has_to_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = VectorsConfig { engine: EngineChoice::Qdrant, ..VectorsConfig::default() };
    let config = StoreConfig { vectors, ..StoreConfig::new(folder.path(), "test") };
    let refused = Store::open(config).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("QDRANT_URL"), "{refused}");
}

#[tokio::test]
async fn an_old_server_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), EngineChoice::Qdrant, &stand_in("1.9.7"));
    let refused = Store::open(config).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("Qdrant 1.9.7"), "{refused}");
}

/// The operator mends it, not whoever searches: until then words are searched.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_said() {
    let qdrant = QdrantConfig { api_key: Some("another one".to_owned()), ..stand_in("1.18.3") };
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), EngineChoice::Qdrant, &qdrant).await;
    let scope = collection(&store, "docs").await;
    let vector = embed("a pump");
    let query = VectorQuery { vector: &vector, k: 8, among: None };
    let refused = store.indexes.vector(&scope).await.unwrap().search(query).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.to_string().contains("vectors.qdrant.api_key"), "{refused}");
    close(store).await;
}
