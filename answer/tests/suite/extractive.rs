//! Answers without a model: quoted sentences, exact spans, and refusals.
use std::sync::Arc;

use crate::support::{Text, World};
use wellspring_answer::config::WORDS;
use wellspring_answer::{Answer, AnswerConfig, AnswerRequest, Answerer, EXTRACTIVE, ErrorKind};
use wellspring_retrieve::RetrieveConfig;

const HANDBOOK: &str = "# Leave\nEveryone has **thirty days** of paid leave a year. Unused leave expires at the end of \
March.\n\n# Travel\n- Travel costs are paid back within two weeks.\n- Receipts are needed above 25 EUR.\n\n# Prices\n\
| Plan | Price per month | Seats |\n|------|-----------------|-------|\n| Free | 0 EUR | 1 |\n| Team | 49 EUR | 10 |";

fn answerer(world: &World, config: AnswerConfig) -> Answerer {
    Answerer::new(world.retriever(RetrieveConfig::default()), Arc::clone(&world.registry), config).unwrap()
}

async fn handbook() -> World {
    let world = World::new().await;
    let pages = [0, HANDBOOK.find("# Travel").unwrap()];
    world
        .put(Text {
            id: "handbook",
            title: Some("Handbook"),
            text: HANDBOOK,
            pages: &pages,
            ..Text::default()
        })
        .await;
    world.add("menu", "On Friday the canteen serves fish. Soup is served every day.").await;
    world
}

/// Read by words alone: no model is loaded for every world.
fn words() -> AnswerConfig {
    AnswerConfig { support_model: Some(WORDS.to_owned()), ..AnswerConfig::default() }
}

async fn ask(world: &World, question: &str) -> Answer {
    answerer(world, words()).answer(&world.scope, AnswerRequest::new(question)).await.unwrap()
}

#[tokio::test]
async fn the_supporting_sentence_is_quoted_byte_for_byte() {
    let world = handbook().await;
    let answer = ask(&world, "How many days of paid leave does everyone have in a year?").await;
    assert!(!answer.abstained && answer.complete);
    assert!(
        answer.answer.contains("Everyone has thirty days of paid leave a year. [1]"),
        "{}",
        answer.answer
    );
    let citation = &answer.citations[0];
    assert_eq!(citation.quote, "Everyone has **thirty days** of paid leave a year.");
    assert_eq!((citation.n, citation.page, citation.document_id.as_str()), (1, Some(1), "handbook"));
    for citation in &answer.citations {
        assert_eq!(&HANDBOOK[citation.start..citation.end], citation.quote);
        let passage = answer.passages.iter().find(|passage| passage.n == citation.n).unwrap();
        assert_eq!(passage.passage.chunk_id, citation.chunk_id);
    }
    assert!(answer.model.is_none() && answer.prompt.is_none() && answer.usage.is_none());
}

#[tokio::test]
async fn a_short_answer_is_an_exact_part_of_a_citation() {
    let world = handbook().await;
    let answer = ask(&world, "How much is the monthly price of the team plan?").await;
    let short = answer.short_answer.unwrap();
    assert_eq!((short.text.as_str(), &HANDBOOK[short.start..short.end]), ("49 EUR", "49 EUR"));
    assert!(answer.citations.iter().any(|c| c.n == short.n && c.start <= short.start && short.end <= c.end));
    assert_eq!(ask(&world, "What are receipts needed for?").await.short_answer, None);
}

#[tokio::test]
async fn the_same_sentence_in_two_documents_is_quoted_once() {
    let world = handbook().await;
    world.add("copy", "Everyone has thirty days of paid leave a year!").await;
    let answer = ask(&world, "How many days of paid leave does everyone have in a year?").await;
    assert_eq!(answer.answer.matches("thirty days of paid leave").count(), 1, "{}", answer.answer);
}

#[tokio::test]
async fn lists_and_tables_are_readable_and_still_exact() {
    let world = handbook().await;
    let answer = ask(&world, "When are travel costs paid back?").await;
    assert!(answer.answer.contains("Travel costs are paid back within two weeks. [1]"), "{}", answer.answer);
    assert_eq!(answer.citations[0].quote, "- Travel costs are paid back within two weeks.");
    assert_eq!(answer.citations[0].page, Some(2));
    let answer = ask(&world, "What is the price of the team plan?").await;
    assert!(answer.answer.contains("Plan: Team; Price per month: 49 EUR; Seats: 10. ["), "{}", answer.answer);
    assert!(answer.citations.iter().any(|citation| citation.quote == "| Team | 49 EUR | 10 |"));
}

