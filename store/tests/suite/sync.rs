//! Indexes follow the catalog: through updates, restarts, losses, old copies and new generations.

use std::time::Duration;

#[cfg(feature = "edge")]
use crate::world::engine_becomes;
use crate::world::{
    add, administrator, answers, close, collection, copy_folder, delete, fill, index_folder, name, open,
    open_with, stored,
};
use sqlx::Connection;
use wellspring_store::catalog::IndexKind;
use wellspring_store::sync::SyncConfig;
use wellspring_store::{ErrorKind, Seq, Store};

#[tokio::test(flavor = "multi_thread")]
async fn indexes_hold_exactly_what_the_catalog_expects() {
    let store = Store::in_memory().await.unwrap();
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    let expected = store.catalog.expected_keys(&scope).await.unwrap();
    assert_eq!(expected.len(), 3 * 2 + 8 * 3);
    assert_eq!(store.indexes.vector(&scope).await.unwrap().keys().await.unwrap(), expected);
    assert_eq!(store.indexes.keyword(&scope).await.unwrap().keys().await.unwrap(), expected);
    assert!(store.indexes.lag().await.unwrap().iter().all(|lag| lag.behind == 0));
    let stats = store.indexes.stats(&scope).await.unwrap();
    assert_eq!((stats.vector.entries, stats.keyword_entries), (30, 30));
    assert_eq!((stats.vector.engine, stats.vector.quantization), ("flat", "int8"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_attempt_leaves_nothing_of_the_first() {
    let store = Store::in_memory().await.unwrap();
    let scope = collection(&store, "docs").await;
    let (lease, first) =
        stored(&store, &scope, "a", &["first attempt".into(), "second passage".into()]).await;
    store.indexes.catch_up(&scope, first).await.unwrap();
    let retry = wellspring_store::jobs::Retry {
        after: Duration::ZERO,
        reason: "test".into(),
        message: "test".into(),
        counts: true,
    };
    store.catalog.retry_job(&lease, retry).await.unwrap();
    let lease = store.catalog.lease("again", Duration::from_secs(60)).await.unwrap().unwrap();
    let processed = wellspring_store::ProcessedDocument {
        text: "only".into(),
        title: None,
        media_type: "text/plain".into(),
        metadata: Default::default(),
        pages: Vec::new(),
        offsets: serde_json::Value::Null,
        warnings: Vec::new(),
        pipeline: "test".into(),
        chunks: Vec::new(),
    };
    let second = store.catalog.store_version(&lease, processed).await.unwrap();
    store.indexes.catch_up(&scope, second).await.unwrap();
    assert!(store.indexes.vector(&scope).await.unwrap().keys().await.unwrap().is_empty());
    assert!(store.indexes.keyword(&scope).await.unwrap().keys().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_wait_together_all_get_there() {
    let store = Store::in_memory().await.unwrap();
    let scope = collection(&store, "docs").await;
    let mut seqs = Vec::new();
    for i in 0..20 {
        seqs.push(stored(&store, &scope, &format!("d{i}"), &[format!("passage {i}")]).await.1);
    }
    let waits = seqs.iter().map(|&seq| store.indexes.catch_up(&scope, seq));
    for result in futures::future::join_all(waits).await {
        result.unwrap();
    }
    assert_eq!(store.indexes.keyword(&scope).await.unwrap().len().await.unwrap(), 20);
    let beyond = store.indexes.catch_up(&scope, Seq(1_000_000)).await.unwrap_err();
    assert_eq!(beyond.kind(), ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    let before = answers(&store, &scope).await;
    // Stored, but the process ends before it is indexed.
    stored(&store, &scope, "late", &["a turbine".into()]).await;
    close(store).await;
    let store = open(folder.path()).await;
    let scope = collection(&store, "docs").await;
    assert_eq!(answers(&store, &scope).await, before);
    assert!(store.indexes.mended_at_opening(&scope).await.unwrap().is_empty());
    assert_eq!(store.indexes.vector(&scope).await.unwrap().keys().await.unwrap().len(), 31);
    assert_eq!(store.indexes.keyword(&scope).await.unwrap().keys().await.unwrap().len(), 31);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_damaged_index_comes_back_from_the_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    let before = answers(&store, &scope).await;
    close(store).await;
    for damage in ["lost", "truncated", "meta"] {
        let store = open(folder.path()).await;
        let generation = store.indexes.stats(&scope).await.unwrap().keyword_generation;
        close(store).await;
        let home = index_folder(folder.path(), &scope, IndexKind::Keyword, generation);
        match damage {
            "lost" => fs_err::remove_dir_all(&home).unwrap(),
            "meta" => fs_err::write(home.join("meta.json"), "{}").unwrap(),
            _ => {
                for file in fs_err::read_dir(&home).unwrap().map(|file| file.unwrap().path()) {
                    if file.extension().is_some_and(|end| end == "idx" || end == "fast") {
                        fs_err::write(&file, b"?").unwrap();
                    }
                }
            }
        }
        let store = open(folder.path()).await;
        assert_eq!(answers(&store, &scope).await, before, "{damage}");
        let mended = store.indexes.mended_at_opening(&scope).await.unwrap();
        assert_eq!(mended.len(), 1, "{damage}: {mended:?}");
        assert_eq!((mended[0].index, mended[0].entries), ("keyword", 30));
        close(store).await;
    }
}

/// Index files of last week beside today's catalog, whose changes since are purged.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_an_index_is_brought_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    close(store).await;
    copy_folder(&folder.path().join("indexes"), &folder.path().join("old"));
    let store = open(folder.path()).await;
    delete(&store, &scope, "doc-5").await;
    add(&store, &scope, "new", &["a condenser"]).await;
    assert!(store.purge_once(1_000).await.unwrap().versions > 0);
    let before = answers(&store, &scope).await;
    close(store).await;
    fs_err::remove_dir_all(folder.path().join("indexes")).unwrap();
    fs_err::rename(folder.path().join("old"), folder.path().join("indexes")).unwrap();
    let store = open(folder.path()).await;
    assert_eq!(answers(&store, &scope).await, before);
    assert_eq!(store.indexes.mended_at_opening(&scope).await.unwrap().len(), 1);
}

/// Today's index files beside last week's catalog: what came after must not be found.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_newer_than_the_catalog_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    let before = answers(&store, &scope).await;
    close(store).await;
    let restored = tempfile::tempdir().unwrap();
    let backup = format!("VACUUM INTO '{}'", restored.path().join("catalog.db").display());
    let catalog = format!("sqlite://{}", folder.path().join("catalog.db").display());
    let mut connection = sqlx::SqliteConnection::connect(&catalog).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(backup)).execute(&mut connection).await.unwrap();
    let store = open(folder.path()).await;
    delete(&store, &scope, "doc-5").await;
    add(&store, &scope, "new", &["pump from the future"]).await;
    close(store).await;
    copy_folder(&folder.path().join("indexes"), &restored.path().join("indexes"));
    let store = open(restored.path()).await;
    assert_eq!(answers(&store, &scope).await, before);
    assert_eq!(store.indexes.stats(&scope).await.unwrap().keyword_generation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_generation_answers_like_the_old_one_and_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    let before = answers(&store, &scope).await;
    let told = std::sync::Arc::new(std::sync::Mutex::new((0, 0)));
    let progress = std::sync::Arc::clone(&told);
    let progress: wellspring_store::sync::Progress =
        std::sync::Arc::new(move |done, total| *progress.lock().unwrap() = (done, total));
    store.indexes.rebuild(&scope, IndexKind::Keyword, Some(progress)).await.unwrap();
    store.indexes.rebuild(&scope, IndexKind::Vector, None).await.unwrap();
    assert_eq!(*told.lock().unwrap(), (30, 30));
    let stats = store.indexes.stats(&scope).await.unwrap();
    assert_eq!((stats.vector_generation, stats.keyword_generation, stats.building), (2, 2, false));
    assert_eq!(answers(&store, &scope).await, before);
    assert!(!index_folder(folder.path(), &scope, IndexKind::Keyword, 1).exists());
    assert!(index_folder(folder.path(), &scope, IndexKind::Keyword, 2).exists());
    // Writes go to the new one.
    add(&store, &scope, "after", &["a condenser"]).await;
    store.indexes.optimize(&scope).await.unwrap();
    let answered = answers(&store, &scope).await;
    // What an interrupted build leaves is removed.
    close(store).await;
    fs_err::create_dir_all(index_folder(folder.path(), &scope, IndexKind::Keyword, 3)).unwrap();
    let store = open(folder.path()).await;
    assert_eq!(answers(&store, &scope).await, answered);
    assert!(!index_folder(folder.path(), &scope, IndexKind::Keyword, 3).exists());
    assert_eq!(store.indexes.vector(&scope).await.unwrap().keys().await.unwrap().len(), 31);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_while_a_generation_is_built() {
    let store = Store::in_memory().await.unwrap();
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    let building = async {
        for _ in 0..3 {
            store.indexes.rebuild(&scope, IndexKind::Keyword, None).await.unwrap();
            store.indexes.rebuild(&scope, IndexKind::Vector, None).await.unwrap();
        }
    };
    let writing = async {
        for i in 0..10 {
            add(&store, &scope, &format!("w{i}"), &["while building", "another"]).await;
            delete(&store, &scope, &format!("w{}", i / 2)).await;
            add(&store, &scope, &format!("w{}", i / 2), &["once more"]).await;
        }
    };
    tokio::join!(building, writing);
    let last = store.catalog.last_seq(&scope).await.unwrap();
    store.indexes.catch_up(&scope, last).await.unwrap();
    let expected = store.catalog.expected_keys(&scope).await.unwrap();
    assert_eq!(store.indexes.vector(&scope).await.unwrap().keys().await.unwrap(), expected);
    assert_eq!(store.indexes.keyword(&scope).await.unwrap().keys().await.unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_collections_than_may_be_open_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_with(folder.path(), SyncConfig { max_open: 1, ..SyncConfig::default() }).await;
    let mut scopes = Vec::new();
    for called in ["a", "b", "c"] {
        scopes.push(collection(&store, called).await);
    }
    for round in 0..3 {
        for scope in &scopes {
            add(&store, scope, &format!("d{round}"), &[scope.name().as_str()]).await;
        }
    }
    for scope in &scopes {
        assert_eq!(store.indexes.keyword(scope).await.unwrap().len().await.unwrap(), 3);
        assert_eq!(store.indexes.vector(scope).await.unwrap().keys().await.unwrap().len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_of_a_deleted_collection_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (one, two) = (collection(&store, "one").await, collection(&store, "two").await);
    for scope in [&one, &two] {
        add(&store, scope, "d", &["text"]).await;
        store.catalog.delete_collection(scope).await.unwrap();
    }
    store.indexes.drop_collection(one.key()).await.unwrap();
    let home = |scope: &wellspring_store::CollectionScope| {
        folder.path().join("indexes").join(scope.key().0.to_string())
    };
    assert!(!home(&one).exists() && home(&two).exists());
    assert_eq!(store.indexes.vector(&one).await.err().unwrap().kind(), ErrorKind::NotFound);
    close(store).await;
    let store = open(folder.path()).await;
    assert!(!home(&two).exists(), "left-overs go at opening");
    assert!(store.catalog.collection(&administrator(), &name("two")).await.is_err());
}

/// A collection that grows beyond the limit moves to the graph, stays there over a restart, survives its loss, and
/// comes back when it shrinks.
#[cfg(feature = "edge")]
#[tokio::test(flavor = "multi_thread")]
async fn the_engine_follows_the_size() {
    let folder = tempfile::tempdir().unwrap();
    let config = SyncConfig { flat_max_chunks: 20, ..SyncConfig::default() };
    let store = open_with(folder.path(), config.clone()).await;
    let scope = collection(&store, "docs").await;
    fill(&store, &scope).await;
    engine_becomes(&store, &scope, "edge").await;
    let before = answers(&store, &scope).await;
    add(&store, &scope, "more", &["a condenser"]).await;
    delete(&store, &scope, "more").await;
    let generation = store.indexes.stats(&scope).await.unwrap().vector_generation;
    assert!(store.indexes.stats(&scope).await.unwrap().vector.reason.contains("more than the 20"));
    close(store).await;
    let store = open_with(folder.path(), config.clone()).await;
    assert_eq!(store.indexes.stats(&scope).await.unwrap().vector.engine, "edge");
    assert_eq!(answers(&store, &scope).await, before);
    assert!(store.indexes.mended_at_opening(&scope).await.unwrap().is_empty());
    close(store).await;
    fs_err::remove_file(index_folder(folder.path(), &scope, IndexKind::Vector, generation).join("watermark"))
        .unwrap();
    let store = open_with(folder.path(), config).await;
    assert_eq!(answers(&store, &scope).await, before);
    assert_eq!(store.indexes.mended_at_opening(&scope).await.unwrap().len(), 1);
    engine_becomes(&store, &scope, "edge").await;
    assert_eq!(answers(&store, &scope).await, before);
    for i in 0..8 {
        delete(&store, &scope, &format!("doc-{i}")).await;
    }
    engine_becomes(&store, &scope, "flat").await;
    assert_eq!(store.indexes.vector(&scope).await.unwrap().keys().await.unwrap().len(), 9);
}
