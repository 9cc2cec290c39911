//! Filters in SQL find what the filter's own meaning finds, on random metadata.

use std::sync::Arc;

use crate::contract::fixture::{Fixture, document, id, ids};
use crate::filter::generate;
use proptest::prelude::*;
use wellspring_store::catalog::sqlite::SqliteCatalog;
use wellspring_store::clock::TestClock;
use wellspring_store::{ChunkKey, Filter, Metadata, NewDocument};

/// Publishes one document per metadata and compares every filter in every query that takes one.
pub(crate) async fn compare(
    f: &Fixture,
    documents: &[Metadata],
    filters: &[Filter],
) -> Result<(), TestCaseError> {
    let docs = f.docs().await;
    let mut keys = Vec::new();
    for (i, metadata) in documents.iter().enumerate() {
        let name = format!("{i:03}");
        // A version before and one removed after must not count.
        let new = |metadata: Metadata| NewDocument { metadata, ..document(&name, &name) };
        f.published(&docs, new(Metadata::from([("a".to_owned(), "x".into())])), "old").await;
        f.published(&docs, new(metadata.clone()), &name).await;
        keys.push(f.catalog.chunks(&docs, &id(&name)).await.unwrap()[0].key);
    }
    let all: Vec<ChunkKey> = (1..200).map(ChunkKey).collect();
    for filter in filters {
        let expected: Vec<usize> = (0..documents.len()).filter(|i| filter.matches(&documents[*i])).collect();
        let expected_keys: Vec<u64> = expected.iter().map(|i| keys[*i].0 as u64).collect();
        let candidates = f.catalog.candidates(&docs, Some(filter)).await.unwrap().unwrap();
        prop_assert_eq!(
            candidates.iter().collect::<Vec<_>>(),
            expected_keys.clone(),
            "candidates of {}",
            filter
        );
        let mut visible: Vec<u64> = f
            .catalog
            .visible_chunks(&docs, &all, Some(filter))
            .await
            .unwrap()
            .iter()
            .map(|c| c.key.0 as u64)
            .collect();
        visible.sort_unstable();
        prop_assert_eq!(visible, expected_keys, "chunks of {}", filter);
        let page = f.catalog.documents(&docs, Some(filter), None, 1000).await.unwrap();
        let names: Vec<String> = expected.iter().map(|i| format!("{i:03}")).collect();
        prop_assert_eq!(ids(&page.items), names, "documents of {}", filter);
    }
    Ok(())
}

async fn sqlite() -> Fixture {
    let clock = TestClock::at(0);
    let catalog = SqliteCatalog::open_in_memory(Arc::new(clock.clone())).await.unwrap();
    Fixture { catalog: Arc::new(catalog), clock }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn sql_means_what_the_filter_means(
        documents in proptest::collection::vec(generate::metadata(), 1..10),
        filters in proptest::collection::vec(generate::filter(), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { compare(&sqlite().await, &documents, &filters).await })?;
    }
}

/// As many conditions, and as deep, as are allowed.
pub(crate) fn longest() -> [Filter; 2] {
    let leaf = || Filter::parse("a = 1").unwrap();
    let wide = Filter::Or((0..999).map(|_| leaf()).collect());
    let mut deep = leaf();
    for _ in 0..63 {
        deep = Filter::Not(Box::new(deep));
    }
    [wide, deep]
}

#[tokio::test]
async fn the_longest_filters_are_possible() {
    let one = Metadata::from([("a".to_owned(), 1.into())]);
    compare(&sqlite().await, &[one, Metadata::new()], &longest()).await.unwrap();
}
