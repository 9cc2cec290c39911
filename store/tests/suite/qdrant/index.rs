//! The vector contract on a server, recall on every way to search, and the lasting name of the generation in use.

use roaring::RoaringTreemap;
use wellspring_store::catalog::sqlite::SqliteCatalog;
use wellspring_store::clock::TestClock;
use wellspring_store::vector::VectorIndex;
use wellspring_store::vector::choice::QdrantConfig;
use wellspring_store::vector::flat::{FlatIndex, Form, ScanPool};
use wellspring_store::vector::qdrant::QdrantEngine;
use wellspring_store::{CollectionScope, ErrorKind, Seq};

use super::{real, servers, stand_in};
use crate::contract::fixture::Fixture;
use crate::contract::vector::{self, DIMENSION, Random, entries, entry, keys_of, random_unit, unit};

async fn docs() -> CollectionScope {
    let clock = TestClock::at(0);
    let catalog = SqliteCatalog::open_in_memory(std::sync::Arc::new(clock.clone())).await.unwrap();
    Fixture { catalog: std::sync::Arc::new(catalog), clock }.docs().await
}

#[tokio::test]
async fn contract() {
    for config in servers("contract") {
        contract_on(&config).await;
    }
}

async fn contract_on(config: &QdrantConfig) {
    let (engine, docs) = (QdrantEngine::new(config, "catalog").unwrap(), docs().await);
    let index = engine.index(&docs, 1, DIMENSION).await.unwrap();
    vector::check(&index).await;
    assert!(index.stats().await.unwrap().reason.contains("Qdrant 1."));
    index.check().await.unwrap();
    engine.remove_all(docs.key()).await.unwrap();
    assert_eq!(index.keys().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(index.check().await.unwrap_err().kind(), ErrorKind::Corrupt);
    let fresh = engine.index(&docs, 1, DIMENSION).await.unwrap();
    assert_eq!(fresh.watermark().await.unwrap(), Seq(0));
    engine.remove_all(docs.key()).await.unwrap();
}

/// Clustered vectors in numbers that the graph is built for: through the graph, sifted, with a list, and one by one.
#[tokio::test]
async fn recall_holds_with_and_without_candidates() {
    const N: i64 = 20_000;
    const D: usize = 192;
    let Some(config) = real("recall") else { return };
    let config = QdrantConfig { exact_among: 500, ..config };
    let (engine, docs) = (QdrantEngine::new(&config, "catalog").unwrap(), docs().await);
    let index = engine.index(&docs, 1, D).await.unwrap();
    let mut random = Random(31);
    let centres: Vec<_> = (0..100).map(|_| random_unit(&mut random, D)).collect();
    let sample = |random: &mut Random| {
        let centre = &centres[random.below(100) as usize];
        unit(centre.iter().map(|x| x + 0.06 * random.normal()).collect())
    };
    let all: Vec<_> = (1..=N).map(|key| entry(key, sample(&mut random))).collect();
    let oracle = FlatIndex::new(D, Form::F32, ScanPool::new(2).unwrap(), "oracle").unwrap();
    for batch in all.chunks(1_000) {
        index.upsert(batch.to_vec()).await.unwrap();
        oracle.upsert(batch.to_vec()).await.unwrap();
    }
    index.flush(Seq(1)).await.unwrap();
    index.optimize().await.unwrap();
    assert_eq!(index.keys().await.unwrap().len(), N as u64);
    let queries: Vec<_> = (0..25).map(|_| sample(&mut random)).collect();
    for (share, at_least) in [(1.0, 0.99), (0.5, 0.99), (0.2, 0.99), (0.04, 0.99), (0.001, 1.0)] {
        let among: Option<RoaringTreemap> = (share < 1.0)
            .then(|| (0..(N as f64 * share) as usize).map(|_| random.below(N as u64) + 1).collect());
        let (mut found, mut wanted) = (0, 0);
        for query in &queries {
            let exact = keys_of(&oracle, query, 10, among.as_ref()).await;
            let got = keys_of(&index, query, 10, among.as_ref()).await;
            wanted += exact.len();
            found += exact.iter().filter(|key| got.contains(key)).count();
        }
        println!("qdrant, {share} of {N}: {found} of {wanted} found");
        assert!(f64::from(found as u32) >= at_least * wanted as f64, "{share}: {found} of {wanted}");
    }
    engine.remove_all(docs.key()).await.unwrap();
}

#[tokio::test]
async fn indexes_of_other_catalogs_and_tenants_are_apart() {
    for config in servers("apart") {
        apart(&config).await;
    }
}

async fn apart(config: &QdrantConfig) {
    let docs = docs().await;
    let (one, two) = (QdrantEngine::new(config, "one").unwrap(), QdrantEngine::new(config, "two").unwrap());
    let first = one.index(&docs, 1, DIMENSION).await.unwrap();
    let second = two.index(&docs, 1, DIMENSION).await.unwrap();
    first.upsert(entries(1..=5, 1, DIMENSION)).await.unwrap();
    second.upsert(entries(6..=8, 2, DIMENSION)).await.unwrap();
    assert_eq!(first.keys().await.unwrap().len(), 5);
    one.remove_all(docs.key()).await.unwrap();
    assert_eq!(second.keys().await.unwrap().len(), 3);
    two.remove_all(docs.key()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_away() {
    // Nothing listens on the port of a listener that is gone.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let engine = QdrantEngine::new(&QdrantConfig::new(url), "catalog").unwrap();
    let refused = engine.index(&docs().await, 1, DIMENSION).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{}", refused.chain());
    assert!(refused.to_string().contains("can't be reached"), "{refused}");
}

#[tokio::test]
async fn candidates_are_sifted_listed_or_compared_one_by_one() {
    let config = QdrantConfig { exact_among: 10, ..stand_in("1.18.3") };
    let index = QdrantEngine::new(&config, "catalog").unwrap().index(&docs().await, 1, DIMENSION).await;
    let index = index.unwrap();
    let oracle = FlatIndex::new(DIMENSION, Form::F32, ScanPool::new(1).unwrap(), "oracle").unwrap();
    for index in [&index as &dyn VectorIndex, &oracle] {
        index.upsert(entries(1..=2_000, 3, DIMENSION)).await.unwrap();
    }
    let query = random_unit(&mut Random(4), DIMENSION);
    // One by one, sifted, sifted in vain or listed; and more hits than are sifted for.
    for (every, k) in [(500, 10), (2, 10), (7, 10), (40, 10), (2, 900)] {
        let among: RoaringTreemap = (1..=2_000).filter(|key| key % every == 0).collect();
        assert_eq!(
            keys_of(&index, &query, k, Some(&among)).await,
            keys_of(&oracle, &query, k, Some(&among)).await,
            "one in {every}, {k} wanted"
        );
    }
}
