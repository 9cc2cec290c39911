//! A whole store on PostgreSQL: the same answers as on SQLite, from any number of folders.

use std::path::Path;

use wellspring_store::verify::{FindingKind, VerifyOptions, verify};
use wellspring_store::{Store, StoreConfig};

use super::{Release, Server, server};
use crate::world::{self, answers, close, collection, fill};

/// Everything is looked at, whatever its age.
const LOOK: VerifyOptions = VerifyOptions { repair: false, orphan_grace: std::time::Duration::ZERO };

async fn open(server: &Server, database: &str, folder: &Path) -> Store {
    let url = server.url(super::server::OWNER, database);
    let postgres = wellspring_store::catalog::postgres::PostgresConfig::new(url);
    Store::open(StoreConfig { postgres: Some(postgres), ..StoreConfig::new(folder, "test") }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_sqlite() {
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
        let store = open(server, &database, &home).await;
        let scope = collection(&store, "docs").await;
        fill(&store, &scope).await;
        assert_eq!(answers(&store, &scope).await, expected);
        close(store).await;
        // Another server of the same database starts with an empty folder, and this one again with its own.
        for folder in [folder.path().join("another"), home] {
            let store = open(server, &database, &folder).await;
            assert_eq!(answers(&store, &scope).await, expected);
            while store.purge_once(100).await.unwrap().versions > 0 {}
            // That an empty folder was filled is said once, at opening.
            let mut found = verify(&store, None, LOOK, None).await.unwrap();
            found.findings.retain(|finding| finding.kind != FindingKind::MendedAtOpening);
            assert!(found.is_clean(), "{found:?}");
            close(store).await;
        }
    }
}

/// Two databases have the same keys for other chunks: a folder never takes the indexes of one for those of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_tells_databases_apart() {
    let Some(server) = server(Release::Pg18) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (server.database().await, server.database().await);
    for (database, text) in [(&one, "a pump and its valve"), (&two, "a compressor in a cellar")] {
        let store = open(server, database, folder.path()).await;
        let scope = collection(&store, "docs").await;
        world::add(&store, &scope, "a", &[text]).await;
        close(store).await;
    }
    let store = open(server, &one, folder.path()).await;
    let scope = collection(&store, "docs").await;
    let query = wellspring_store::keyword::KeywordQuery::new("valve", 5);
    assert_eq!(store.indexes.keyword(&scope).await.unwrap().search(query).await.unwrap().len(), 1);
    close(store).await;
}
