//! Filters in PostgreSQL's SQL find what the filter's own meaning finds, on random metadata and on long texts.

use proptest::prelude::*;
use wellspring_store::filter::{Field, Value};
use wellspring_store::{Filter, Metadata};

use super::{Release, open};
use crate::filter::generate;
use crate::filter_sql::{compare, longest};

proptest! {
    // A database each: fewer than in memory.
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]
    #[test]
    fn sql_means_what_the_filter_means(
        documents in proptest::collection::vec(generate::metadata(), 1..8),
        filters in proptest::collection::vec(generate::filter(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            match open(Release::Pg18).await {
                Some(opened) => compare(&opened.fixture, &documents, &filters).await,
                None => Ok(()),
            }
        })?;
    }
}

#[tokio::test]
async fn the_longest_filters_are_possible() {
    let Some(opened) = open(Release::Pg16).await else { return };
    let one = Metadata::from([("a".to_owned(), 1.into())]);
    compare(&opened.fixture, &[one, Metadata::new()], &longest()).await.unwrap();
}

/// A text is cut in two by the schema, also within a character.
#[tokio::test]
async fn long_texts_are_compared_whole() {
    let Some(opened) = open(Release::Pg18).await else { return };
    let texts: Vec<String> = [511, 512, 513, 5_000]
        .into_iter()
        .flat_map(|length| ["", "a", "é", "é!"].map(|end| format!("{}{end}", "x".repeat(length))))
        .collect();
    let documents: Vec<Metadata> =
        texts.iter().map(|text| Metadata::from([("t".to_owned(), text.as_str().into())])).collect();
    let field = || Field("t".to_owned());
    let mut filters: Vec<Filter> =
        texts.iter().map(|text| Filter::Eq(field(), Value::String(text.clone()))).collect();
    filters.extend(texts.iter().map(|text| Filter::Prefix(field(), text.clone())));
    filters.push(Filter::In(field(), texts.into_iter().map(Value::String).collect()));
    compare(&opened.fixture, &documents, &filters).await.unwrap();
}
