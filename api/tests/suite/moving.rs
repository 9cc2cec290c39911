//! Moving in and out as its operator does it: backups of a running server, restored ones, exports.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Server;
use crate::walls::visitor::{UNLIMITED, Visitor, secured};

fn wellspring(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wellspring"))
        .args(arguments)
        .env("WELLSPRING_DATA", data)
        .env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", "fake/hash")
        .env_remove("WELLSPRING_CONFIG")
        .output()
        .unwrap()
}

fn good(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'v>(lines: &'v [Value], kind: &str, member: &str) -> Vec<&'v str> {
    lines.iter().filter(|line| line["type"] == kind).map(|line| line[member].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_running_server_is_backed_up_and_restored_elsewhere() {
    let (server, first) = secured(&UNLIMITED).await;
    let operator = Visitor::new(&server, first.clone());
    for (id, text) in [("a", "The otter sensor is calibrated."), ("b", "The otter swims."), ("c", "A heron.")]
    {
        operator.add(json!({ "id": id, "text": text })).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    let manifest: Value = serde_json::from_str(&good(&wellspring(
        server.data.path(),
        &["backup", backup.to_str().unwrap(), "--json"],
    )))
    .unwrap();
    assert_eq!((&manifest["format"], &manifest["taken_of"]), (&json!(1), &json!("sqlite")));
    assert_eq!(operator.delete("/v1/collections/default/documents/b").await.status, 200);
    let before = operator.post("/v1/search", json!({ "query": "otter" })).await.good();

    // A second one needs a place of its own.
    let again = wellspring(server.data.path(), &["backup", backup.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(2));
    // Onto the running server's folder nothing is restored.
    let onto = wellspring(server.data.path(), &["restore", backup.to_str().unwrap()]);
    assert_eq!(onto.status.code(), Some(2));

    let from = backup.to_str().unwrap();
    assert!(
        good(&wellspring(folder.path(), &["restore", from, "--check"]))
            .contains("whole: 1 collections, 3 documents")
    );
    let data = Arc::new(tempfile::tempdir().unwrap());
    let deletions = server.data.path().to_str().unwrap();
    let said = good(&wellspring(data.path(), &["restore", from, "--deletions", deletions]));
    assert!(said.contains("deleted again what was deleted since: 0 collections, 1 documents"), "{said}");
    let other = tempfile::tempdir().unwrap();
    let said = good(&wellspring(other.path(), &["restore", from]));
    assert!(said.contains("is not known here"), "{said}");
    drop(server);

    let restored = Server::start_over(data, &[("auth.mode", "keys")]).await;
    let operator = Visitor::new(&restored, first);
    let after = operator.post("/v1/search", json!({ "query": "otter" })).await.good();
    let hits = |found: &Value| {
        found["hits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| (hit["chunk_id"].clone(), hit["text"].clone()))
            .collect::<Vec<_>>()
    };
    assert!(!hits(&after).is_empty());
    assert_eq!(hits(&after), hits(&before));
    assert_eq!(operator.found("otter").await.iter().filter(|id| *id == "b").count(), 0);
}

#[tokio::test]
async fn an_export_holds_what_its_reader_may_see() {
    let (server, first) = secured(&UNLIMITED).await;
    let operator = Visitor::new(&server, first);
    operator
        .add(json!({ "id": "open", "text": "# Otters\n\nThe otter sensor.", "metadata": { "year": 2024 } }))
        .await;
    operator.add(json!({ "id": "closed", "text": "A secret heron.", "acl": ["group:ops"] })).await;
    operator.add(json!({ "id": "gone", "text": "Forgotten." })).await;
    operator.delete("/v1/collections/default/documents/gone").await;
    let path = "/v1/collections/default/export";

    let reply = operator.get(&format!("{path}?chunks=true&vectors=true")).await;
    assert_eq!(reply.headers["content-type"], "application/x-ndjson");
    let all = lines(reply.good().as_str().unwrap());
    assert_eq!(all[0]["type"], "collection");
    assert_eq!(of(&all, "document", "id"), ["closed", "open"]);
    assert_eq!(*all.last().unwrap(), json!({ "type": "end", "documents": 2, "chunks": 2 }));
    let dimension = all[0]["dimension"].as_u64().unwrap() as usize;
    for chunk in all.iter().filter(|line| line["type"] == "chunk") {
        let document = all.iter().find(|line| line["id"] == chunk["document_id"]).unwrap();
        let (start, end) =
            (chunk["start"].as_u64().unwrap() as usize, chunk["end"].as_u64().unwrap() as usize);
        assert_eq!(chunk["text"].as_str().unwrap(), &document["text"].as_str().unwrap()[start..end]);
        assert_eq!(chunk["vector"].as_array().unwrap().len(), dimension);
    }

    // Another tenant's administrator has a collection of the same name, and nothing of this one.
    let other = operator.key(json!({ "name": "o", "rights": ["admin"], "tenant": "other" })).await;
    assert_eq!(other.get(path).await.problem(), "not-found");
    other.add(json!({ "id": "theirs", "text": "Words of others." })).await;
    let seen = lines(other.get(path).await.good().as_str().unwrap());
    assert_eq!(of(&seen, "document", "id"), ["theirs"]);
    let filtered = operator.get(&format!("{path}?filter=year%20%3E%3D%202025")).await.good();
    assert_eq!(
        *lines(filtered.as_str().unwrap()).last().unwrap(),
        json!({ "type": "end", "documents": 0, "chunks": 0 })
    );
    let reader = operator.key(json!({ "name": "r", "rights": ["read"] })).await;
    assert_eq!(reader.get(path).await.problem(), "forbidden");
    assert_eq!(operator.get(&format!("{path}?vectors=true")).await.problem(), "invalid");
    let missing = server.send(operator.request(Method::GET, "/v1/collections/nowhere/export")).await;
    assert_eq!(missing.problem(), "not-found");

    let kept = operator.get("/v1/audit").await.good();
    let entries = kept["entries"].as_array().unwrap();
    assert!(
        entries.iter().any(|entry| entry["action"] == "exportCollection" && entry["outcome"] == 200),
        "{kept}"
    );
    assert!(
        entries.iter().any(|entry| entry["action"] == "exportCollection" && entry["outcome"] == 403),
        "{kept}"
    );

    // The command writes the same lines.
    let data = Arc::clone(&server.data);
    let documents = lines(operator.get(path).await.good().as_str().unwrap());
    drop(server);
    let said = good(&wellspring(data.path(), &["export"]));
    assert_eq!(lines(&said), documents);
    let out = data.path().join("export.jsonl");
    let to_file = ["export", "--chunks", "--out", out.to_str().unwrap()];
    good(&wellspring(data.path(), &to_file));
    let written = lines(&fs_err::read_to_string(&out).unwrap());
    assert_eq!(of(&written, "chunk", "document_id"), ["closed", "open"]);
    assert_eq!(wellspring(data.path(), &to_file).status.code(), Some(2), "a file is not replaced");
}
