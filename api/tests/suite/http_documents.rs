//! The life of a document over HTTP: added, followed, read, replaced, deleted; and every way an upload can be wrong.

use crate::support::{self, Form, Server};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const DOCUMENTS: &str = "/v1/collections/default/documents";

#[tokio::test]
async fn a_document_lives_from_upload_to_deletion() {
    let server = Server::start().await;
    let text =
        "# Grüße\n\nThe otter sensor is calibrated every spring.\n\n## Limits\n\nIt stops at 4.2 metres.\n";
    let reply = server.upload(Form::of("notes/otter 3.md", text)).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.body);
    let (job, id) = (reply.body["job"].as_str().unwrap(), reply.body["document_id"].as_str().unwrap());
    assert_eq!(reply.headers["location"], format!("/v1/jobs/{job}"));
    assert_eq!(reply.body["version"], 1);
    let ended = server.finished(job).await;
    assert_eq!(
        (ended["state"].as_str(), ended["document_id"].as_str()),
        (Some("indexed"), Some(id)),
        "{ended}"
    );
    assert_eq!(server.get(&format!("/v1/jobs/{job}")).await.good()["state"], "indexed");
    assert_eq!(server.get("/v1/collections/default/jobs?state=indexed").await.good()["jobs"][0]["id"], job);

    let path = format!("{DOCUMENTS}/{}", encoded(id));
    let document = server.get(&path).await.good();
    assert_eq!(
        (document["version"].as_i64(), document["bytes"].as_u64()),
        (Some(1), Some(text.len() as u64))
    );
    assert_eq!(document["media_type"], "text/markdown");
    let stored = server.get(&format!("{path}/text")).await.good();
    let stored = stored["text"].as_str().unwrap();
    let chunks = server.get(&format!("{path}/chunks")).await.good();
    for chunk in chunks["chunks"].as_array().unwrap() {
        let (start, end) =
            (chunk["start"].as_u64().unwrap() as usize, chunk["end"].as_u64().unwrap() as usize);
        assert_eq!(&stored[start..end], chunk["text"].as_str().unwrap());
    }
    let content = server.request(Method::GET, &format!("{path}/content")).send().await.unwrap();
    assert_eq!(content.headers()["content-disposition"], "attachment; filename*=UTF-8''otter%203.md");
    assert_eq!(content.headers()["x-content-type-options"], "nosniff");
    assert_eq!(content.bytes().await.unwrap(), text);

    let hits = search(&server, "otter sensor calibrated").await;
    assert_eq!(hits[0]["document_id"], id);
    // The same bytes again change nothing; other bytes under the same id replace.
    let again = server.upload(Form::of("notes/otter 3.md", text)).await.good();
    assert_eq!(server.finished(again["job"].as_str().unwrap()).await["state"], "unchanged");
    let newer = Form::of("notes/otter 3.md", "# Otter\n\nThe otter sensor is calibrated every autumn.\n");
    let newer = server.upload(newer).await.good();
    assert_eq!(server.finished(newer["job"].as_str().unwrap()).await["state"], "indexed");
    let hits = search(&server, "otter sensor calibrated").await;
    assert!(hits.iter().all(|hit| !hit["text"].as_str().unwrap().contains("spring")), "{hits:?}");
    assert!(hits[0]["text"].as_str().unwrap().contains("autumn"));

    let gone = server.delete(&path).await.good();
    assert_eq!(gone["deleted"], true);
    assert!(search(&server, "otter sensor calibrated").await.is_empty());
    assert_eq!(server.get(&path).await.problem(), "not-found");
    assert_eq!(server.get(&format!("{path}/content")).await.problem(), "not-found");
    assert_eq!(server.delete(&path).await.problem(), "not-found");
    assert_eq!(server.get(DOCUMENTS).await.good()["documents"], json!([]));
}

