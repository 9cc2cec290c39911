//! The dashboard for Grafana asks for nothing that the server does not tell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::provider::Provider;
use crate::support::Server;

/// Names of metrics in an expression of PromQL, as samples have them.
fn names(expression: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(|c: char| !is_word(c));
    words.filter(|word| word.starts_with("wellspring_")).map(str::to_owned).collect()
}

/// Labels that an expression groups by, or compares with.
fn labels(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in expression.match_indices("by (") {
        let list = expression[at + 4..].split(')').next().unwrap();
        found.extend(list.split(',').map(|label| label.trim().to_owned()));
    }
    for (at, _) in expression.match_indices('{') {
        let list = expression[at + 1..].split('}').next().unwrap();
        found.extend(list.split(',').map(|pair| pair.split(['=', '!']).next().unwrap().trim().to_owned()));
    }
    // Prometheus adds these itself.
    for added in ["job", "instance"] {
        found.remove(added);
    }
    found
}

/// Labels of each sample's name.
fn told(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap();
        let labels = told.entry(name.to_owned()).or_default();
        let pairs = line.split_once('{').map_or("", |(_, rest)| rest.split('}').next().unwrap());
        labels.extend(pairs.split("\",").filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())));
    }
    told
}

#[tokio::test]
async fn every_metric_that_the_dashboard_draws_is_told() {
    let provider = Provider::start().await;
    let chats = format!("[{{ name = \"ok\", base_url = \"{}\", model = \"ok\" }}]", provider.url);
    // Money for one answer.
    let budget = "{ day = { money = 1 }, prices = { ok = { input = 0, request = 1 } } }";
    let server = Server::start_with(&[("models.chats", &chats), ("budget", budget)]).await;
    server.add_text("leave", "Everyone has thirty days of paid leave.", json!({})).await;
    let question = json!({ "question": "How many days of paid leave has everyone?" });
    server.post("/v1/answers", question.clone()).await.good();
    assert_eq!(server.post("/v1/answers", question).await.problem(), "budget-day-money");
    server.post("/v1/search", json!({ "query": "leave" })).await.good();
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "list_collections", "arguments": {} } });
    let call = server.request(reqwest::Method::POST, "/mcp").json(&call);
    call.header("accept", "application/json, text/event-stream").send().await.unwrap();
    let told = told(server.get("/metrics").await.body.as_str().unwrap());

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/grafana/wellspring.json");
    let dashboard: Value = serde_json::from_str(&fs_err::read_to_string(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut drawn = BTreeSet::new();
    for target in panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten() {
        let expression = target["expr"].as_str().unwrap();
        let names = names(expression);
        assert!(!names.is_empty(), "{expression}");
        for name in &names {
            let known = told.get(name).unwrap_or_else(|| panic!("{name} is not among {:?}", told.keys()));
            for label in labels(expression).iter().filter(|label| names.len() == 1 && !label.is_empty()) {
                assert!(known.contains(label), "{name} has no label {label}, only {known:?}");
            }
        }
        drawn.extend(names);
    }
    assert!(drawn.len() > 18, "{drawn:?}");
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "every panel has an id of its own");
}
