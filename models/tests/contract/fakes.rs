//! The deterministic models keep the contracts, and their faults are what they say.

use futures::StreamExt;
use wellspring_models::fake::{HashEmbedder, OfflineChat, Script, ScriptEnd, ScriptedChat};
use wellspring_models::{ChatEvent, ChatModel, ErrorKind, FinishReason, Usage};

use crate::{chat, embedder};

#[tokio::test]
async fn hash_embedder_keeps_the_contract() {
    embedder::keeps_contract(&HashEmbedder::default()).await;
    embedder::keeps_contract(&HashEmbedder::new(64, 16)).await;
}

#[tokio::test]
async fn offline_chat_keeps_the_contract() {
    chat::keeps_contract(&OfflineChat).await;
}

#[tokio::test]
async fn scripted_chat_keeps_the_contract() {
    let script = Script::reply("Thirty days [1].").using(Usage {
        input_tokens: 9,
        output_tokens: 3,
        ..Usage::default()
    });
    chat::keeps_contract(&ScriptedChat::new("scripted", vec![script; 4])).await;
}

#[tokio::test]
async fn scripted_faults_end_the_stream_as_they_say() {
    for (end, kind) in [
        (ScriptEnd::Cut, ErrorKind::Unavailable),
        (ScriptEnd::Fault(ErrorKind::RateLimited), ErrorKind::RateLimited),
    ] {
        let model = ScriptedChat::new("scripted", vec![Script::reply("one two").ending(end); 2]);
        let events: Vec<_> = model.stream(&chat::request("?")).await.unwrap().collect().await;
        assert_eq!(events.len(), 3);
        assert_eq!(events[2].as_ref().unwrap_err().kind(), kind);
        assert_eq!(model.complete(&chat::request("?")).await.unwrap_err().kind(), kind);
        assert_eq!(model.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_script_can_break_the_contract_on_purpose_and_runs_out() {
    let silent = Script::reply("one").ending(ScriptEnd::Silence);
    let short = Script::reply("two").ending(ScriptEnd::Finished(FinishReason::Length));
    let model = ScriptedChat::new("scripted", [silent, short]);
    let events: Vec<_> = model.stream(&chat::request("?")).await.unwrap().collect().await;
    assert!(matches!(events.as_slice(), [Ok(ChatEvent::Token(_))]));
    assert_eq!(model.complete(&chat::request("?")).await.unwrap().finish, FinishReason::Length);
    assert_eq!(model.complete(&chat::request("?")).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
