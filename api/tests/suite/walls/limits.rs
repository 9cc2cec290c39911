//! Rates, quotas, shares of the requests in progress, and connections that take their time.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::visitor::{UNLIMITED, Visitor, secured};
use crate::support::{PATIENCE, Server};

#[tokio::test]
async fn rates_hold_per_key_and_per_tenant_and_class() {
    let settings = [
        ("limits.queries", "{ key_per_minute = 2, tenant_per_minute = 3 }"),
        ("limits.uploads", UNLIMITED[1].1),
        ("limits.others", UNLIMITED[2].1),
    ];
    let (server, first) = secured(&settings).await;
    let operator = Visitor::new(&server, first);
    let reader =
        async |tenant: &str| operator.key(json!({ "name": "r", "rights": ["read"], "tenant": tenant })).await;
    let (one, two, other) = (reader("a").await, reader("a").await, reader("b").await);
    for tenant in ["a", "b"] {
        let admin = operator.key(json!({ "name": "w", "rights": ["admin"], "tenant": tenant })).await;
        admin.post("/v1/collections", json!({ "name": "default" })).await.good();
    }
    let ask = async |who: &Visitor<'_>| who.post("/v1/search", json!({ "query": "x" })).await;
    let left = |reply: &crate::support::Reply| {
        ["ratelimit-limit", "ratelimit-remaining", "ratelimit-policy"]
            .map(|name| reply.headers[name].to_str().unwrap().to_owned())
    };
    let reply = ask(&one).await;
    assert_eq!((reply.status, left(&reply)), (StatusCode::OK, ["2", "1", "2;w=60"].map(str::to_owned)));
    assert_eq!(ask(&one).await.status, StatusCode::OK);
    let refused = ask(&one).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::TOO_MANY_REQUESTS, "rate-limited"));
    assert_eq!(left(&refused)[1], "0");
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=31).contains(&wait) && refused.body["retry_after"] == wait, "{wait}");
    // The tenant has one left for another key of its own; another tenant has all of its own.
    assert_eq!(ask(&two).await.status, StatusCode::OK);
    assert_eq!(ask(&two).await.problem(), "rate-limited");
    assert_eq!(ask(&other).await.status, StatusCode::OK);
    // Other kinds of requests count apart, and nothing counts where everybody is let in.
    assert_eq!(one.get("/v1/collections").await.status, StatusCode::OK);
    let open = Server::start_with(&settings).await;
    open.post("/v1/collections", json!({ "name": "default" })).await.good();
    for _ in 0..10 {
        let reply = open.post("/v1/search", json!({ "query": "x" })).await;
        assert!(reply.status == StatusCode::OK && !reply.headers.contains_key("ratelimit-limit"));
    }
}

#[tokio::test]
async fn a_tenant_holds_no_more_than_it_may() {
    let settings = [("limits.tenant", "{ documents = 2 }"), ("limits.tenants", "{ small = { bytes = 10 } }")];
    let (server, first) = secured(&settings).await;
    let operator = Visitor::new(&server, first);
    let documents = "/v1/collections/default/documents";
    for id in ["a", "b"] {
        operator.add(json!({ "id": id, "text": "Some words." })).await;
    }
    let refused = operator.post(documents, json!({ "id": "c", "text": "More words." })).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::FORBIDDEN, "quota-exceeded"));
    assert!(refused.body["detail"].as_str().unwrap().contains("limits.tenant.documents"), "{}", refused.body);
    operator.delete(&format!("{documents}/a")).await.good();
    operator.add(json!({ "id": "c", "text": "More words." })).await;
    let small = operator.key(json!({ "name": "s", "rights": ["write", "read"], "tenant": "small" })).await;
    small.add(json!({ "id": "a", "text": "Eleven byte" })).await;
    assert_eq!(small.post(documents, json!({ "id": "b", "text": "x" })).await.problem(), "quota-exceeded");
}

