//! From SQLite into PostgreSQL and back: the same rows, the same answers.

use std::path::Path;

use wellspring_store::backup::{RestoreOptions, restore};
use wellspring_store::catalog::postgres::PostgresConfig;
use wellspring_store::{ErrorKind, Store, StoreConfig};

use super::{clean, config, filled, found, restored, tables, taken};
use crate::postgres::{OWNER, Release, Server, server};
use crate::world;

fn database(server: &Server, name: &str, folder: &Path) -> StoreConfig {
    StoreConfig { postgres: Some(PostgresConfig::new(server.url(OWNER, name))), ..config(folder) }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    filled(&at("data")).await;
    let first = taken(&config(&at("data")), &at("backup")).await;
    let before = Store::open(config(&at("data"))).await.unwrap();
    let scope = world::collection(&before, "docs").await;
    let expected = found(&before, &scope).await;
    world::close(before).await;
    for release in [Release::Pg16, Release::Pg18] {
        let Some(server) = server(release) else { continue };
        let name = server.database().await;
        let there = database(server, &name, &at(&format!("there-{name}")));
        restored(&there, &at("backup")).await.unwrap();
        let back = at(&format!("back-{name}"));
        let second = taken(&there, &back).await;
        assert_eq!(second.counters, first.counters);
        let (left, returned) = (tables(&at("backup")), tables(&back));
        for (name, rows) in &left {
            assert_eq!(rows, &returned[name], "{name}");
        }
        let store = clean(there.clone()).await;
        assert_eq!(found(&store, &scope).await, expected);
        // New keys are new there as well.
        world::add(&store, &scope, "new", &["a turbine"]).await;
        world::delete(&store, &scope, "doc-4").await;
        while store.purge_once(100).await.unwrap().versions > 0 {}
        world::close(store).await;
        world::close(clean_twice(&there).await).await;

        let again = config(&at(&format!("again-{name}")));
        restored(&again, &back).await.unwrap();
        let store = clean(again).await;
        assert_eq!(found(&store, &scope).await, expected);
        world::close(store).await;

        // What was deleted in the database since is known there.
        let options = RestoreOptions { deletions: Some(there), told: None };
        let report = restore(&config(&at(&format!("less-{name}"))), &back, options).await.unwrap();
        let ids: Vec<String> =
            report.deleted.unwrap().documents.into_iter().map(|(_, _, id)| id.to_string()).collect();
        assert_eq!(ids, ["doc-4"]);
    }
}

/// At the second opening nothing is said about indexes that are there.
async fn clean_twice(config: &StoreConfig) -> Store {
    world::close(Store::open(config.clone()).await.unwrap()).await;
    clean(config.clone()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_empty_database_that_nobody_uses_is_taken() {
    let Some(server) = server(Release::Pg18) else { return };
    let folder = tempfile::tempdir().unwrap();
    filled(&folder.path().join("data")).await;
    taken(&config(&folder.path().join("data")), &folder.path().join("backup")).await;
    let name = server.database().await;
    let there = database(server, &name, &folder.path().join("there"));
    let store = Store::open(there.clone()).await.unwrap();
    let refused = restored(&there, &folder.path().join("backup")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("another process"), "{refused}");
    world::collection(&store, "docs").await;
    world::close(store).await;
    ended(server, &name).await;
    let refused = restored(&there, &folder.path().join("backup")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("not empty"), "{refused}");
}

/// As a kill in the middle leaves it: bytes, and the word that a restore began.
#[tokio::test(flavor = "multi_thread")]
async fn a_half_restored_database_serves_nobody_until_it_is_restored_again() {
    let Some(server) = server(Release::Pg18) else { return };
    let folder = tempfile::tempdir().unwrap();
    filled(&folder.path().join("data")).await;
    taken(&config(&folder.path().join("data")), &folder.path().join("backup")).await;
    let name = server.migrated().await;
    let there = database(server, &name, &folder.path().join("there"));
    let mut superuser = server.superuser(&name).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO restores (cut_at, software, begun_at) VALUES (1, 'x', 2); \
         INSERT INTO blobs (tenant, hash, bytes) VALUES ('default', sha256('x'), 1)",
    )
    .execute(&mut superuser)
    .await
    .unwrap();
    sqlx::Connection::close(superuser).await.unwrap();
    let refused = Store::open(there.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("interrupted"), "{refused}");
    restored(&there, &folder.path().join("backup")).await.unwrap();
    world::close(clean(there).await).await;
}

/// Until every connection of ours to the database is gone: a pool closes them on its own time.
async fn ended(server: &Server, name: &str) {
    let mut superuser = server.superuser("postgres").await.unwrap();
    loop {
        let left: i64 = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1",
        )
        .bind(name)
        .fetch_one(&mut superuser)
        .await
        .unwrap();
        if left == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}
