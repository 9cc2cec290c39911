//! What indexes follow and hold, and what is purged once they have.

use serde_json::json;
use wellspring_store::*;

use crate::contract::fixture::*;
use wellspring_store::catalog::{ChangeKind, IndexKind};
use wellspring_store::jobs::{Ending, JobState};

pub(crate) async fn changes_are_in_order_and_per_collection(f: &Fixture) {
    let docs = f.docs().await;
    let other = f.make(&administrator(), "other").await;
    assert_eq!(f.catalog.last_seq(&docs).await.unwrap(), Seq(0));
    let a = f.published(&docs, document("a", "1"), "1").await;
    f.published(&other, document("a", "1"), "1").await;
    f.published(&docs, document("a", "2"), "2").await;
    f.catalog.delete_document(&docs, &id("a")).await.unwrap();
    let changes = f.catalog.changes(&docs, Seq(0), 10).await.unwrap();
    let seen: Vec<_> = changes.iter().map(|c| (c.kind, c.document, c.version)).collect();
    use ChangeKind::{Removed, Stored};
    assert_eq!(seen, [(Stored, a.key, 1), (Stored, a.key, 2), (Removed, a.key, 1), (Removed, a.key, 2)]);
    assert!(changes.is_sorted_by(|a, b| a.seq < b.seq));
    assert_eq!(f.catalog.last_seq(&docs).await.unwrap(), changes[3].seq);
    assert_eq!(f.catalog.changes(&docs, changes[0].seq, 2).await.unwrap(), changes[1..3]);
    assert_eq!(f.catalog.changes(&other, Seq(0), 10).await.unwrap().len(), 1);
}

pub(crate) async fn entries_are_what_indexes_hold(f: &Fixture) {
    let docs = f.docs().await;
    let other = f.make(&administrator(), "other").await;
    let a = f.published(&docs, document("a", "1"), "one\ntwo\n").await;
    f.published(&other, document("x", "x"), "elsewhere").await;
    f.published(&docs, document("gone", "2"), "gone").await;
    f.catalog.delete_document(&docs, &id("gone")).await.unwrap();
    f.stored(&docs, document("b", "3"), "not visible yet").await;
    let entries = f.catalog.entries_after(&docs, ChunkKey(0), 10).await.unwrap();
    let bodies: Vec<&str> = entries.iter().map(|entry| entry.keyword.body.as_str()).collect();
    assert_eq!(bodies, ["one\n", "two\n", "not visible yet"]);
    let first = &entries[0];
    assert_eq!((first.vector.document, first.vector.version), (a.key, 1));
    assert_eq!(first.vector.vector, vector("one\n"));
    assert_eq!((first.keyword.title.as_str(), first.keyword.headings.as_str()), ("A title", "Top Part 0"));
    assert_eq!(first.keyword.language.as_deref(), Some("en"));
    let keys: Vec<u64> = entries.iter().map(|entry| entry.keyword.key.0 as u64).collect();
    assert_eq!(f.catalog.expected_keys(&docs).await.unwrap().iter().collect::<Vec<_>>(), keys);
    let rest = f.catalog.entries_after(&docs, first.vector.key, 1).await.unwrap();
    assert_eq!(rest.iter().map(|e| e.keyword.body.as_str()).collect::<Vec<_>>(), ["two\n"]);
    assert_eq!(f.catalog.index_entries(&docs, a.key, 1).await.unwrap().len(), 2);
    assert_eq!(f.catalog.index_entries(&docs, a.key, 2).await.unwrap().len(), 0);
}