/// Opens an upload that waits for its body.
async fn waiting_upload(server: &Server, token: &str) -> TcpStream {
    let head = format!(
        "POST /v1/collections/default/documents HTTP/1.1\r\nhost: localhost:{}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 30\r\nexpect: 100-continue\r\n\r\n",
        server.port
    );
    let mut upload = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    upload.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    upload.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    upload
}

#[tokio::test]
async fn uploads_and_tenants_cannot_take_every_place() {
    let (server, first) =
        secured(&[("limits.max_concurrent_uploads", "2"), ("limits.max_concurrent_per_tenant", "3")]).await;
    let operator = Visitor::new(&server, &first);
    operator.post("/v1/collections", json!({ "name": "default" })).await.good();
    let other = operator.key(json!({ "name": "o", "rights": ["admin"], "tenant": "other" })).await;
    let _uploads = [waiting_upload(&server, &first).await, waiting_upload(&server, &first).await];
    let refused = other.post("/v1/collections/default/documents", json!({ "text": "x" })).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert!(refused.body["detail"].as_str().unwrap().contains("max_concurrent_uploads"), "{}", refused.body);
    assert!(refused.headers.contains_key("retry-after"));
    // Questions are answered all the while.
    operator.post("/v1/search", json!({ "query": "x" })).await.good();

    let (server, first) =
        secured(&[("limits.max_concurrent_uploads", "8"), ("limits.max_concurrent_per_tenant", "2")]).await;
    let operator = Visitor::new(&server, &first);
    operator.post("/v1/collections", json!({ "name": "default" })).await.good();
    let other = operator.key(json!({ "name": "o", "rights": ["admin"], "tenant": "other" })).await;
    let uploads = [waiting_upload(&server, &first).await, waiting_upload(&server, &first).await];
    let refused = operator.get("/v1/collections").await;
    assert!(
        refused.body["detail"].as_str().unwrap().contains("max_concurrent_per_tenant"),
        "{}",
        refused.body
    );
    assert_eq!(other.get("/v1/collections").await.status, StatusCode::OK);
    for mut upload in uploads {
        upload.write_all(b"{\"text\": \"Some text, no more\"}").await.unwrap();
        let mut answer = [0; 12];
        upload.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 202");
    }
    assert_eq!(operator.get("/v1/collections").await.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_says_nothing_is_let_go_at_every_door() {
    let mut server = Server::start_with(&[crate::grpc::OPEN, ("limits.header_read_seconds", "1")]).await;
    let line = server.next_line();
    let grpc = line.strip_prefix("listening for gRPC on ").unwrap().to_owned();
    for (door, said) in
        [(format!("127.0.0.1:{}", server.port), ""), (grpc.clone(), ""), (grpc, "PRI * HTTP/2.0")]
    {
        let mut silent = TcpStream::connect(&door).await.unwrap();
        silent.write_all(said.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // Either an end or a reset, and no waiting for ever.
        let _ = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut rest)).await.unwrap();
    }
}

#[tokio::test]
async fn a_head_that_takes_too_long_or_is_too_large_is_refused() {
    let (server, first) = secured(&[("limits.header_read_seconds", "1"), ("limits.max_headers", "20")]).await;
    // A byte now and then would hold a connection for ever.
    let mut slow = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n").await.unwrap();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"), "{rest:?}");
    let many = (0..30).fold(server.request(Method::GET, "/health"), |request, index| {
        request.header(format!("x-{index}"), "1")
    });
    assert_eq!(many.send().await.unwrap().status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let mut large = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let head = format!(
        "GET /health HTTP/1.1\r\nhost: localhost:{}\r\nx: {}\r\n\r\n",
        server.port,
        "x".repeat(100_000)
    );
    // The server may close before all of it is sent.
    let _ = large.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = large.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    let long = format!("Bearer {}{}", first, "x".repeat(9_000));
    let long = server.request(Method::GET, "/v1/collections").header("authorization", long);
    assert_eq!(server.send(long).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.get("/health").await.status, StatusCode::OK);
}
