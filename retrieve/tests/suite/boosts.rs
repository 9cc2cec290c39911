//! What moves hits by their metadata, and which near copies are left out.
use std::sync::Arc;

use crate::support::{Text, World};
use serde_json::json;
use wellspring_retrieve::{Boost, Overrides, Passage, RetrieveConfig, Retriever, SearchRequest};
use wellspring_store::clock::TestClock;

/// 1 March 2026.
const NOW: i64 = 1_772_323_200_000_000;

async fn library() -> World {
    let world = World::new().await;
    for (id, text, metadata) in [
        ("best", "The price of the radar gauge is fixed.", json!({ "date": "2024-03-01", "kind": "draft" })),
        ("fresh", "The price of the gauge.", json!({ "date": "2026-03-01", "kind": ["final", "signed"] })),
        ("half", "The price of a gauge.", json!({ "date": "2026-02-19", "at": { "year": 2026 } })),
        ("none", "The price of one gauge.", json!({ "date": "soon", "kind": 7 })),
        ("far", "Nothing of the kind.", json!({})),
    ] {
        world.put(Text { id, text, metadata, ..Text::default() }).await;
    }
    world
}

fn retriever(world: &World) -> Retriever {
    let retriever =
        Retriever::new(world.store.clone(), Arc::clone(&world.registry), RetrieveConfig::default()).unwrap();
    retriever.with_clock(Arc::new(TestClock::at(NOW)))
}

async fn search(world: &World, overrides: Overrides) -> Vec<Passage> {
    let request =
        SearchRequest { explain: true, overrides, ..SearchRequest::new("price of the radar gauge fixed") };
    retriever(world).search(&world.scope, request).await.unwrap().hits
}

fn boosts(boosts: serde_json::Value) -> Overrides {
    Overrides { boosts: Some(serde_json::from_value(boosts).unwrap()), ..Overrides::default() }
}

/// Score and shares of a hit, each in thousandths.
fn of(hits: &[Passage], id: &str) -> (f32, Vec<u32>) {
    let hit = hits.iter().find(|hit| hit.document_id.as_str() == id).unwrap();
    let shares = hit.explain.as_ref().unwrap().boosts.iter();
    (hit.score, shares.map(|boost| (boost.share * 1e3).round() as u32).collect())
}

#[tokio::test]
async fn recent_documents_gain_by_half_lives_and_unread_dates_are_neutral() {
    let world = library().await;
    let plain = search(&world, Overrides::default()).await;
    assert_eq!(plain[0].document_id.as_str(), "best");
    let hits =
        search(&world, boosts(json!([{ "field": "date", "half_life_days": 10, "weight": 1.0 }]))).await;
    assert_eq!(hits[0].document_id.as_str(), "fresh");
    assert_eq!((of(&hits, "fresh").1, of(&hits, "half").1), (vec![1_000], vec![500]));
    for id in ["none", "far"] {
        assert_eq!(of(&hits, id), (of(&plain, id).0, vec![]), "{id}");
    }
    // The whole weight is the distance from the last candidate to the first.
    let span = plain[0].score - plain.last().unwrap().score;
    assert!((of(&hits, "fresh").0 - of(&plain, "fresh").0 - span).abs() < 1e-5);
    assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
}

#[tokio::test]
async fn values_raise_and_lower() {
    let world = library().await;
    let plain = search(&world, Overrides::default()).await;
    for (boost, raised) in [
        (json!({ "field": "kind", "value": "final", "weight": 0.5 }), vec!["fresh"]),
        (json!({ "field": "kind", "value": 7.0, "weight": 0.5 }), vec!["none"]),
        (json!({ "field": "at.year", "value": 2026, "weight": 0.5 }), vec!["half"]),
        (json!({ "field": "_id", "value": "far", "weight": 0.5 }), vec!["far"]),
        (json!({ "field": "kind", "value": "fin", "weight": 0.5 }), vec![]),
    ] {
        let hits = search(&world, boosts(json!([boost]))).await;
        let moved = |hit: &&Passage| hit.score > of(&plain, hit.document_id.as_str()).0;
        let moved: Vec<&str> = hits.iter().filter(moved).map(|hit| hit.document_id.as_str()).collect();
        assert_eq!(moved, raised, "{boost}");
    }
    let lowered = search(&world, boosts(json!([{ "field": "kind", "value": "draft", "weight": -1 }]))).await;
    assert_ne!(lowered[0].document_id.as_str(), "best");
}

#[tokio::test]
async fn boosts_that_mean_nothing_are_refused() {
    let world = library().await;
    for (boost, words) in [
        (json!({ "field": "a", "weight": 1 }), "either a value or half_life_days"),
        (json!({ "field": "a", "value": 1, "half_life_days": 1, "weight": 1 }), "either"),
        (json!({ "field": "a", "value": 1, "weight": 2 }), "-1 to 1"),
        (json!({ "field": "a", "half_life_days": 0, "weight": 1 }), "above 0 days"),
        (json!({ "field": "a", "value": [1], "weight": 1 }), "a string, a number"),
    ] {
        let boost: Boost = serde_json::from_value(boost).unwrap();
        let overrides = Overrides { boosts: Some(vec![boost]), ..Overrides::default() };
        let request = SearchRequest { overrides, ..SearchRequest::new("gauge") };
        let error = retriever(&world).search(&world.scope, request).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn near_copies_are_shown_once_unless_their_numbers_differ() {
    let world = World::new().await;
    let text = "Travel costs are paid back within two weeks after the trip if every receipt is there";
    world.add("a", &format!("{text}, up to 95 euros.")).await;
    world.add("copy", &format!("{text} up to 95 euros!")).await;
    world.add("near", &format!("{text}, and up to 95 euros.")).await;
    world.add("later", &format!("{text}, up to 99 euros.")).await;
    let ids = async |near_duplicates| {
        let overrides = Overrides { near_duplicates, ..Overrides::default() };
        let request =
            SearchRequest { explain: true, overrides, ..SearchRequest::new("travel costs up to 95 euros") };
        let response = retriever(&world).search(&world.scope, request).await.unwrap();
        let mut ids: Vec<String> = response.hits.iter().map(|hit| hit.document_id.to_string()).collect();
        ids.sort_unstable();
        (ids.join(" "), response.explain.unwrap().dropped.get("near_duplicate").copied())
    };
    assert_eq!(ids(None).await, ("a copy later near".to_owned(), None));
    assert_eq!(ids(Some(1.0)).await.1, Some(1));
    let (left, dropped) = ids(Some(0.7)).await;
    assert_eq!(dropped, Some(2));
    assert!(left.contains("later"), "{left}");
    let retriever = retriever(&world);
    let ranking = retriever.search_documents(
        &world.scope,
        SearchRequest {
            overrides: Overrides { near_duplicates: Some(0.7), ..Overrides::default() },
            ..SearchRequest::new("travel costs up to 95 euros")
        },
        10,
    );
    assert_eq!(ranking.await.unwrap().hits.len(), 4, "every document keeps its place in a document ranking");
}
