//! Vectors in PostgreSQL, chosen by configuration: one index for every process of the database.

use std::path::Path;
use std::time::Duration;

use wellspring_store::catalog::IndexKind;
use wellspring_store::catalog::postgres::PostgresConfig;
use wellspring_store::vector::choice::{EngineChoice, VectorsConfig};
use wellspring_store::verify::{FindingKind, VerifyOptions, verify};
use wellspring_store::{ErrorKind, Store, StoreConfig};

use super::{Release, Server, server};
use crate::world::{self, add, answers, close, collection, delete, engine_becomes, fill};

fn config(server: &Server, database: &str, folder: &Path, engine: EngineChoice) -> StoreConfig {
    let url = server.url(super::server::OWNER, database);
    StoreConfig {
        postgres: Some(PostgresConfig { max_connections: 6, ..PostgresConfig::new(url) }),
        vectors: VectorsConfig { engine, ..VectorsConfig::default() },
        ..StoreConfig::new(folder, "test")
    }
}

async fn open(server: &Server, database: &str, folder: &Path, engine: EngineChoice) -> Store {
    Store::open(config(server, database, folder, engine)).await.unwrap()
}

/// Tables of vectors that the database holds.
async fn tables(server: &Server, database: &str) -> Vec<String> {
    let mut superuser = server.superuser(database).await.unwrap();
    sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE tablename ~ '^vectors_' ORDER BY 1")
        .fetch_all(&mut superuser)
        .await
        .unwrap()
}

