//! Answers that a second model judges: what it takes away, what it can't give, and how its faults end.

use std::sync::Arc;

use futures::StreamExt;
use serde_json::json;
use wellspring_answer::{
    Answer, AnswerConfig, AnswerEvent, AnswerRequest, Answerer, Decision, JudgeConfig, Unsupported,
};
use wellspring_models::ErrorKind as ModelKind;
use wellspring_models::fake::{HASH_EMBEDDER, Script, ScriptEnd, ScriptedChat};
use wellspring_retrieve::RetrieveConfig;

use crate::support::World;

const LEAVE: &str = "Everyone has thirty days of paid leave a year.";
const TRAVEL: &str = "Travel costs are paid back within two weeks.";
const QUESTION: &str = "How many days of paid leave are there, and when are travel costs paid back?";
const SAID: &str = "Everyone has thirty days of paid leave a year. The company owns nine submarines. \
    Travel costs are paid back within two weeks.";

struct Court {
    world: World,
    answerer: Answerer,
    judge: Arc<ScriptedChat>,
}

/// `said` by the model, and what the judge replies; a deadline that nothing but a hanging judge meets.
async fn court(said: &str, judge: Vec<Script>, unsupported: Unsupported, deadline_ms: u64) -> Court {
    let world = World::new().await;
    world.add("leave", LEAVE).await;
    world.add("travel", TRAVEL).await;
    let judge = Arc::new(ScriptedChat::new("judge", judge));
    world.registry.register_chat("scripted", Arc::new(ScriptedChat::new("scripted", [Script::reply(said)])));
    world.registry.register_chat("judge", judge.clone());
    let config = AnswerConfig {
        model: Some("scripted".to_owned()),
        support_model: Some(HASH_EMBEDDER.to_owned()),
        unsupported,
        judge: JudgeConfig {
            on: true,
            model: Some("judge".to_owned()),
            deadline_ms,
            ..JudgeConfig::default()
        },
        ..AnswerConfig::default()
    };
    let retriever = world.retriever(RetrieveConfig::default());
    let answerer = Answerer::new(retriever, Arc::clone(&world.registry), config).unwrap();
    Court { world, answerer, judge }
}

fn verdicts(supports: &[f64]) -> Script {
    let each =
        supports.iter().enumerate().map(|(at, support)| json!({ "claim": at + 1, "support": support }));
    Script::reply(&json!({ "verdicts": each.collect::<Vec<_>>() }).to_string())
}

impl Court {
    async fn ask(&self) -> Answer {
        self.answerer.answer(&self.world.scope, AnswerRequest::new(QUESTION)).await.unwrap()
    }
}

fn decisions(answer: &Answer) -> Vec<(Decision, Option<f64>)> {
    answer.claims.iter().map(|claim| (claim.decision, claim.judged)).collect()
}

#[tokio::test]
async fn a_judge_takes_away_and_never_gives() {
    let court = court(SAID, vec![verdicts(&[0.9, 0.2])], Unsupported::Drop, 60_000).await;
    let answer = court.ask().await;
    assert!(answer.answer.starts_with(LEAVE) && !answer.answer.contains("Travel"), "{}", answer.answer);
    assert_eq!(answer.citations.len(), 1);
    assert_eq!(
        decisions(&answer),
        [(Decision::Kept, Some(0.9)), (Decision::Dropped, None), (Decision::Dropped, Some(0.2))]
    );
    let by = answer.details.judge.as_ref().unwrap();
    assert_eq!((by.model.as_str(), by.prompt.name), ("judge", "judge"));
    assert!(answer.degraded.is_empty(), "{:?}", answer.degraded);
    let warned = answer.warnings.iter().filter(|warning| warning.code == "unsupported_claim");
    assert_eq!(warned.filter(|warning| warning.message.contains("the judge")).count(), 1);

    // It is asked once, about what the local checker kept, in fences that no document can close.
    let asked = court.judge.requests();
    assert_eq!(asked.len(), 1);
    let told = &asked[0].messages.last().unwrap().content;
    assert!(told.contains(LEAVE) && told.contains(TRAVEL) && !told.contains("submarines"), "{told}");
    let fence = told.split_once("<passage-").unwrap().1.split_once(' ').unwrap().0.to_owned();
    assert!(fence.len() == 32 && told.contains(&format!("<claim-{fence} n=\"2\"")), "{told}");
    assert!(asked[0].output.is_some() && asked[0].tools.is_empty());
}

