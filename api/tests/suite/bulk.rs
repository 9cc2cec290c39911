//! Many documents at once: archives, lines of JSON, and what is said of each entry. Also what repeats and goes on: idempotency
//! keys, entity tags, traces, and folders that are watched.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{PATIENCE, Reply, Server};

const PLACE: &str = "/v1/collections/default/bulk";

async fn send(server: &Server, kind: &str, key: Option<&str>, body: Vec<u8>) -> Reply {
    let mut request = server.request(Method::POST, PLACE).header("content-type", kind).body(body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    server.send(request).await
}

fn archive(members: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[tokio::test]
async fn each_file_of_an_archive_becomes_a_document() {
    let server = Server::start().await;
    let bytes = archive(&[
        ("handbook/leave.md", "# Leave\n\nAnnual leave needs two weeks notice.\n"),
        ("otter.md", "# Otter\n\nThe sensor measures water levels.\n"),
        ("../../etc/passwd", "root"),
        (".hidden/x.md", "x"),
    ]);
    let reply = send(&server, "application/zip", Some("first"), bytes.clone()).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.body);
    let accepted = reply.body["accepted"].as_array().unwrap();
    let entries: Vec<&str> = accepted.iter().map(|one| one["entry"].as_str().unwrap()).collect();
    assert_eq!(entries, ["handbook/leave.md", "otter.md"]);
    assert_eq!(reply.body["failed"][0]["entry"], "../../etc/passwd");
    assert_eq!(
        (reply.body["failed"].as_array().unwrap().len(), &reply.body["failed"][0]["code"]),
        (1, &json!("invalid"))
    );
    for one in accepted {
        assert_eq!(server.finished(one["job"].as_str().unwrap()).await["state"], "indexed");
    }
    let found = server.post("/v1/search", json!({ "query": "annual leave notice" })).await.good();
    assert_eq!(found["hits"][0]["document_id"], "handbook/leave.md");
    // The same upload under the same key is the same jobs.
    let again = send(&server, "application/zip", Some("first"), bytes).await;
    assert_eq!(again.body["accepted"], reply.body["accepted"]);
    let other =
        send(&server, "application/zip", Some("first"), archive(&[("otter.md", "Another text.")])).await;
    assert_eq!((other.status, other.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));
    assert!(other.body["detail"].as_str().unwrap().contains("idempotency key"), "{}", other.body);
}

#[tokio::test]
async fn lines_are_documents_and_bad_ones_stop_no_other() {
    let server = Server::start().await;
    let lines = "{\"id\":\"a\",\"text\":\"One text.\",\"metadata\":{\"year\":2026}}\n\n{\"id\":\"b\"}\nnot json\n{\"id\":\"c\",\"text\":\"Another text.\"}";
    let reply = send(&server, "application/x-ndjson", None, lines.into()).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.body);
    let of = |list: &str, member: &str| -> Vec<String> {
        let entries = reply.body[list].as_array().unwrap().iter();
        entries.map(|one| one[member].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (of("accepted", "entry"), of("accepted", "document_id")),
        (vec!["line 1".into(), "line 5".into()], vec!["a".into(), "c".into()])
    );
    assert_eq!(
        (of("failed", "entry"), of("failed", "code")),
        (vec!["line 3".into(), "line 4".into()], vec!["invalid".into(), "bad-request".into()])
    );
}

#[tokio::test]
async fn bounds_and_kinds_are_kept() {
    let server = Server::start_with(&[("bulk.max_entries", "2"), ("bulk.max_bytes", "2000")]).await;
    for (kind, body, status, code) in [
        ("text/plain", b"x".to_vec(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"),
        ("application/zip", b"PK no".to_vec(), StatusCode::BAD_REQUEST, "bad-request"),
        ("application/x-ndjson", b"\n\n".to_vec(), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("application/x-ndjson", vec![b'x'; 2_001], StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
        (
            "application/zip",
            archive(&std::array::from_fn::<_, 9, _>(|at| (&"abcdefghi"[at..=at], "1"))),
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
        ),
    ] {
        let reply = send(&server, kind, None, body).await;
        assert_eq!((reply.status, reply.problem()), (status, code), "{kind}");
    }
    // What was accepted before the bound was reached is durable, and told.
    let reply = send(&server, "application/zip", None, archive(&[("a", "1"), ("b", "2"), ("c", "3")])).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.body);
    assert_eq!(reply.body["accepted"].as_array().unwrap().len(), 2, "{}", reply.body);
    assert_eq!(reply.body["failed"][0]["code"], "too-large", "{}", reply.body);
}

/// What was accepted before an upload breaks off is durable, so its jobs are told with the reason; and each entry counts
/// against the tenant's quota.
#[tokio::test]
async fn what_came_before_the_end_is_told() {
    let server = Server::start_with(&[("limits.tenant", "{ documents = 2 }")]).await;
    let mut writer = tar::Builder::new(Vec::new());
    for name in ["a.md", "b.md", "c.md"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(4);
        header.set_cksum();
        writer.append_data(&mut header, name, &b"Text"[..]).unwrap();
    }
    let whole = writer.into_inner().unwrap();
    let mut broken = whole[..2 * 1024].to_vec();
    broken.extend([b'x'; 512]);
    let reply = send(&server, "application/x-tar", None, broken).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.body);
    assert_eq!(reply.body["accepted"].as_array().unwrap().len(), 2, "{}", reply.body);
    let failed = &reply.body["failed"][0];
    assert_eq!(
        (&failed["entry"], &failed["code"]),
        (&json!("(the rest of the upload)"), &json!("bad-request"))
    );
    for one in reply.body["accepted"].as_array().unwrap() {
        assert_eq!(server.finished(one["job"].as_str().unwrap()).await["state"], "indexed");
    }
    let over = send(&server, "application/x-tar", None, whole).await;
    assert_eq!((over.status, over.problem()), (StatusCode::FORBIDDEN, "quota-exceeded"), "{}", over.body);
    server.delete("/v1/collections/default/documents/b.md").await.good();
    let rest = send(
        &server,
        "application/x-ndjson",
        None,
        b"{\"id\":\"d\",\"text\":\"One.\"}\n{\"id\":\"e\",\"text\":\"Two.\"}".to_vec(),
    )
    .await;
    assert_eq!(rest.body["accepted"].as_array().unwrap().len(), 1, "{}", rest.body);
    assert_eq!(rest.body["failed"][0]["code"], "quota-exceeded");
}

#[tokio::test]
async fn entity_tags_spare_reading_and_guard_deleting() {
    let server = Server::start().await;
    server.add_text("a.md", "One.", json!({})).await;
    let place = "/v1/collections/default/documents/a.md";
    let first = server.get(place).await;
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    let known = server.send(server.request(Method::GET, place).header("if-none-match", &tag)).await;
    assert_eq!(
        (known.status, known.headers["etag"].to_str().unwrap()),
        (StatusCode::NOT_MODIFIED, tag.as_str())
    );
    server.add_text("a.md", "Two.", json!({})).await;
    let changed = server.send(server.request(Method::GET, place).header("if-none-match", &tag)).await;
    assert_eq!((changed.status, &changed.body["version"]), (StatusCode::OK, &json!(2)));
    let refused = server.send(server.request(Method::DELETE, place).header("if-match", &tag)).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::PRECONDITION_FAILED, "precondition-failed"));
    let now = changed.headers["etag"].to_str().unwrap();
    server.send(server.request(Method::DELETE, place).header("if-match", now)).await.good();
    assert_eq!(server.get(place).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_trace_goes_on_and_every_response_names_it() {
    let server = Server::start().await;
    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let reply = server.send(server.request(Method::GET, "/health").header("traceparent", given)).await;
    let said = reply.headers["traceresponse"].to_str().unwrap();
    assert!(
        said.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && said.ends_with("-01") && said != given,
        "{said}"
    );
    let fresh = server.get("/nowhere").await;
    assert_eq!(fresh.headers["traceresponse"].len(), 55);
}

#[tokio::test]
async fn a_watched_folder_is_followed() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs_err::write(folder.path().join("a.md"), "The first text.").unwrap();
    let watched = tokio::task::spawn_blocking(move || {
        let wellspring = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_wellspring"));
            command.arg("--data").arg(data.path()).args(arguments);
            command.env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", "fake/hash").stdout(Stdio::piped());
            command
        };
        let path = folder.path().to_str().unwrap();
        let mut child =
            wellspring(&["ingest", "--json", "--watch", "--interval", "0.05", path]).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
        assert_eq!(next()["document_id"], "a.md");
        assert_eq!(next(), json!({ "watching": true }));
        fs_err::write(folder.path().join("b.md"), "The second text.").unwrap();
        let added = next();
        assert_eq!((&added["document_id"], &added["outcome"]), (&json!("b.md"), &json!("indexed")));
        fs_err::write(folder.path().join("a.md"), "The first text, changed.").unwrap();
        let changed = next();
        assert_eq!((&changed["document_id"], &changed["outcome"]), (&json!("a.md"), &json!("indexed")));
        fs_err::remove_file(folder.path().join("b.md")).unwrap();
        assert_eq!(next(), json!({ "deleted": "b.md" }));
        let stopped =
            Command::new("sh").arg("-c").arg(format!("kill -TERM {}", child.id())).status().unwrap();
        assert!(stopped.success());
        assert!(next()["summary"].is_object());
        assert!(child.wait().unwrap().success());
        let listed = wellspring(&["document", "list", "--json"]).output().unwrap();
        String::from_utf8(listed.stdout).unwrap()
    });
    let listed = tokio::time::timeout(PATIENCE, watched).await.unwrap().unwrap();
    assert!(listed.contains("a.md") && !listed.contains("b.md"), "{listed}");
}
