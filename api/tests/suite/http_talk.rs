//! Conversations, tools, answers in a schema, and streams that are gone on with, over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::http_agent::{APIS, LEAVE, SENT, chat, conversation, endpoint, tool};
use crate::provider::{Play, Provider};
use crate::support::{Server, parse_events};

#[tokio::test]
async fn a_conversation_is_understood_kept_and_forgotten_without_a_model() {
    let server = Server::start().await;
    let policy = "# Travel\n\nThe travel policy was approved by the board in May 2024.\n";
    server.add_text("travel.md", policy, json!({})).await;
    server.add_text("leave.md", LEAVE, json!({})).await;
    let place = conversation(&server).await;
    let ask = async |question: &str| {
        server.post(&format!("{place}/messages"), json!({ "question": question })).await.good()
    };
    let first = ask("What is the travel policy?").await;
    assert!(first.get("standalone").is_none(), "{first}");
    let second = ask("When was it approved?").await;
    assert_eq!(second["standalone"], "When was the travel policy approved?");
    assert_eq!(second["citations"][0]["document_id"], "travel.md", "{second}");
    let third = ask("How many days of paid leave does everyone have?").await;
    assert!(third.get("standalone").is_none(), "{third}");

    let shown = server.get(&place).await.good();
    let messages = shown["messages"].as_array().unwrap();
    assert_eq!((messages.len(), shown["turns"].as_u64()), (3, Some(3)));
    assert_eq!(messages[1]["standalone"], "When was the travel policy approved?");
    assert_eq!(messages[2]["answer"]["answer"], third["answer"]);
    assert_eq!(messages[2]["answer"]["citations"], third["citations"]);
    assert!(messages[1]["answer"]["answer"].as_str().unwrap().contains("May 2024"));

    // What is deleted is gone from what was answered, in every form.
    server.delete("/v1/collections/default/documents/travel.md").await.good();
    let shown = server.get(&place).await.good();
    assert!(!shown.to_string().contains("May 2024") && !shown.to_string().contains("travel.md"), "{shown}");
    assert!(shown["messages"][1]["answer"]["withdrawn"].as_u64().unwrap() >= 1);
    // The question as it was understood was made of an answer that told of the document.
    assert!(shown["messages"][1]["standalone"].is_null(), "{shown}");
    assert!(server.get(&place).await.good()["messages"][1]["standalone"].is_null(), "it stays forgotten");
    assert_eq!(shown["messages"][2]["answer"]["answer"], third["answer"]);

    let listed = server.get("/v1/conversations?limit=1").await.good();
    assert_eq!(listed["conversations"][0]["title"], "Leave");
    server.delete(&place).await.good();
    for reply in
        [server.get(&place).await, server.delete(&place).await, server.get("/v1/conversations/x").await]
    {
        assert_eq!(reply.problem(), "not-found");
    }
    let late = server.post(&format!("{place}/messages"), json!({ "question": "And now?" })).await;
    assert_eq!(late.problem(), "not-found");
    let unknown = server.post("/v1/conversations", json!({ "collection": "none" })).await;
    assert_eq!(unknown.problem(), "not-found");
}

