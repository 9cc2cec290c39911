//! Agents over a real store: what is left of a run whose documents go while it answers.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use serde_json::{Value, json};
use uuid::Uuid;
use wellspring_answer::{
    Agent, AgentRequest, AllowedTools, AnswerConfig, AnswerError, AnswerEvent, AnswerRequest, Answerer,
    Asker, ErrorKind, KeptRun, RunStage, RunStore, Toolbox,
};
use wellspring_models::fake::{HASH_EMBEDDER, Script, ScriptedChat};
use wellspring_retrieve::{CollectionScope, RetrieveConfig};

use crate::support::World;

const LEAVE: &str = "Everyone has thirty days of paid leave a year.";
const TRAVEL: &str = "Travel costs are paid back within two weeks.";

/// Keeps nothing: for runs that never wait.
struct NoRuns;

fn absent() -> AnswerError {
    AnswerError::new(ErrorKind::NotFound, "no run is kept here")
}

#[async_trait]
impl RunStore for NoRuns {
    async fn keep(
        &self,
        _: &Asker,
        _: &CollectionScope,
        _: Uuid,
        _: Option<Uuid>,
        _: Value,
        _: u64,
    ) -> Result<KeptRun, AnswerError> {
        Err(absent())
    }

    async fn run(&self, _: &Asker, _: Uuid) -> Result<KeptRun, AnswerError> {
        Err(absent())
    }

    async fn change(
        &self,
        _: &Asker,
        _: Uuid,
        _: u64,
        _: RunStage,
        _: Value,
    ) -> Result<KeptRun, AnswerError> {
        Err(absent())
    }
}

#[tokio::test]
async fn a_document_that_goes_takes_the_steps_along_that_may_tell_of_it() {
    for gone in [false, true] {
        let world = World::new().await;
        world.add("leave", LEAVE).await;
        world.add("travel", TRAVEL).await;
        let scripts = [
            Script::calling([
                ("search", json!({ "query": "paid leave" })),
                ("search", json!({ "query": "thirty days" })),
            ]),
            Script::reply(&format!("{LEAVE} {TRAVEL}")),
        ];
        world.registry.register_chat("scripted", Arc::new(ScriptedChat::new("scripted", scripts)));
        let config = AnswerConfig {
            model: Some("scripted".to_owned()),
            support_model: Some(HASH_EMBEDDER.to_owned()),
            ..AnswerConfig::default()
        };
        let retriever = world.retriever(RetrieveConfig::default());
        let answerer = Answerer::new(retriever, Arc::clone(&world.registry), config).unwrap();
        let agent = Agent::new(answerer, Arc::new(Toolbox::default()), Arc::new(NoRuns));
        let request = AgentRequest {
            request: AnswerRequest::new("How much paid leave is there, and when are travel costs paid back?"),
            allowed: AllowedTools::All,
            asker: Asker { tenant: world.scope.tenant().clone(), key: None },
            conversation: None,
            may_wait: false,
        };
        let mut events = agent.stream(&world.scope, request);
        let mut last = None;
        while let Some(event) = events.next().await {
            if gone && matches!(event, AnswerEvent::Retrieval { .. }) {
                world.delete("leave").await;
            }
            last = Some(event);
        }
        let Some(AnswerEvent::Done(answer)) = last else { panic!("{last:?}") };
        let told = serde_json::to_string(&answer).unwrap();
        assert_eq!(
            (told.contains("thirty days"), answer.details.steps.len()),
            (!gone, if gone { 0 } else { 2 })
        );
        assert!(answer.answer.contains(TRAVEL), "{}", answer.answer);
    }
}
