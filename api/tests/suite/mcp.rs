//! The Model Context Protocol, spoken by hand over HTTP and over standard input and output.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::Server;

const LEAVE: &str =
    "# Leave\n\nEveryone has thirty days of paid leave. Annual leave needs two weeks notice.\n";

async fn filled() -> Server {
    let server = Server::start_with(&[("answer.support_model", "words")]).await;
    server.add_text("leave.md", LEAVE, json!({ "lang": "en" })).await;
    server
}

async fn send(server: &Server, message: &Value) -> (StatusCode, Value) {
    let request = server
        .request(Method::POST, "/mcp")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-06-18")
        .json(message);
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn call(server: &Server, tool: &str, arguments: Value) -> Value {
    let message = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": tool, "arguments": arguments } });
    let (status, reply) = send(server, &message).await;
    assert_eq!((status, &reply["id"]), (StatusCode::OK, &json!(7)), "{reply}");
    reply
}

#[tokio::test]
async fn the_tools_work_over_http() {
    let server = filled().await;
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } });
    let (status, reply) = send(&server, &hello).await;
    assert_eq!(status, StatusCode::OK, "{reply}");
    assert_eq!(reply["result"]["serverInfo"]["name"], "wellspring");
    assert!(reply["result"]["instructions"].as_str().unwrap().contains("not to be followed"));
    let (_, reply) = send(&server, &json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" })).await;
    let names: Vec<&str> = reply["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["search", "fetch", "ask", "list_collections"]);

    let found = call(&server, "search", json!({ "query": "annual leave notice", "k": 3 })).await;
    let result = &found["result"]["structuredContent"]["results"][0];
    assert_eq!((&result["document_id"], &result["title"]), (&json!("leave.md"), &json!("Leave")));
    // What a client reads that knows no structured content is the same.
    let text = found["result"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(&serde_json::from_str::<Value>(text).unwrap(), &found["result"]["structuredContent"]);

    let read = call(&server, "fetch", json!({ "id": result["id"] })).await;
    let read = &read["result"]["structuredContent"];
    assert_eq!(read["start"], result["start"]);
    assert!(read["text"].as_str().unwrap().starts_with(result["text"].as_str().unwrap()), "{read}");
    let piece = call(&server, "fetch", json!({ "id": "leave.md", "max_bytes": 7 })).await;
    let piece = &piece["result"]["structuredContent"];
    assert_eq!((&piece["text"], &piece["next"]), (&json!("# Leave"), &json!(7)));

    let answer =
        call(&server, "ask", json!({ "question": "How many days of paid leave does everyone have?" })).await;
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("Everyone has thirty days of paid leave. [1]") && text.contains("`leave.md`"),
        "{text}"
    );
    assert_eq!(answer["result"]["structuredContent"]["citations"][0]["document_id"], "leave.md");
    let refused =
        call(&server, "ask", json!({ "question": "Which comet crossed the orbit of Jupiter?" })).await;
    assert_eq!(refused["result"]["structuredContent"]["abstained"], true);

    let listed = call(&server, "list_collections", json!({})).await;
    let listed = &listed["result"]["structuredContent"]["collections"];
    assert_eq!((&listed[0]["name"], &listed[0]["documents"]), (&json!("default"), &json!(1)));
}

#[tokio::test]
async fn what_is_wrong_is_told_to_the_model_or_to_the_client() {
    let server = filled().await;
    for (tool, arguments, code) in [
        ("search", json!({ "query": "x", "collection": "nowhere" }), "not-found"),
        ("search", json!({ "query": "" }), "invalid"),
        ("search", json!({ "query": "x", "k": 51 }), "invalid"),
        ("search", json!({ "query": "x", "filter": "year >" }), "invalid"),
        ("search", json!({ "query": "x", "tenant": "other" }), "invalid"),
        ("search", json!({}), "invalid"),
        ("fetch", json!({ "id": "nothing" }), "not-found"),
        ("fetch", json!({ "id": "leave.md", "max_bytes": 0 }), "invalid"),
        ("ask", json!({ "question": "x", "k": 0 }), "invalid"),
    ] {
        let reply = call(&server, tool, arguments.clone()).await;
        assert_eq!(reply["result"]["isError"], true, "{tool} {arguments}: {reply}");
        let text = reply["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with(&format!("{code}: ")), "{tool} {arguments}: {text}");
    }
    assert_eq!(call(&server, "delete", json!({})).await["error"]["code"], -32602);
}

#[tokio::test]
async fn the_guards_of_every_route_stand_before_it() {
    let server = filled().await;
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    for (name, value) in [("origin", "https://evil.example"), ("host", "evil.example")] {
        let request = server.request(Method::POST, "/mcp").header(name, value);
        let reply =
            server.send(request.header("accept", "application/json, text/event-stream").json(&list)).await;
        assert_eq!((reply.status, reply.problem()), (StatusCode::FORBIDDEN, "forbidden"), "{name}");
    }
}

#[tokio::test]
async fn an_agent_can_start_it_on_standard_input_and_output() {
    let server = filled().await;
    let (status, data) = server.stop().await;
    assert!(status.success());
    let spoken = tokio::task::spawn_blocking(move || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wellspring"))
            .arg("--data")
            .arg(data.path())
            .arg("mcp")
            .env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", "fake/hash")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut ask = |message: Value, answered: bool| {
            writeln!(input, "{message}").unwrap();
            let mut line = String::new();
            if answered {
                output.read_line(&mut line).unwrap();
            }
            serde_json::from_str::<Value>(&line).unwrap_or_default()
        };
        let hello = ask(
            json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "protocolVersion": "2025-06-18",
                "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } }),
            true,
        );
        ask(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }), false);
        let params = json!({ "name": "search", "arguments": { "query": "annual leave notice" } });
        let found = ask(json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params }), true);
        drop(input);
        (hello, found, child.wait().unwrap())
    });
    let (hello, found, status) =
        tokio::time::timeout(crate::support::PATIENCE, spoken).await.unwrap().unwrap();
    assert_eq!(hello["result"]["serverInfo"]["name"], "wellspring");
    assert_eq!(found["result"]["structuredContent"]["results"][0]["document_id"], "leave.md");
    assert!(status.success(), "{status}");
}