#[tokio::test]
async fn fields_come_in_any_order_and_reach_the_document() {
    let server = Server::start().await;
    for first in [true, false] {
        let fields = |form: Form| {
            form.text("id", &format!("a/{first}"))
                .text("title", "The title")
                .text("metadata", r#"{"year": 2024, "tags": ["x"]}"#)
                .text("acl", r#"["group:ops"]"#)
        };
        let file = |form: Form| form.file("b.txt", format!("Body text {first}."));
        let form = if first { file(fields(Form::default())) } else { fields(file(Form::default())) };
        let accepted = server.upload(form).await.good();
        assert_eq!(accepted["document_id"], format!("a/{first}"));
        let job = server.finished(accepted["job"].as_str().unwrap()).await;
        assert_eq!(job["state"], "indexed", "{job}");
        let document = server.get(&format!("{DOCUMENTS}/a%2F{first}")).await.good();
        assert_eq!(document["title"], "The title");
        assert_eq!(document["metadata"]["year"], 2024);
        assert_eq!(document["acl"], json!(["group:ops"]));
        assert_eq!(document["source"], "b.txt");
    }
    let listed = server.get(&format!("{DOCUMENTS}?limit=1&filter=year%20%3D%202024")).await.good();
    assert_eq!(listed["documents"][0]["id"], "a/false");
    let cursor = listed["next"].as_str().unwrap();
    let rest = server.get(&format!("{DOCUMENTS}?limit=1&cursor={}", encoded(cursor))).await.good();
    assert_eq!(rest["documents"][0]["id"], "a/true");
}

#[tokio::test]
async fn wrong_uploads_say_what_is_wrong_and_leave_nothing() {
    let server = Server::start_with(&[("ingest.max_upload_bytes", "1000")]).await;
    let reply = server.upload(Form::of("big.txt", [b'x'; 1001])).await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::PAYLOAD_TOO_LARGE, "too-large"));
    let reply = server.upload(Form::of("a.txt", "one").file("b.txt", "two")).await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));
    assert!(reply.body["detail"].as_str().unwrap().contains("one `file`"), "{}", reply.body);
    for (field, value) in [
        ("metadata", "{"),
        ("metadata", "[1]"),
        ("acl", "\"group:ops\""),
        ("id", ""),
        ("id", "a\u{7}b"),
        ("colour", "red"),
    ] {
        let reply = server.upload(Form::of("a.txt", "some text").text(field, value)).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}={value}: {}", reply.body);
        assert_eq!(
            (reply.problem(), reply.body["path"].as_str()),
            ("invalid", Some(field)),
            "{}",
            reply.body
        );
    }
    let reply = server.upload(Form::default().text("title", "no file")).await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));

    let raw = |kind: &'static str, body: &'static [u8]| {
        server.send(server.request(Method::POST, DOCUMENTS).header("content-type", kind).body(body))
    };
    let reply = raw("multipart/form-data", b"--x--").await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::BAD_REQUEST, "bad-request"));
    let cut = b"--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf of i";
    let reply = raw("multipart/form-data; boundary=x", cut).await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::BAD_REQUEST, "bad-request"));
    let reply = raw("text/plain", b"hello").await;
    assert_eq!(
        (reply.status, reply.problem()),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type")
    );
    let reply = raw("application/json", b"{\"text\": \"\xff\"}").await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::BAD_REQUEST, "bad-request"));
    for (body, word) in [
        (json!({ "url": "http://example.org/" }), "url"),
        (json!({}), "text"),
        (json!({ "text": "a", "colour": "red" }), "colour"),
        (json!({ "text": "a", "metadata": 3 }), "metadata"),
    ] {
        let reply = server.post(DOCUMENTS, body).await;
        assert_eq!((reply.status, reply.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));
        assert!(reply.body["detail"].as_str().unwrap().contains(word), "{}", reply.body);
    }
    // Not even the collection was made.
    assert_eq!(server.get("/v1/collections").await.good()["collections"], json!([]));
    assert_eq!(blobs(&server), 0);
}

#[tokio::test]
async fn bad_utf8_and_empty_files_end_with_a_reason() {
    let server = Server::start().await;
    let accepted = server.upload(Form::of("empty.txt", "")).await.good();
    let job = server.finished(accepted["job"].as_str().unwrap()).await;
    assert!(matches!(job["state"].as_str(), Some("skipped" | "failed")), "{job}");
    assert!(job["reason"].is_string() && job["message"].is_string(), "{job}");
    // Bytes that are no UTF-8 are another charset until proven otherwise: read, not refused.
    let latin1 = server
        .upload(Form::of("latin1.txt", b"Gr\xfc\xdfe aus K\xf6ln, sehr geehrte Damen und Herren."))
        .await
        .good();
    assert_eq!(server.finished(latin1["job"].as_str().unwrap()).await["state"], "indexed");
    let text = server.get(&format!("{DOCUMENTS}/latin1.txt/text")).await.good();
    assert!(text["text"].as_str().unwrap().contains("Grüße aus Köln"), "{text}");
}

