//! The catalog's file: durable, refused when it is not ours, free of what was purged, small damage found.

use std::path::Path;
use std::sync::Arc;

use crate::contract::fixture::{self as contract, Fixture, document, id, restricted, user};
use sqlx::{Connection, SqliteConnection};
use wellspring_store::catalog::sqlite::SqliteCatalog;
use wellspring_store::clock::TestClock;
use wellspring_store::jobs::JobState;
use wellspring_store::{ErrorKind, Seq};

async fn open(path: &Path) -> wellspring_store::Result<Fixture> {
    let clock = TestClock::at(1_772_366_400_000_000);
    let catalog = SqliteCatalog::open(path, Arc::new(clock.clone())).await?;
    Ok(Fixture { catalog: Arc::new(catalog), clock })
}

/// A second connection, as somebody with a tool for SQLite would have.
async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap()
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let first = open(&path).await.unwrap();
    let docs = first.docs().await;
    first.published(&docs, document("a", "a"), "a").await;
    let job = first.accept(&docs, document("b", "b")).await.job;
    let lease = first.lease().await;
    // The first is still open: nothing was flushed on its behalf.
    let second = open(&path).await.unwrap();
    let again = second.as_seen_by(&contract::administrator()).await;
    assert_eq!(again, docs);
    assert_eq!(second.texts(&again).await, ["a"]);
    assert_eq!(second.catalog.job(&contract::administrator(), job).await.unwrap().state, JobState::Running);
    second.clock.advance(contract::MINUTE);
    assert_eq!(second.lease().await.fence, lease.fence + 1);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    drop(open(&path).await.unwrap());
    let insert = "INSERT INTO _sqlx_migrations VALUES (9999, 'of the future', '2030-01-01', true, x'00', 1)";
    sqlx::query(insert).execute(&mut raw(&path).await).await.unwrap();
    let refused = open(&path).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let message = refused.to_string();
    assert!(message.contains("schema version 9999") && message.contains("newer release"), "{message}");
}

#[tokio::test]
async fn another_schema_of_the_same_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    drop(open(&path).await.unwrap());
    sqlx::query("UPDATE _sqlx_migrations SET checksum = x'00'").execute(&mut raw(&path).await).await.unwrap();
    let refused = open(&path).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("unreleased build"), "{refused}");
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    fs_err::write(&path, "this is not a database, but it is long enough to be looked at".repeat(100))
        .unwrap();
    let refused = open(&path).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    let missing = open(&folder.path().join("no/such/folder.db")).await.err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::Unavailable, "{missing}");
}

#[tokio::test]
async fn purged_bytes_leave_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let f = open(&path).await.unwrap();
    let docs = f.docs().await;
    f.published(&docs, document("kept", "kept"), "a kept passage").await;
    let text: String = (0..2000).map(|i| format!("the needle in line {i}\n")).collect();
    let secret = restricted("needle-id", "needle-bytes", &["user:needle"]);
    f.published(&docs, secret, &text).await;
    f.catalog.delete_document(&docs, &id("needle-id")).await.unwrap();
    f.flushed(&docs).await;
    let count = || {
        let files = ["catalog.db", "catalog.db-wal"]
            .map(|name| fs_err::read(folder.path().join(name)).unwrap_or_default());
        let size: usize = files.iter().map(Vec::len).sum();
        (files.concat().windows(6).filter(|bytes| *bytes == b"needle").count(), size)
    };
    let (before, full) = count();
    assert!(before > 2000);
    assert_eq!(f.catalog.purge(100).await.unwrap().versions, 1);
    assert!(f.catalog.compact().await.unwrap());
    let (after, size) = count();
    assert_eq!(after, 0);
    assert!(size < full / 2, "{size} of {full} bytes");
    assert_eq!(f.texts(&docs).await, ["a kept passage"]);
    let (at, chunks): (i64, i64) =
        sqlx::query_as("SELECT at, chunks FROM purges").fetch_one(&mut raw(&path).await).await.unwrap();
    assert_eq!((at, chunks), (1_772_366_400_000_000, 2000));
}

