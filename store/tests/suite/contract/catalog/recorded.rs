//! Kept searches are bounded, their collection's only, and shown to nobody but the administrator.

use std::time::Duration;

use wellspring_store::queries::{KeptQueries, NewQuery};
use wellspring_store::*;

use crate::contract::fixture::*;

const KEPT: KeptQueries = KeptQueries { most: 3, days: 2 };

fn query(text: &str) -> NewQuery {
    let chunks = vec![ChunkId("c1".to_owned()), ChunkId("c2".to_owned())];
    NewQuery { request: serde_json::json!({ "query": text }), settings: "s".to_owned(), chunks }
}

async fn texts(f: &Fixture, scope: &CollectionScope) -> Vec<String> {
    let kept = f.catalog.recorded_queries(scope, 100).await.unwrap();
    kept.iter().map(|kept| kept.query.request["query"].as_str().unwrap().to_owned()).collect()
}

pub(crate) async fn kept_queries_are_bounded(f: &Fixture) {
    let docs = f.docs().await;
    let other = f.make(&administrator(), "other").await;
    f.catalog.record_query(&other, query("elsewhere"), KEPT).await.unwrap();
    for text in ["a", "b", "c", "d"] {
        f.catalog.record_query(&docs, query(text), KEPT).await.unwrap();
    }
    assert_eq!(texts(f, &docs).await, ["d", "c", "b"]);
    f.clock.advance(Duration::from_secs(3 * 24 * 3_600));
    f.catalog.record_query(&docs, query("e"), KEPT).await.unwrap();
    assert_eq!(texts(f, &docs).await, ["e"]);
    let kept = f.catalog.recorded_queries(&docs, 1).await.unwrap().remove(0);
    assert_eq!(
        (kept.query, kept.access, kept.at.as_str()),
        (query("e"), Access::Everything, "2026-03-04T12:00:00Z")
    );
    assert_eq!(texts(f, &other).await, ["elsewhere"], "another collection's are its own");
}

pub(crate) async fn kept_queries_stay_behind_walls(f: &Fixture) {
    let docs = f.docs().await;
    let to_ada = f.as_seen_by(&user(&["user:ada"])).await;
    f.catalog.record_query(&to_ada, query("hers"), KEPT).await.unwrap();
    assert_eq!(kind(f.catalog.recorded_queries(&to_ada, 1).await), ErrorKind::Unauthorized);
    let kept = f.catalog.recorded_queries(&docs, 10).await.unwrap().remove(0);
    assert_eq!(kept.access, *user(&["user:ada"]).access());
    f.catalog.delete_collection(&docs).await.unwrap();
    assert_eq!(kind(f.catalog.recorded_queries(&docs, 1).await), ErrorKind::NotFound);
    assert_eq!(kind(f.catalog.record_query(&docs, query("late"), KEPT).await), ErrorKind::NotFound);
    let again = f.docs().await;
    assert_eq!(texts(f, &again).await, Vec::<String>::new());
}
