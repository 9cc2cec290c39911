//! How a document would be cut: shown without changing anything, and settings that can't be are named.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn other_settings_are_shown_and_nothing_is_stored() {
    let server = Server::start().await;
    let paragraph = |n: usize| format!("Paragraph {n} tells of {} otters in a river. ", n + 7).repeat(12);
    let text = (0..12).map(paragraph).collect::<Vec<_>>().join("\n\n");
    let document = json!({ "id": "a/b.md", "title": "Otters", "text": text, "media_type": "text/markdown" });
    let accepted = server.post("/v1/collections/default/documents", document).await.good();
    assert_eq!(server.finished(accepted["job"].as_str().unwrap()).await["state"], "indexed");
    let path = "/v1/collections/default/documents/a%2Fb.md/chunks";
    let before = server.get(path).await.good();

    let preview = format!("{path}/preview");
    let same = server.post(&preview, json!({})).await.good();
    let bounds = |chunks: &serde_json::Value| -> Vec<(u64, u64)> {
        let chunks = chunks["chunks"].as_array().unwrap();
        chunks.iter().map(|c| (c["start"].as_u64().unwrap(), c["end"].as_u64().unwrap())).collect()
    };
    assert_eq!(bounds(&same), bounds(&before), "its own settings cut as it was cut");

    let smaller = json!({ "chunk": { "target_tokens": 60, "overlap_tokens": 0 } });
    let smaller = server.post(&preview, smaller).await.good();
    assert!(bounds(&smaller).len() > bounds(&before).len());
    assert_eq!(smaller["totals"]["chunks"], bounds(&smaller).len());
    assert_eq!(
        (&smaller["settings"]["target_tokens"], &smaller["totals"]["overlap_bytes"]),
        (&json!(60), &json!(0))
    );
    assert_eq!(bounds(&server.get(path).await.good()), bounds(&before));

    for (wrong, named) in
        [(json!({ "target_tokens": 3 }), "target_tokens"), (json!({ "taget": 90 }), "taget")]
    {
        let reply = server.post(&preview, json!({ "chunk": wrong })).await;
        assert_eq!(reply.problem(), "invalid");
        assert!(reply.body["detail"].as_str().unwrap().contains(named), "{}", reply.body);
    }
    assert_eq!(
        server.post("/v1/collections/default/documents/none/chunks/preview", json!({})).await.status,
        StatusCode::NOT_FOUND
    );

    // A collection can be made with them.
    let made = json!({ "name": "finer", "chunk": { "target_tokens": 60 } });
    let made = server.post("/v1/collections", made).await.good();
    assert_eq!(made["settings"]["chunk"]["target_tokens"], 60);
    let wrong = json!({ "name": "wrong", "chunk": { "target_tokens": 60, "nothing": 1 } });
    assert_eq!(server.post("/v1/collections", wrong).await.problem(), "invalid");
}
