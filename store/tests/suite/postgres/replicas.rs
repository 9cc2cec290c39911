//! Several processes on one database: each has indexes of its own, purges wait for the slowest living one, and bytes are not
//! deleted under somebody who is about to refer to them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use wellspring_store::catalog::IndexKind;
use wellspring_store::catalog::postgres::PostgresConfig;
use wellspring_store::clock::TestClock;
use wellspring_store::keyword::KeywordQuery;
use wellspring_store::verify::{VerifyOptions, verify};
use wellspring_store::{
    CollectionScope, ContentHash, DocumentId, ErrorKind, Metadata, NewDocument, Store, StoreConfig,
};

use super::NOON;
use super::server::{OWNER, Release, Server, server};
use crate::world::{add, administrator, answers, close, collection, delete, fill, name, stored};

const SOON: Duration = Duration::from_secs(30);
const LOOK: VerifyOptions = VerifyOptions { repair: false, orphan_grace: Duration::ZERO };

struct Ground {
    server: &'static Server,
    database: String,
    clock: TestClock,
    home: tempfile::TempDir,
}

/// `None` where PostgreSQL is not there.
async fn ground() -> Option<Ground> {
    let server = server(Release::Pg18)?;
    let database = server.migrated().await;
    Some(Ground { server, database, clock: TestClock::at(NOON), home: tempfile::tempdir().unwrap() })
}

impl Ground {
    async fn open(&self, folder: &str, indexes: bool) -> Store {
        let postgres = PostgresConfig {
            max_connections: 6,
            ..PostgresConfig::new(self.server.url(OWNER, &self.database))
        };
        let folder = self.home.path().join(folder);
        Store::open(StoreConfig {
            postgres: Some(postgres),
            indexes,
            // The tests beat themselves.
            pulse: Duration::from_secs(86_400),
            clock: Arc::new(self.clock.clone()),
            ..StoreConfig::new(folder, "test")
        })
        .await
        .unwrap()
    }
}

async fn same_collection(store: &Store) -> CollectionScope {
    store.catalog.collection(&administrator(), &name("docs")).await.unwrap().0
}

async fn hits(store: &Store, scope: &CollectionScope, text: &str) -> usize {
    store.indexes.keyword(scope).await.unwrap().search(KeywordQuery::new(text, 10)).await.unwrap().len()
}

