//! Samples of a collection's chunks, and the report kept about it.

use serde_json::json;

use wellspring_store::ErrorKind;

use crate::contract::fixture::*;

pub(crate) async fn samples_are_of_visible_chunks_by_language(f: &Fixture) {
    let docs = f.docs().await;
    assert_eq!(f.catalog.sample_chunks(&docs, 10).await.unwrap(), []);
    for number in 0..30 {
        f.published(&docs, document(&format!("d{number}"), &number.to_string()), "one\ntwo\n").await;
    }
    f.catalog.delete_document(&docs, &id("d7")).await.unwrap();
    let all = f.catalog.sample_chunks(&docs, 1000).await.unwrap();
    let visible: usize = all.iter().map(|sample| sample.keys.len()).sum();
    assert_eq!(visible, 58);
    assert_eq!(all.iter().map(|sample| sample.chunks).sum::<u64>(), 58);
    let drawn = f.catalog.sample_chunks(&docs, 10).await.unwrap();
    assert_eq!(drawn, f.catalog.sample_chunks(&docs, 10).await.unwrap(), "the same each time");
    for (sample, whole) in drawn.iter().zip(&all) {
        assert_eq!((&sample.language, sample.chunks), (&whole.language, whole.chunks));
        assert_eq!(sample.keys, whole.keys[..10], "a larger sample begins with the smaller one");
    }
    let read = f.catalog.visible_chunks(&docs, &drawn[0].keys, None).await.unwrap();
    assert_eq!(read.len(), 10);
    let hidden = f.catalog.collection(&user(&["nobody"]), docs.name()).await.unwrap().0;
    assert_eq!(f.catalog.sample_chunks(&hidden, 1000).await.unwrap(), all, "nothing here is restricted");
}

pub(crate) async fn a_report_about_a_collection_is_kept_and_replaced(f: &Fixture) {
    let docs = f.docs().await;
    assert_eq!(f.catalog.tuning(&docs).await.unwrap(), None);
    for report in [json!({"version": 1, "chunks": 10}), json!({"version": 1, "chunks": 20})] {
        f.catalog.keep_tuning(&docs, report.clone()).await.unwrap();
        assert_eq!(f.catalog.tuning(&docs).await.unwrap(), Some(report));
    }
    f.catalog.delete_collection(&docs).await.unwrap();
    assert_eq!(kind(f.catalog.tuning(&docs).await), ErrorKind::NotFound);
    assert_eq!(kind(f.catalog.keep_tuning(&docs, json!({})).await), ErrorKind::NotFound);
    f.catalog.purge(1000).await.unwrap();
    let again = f.docs().await;
    assert_eq!(f.catalog.tuning(&again).await.unwrap(), None);
}
