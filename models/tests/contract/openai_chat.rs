//! The chat model over HTTP keeps the contract, and a cut stream is never taken for a whole one.

use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use wellspring_models::openai::OpenAiChat;
use wellspring_models::registry::{Api, ChatEndpoint, Deadlines, RetryPolicy};
use wellspring_models::{ChatEvent, ChatModel, ErrorKind, FinishReason, ModelError, Secret, Usage};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::chat;
use crate::raw::{SSE_HEAD, Step, serve};

fn config(base_url: String) -> ChatEndpoint {
    ChatEndpoint {
        base_url,
        api_key: Some(Secret::new("sk-secret")),
        context_tokens: 4096,
        deadlines: Deadlines { total_ms: 20_000, ..Deadlines::default() },
        retry: RetryPolicy { retries: 2, min_ms: 1, max_ms: 3_000 },
        ..ChatEndpoint::new("remote", Api::Openai, "m")
    }
}

/// One streamed piece of text.
fn piece(text: &str) -> String {
    format!(
        "data: {}\n\n",
        json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]})
    )
}

fn finish(reason: &str) -> String {
    format!(
        "data: {}\n\n",
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": null})
    )
}

const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":3}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// The same reply, whole or streamed as it was asked for.
struct Replying;

impl Respond for Replying {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            (&body["max_tokens"], &body["seed"], &body["stop"]),
            (&json!(64), &json!(7), &json!(["END"]))
        );
        assert_eq!(body["messages"][0], json!({"role": "system", "content": "Answer from the passages."}));
        if body["stream"] == json!(true) {
            assert_eq!(body["stream_options"]["include_usage"], json!(true));
            let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
            let text = format!(
                ": hello\n\n{role}{}{}{}{USAGE}{DONE}",
                piece("Thirty "),
                piece("days [1]."),
                finish("stop")
            );
            ResponseTemplate::new(200).set_body_raw(text, "text/event-stream")
        } else {
            ResponseTemplate::new(200).set_body_json(json!({
                "model": "m-2026",
                "choices": [{"message": {"role": "assistant", "content": "Thirty days [1]."}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
            }))
        }
    }
}

#[tokio::test]
async fn openai_chat_keeps_the_contract() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(Replying).mount(&server).await;
    let model = OpenAiChat::new(config(format!("{}/v1/", server.uri()))).unwrap();
    chat::keeps_contract(&model).await;
    let reply = model.complete(&chat::request("?")).await.unwrap();
    assert_eq!(reply.model, "m-2026");
    assert_eq!(reply.usage, Some(Usage { input_tokens: 11, output_tokens: 3, ..Usage::default() }));
}

/// What a stream of these bytes gives: its text, and how it ended.
async fn streamed(bytes: &[String], deadlines: Deadlines) -> (String, Result<ChatEvent, ModelError>) {
    let mut steps = vec![Step::Send(SSE_HEAD.to_owned())];
    for bytes in bytes {
        steps.push(match bytes.strip_prefix("wait ") {
            Some(ms) => Step::Wait(Duration::from_millis(ms.parse().unwrap())),
            None => Step::Send(bytes.clone()),
        });
    }
    let server = serve(vec![steps]).await;
    let model = OpenAiChat::new(ChatEndpoint { deadlines, ..config(server.url) }).unwrap();
    let mut text = String::new();
    let mut events = match model.stream(&chat::request("?")).await {
        Ok(events) => events,
        // Nothing was received.
        Err(error) => return (text, Err(error)),
    };
    loop {
        match events.next().await.expect("a stream ends by an event, not in silence") {
            Ok(ChatEvent::Token(token)) => text.push_str(&token),
            last => {
                assert!(events.next().await.is_none(), "an event after the last one");
                return (text, last);
            }
        }
    }
}

fn done(finish: FinishReason, usage: Option<Usage>) -> ChatEvent {
    ChatEvent::Done { finish, usage, served_by: "remote".to_owned() }
}

#[tokio::test]
async fn every_way_to_say_that_it_ended_is_understood() {
    let usage = Some(Usage { input_tokens: 11, output_tokens: 3, ..Usage::default() });
    for (bytes, expected) in [
        (
            vec![piece("a"), finish("stop"), USAGE.into(), DONE.into(), DONE.into()],
            done(FinishReason::Stop, usage),
        ),
        (vec![piece("a"), finish("length"), DONE.into()], done(FinishReason::Length, None)),
        (vec![piece("a"), finish("stop")], done(FinishReason::Stop, None)),
        (vec![piece("a"), DONE.into()], done(FinishReason::Other, None)),
        (vec![piece("a"), finish("content_filter"), piece("late")], done(FinishReason::ContentFilter, None)),
        (vec![piece("a"), finish("stop"), "data: [DONE]".into()], done(FinishReason::Stop, None)),
        (vec![piece("a").replace('\n', "\r\n"), finish("stop")], done(FinishReason::Stop, None)),
    ] {
        let (text, last) = streamed(&bytes, Deadlines::default()).await;
        assert_eq!((text.as_str(), last.unwrap()), ("a", expected), "{bytes:?}");
    }
}

