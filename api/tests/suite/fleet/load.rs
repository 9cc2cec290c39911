//! What clients do while processes are killed: they add, replace, delete and search, and try again when they are told to.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Dice, PATIENCE};

/// What became of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Its last revision; `None` for a deleted one.
    pub(super) revision: Option<u32>,
    /// Uploads that were acknowledged.
    pub(super) uploads: u32,
}

pub(super) fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap()
}

/// A word that only this document holds.
pub(super) fn needle(number: usize) -> String {
    format!("needle{number}x")
}

fn text(number: usize, revision: u32, dice: &mut Dice) -> String {
    let mut text = format!("# Record {number}\n\nThis is {} in revision r{revision}r. ", needle(number));
    for _ in 0..40 + dice.roll(80) {
        text.push_str(&format!("word{} ", dice.roll(2_000)));
    }
    text
}

/// Sends until it is answered with anything but "not now", as a patient client does. A refusal for now has to say when to
/// come back.
pub(super) async fn insist(request: impl Fn() -> RequestBuilder) -> (u16, Value) {
    let started = tokio::time::Instant::now();
    loop {
        let last = match request().send().await {
            Ok(response) if response.status() == 503 => {
                assert!(response.headers().contains_key("retry-after"), "a 503 without Retry-After");
                response.text().await.unwrap_or_default()
            }
            Ok(response) => {
                let status = response.status().as_u16();
                if let Ok(body) = response.text().await {
                    return (status, serde_json::from_str(&body).unwrap_or(Value::String(body)));
                }
                "cut".to_owned()
            }
            Err(error) => error.to_string(),
        };
        assert!(started.elapsed() < PATIENCE, "not answered within {PATIENCE:?}: {last}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// One document's life, through servers taken in turn: added, sometimes replaced, sometimes deleted.
pub(super) async fn live(client: Client, bases: [String; 2], number: usize, seed: u64) -> Wanted {
    let mut dice = Dice(seed ^ (number as u64).wrapping_mul(0x5851_f42d_4c95_7f2d));
    let revisions = 1 + u32::from(dice.roll(8) == 0);
    for revision in 1..=revisions {
        let base = &bases[dice.roll(2) as usize];
        let body = json!({
            "id": format!("doc{number}"), "title": format!("Record {number}"), "text": text(number, revision, &mut dice)
        });
        let (status, reply) = insist(|| {
            client
                .post(format!("{base}/v1/collections/default/documents"))
                .header("Idempotency-Key", format!("{number}-{revision}"))
                .json(&body)
        })
        .await;
        assert_eq!(status, 202, "{reply}");
    }
    if dice.roll(10) > 0 {
        return Wanted { revision: Some(revisions), uploads: revisions };
    }
    let base = &bases[dice.roll(2) as usize];
    let (status, reply) = insist(|| {
        client.request(Method::DELETE, format!("{base}/v1/collections/default/documents/doc{number}"))
    })
    .await;
    // Asked again after a cut answer, it may be gone already.
    assert!(matches!(status, 200 | 204 | 404), "deleting answered {status}: {reply}");
    Wanted { revision: None, uploads: revisions }
}

/// Documents that a search finds, each as often as it is there.
pub(super) async fn found(client: &Client, base: &str, query: &str, mode: &str) -> Vec<String> {
    let body = json!({ "collection": "default", "query": query, "k": 5, "mode": mode });
    let (status, reply) = insist(|| client.post(format!("{base}/v1/search")).json(&body)).await;
    assert_eq!(status, 200, "{reply}");
    assert!(reply["degraded"].as_array().is_none_or(Vec::is_empty), "a part is missing: {reply}");
    let hits = reply["hits"].as_array().unwrap().iter();
    hits.filter(|hit| hit["text"].as_str().unwrap().contains(query))
        .map(|hit| hit["document_id"].as_str().unwrap().to_owned())
        .collect()
}

/// Everything that must be so of one document, asked of one server.
pub(super) async fn check(client: &Client, base: &str, number: usize, wanted: Wanted) {
    let id = format!("doc{number}");
    let url = format!("{base}/v1/collections/default/documents/{id}/text");
    let (status, reply) = insist(|| client.get(&url)).await;
    let hits = found(client, base, &needle(number), "keyword").await;
    match wanted.revision {
        None => {
            assert_eq!(status, 404, "{id} was deleted and is there: {reply}");
            assert!(hits.is_empty(), "{id} was deleted and is found");
        }
        Some(revision) => {
            assert_eq!(status, 200, "{id} is lost: {reply}");
            let text = reply["text"].as_str().unwrap();
            assert!(text.contains(&format!(" r{revision}r.")), "{id} is not at revision {revision}: {text}");
            assert_eq!(hits, [id.as_str()], "{id} is to be found once");
        }
    }
}