pub(crate) async fn vectors_are_known_by_content(f: &Fixture) {
    let docs = f.docs().await;
    let other = f.make(&administrator(), "other").await;
    f.published(&docs, document("a", "1"), "one\ntwo\none\n").await;
    f.published(&other, document("a", "1"), "three\n").await;
    let hash = |text: &str| ContentHash::of(text.as_bytes());
    let known = f
        .catalog
        .known_vectors(&docs, &[hash("one\n"), hash("two\n"), hash("three\n"), hash("one\n")])
        .await
        .unwrap();
    assert_eq!(known.len(), 2);
    assert_eq!(known[&hash("two\n")], vector("two\n"));
    assert!(f.catalog.known_vectors(&docs, &[]).await.unwrap().is_empty());
}

pub(crate) async fn watermarks_never_go_back(f: &Fixture) {
    let docs = f.docs().await;
    let state = async |index| f.catalog.index_state(&docs, index).await.unwrap();
    assert_eq!(state(IndexKind::Vector).await, (1, Seq(0)));
    f.catalog.record_watermark(&docs, IndexKind::Vector, 1, Seq(7)).await.unwrap();
    f.catalog.record_watermark(&docs, IndexKind::Vector, 1, Seq(5)).await.unwrap();
    assert_eq!(state(IndexKind::Vector).await, (1, Seq(7)));
    assert_eq!(state(IndexKind::Keyword).await, (1, Seq(0)));
    assert_eq!(
        kind(f.catalog.record_watermark(&docs, IndexKind::Vector, 2, Seq(9)).await),
        ErrorKind::Conflict
    );
}

pub(crate) async fn generations_are_swapped_once(f: &Fixture) {
    let docs = f.docs().await;
    f.catalog.record_watermark(&docs, IndexKind::Keyword, 1, Seq(9)).await.unwrap();
    f.catalog.swap_generation(&docs, IndexKind::Keyword, 1, 2, Seq(4)).await.unwrap();
    assert_eq!(f.catalog.index_state(&docs, IndexKind::Keyword).await.unwrap(), (2, Seq(4)));
    assert_eq!(
        kind(f.catalog.swap_generation(&docs, IndexKind::Keyword, 1, 3, Seq(4)).await),
        ErrorKind::Conflict
    );
    assert_eq!(
        kind(f.catalog.record_watermark(&docs, IndexKind::Keyword, 1, Seq(8)).await),
        ErrorKind::Conflict
    );
    assert_eq!(
        kind(f.catalog.swap_generation(&docs, IndexKind::Keyword, 2, 2, Seq(4)).await),
        ErrorKind::Invalid
    );
    assert_eq!(f.catalog.index_state(&docs, IndexKind::Vector).await.unwrap(), (1, Seq(0)));
}

pub(crate) async fn purge_waits_for_both_indexes(f: &Fixture) {
    let docs = f.docs().await;
    let a = f.published(&docs, document("a", "1"), "1").await;
    f.published(&docs, document("a", "2"), "2").await;
    f.published(&docs, document("b", "b"), "b\nb\n").await;
    f.catalog.delete_document(&docs, &id("b")).await.unwrap();
    // Never stored, so no index can hold it.
    f.accept(&docs, document("c", "c")).await;
    let lease = f.lease().await;
    let failed = Ending { state: JobState::Failed, reason: None, message: None, report: json!(null) };
    f.catalog.end_job(&lease, failed).await.unwrap();
    let purged = f.catalog.purge(100).await.unwrap();
    assert_eq!((purged.versions, purged.chunks), (1, 0));
    assert_eq!(purged.blobs, [(TenantId::default_tenant(), ContentHash::of(b"c"))]);
    assert_eq!(f.catalog.job(&administrator(), lease.job).await.unwrap().state, JobState::Failed);

    let seq = f.catalog.last_seq(&docs).await.unwrap();
    f.catalog.record_watermark(&docs, IndexKind::Vector, 1, seq).await.unwrap();
    assert_eq!(f.catalog.purge(100).await.unwrap().versions, 0);
    f.catalog.record_watermark(&docs, IndexKind::Keyword, 1, Seq(seq.0 - 1)).await.unwrap();
    let purged = f.catalog.purge(100).await.unwrap();
    assert_eq!(
        (purged.versions, purged.chunks),
        (1, 1),
        "the superseded version, not yet the deleted document"
    );
    assert_eq!(f.catalog.chunk_keys(&docs, a.key, 1).await.unwrap(), []);
    f.catalog.record_watermark(&docs, IndexKind::Keyword, 1, seq).await.unwrap();
    assert_eq!(f.catalog.purge(100).await.unwrap().versions, 1);
    assert_eq!(f.catalog.purge(100).await.unwrap().versions, 0);

    assert_eq!(f.texts(&docs).await, ["2"]);
    assert_eq!(f.catalog.last_seq(&docs).await.unwrap(), seq, "the sequence goes on where it was");
    let changes = f.catalog.changes(&docs, Seq(0), 10).await.unwrap();
    assert_eq!(changes.iter().map(|c| (c.kind, c.version)).collect::<Vec<_>>(), [(ChangeKind::Stored, 2)]);
    assert!(!f.catalog.blob_in_use(&TenantId::default_tenant(), &ContentHash::of(b"1")).await.unwrap());
    assert!(f.catalog.blob_in_use(&TenantId::default_tenant(), &ContentHash::of(b"2")).await.unwrap());
}

