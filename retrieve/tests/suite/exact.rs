//! What names something exactly is not lost: not by fusion, not by a reranker, not by diversity.
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::support::{Text, World};
use async_trait::async_trait;
use serde_json::json;
use wellspring_models::Reranker;
use wellspring_retrieve::{
    Collections, Filter, Fusion, Mode, Overrides, RerankConfig, RetrieveConfig, Scope, SearchRequest,
    SearchResponse, TenantId,
};

/// Gives the last passage the best score.
struct Contrary;

#[async_trait]
impl Reranker for Contrary {
    fn name(&self) -> &str {
        "contrary"
    }

    async fn rerank(&self, _query: &str, passages: &[&str]) -> wellspring_models::Result<Vec<f32>> {
        Ok((0..passages.len()).map(|place| place as f32).collect())
    }
}

/// Holds what names the incident for irrelevant.
struct Doubtful;

#[async_trait]
impl Reranker for Doubtful {
    fn name(&self) -> &str {
        "doubtful"
    }

    async fn rerank(&self, _query: &str, passages: &[&str]) -> wellspring_models::Result<Vec<f32>> {
        Ok(passages.iter().map(|text| if text.contains("INC-2025-031") { 0.01 } else { 0.99 }).collect())
    }

    fn probability(&self, score: f32) -> Option<f32> {
        Some(score)
    }
}

const QUERY: &str = "what does the annual inspection of the cooling pumps say about INC-2025-031";

async fn archive() -> World {
    let world = World::new().await;
    for number in 0..12 {
        let text =
            format!("Annual inspection of the cooling pumps, report {number}: the cooling pumps are sound.");
        world.add(&format!("report{number:02}"), &text).await;
    }
    world.add("near", "Cooling pumps and INC-2025-0311, which is another matter.").await;
    world
        .add("aside", "A long remark on something else; compare (INC-2025-031), and nothing more about it.")
        .await;
    world
}

fn place(response: &SearchResponse, document: &str) -> Option<usize> {
    response.hits.iter().position(|hit| hit.document_id.as_str() == document)
}

#[tokio::test]
async fn an_identifier_is_among_the_first_three_through_every_stage() {
    let world = archive().await;
    world.registry.register_reranker("contrary", Arc::new(Contrary));
    let dense_only_by_weight =
        RetrieveConfig { fusion: Fusion::default().with_weight(1.0), ..RetrieveConfig::default() };
    let rerank =
        RerankConfig { model: "contrary".to_owned(), candidates: 50, budget_ms: 5_000, min_score: None };
    for (stage, config) in [
        ("default", RetrieveConfig::default()),
        ("all weight on vectors", dense_only_by_weight.clone()),
        ("reranked", RetrieveConfig { rerank: Some(rerank), ..dense_only_by_weight.clone() }),
        ("diversified", RetrieveConfig { mmr: Some(0.3), ..dense_only_by_weight.clone() }),
        ("capped", RetrieveConfig { per_document: Some(1), ..dense_only_by_weight.clone() }),
    ] {
        for mode in [Mode::Hybrid, Mode::Keyword] {
            let request = SearchRequest { k: 5, mode, ..SearchRequest::new(QUERY) };
            let found = world.retriever(config.clone()).search(&world.scope, request).await.unwrap();
            let at = place(&found, "aside");
            assert!(at.is_some_and(|at| at < 3), "{stage}, {mode}: {at:?}");
            assert!(found.degraded.is_empty());
            // Diversity picks hits against their scores.
            let sorted = found.hits.windows(2).all(|pair| pair[0].score >= pair[1].score);
            assert!(sorted || stage == "diversified", "{stage}");
        }
    }
    // A short query is about what it names.
    let short = SearchRequest::new("cooling pumps INC-2025-031");
    let found = world.retriever(dense_only_by_weight.clone()).search(&world.scope, short).await.unwrap();
    assert_eq!(place(&found, "aside"), Some(0), "nobody else holds it");
    let switched_off = SearchRequest {
        overrides: Overrides { exact: Some(false), ..Overrides::default() },
        ..SearchRequest::new(QUERY)
    };
    let found = world.retriever(dense_only_by_weight).search(&world.scope, switched_off).await.unwrap();
    assert!(
        place(&found, "aside").is_none_or(|at| at >= 3),
        "without it the remark is lost: the test can fail"
    );
}

#[tokio::test]
async fn no_threshold_leaves_an_identifier_out() {
    let world = archive().await;
    world.registry.register_reranker("doubtful", Arc::new(Doubtful));
    let rerank =
        RerankConfig { model: "doubtful".to_owned(), candidates: 50, budget_ms: 5_000, min_score: Some(0.5) };
    let config = |exact| RetrieveConfig { rerank: Some(rerank.clone()), exact, ..RetrieveConfig::default() };
    let request = || SearchRequest { k: 20, ..SearchRequest::new(QUERY) };
    let found = world.retriever(config(true)).search(&world.scope, request()).await.unwrap();
    assert!(place(&found, "aside").is_some_and(|at| at < 3));
    assert_eq!(place(&found, "near"), None);
    let found = world.retriever(config(false)).search(&world.scope, request()).await.unwrap();
    assert_eq!(place(&found, "aside"), None, "it would be left out");
}

#[tokio::test]
async fn a_quoted_phrase_is_found_word_for_word() {
    let world = archive().await;
    let config = RetrieveConfig { fusion: Fusion::default().with_weight(1.0), ..RetrieveConfig::default() };
    let request = SearchRequest::new("cooling pumps \"remark on something else\"");
    let found = world.retriever(config).search(&world.scope, request).await.unwrap();
    assert!(place(&found, "aside").is_some_and(|at| at < 3));
}

#[tokio::test]
async fn walls_and_filters_come_first() {
    let world = archive().await;
    let acl: Option<&[&str]> = Some(&["group:audit"]);
    world.put(Text { id: "secret", text: "INC-2025-777 is filed here.", acl, ..Text::default() }).await;
    let metadata = json!({ "year": 2019 });
    world.put(Text { id: "old", text: "INC-2025-888 is filed here.", metadata, ..Text::default() }).await;
    let retriever = world.retriever(RetrieveConfig::default());

    let nobody = Scope::restricted(TenantId::default_tenant(), BTreeSet::new(), Collections::All);
    let (outside, _) = world.store.catalog.collection(&nobody, world.scope.name()).await.unwrap();
    let request = || SearchRequest::new("cooling pumps INC-2025-777");
    assert!(place(&retriever.search(&outside, request()).await.unwrap(), "secret").is_none());
    assert!(
        place(&retriever.search(&world.scope, request()).await.unwrap(), "secret").is_some_and(|at| at < 3)
    );

    let filter = Some(Filter::parse("year > 2020").unwrap());
    let request = SearchRequest { filter, ..SearchRequest::new("cooling pumps INC-2025-888") };
    assert!(place(&retriever.search(&world.scope, request).await.unwrap(), "old").is_none());
}