#[tokio::test]
async fn a_sentence_that_the_judge_doubts_can_be_marked_and_alone_it_is_a_refusal() {
    let marked = court(SAID, vec![verdicts(&[0.9, 0.2])], Unsupported::Mark, 60_000).await.ask().await;
    assert!(marked.answer.contains(&format!("{TRAVEL} [unsupported]")), "{}", marked.answer);
    let refused = court(LEAVE, vec![verdicts(&[0.0])], Unsupported::Drop, 60_000).await.ask().await;
    assert!(refused.abstained && refused.citations.is_empty(), "{}", refused.answer);
}

#[tokio::test]
async fn a_judge_that_fails_changes_nothing_and_the_answer_says_so() {
    let unfit = || Script::reply(r#"{"verdicts": [{"claim": 1, "support": 0.0}]}"#);
    let hangs = Script::reply("").ending(ScriptEnd::Hang);
    for (scripts, deadline, calls) in [
        (vec![Script::reply("").ending(ScriptEnd::Fault(ModelKind::Unavailable))], 60_000, 1),
        (vec![Script::reply(r#"{"verdicts"#).ending(ScriptEnd::Cut)], 60_000, 1),
        (vec![unfit(), unfit()], 60_000, 2),
        (vec![hangs], 100, 1),
    ] {
        let court = court(SAID, scripts, Unsupported::Drop, deadline).await;
        let answer = court.ask().await;
        assert!(answer.answer.contains(LEAVE) && answer.answer.contains(TRAVEL), "{}", answer.answer);
        let told: Vec<&str> = answer.degraded.iter().map(|part| part.leg.as_str()).collect();
        assert_eq!(told, ["judge"], "{:?}", answer.degraded);
        assert!(answer.details.judge.is_none() && answer.claims.iter().all(|claim| claim.judged.is_none()));
        assert_eq!(court.judge.requests().len(), calls);
    }
}

#[tokio::test]
async fn nothing_is_streamed_before_it_was_judged() {
    let court = court(SAID, vec![verdicts(&[0.1, 0.8])], Unsupported::Drop, 60_000).await;
    let events: Vec<AnswerEvent> =
        court.answerer.stream(&court.world.scope, AnswerRequest::new(QUESTION)).collect().await;
    let text: String = events
        .iter()
        .filter_map(|event| match event {
            AnswerEvent::Token(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert!(text.starts_with(TRAVEL) && !text.contains("leave"), "{text}");
    let Some(AnswerEvent::Done(answer)) = events.last() else { panic!("{events:?}") };
    assert_eq!(answer.answer, text);
    assert_eq!(events.iter().filter(|event| event.is_terminal()).count(), 1);
}

#[tokio::test]
async fn the_prompt_is_as_recorded() {
    let court = court(SAID, vec![verdicts(&[0.9, 0.9])], Unsupported::Drop, 60_000).await;
    let answer = court.ask().await;
    let messages = &court.judge.requests()[0].messages;
    let told = &messages[1].content;
    let fence = told.split_once("<passage-").unwrap().1.split_once(' ').unwrap().0.to_owned();
    let shown: Vec<String> = messages
        .iter()
        .map(|message| format!("--- {:?}\n{}", message.role, message.content.replace(&fence, "FENCE")))
        .collect();
    let prompt = &answer.details.judge.unwrap().prompt;
    insta::assert_snapshot!(format!("{}\n--- {} {}", shown.join("\n"), prompt.name, prompt.hash));
}