pub(crate) async fn purge_takes_deleted_collections(f: &Fixture) {
    let docs = f.docs().await;
    let other = f.make(&administrator(), "other").await;
    f.published(&other, document("a", "shared"), "stays").await;
    for name in ["a", "b", "c"] {
        f.published(&docs, document(name, name), name).await;
    }
    f.published(&docs, document("d", "shared"), "d").await;
    f.catalog.delete_collection(&docs).await.unwrap();
    assert_eq!(f.catalog.purge(3).await.unwrap().versions, 3);
    let purged = f.catalog.purge(3).await.unwrap();
    assert_eq!(purged.versions, 1);
    assert_eq!(purged.blobs.len(), 3, "the fourth is still in use by the other collection");
    assert_eq!(f.texts(&other).await, ["stays"]);
    assert_eq!(f.catalog.purge(3).await.unwrap().versions, 0);
}

pub(crate) async fn purge_names_blobs_until_they_are_gone(f: &Fixture) {
    let docs = f.docs().await;
    let tenant = TenantId::default_tenant();
    f.published(&docs, document("a", "bytes"), "x").await;
    f.catalog.delete_document(&docs, &id("a")).await.unwrap();
    f.flushed(&docs).await;
    let blob = (tenant.clone(), ContentHash::of(b"bytes"));
    assert_eq!(f.catalog.purge(9).await.unwrap().blobs, std::slice::from_ref(&blob));
    assert_eq!(f.catalog.purge(9).await.unwrap().blobs, std::slice::from_ref(&blob), "as after a crash");
    f.catalog.blob_deleted(&tenant, &blob.1).await.unwrap();
    assert_eq!(f.catalog.purge(9).await.unwrap().blobs, []);
    // One that comes back in time is spared.
    f.published(&docs, document("b", "again"), "x").await;
    f.catalog.delete_document(&docs, &id("b")).await.unwrap();
    f.flushed(&docs).await;
    assert_eq!(f.catalog.purge(9).await.unwrap().blobs.len(), 1);
    f.accept(&docs, document("c", "again")).await;
    assert_eq!(f.catalog.purge(9).await.unwrap().blobs, []);
}

pub(crate) async fn a_sound_catalog_has_no_damage(f: &Fixture) {
    let docs = f.docs().await;
    f.published(&docs, document("a", "1"), "one\ntwo\n").await;
    f.published(&docs, document("a", "2"), "three").await;
    f.published(&docs, document("e", "e"), "").await;
    f.stored(&docs, document("b", "3"), "stored").await;
    // The caller checks every catalog when its rule is done.
    f.catalog.ping().await.unwrap();
    assert_eq!(f.catalog.expected_keys(&docs).await.unwrap().len(), 2);
}