#[tokio::test]
async fn what_ends_otherwise_is_an_error() {
    let whole = piece("lost");
    let cut = whole[..whole.len() / 2].to_owned();
    let error = "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n".to_owned();
    for (bytes, kind) in [
        (vec![piece("a")], ErrorKind::Unavailable),
        (vec![piece("a"), cut], ErrorKind::Corrupt),
        (vec![piece("a"), error], ErrorKind::Unavailable),
        (vec![piece("a"), "data: {not json}\n\n".into()], ErrorKind::Corrupt),
    ] {
        let (text, last) = streamed(&bytes, Deadlines::default()).await;
        assert_eq!((text.as_str(), last.unwrap_err().kind()), ("a", kind), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_chunked_reply_that_breaks_off_is_an_error() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let body = piece("a");
    let server = serve(vec![vec![Step::Send(format!("{head}{:x}\r\n{body}\r\n", body.len()))]]).await;
    let model = OpenAiChat::new(config(server.url)).unwrap();
    let events: Vec<_> = model.stream(&chat::request("?")).await.unwrap().collect().await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[1].as_ref().unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn each_deadline_is_kept() {
    let wait = || "wait 10000".to_owned();
    let first = Deadlines { first_token_ms: 50, ..Deadlines::default() };
    let idle = Deadlines { idle_ms: 2_000, ..Deadlines::default() };
    let total = Deadlines { total_ms: 5_000, ..Deadlines::default() };
    for (bytes, deadlines, text, named) in [
        (vec![wait()], first, "", "first_token_ms"),
        (vec![piece("a"), wait()], idle, "a", "idle_ms"),
        (vec![piece("a"), wait()], total, "a", "total_ms"),
    ] {
        let (found, last) = streamed(&bytes, deadlines).await;
        let error = last.unwrap_err();
        assert_eq!((found.as_str(), error.kind()), (text, ErrorKind::Timeout));
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_tried_again_after_the_first_token() {
    let cut = vec![Step::Send(format!("{SSE_HEAD}{}", piece("a")))];
    let whole = vec![Step::Send(format!("{SSE_HEAD}{}{}", piece("b"), finish("stop")))];
    let busy =
        vec![Step::Send("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned())];
    let mut server = serve(vec![busy, cut, whole]).await;
    let model = OpenAiChat::new(config(server.url)).unwrap();
    let events: Vec<_> = model.stream(&chat::request("?")).await.unwrap().collect().await;
    assert_eq!(events[0].as_ref().unwrap(), &ChatEvent::Token("a".to_owned()));
    assert!(events[1].is_err());
    // The 503 came before any token and was tried again; the cut stream was not.
    assert!(server.log.recv().await.is_some() && server.log.recv().await.is_some());
    assert!(server.log.try_recv().is_err());
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    let steps = vec![Step::Send(format!("{SSE_HEAD}{}", piece("a"))), Step::UntilClosed];
    let mut server = serve(vec![steps]).await;
    let model = OpenAiChat::new(config(server.url)).unwrap();
    let mut events = model.stream(&chat::request("?")).await.unwrap();
    assert!(events.next().await.unwrap().is_ok());
    drop(events);
    assert!(server.log.recv().await.unwrap().contains("\"stream\":true"));
    let closed = tokio::time::timeout(Duration::from_secs(20), server.log.recv()).await;
    assert_eq!(closed.unwrap().as_deref(), Some("closed"));
}

#[tokio::test]
async fn refusals_and_odd_replies_are_told_apart() {
    for (response, kind) in [
        (ResponseTemplate::new(401).set_body_string("bad key sk-secret"), ErrorKind::Unauthorized),
        (
            ResponseTemplate::new(429)
                .set_body_json(json!({"error": {"code": "insufficient_quota", "message": "pay"}})),
            ErrorKind::Unauthorized,
        ),
        (ResponseTemplate::new(200).set_body_json(json!({"choices": []})), ErrorKind::Corrupt),
        (ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:1/"), ErrorKind::Invalid),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(response).mount(&server).await;
        let model = OpenAiChat::new(config(server.uri())).unwrap();
        let error = model.complete(&chat::request("?")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!format!("{error:?}").contains("sk-secret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_whole_reply_may_lack_usage_content_and_reason() {
    let server = MockServer::start().await;
    let reply = json!({"choices": [{"message": {"content": null, "refusal": "I can't."}}]});
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_json(reply))
        .mount(&server)
        .await;
    let found = OpenAiChat::new(config(server.uri())).unwrap().complete(&chat::request("?")).await.unwrap();
    assert_eq!(
        (found.text.as_str(), found.finish, found.usage),
        ("I can't.", FinishReason::ContentFilter, None)
    );
    assert_eq!(found.model, "m");
}
