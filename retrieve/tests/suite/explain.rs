//! What `explain` says about a search and each of its hits.
use crate::support::World;
use wellspring_retrieve::{Filter, RetrieveConfig, SearchRequest};

#[tokio::test]
async fn a_search_explains_itself() {
    let world = World::new().await;
    world.add("leave", "Paid leave is thirty days a year.\n\nUnused leave expires in March.").await;
    world.add("copy", "Paid leave is thirty days a year.").await;
    world.add("travel", "Travel costs are paid back.").await;
    world.add("gone", "Paid leave used to be ten days.").await;
    world.delete("gone").await;
    let retriever = world.retriever(RetrieveConfig::default());
    let filter = Some(Filter::parse("not _id = \"nothing\"").unwrap());
    let request = SearchRequest { explain: true, k: 3, filter, ..SearchRequest::new("paid  leave\tdays") };
    let response = retriever.search(&world.scope, request).await.unwrap();
    let stages: Vec<&str> = response.timings.0.keys().map(String::as_str).collect();
    assert_eq!(stages, ["dense", "exact", "fuse", "join", "keyword", "links", "total"]);
    assert!(response.timings.0.values().all(|ms| *ms >= 0.0));
    let mut json = serde_json::to_value(&response).unwrap();
    json["timings"] = serde_json::Value::Null;
    round(&mut json);
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!(json, { ".explain.vector_index.reason" => "[reason]" });
    });
}

/// Scores to three digits: the last ones differ from processor to processor.
fn round(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => map.values_mut().for_each(round),
        serde_json::Value::Array(items) => items.iter_mut().for_each(round),
        serde_json::Value::Number(number) if number.is_f64() => {
            let rounded = (number.as_f64().unwrap() * 1e3).round() / 1e3;
            *value = serde_json::json!(rounded);
        }
        _ => {}
    }
}