#[tokio::test]
async fn a_follow_up_is_rewritten_by_a_model_in_both_formats() {
    for api in APIS {
        let provider = Provider::start().await;
        let server = Server::start_with(&[("models.chats", &chat(api, &provider, "script"))]).await;
        server.add_text("leave.md", LEAVE, json!({})).await;
        let question = "How many days of paid leave does everyone have?";
        provider.plays().add([
            Play::text(json!({ "question": question }).to_string()),
            Play::text("Everyone has thirty days of paid leave [1]."),
        ]);
        let history = json!([{ "question": "What is paid leave?", "answer": "Days off. [1]" }]);
        let body = json!({ "question": "How many of them?", "history": history });
        let answer = server.post("/v1/answers", body).await.good();
        assert_eq!(
            (&answer["standalone"], answer["abstained"].as_bool()),
            (&json!(question), Some(false)),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn an_answer_in_a_schema_keeps_only_what_is_supported() {
    let schema = json!({
        "type": "object",
        "properties": {
            "days": { "type": "integer" },
            "notice": { "type": "string" },
            "boats": { "type": "integer" },
            "limit": { "type": "integer" },
        },
        "required": ["days", "notice", "boats", "limit"],
        "additionalProperties": false,
    });
    let filled = json!({
        "answer": { "days": 30, "notice": null, "boats": 7, "limit": 12 },
        "evidence": [
            { "path": "/days", "statement": LEAVE, "passages": [1] },
            { "path": "/notice", "reason": "no passage tells it" },
            { "path": "/boats", "statement": "The company owns 7 submarines.", "passages": [1] },
            { "path": "/limit", "statement": LEAVE, "passages": [1] },
        ],
    });
    let question = json!({ "question": "How many days of paid leave does everyone have?", "schema": schema });
    for api in APIS {
        let provider = Provider::start().await;
        let server = Server::start_with(&[("models.chats", &chat(api, &provider, "script"))]).await;
        server.add_text("leave.md", LEAVE, json!({})).await;
        provider.plays().add([Play::text(r#"{"answer": {"days": "x"}}"#), Play::text(filled.to_string())]);
        let answer = server.post("/v1/answers", question.clone()).await.good();
        let made = &answer["structured"];
        assert_eq!(
            made["value"],
            json!({ "days": 30, "notice": null, "boats": null, "limit": null }),
            "{answer}"
        );
        let field = |name: &str| {
            made["fields"]
                .as_array()
                .unwrap()
                .iter()
                .find(|field| field["path"] == format!("/{name}"))
                .unwrap()
                .clone()
        };
        assert_eq!(field("days")["citations"][0]["quote"], LEAVE);
        assert!(field("days")["support"].as_f64().unwrap() > 0.5);
        assert_eq!(field("notice")["reason"], "no passage tells it");
        assert_eq!(field("boats")["reason"], "no passage supports it");
        assert!(field("limit")["reason"].as_str().unwrap().contains("does not say it"));
        assert_eq!(answer["answer"], format!("{LEAVE} [1]"));

        provider.plays().add([Play::text(filled.to_string())]);
        let mut streamed = question.clone();
        streamed["stream"] = true.into();
        let events = server.events(server.request(Method::POST, "/v1/answers").json(&streamed)).await;
        let partial: Vec<&Value> =
            events.iter().filter(|(name, _)| name == "partial").map(|(_, data)| data).collect();
        assert!(!partial.is_empty() && partial[0]["days"] == 30, "{events:?}");
        assert!(partial.iter().all(|object| object["boats"].is_null()), "{partial:?}");
        assert_eq!(events.last().unwrap().0, "done");
        assert_eq!(events.last().unwrap().1["structured"]["value"], made["value"]);

        // A reply that does not fit twice is refused.
        provider.plays().add([Play::text("{}"), Play::text("{}")]);
        let answer = server.post("/v1/answers", question.clone()).await.good();
        assert!(answer["reason"].as_str().unwrap().contains("does not fit the schema"), "{answer}");
        assert_eq!((answer["abstained"].as_bool(), answer.get("structured")), (Some(true), None));

        // What it used is told all the same, before the one end.
        provider.plays().add([Play::text("{}"), Play::text("{}")]);
        let events = server.events(server.request(Method::POST, "/v1/answers").json(&streamed)).await;
        let order: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert!(order.ends_with(&["usage", "refused"]), "{order:?}");
        assert_eq!(
            events[order.len() - 2].1["output_tokens"],
            events[order.len() - 1].1["usage"]["output_tokens"]
        );
    }
    let server = Server::start().await;
    server.add_text("leave.md", LEAVE, json!({})).await;
    let answer = server.post("/v1/answers", question.clone()).await.good();
    assert!(answer["reason"].as_str().unwrap().contains("needs a chat model"), "{answer}");
    for wrong in [
        json!({ "type": "array" }),
        json!({ "type": "object", "properties": { "a": { "$ref": "http://x/y" } } }),
    ] {
        let reply = server.post("/v1/answers", json!({ "question": "x", "schema": wrong })).await;
        assert_eq!(reply.problem(), "invalid");
    }
}

#[tokio::test]
async fn tools_are_called_by_people_under_their_schemas_and_limits() {
    const MOVED: &str = "HTTP/1.1 307 X\r\nlocation: http://169.254.169.254/\r\nconnection: close\r\n\r\n";
    let (url, came) = endpoint(SENT).await;
    let (moved, _) = endpoint(MOVED).await;
    for (url, code) in [(&url, None), (&moved, Some("unavailable"))] {
        let server = Server::start_with(&[(
            "tools.http",
            &tool("send_mail", url, "authorization=\"Bearer s3cret\","),
        )])
        .await;
        let listed = server.get("/v1/tools").await.good();
        let known: Vec<_> =
            listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
        assert_eq!(known, ["calculator", "send_mail"]);
        assert!(!listed.to_string().contains("s3cret") && !listed.to_string().contains("127.0.0.1"));
        let call = json!({ "name": "send_mail", "arguments": { "to": "ada@example.org" } });
        let reply = server.post("/v1/tools/execute", call.clone()).await;
        match code {
            None => assert_eq!(reply.good()["result"], json!({ "sent": true })),
            Some(code) => assert_eq!(reply.problem(), code),
        }
        for (wrong, code) in [
            (json!({ "name": "send_mail", "arguments": { "to": 7 } }), "invalid"),
            (json!({ "name": "send_mail", "arguments": { "to": "a", "cc": "b" } }), "invalid"),
            (json!({ "name": "send_mail" }), "invalid"),
            (json!({ "name": "rm", "arguments": {} }), "not-found"),
            (json!({ "name": "calculator", "arguments": { "expression": "1/0" } }), "invalid"),
        ] {
            assert_eq!(server.post("/v1/tools/execute", wrong).await.problem(), code);
        }
        let sum = json!({ "name": "calculator", "arguments": { "expression": "0.1 + 0.2" } });
        let batch = server.post("/v1/tools/batch", json!({ "calls": [sum, { "name": "rm" }] })).await.good();
        assert_eq!(batch["results"][0]["result"], json!({ "result": "0.3", "exact": true }));
        assert_eq!(batch["results"][1]["problem"]["code"], "not-found");
        let many = vec![sum; 17];
        assert_eq!(server.post("/v1/tools/batch", json!({ "calls": many })).await.problem(), "invalid");
    }
    assert_eq!(came.lock().unwrap().len(), 1, "what does not fit is never sent");
}

#[tokio::test]
async fn a_cut_stream_is_gone_on_with_by_its_owner_until_a_cited_document_goes() {
    let server = Server::start().await;
    server.add_text("leave.md", LEAVE, json!({})).await;
    server.add_text("other.md", "The canteen opens at eleven.", json!({})).await;
    let question = json!({ "question": "How many days of paid leave does everyone have?", "stream": true, "resumable": true });
    let begin = || server.request(Method::POST, "/v1/answers").json(&question);
    let whole = begin().send().await.unwrap().text().await.unwrap();
    let events = parse_events(&whole);
    let ids: Vec<&str> = whole.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!((ids.len(), events.last().unwrap().0.as_str()), (events.len(), "done"), "{whole}");

    // From the middle: what follows, and nothing twice.
    let rest = begin().header("last-event-id", ids[0]).send().await.unwrap().text().await.unwrap();
    assert_eq!(parse_events(&rest), events[1..]);
    // Another question may not go on with it.
    let mut other = question.clone();
    other["question"] = "Who has leave?".into();
    let stolen = server
        .send(server.request(Method::POST, "/v1/answers").json(&other).header("last-event-id", ids[0]))
        .await;
    assert_eq!(stolen.problem(), "not-found");

    // A passage that was only found is left out once it is gone; what is cited ends it.
    server.delete("/v1/collections/default/documents/other.md").await.good();
    let rest = begin().header("last-event-id", ids[0]).send().await.unwrap().text().await.unwrap();
    assert!(!rest.contains("canteen") && whole.contains("canteen"), "{rest}");
    server.delete("/v1/collections/default/documents/leave.md").await.good();
    let gone = server.send(begin().header("last-event-id", ids[0])).await;
    assert_eq!(gone.problem(), "conflict");
}

#[tokio::test]
async fn a_reader_that_comes_back_in_time_finds_the_run_going_on() {
    let provider = Provider::start().await;
    let chat =
        format!(r#"[{{name="m",base_url="{}",model="stop",deadlines={{idle_ms=2000}}}}]"#, provider.url);
    let server = Server::start_with(&[("models.chats", &chat)]).await;
    server.add_text("leave.md", LEAVE, json!({})).await;
    let question = json!({ "question": "How many days of paid leave does everyone have?", "stream": true, "resumable": true });
    let begin = || server.request(Method::POST, "/v1/answers").json(&question);
    let mut cut = begin().send().await.unwrap();
    let mut head = String::new();
    while !head.contains("\n\n") {
        head.push_str(&String::from_utf8_lossy(&cut.chunk().await.unwrap().unwrap()));
    }
    let id = head.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    drop(cut);
    // The model hangs in the middle until its deadline; sentences are quoted then, and this reader gets them.
    let rest = begin().header("last-event-id", id).send().await.unwrap().text().await.unwrap();
    let rest = parse_events(&rest);
    assert_eq!(rest.last().unwrap().0, "done", "{rest:?}");
    assert_eq!(provider.requests(), 1, "the work went on; it was not begun again");
}
