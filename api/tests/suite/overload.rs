//! Far more searches than can be made: each is answered or refused in the way that clients can act on, and then all is as before.
//! What it costs in time is measured by `make overload`, not here.

use serde_json::json;

use crate::load::{Outcome, Target, closed_loop, open_loop};
use crate::support::Server;

#[tokio::test]
async fn every_search_is_answered_or_refused_and_then_all_is_well() {
    let server =
        Server::start_with(&[("limits.search_wait_ms", "1"), ("server.max_concurrent_requests", "8")]).await;
    server.add_text("a", "A hotel night may cost 130 euros.", json!({})).await;
    let target = Target { client: server.client.clone(), url: server.url("/v1/search"), key: None };
    let by_the_clock = open_loop(&target, 400.0, 1.0, 0).await;
    let at_once = closed_loop(&target, 32, 1.0, 1_000).await;
    for report in [by_the_clock, at_once] {
        assert_eq!(report.count(Outcome::Failed), 0, "{report:?}");
        assert!(report.count(Outcome::Good) > 0);
    }
    let found = server.post("/v1/search", json!({ "query": "hotel" })).await.good();
    assert_eq!(found["hits"][0]["document_id"], "a");
    let metrics = server.get("/metrics").await.body;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("\nwellspring_http_requests_in_flight 0"), "{metrics}");
}
