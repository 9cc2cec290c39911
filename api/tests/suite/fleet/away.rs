//! The database goes away under a server and its worker, and comes back: what is asked meanwhile is refused with the time to
//! come back, what was accepted waits, and everything goes on without a hand.

use reqwest::Client;
use serde_json::json;

use super::load::{self, found, insist};
use super::{ground, settled};

/// Status of an upload and of a search, sent once; both have to be refusals that say when to come back.
async fn refused(client: &Client, base: &str) {
    let upload = client
        .post(format!("{base}/v1/collections/default/documents"))
        .json(&json!({ "id": "late", "text": "This comes late: needle9x." }));
    let search = client
        .post(format!("{base}/v1/search"))
        .json(&json!({ "collection": "default", "query": "needle0x" }));
    for request in [upload, search] {
        let response = request.send().await.unwrap();
        let (status, again) = (response.status(), response.headers().contains_key("retry-after"));
        let body = response.text().await.unwrap();
        assert_eq!((status.as_u16(), again), (503, true), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_comes_back_and_everything_goes_on() {
    let Some(ground) = ground().await else { return };
    let server = ground.server(0).start().await;
    let client = load::client();
    let url = format!("{}/v1/collections/default/documents", server.base);
    let body = json!({ "id": "doc0", "text": "This was there before: needle0x." });
    assert_eq!(insist(|| client.post(&url).json(&body)).await.0, 202);
    // The worker finds the job and no database soon after; or it comes first, which is as good.
    let worker = ground.worker(0).start().await;
    for signal in ["INT", "QUIT"] {
        ground.postgres.stop(signal);
        refused(&client, &server.base).await;
        assert_eq!(server.get(&client, "/health").await.0, 200);
        assert_eq!(server.get(&client, "/ready").await.0, 503);
        assert_eq!(worker.get(&client, "/health").await.0, 200);
        ground.postgres.start();
        let body = json!({ "id": signal, "text": format!("This comes after {signal}: needle9x.") });
        let (status, reply) = insist(|| client.post(&url).json(&body)).await;
        assert_eq!(status, 202, "{reply}");
        settled(&client, &server).await;
        assert_eq!(found(&client, &server.base, "needle0x", "keyword").await, ["doc0"]);
        assert!(found(&client, &server.base, "needle9x", "keyword").await.contains(&signal.to_owned()));
    }
    worker.stop().await;
    server.stop().await;
    ground.server(0).verify();
}
