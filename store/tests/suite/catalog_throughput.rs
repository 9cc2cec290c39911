//! How many small documents a second the write path takes, and how fast hits are joined. Run by hand:
//! `cargo test -p wellspring-store --test suite catalog_throughput -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::Instant;

use crate::contract::fixture::{self, Fixture, MINUTE, document, processed, user};
use wellspring_store::catalog::sqlite::SqliteCatalog;
use wellspring_store::clock::TestClock;
use wellspring_store::{ChunkKey, Filter, Metadata, NewDocument};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn throughput() {
    const DOCUMENTS: usize = 1000;
    for concurrency in [1, 4, 16] {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let clock = TestClock::at(0);
        let catalog =
            SqliteCatalog::open(folder.path().join("catalog.db"), Arc::new(clock.clone())).await.unwrap();
        let f = Arc::new(Fixture { catalog: Arc::new(catalog), clock });
        let docs = f.docs().await;
        let started = Instant::now();
        let tasks = (0..concurrency).map(|task| {
            let (f, docs) = (f.clone(), docs.clone());
            tokio::spawn(async move {
                for i in (task..DOCUMENTS).step_by(concurrency) {
                    let name = format!("d{i}");
                    let metadata = Metadata::from([("n".to_owned(), i.into())]);
                    let new = NewDocument { metadata: metadata.clone(), ..document(&name, &name) };
                    f.accept(&docs, new).await;
                    let lease = f.catalog.lease("w", MINUTE).await.unwrap().unwrap();
                    let text = "a line of a dozen words or so that makes up one chunk\n".repeat(5);
                    let mut made = processed(lease.document_key, lease.version, &text);
                    made.metadata = metadata;
                    f.catalog.store_version(&lease, made).await.unwrap();
                    f.catalog.publish(&lease, serde_json::Value::Null).await.unwrap();
                }
            })
        });
        futures::future::try_join_all(tasks).await.unwrap();
        let seconds = started.elapsed().as_secs_f64();
        eprintln!("concurrency {concurrency}: {:.0} documents/s of 5 chunks", DOCUMENTS as f64 / seconds);
        if concurrency == 4 {
            reads(&f).await;
        }
    }
}

async fn reads(f: &Fixture) {
    let docs = f.as_seen_by(&fixture::administrator()).await;
    let filter = Filter::parse("n >= 100").unwrap();
    for (count, filter) in [(100, None), (100, Some(&filter)), (5000, None), (5000, Some(&filter))] {
        let keys: Vec<ChunkKey> = (1..=count).map(ChunkKey).collect();
        let started = Instant::now();
        for _ in 0..10 {
            f.catalog.visible_chunks(&docs, &keys, filter).await.unwrap();
        }
        let millis = started.elapsed().as_secs_f64() * 100.0;
        eprintln!("visible_chunks of {count} keys, filter {}: {millis:.2} ms", filter.is_some());
    }
    let ada = f.as_seen_by(&user(&["user:ada"])).await;
    for (scope, filter, what) in [(&docs, Some(&filter), "filter"), (&ada, None, "access list")] {
        let started = Instant::now();
        for _ in 0..10 {
            f.catalog.candidates(scope, filter).await.unwrap();
        }
        eprintln!(
            "candidates of 1000 documents by {what}: {:.2} ms",
            started.elapsed().as_secs_f64() * 100.0
        );
    }
}
