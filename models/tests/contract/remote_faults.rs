//! Every fault of a provider, in both wire formats, whole and streamed: exactly one end, and never a false success.

use std::time::Duration;

use futures::StreamExt;
use wellspring_models::anthropic::AnthropicChat;
use wellspring_models::openai::OpenAiChat;
use wellspring_models::registry::{Api, ChatEndpoint, Deadlines, RetryPolicy};
use wellspring_models::remote::BreakerConfig;
use wellspring_models::{ChatEvent, ChatModel, ErrorKind, FinishReason, ModelError, Secret, Usage};

use crate::chat;
use crate::provider::{FAULTS, Provider, TEXT};

const APIS: [Api; 2] = [Api::Openai, Api::Anthropic];
const USAGE: Usage =
    Usage { input_tokens: 11, output_tokens: 3, cached_input_tokens: 0, cache_write_tokens: 0 };

fn endpoint(api: Api, url: &str, model: &str) -> ChatEndpoint {
    // What is told apart by its size must have time to arrive, however busy the machine is.
    let first = if matches!(model, "huge-event" | "bomb") { 60_000 } else { 2_000 };
    ChatEndpoint {
        base_url: url.to_owned(),
        api_key: Some(Secret::new("sk-secret")),
        deadlines: Deadlines { connect_ms: 2_000, first_token_ms: first, idle_ms: 300, total_ms: first * 2 },
        retry: RetryPolicy { retries: 1, min_ms: 1, max_ms: 500 },
        breaker: BreakerConfig { failures: 0, open_ms: 0 },
        ..ChatEndpoint::new("remote", api, model)
    }
}

fn model(endpoint: ChatEndpoint) -> Box<dyn ChatModel> {
    match endpoint.api {
        Api::Openai => Box::new(OpenAiChat::new(endpoint).unwrap()),
        Api::Anthropic => Box::new(AnthropicChat::new(endpoint).unwrap()),
    }
}

