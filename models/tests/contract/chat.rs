//! What every `ChatModel` must do.

use futures::{FutureExt, StreamExt};
use wellspring_models::{ChatEvent, ChatModel, ChatRequest, Message, Role};

/// A request with one user message.
pub(crate) fn request(content: &str) -> ChatRequest {
    ChatRequest {
        messages: vec![
            Message { role: Role::System, content: "Answer from the passages.".to_owned() },
            Message { role: Role::User, content: content.to_owned() },
        ],
        max_tokens: 64,
        temperature: 0.0,
        seed: Some(7),
        stop: vec!["END".to_owned()],
        ..ChatRequest::default()
    }
}

/// Runs the whole contract against one implementation, which must answer at least four times, always the same and
/// with more than one word.
pub(crate) async fn keeps_contract(chat: &dyn ChatModel) {
    assert!(!chat.name().is_empty());
    assert!(chat.context_tokens() > 0);
    let question = request("[1] Paid leave is 30 days.\nHow many days is paid leave?");
    let reply = chat.complete(&question).await.unwrap();
    assert!(!reply.text.is_empty());

    let events: Vec<_> = chat.stream(&question).await.unwrap().collect().await;
    let events: Vec<ChatEvent> = events.into_iter().map(Result::unwrap).collect();
    let (last, tokens) = events.split_last().unwrap();
    let text: String = tokens
        .iter()
        .map(|event| match event {
            ChatEvent::Token(token) => {
                assert!(!token.is_empty());
                token.as_str()
            }
            ChatEvent::Call(call) => panic!("a call without tools: {call:?}"),
            ChatEvent::Done { .. } => panic!("an event after the last one"),
        })
        .collect();
    assert_eq!(text, reply.text);
    assert!(reply.calls.is_empty(), "a call without tools");
    assert_eq!(reply.served_by, chat.name());
    let served_by = chat.name().to_owned();
    assert_eq!(*last, ChatEvent::Done { finish: reply.finish, usage: reply.usage, served_by });

    // A stream that is dropped early, and one that is never read, cost nothing.
    let mut dropped = chat.stream(&question).await.unwrap();
    drop(dropped.next().now_or_never());
    drop(dropped);
    assert_eq!(chat.complete(&question).await.unwrap().text, reply.text);
}
