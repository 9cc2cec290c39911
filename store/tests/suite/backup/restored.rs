//! What a restored data folder is, and what it refuses to be.

use std::time::Duration;

use wellspring_store::backup::{RestoreOptions, check, restore};
use wellspring_store::{ErrorKind, Store};

use super::{clean, config, filled, found, restored, tables, taken};
use crate::world;

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    filled(&at("data")).await;
    let manifest = taken(&config(&at("data")), &at("backup")).await;
    assert_eq!((manifest.rows("documents"), manifest.rows("collections")), (11, 2));
    assert_eq!(check(&at("backup"), None).await.unwrap(), manifest);
    restored(&config(&at("again")), &at("backup")).await.unwrap();

    // All rows of all tables.
    taken(&config(&at("again")), &at("second")).await;
    let (first, second) = (tables(&at("backup")), tables(&at("second")));
    for (name, rows) in &first {
        assert!(rows.len() > 1, "{name} has no row that could get lost");
        assert_eq!(rows, &second[name], "{name}");
    }

    let before = Store::open(config(&at("data"))).await.unwrap();
    let scope = world::collection(&before, "docs").await;
    let expected = found(&before, &scope).await;
    world::close(before).await;
    let store = clean(config(&at("again"))).await;
    assert_eq!(found(&store, &scope).await, expected);

    // Life goes on: new keys, new changes, purges.
    world::add(&store, &scope, "doc-3", &["a turbine"]).await;
    world::add(&store, &scope, "new", &["another turbine"]).await;
    world::delete(&store, &scope, "doc-4").await;
    while store.purge_once(100).await.unwrap().versions > 0 {}
    world::close(store).await;
    world::close(clean(config(&at("again"))).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_was_under_way_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let store = world::open(&folder.path().join("data")).await;
    let scope = world::collection(&store, "docs").await;
    // Stored, and neither indexed nor shown.
    let (lease, _) = world::stored(&store, &scope, "half", &["a pump".to_owned()]).await;
    taken(&config(&folder.path().join("data")), &folder.path().join("backup")).await;
    world::close(store).await;
    restored(&config(&folder.path().join("again")), &folder.path().join("backup")).await.unwrap();

    let store = clean(config(&folder.path().join("again"))).await;
    let again = store.catalog.lease("another", Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!((again.job, again.version, again.attempt), (lease.job, lease.version, lease.attempt));
    assert!(again.fence > lease.fence, "whoever had it before cannot write");
    world::close(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_empty_folder_is_taken_and_a_half_restored_one_serves_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    filled(&at("data")).await;
    taken(&config(&at("data")), &at("backup")).await;
    let refused = restored(&config(&at("data")), &at("backup")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("not empty"), "{refused}");
    world::close(clean(config(&at("data"))).await).await;

    // As a kill in the middle leaves it: some rows, some bytes.
    let half = at("half");
    restored(&config(&half), &at("backup")).await.unwrap();
    fs_err::write(half.join("restoring"), "").unwrap();
    fs_err::write(half.join("catalog.db"), "torn").unwrap();
    let refused = Store::open(config(&half)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("interrupted"), "{refused}");
    let refused = wellspring_store::backup::take(&config(&half), &at("never"), "x", None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    assert!(!at("never").exists() && !at("never.incomplete").exists());
    restored(&config(&half), &at("backup")).await.unwrap();
    world::close(clean(config(&half)).await).await;

    let refused = wellspring_store::backup::take(&config(&half), &at("backup"), "x", None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_since_is_deleted_again_where_it_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    filled(&at("data")).await;
    let store = world::open(&at("data")).await;
    let scope = world::collection(&store, "docs").await;
    let dropped = world::collection(&store, "dropped").await;
    world::add(&store, &dropped, "gone", &["with its collection"]).await;
    taken(&config(&at("data")), &at("backup")).await;
    // One deleted, one purged as well, one that is only updated, and a collection.
    world::delete(&store, &scope, "doc-5").await;
    store.catalog.delete_collection(&dropped).await.unwrap();
    while store.purge_once(100).await.unwrap().versions > 0 {}
    world::delete(&store, &scope, "doc-6").await;
    world::add(&store, &scope, "doc-7", &["updated since"]).await;
    world::close(store).await;

    let options = RestoreOptions { deletions: Some(config(&at("data"))), told: None };
    let report = restore(&config(&at("again")), &at("backup"), options).await.unwrap();
    let deleted = report.deleted.unwrap();
    let ids: Vec<&str> = deleted.documents.iter().map(|(_, _, id)| id.as_str()).collect();
    assert_eq!(ids, ["doc-5", "doc-6"]);
    assert_eq!(deleted.collections.len(), 1);
    let store = clean(config(&at("again"))).await;
    let listed = store.catalog.documents(&scope, None, None, 100).await.unwrap();
    let ids: Vec<&str> = listed.items.iter().map(|document| document.id.as_str()).collect();
    assert_eq!(ids, ["doc-0", "doc-1", "doc-10", "doc-2", "doc-3", "doc-4", "doc-7", "doc-8", "doc-9"]);
    world::close(store).await;

    // Another catalog knows nothing about this one.
    filled(&at("other")).await;
    for stranger in ["other", "again"] {
        let options = RestoreOptions { deletions: Some(config(&at(stranger))), told: None };
        let refused = restore(&config(&at("third")), &at("backup"), options).await;
        if stranger == "other" {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
            assert!(!at("third").exists(), "refused before anything is touched");
        } else {
            // A restored catalog goes on from the backup, so it may tell what was deleted in it.
            assert_eq!(refused.unwrap().deleted.unwrap().documents.len(), 2);
        }
    }
}

/// A backup of format 1, made by the first release that had any.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_format_1_is_read() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/backup-v1");
    let folder = tempfile::tempdir().unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() && !golden.exists() {
        filled(&folder.path().join("data")).await;
        taken(&config(&folder.path().join("data")), &golden).await;
    }
    restored(&config(&folder.path().join("again")), &golden).await.unwrap();
    let store = clean(config(&folder.path().join("again"))).await;
    let scope = world::collection(&store, "docs").await;
    assert_eq!(store.catalog.documents(&scope, None, None, 100).await.unwrap().items.len(), 11);
    assert!(world::answers(&store, &scope).await.iter().all(|hits| !hits.is_empty()));
    world::close(store).await;
}
