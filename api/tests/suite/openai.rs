//! The doors in OpenAI's and Cohere's shape: answers, streams and how they end, vectors, lists, errors.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::provider::Provider;
use crate::support::Server;

const LEAVE: &str =
    "# Leave\n\nEveryone has thirty days of paid leave. Annual leave needs two weeks notice.\n";
const QUESTION: &str = "How many days of paid leave does everyone have?";

/// A server over one document, with a chat model per fault of the local provider.
async fn with_models(models: &[&str]) -> (Server, Provider) {
    let provider = Provider::start().await;
    let chats: Vec<String> = models
        .iter()
        .map(|name| format!("{{name=\"{name}\",base_url=\"{}\",model=\"{name}\"}}", provider.url))
        .collect();
    let chats = format!("[{}]", chats.join(","));
    let settings = [
        ("models.chats", chats.as_str()),
        ("answer.fall_back", "false"),
        ("answer.model", "extractive"),
        ("answer.support_model", "words"),
    ];
    let server = Server::start_with(&settings).await;
    server.add_text("leave.md", LEAVE, json!({ "lang": "en" })).await;
    (server, provider)
}

fn chat(more: Value) -> Value {
    let mut body = json!({ "model": "default", "messages": [{ "role": "user", "content": QUESTION }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The data of every event, `[DONE]` as a string.
async fn stream(server: &Server, body: Value) -> Vec<Value> {
    let response = server.request(Method::POST, "/v1/chat/completions").json(&body).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream", "{}", response.status());
    let text = response.text().await.unwrap();
    text.split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data)))
        .collect()
}

/// The text that a reader of the stream sees.
fn text(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

fn finish(chunks: &[Value]) -> Vec<&str> {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str()).collect()
}

#[tokio::test]
async fn a_collection_answers_as_a_chat_model() {
    let (server, provider) = with_models(&["ok"]).await;
    let body = chat(json!({ "temperature": 0.3, "wellspring": { "model": "ok" }, "messages": [
        { "role": "system", "content": "Be brief." }, { "role": "user", "content": QUESTION } ] }));
    let reply = server.post("/v1/chat/completions", body).await.good();
    let message = &reply["choices"][0]["message"];
    let wanted = "Everyone has thirty days of paid leave. [1]\n\n[1] `Leave`, `leave.md`";
    assert_eq!((message["role"].as_str(), message["content"].as_str()), (Some("assistant"), Some(wanted)));
    assert_eq!((&message["refusal"], &reply["choices"][0]["finish_reason"]), (&Value::Null, &json!("stop")));
    let used = json!({ "prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14 });
    assert_eq!((&reply["usage"], &reply["model"]), (&used, &json!("default")));
    let extra = &reply["wellspring"];
    assert_eq!(extra["citations"][0]["quote"], "Everyone has thirty days of paid leave.");
    assert_eq!(extra["ignored"], json!(["messages: instructions", "temperature"]));
    assert!(extra.get("passages").is_none());
    assert_eq!(provider.requests(), 1);

    // The same, streamed: the same text, one end, and the usage that was asked for.
    let body = chat(
        json!({ "stream": true, "stream_options": { "include_usage": true }, "wellspring": { "model": "ok" } }),
    );
    let chunks = stream(&server, body).await;
    assert_eq!(text(&chunks), wanted);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!((finish(&chunks), chunks.last().unwrap()), (vec!["stop"], &json!("[DONE]")));
    let usage = &chunks[chunks.len() - 2];
    assert_eq!((&usage["usage"], &usage["choices"]), (&used, &json!([])));
    let last = &chunks[chunks.len() - 3];
    assert_eq!(last["wellspring"]["citations"][0]["document_id"], "leave.md");
}

#[tokio::test]
async fn a_refusal_is_text_with_a_reason() {
    let (server, _provider) = with_models(&[]).await;
    let off =
        chat(json!({ "messages": [{ "role": "user", "content": "Which comet crossed Jupiter's orbit?" }] }));
    let reply = server.post("/v1/chat/completions", off.clone()).await.good();
    let message = &reply["choices"][0]["message"];
    assert_eq!(message["content"], "The documents do not answer this question.");
    assert!(message["refusal"].as_str().is_some_and(|reason| !reason.is_empty()), "{message}");
    assert_eq!(
        (&reply["wellspring"]["abstained"], reply["usage"]["total_tokens"].as_u64()),
        (&json!(true), Some(0))
    );
    let mut streamed = off;
    streamed["stream"] = json!(true);
    let chunks = stream(&server, streamed).await;
    assert_eq!(text(&chunks), "The documents do not answer this question.");
    assert_eq!((finish(&chunks), chunks.last().unwrap()), (vec!["stop"], &json!("[DONE]")));
    let last = &chunks[chunks.len() - 2];
    assert_eq!(last["choices"][0]["delta"]["refusal"], message["refusal"]);
}

#[tokio::test]
async fn a_stream_that_fails_never_looks_whole() {
    let faults = ["close", "reset", "bad-json", "bad-utf8", "error-event"];
    let (server, _provider) = with_models(&faults).await;
    for fault in faults {
        let chunks = stream(&server, chat(json!({ "stream": true, "wellspring": { "model": fault } }))).await;
        let error = &chunks.last().unwrap()["error"];
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{fault}: {chunks:?}");
        assert_eq!(error["type"], "server_error", "{fault}");
        assert_eq!(finish(&chunks), Vec::<&str>::new(), "{fault}");
        assert!(!chunks.contains(&json!("[DONE]")), "{fault}");
        assert_eq!(chunks.iter().filter(|chunk| chunk.get("error").is_some()).count(), 1, "{fault}");
        // Not streamed it is an error with a status.
        let whole =
            server.post("/v1/chat/completions", chat(json!({ "wellspring": { "model": fault } }))).await;
        assert!(whole.status.is_server_error(), "{fault}: {} {}", whole.status, whole.body);
        assert_eq!(whole.body["error"]["type"], "server_error", "{fault}");
    }
}

#[tokio::test]
async fn bad_requests_are_told_in_the_client_s_own_shape() {
    let (server, _provider) = with_models(&[]).await;
    let long = "leave ".repeat(2_000);
    let table = [
        ("unknown model", chat(json!({ "model": "gpt-4o" })), 404, "model_not_found", "model"),
        ("a model that is no name", chat(json!({ "model": "../x" })), 404, "model_not_found", "model"),
        ("no messages", chat(json!({ "messages": [] })), 400, "invalid", "messages"),
        ("two choices", chat(json!({ "n": 2 })), 400, "invalid", "n"),
        ("tools", chat(json!({ "tools": [{ "type": "function" }] })), 400, "invalid", "tools"),
        ("a bad filter", chat(json!({ "wellspring": { "filter": "year >" } })), 400, "invalid", "filter"),
        ("an unknown extra", chat(json!({ "wellspring": { "top": 1 } })), 400, "invalid", "wellspring.top"),
        (
            "a long question",
            chat(json!({ "messages": [{ "role": "user", "content": long }] })),
            400,
            "invalid",
            "-",
        ),
        (
            "a role nobody has",
            chat(json!({ "messages": [{ "role": "boss", "content": "x" }] })),
            400,
            "invalid",
            "-",
        ),
    ];
    for (what, body, status, code, param) in table {
        for streamed in [false, true] {
            let mut body = body.clone();
            body["stream"] = json!(streamed);
            let reply = server.post("/v1/chat/completions", body).await;
            let error = &reply.body["error"];
            assert_eq!(
                (reply.status.as_u16(), error["code"].as_str()),
                (status, Some(code)),
                "{what}: {}",
                reply.body
            );
            if param != "-" {
                assert_eq!(error["param"], param, "{what}");
            }
            assert_eq!(error["type"], "invalid_request_error", "{what}");
        }
    }
    let request =
        server.request(Method::POST, "/v1/chat/completions").header("content-type", "application/json");
    let reply = server.send(request.body("{")).await;
    assert_eq!(
        (reply.status, &reply.body["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!("bad-request"))
    );
}

#[tokio::test]
async fn texts_are_embedded_in_both_encodings() {
    let (server, _provider) = with_models(&[]).await;
    let post = async |body: Value| server.post("/v1/embeddings", body).await;
    let both = post(json!({ "model": "default", "input": ["two weeks notice", "a sensor"] })).await.good();
    assert_eq!((both["object"].as_str(), both["data"].as_array().unwrap().len()), (Some("list"), 2));
    assert_eq!((&both["data"][1]["index"], both["model"].as_str()), (&json!(1), Some("fake/hash")));
    assert!(both["usage"]["prompt_tokens"].as_u64().unwrap() > 0);
    let floats = |value: &Value| -> Vec<f32> {
        value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
    };
    let vector = floats(&both["data"][0]["embedding"]);
    let one = post(json!({ "model": "fake/hash", "input": "two weeks notice", "encoding_format": "base64" }))
        .await
        .good();
    let decoded: Vec<f32> = {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(one["data"][0]["embedding"].as_str().unwrap())
            .unwrap();
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
    };
    assert_eq!(decoded, vector, "a vector depends neither on its batch nor on how it is written");
    // Most components of this embedder are 0: a shorter vector that still points somewhere.
    let length = 1 + vector.iter().position(|x| *x != 0.0).unwrap();
    let body = json!({ "model": "default", "input": "two weeks notice", "dimensions": length });
    let short = floats(&post(body).await.good()["data"][0]["embedding"]);
    let norm: f32 = short.iter().map(|x| x * x).sum();
    assert!(short.len() == length && (norm - 1.0).abs() < 1e-4, "{norm}");
    for (bad, status, code) in [
        (json!({ "model": "default", "input": [] }), 400, "invalid"),
        (json!({ "model": "default", "input": [[1, 2]] }), 400, "invalid"),
        (json!({ "model": "default", "input": "x", "dimensions": 0 }), 400, "invalid"),
        (json!({ "model": "default", "input": "x", "dimensions": 100_000 }), 400, "invalid"),
        (json!({ "model": "default", "input": "x", "colour": "red" }), 400, "invalid"),
        (json!({ "model": "nobody", "input": "x" }), 404, "model_not_found"),
    ] {
        let reply = post(bad.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.body["error"]["code"].as_str()),
            (status, Some(code)),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn models_are_collections_embedders_and_rerankers() {
    let (server, _provider) = with_models(&["ok"]).await;
    let listed = server.get("/v1/models").await.good();
    let has = |id: &str, kind: &str| {
        listed["data"].as_array().unwrap().iter().any(|model| model["id"] == id && model["kind"] == kind)
    };
    assert!(has("default", "collection") && has("fake/hash", "embedder") && has("fake/overlap", "reranker"));
    assert!(!has("ok", "collection"), "chat models answer for collections, not under their own names");
    let one = server.get("/v1/models/default").await.good();
    assert_eq!((one["object"].as_str(), one["owned_by"].as_str()), (Some("model"), Some("wellspring")));
    assert!(one["created"].as_i64().unwrap() > 1_700_000_000);
    assert_eq!(server.get("/v1/models/fake%2Fhash").await.good()["kind"], "embedder");
    let missing = server.get("/v1/models/nobody").await;
    assert_eq!(
        (missing.status.as_u16(), missing.body["error"]["code"].as_str()),
        (404, Some("model_not_found"))
    );
}

#[tokio::test]
async fn texts_are_reranked_by_a_reranker_or_by_the_embedder() {
    let (server, _provider) = with_models(&[]).await;
    let documents = json!(["The sensor measures water levels.", { "text": "Annual leave needs two weeks notice." }, "Leave."]);
    let body = |model: Value| json!({ "model": model, "query": "annual leave notice", "documents": documents, "top_n": 2 });
    let by_model = server.post("/v1/rerank", body(json!("fake/overlap"))).await.good();
    assert_eq!(
        (&by_model["meta"]["method"], &by_model["results"][0]["index"]),
        (&json!("reranker"), &json!(1))
    );
    let results = by_model["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let score = result["relevance_score"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&score) && result.get("document").is_none(), "{result}");
    }
    // No reranker is configured: the embedder decides, and the response says so.
    let mut own = body(Value::Null);
    own["return_documents"] = json!(true);
    let own = server.post("/v2/rerank", own).await.good();
    assert!(matches!(own["meta"]["method"].as_str(), Some("late_interaction" | "cosine")), "{own}");
    assert_eq!((&own["meta"]["model"], &own["meta"]["calibrated"]), (&json!("fake/hash"), &json!(false)));
    assert_eq!(own["results"][0]["document"]["text"], "Annual leave needs two weeks notice.");
    assert_eq!(own["meta"]["api_version"]["version"], "2");
    for (bad, path) in [
        (json!({ "query": "x", "documents": [] }), "documents"),
        (json!({ "query": " ", "documents": ["a"] }), "query"),
        (json!({ "query": "x", "documents": ["a"], "top_n": 0 }), "top_n"),
        (json!({ "query": "x", "documents": ["a"], "model": "nobody" }), "model"),
        (json!({ "query": "x", "documents": ["a"], "rank_fields": ["title"] }), "rank_fields"),
    ] {
        let reply = server.post("/v1/rerank", bad.clone()).await;
        assert_eq!((reply.status, reply.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"), "{bad}");
        assert_eq!(reply.body["path"], path, "{bad}");
    }
}
