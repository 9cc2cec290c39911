//! A server that asks who calls, and callers with keys of their own.
#![expect(clippy::unwrap_used, reason = "a test that panics has said what it had to say")]

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::{Reply, Server};

/// Limits that no test reaches by accident.
pub(crate) const UNLIMITED: [(&str, &str); 3] = [
    ("limits.queries", "{ key_per_minute = 0, tenant_per_minute = 0 }"),
    ("limits.uploads", "{ key_per_minute = 0, tenant_per_minute = 0 }"),
    ("limits.others", "{ key_per_minute = 0, tenant_per_minute = 0 }"),
];

/// A fresh server with authentication on, and its first key.
pub(crate) async fn secured(settings: &[(&str, &str)]) -> (Server, String) {
    let mut settings = settings.to_vec();
    settings.push(("auth.mode", "keys"));
    let mut server = Server::start_with(&settings).await;
    let line = server.next_line();
    let token = line.rsplit(' ').next().unwrap().to_owned();
    assert!(line.contains("shown this once") && token.starts_with("ws_"), "{line}");
    (server, token)
}

/// Somebody with a key.
pub(crate) struct Visitor<'s> {
    pub(crate) server: &'s Server,
    pub(crate) token: String,
}

impl<'s> Visitor<'s> {
    pub(crate) fn new(server: &'s Server, token: impl Into<String>) -> Self {
        Self { server, token: token.into() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.server.request(method, path).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.server.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.server.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.server.send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.server.send(self.request(Method::PUT, path).json(&body)).await
    }

    /// Makes a key and returns somebody who has it.
    pub(crate) async fn key(&self, wanted: Value) -> Visitor<'s> {
        let made = self.post("/v1/keys", wanted).await.good();
        Visitor::new(self.server, made["token"].as_str().unwrap())
    }

    /// The public part of the key.
    pub(crate) fn id(&self) -> &str {
        self.token.split('_').nth(1).unwrap()
    }

    /// Adds a document to `default` and waits until it is searchable; returns its job.
    pub(crate) async fn add(&self, document: Value) -> String {
        let reply = self.post("/v1/collections/default/documents", document).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.body);
        let job = reply.body["job"].as_str().unwrap().to_owned();
        let events = self.server.events(self.request(Method::GET, &format!("/v1/jobs/{job}/events"))).await;
        let (name, last) = events.last().unwrap();
        assert_eq!((name.as_str(), last["state"].as_str()), ("done", Some("indexed")), "{last}");
        job
    }

    /// Ids of the documents that a search finds.
    pub(crate) async fn found(&self, query: &str) -> Vec<String> {
        let reply = self.post("/v1/search", json!({ "query": query, "k": 50 })).await.good();
        let hits = reply["hits"].as_array().unwrap();
        let mut ids: Vec<String> =
            hits.iter().map(|hit| hit["document_id"].as_str().unwrap().to_owned()).collect();
        ids.dedup();
        ids
    }
}
