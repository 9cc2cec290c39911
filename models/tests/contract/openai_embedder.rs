//! The embedder over HTTP keeps the contract, and every fault of an endpoint is told for what it is.

use std::time::Duration;

use serde_json::{Value, json};
use wellspring_models::fake::HashEmbedder;
use wellspring_models::openai::OpenAiEmbedder;
use wellspring_models::registry::{Deadlines, EmbedderEndpoint, RetryPolicy};
use wellspring_models::{Embedder, ErrorKind, ModelError, Secret, TextKind};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::embedder;

const DIMENSION: usize = 48;

/// Answers with the vectors of the hash embedder, three times as long as they should be and in reverse order.
struct Hashing;

impl Respond for Hashing {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let inputs: Vec<&str> =
            body["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        assert!(inputs.iter().all(|text| !text.is_empty()));
        let hasher = HashEmbedder::new(DIMENSION, 1 << 20);
        let vectors = futures::executor::block_on(hasher.embed(TextKind::Passage, &inputs)).unwrap();
        let mut data: Vec<Value> = vectors
            .iter()
            .enumerate()
            .map(|(index, found)| {
                let long: Vec<f32> = found.vector.iter().map(|x| x * 3.0).collect();
                json!({"object": "embedding", "index": index, "embedding": long})
            })
            .collect();
        data.reverse();
        ResponseTemplate::new(200).set_body_json(json!({"object": "list", "data": data, "model": "m"}))
    }
}

fn config(url: &str) -> EmbedderEndpoint {
    EmbedderEndpoint {
        name: "remote".to_owned(),
        base_url: format!("{url}/v1"),
        api_key: Some(Secret::new("sk-secret")),
        model: "m".to_owned(),
        dimension: DIMENSION,
        request_dimension: false,
        max_tokens: 64,
        query_prefix: String::new(),
        passage_prefix: String::new(),
        batch_texts: 3,
        batch_tokens: 1000,
        concurrency: 2,
        deadlines: Deadlines { total_ms: 20_000, ..Deadlines::default() },
        retry: RetryPolicy { retries: 2, min_ms: 1, max_ms: 3_000 },
    }
}

async fn server(responses: Vec<ResponseTemplate>) -> MockServer {
    let server = MockServer::start().await;
    for (number, response) in responses.into_iter().enumerate() {
        let priority = u8::try_from(number + 1).unwrap();
        let mock = Mock::given(method("POST"))
            .and(path("/v1/embeddings"))
            .and(header("authorization", "Bearer sk-secret"));
        mock.respond_with(response).up_to_n_times(1).with_priority(priority).mount(&server).await;
    }
    Mock::given(method("POST")).respond_with(Hashing).with_priority(200).mount(&server).await;
    server
}

async fn error_after(config: EmbedderEndpoint) -> ModelError {
    let model = OpenAiEmbedder::new(config).unwrap();
    model.embed(TextKind::Query, &["a", "b"]).await.unwrap_err()
}

#[tokio::test]
async fn openai_embedder_keeps_the_contract() {
    let server = server(Vec::new()).await;
    let model = OpenAiEmbedder::new(config(&server.uri())).unwrap();
    embedder::keeps_contract(&model).await;
    assert_eq!(model.info().fingerprint.0, "openai:m:48");
}

#[tokio::test]
async fn batches_are_limited_by_texts_and_by_tokens() {
    let server = server(Vec::new()).await;
    let model = OpenAiEmbedder::new(EmbedderEndpoint { batch_tokens: 10, ..config(&server.uri()) }).unwrap();
    model.embed(TextKind::Passage, &["a", "b", "c", "d", "one two three four five six"]).await.unwrap();
    let mut sizes: Vec<usize> = server
        .received_requests()
        .await
        .unwrap()
        .iter()
        .map(|request| {
            serde_json::from_slice::<Value>(&request.body).unwrap()["input"].as_array().unwrap().len()
        })
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 3]);
}

#[tokio::test]
async fn prefixes_are_sent_and_named_in_the_fingerprint() {
    let server = server(Vec::new()).await;
    let prefixed = EmbedderEndpoint {
        query_prefix: "query: ".to_owned(),
        passage_prefix: "passage: ".to_owned(),
        request_dimension: true,
        ..config(&server.uri())
    };
    let model = OpenAiEmbedder::new(prefixed).unwrap();
    model.embed(TextKind::Query, &["x"]).await.unwrap();
    let sent: Value = serde_json::from_slice(&server.received_requests().await.unwrap()[0].body).unwrap();
    assert_eq!(sent["input"], json!(["query: x"]));
    assert_eq!(sent["dimensions"], json!(DIMENSION));
    assert!(model.info().fingerprint.0.starts_with("openai:m:48:prefix="));
}

#[tokio::test]
async fn passing_faults_are_tried_again() {
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "1");
    let server = server(vec![busy, ResponseTemplate::new(500)]).await;
    let started = std::time::Instant::now();
    let model = OpenAiEmbedder::new(config(&server.uri())).unwrap();
    assert_eq!(model.embed(TextKind::Query, &["a"]).await.unwrap().len(), 1);
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
    // Not a speed: the wait that was asked for must have been kept.
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_handed_to_the_caller() {
    let busy = ResponseTemplate::new(429)
        .insert_header("retry-after", "3600")
        .set_body_string("key sk-secret is busy");
    let server = server(vec![busy]).await;
    let error = error_after(config(&server.uri())).await;
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert!(!format!("{error:?}").contains("sk-secret"), "{error:?}");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn tries_are_limited() {
    let server = server(vec![ResponseTemplate::new(503); 3]).await;
    assert_eq!(error_after(config(&server.uri())).await.kind(), ErrorKind::Unavailable);
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

#[tokio::test]
async fn what_no_retry_mends_is_tried_once() {
    let item = |index: usize, length: usize| json!({"index": index, "embedding": vec![1.0; length]});
    let reply = |data: Vec<Value>| ResponseTemplate::new(200).set_body_json(json!({"data": data}));
    for (response, kind) in [
        (ResponseTemplate::new(401), ErrorKind::Unauthorized),
        (ResponseTemplate::new(404), ErrorKind::Unauthorized),
        (
            ResponseTemplate::new(400).set_body_json(json!({"error": {"message": "too long"}})),
            ErrorKind::Invalid,
        ),
        (ResponseTemplate::new(200).set_body_string("<html>"), ErrorKind::Corrupt),
        (reply(vec![item(0, DIMENSION), item(1, DIMENSION - 1)]), ErrorKind::Conflict),
        (reply(vec![item(0, DIMENSION)]), ErrorKind::Corrupt),
        (reply(vec![item(1, DIMENSION), item(1, DIMENSION)]), ErrorKind::Corrupt),
        (reply(vec![item(0, DIMENSION), item(7, DIMENSION)]), ErrorKind::Corrupt),
        (reply(vec![json!({"embedding": vec![0.0; DIMENSION]}); 2]), ErrorKind::Corrupt),
    ] {
        let server = server(vec![response]).await;
        let error = error_after(config(&server.uri())).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn deadlines_end_the_wait() {
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(30));
    let server = server(vec![slow]).await;
    let hurried = Deadlines { total_ms: 50, ..Deadlines::default() };
    let error = error_after(EmbedderEndpoint { deadlines: hurried, ..config(&server.uri()) }).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_unavailable() {
    let error = error_after(config("http://127.0.0.1:1")).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("can't be reached"), "{error}");
}
