//! What every request meets: names and origins, request ids, headers, methods, limits, health, and the end of the server.

use std::time::Duration;

use crate::support::{self, Server};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused() {
    let server = Server::start_with(&[("server.allowed_hosts", r#"["search.example.org"]"#)]).await;
    let port = server.port;
    let status = async |host: &str, origin: Option<&str>, method: Method| {
        let mut request =
            server.request(method, "/v1/collections").header("host", host).json(&json!({ "name": "x" }));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        server.send(request).await.status
    };
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), "search.example.org".to_owned()] {
        assert_eq!(status(&host, None, Method::GET).await, StatusCode::OK, "{host}");
    }
    for host in ["evil.example", "localhost", "localhost:1", "10.0.0.1"] {
        assert_eq!(status(host, None, Method::GET).await, StatusCode::FORBIDDEN, "{host}");
    }
    let own = format!("localhost:{port}");
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        assert_eq!(status(&own, Some(origin), Method::POST).await, StatusCode::FORBIDDEN, "{origin}");
        // A page of another origin can't read the answer: nothing allows it to.
        let read = server.send(server.request(Method::GET, "/v1/collections").header("origin", origin)).await;
        assert!(!read.headers.contains_key("access-control-allow-origin"));
    }
    let foreign = server.request(Method::DELETE, "/v1/collections/x").header("sec-fetch-site", "cross-site");
    assert_eq!(server.send(foreign).await.problem(), "forbidden");
    assert_eq!(
        status(&own, Some(&format!("http://localhost:{port}")), Method::POST).await,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn a_request_without_a_host_is_refused() {
    let server = Server::start().await;
    let reply = raw(&server, "GET /health HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
}

#[tokio::test]
async fn every_response_has_its_headers() {
    let server = Server::start().await;
    let given = server.send(server.request(Method::GET, "/health").header("x-request-id", "mine-1")).await;
    assert_eq!(given.headers["x-request-id"], "mine-1");
    for path in ["/health", "/nowhere", "/v1/collections/none", "/", "/ui/app.js"] {
        let reply = server.get(path).await;
        let id: uuid::Uuid = reply.headers["x-request-id"].to_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
        assert_eq!(reply.headers["referrer-policy"], "no-referrer");
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let server = Server::start().await;
    let reply = server.get("/v1/nothing").await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::NOT_FOUND, "not-found"));
    for (method, path, allowed) in [
        (Method::PUT, "/v1/collections", "POST"),
        (Method::GET, "/v1/search", "POST"),
        (Method::POST, "/health", "GET"),
        (Method::PATCH, "/v1/collections/default/documents/x", "DELETE"),
        (Method::POST, "/", "GET"),
    ] {
        let reply = server.send(server.request(method, path)).await;
        assert_eq!((reply.status, reply.problem()), (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"));
        assert!(
            reply.headers["allow"].to_str().unwrap().contains(allowed),
            "{path}: {:?}",
            reply.headers["allow"]
        );
    }
    let reply = server.get("/v1/collections/%ff").await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::BAD_REQUEST, "bad-request"));
    for query in ["limit=0", "limit=1001", "limit=x", "colour=red", "filter=%3D"] {
        server.post("/v1/collections", json!({ "name": "c" })).await;
        let reply = server.get(&format!("/v1/collections/c/documents?{query}")).await;
        assert_eq!((reply.status, reply.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"), "{query}");
    }
}

#[tokio::test]
async fn a_full_server_refuses_at_once_and_stays_healthy() {
    let server = Server::start_with(&[("server.max_concurrent_requests", "1")]).await;
    let body = "{\"text\": \"Some text.\", \"id\": \"a\"}";
    let head = format!(
        "POST /v1/collections/default/documents HTTP/1.1\r\nhost: localhost:{}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
        server.port,
        body.len()
    );
    let mut upload = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    upload.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the request holds the only place.
    let mut go_on = [0; 25];
    upload.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let reply = server.get("/v1/collections").await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert_eq!(reply.headers["retry-after"], "1");
    for path in ["/health", "/metrics", "/ready"] {
        assert_eq!(server.get(path).await.status, StatusCode::OK, "{path}");
    }
    upload.write_all(body.as_bytes()).await.unwrap();
    let mut rest = String::new();
    upload.read_to_string(&mut rest).await.unwrap();
    assert!(rest.starts_with("HTTP/1.1 202 "), "{rest}");
    assert_eq!(server.get("/v1/collections").await.status, StatusCode::OK);
    assert!(
        server.get("/metrics").await.body.as_str().unwrap().contains("wellspring_http_requests_shed_total 1")
    );
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    let (endpoint, _connections) = support::silent_endpoint().await;
    let embedders = format!(r#"[{{name="silent",base_url="{endpoint}",model="m",dimension=8}}]"#);
    let settings = [
        ("models.embedders", embedders.as_str()),
        ("server.request_timeout_seconds", "1"),
        ("retrieve.deadline_ms", "60000"),
    ];
    let server = Server::start_with(&settings).await;
    server.post("/v1/collections", json!({ "name": "stuck", "model": "silent" })).await.good();
    let reply =
        server.post("/v1/search", json!({ "collection": "stuck", "query": "x", "mode": "dense" })).await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::GATEWAY_TIMEOUT, "timeout"));
}

#[tokio::test]
async fn health_readiness_metrics_and_pages_answer() {
    let server = Server::start().await;
    server.add_text("a.md", "Some words.", json!({})).await;
    server.post("/v1/search", json!({ "query": "words" })).await.good();
    assert_eq!(server.get("/health").await.good()["status"], "ok");
    let ready = server.get("/ready").await.good();
    let names: Vec<&str> =
        ready["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(
        (ready["ready"].as_bool(), names),
        (Some(true), vec!["catalog", "models", "indexes", "disk", "shutdown"])
    );
    let metrics = server.get("/metrics").await;
    let text = metrics.body.as_str().unwrap();
    for line in [
        r#"wellspring_http_requests_total{method="POST",route="/v1/collections/{collection}/documents",status="202"} 1"#,
        r#"wellspring_searches_total{mode="hybrid"} 1"#,
        r#"wellspring_documents{tenant="default",collection="default"} 1"#,
        r#"wellspring_index_behind{tenant="default",collection="default",index="vector"} 0"#,
        "wellspring_jobs_backlog 0",
        "wellspring_jobs_oldest_seconds 0",
    ] {
        assert!(text.lines().any(|have| have == line), "{line} is missing in\n{text}");
    }
    assert!(
        text.contains("wellspring_http_request_seconds_bucket")
            && text.contains("wellspring_search_stage_seconds")
    );
    let page = server.get("/").await;
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    let page = page.body.as_str().unwrap();
    assert!(!page.contains("http://") && !page.contains("https://"), "the page asks nobody else");
    let docs = server.get("/docs/").await;
    assert_eq!(docs.status, StatusCode::OK);
    assert!(docs.body.as_str().unwrap().contains("swagger"));
    assert!(docs.headers["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams_and_hands_its_jobs_back() {
    let (endpoint, mut connections) = support::silent_endpoint().await;
    let endpoints = [
        ("models.embedders", format!(r#"[{{name="silent",base_url="{endpoint}",model="m",dimension=8}}]"#)),
        ("models.chats", format!(r#"[{{name="slow",base_url="{endpoint}",model="m"}}]"#)),
        ("server.shutdown_seconds", "2".to_owned()),
    ];
    let settings: Vec<(&str, &str)> = endpoints.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let server = Server::start_with(&settings).await;
    server.add_text("leave.md", "# Leave\n\nAnnual leave needs two weeks notice.\n", json!({})).await;
    server.post("/v1/collections", json!({ "name": "stuck", "model": "silent" })).await.good();
    let accepted = server
        .post("/v1/collections/stuck/documents", json!({ "id": "a", "text": "Some text." }))
        .await
        .good();
    let job = accepted["job"].as_str().unwrap().to_owned();
    // The job is in the middle of its work.
    let _embedding = connections.recv().await.unwrap();

    let followed = server.request(Method::GET, &format!("/v1/jobs/{job}/events")).send().await.unwrap();
    let question = json!({ "question": "How many weeks notice does annual leave need?", "model": "slow", "stream": true });
    let answered = server.request(Method::POST, "/v1/answers").json(&question).send().await.unwrap();
    let _generating = connections.recv().await.unwrap();
    server.terminate();
    let last = async |response: reqwest::Response| {
        support::parse_events(&response.text().await.unwrap()).pop().unwrap()
    };
    for response in [followed, answered] {
        let (name, data) = last(response).await;
        assert_eq!((name.as_str(), data["code"].as_str()), ("error", Some("unavailable")), "{data}");
    }
    let (status, data) = server.stop().await;
    assert!(status.success(), "{status}");

    // Nothing accepted is lost: the job waits for the next server, no attempt of it counted.
    let server = Server::start_over(data, &settings).await;
    let job: Value = server.get(&format!("/v1/jobs/{job}")).await.good();
    assert!(matches!(job["state"].as_str(), Some("queued" | "running")), "{job}");
    assert!(job["attempts"].as_u64().unwrap() <= 1, "{job}");
    let _again = tokio::time::timeout(Duration::from_secs(60), connections.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn only_loopback_addresses_are_served() {
    let data = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_wellspring"))
        .arg("--data")
        .arg(data.path())
        .args(["serve", "--listen", "0.0.0.0:0"])
        .env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", "fake/hash")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("no authentication") && message.contains("127.0.0.1"), "{message}");
}

/// Sends bytes and reads until the server closes.
#[expect(clippy::unwrap_used, reason = "a test that panics has said what it had to say")]
async fn raw(server: &Server, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}
