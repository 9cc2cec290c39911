//! Deletes, updates and many callers at once.

use serde_json::json;
use wellspring_store::*;

use crate::contract::fixture::*;
use wellspring_store::catalog::ChangeKind;
use wellspring_store::jobs::{JobState, Stage};

pub(crate) async fn deleting_beats_a_running_job(f: &Fixture) {
    let docs = f.docs().await;
    f.published(&docs, document("a", "old"), "old").await;
    let stored = f.stored(&docs, document("a", "new"), "new").await;
    f.accept(&docs, document("b", "early")).await;
    let early = f.lease().await;
    let seq = f.catalog.delete_document(&docs, &id("a")).await.unwrap();
    f.catalog.delete_document(&docs, &id("b")).await.unwrap();
    assert_eq!(f.texts(&docs).await, Vec::<String>::new());
    assert_eq!(kind(f.catalog.delete_document(&docs, &id("a")).await), ErrorKind::NotFound);
    let removed = f.catalog.changes(&docs, Seq(seq.0 - 1), 1).await.unwrap();
    assert_eq!((removed[0].kind, removed[0].version), (ChangeKind::Removed, 1));

    assert!(f.catalog.heartbeat(&stored, Stage::Index, None, MINUTE).await.unwrap());
    assert_eq!(f.catalog.publish(&stored, json!(null)).await.unwrap(), JobState::Cancelled);
    let last = f.catalog.changes(&docs, seq, 9).await.unwrap();
    assert_eq!((last.len(), last[0].kind, last[0].version), (1, ChangeKind::Removed, 2));

    let late = processed(early.document_key, 1, "late");
    assert_eq!(kind(f.catalog.store_version(&early, late).await), ErrorKind::Conflict);
    let job = f.catalog.job(&administrator(), early.job).await.unwrap();
    assert_eq!((job.state, job.reason.as_deref()), (JobState::Cancelled, Some("deleted")));
    assert_eq!(f.texts(&docs).await, Vec::<String>::new());
    assert!(f.catalog.expected_keys(&docs).await.unwrap().is_empty());
}

pub(crate) async fn deleting_cancels_queued_jobs(f: &Fixture) {
    let docs = f.docs().await;
    let job = f.accept(&docs, document("a", "x")).await.job;
    f.catalog.delete_document(&docs, &id("a")).await.unwrap();
    let seen = f.catalog.job(&administrator(), job).await.unwrap();
    assert_eq!((seen.state, seen.reason.as_deref()), (JobState::Cancelled, Some("deleted")));
    let other = f.accept(&docs, document("b", "x")).await.job;
    f.catalog.delete_collection(&docs).await.unwrap();
    assert!(f.catalog.lease("w", MINUTE).await.unwrap().is_none());
    assert_eq!(kind(f.catalog.job(&administrator(), other).await), ErrorKind::NotFound);
    assert_eq!(f.catalog.backlog().await.unwrap().0, 0);
}

pub(crate) async fn a_deleted_document_starts_anew(f: &Fixture) {
    let docs = f.docs().await;
    let first = f.published(&docs, document("a", "one"), "one").await;
    f.catalog.delete_document(&docs, &id("a")).await.unwrap();
    let second = f.published(&docs, document("a", "two"), "two").await;
    assert_ne!(first.key, second.key);
    assert_eq!(second.version, 1);
    f.flushed(&docs).await;
    assert_eq!(f.catalog.purge(100).await.unwrap().versions, 1);
    assert_eq!(f.texts(&docs).await, ["two"]);
}

