//! Webhooks: signed, repeated until they are through, given up, replayed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::{PATIENCE, Server};

const SECRET: &str = "a secret of more than twenty-four bytes";

/// A receiver that refuses the first requests with a status each, then takes everything.
struct Receiver {
    url: String,
    requests: mpsc::UnboundedReceiver<(HeaderMap, String)>,
}

impl Receiver {
    async fn start(refusals: &'static [u16]) -> Self {
        let (sender, requests) = mpsc::unbounded_channel();
        let count = Arc::new(AtomicUsize::new(0));
        let take = move |headers: HeaderMap, body: String| {
            let answer = refusals.get(count.fetch_add(1, Ordering::SeqCst)).copied().unwrap_or(204);
            sender.send((headers, body)).unwrap();
            async move { StatusCode::from_u16(answer).unwrap() }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let service = Router::new().route("/in", post(take));
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { url, requests }
    }

    /// The next request, its signature checked.
    async fn next(&mut self) -> (String, Value) {
        let (headers, body) = tokio::time::timeout(PATIENCE, self.requests.recv()).await.unwrap().unwrap();
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signature = header("webhook-signature");
        let tag =
            base64::engine::general_purpose::STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&key, format!("{id}.{at}.{body}").as_bytes(), &tag).unwrap();
        let other = format!("{id}.{at}.{body} ");
        assert!(hmac::verify(&key, other.as_bytes(), &tag).is_err());
        (id, serde_json::from_str(&body).unwrap())
    }
}

async fn server(receiver: &Receiver, attempts: &str) -> Server {
    let endpoints = format!("[{{name=\"audit\",url=\"{}\",secret=\"{SECRET}\"}}]", receiver.url);
    let settings = [
        ("webhooks.endpoints", endpoints.as_str()),
        ("webhooks.poll_ms", "10"),
        ("webhooks.retry_min_ms", "10"),
        ("webhooks.max_attempts", attempts),
    ];
    let server = Server::start_with(&settings).await;
    // Receivers are told of what happens after they became known.
    server.get("/v1/webhooks").await.good();
    server
}

/// The delivery once it is in this state.
async fn delivery(server: &Server, state: &str) -> Value {
    let looked = async {
        loop {
            let page =
                server.get(&format!("/v1/webhooks/deliveries?endpoint=audit&state={state}")).await.good();
            if let Some(one) = page["deliveries"].as_array().unwrap().first() {
                return one.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looked).await.unwrap()
}

#[tokio::test]
async fn events_are_signed_repeated_and_told_once() {
    let mut receiver = Receiver::start(&[500, 503]).await;
    let server = server(&receiver, "5").await;
    server.add_text("a.md", "Some words that nobody else should read.", json!({})).await;
    let (id, first) = receiver.next().await;
    assert_eq!(first["type"], "job.indexed");
    assert_eq!(
        (&first["data"]["document_id"], &first["data"]["collection"]),
        (&json!("a.md"), &json!("default"))
    );
    assert!(!first.to_string().contains("nobody else"), "{first}");
    for _ in 0..2 {
        assert_eq!(receiver.next().await, (id.clone(), first.clone()), "a repeat has the same id and body");
    }
    let done = delivery(&server, "delivered").await;
    assert_eq!((&done["id"], &done["attempts"], &done["status"]), (&json!(id), &json!(3), &json!(204)));
    assert_eq!(done["payload"], first);

    server.delete("/v1/collections/default/documents/a.md").await.good();
    let (other, told) = receiver.next().await;
    assert_eq!((&told["type"], &told["data"]["document_id"]), (&json!("document.deleted"), &json!("a.md")));
    assert_ne!(other, id);
    let listed = server.get("/v1/webhooks").await.good();
    assert_eq!(listed, json!({ "endpoints": [{ "name": "audit", "events": [], "collections": [] }] }));
    assert!(!server.get("/v1/webhooks/deliveries").await.body.to_string().contains(SECRET));
}

#[tokio::test]
async fn what_is_given_up_can_be_replayed() {
    let mut receiver = Receiver::start(&[500, 500]).await;
    let server = server(&receiver, "2").await;
    server.add_text("a.md", "Some words.", json!({})).await;
    let (id, first) = receiver.next().await;
    receiver.next().await;
    let failed = delivery(&server, "failed").await;
    assert_eq!((&failed["attempts"], &failed["status"]), (&json!(2), &json!(500)));
    let again =
        server.send(server.request(Method::POST, &format!("/v1/webhooks/deliveries/{id}/replay"))).await;
    assert_eq!((again.status.as_u16(), &again.body["state"]), (202, &json!("pending")));
    assert_eq!(receiver.next().await, (id, first));
    assert_eq!(delivery(&server, "delivered").await["attempts"], 1);
    let missing = server.send(server.request(Method::POST, "/v1/webhooks/deliveries/msg_x/replay")).await;
    assert_eq!((missing.status.as_u16(), missing.problem()), (404, "not-found"));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_asked_again() {
    let mut receiver = Receiver::start(&[410]).await;
    let server = server(&receiver, "5").await;
    server.add_text("a.md", "Some words.", json!({})).await;
    receiver.next().await;
    let failed = delivery(&server, "failed").await;
    assert_eq!((&failed["attempts"], &failed["status"]), (&json!(1), &json!(410)));
}