#[tokio::test]
async fn an_answer_can_rest_on_several_documents_in_their_order() {
    let world = World::new().await;
    world.add("heron", "Project Heron is led by Ada Byron.").await;
    world.add("swift", "Project Swift is led by Grace Murray.").await;
    world.add("noise", "The canteen serves fish.").await;
    let answer = ask(&world, "Who is project Heron led by, and who is project Swift led by?").await;
    assert_eq!(answer.citations.len(), 2, "{}", answer.answer);
    assert!(answer.citations.windows(2).all(|pair| pair[0].n < pair[1].n));
}

#[tokio::test]
async fn weak_retrieval_is_refused_with_the_reason_and_what_was_found() {
    let world = handbook().await;
    let answer = ask(&world, "Which moons orbit Jupiter?").await;
    assert!(answer.abstained && answer.citations.is_empty(), "{}", answer.answer);
    assert!(answer.reason.as_deref().unwrap().contains("at least"), "{:?}", answer.reason);
    assert!(!answer.passages.is_empty());
    let nothing = World::new().await;
    let answer = ask(&nothing, "Anything?").await;
    assert!(answer.abstained && answer.passages.is_empty());
    assert!(answer.reason.unwrap().contains("nothing was found"));
}

#[tokio::test]
async fn thresholds_can_be_set() {
    let world = handbook().await;
    let mut config = words();
    config.refusal.min_coverage = 0.0;
    let answer =
        answerer(&world, config).answer(&world.scope, AnswerRequest::new("Which moons orbit Jupiter?")).await;
    assert!(!answer.unwrap().abstained);
    let one = AnswerConfig { sentences: 1, ..words() };
    let question = AnswerRequest::new("paid leave days and travel costs");
    let answer = answerer(&world, one).answer(&world.scope, question).await.unwrap();
    assert_eq!(answer.citations.len(), 1);
}

#[tokio::test]
async fn what_the_asker_may_not_see_is_not_quoted() {
    let world = World::new().await;
    let text = "The merger with Crane is planned for May.";
    world.put(Text { id: "secret", text, acl: Some(&["group:board"]), ..Text::default() }).await;
    let answerer = answerer(&world, words());
    let question = || AnswerRequest::new("When is the merger with Crane planned?");
    let board = world.seen_by(&["group:board"]).await;
    assert!(!answerer.answer(&board, question()).await.unwrap().abstained);
    let staff = world.seen_by(&["group:staff"]).await;
    let refused = answerer.answer(&staff, question()).await.unwrap();
    let json = serde_json::to_string(&refused).unwrap();
    assert!(refused.abstained && !json.contains("merger"), "{json}");
}

#[tokio::test]
async fn bad_requests_are_refused_as_such() {
    let world = handbook().await;
    let answerer = answerer(&world, words());
    for request in [
        AnswerRequest::new(" "),
        AnswerRequest { k: Some(0), ..AnswerRequest::new("leave") },
        AnswerRequest { k: Some(51), ..AnswerRequest::new("leave") },
    ] {
        assert_eq!(answerer.answer(&world.scope, request).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    let unknown = AnswerRequest { model: Some("nobody".to_owned()), ..AnswerRequest::new("leave") };
    assert_eq!(answerer.answer(&world.scope, unknown).await.unwrap_err().kind(), ErrorKind::Invalid);
    let named = AnswerRequest { model: Some(EXTRACTIVE.to_owned()), ..AnswerRequest::new("paid leave days") };
    assert!(!answerer.answer(&world.scope, named).await.unwrap().abstained);
    let config = AnswerConfig { sentences: 0, ..AnswerConfig::default() };
    let made = Answerer::new(world.retriever(RetrieveConfig::default()), Arc::clone(&world.registry), config);
    assert_eq!(made.err().unwrap().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn the_answer_keeps_its_shape() {
    let world = handbook().await;
    let json = serde_json::to_value(ask(&world, "How many days of paid leave?").await).unwrap();
    let fields = |value: &serde_json::Value| {
        let mut fields: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        fields.sort_unstable();
        fields.join(" ")
    };
    assert_eq!(
        fields(&json),
        "abstained answer citations claims complete confidence conflicts degraded model passages prompt reason short_answer spending timings usage warnings"
    );
    assert_eq!(
        fields(&json["citations"][0]),
        "chunk_id claim document_id end n page quote source start support title version"
    );
    assert_eq!(fields(&json["claims"][0]), "citations decision findings rank support text");
    assert_eq!(
        (&json["claims"][0]["decision"], &json["claims"][0]["support"]),
        (&"kept".into(), &1.0.into())
    );
}
