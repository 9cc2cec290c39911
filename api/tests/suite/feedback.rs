//! Feedback over HTTP: kept once, exported as a log that `eval` reads and as judgements, without what was deleted.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::Server;

const PLACE: &str = "/v1/collections/default/feedback";

async fn filled() -> Server {
    let server = Server::start().await;
    server.add_text("travel.md", "Hotel costs are paid back.", json!({})).await;
    server.add_text("leave.md", "Leave needs notice.", json!({})).await;
    server
}

#[tokio::test]
async fn thumbs_become_judgements() {
    let server = filled().await;
    let said = json!({ "id": "one", "query": "hotel costs", "shown": ["leave.md", "travel.md"], "clicked": ["travel.md"],
        "up": ["travel.md"], "down": ["leave.md"], "session": "s", "time": "2026-03-01T09:30:00Z" });
    let kept = server.post(PLACE, said.clone()).await;
    assert_eq!((kept.status, &kept.body), (StatusCode::CREATED, &json!({ "id": "one", "new": true })));
    let again = server.post(PLACE, said.clone()).await;
    assert_eq!((again.status, &again.body["new"]), (StatusCode::OK, &json!(false)));

    let page = server.get(PLACE).await.good();
    assert_eq!((page["feedback"].as_array().unwrap().len(), &page["feedback"][0]["id"]), (1, &json!("one")));
    let qrels = server.get(&format!("{PLACE}/export?format=qrels")).await;
    assert_eq!(qrels.headers["content-type"], "text/tab-separated-values");
    let wanted = "query-id\tcorpus-id\tscore\nfeedback-00001\tleave.md\t0\nfeedback-00001\ttravel.md\t2\n";
    assert_eq!(qrels.body, json!(wanted));
    let judgements = server.get(&format!("{PLACE}/export?format=judgements")).await.good();
    assert_eq!(judgements["queries"], json!({ "feedback-00001": "hotel costs" }));

    // The log is what the command line reads.
    let log = server.get(&format!("{PLACE}/export")).await;
    assert_eq!(log.headers["content-type"], "application/x-ndjson");
    let folder = tempfile::tempdir().unwrap();
    // One line is JSON, too, so that the test's client has read it already.
    fs_err::write(folder.path().join("log.jsonl"), log.body.to_string()).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_wellspring"))
        .args(["eval", "judgements", "--feedback"])
        .arg(folder.path().join("log.jsonl"))
        .arg("--out")
        .arg(folder.path().join("set"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs_err::read_to_string(folder.path().join("set/qrels/test.tsv")).unwrap(), wanted);

    // What is deleted is in no export.
    server.delete("/v1/collections/default/documents/leave.md").await.good();
    for place in [PLACE.to_owned(), format!("{PLACE}/export"), format!("{PLACE}/export?format=qrels")] {
        let body = server.get(&place).await.body.to_string();
        assert!(body.contains("travel.md") && !body.contains("leave.md"), "{place}: {body}");
    }
    server.delete("/v1/collections/default/documents/travel.md").await.good();
    assert_eq!(server.get(PLACE).await.good()["feedback"], json!([]));
}

#[tokio::test]
async fn feedback_that_contradicts_itself_is_refused() {
    let server = filled().await;
    for bad in [
        json!({ "query": "", "shown": ["a"] }),
        json!({ "query": "x", "shown": [] }),
        json!({ "query": "x", "shown": ["a"], "clicked": ["b"] }),
        json!({ "query": "x", "shown": ["a"], "up": ["a"], "down": ["a"] }),
        json!({ "query": "x", "shown": ["a"], "time": "yesterday" }),
        json!({ "query": "x", "shown": ["a"], "id": "two words" }),
        json!({ "query": "x", "shown": ["a"], "colour": "red" }),
        json!({ "query": "x", "shown": vec!["a"; 1_001] }),
    ] {
        let reply = server.post(PLACE, bad.clone()).await;
        assert_eq!((reply.status, reply.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"), "{bad}");
    }
    let missing =
        server.post("/v1/collections/nowhere/feedback", json!({ "query": "x", "shown": ["a"] })).await;
    assert_eq!((missing.status, missing.problem()), (StatusCode::NOT_FOUND, "not-found"));
    let bad = server.get(&format!("{PLACE}/export?format=xml")).await;
    assert_eq!((bad.status, bad.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));
}
