//! What widens a search finds more, names itself, sees no more than its reader may, and costs nothing when it fails.
use std::sync::Arc;

use crate::support::{Text, World};
use async_trait::async_trait;
use wellspring_models::fake::{OVERLAP_RERANKER, Script, ScriptEnd, ScriptedChat};
use wellspring_models::{ModelsConfig, Registry, Reranker};
use wellspring_retrieve::{
    ChatExpansion, ExpandConfig, Mode, Overrides, RerankConfig, RetrieveConfig, Retriever, SearchRequest,
    SearchResponse,
};

fn ids(response: &SearchResponse) -> Vec<&str> {
    response.hits.iter().map(|hit| hit.document_id.as_str()).collect()
}

fn scored(response: &SearchResponse) -> Vec<(String, f32)> {
    response.hits.iter().map(|hit| (hit.document_id.to_string(), hit.score)).collect()
}

fn request(query: &str, mode: Mode, expand: ExpandConfig) -> SearchRequest {
    let overrides = Overrides { expand: Some(expand), ..Overrides::default() };
    SearchRequest { mode, explain: true, overrides, ..SearchRequest::new(query) }
}

fn with_chat(world: &World, scripts: Vec<Script>) -> (Retriever, Arc<ScriptedChat>) {
    let config = ModelsConfig { default_chat: Some("scripted".to_owned()), ..ModelsConfig::default() };
    let registry = Registry::new(config).unwrap();
    let chat = Arc::new(ScriptedChat::new("scripted", scripts));
    registry.register_chat("scripted", Arc::clone(&chat) as _);
    let registry = Arc::new(registry);
    (Retriever::new(world.store.clone(), registry, RetrieveConfig::default()).unwrap(), chat)
}

fn chat(kind: ChatExpansion) -> ExpandConfig {
    ExpandConfig { chat: kind, ..ExpandConfig::default() }
}

async fn library() -> World {
    let world = World::new().await;
    world.add("leave", "Paid leave is thirty days a year.").await;
    world.add("holiday", "A holiday entitlement of six weeks applies.").await;
    world.add("travel", "Travel costs are refunded within two weeks.").await;
    world
}

#[tokio::test]
async fn an_acronym_finds_its_long_form_and_the_other_way_round() {
    let world = World::new().await;
    world.add("defines", "Reciprocal Rank Fusion (RRF) joins rankings.").await;
    world.add("long", "In reciprocal rank fusion the damping is a constant.").await;
    world.add("short", "RRF was measured on nine sets.").await;
    world.add("other", "The rank of an officer.").await;
    let retriever = world.retriever(RetrieveConfig::default());
    let acronyms = || ExpandConfig { acronyms: true, ..ExpandConfig::default() };
    let plain =
        retriever.search(&world.scope, request("RRF", Mode::Keyword, ExpandConfig::default())).await.unwrap();
    assert!(!ids(&plain).contains(&"long") && plain.explain.unwrap().expanded.is_empty());
    let response = retriever.search(&world.scope, request("RRF", Mode::Keyword, acronyms())).await.unwrap();
    assert!(ids(&response).contains(&"long"), "{:?}", ids(&response));
    let explain = response.explain.unwrap();
    assert_eq!(
        (explain.expanded[0].by, explain.expanded[0].text.as_str()),
        ("acronym", "Reciprocal Rank Fusion")
    );
    assert!(response.degraded.is_empty() && response.timings.0.contains_key("expand"));
    let response = retriever
        .search(&world.scope, request("reciprocal rank fusion", Mode::Keyword, acronyms()))
        .await
        .unwrap();
    assert!(ids(&response).contains(&"short"), "{:?}", ids(&response));
}

#[tokio::test]
async fn an_acronym_defined_where_the_reader_may_not_look_stays_unknown() {
    let world = World::new().await;
    let secret = "Heron Acquisition Team (HAT) meets today. HAT HAT";
    world.put(Text { id: "secret", text: secret, acl: Some(&["user:ada"]), ..Text::default() }).await;
    world.add("open", "The HAT is a committee.").await;
    world.add("heron", "A heron is a bird.").await;
    let retriever = world.retriever(RetrieveConfig::default());
    let expand = || ExpandConfig { acronyms: true, ..ExpandConfig::default() };
    let bob = world.seen_by(&["user:bob"]).await;
    let response = retriever.search(&bob, request("HAT", Mode::Keyword, expand())).await.unwrap();
    assert_eq!(ids(&response), ["open"]);
    assert!(response.explain.unwrap().expanded.is_empty());
    let ada = world.seen_by(&["user:ada"]).await;
    let response = retriever.search(&ada, request("HAT", Mode::Keyword, expand())).await.unwrap();
    assert!(ids(&response).contains(&"heron"));
}

