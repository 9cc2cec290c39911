//! Searching and asking over HTTP: results, streams and their one terminal event, and every bad request.

use std::io::ErrorKind;

use crate::support::{self, Server};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn filled() -> Server {
    let server = Server::start().await;
    let leave = "# Leave\n\nAnnual leave needs two weeks notice. Sick leave needs none.\n";
    server.add_text("leave.md", leave, json!({ "year": 2024, "lang": "en" })).await;
    let otter = "# Otter 3\n\nThe Otter 3 sensor measures water levels up to 4.2 metres.\n";
    server.add_text("otter.md", otter, json!({ "year": 2022, "lang": "en" })).await;
    let urlaub = "# Urlaub\n\nDer Jahresurlaub muss zwei Wochen vorher beantragt werden.\n";
    server.add_text("urlaub.md", urlaub, json!({ "year": 2024, "lang": "de" })).await;
    server
}

#[tokio::test]
async fn searches_find_filter_and_explain() {
    let server = filled().await;
    for mode in ["hybrid", "dense", "keyword"] {
        let body = json!({ "query": "annual leave notice", "mode": mode, "explain": true });
        let found = server.post("/v1/search", body).await.good();
        assert_eq!(found["hits"][0]["document_id"], "leave.md", "{mode}");
        assert_eq!(found["degraded"], json!([]));
        assert_eq!(found["explain"]["mode"], mode);
        assert!(found["hits"][0]["explain"]["fused_rank"].is_u64() && found["timings"]["total"].is_number());
    }
    let ids = async |filter: Value| {
        let found = server
            .post("/v1/search", json!({ "query": "annual leave Urlaub sensor", "filter": filter }))
            .await
            .good();
        let mut ids: Vec<String> = found["hits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| hit["document_id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(json!("year >= 2023 and lang = \"en\"")).await, ["leave.md"]);
    assert_eq!(ids(json!({ "eq": ["lang", "de"] })).await, ["urlaub.md"]);
    assert_eq!(ids(json!({ "not": { "eq": ["year", 2024] } })).await, ["otter.md"]);
    assert_eq!(ids(Value::Null).await.len(), 3);
    let one = server.post("/v1/search", json!({ "query": "leave", "k": 1 })).await.good();
    assert_eq!(one["hits"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn bad_requests_are_told_apart() {
    let server = filled().await;
    let megabyte = "leave ".repeat(175_000);
    let table = [
        ("unknown collection", "/v1/search", json!({ "collection": "nowhere", "query": "x" })),
        ("bad collection name", "/v1/search", json!({ "collection": "../etc", "query": "x" })),
        ("empty query", "/v1/search", json!({ "query": "" })),
        ("blank query", "/v1/search", json!({ "query": " \n\t " })),
        ("a query of one megabyte", "/v1/search", json!({ "query": megabyte })),
        ("no query", "/v1/search", json!({})),
        ("k of 0", "/v1/search", json!({ "query": "x", "k": 0 })),
        ("k of a billion", "/v1/search", json!({ "query": "x", "k": 1_000_000_000 })),
        ("k below 0", "/v1/search", json!({ "query": "x", "k": -1 })),
        ("k that is no number", "/v1/search", json!({ "query": "x", "k": "ten" })),
        ("unknown mode", "/v1/search", json!({ "query": "x", "mode": "psychic" })),
        ("unknown field", "/v1/search", json!({ "query": "x", "topk": 3 })),
        ("bad filter text", "/v1/search", json!({ "query": "x", "filter": "year >" })),
        ("bad filter tree", "/v1/search", json!({ "query": "x", "filter": { "eq": ["year"] } })),
        ("filter of another type", "/v1/search", json!({ "query": "x", "filter": 7 })),
        ("empty question", "/v1/answers", json!({ "question": "" })),
        ("empty question as a stream", "/v1/answers", json!({ "question": "", "stream": true })),
        ("too many passages", "/v1/answers", json!({ "question": "x", "k": 51 })),
        ("unknown chat model", "/v1/answers", json!({ "question": "annual leave", "model": "nobody" })),
        (
            "unknown chat model as a stream",
            "/v1/answers",
            json!({ "question": "annual leave", "model": "nobody", "stream": true }),
        ),
        ("a list for an object", "/v1/answers", json!([1])),
    ];
    let mut lines = Vec::new();
    for (what, path, body) in table {
        let reply = server.post(path, body).await;
        let code = reply.problem().to_owned();
        let path = reply.body["path"].as_str().unwrap_or("-");
        lines.push(format!(
            "{what}: {} {code} at {path}: {}",
            reply.status.as_u16(),
            reply.body["detail"].as_str().unwrap()
        ));
    }
    let raw = [
        ("no JSON", "application/json", &b"{\"query\": "[..]),
        ("an empty body", "application/json", b""),
        ("bad UTF-8", "application/json", b"{\"query\": \"\xc3\x28\"}"),
        ("another content type", "text/plain", b"query"),
        ("a form", "application/x-www-form-urlencoded", b"query=x"),
        ("more after the object", "application/json", b"{\"query\": \"x\"} x"),
    ];
    for (what, kind, body) in raw {
        let reply = server
            .send(server.request(Method::POST, "/v1/search").header("content-type", kind).body(body))
            .await;
        let code = reply.problem().to_owned();
        lines.push(format!(
            "{what}: {} {code}: {}",
            reply.status.as_u16(),
            reply.body["detail"].as_str().unwrap()
        ));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let server = Server::start_with(&[("server.max_json_bytes", "1000")]).await;
    let reply = server.post("/v1/search", json!({ "query": "x".repeat(1000) })).await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::PAYLOAD_TOO_LARGE, "too-large"));
    // Without a declared length it shows while reading.
    let chunks = futures::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b' '; 100])));
    let request = server.request(Method::POST, "/v1/search").header("content-type", "application/json");
    let reply = server.send(request.body(reqwest::Body::wrap_stream(chunks))).await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::PAYLOAD_TOO_LARGE, "too-large"));
}

