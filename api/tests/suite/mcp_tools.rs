//! Tools of an MCP server: our own server, asked by another one over streamable HTTP.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::http_agent::{APIS, LEAVE, chat, conversation, endpoint};
use crate::provider::{Play, Provider};
use crate::support::Server;

/// A server whose documents another one looks through.
async fn library() -> Server {
    let server = Server::start_with(&[("answer.support_model", "words")]).await;
    server.add_text("leave.md", LEAVE, json!({})).await;
    server
}

fn servers(url: &str, more: &str) -> String {
    format!(r#"[{{name="library",url="{url}",{more}}}]"#)
}

fn names(listed: &Value) -> BTreeSet<String> {
    let tools = listed["tools"].as_array().unwrap().iter();
    tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

async fn execute(server: &Server, name: &str, arguments: Value) -> crate::support::Reply {
    server.post("/v1/tools/execute", json!({ "name": name, "arguments": arguments })).await
}

#[tokio::test]
async fn tools_of_a_server_are_listed_checked_and_called() {
    let library = library().await;
    let url = format!("http://127.0.0.1:{}/mcp", library.port);
    let more = r#"needs_approval=false,only=["search","list_collections"]"#;
    let server = Server::start_with(&[("tools.mcp", &servers(&url, more))]).await;
    let listed = server.get("/v1/tools").await.good();
    let expected = ["calculator", "library__list_collections", "library__search"];
    assert_eq!(names(&listed), expected.map(str::to_owned).into(), "{listed}");

    let found = execute(&server, "library__search", json!({ "query": "paid leave" })).await.good();
    assert_eq!(found["result"]["results"][0]["document_id"], "leave.md", "{found}");
    // Arguments are checked here, by the schema that the server gave, before it is asked.
    let wrong = execute(&server, "library__search", json!({ "query": 7 })).await;
    assert_eq!(wrong.problem(), "invalid");
    // What the server itself refuses is its tool's failure, not its reply.
    let refused = execute(&server, "library__search", json!({ "query": "" })).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    for absent in ["library__ask", "search", "ask"] {
        assert_eq!(execute(&server, absent, json!({})).await.problem(), "not-found", "{absent}");
    }

    // What is gone is said, and the other tools go on.
    drop(library);
    let gone = execute(&server, "library__search", json!({ "query": "paid leave" })).await;
    assert_eq!(gone.status, StatusCode::SERVICE_UNAVAILABLE, "{}", gone.body);
    execute(&server, "calculator", json!({ "expression": "1+1" })).await.good();
}

#[tokio::test]
async fn an_agent_calls_them_and_waits_for_a_person_where_they_want_one() {
    let library = library().await;
    let url = format!("http://127.0.0.1:{}/mcp", library.port);
    let provider = Provider::start().await;
    let plays = || {
        [
            Play::call("library__search", json!({ "query": "paid leave" })),
            Play::call("search", json!({ "query": "paid leave" })),
            Play::text(format!("{LEAVE} [1]")),
        ]
    };
    for (approval, waits) in [("false", false), ("true", true)] {
        let settings = [
            ("models.chats", chat(APIS[0], &provider, "script")),
            ("tools.mcp", servers(&url, &format!("needs_approval={approval}"))),
        ];
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let server = Server::start_with(&settings).await;
        server.add_text("leave.md", LEAVE, json!({})).await;
        provider.plays().add(plays());
        let path = conversation(&server).await;
        let question = json!({ "question": "How much paid leave is there?", "agent": true });
        let reply = server.post(&format!("{path}/messages"), question).await;
        let answer = if waits {
            assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.body);
            assert_eq!(reply.body["approval"]["tool"], "library__search");
            let verdict =
                json!({ "run": reply.body["run"], "call": reply.body["approval"]["call"], "approve": true });
            server.post(&format!("{path}/approve"), verdict).await.good()
        } else {
            reply.good()
        };
        assert_eq!(answer["answer"], format!("{LEAVE} [1]"), "{answer}");
        let told = provider.plays().seen().last().unwrap()["messages"].to_string();
        assert!(told.contains("leave.md"), "the model read what the tool gave: {told}");
    }
}

#[tokio::test]
async fn a_server_that_misbehaves_offers_nothing_and_holds_up_nothing() {
    let long: &str = Box::leak(
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{}",
            "x".repeat(4096)
        )
        .into_boxed_str(),
    );
    for (response, reached) in [
        (
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\n\r\n",
            "redirect",
        ),
        ("HTTP/1.1 500 Oops\r\nconnection: close\r\n\r\n", "fault"),
        ("HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n", "absent"),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<html>", "page"),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: {}\n\n",
            "stream",
        ),
        (long, "long"),
    ] {
        let (url, came) = endpoint(response).await;
        let server = Server::start_with(&[("tools.mcp", &servers(&url, "max_bytes=2000"))]).await;
        let listed = server.get("/v1/tools").await.good();
        assert_eq!(names(&listed), BTreeSet::from(["calculator".to_owned()]), "{reached}");
        assert_eq!(came.lock().unwrap().len(), 1, "{reached}: it was asked once");
        // It is left alone for a while.
        server.get("/v1/tools").await.good();
        assert_eq!(came.lock().unwrap().len(), 1, "{reached}");
    }
}
