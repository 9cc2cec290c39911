//! Every kind of drift is found, said, and mended; searches afterwards answer as before.

use std::time::Duration;

use crate::world::{DIMENSION, add, answers, close, collection, embed, fill, index_folder, open, stored};
use bytes::Bytes;
use futures::StreamExt;
use wellspring_store::catalog::IndexKind;
use wellspring_store::keyword::KeywordEntry;
use wellspring_store::vector::VectorEntry;
use wellspring_store::verify::{Finding, FindingKind, VerifyOptions, VerifyReport, verify};
use wellspring_store::{ChunkKey, CollectionScope, DocumentKey, Seq, Store};

const LOOK: VerifyOptions = VerifyOptions { repair: false, orphan_grace: Duration::ZERO };
const MEND: VerifyOptions = VerifyOptions { repair: true, orphan_grace: Duration::ZERO };

async fn look(store: &Store, options: VerifyOptions) -> VerifyReport {
    verify(store, None, options, None).await.unwrap()
}

fn said(report: &VerifyReport) -> Vec<(&'static str, FindingKind, u64, bool)> {
    report
        .findings
        .iter()
        .map(|Finding { part, kind, count, mended, .. }| (*part, *kind, *count, *mended))
        .collect()
}

/// Finds exactly this, mends it, and is clean afterwards with the answers of before.
async fn finds_and_mends(
    store: &Store,
    scope: &CollectionScope,
    before: &[Vec<ChunkKey>],
    wanted: &[(&'static str, FindingKind, u64)],
) {
    let found: Vec<_> = wanted.iter().map(|&(part, kind, count)| (part, kind, count, false)).collect();
    let report = look(store, LOOK).await;
    assert_eq!(said(&report), found);
    assert!(!report.is_clean() && !report.is_mended());
    assert!(
        report.findings.iter().all(|finding| !finding.examples.is_empty() && finding.examples.len() <= 5)
    );
    assert_eq!(said(&look(store, LOOK).await), found, "looking mends nothing");
    let report = look(store, MEND).await;
    assert_eq!(
        said(&report),
        wanted.iter().map(|&(part, kind, count)| (part, kind, count, true)).collect::<Vec<_>>()
    );
    assert!(report.is_mended());
    assert_eq!(said(&look(store, LOOK).await), []);
    assert_eq!(answers(store, scope).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_differ_are_found_and_mended() {
    let store = Store::in_memory().await.unwrap();
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    while store.purge_once(1_000).await.unwrap().versions > 0 {}
    let report = look(&store, LOOK).await;
    assert_eq!(said(&report), []);
    assert_eq!((report.collections, report.entries, report.blobs), (1, 60, 11));
    let before = answers(&store, &scope).await;
    let keys: Vec<ChunkKey> =
        store.catalog.expected_keys(&scope).await.unwrap().iter().map(|key| ChunkKey(key as i64)).collect();

    let vector = store.indexes.vector(&scope).await.unwrap();
    vector.remove(&keys[3..10]).await.unwrap();
    finds_and_mends(&store, &scope, &before, &[("vector", FindingKind::Missing, 7)]).await;

    let keyword = store.indexes.keyword(&scope).await.unwrap();
    let flushed = keyword.watermark().await.unwrap();
    keyword.remove(&keys[3..5]).await.unwrap();
    keyword.flush(flushed).await.unwrap();
    finds_and_mends(&store, &scope, &before, &[("keyword", FindingKind::Missing, 2)]).await;

    let extra = |key| VectorEntry {
        key: ChunkKey(key),
        document: DocumentKey(1),
        version: 1,
        vector: embed("extra"),
    };
    let vector = store.indexes.vector(&scope).await.unwrap();
    vector.upsert(vec![extra(90_001), extra(90_002)]).await.unwrap();
    finds_and_mends(&store, &scope, &before, &[("vector", FindingKind::Extra, 2)]).await;

    let word = |key: ChunkKey| KeywordEntry {
        key,
        document: DocumentKey(1),
        version: 1,
        title: String::new(),
        headings: String::new(),
        body: "altered".into(),
        language: None,
    };
    let keyword = store.indexes.keyword(&scope).await.unwrap();
    keyword.upsert(vec![word(keys[0]), word(ChunkKey(90_003))]).await.unwrap();
    keyword.flush(flushed).await.unwrap();
    let wanted = [("keyword", FindingKind::Extra, 1), ("keyword", FindingKind::Stale, 1)];
    finds_and_mends(&store, &scope, &before, &wanted).await;

    let vector = store.indexes.vector(&scope).await.unwrap();
    let mut nearly = embed("valve 2");
    nearly.swap(0, DIMENSION - 1);
    vector.upsert(vec![VectorEntry { vector: nearly, ..extra(keys[1].0) }]).await.unwrap();
    finds_and_mends(&store, &scope, &before, &[("vector", FindingKind::Stale, 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_bytes_are_found_in_an_open_index_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    while store.purge_once(1_000).await.unwrap().versions > 0 {}
    let before = answers(&store, &scope).await;
    let home = index_folder(folder.path(), &scope, IndexKind::Keyword, 1);
    for file in fs_err::read_dir(&home).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|end| end == "store") {
            let mut bytes = fs_err::read(&file).unwrap();
            bytes[3] ^= 0xFF;
            // A new file, not the one that is mapped: tests must not tear pages under the reader.
            let new = file.with_extension("new");
            fs_err::write(&new, bytes).unwrap();
            fs_err::rename(&new, &file).unwrap();
        }
    }
    finds_and_mends(&store, &scope, &before, &[("keyword", FindingKind::Unreadable, 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opening_mended_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    while store.purge_once(1_000).await.unwrap().versions > 0 {}
    let before = answers(&store, &scope).await;
    close(store).await;
    fs_err::remove_dir_all(folder.path().join("indexes")).unwrap();
    let store = open(folder.path()).await;
    assert_eq!(said(&look(&store, LOOK).await), [("keyword", FindingKind::MendedAtOpening, 30, true)]);
    assert_eq!(answers(&store, &scope).await, before);
    close(store).await;
    assert_eq!(said(&look(&open(folder.path()).await, LOOK).await), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_compared_and_orphans_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let scope = collection(&store, "docs").await;
    for id in ["kept", "lost", "changed"] {
        add(&store, &scope, id, &["text"]).await;
    }
    let hash = |id: &'static str| {
        let (store, scope) = (&store, &scope);
        async move { store.catalog.blob(scope, &wellspring_store::DocumentId::new(id).unwrap()).await.unwrap() }
    };
    store.blobs.delete(scope.tenant(), &hash("lost").await).await.unwrap();
    let changed = hash("changed").await.to_hex();
    let file = walk(&folder.path().join("blobs")).into_iter().find(|path| {
        let name: String =
            path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        name.ends_with(&changed)
    });
    fs_err::write(file.unwrap(), b"other bytes").unwrap();
    // Accepted and not visible yet: its bytes are all there is of it.
    let (waiting, _) = stored(&store, &scope, "waiting", &["text".to_owned()]).await;
    store.blobs.delete(scope.tenant(), &waiting.document.blob).await.unwrap();
    let stream = futures::stream::iter([Ok(Bytes::from_static(b"nobody's"))]).boxed();
    let (orphan, _) = store.blobs.put(scope.tenant(), stream, 100).await.unwrap();
    let wanted = |mended| {
        [
            ("blobs", FindingKind::Missing, 2, false),
            ("blobs", FindingKind::Corrupt, 1, false),
            ("blobs", FindingKind::Orphaned, 1, mended),
        ]
    };
    let report = look(&store, LOOK).await;
    assert_eq!(said(&report), wanted(false));
    assert_eq!(
        (report.findings[0].examples.join(" "), report.findings[1].examples.join(" ")),
        ("lost waiting".to_owned(), "changed".to_owned())
    );
    assert_eq!(report.findings[2].examples, [orphan.to_hex()]);
    assert!(store.blobs.get(scope.tenant(), &orphan).await.is_ok());
    let report = look(&store, MEND).await;
    assert_eq!(said(&report), wanted(true));
    assert!(!report.is_mended(), "lost bytes can't be mended");
    assert!(store.blobs.get(scope.tenant(), &orphan).await.is_err());
    assert!(store.blobs.get(scope.tenant(), &hash("kept").await).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_collection_can_be_looked_at_alone() {
    let store = Store::in_memory().await.unwrap();
    let (one, two) = (collection(&store, "one").await, collection(&store, "two").await);
    for scope in [&one, &two] {
        add(&store, scope, "d", &["text"]).await;
        let keyword = store.indexes.keyword(scope).await.unwrap();
        keyword
            .remove(&keyword.keys().await.unwrap().iter().map(|key| ChunkKey(key as i64)).collect::<Vec<_>>())
            .await
            .unwrap();
        keyword.flush(Seq(1)).await.unwrap();
    }
    let report = verify(&store, Some(&two), LOOK, None).await.unwrap();
    assert_eq!(report.collections, 1);
    assert_eq!(
        report.findings.iter().filter_map(|finding| finding.collection.as_deref()).collect::<Vec<_>>(),
        ["two"]
    );
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files.extend(walk(&entry));
        } else {
            files.push(entry);
        }
    }
    files
}