async fn clean(store: &Store) {
    let options = VerifyOptions { repair: false, orphan_grace: Duration::ZERO };
    let mut found = verify(store, None, options, None).await.unwrap();
    // That a process opens its own index of words behind the others' is said once, at opening.
    found.findings.retain(|f| f.part != "keyword" || f.kind != FindingKind::MendedAtOpening);
    assert!(found.is_clean(), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_a_scan_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = world::open(&folder.path().join("sqlite")).await;
    let scope = collection(&sqlite, "docs").await;
    fill(&sqlite, &scope).await;
    let expected = answers(&sqlite, &scope).await;
    close(sqlite).await;
    for release in [Release::Pg16, Release::Pg18] {
        let Some(server) = server(release) else { continue };
        let database = server.database().await;
        let home = folder.path().join(&database);
        let store = open(server, &database, &home, EngineChoice::Pgvector).await;
        let scope = collection(&store, "docs").await;
        fill(&store, &scope).await;
        assert_eq!(store.indexes.stats(&scope).await.unwrap().vector.engine, "pgvector");
        assert_eq!(answers(&store, &scope).await, expected);
        clean(&store).await;
        close(store).await;
        // Nothing is made anew at another opening, nor for another process.
        let store = open(server, &database, &folder.path().join("other"), EngineChoice::Pgvector).await;
        assert_eq!(answers(&store, &scope).await, expected);
        let mended = store.indexes.mended_at_opening(&scope).await.unwrap();
        assert!(mended.iter().all(|damage| damage.index == "keyword"), "{mended:?}");
        assert_eq!(tables(server, &database).await, [format!("vectors_{}_g1", scope.key().0)]);
        store.catalog.delete_collection(&scope).await.unwrap();
        store.indexes.drop_collection(scope.key()).await.unwrap();
        assert!(tables(server, &database).await.is_empty());
        close(store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_write_one_index() {
    let Some(server) = server(Release::Pg18) else { return };
    let folder = tempfile::tempdir().unwrap();
    let database = server.database().await;
    let one = open(server, &database, &folder.path().join("one"), EngineChoice::Pgvector).await;
    let two = open(server, &database, &folder.path().join("two"), EngineChoice::Pgvector).await;
    let scope = collection(&one, "docs").await;
    let write = async |store: &Store, name: &str| {
        for i in 0..8 {
            let id = format!("{name}-{i}");
            leased(store, &scope, &id, &format!("{name} writes about pump {i}")).await;
            if i % 3 == 2 {
                delete(store, &scope, &id).await;
            }
        }
    };
    tokio::join!(write(&one, "one"), write(&two, "two"));
    let expected = one.catalog.expected_keys(&scope).await.unwrap();
    assert_eq!(expected.len(), 12);
    let last = one.catalog.last_seq(&scope).await.unwrap();
    for store in [&one, &two] {
        store.indexes.catch_up(&scope, last).await.unwrap();
        assert_eq!(store.indexes.vector(&scope).await.unwrap().keys().await.unwrap(), expected);
        assert_eq!(store.indexes.vector(&scope).await.unwrap().watermark().await.unwrap(), last);
        clean(store).await;
    }
    // One puts a new generation in use; the other goes on with it.
    one.indexes.rebuild(&scope, IndexKind::Vector, None).await.unwrap();
    add(&two, &scope, "late", &["a condenser"]).await;
    assert_eq!(two.indexes.stats(&scope).await.unwrap().vector_generation, 2);
    let last = one.catalog.last_seq(&scope).await.unwrap();
    one.indexes.catch_up(&scope, last).await.unwrap();
    assert_eq!(answers_of(&one, &scope).await, answers_of(&two, &scope).await);
    for store in [one, two] {
        clean(&store).await;
        close(store).await;
    }
}

/// Stores and publishes a document whose job another process may have leased first: then it is that one's to finish, and
/// here it is given back.
async fn leased(store: &Store, scope: &wellspring_store::CollectionScope, id: &str, text: &str) {
    let job = world::accepted(store, scope, id, text).await;
    loop {
        let state = store.catalog.job(&world::administrator(), job).await.unwrap().state;
        if state == wellspring_store::jobs::JobState::Indexed {
            return;
        }
        if let Some(lease) = store.catalog.lease("test", Duration::from_secs(60)).await.unwrap() {
            let id = lease.document.id.as_str().to_owned();
            world::finish(store, scope, &lease, &id, std::slice::from_ref(&id)).await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn answers_of(store: &Store, scope: &wellspring_store::CollectionScope) -> Vec<i64> {
    let vector = world::embed("a condenser");
    let query = wellspring_store::vector::VectorQuery { vector: &vector, k: 10, among: None };
    let hits = store.indexes.vector(scope).await.unwrap().search(query).await.unwrap();
    hits.iter().map(|hit| hit.key.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_moves_into_the_database_and_back() {
    let Some(server) = server(Release::Pg18) else { return };
    let folder = tempfile::tempdir().unwrap();
    let database = server.database().await;
    let store = open(server, &database, folder.path(), EngineChoice::Auto).await;
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    assert_eq!(store.indexes.stats(&scope).await.unwrap().vector.engine, "flat");
    let expected = answers(&store, &scope).await;
    close(store).await;
    for (choice, engine) in [(EngineChoice::Pgvector, "pgvector"), (EngineChoice::Auto, "flat")] {
        let store = open(server, &database, folder.path(), choice).await;
        // It answers from where it was until it has moved.
        assert_eq!(answers(&store, &scope).await, expected);
        engine_becomes(&store, &scope, engine).await;
        assert_eq!(answers(&store, &scope).await, expected);
        clean(&store).await;
        close(store).await;
    }
}

#[tokio::test]
async fn one_process_writes_at_a_time() {
    let Some(opened) = super::open(Release::Pg18).await else { return };
    let docs = opened.fixture.docs().await;
    let catalog = &opened.fixture.catalog;
    let (long, short) = (Duration::from_secs(60), Duration::ZERO);
    assert!(catalog.claim_writing(&docs, 1, "one", long).await.unwrap());
    assert!(catalog.claim_writing(&docs, 1, "one", long).await.unwrap(), "it goes on");
    assert!(!catalog.claim_writing(&docs, 1, "two", long).await.unwrap());
    assert!(catalog.claim_writing(&docs, 2, "two", long).await.unwrap(), "another generation");
    catalog.end_writing(&docs, 1, "two").await.unwrap();
    assert!(!catalog.claim_writing(&docs, 1, "two", long).await.unwrap(), "it was not two's to end");
    catalog.end_writing(&docs, 1, "one").await.unwrap();
    assert!(catalog.claim_writing(&docs, 1, "two", short).await.unwrap());
    assert!(catalog.claim_writing(&docs, 1, "one", long).await.unwrap(), "two's turn ran out");
}

#[tokio::test]
async fn the_database_has_to_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = VectorsConfig { engine: EngineChoice::Pgvector, ..VectorsConfig::default() };
    let config = StoreConfig { vectors, ..StoreConfig::new(folder.path(), "test") };
    let refused = Store::open(config).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("postgres.url"), "{refused}");
}