/// The text of a stream and its one end.
async fn streamed(model: &dyn ChatModel) -> (String, Result<ChatEvent, ModelError>) {
    let mut text = String::new();
    let mut events = match model.stream(&chat::request("?")).await {
        Ok(events) => events,
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

/// What a fault is reported as, and whether it comes after text; `None` for what is no fault.
fn expected(fault: &str, streamed: bool) -> Option<(ErrorKind, bool)> {
    let (kind, late) = match fault {
        "401" | "404" => (ErrorKind::Unauthorized, false),
        "400" | "redirect" => (ErrorKind::Invalid, false),
        "429" | "429-after-1" => (ErrorKind::RateLimited, false),
        "504" | "silent" => (ErrorKind::Timeout, false),
        "500" | "502" | "503" | "529" => (ErrorKind::Unavailable, false),
        "slow" | "stop" => (ErrorKind::Timeout, true),
        "reset" | "close" => (ErrorKind::Unavailable, true),
        "bad-json" | "bad-utf8" | "huge-event" => (ErrorKind::Corrupt, true),
        "wrong-type" | "bomb" => (ErrorKind::Corrupt, false),
        "error-event" if streamed => (ErrorKind::Unavailable, false),
        "error-event" => (ErrorKind::Corrupt, false),
        "doubled-done" | "no-usage" => return None,
        other => panic!("{other}"),
    };
    Some((kind, late && streamed))
}

#[tokio::test]
async fn both_apis_keep_the_contract() {
    let provider = Provider::start().await;
    for api in APIS {
        let chat = model(endpoint(api, &provider.url, "ok"));
        chat::keeps_contract(chat.as_ref()).await;
        let reply = chat.complete(&chat::request("?")).await.unwrap();
        assert_eq!((reply.text, reply.finish, reply.usage), (TEXT.concat(), FinishReason::Stop, Some(USAGE)));
        assert_eq!((reply.model.as_str(), reply.served_by.as_str()), ("m-1", "remote"));
    }
}

#[tokio::test]
async fn every_fault_has_exactly_one_end_and_leaves_nothing_behind() {
    let provider = Provider::start().await;
    for api in APIS {
        for fault in FAULTS {
            let chat = model(endpoint(api, &provider.url, fault));
            let limit = Duration::from_secs(200);
            let (text, end) = tokio::time::timeout(limit, streamed(chat.as_ref())).await.unwrap();
            let whole = tokio::time::timeout(limit, chat.complete(&chat::request("?"))).await.unwrap();
            match (expected(fault, true), end) {
                (Some((kind, late)), Err(error)) => {
                    assert_eq!((error.kind(), !text.is_empty()), (kind, late), "{api:?} {fault}: {error}");
                    assert!(!format!("{error:?}").contains("sk-secret"));
                }
                (None, Ok(ChatEvent::Done { finish: FinishReason::Stop, usage, .. })) => {
                    assert_eq!(text, TEXT.concat());
                    assert_eq!(usage, (fault != "no-usage").then_some(USAGE), "{api:?} {fault}");
                }
                (expected, end) => panic!("{api:?} {fault}: {end:?} instead of {expected:?}"),
            }
            match (expected(fault, false), whole) {
                (Some((kind, _)), Err(error)) => assert_eq!(error.kind(), kind, "{api:?} {fault}: {error}"),
                (None, Ok(reply)) => assert_eq!(reply.text, TEXT.concat()),
                (expected, whole) => panic!("{api:?} {fault}: {whole:?} instead of {expected:?}"),
            }
        }
    }
    assert!(provider.all_closed(Duration::from_secs(10)).await, "a connection was left open");
}

#[tokio::test]
async fn a_closed_port_and_a_port_without_tls_are_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let provider = Provider::start().await;
    let plain = provider.url.replace("http:", "https:");
    for api in APIS {
        for url in [&refused, &plain] {
            let (text, end) = streamed(model(endpoint(api, url, "ok")).as_ref()).await;
            assert_eq!((text.as_str(), end.unwrap_err().kind()), ("", ErrorKind::Unavailable), "{url}");
        }
    }
}

#[tokio::test]
async fn only_what_may_pass_is_tried_again() {
    for (fault, tries) in
        [("503", 2), ("529", 2), ("429", 2), ("error-event", 2), ("401", 1), ("400", 1), ("close", 1)]
    {
        for api in APIS {
            let provider = Provider::start().await;
            assert!(streamed(model(endpoint(api, &provider.url, fault)).as_ref()).await.1.is_err());
            assert_eq!(provider.requests(), tries, "{api:?} {fault}");
        }
    }
    // More than the longest wait: the caller decides.
    let provider = Provider::start().await;
    let error =
        streamed(model(endpoint(Api::Openai, &provider.url, "429-after-7")).as_ref()).await.1.unwrap_err();
    assert_eq!((provider.requests(), error.retry_after()), (1, Some(Duration::from_secs(7))));
}

#[tokio::test]
async fn a_reader_that_goes_away_closes_the_connection() {
    let provider = Provider::start().await;
    for api in APIS {
        let config = endpoint(api, &provider.url, "stop");
        let deadlines = Deadlines { idle_ms: 600_000, total_ms: 600_000, ..config.deadlines };
        let chat = model(ChatEndpoint { deadlines, ..config });
        let mut events = chat.stream(&chat::request("?")).await.unwrap();
        assert!(matches!(events.next().await, Some(Ok(ChatEvent::Token(_)))));
        assert!(!provider.all_closed(Duration::from_millis(50)).await);
        drop(events);
        assert!(provider.all_closed(Duration::from_secs(10)).await, "{api:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_is_left_alone_and_found_again() {
    let provider = Provider::start().await;
    let config = ChatEndpoint {
        breaker: BreakerConfig { failures: 3, open_ms: 600_000 },
        retry: RetryPolicy { retries: 9, min_ms: 1, max_ms: 2 },
        ..endpoint(Api::Openai, &provider.url, "503")
    };
    let chat = model(config);
    assert!(chat.complete(&chat::request("?")).await.is_err());
    assert_eq!(provider.requests(), 3, "an open breaker ends the tries");
    let error = chat.complete(&chat::request("?")).await.unwrap_err();
    assert_eq!((provider.requests(), error.kind()), (3, ErrorKind::Unavailable));
    assert!(error.retry_after().is_some());
}
