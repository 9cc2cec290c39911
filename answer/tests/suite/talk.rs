//! What a plain answer can't do, and questions that follow others, over a real store.

use std::sync::Arc;

use crate::support::World;
use serde_json::json;
use wellspring_answer::{AnswerConfig, AnswerRequest, Answerer, Exchange, KeptAnswer};
use wellspring_models::FinishReason;
use wellspring_models::fake::{HASH_EMBEDDER, Script, ScriptEnd, ScriptedChat};
use wellspring_retrieve::RetrieveConfig;

const LEAVE: &str = "Everyone has thirty days of paid leave a year.";
const QUESTION: &str = "How many days of paid leave does everyone have?";

fn answerer(world: &World, model: Option<Arc<ScriptedChat>>) -> Answerer {
    let mut config =
        AnswerConfig { support_model: Some(HASH_EMBEDDER.to_owned()), ..AnswerConfig::default() };
    if let Some(model) = model {
        world.registry.register_chat("scripted", model);
        config.model = Some("scripted".to_owned());
    }
    Answerer::new(world.retriever(RetrieveConfig::default()), Arc::clone(&world.registry), config).unwrap()
}

#[tokio::test]
async fn a_plain_answer_offers_no_tool_and_is_not_complete_where_one_was_called() {
    let world = World::new().await;
    world.add("leave", LEAVE).await;
    let script = Script::reply(&format!("{LEAVE} [1]")).ending(ScriptEnd::Finished(FinishReason::ToolCalls));
    let model = Arc::new(ScriptedChat::new("scripted", [script]));
    let answer = answerer(&world, Some(model.clone()))
        .answer(&world.scope, AnswerRequest::new(QUESTION))
        .await
        .unwrap();
    assert!(!answer.complete && answer.details.steps.is_empty());
    let asked = model.requests().remove(0);
    assert!(asked.tools.is_empty() && asked.turns.is_empty() && asked.output.is_none());
}

#[tokio::test]
async fn a_follow_up_is_searched_for_as_it_was_understood() {
    let world = World::new().await;
    world.add("travel", "The travel policy was approved by the board in May 2024.").await;
    world.add("leave", LEAVE).await;
    let history = vec![Exchange { question: "What is the travel policy?".to_owned(), answer: String::new() }];
    let request = AnswerRequest { history, ..AnswerRequest::new("When was it approved?") };
    let answer = answerer(&world, None).answer(&world.scope, request).await.unwrap();
    assert_eq!(answer.details.standalone.as_deref(), Some("When was the travel policy approved?"));
    assert_eq!(answer.citations[0].document_id.as_str(), "travel");
    assert_eq!(answer.short_answer.unwrap().text, "May 2024");
}

#[tokio::test]
async fn what_is_kept_holds_no_text_of_documents_and_recalls_it_all() {
    let world = World::new().await;
    world.add("leave", LEAVE).await;
    let answerer = answerer(&world, None);
    let answer = answerer.answer(&world.scope, AnswerRequest::new(QUESTION)).await.unwrap();
    let kept = KeptAnswer::of(&answer);
    let written = serde_json::to_value(&kept).unwrap();
    assert!(!written.to_string().contains("thirty"), "{written}");
    let retriever = world.retriever(RetrieveConfig::default());
    let (recalled, left) = kept.recall(&retriever, &world.scope).await.unwrap();
    assert_eq!((recalled.answer, recalled.citations, left), (answer.answer, answer.citations, None));

    // Another tenant's scope, as if a row had strayed, sees nothing of it.
    let elsewhere = world.collection("other", "test").await;
    let (recalled, left) = kept.recall(&retriever, &elsewhere).await.unwrap();
    assert_eq!((recalled.answer.as_str(), recalled.citations.len(), recalled.withdrawn), ("", 0, 1));
    assert_eq!(serde_json::to_value(left.unwrap()).unwrap()["claims"], json!([]));
}
