//! A backup that is taken while others write, delete and purge shows one moment, whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{clean, config, restored, taken};
use crate::world;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_and_purges_go_on_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let store = world::open(&folder.path().join("data")).await;
    let scope = world::collection(&store, "docs").await;
    for number in 0..30 {
        world::add(&store, &scope, &format!("old-{number}"), &["one passage", "and another"]).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (writer, ended) = (store.clone(), Arc::clone(&stop));
    let (written, mut rounds) = tokio::sync::mpsc::channel(1);
    let writing = tokio::spawn(async move {
        for number in 0_u32.. {
            world::add(&writer, &scope, &format!("new-{number}"), &["a pump", "a valve", "a cellar"]).await;
            world::delete(&writer, &scope, &format!("old-{}", number % 30)).await;
            world::add(&writer, &scope, &format!("old-{}", (number + 7) % 30), &["written again"]).await;
            writer.purge_once(100).await.unwrap();
            if number > 0 && ended.load(Ordering::SeqCst) {
                return (scope, number);
            }
            let _ = written.try_send(number);
        }
        unreachable!("it is told to stop");
    });
    rounds.recv().await.unwrap();
    let mut moments = Vec::new();
    for number in 0..3 {
        let backup = folder.path().join(format!("backup-{number}"));
        let manifest = taken(&config(&folder.path().join("data")), &backup).await;
        assert!(manifest.blobs.missing.is_empty(), "{manifest:?}");
        moments.push((backup, manifest));
        // Something happens between one and the next.
        rounds.recv().await.unwrap();
        rounds.recv().await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    let (scope, _) = writing.await.unwrap();
    // What was kept for the backups goes with the next purge.
    while store.purge_once(100).await.unwrap().versions > 0 {}
    world::close(store).await;
    world::close(clean(config(&folder.path().join("data"))).await).await;

    assert!(moments.windows(2).all(|pair| pair[0].1.sequence < pair[1].1.sequence));
    for (number, (backup, manifest)) in moments.iter().enumerate() {
        let into = config(&folder.path().join(format!("again-{number}")));
        restored(&into, backup).await.unwrap();
        let store = clean(into).await;
        let documents = store.catalog.documents(&scope, None, None, 1000).await.unwrap().items;
        assert!(documents.len() as u64 <= manifest.rows("documents"));
        assert!(documents.len() > 20, "{}", documents.len());
        for document in documents {
            let chunks = store.catalog.chunks(&scope, &document.id).await.unwrap();
            let whole = if document.id.as_str().starts_with("new") { 3 } else { chunks.len() };
            assert_eq!(chunks.len(), whole, "{}", document.id);
            assert_eq!(chunks.len(), document.chunks as usize, "{}", document.id);
        }
        world::close(store).await;
    }
}
