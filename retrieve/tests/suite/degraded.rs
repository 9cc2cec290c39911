//! What a search says when a part of it fails, and when it refuses instead.
use std::error::Error;
use std::sync::Arc;

use crate::support::{BrokenEmbedder, World};
use async_trait::async_trait;
use wellspring_models::fake::{HASH_EMBEDDER, HashEmbedder, OVERLAP_RERANKER};
use wellspring_models::{ErrorKind as ModelKind, ModelError, Reranker};
use wellspring_retrieve::{ErrorKind, Mode, Overrides, RerankConfig, RetrieveConfig, SearchRequest};

async fn broken(hangs: bool) -> World {
    let embedder = BrokenEmbedder { inner: HashEmbedder::default(), hangs };
    let world = World::with_embedder(HASH_EMBEDDER, Arc::new(embedder)).await;
    world.add("leave", "Paid leave is thirty days a year.").await;
    world
}

fn dense(query: &str) -> SearchRequest {
    SearchRequest { mode: Mode::Dense, ..SearchRequest::new(query) }
}

#[tokio::test]
async fn a_leg_that_fails_is_named_and_the_other_answers() {
    let world = broken(false).await;
    let retriever = world.retriever(RetrieveConfig::default());
    let response = retriever.search(&world.scope, SearchRequest::new("paid leave")).await.unwrap();
    assert_eq!(response.hits.len(), 1);
    assert_eq!(response.degraded.len(), 1);
    assert_eq!(response.degraded[0].leg, "dense");
    assert!(response.degraded[0].reason.contains("endpoint is down"), "{:?}", response.degraded);
    let keyword = SearchRequest { mode: Mode::Keyword, ..SearchRequest::new("paid leave") };
    assert!(retriever.search(&world.scope, keyword).await.unwrap().degraded.is_empty());
}

#[tokio::test]
async fn with_no_leg_left_the_search_is_unavailable() {
    let world = broken(false).await;
    let retriever = world.retriever(RetrieveConfig::default());
    let error = retriever.search(&world.scope, dense("paid leave")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_transient() && error.to_string().contains("endpoint is down"), "{error}");
    let mut chain = Vec::new();
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(error) = cause {
        chain.push(error.to_string());
        cause = error.source();
    }
    assert!(chain.windows(2).all(|pair| pair[0] != pair[1]), "nothing is said twice: {chain:?}");
}

#[tokio::test]
async fn a_leg_that_hangs_is_left_at_the_deadline() {
    let world = broken(true).await;
    let retriever = world.retriever(RetrieveConfig { deadline_ms: 3_000, ..RetrieveConfig::default() });
    let response = retriever.search(&world.scope, SearchRequest::new("paid leave")).await.unwrap();
    assert_eq!(response.hits.len(), 1);
    assert!(response.degraded[0].reason.contains("3000 ms"), "{:?}", response.degraded);
    assert_eq!(
        retriever.search(&world.scope, dense("paid leave")).await.unwrap_err().kind(),
        ErrorKind::Timeout
    );
}

#[tokio::test]
async fn vectors_of_another_embedder_are_refused() {
    let world = World::new().await;
    world.add("leave", "Paid leave is thirty days a year.").await;
    world.registry.register_embedder(HASH_EMBEDDER, Arc::new(HashEmbedder::new(64, 256)));
    let retriever = world.retriever(RetrieveConfig::default());
    for mode in [Mode::Hybrid, Mode::Dense] {
        let request = SearchRequest { mode, ..SearchRequest::new("paid leave") };
        let error = retriever.search(&world.scope, request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(
            error.to_string().contains("dimension=256") && error.to_string().contains("dimension=64"),
            "{error}"
        );
    }
    let keyword = SearchRequest { mode: Mode::Keyword, ..SearchRequest::new("paid leave") };
    assert_eq!(retriever.search(&world.scope, keyword).await.unwrap().hits.len(), 1);
}

#[tokio::test]
async fn a_missing_model_costs_only_its_leg() {
    let world = World::with_embedder("gone", Arc::new(HashEmbedder::default())).await;
    world.add("leave", "Paid leave is thirty days a year.").await;
    let registry = wellspring_models::Registry::new(wellspring_models::ModelsConfig::default()).unwrap();
    let store = world.store.clone();
    let retriever =
        wellspring_retrieve::Retriever::new(store, Arc::new(registry), RetrieveConfig::default()).unwrap();
    let response = retriever.search(&world.scope, SearchRequest::new("paid leave")).await.unwrap();
    assert!(response.degraded[0].reason.contains("gone"), "{:?}", response.degraded);
    assert_eq!(response.hits.len(), 1);
}

struct BrokenReranker;

#[async_trait]
impl Reranker for BrokenReranker {
    fn name(&self) -> &str {
        "broken"
    }

    async fn rerank(&self, _query: &str, _passages: &[&str]) -> wellspring_models::Result<Vec<f32>> {
        Err(ModelError::new(ModelKind::Internal, "out of order"))
    }
}

fn reranked(model: &str, candidates: usize) -> RetrieveConfig {
    let rerank = RerankConfig { model: model.to_owned(), candidates, budget_ms: 5_000, min_score: None };
    RetrieveConfig { rerank: Some(rerank), ..RetrieveConfig::default() }
}

#[tokio::test]
async fn a_reranker_reorders_and_without_it_the_fused_order_stands() {
    let world = World::new().await;
    world.add("a", "leave leave leave leave").await;
    world.add("b", "the number of paid leave days in a year and some more words about other things").await;
    world.add("c", "leave days").await;
    world.registry.register_reranker("broken", Arc::new(BrokenReranker));
    let request = || SearchRequest { mode: Mode::Keyword, ..SearchRequest::new("paid leave days") };
    let order = |response: &wellspring_retrieve::SearchResponse| {
        response.hits.iter().map(|hit| hit.document_id.to_string()).collect::<Vec<_>>()
    };
    let plain = world.retriever(RetrieveConfig::default()).search(&world.scope, request()).await.unwrap();
    let best = world.retriever(reranked(OVERLAP_RERANKER, 10)).search(&world.scope, request()).await.unwrap();
    assert_eq!((order(&best)[0].as_str(), best.hits[0].score), ("b", 1.0));
    assert!(best.degraded.is_empty());
    for model in ["broken", "unknown"] {
        let response = world.retriever(reranked(model, 10)).search(&world.scope, request()).await.unwrap();
        assert_eq!(order(&response), order(&plain));
        assert_eq!(response.degraded[0].leg, "rerank");
    }
    let switched_off =
        SearchRequest { overrides: Overrides { rerank: Some(false), ..Overrides::default() }, ..request() };
    let response = world.retriever(reranked("broken", 10)).search(&world.scope, switched_off).await.unwrap();
    assert!(response.degraded.is_empty());
    let head = world.retriever(reranked(OVERLAP_RERANKER, 1)).search(&world.scope, request()).await.unwrap();
    assert_eq!(order(&head), order(&plain), "what was not reranked stays below in fused order");
    assert!(head.hits.windows(2).all(|pair| pair[0].score > pair[1].score));
}