async fn purged(store: &Store) -> u64 {
    store.purge_once(100).await.unwrap().versions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_waits_for_what_another_process_made_visible() {
    let Some(ground) = ground().await else { return };
    let (one, worker) = (ground.open("one", true).await, ground.open("-", false).await);
    let docs = collection(&one, "docs").await;
    add(&one, &docs, "a", &["a pump and its valve"]).await;
    assert_eq!(one.indexes.await_visible(&docs, SOON).await.unwrap(), Some(0));
    // A worker has no indexes to wait for, and nobody can search in it.
    add(&worker, &docs, "b", &["a compressor"]).await;
    assert!(!ground.home.path().join("-").exists(), "a worker needs no folder");
    assert_eq!(worker.indexes.keyword(&docs).await.err().unwrap().kind(), ErrorKind::Unavailable);
    assert_eq!(worker.indexes.lag().await.unwrap(), []);
    assert_eq!(one.indexes.await_visible(&docs, Duration::ZERO).await.unwrap(), Some(1));
    assert_eq!(one.indexes.await_visible(&docs, SOON).await.unwrap(), Some(0));
    assert_eq!(hits(&one, &docs, "compressor").await, 1);
    // What is stored and not yet visible is not waited for.
    let (_lease, seq) = stored(&worker, &docs, "c", &["a turbine".to_owned()]).await;
    assert!(one.catalog.newest_visible(&docs).await.unwrap().unwrap() < seq);
    assert_eq!(one.catalog.behind().await.unwrap().len(), 1);
    one.indexes.follow().await.unwrap();
    assert_eq!(one.catalog.behind().await.unwrap(), []);
    close(worker).await;
    close(one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_process_has_generations_of_its_own() {
    let Some(ground) = ground().await else { return };
    let (one, two) = (ground.open("one", true).await, ground.open("two", true).await);
    let docs = collection(&one, "docs").await;
    fill(&one, &docs).await;
    let expected = answers(&one, &docs).await;
    for store in [&one, &two, &two] {
        store.indexes.rebuild(&docs, IndexKind::Keyword, None).await.unwrap();
    }
    assert_eq!(one.indexes.stats(&docs).await.unwrap().keyword_generation, 2);
    assert_eq!(two.indexes.stats(&docs).await.unwrap().keyword_generation, 3);
    for store in [&one, &two] {
        assert_eq!(answers(store, &docs).await, expected);
    }
    close(one).await;
    close(two).await;
    for folder in ["one", "two"] {
        let store = ground.open(folder, true).await;
        assert_eq!(answers(&store, &docs).await, expected);
        assert!(verify(&store, None, LOOK, None).await.unwrap().is_clean());
        close(store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn purges_wait_for_the_slowest_living_process() {
    let Some(ground) = ground().await else { return };
    let (one, two) = (ground.open("one", true).await, ground.open("two", true).await);
    let docs = collection(&one, "docs").await;
    add(&one, &docs, "a", &["a pump and its valve"]).await;
    add(&one, &docs, "b", &["a compressor"]).await;
    let there = same_collection(&two).await;
    assert_eq!(hits(&two, &there, "valve").await, 1, "opening fills the index");
    delete(&one, &docs, "a").await;
    assert_eq!(purged(&one).await, 0, "the other one has not heard of it");
    two.indexes.follow().await.unwrap();
    assert_eq!(purged(&one).await, 1);

    // One that is not heard of is given up, and its index, which missed a removal, is compared when it comes back.
    delete(&one, &docs, "b").await;
    assert_eq!(purged(&one).await, 0);
    ground.clock.advance(Duration::from_secs(301));
    assert!(one.catalog.beat().await.unwrap());
    assert_eq!(purged(&one).await, 1);
    assert!(!two.catalog.beat().await.unwrap(), "it hears that it was given up");
    two.indexes.close().await.unwrap();
    assert_eq!(two.indexes.stats(&there).await.unwrap().keyword_entries, 0);
    let report = verify(&two, None, LOOK, None).await.unwrap();
    assert!(report.is_clean(), "having been away is no damage: {report:?}");

    // One that ends says so: nobody waits for it.
    add(&one, &docs, "c", &["a turbine"]).await;
    two.indexes.follow().await.unwrap();
    close(two).await;
    delete(&one, &docs, "c").await;
    assert_eq!(purged(&one).await, 1);
    let two = ground.open("two", true).await;
    assert_eq!(hits(&two, &there, "turbine").await, 0);
    assert!(verify(&two, None, LOOK, None).await.unwrap().is_clean());
    close(two).await;
    close(one).await;
}

fn document(id: &str, blob: ContentHash) -> NewDocument {
    NewDocument {
        id: DocumentId::new(id).unwrap(),
        blob,
        bytes: 5,
        source: id.to_owned(),
        media_type: None,
        title: None,
        metadata: Metadata::new(),
        acl: None,
        trace: None,
    }
}

async fn put(store: &Store, docs: &CollectionScope, bytes: &'static [u8]) -> ContentHash {
    let stream = futures::stream::iter([Ok(Bytes::from_static(bytes))]).boxed();
    store.blobs.put(docs.tenant(), stream, 100).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_not_deleted_under_a_document_that_comes_to_refer_to_them() {
    let Some(ground) = ground().await else { return };
    let (one, two) = (ground.open("one", true).await, ground.open("two", true).await);
    let docs = collection(&one, "docs").await;
    let tenant = docs.tenant();
    let delete = async |hash: &ContentHash, age| {
        two.blobs.delete_unused(two.catalog.as_ref(), tenant, hash, age).await.unwrap()
    };
    // Stored by one process, deleted by another before the first refers to them.
    let hash = put(&one, &docs, b"bytes").await;
    assert!(!delete(&hash, Duration::from_secs(600)).await, "they may belong to an upload");
    assert!(delete(&hash, Duration::ZERO).await);
    let refused = one.catalog.accept(&docs, document("a", hash), None).await.unwrap_err();
    assert!(refused.is_bytes_gone() && refused.kind() == ErrorKind::Unavailable, "{refused}");
    assert_eq!(one.catalog.backlog().await.unwrap().0, 0, "nothing was accepted");
    put(&one, &docs, b"bytes").await;
    one.catalog.accept(&docs, document("a", hash), None).await.unwrap();
    assert!(!delete(&hash, Duration::ZERO).await, "a document refers to them");
    one.blobs.get(tenant, &hash).await.unwrap();
    assert_eq!(one.catalog.tenants().await.unwrap(), std::slice::from_ref(tenant));
    close(two).await;
    close(one).await;
}

/// Many uploads of the same few bytes while another process deletes what nobody refers to: whatever was accepted has its bytes.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_and_purges_of_the_same_bytes_do_not_lose_any() {
    let Some(ground) = ground().await else { return };
    let (one, two) = (ground.open("one", true).await, ground.open("two", true).await);
    let docs = collection(&one, "docs").await;
    let hash = put(&one, &docs, b"bytes").await;
    let (deleting, accepting) = (
        async {
            for _ in 0..60 {
                two.blobs
                    .delete_unused(two.catalog.as_ref(), docs.tenant(), &hash, Duration::ZERO)
                    .await
                    .unwrap();
            }
        },
        async {
            for number in 0..20 {
                put(&one, &docs, b"bytes").await;
                match one.catalog.accept(&docs, document(&format!("d{number}"), hash), None).await {
                    Ok(_) => {
                        one.blobs.get(docs.tenant(), &hash).await.expect("accepted, so its bytes are there");
                        let id = DocumentId::new(format!("d{number}")).unwrap();
                        one.catalog.delete_document(&docs, &id).await.unwrap();
                        purged(&one).await;
                    }
                    Err(error) => assert!(error.is_bytes_gone(), "{error}"),
                }
            }
        },
    );
    tokio::join!(deleting, accepting);
    close(two).await;
    close(one).await;
}