#[tokio::test]
async fn damage_is_found_and_named() {
    for (harm, word) in [
        ("UPDATE chunks SET end = 1000 WHERE ordinal = 0", "spans 0..1000"),
        ("DELETE FROM vectors WHERE chunk_key = 1", "chunk 1 has no vector"),
        ("UPDATE vectors SET vector = x'00' WHERE chunk_key = 1", "1 bytes instead of 16"),
        ("UPDATE segments SET bytes = x'41'", "is not what was stored"),
        ("UPDATE collections SET documents = 5", "counts 5 documents"),
        ("UPDATE versions SET state = 'stored'", "marked stored"),
        ("UPDATE versions SET state = 'visible', key = 77", "refers to a row"),
        ("UPDATE versions SET first_chunk = 9", "instead of 2 from 9"),
        ("DELETE FROM names WHERE kind = 0", "names instead of"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let f = open(&path).await.unwrap();
        let docs = f.docs().await;
        f.published(&docs, document("a", "a"), "one\ntwo\n").await;
        assert_eq!(f.catalog.check().await.unwrap(), Vec::<String>::new());
        let mut raw = raw(&path).await;
        sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut raw).await.unwrap();
        sqlx::query(harm).execute(&mut raw).await.unwrap();
        let damage = f.catalog.check().await.unwrap();
        assert!(damage.iter().any(|line| line.contains(word)), "{harm}: {damage:?}");
    }
}

#[tokio::test]
async fn torn_pages_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let f = open(&path).await.unwrap();
    let docs = f.docs().await;
    let text: String = (0..3000).map(|i| format!("line {i}\n")).collect();
    f.published(&docs, document("a", "a"), &text).await;
    f.catalog.delete_document(&docs, &id("a")).await.unwrap();
    f.published(&docs, document("b", "b"), &text).await;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut raw(&path).await).await.unwrap();
    drop(f);
    let mut bytes = fs_err::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..half + 8192].fill(0xAA);
    fs_err::write(&path, bytes).unwrap();
    let damaged = match open(&path).await {
        Ok(f) => match f.catalog.check().await {
            Ok(lines) => !lines.is_empty(),
            Err(error) => error.kind() == ErrorKind::Corrupt,
        },
        Err(error) => error.kind() == ErrorKind::Corrupt,
    };
    assert!(damaged);
}

/// Every schema version stays readable. The file was made by `make_the_golden_file`, which is run by hand and once per
/// version: `cargo test -p wellspring-store --test suite -- --ignored make_the_golden_file`.
#[tokio::test]
async fn the_golden_file_of_version_1_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/catalog-v1.db"), &path).unwrap();
    let f = open(&path).await.unwrap();
    assert_eq!(f.catalog.check().await.unwrap(), Vec::<String>::new());
    let docs = f.as_seen_by(&contract::administrator()).await;
    assert_eq!(f.texts(&docs).await, ["Grüße\n", "two\n", "for ada"]);
    let shown = f.catalog.document(&docs, &id("a")).await.unwrap();
    assert_eq!((shown.version, shown.created_at.as_str()), (2, "2026-03-01T12:00:00Z"));
    assert_eq!(shown.metadata["year"], 2026);
    let filter = wellspring_store::Filter::parse("year >= 2026 and published < \"2026-04-01\"").unwrap();
    let found = f.catalog.documents(&docs, Some(&filter), None, 10).await.unwrap();
    assert_eq!(contract::ids(&found.items), ["a"]);
    let to_bob = f.as_seen_by(&user(&["user:bob"])).await;
    assert_eq!(f.texts(&to_bob).await.len(), 2);
    assert_eq!(f.catalog.backlog().await.unwrap().0, 1);
    assert_eq!(f.catalog.changes(&docs, Seq(0), 100).await.unwrap().len(), 4);
    assert_eq!(f.catalog.entries_after(&docs, wellspring_store::ChunkKey(0), 10).await.unwrap().len(), 3);
    // Its documents bear names, which that version did not keep.
    let link = wellspring_store::names::mentions::in_text("[it](a.txt)", "x", &[]).remove(0);
    let bearers = f.catalog.bearers(&docs, &[link.hash], 3).await.unwrap();
    assert_eq!(bearers.iter().map(|bearer| bearer.document).collect::<Vec<_>>(), [shown.key]);
    // And it can be gone on with.
    assert_eq!(f.lease().await.document.id, id("waiting"));
    f.published(&docs, document("new", "new"), "new").await;
}

#[tokio::test]
#[ignore = "makes the golden file of a new schema version"]
async fn make_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/catalog-v1.db");
    assert!(!path.exists(), "golden files of past versions are never made again");
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    let f = open(&path).await.unwrap();
    let docs = f.docs().await;
    let metadata =
        serde_json::from_value(serde_json::json!({"year": 2026, "published": "2026-03-01"})).unwrap();
    f.published(&docs, document("a", "old"), "old").await;
    let a = wellspring_store::NewDocument { metadata, ..document("a", "a") };
    f.published(&docs, a, "Grüße\ntwo\n").await;
    f.published(&docs, restricted("b", "b", &["user:ada"]), "for ada").await;
    f.accept(&docs, document("waiting", "w")).await;
    drop(f);
    // The whole of it in one file.
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut raw(&path).await).await.unwrap();
}