#[tokio::test]
async fn an_answer_cites_bytes_of_the_stored_text() {
    let server = filled().await;
    let question =
        json!({ "question": "How many weeks notice does annual leave need?", "model": "extractive" });
    let answer = server.post("/v1/answers", question).await.good();
    assert_eq!(answer["abstained"], false, "{answer}");
    let citation = &answer["citations"][0];
    let stored = server.get("/v1/collections/default/documents/leave.md/text").await.good();
    let (start, end) =
        (citation["start"].as_u64().unwrap() as usize, citation["end"].as_u64().unwrap() as usize);
    assert_eq!(&stored["text"].as_str().unwrap()[start..end], citation["quote"].as_str().unwrap());
    assert!(citation["quote"].as_str().unwrap().contains("two weeks notice"));
}

#[tokio::test]
async fn a_stream_has_its_events_in_order_and_one_end() {
    let server = filled().await;
    let ask = async |question: &str, model: &str| {
        let body = json!({ "question": question, "model": model, "stream": true });
        server.events(server.request(Method::POST, "/v1/answers").json(&body)).await
    };
    for (question, model, end) in [
        ("How many weeks notice does annual leave need?", "extractive", "done"),
        ("How many weeks notice does annual leave need?", "fake/offline", "done"),
        ("Who won the chess championship of 1987 in Reykjavik?", "extractive", "refused"),
    ] {
        let events = ask(question, model).await;
        let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[0], "retrieval", "{names:?}");
        assert_eq!(*names.last().unwrap(), end, "{events:?}");
        let ends = names.iter().filter(|name| matches!(**name, "done" | "refused" | "error")).count();
        assert_eq!(ends, 1, "{names:?}");
        if end == "done" {
            let streamed: String = events
                .iter()
                .filter(|(name, _)| name == "token")
                .map(|(_, data)| data["text"].as_str().unwrap())
                .collect();
            let answer = &events.last().unwrap().1;
            assert_eq!(streamed.trim(), answer["answer"].as_str().unwrap());
            let cited: Vec<&Value> =
                events.iter().filter(|(name, _)| name == "citation").map(|(_, data)| data).collect();
            assert_eq!(cited, answer["citations"].as_array().unwrap().iter().collect::<Vec<_>>());
            assert!(!cited.is_empty());
        }
    }
    let empty = server.post("/v1/answers", json!({ "question": "Who won the chess championship of 1987 in Reykjavik?", "model": "extractive" })).await.good();
    assert_eq!(
        (empty["abstained"].as_bool(), empty["citations"].as_array().map(Vec::len)),
        (Some(true), Some(0))
    );
    assert!(empty["reason"].is_string());
}

#[tokio::test]
async fn a_reader_that_goes_away_stops_the_generation() {
    let (endpoint, mut connections) = support::silent_endpoint().await;
    let chats = format!(r#"[{{name="slow",base_url="{endpoint}",model="m"}}]"#);
    let server = Server::start_with(&[("models.chats", &chats)]).await;
    server.add_text("leave.md", "# Leave\n\nAnnual leave needs two weeks notice.\n", json!({})).await;
    let body = json!({ "question": "How many weeks notice does annual leave need?", "model": "slow", "stream": true });
    let mut response = server.request(Method::POST, "/v1/answers").json(&body).send().await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"event: retrieval"), "{first:?}");
    // The model is being asked, and starts to speak.
    let mut provider = connections.recv().await.unwrap();
    let mut asked = [0; 64];
    provider.read_exact(&mut asked).await.unwrap();
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    provider.write_all(head).await.unwrap();
    drop(response);
    // The server hangs up on the provider: reading ends, however much of the request was still to come.
    let mut rest = Vec::new();
    let end = tokio::time::timeout(support::PATIENCE, provider.read_to_end(&mut rest)).await.unwrap();
    assert!(end.is_ok() || end.unwrap_err().kind() == ErrorKind::ConnectionReset);
    assert_eq!(server.get("/health").await.status, StatusCode::OK);
}
