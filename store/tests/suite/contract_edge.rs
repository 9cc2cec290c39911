//! The vector contract on the approximate engine, its recall against an exact scan, and what a crash leaves of it.
#![cfg(feature = "edge")]
use crate::contract::vector::{self, DIMENSION, Random, entries, entry, keys_of, random_unit, unit};
use roaring::RoaringTreemap;
use wellspring_store::vector::VectorIndex;
use wellspring_store::vector::edge::EdgeIndex;
use wellspring_store::vector::flat::{FlatIndex, Form, ScanPool};
use wellspring_store::{ChunkKey, ErrorKind, Seq};

#[tokio::test]
async fn edge() {
    let folder = tempfile::tempdir().unwrap();
    let index = EdgeIndex::open(&folder.path().join("g1"), DIMENSION, "test").unwrap();
    vector::check(&index).await;
    let keys = index.keys().await.unwrap();
    index.close().await.unwrap();
    index.close().await.unwrap();
    assert_eq!(index.keys().await.unwrap_err().kind(), ErrorKind::Unavailable);
    let again = EdgeIndex::open(&folder.path().join("g1"), DIMENSION, "test").unwrap();
    assert_eq!(again.keys().await.unwrap(), keys);
    assert_eq!(again.watermark().await.unwrap(), Seq(111));
    again.close().await.unwrap();
}

/// Clustered vectors in numbers that the graph is built for. Few candidates are compared exactly, so their recall is 1.
#[tokio::test]
async fn recall_holds_with_and_without_candidates() {
    const N: i64 = 20_000;
    const D: usize = 192;
    let mut random = Random(31);
    let centres: Vec<_> = (0..100).map(|_| random_unit(&mut random, D)).collect();
    let sample = |random: &mut Random| {
        let centre = &centres[random.below(100) as usize];
        unit(centre.iter().map(|x| x + 0.06 * random.normal()).collect())
    };
    let all: Vec<_> = (1..=N).map(|key| entry(key, sample(&mut random))).collect();
    let folder = tempfile::tempdir().unwrap();
    let index = EdgeIndex::open(&folder.path().join("g1"), D, "test").unwrap();
    let oracle = FlatIndex::new(D, Form::F32, ScanPool::new(2).unwrap(), "oracle").unwrap();
    for batch in all.chunks(1_000) {
        index.upsert(batch.to_vec()).await.unwrap();
        oracle.upsert(batch.to_vec()).await.unwrap();
    }
    index.flush(Seq(1)).await.unwrap();
    index.optimize().await.unwrap();
    index.flush(Seq(1)).await.unwrap();
    assert_eq!(index.keys().await.unwrap().len(), N as u64);
    let queries: Vec<_> = (0..25).map(|_| sample(&mut random)).collect();
    for (share, at_least) in [(1.0, 0.95), (0.5, 1.0), (0.04, 1.0), (0.001, 1.0)] {
        let among: Option<RoaringTreemap> = (share < 1.0)
            .then(|| (0..(N as f64 * share) as usize).map(|_| random.below(N as u64) + 1).collect());
        let mut found = 0;
        let mut wanted = 0;
        for query in &queries {
            let exact = keys_of(&oracle, query, 10, among.as_ref()).await;
            let got = keys_of(&index, query, 10, among.as_ref()).await;
            wanted += exact.len();
            found += exact.iter().filter(|key| got.contains(key)).count();
        }
        println!("edge, {share} of {N}: {found} of {wanted} found");
        assert!(found as f64 >= at_least * wanted as f64, "{share}: {found} of {wanted}");
    }
    index.close().await.unwrap();
}

/// A copy of the folder as a killed process leaves it: what was flushed is there, applying the rest again is harmless.
#[tokio::test]
async fn a_crash_takes_nothing_that_was_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let (live, copy) = (folder.path().join("live"), folder.path().join("copy"));
    let index = EdgeIndex::open(&live, DIMENSION, "test").unwrap();
    let (first, second) = (entries(1..=300, 41, DIMENSION), entries(200..=400, 42, DIMENSION));
    index.upsert(first).await.unwrap();
    index.flush(Seq(7)).await.unwrap();
    index.upsert(second.clone()).await.unwrap();
    index.remove(&[ChunkKey(3)]).await.unwrap();
    copy_folder(&live, &copy);
    let crashed = EdgeIndex::open(&copy, DIMENSION, "test").unwrap();
    assert_eq!(crashed.watermark().await.unwrap(), Seq(7));
    let keys = crashed.keys().await.unwrap();
    assert!((1..=300).filter(|&key| key != 3).all(|key| keys.contains(key)));
    crashed.upsert(second.clone()).await.unwrap();
    crashed.remove(&[ChunkKey(3)]).await.unwrap();
    crashed.flush(Seq(9)).await.unwrap();
    index.flush(Seq(9)).await.unwrap();
    assert_eq!(crashed.keys().await.unwrap(), index.keys().await.unwrap());
    for entry in second.iter().step_by(23) {
        assert_eq!(keys_of(&crashed, &entry.vector, 1, None).await, [entry.key.0]);
    }
    // The engine flushes once more when it is dropped, and must find its folder.
    crashed.close().await.unwrap();
    index.close().await.unwrap();
}

#[tokio::test]
async fn damage_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("g1");
    let index = EdgeIndex::open(&home, DIMENSION, "test").unwrap();
    index.upsert(entries(1..=50, 51, DIMENSION)).await.unwrap();
    index.flush(Seq(1)).await.unwrap();
    index.close().await.unwrap();
    let kind =
        |path: &std::path::Path| EdgeIndex::open(path, DIMENSION, "test").map(|_| ()).unwrap_err().kind();
    let other = EdgeIndex::open(&home, DIMENSION + 1, "test").map(|_| ()).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Corrupt, "another dimension");
    fs_err::write(home.join("watermark"), "?").unwrap();
    assert_eq!(kind(&home), ErrorKind::Corrupt);
    fs_err::remove_file(home.join("watermark")).unwrap();
    assert_eq!(kind(&home), ErrorKind::Corrupt);
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs_err::copy(entry.path(), &target).unwrap();
        }
    }
}