#[tokio::test]
async fn other_wordings_are_searched_for_too() {
    let world = library().await;
    let (retriever, asked) =
        with_chat(&world, vec![Script::reply(r#"["holiday entitlement", "paid LEAVE"]"#)]);
    let search = request("paid leave", Mode::Keyword, chat(ChatExpansion::MultiQuery));
    let response = retriever.search(&world.scope, search).await.unwrap();
    assert_eq!(ids(&response), ["leave", "holiday"]);
    // The one rewriting that is left has weight 1, as the query itself; equal ranks then go by key.
    assert!(response.hits.iter().all(|hit| (hit.score - 1.0 / 11.0).abs() < 1e-6), "{:?}", scored(&response));
    let expanded = response.explain.unwrap().expanded;
    assert_eq!((expanded.len(), expanded[0].by, expanded[0].weight), (1, "multi_query", 1.0));
    assert!(expanded[0].prompt.as_ref().is_some_and(|prompt| prompt.len() == 16));
    assert_eq!(asked.requests().len(), 1);
}

#[tokio::test]
async fn a_guessed_passage_moves_the_vector_and_not_the_words() {
    let world = library().await;
    let reply = || Script::reply(r#"["Travel costs are refunded to travellers within some weeks."]"#);
    let (retriever, _) = with_chat(&world, vec![reply(), reply()]);
    let hyde = |mode| request("money back", mode, chat(ChatExpansion::Hyde));
    let response = retriever.search(&world.scope, hyde(Mode::Dense)).await.unwrap();
    assert_eq!(ids(&response)[0], "travel");
    assert!(response.degraded.is_empty());
    assert_eq!(response.explain.unwrap().expanded[0].by, "hyde");
    assert!(retriever.search(&world.scope, hyde(Mode::Keyword)).await.unwrap().hits.is_empty());
}

#[tokio::test]
async fn a_chat_model_that_fails_leaves_the_search_as_it_was() {
    let world = library().await;
    let plain = world.retriever(RetrieveConfig::default());
    let plain = plain
        .search(&world.scope, request("paid leave", Mode::Hybrid, ExpandConfig::default()))
        .await
        .unwrap();
    let hang = Script::reply("").ending(ScriptEnd::Hang);
    for (script, budget_ms, why) in [
        (Some(Script::reply("I can't do that.")), 60_000, "list of texts"),
        (Some(hang), 50, "within 50 ms"),
        (None, 60_000, "script of scripted has ended"),
    ] {
        for kind in [ChatExpansion::MultiQuery, ChatExpansion::Hyde, ChatExpansion::Decompose] {
            let (retriever, _) = with_chat(&world, script.clone().into_iter().collect());
            let expand = ExpandConfig { budget_ms, ..chat(kind) };
            let response =
                retriever.search(&world.scope, request("paid leave", Mode::Hybrid, expand)).await.unwrap();
            assert_eq!(scored(&response), scored(&plain), "{kind:?} {why}");
            assert_eq!(response.degraded.len(), 1);
            assert_eq!(response.degraded[0].leg, "expand");
            assert!(response.degraded[0].reason.contains(why), "{:?}", response.degraded);
        }
    }
}

#[tokio::test]
async fn without_a_chat_model_a_question_is_taken_apart_by_rule() {
    let world = library().await;
    let retriever = world.retriever(RetrieveConfig::default());
    let search = request("compare holiday with travel", Mode::Keyword, chat(ChatExpansion::Decompose));
    let response = retriever.search(&world.scope, search).await.unwrap();
    assert!(response.degraded.is_empty(), "{:?}", response.degraded);
    let expanded = response.explain.unwrap().expanded;
    let told: Vec<(&str, &str)> = expanded.iter().map(|one| (one.by, one.text.as_str())).collect();
    assert_eq!(told, [("rules", "holiday"), ("rules", "travel")]);
    let search = request("paid leave", Mode::Keyword, chat(ChatExpansion::MultiQuery));
    let response = retriever.search(&world.scope, search).await.unwrap();
    assert!(response.degraded[0].reason.contains("models.routes.expand"), "{:?}", response.degraded);
    assert_eq!(ids(&response), ["leave"]);
}

/// Prefers passages about vacation, without saying how likely they are.
struct Vacation;

#[async_trait]
impl Reranker for Vacation {
    fn name(&self) -> &str {
        "vacation"
    }

    async fn rerank(&self, _query: &str, passages: &[&str]) -> wellspring_models::Result<Vec<f32>> {
        Ok(passages.iter().map(|text| text.matches("vacation").count() as f32).collect())
    }
}

fn reranked(model: &str, candidates: usize, min_score: Option<f32>) -> RetrieveConfig {
    let rerank = RerankConfig { model: model.to_owned(), candidates, budget_ms: 5_000, min_score };
    RetrieveConfig { rerank: Some(rerank), ..RetrieveConfig::default() }
}

#[tokio::test]
async fn feedback_brings_candidates_to_the_reranker_and_changes_nothing_else() {
    let world = World::new().await;
    for n in 0..4 {
        world.add(&format!("leave{n}"), &format!("Annual leave is holiday time, rule {n}.")).await;
    }
    world.add("unnamed", "Holiday time and vacation time, and vacation rule.").await;
    world.add("far", "The invoice is overdue.").await;
    world.registry.register_reranker("vacation", Arc::new(Vacation));
    let feedback = || ExpandConfig { feedback: 2, ..ExpandConfig::default() };
    let search = |expand| SearchRequest { k: 2, ..request("leave", Mode::Keyword, expand) };
    let retriever = world.retriever(reranked("vacation", 4, None));
    let plain = retriever.search(&world.scope, search(ExpandConfig::default())).await.unwrap();
    assert!(!ids(&plain).contains(&"unnamed"));
    let response = retriever.search(&world.scope, search(feedback())).await.unwrap();
    assert_eq!(ids(&response)[0], "unnamed", "it holds no word of the query");
    assert!(response.degraded.is_empty());
    let told = response.explain.unwrap().expanded;
    assert_eq!((told[0].by, told[0].weight), ("feedback", 0.0));
    assert!(told[0].text.contains("holiday") && !told[0].text.contains("invoice"), "{}", told[0].text);
    // Nobody reads the pool again: the query's own order stands.
    for config in [RetrieveConfig::default(), reranked("missing", 4, None)] {
        let retriever = world.retriever(config);
        let plain = retriever.search(&world.scope, search(ExpandConfig::default())).await.unwrap();
        let response = retriever.search(&world.scope, search(feedback())).await.unwrap();
        assert_eq!(scored(&response), scored(&plain));
    }
}

#[tokio::test]
async fn a_threshold_acts_on_probabilities_only() {
    let world = World::new().await;
    world.add("both", "paid leave").await;
    world.add("one", "paid work").await;
    world.registry.register_reranker("vacation", Arc::new(Vacation));
    let search = || SearchRequest { explain: true, mode: Mode::Keyword, ..SearchRequest::new("paid leave") };
    let found = async |config| world.retriever(config).search(&world.scope, search()).await.unwrap();
    assert_eq!(ids(&found(reranked(OVERLAP_RERANKER, 10, Some(0.5))).await), ["both", "one"]);
    let response = found(reranked(OVERLAP_RERANKER, 10, Some(0.6))).await;
    assert_eq!(ids(&response), ["both"]);
    assert_eq!(response.hits[0].explain.as_ref().unwrap().relevance, Some(1.0));
    assert_eq!(response.explain.unwrap().dropped["below_min_score"], 1);
    assert_eq!(
        ids(&found(reranked(OVERLAP_RERANKER, 1, Some(0.0))).await),
        ["both"],
        "the rest was not read"
    );
    for (model, why) in [("vacation", "no probabilities"), ("missing", "missing")] {
        let response = found(reranked(model, 10, Some(0.6))).await;
        assert_eq!(response.hits.len(), 2, "{model}");
        assert!(response.degraded[0].reason.contains(why), "{:?}", response.degraded);
    }
}

#[tokio::test]
async fn a_hit_inherits_from_its_better_neighbour() {
    let world = World::new().await;
    world
        .add("talk", "The heron nests here.\n\nYes, a heron heron heron.\n\nIt does.\n\nA heron again.")
        .await;
    world.add("note", "One heron was seen far away from here.").await;
    let retriever = world.retriever(RetrieveConfig::default());
    let search = |smooth| {
        let overrides = Overrides { smooth, ..Overrides::default() };
        SearchRequest { mode: Mode::Keyword, overrides, ..SearchRequest::new("heron") }
    };
    let plain = retriever.search(&world.scope, search(None)).await.unwrap();
    let smoothed = retriever.search(&world.scope, search(Some(0.5))).await.unwrap();
    assert_eq!(plain.hits.len(), 4, "the third turn does not match");
    let lowest = plain.hits.iter().map(|hit| hit.score).fold(f32::INFINITY, f32::min);
    let score = |start: usize| {
        plain.hits.iter().find(|hit| hit.document_id.as_str() == "talk" && hit.start == start).unwrap().score
    };
    let (first, second) = (score(0), score(23));
    for hit in &smoothed.hits {
        let before = plain.hits.iter().find(|other| other.chunk_id == hit.chunk_id).unwrap().score;
        let inherited = match (hit.document_id.as_str(), hit.start) {
            ("talk", 0) => 0.5 * (second - lowest),
            ("talk", 23) => 0.5 * (first - lowest),
            // The last turn's neighbour is no hit, and the note has none.
            _ => 0.0,
        };
        assert!((hit.score - (before + inherited)).abs() < 1e-5, "{} {}", hit.document_id, hit.start);
    }
    assert!(smoothed.hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
    let off = retriever.search(&world.scope, search(Some(0.0))).await.unwrap();
    assert_eq!(scored(&off), scored(&plain));
}

#[tokio::test]
async fn a_trained_ranker_orders_the_hits_and_can_be_switched_off() {
    let world = World::new().await;
    world.add("often", "leave leave leave leave").await;
    world.add("whole", "the number of paid leave days and a great many words of no use at all").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ranker.json");
    let model = r#"{"format": 1, "features": ["coverage"], "center": [0.5], "scale": [0.5], "weights": [2.0],
        "trained_on": "by hand"}"#;
    fs_err::write(&file, model).unwrap();
    let config = RetrieveConfig { ranker: Some(file.clone()), ..RetrieveConfig::default() };
    let retriever = world.retriever(config.clone());
    let search = |ranker| {
        let overrides = Overrides { ranker, ..Overrides::default() };
        SearchRequest { mode: Mode::Keyword, overrides, ..SearchRequest::new("leave days paid") }
    };
    let response = retriever.search(&world.scope, search(None)).await.unwrap();
    assert_eq!(ids(&response), ["whole", "often"]);
    // All of the query's words, and one of three.
    let expected = [2.0 * (1.0 - 0.5) / 0.5, 2.0 * (1.0 / 3.0 - 0.5) / 0.5];
    assert!(response.hits.iter().zip(expected).all(|(hit, score)| (hit.score - score as f32).abs() < 1e-6));
    assert!(response.timings.0.contains_key("ranker"));
    let off = retriever.search(&world.scope, search(Some(false))).await.unwrap();
    assert!(!off.timings.0.contains_key("ranker"));

    let rows = retriever.features(&world.scope, search(None)).await.unwrap();
    let names = wellspring_retrieve::ranker::FEATURES;
    let value = |row: &[f64], name: &str| row[names.iter().position(|known| *known == name).unwrap()];
    for (hit, row) in &rows {
        let plain = off.hits.iter().find(|other| other.chunk_id == hit.chunk_id).unwrap();
        assert_eq!(row.len(), names.len());
        assert_eq!(value(row, "keyword_score"), f64::from(plain.score));
        assert_eq!((value(row, "dense_rank"), value(row, "place")), (0.0, 1.0));
    }

    fs_err::write(&file, "{}").unwrap();
    let registry = Arc::clone(&world.registry);
    assert!(Retriever::new(world.store.clone(), registry, config).is_err());
}