pub(crate) async fn storing_again_replaces(f: &Fixture) {
    let docs = f.docs().await;
    let lease = f.stored(&docs, document("a", "x"), "one\ntwo\nthree\n").await;
    let first = f.catalog.chunk_keys(&docs, lease.document_key, 1).await.unwrap();
    f.clock.advance(MINUTE);
    let lease = f.lease().await;
    let again = processed(lease.document_key, 1, "four\n");
    let seq = f.catalog.store_version(&lease, again).await.unwrap();
    let kinds: Vec<ChangeKind> =
        f.catalog.changes(&docs, Seq(0), 9).await.unwrap().into_iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Stored, ChangeKind::Removed, ChangeKind::Stored]);
    assert_eq!(f.catalog.last_seq(&docs).await.unwrap(), seq);
    // Every key that an index may hold is named; only the new one is to be held.
    let keys = f.catalog.chunk_keys(&docs, lease.document_key, 1).await.unwrap();
    assert_eq!((keys.len(), &keys[..3]), (4, first.as_slice()));
    let entries = f.catalog.index_entries(&docs, lease.document_key, 1).await.unwrap();
    assert_eq!(
        entries.iter().map(|e| (e.vector.key, e.keyword.body.as_str())).collect::<Vec<_>>(),
        [(keys[3], "four\n")]
    );
    assert_eq!(f.catalog.expected_keys(&docs).await.unwrap().iter().collect::<Vec<_>>(), [keys[3].0 as u64]);
    f.catalog.publish(&lease, json!(null)).await.unwrap();
    assert_eq!(f.texts(&docs).await, ["four\n"]);
    assert_eq!(f.catalog.chunks(&docs, &id("a")).await.unwrap().len(), 1);
    f.catalog.delete_document(&docs, &id("a")).await.unwrap();
    f.flushed(&docs).await;
    assert_eq!(f.catalog.purge(9).await.unwrap().versions, 1);
    assert_eq!(f.catalog.chunk_keys(&docs, lease.document_key, 1).await.unwrap(), []);
}

pub(crate) async fn many_writers_at_once_lose_nothing(f: &Fixture) {
    let docs = f.docs().await;
    let accepted = (0..60).map(|i| {
        let (catalog, docs) = (f.catalog.clone(), docs.clone());
        // Ten documents with six versions each, and one idempotency key per request, each sent twice.
        tokio::spawn(async move {
            let (name, text) = (format!("d{}", i % 10), format!("text {i}"));
            let new = document(&name, &text);
            let key = key(&format!("k{i}"), &text);
            let (one, two) = tokio::join!(
                catalog.accept(&docs, new.clone(), key.clone()),
                catalog.accept(&docs, new.clone(), key.clone())
            );
            assert_eq!(one.unwrap(), two.unwrap());
        })
    });
    futures::future::try_join_all(accepted).await.unwrap();
    let workers = (0..4).map(|worker| {
        let catalog = f.catalog.clone();
        tokio::spawn(async move {
            let mut done = 0;
            while let Some(lease) = catalog.lease(&format!("w{worker}"), MINUTE).await.unwrap() {
                let text = format!("{} version {}", lease.document.id, lease.version);
                catalog
                    .store_version(&lease, processed(lease.document_key, lease.version, &text))
                    .await
                    .unwrap();
                assert_eq!(catalog.publish(&lease, json!(null)).await.unwrap(), JobState::Indexed);
                done += 1;
            }
            done
        })
    });
    // A worker stops when everything left is blocked by another worker's job.
    let mut done: usize = futures::future::try_join_all(workers).await.unwrap().into_iter().sum();
    while let Some(lease) = f.catalog.lease("last", MINUTE).await.unwrap() {
        let text = format!("{} version {}", lease.document.id, lease.version);
        f.catalog.store_version(&lease, processed(lease.document_key, lease.version, &text)).await.unwrap();
        f.catalog.publish(&lease, json!(null)).await.unwrap();
        done += 1;
    }
    assert_eq!(done, 60);
    let page = f.catalog.documents(&docs, None, None, 100).await.unwrap();
    assert_eq!(page.items.iter().map(|d| d.version).collect::<Vec<_>>(), [6; 10]);
    let mut texts = f.texts(&docs).await;
    texts.sort();
    assert_eq!(texts, (0..10).map(|i| format!("d{i} version 6")).collect::<Vec<_>>());
}
