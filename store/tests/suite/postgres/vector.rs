//! The vector contract on pgvector, exact and through the graph, and its recall against an exact scan.

use std::sync::Arc;

use roaring::RoaringTreemap;
use sqlx::{AssertSqlSafe, Connection};
use wellspring_store::catalog::postgres::PostgresCatalog;
use wellspring_store::clock::TestClock;
use wellspring_store::vector::VectorIndex;
use wellspring_store::vector::flat::{FlatIndex, Form, ScanPool};
use wellspring_store::vector::pgvector::{PgVectorConfig, PgVectorIndex};
use wellspring_store::{CollectionScope, ErrorKind, Seq};

use super::{NOON, Opened, Release, open};
use crate::contract::vector::{self, DIMENSION, Random, entries, entry, keys_of, random_unit, unit};

async fn index(
    opened: &Opened,
    scope: &CollectionScope,
    dimension: usize,
    config: PgVectorConfig,
) -> PgVectorIndex {
    let catalog = PostgresCatalog::open(&opened.config, Arc::new(TestClock::at(NOON))).await.unwrap();
    PgVectorIndex::open(&catalog, scope, 1, dimension, config).await.unwrap()
}

async fn contract(release: Release) {
    let Some(opened) = open(release).await else { return };
    let docs = opened.fixture.docs().await;
    let exact = index(&opened, &docs, DIMENSION, PgVectorConfig::default()).await;
    vector::check(&exact).await;
    // Opened again, it is where it was.
    let again = index(&opened, &docs, DIMENSION, PgVectorConfig::default()).await;
    assert_eq!(again.watermark().await.unwrap(), Seq(111));
    assert_eq!(again.keys().await.unwrap(), exact.keys().await.unwrap());
    again.remove_table().await.unwrap();
    let fresh = index(&opened, &docs, DIMENSION, PgVectorConfig::default()).await;
    assert_eq!(fresh.watermark().await.unwrap(), Seq(0));
}

#[tokio::test]
async fn pgvector_on_16() {
    contract(Release::Pg16).await;
}

#[tokio::test]
async fn pgvector_on_18() {
    contract(Release::Pg18).await;
}

/// Clustered vectors in numbers that the graph is built for. Few candidates are compared exactly, so their recall is 1.
#[tokio::test]
async fn recall_holds_with_and_without_candidates() {
    const N: i64 = 6_000;
    const D: usize = 96;
    let Some(opened) = open(Release::Pg18).await else { return };
    let docs = opened.fixture.docs().await;
    let config = PgVectorConfig { exact_up_to: 1_000, exact_among: 500 };
    let index = index(&opened, &docs, D, config).await;
    let mut random = Random(31);
    let centres: Vec<_> = (0..60).map(|_| random_unit(&mut random, D)).collect();
    let sample = |random: &mut Random| {
        let centre = &centres[random.below(60) as usize];
        unit(centre.iter().map(|x| x + 0.06 * random.normal()).collect())
    };
    let all: Vec<_> = (1..=N).map(|key| entry(key, sample(&mut random))).collect();
    let oracle = FlatIndex::new(D, Form::F32, ScanPool::new(2).unwrap(), "oracle").unwrap();
    for batch in all.chunks(1_000) {
        index.upsert(batch.to_vec()).await.unwrap();
        oracle.upsert(batch.to_vec()).await.unwrap();
    }
    assert!(index.stats().await.unwrap().reason.contains("exactly"));
    index.optimize().await.unwrap();
    assert!(index.stats().await.unwrap().reason.contains("graph"));
    let queries: Vec<_> = (0..25).map(|_| sample(&mut random)).collect();
    for (share, at_least) in [(1.0, 0.99), (0.5, 0.99), (0.2, 0.99), (0.04, 1.0), (0.001, 1.0)] {
        let among: Option<RoaringTreemap> = (share < 1.0)
            .then(|| (0..(N as f64 * share) as usize).map(|_| random.below(N as u64) + 1).collect());
        let (mut found, mut wanted) = (0, 0);
        for query in &queries {
            let exact = keys_of(&oracle, query, 10, among.as_ref()).await;
            let got = keys_of(&index, query, 10, among.as_ref()).await;
            wanted += exact.len();
            found += exact.iter().filter(|key| got.contains(key)).count();
        }
        println!("pgvector, {share} of {N}: {found} of {wanted} found");
        assert!(f64::from(found as u32) >= at_least * wanted as f64, "{share}: {found} of {wanted}");
    }
    // What is added afterwards is found through the graph as well.
    index.upsert(entries(10_001..=10_050, 9, D)).await.unwrap();
    let late = entries(10_001..=10_050, 9, D);
    assert_eq!(keys_of(&index, &late[7].vector, 1, None).await, [10_008]);
}

#[tokio::test]
async fn another_tenants_vectors_are_behind_the_wall() {
    let Some(opened) = open(Release::Pg18).await else { return };
    let docs = opened.fixture.docs().await;
    let index = index(&opened, &docs, DIMENSION, PgVectorConfig::default()).await;
    index.upsert(entries(1..=5, 1, DIMENSION)).await.unwrap();
    let mut superuser = opened.server.superuser(&opened.database).await.unwrap();
    let table = format!("vectors_{}_g1", docs.key().0);
    for (tenant, rows) in [("default", 5), ("other", 0), ("", 0)] {
        let mut transaction = superuser.begin().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!(
            "SET LOCAL ROLE wellspring_app; SET LOCAL wellspring.tenant = '{tenant}'"
        )))
        .execute(&mut *transaction)
        .await
        .unwrap();
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        assert_eq!(count, rows, "{tenant:?}");
    }
}

#[tokio::test]
async fn an_old_pgvector_is_refused() {
    let Some(opened) = open(Release::Pg18).await else { return };
    let docs = opened.fixture.docs().await;
    let mut superuser = opened.server.superuser(&opened.database).await.unwrap();
    sqlx::raw_sql("UPDATE pg_extension SET extversion = '0.8.2' WHERE extname = 'vector'")
        .execute(&mut superuser)
        .await
        .unwrap();
    let catalog = PostgresCatalog::open(&opened.config, Arc::new(TestClock::at(NOON))).await.unwrap();
    let refused =
        PgVectorIndex::open(&catalog, &docs, 1, DIMENSION, PgVectorConfig::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("0.8.2 is too old"), "{refused}");
}