#[tokio::test]
async fn an_idempotency_key_answers_a_repeated_request_with_the_first_result() {
    let server = Server::start().await;
    let send = |key: &'static str, text: &'static str| {
        let request = server.request(Method::POST, DOCUMENTS).header("idempotency-key", key);
        server.send(request.json(&json!({ "id": "a", "text": text })))
    };
    let first = send("k-1", "The first text.").await.good();
    let second = send("k-1", "The first text.").await.good();
    assert_eq!(first, second);
    let other = send("k-1", "Another text.").await;
    assert_eq!((other.status, other.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-mismatch"));
    let third = send("k-2", "Another text.").await.good();
    assert_ne!(first["job"], third["job"]);
    let bad = send("two words", "x").await;
    assert_eq!((bad.status, bad.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));
}

#[tokio::test]
async fn collections_are_made_found_and_deleted() {
    let server = Server::start().await;
    assert_eq!(server.get("/v1/collections").await.good()["collections"], json!([]));
    let reply = server.post("/v1/collections", json!({ "name": "books" })).await;
    assert_eq!(
        (reply.status, &reply.headers["location"]),
        (StatusCode::CREATED, &"/v1/collections/books".parse().unwrap())
    );
    assert_eq!(reply.body["model"], "fake/hash");
    assert_eq!(server.post("/v1/collections", json!({ "name": "books" })).await.problem(), "conflict");
    assert_eq!(server.post("/v1/collections", json!({ "name": "Bad Name" })).await.problem(), "invalid");
    assert_eq!(
        server.post("/v1/collections", json!({ "name": "x", "model": "no-such" })).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let detail = server.get("/v1/collections/books").await.good();
    assert_eq!(detail["indexes"]["vector"]["engine"], "flat");
    // Only `default` is made by an upload.
    let reply = server.post("/v1/collections/nowhere/documents", json!({ "text": "x" })).await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::NOT_FOUND, "not-found"));
    assert_eq!(server.delete("/v1/collections/books").await.good()["deleted"], true);
    assert_eq!(server.get("/v1/collections/books").await.problem(), "not-found");
}

#[tokio::test]
async fn a_full_queue_is_said_and_jobs_can_be_cancelled() {
    let (endpoint, _connections) = support::silent_endpoint().await;
    let embedders = format!(r#"[{{name="silent",base_url="{endpoint}",model="m",dimension=8}}]"#);
    let server = Server::start_with(&[("models.embedders", &embedders), ("ingest.max_backlog", "2")]).await;
    server.post("/v1/collections", json!({ "name": "stuck", "model": "silent" })).await.good();
    let add = |id: &'static str| {
        server.post("/v1/collections/stuck/documents", json!({ "id": id, "text": "Some text." }))
    };
    let first = add("a").await.good();
    let second = add("b").await.good();
    let full = add("c").await;
    assert_eq!((full.status, full.problem()), (StatusCode::TOO_MANY_REQUESTS, "rate-limited"));
    assert!(full.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);

    let second = second["job"].as_str().unwrap();
    let cancelled = server.delete(&format!("/v1/jobs/{second}")).await.good();
    assert!(cancelled["state"] == "cancelled" || cancelled["cancel_requested"] == true, "{cancelled}");
    assert_eq!(server.finished(second).await["state"], "cancelled");
    assert_eq!(server.delete(&format!("/v1/jobs/{second}")).await.problem(), "conflict");
    let first = first["job"].as_str().unwrap();
    server.delete(&format!("/v1/jobs/{first}")).await.good();
    assert_eq!(server.finished(first).await["state"], "cancelled");
    add("c").await.good();
    assert_eq!(server.get("/v1/jobs/0190a6e1-7c4d-7c3b-9d5a-3f1f6c1b2a3d").await.problem(), "not-found");
    assert_eq!(server.get("/v1/jobs/nonsense").await.problem(), "invalid");
    let requeue = async |id: &str| server.post(&format!("/v1/jobs/{id}/requeue"), json!({})).await;
    assert_eq!(requeue(first).await.problem(), "conflict");
    assert_eq!(requeue("0190a6e1-7c4d-7c3b-9d5a-3f1f6c1b2a3d").await.problem(), "not-found");
}

#[expect(clippy::unwrap_used, reason = "a test that panics has said what it had to say")]
async fn search(server: &Server, query: &str) -> Vec<Value> {
    let found = server.post("/v1/search", json!({ "query": query, "mode": "keyword" })).await.good();
    found["hits"].as_array().unwrap().clone()
}

/// Percent-encodes everything but the unreserved.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Files under the blob folder.
#[expect(clippy::unwrap_used, reason = "a test that panics has said what it had to say")]
fn blobs(server: &Server) -> usize {
    fn count(folder: &std::path::Path) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        entries
            .map(|entry| entry.unwrap().path())
            .map(|path| if path.is_dir() { count(&path) } else { 1 })
            .sum()
    }
    count(&server.data.path().join("blobs"))
}
