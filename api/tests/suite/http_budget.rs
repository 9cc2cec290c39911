//! Money and tokens over HTTP: limits hold whatever happens, and what was used is told.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::post;
use axum::{Json, Router};
use futures::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::provider::Provider;
use crate::support::{PATIENCE, Server, parse_events};

const LEAVE: &str = "Everyone has thirty days of paid leave.";
const QUESTION: &str = "How many days of paid leave has everyone?";

/// Settings of one chat model of the provider, called as it fails, at a price.
fn chats(provider: &Provider, model: &str) -> String {
    format!("[{{ name = \"{model}\", base_url = \"{}\", model = \"{model}\" }}]", provider.url)
}

async fn server(provider: &Provider, model: &str, budget: &str) -> Server {
    let chats = chats(provider, model);
    let server = Server::start_with(&[("models.chats", &chats), ("budget", budget)]).await;
    server.add_text("leave", LEAVE, json!({})).await;
    server
}

fn question() -> Value {
    json!({ "question": QUESTION })
}

/// Whole units of money.
fn units(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_answer_tells_what_it_cost_and_so_does_usage() {
    let provider = Provider::start().await;
    let server = server(&provider, "ok", "{ prices = { ok = { input = 1, output = 10 } } }").await;
    let answer = server.post("/v1/answers", question()).await.good();
    assert_eq!(answer["abstained"], false, "{answer}");
    let spending = &answer["spending"];
    assert_eq!((&spending["cost"], &spending["currency"]), (&json!("0.000041"), &json!("USD")));
    assert_eq!(spending["lines"][0]["purpose"], "answer");
    assert_eq!(
        (&spending["lines"][0]["input_tokens"], &spending["lines"][0]["output_tokens"]),
        (&json!(11), &json!(3))
    );
    let usage = server.get("/v1/usage").await.good();
    assert_eq!(usage["rows"].as_array().unwrap().len(), 1, "{usage}");
    let row = &usage["rows"][0];
    assert_eq!((&row["model"], &row["calls"], &row["cost"]), (&json!("ok"), &json!(1), &json!("0.000041")));
    assert_eq!(usage["total"]["input_tokens"], 11);
    let past = server.get("/v1/usage?from=2020-01-01&to=2020-12-31").await.good();
    assert_eq!(past["rows"], json!([]));
    assert_eq!(server.get("/v1/usage?from=yesterday").await.problem(), "invalid");
    let metrics = server.client.get(server.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let line = "wellspring_model_tokens_total{model=\"ok\",purpose=\"answer\",kind=\"input\"} 11";
    assert!(metrics.contains(line), "{metrics}");
    let extractive = json!({ "question": QUESTION, "model": "extractive" });
    let answer = server.post("/v1/answers", extractive).await.good();
    assert_eq!(answer["spending"], json!({ "lines": [], "cost": null, "currency": null }));
}

#[tokio::test]
async fn a_refusal_is_429_with_the_limit_and_the_end_of_its_window() {
    let provider = Provider::start().await;
    let server = server(&provider, "ok", "{ tenant = { tokens = 100 } }").await;
    let refused = server.post("/v1/answers", question()).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::TOO_MANY_REQUESTS, "budget-tenant-tokens"));
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=24 * 3_600).contains(&wait));
    let body = json!({ "question": QUESTION, "stream": true });
    let events = server.events(server.request(Method::POST, "/v1/answers").json(&body)).await;
    let (name, last) = events.last().unwrap();
    assert_eq!((name.as_str(), &last["code"]), ("error", &json!("budget-tenant-tokens")), "{last}");
    assert_eq!(
        events.iter().filter(|(name, _)| ["done", "refused", "error"].contains(&name.as_str())).count(),
        1
    );
    assert_eq!(provider.requests(), 0, "nothing was forwarded");
    let extractive = json!({ "question": QUESTION, "model": "extractive" });
    assert_eq!(server.post("/v1/answers", extractive).await.good()["abstained"], false);
    let metrics = server.client.get(server.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("wellspring_budget_refusals_total{limit=\"budget-tenant-tokens\"} 2"),
        "{metrics}"
    );
}

#[tokio::test]
async fn two_hundred_at_once_with_money_for_twenty_spend_no_more() {
    let provider = Provider::start().await;
    let budget =
        "{ tenant = { money = 20 }, day = { money = 20 }, prices = { ok = { input = 0, request = 1 } } }";
    // A slow machine is no reason to fail: what is tested is money, not time.
    let chats = chats(&provider, "ok");
    let server = Server::start_with(&[
        ("models.chats", &chats),
        ("budget", budget),
        ("server.request_timeout_seconds", "600"),
        ("retrieve.deadline_ms", "60000"),
        ("answer.generation_deadline_ms", "600000"),
    ])
    .await;
    server.add_text("leave", LEAVE, json!({})).await;
    let watched = async {
        // What is spent and reserved, looked at while the requests run.
        let mut most = 0.0_f64;
        for _ in 0..20 {
            let usage = server.get("/v1/usage").await;
            if usage.status.is_success() {
                most = most.max(units(&usage.body["limits"][0]["used"]));
            }
        }
        most
    };
    let asked = futures::future::join_all((0..200).map(|number| {
        let server = &server;
        async move {
            let stream = number % 2 == 0;
            let body = json!({ "question": QUESTION, "stream": stream, "mode": "keyword" });
            loop {
                let request = server.request(Method::POST, "/v1/answers").json(&body).timeout(10 * PATIENCE);
                let text = request.send().await.unwrap().text().await.unwrap();
                let last = match text.starts_with("event:") {
                    true => parse_events(&text).pop().unwrap().1,
                    false => serde_json::from_str(&text).unwrap(),
                };
                match last["code"].as_str() {
                    None => return usize::from(last["abstained"] == false),
                    Some("budget-tenant-money") => return 0,
                    // So many at once may be too many for the rest of the server: it sheds them, at no cost.
                    Some("unavailable" | "timeout" | "rate-limited") => {
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                    Some(_) => panic!("{text}"),
                }
            }
        }
    }));
    let (served, most) = futures::future::join(asked, watched).await;
    let served: usize = served.iter().sum();
    assert!((1..=20).contains(&served), "{served} were served");
    assert_eq!(provider.requests(), 20, "no call was made that was not paid for");
    assert!(most <= 20.0, "{most} was spent or reserved");
    let usage = server.get("/v1/usage").await.good();
    assert_eq!((units(&usage["total"]["cost"]), units(&usage["limits"][0]["used"])), (20.0, 20.0));
}

#[tokio::test]
async fn a_server_killed_in_the_middle_of_a_stream_accounts_for_at_least_what_was_used() {
    let provider = Provider::start().await;
    let budget = "{ prices = { stop = { input = 1, output = 10 } } }";
    let chats = chats(&provider, "stop");
    let settings = [("models.chats", chats.as_str()), ("budget", budget), ("answer.max_tokens", "50")];
    let killed = Server::start_with(&settings).await;
    killed.add_text("leave", LEAVE, json!({})).await;
    let body = json!({ "question": QUESTION, "stream": true });
    let response = killed.request(Method::POST, "/v1/answers").json(&body).send().await.unwrap();
    let mut bytes = response.bytes_stream();
    // The passages are there, and the provider writes: it stops after its first token.
    assert!(bytes.next().await.unwrap().is_ok());
    let forwarded = async {
        while provider.requests() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, forwarded).await.unwrap();
    let usage = killed.get("/v1/usage").await.good();
    assert_eq!(usage["rows"], json!([]), "it is under way");
    let data = Arc::clone(&killed.data);
    // SIGKILL.
    drop(killed);
    let server = Server::start_over(data, &settings).await;
    let usage = server.get("/v1/usage").await.good();
    let row = &usage["rows"][0];
    assert_eq!(
        (&row["model"], &row["calls"], &row["estimated"]),
        (&json!("stop"), &json!(1), &json!(1)),
        "{usage}"
    );
    assert_eq!(row["output_tokens"], 50, "as much as it was allowed to write");
    assert!(row["input_tokens"].as_u64().unwrap() >= 11, "as the provider counts what it read");
    assert!(units(&row["cost"]) >= 0.000_041);
}

#[tokio::test]
async fn a_kept_reply_costs_nothing_and_goes_with_its_document() {
    let provider = Provider::start().await;
    let budget = "{ replies = { keep_seconds = 3600 }, prices = { ok = { input = 1, output = 10 } } }";
    let server = server(&provider, "ok", budget).await;
    let first = server.post("/v1/answers", question()).await.good();
    let second = server.post("/v1/answers", question()).await.good();
    assert_eq!(provider.requests(), 1);
    assert_eq!(second["answer"], first["answer"]);
    assert_eq!(second["citations"], first["citations"], "they were looked up again");
    let line = &second["spending"]["lines"][0];
    assert_eq!((&line["cached"], &line["calls"], &line["cost"]), (&json!(1), &json!(0), &Value::Null));
    assert_eq!(server.get("/v1/usage").await.good()["total"]["calls"], 1);
    let body = json!({ "question": QUESTION, "stream": true });
    let events = server.events(server.request(Method::POST, "/v1/answers").json(&body)).await;
    assert_eq!((events.last().unwrap().0.as_str(), provider.requests()), ("done", 1));
    // The same text anew is another version: nothing of the old one is given again.
    server.delete("/v1/collections/default/documents/leave").await;
    server.add_text("leave", LEAVE, json!({})).await;
    server.post("/v1/answers", question()).await.good();
    assert_eq!(provider.requests(), 2);
}

/// An endpoint for embeddings, and the requests it got.
async fn embeddings() -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let embed = move |Json(body): Json<Value>| async move {
        counted.fetch_add(1, Ordering::SeqCst);
        let texts = body["input"].as_array().unwrap().len();
        let data: Vec<Value> =
            (0..texts).map(|index| json!({ "index": index, "embedding": [1.0, 0.5, 0.25, 0.125] })).collect();
        Json(json!({ "data": data, "usage": { "prompt_tokens": 7 * texts, "total_tokens": 7 * texts } }))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/embeddings", post(embed));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, asked)
}

#[tokio::test]
async fn embedding_documents_waits_for_the_budget_and_tells_its_cost() {
    let (url, asked) = embeddings().await;
    let embedders = format!("[{{ name = \"paid\", base_url = \"{url}\", model = \"m\", dimension = 4 }}]");
    let budget = "{ day = { tokens = 60 }, prices = { paid = { input = 100 } } }";
    let settings =
        [("models.embedders", embedders.as_str()), ("models.default_embedder", "paid"), ("budget", budget)];
    let server = Server::start_with(&settings).await;
    let job = server.add_text("short", "A short text.", json!({})).await;
    assert_eq!(
        (&job["report"]["cost"], &job["report"]["currency"]),
        (&json!("0.0007"), &json!("USD")),
        "{job}"
    );
    let made = asked.load(Ordering::SeqCst);
    let long = json!({ "id": "long", "text": "Many words make many tokens. ".repeat(20) });
    let accepted = server.post("/v1/collections/default/documents", long).await;
    let path = format!("/v1/jobs/{}", accepted.body["job"].as_str().unwrap());
    let waits = async {
        loop {
            let job = server.get(&path).await.good();
            if !job["reason"].is_null() {
                return job;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let job = tokio::time::timeout(PATIENCE, waits).await.unwrap();
    assert_eq!((&job["state"], &job["reason"]), (&json!("queued"), &json!("budget")), "{job}");
    assert!(job["message"].as_str().unwrap().contains("budget.day.tokens"), "{job}");
    assert_eq!(asked.load(Ordering::SeqCst), made, "nothing was spent on what would not be finished");
    let hits = server.post("/v1/search", json!({ "query": "short text" })).await.good();
    assert_eq!(hits["hits"][0]["document_id"], "short");
    let usage = server.get("/v1/usage").await.good();
    let purposes: Vec<&str> =
        usage["rows"].as_array().unwrap().iter().map(|row| row["purpose"].as_str().unwrap()).collect();
    assert_eq!(purposes, ["embed_documents", "embed_query"], "{usage}");
}

#[tokio::test]
async fn a_dry_run_tells_the_cost_and_spends_nothing() {
    let (url, asked) = embeddings().await;
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("a.md"), "# Leave\n\nEveryone has thirty days of paid leave.\n")
        .unwrap();
    fs_err::write(folder.path().join("b.bin"), b"\0\x01\x02").unwrap();
    let data = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_wellspring"))
            .arg("--data")
            .arg(data.path())
            .args(arguments)
            .env(
                "WELLSPRING__MODELS__EMBEDDERS",
                format!("[{{ name = \"paid\", base_url = \"{url}\", model = \"m\", dimension = 4 }}]"),
            )
            .env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", "paid")
            .env("WELLSPRING__BUDGET", "{ prices = { paid = { input = 100 } } }")
            .env("RUST_LOG", "error")
            .output()
            .unwrap()
    };
    let path = folder.path().join("a.md").display().to_string();
    let output = run(&["ingest", "--dry-run", "--json", &path]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    let (file, sum) = (&lines[0], &lines[1]);
    assert_eq!((&file["file"]["planned"], &file["file"]["chunks"]), (&json!("index"), &json!(1)), "{file}");
    let tokens = file["file"]["tokens"].as_u64().unwrap();
    assert!(tokens >= 7);
    assert_eq!(units(&sum["cost"]) * 1e6, (tokens * 100) as f64);
    assert_eq!(
        (&sum["model"], &sum["remote"], &sum["currency"]),
        (&json!("paid"), &json!(true), &json!("USD"))
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let listed = run(&["collection", "list", "--json"]);
    assert!(!String::from_utf8_lossy(&listed.stdout).contains("default"), "nothing was made");
    let usage = run(&["usage", "--json"]);
    let usage: Value = serde_json::from_slice(&usage.stdout).unwrap();
    assert_eq!(usage["rows"], json!([]));
}

#[tokio::test]
async fn a_limit_in_money_without_a_price_is_no_start() {
    let provider = Provider::start().await;
    let data = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_wellspring"))
        .arg("--data")
        .arg(data.path())
        .args(["usage"])
        .env("WELLSPRING__MODELS__CHATS", chats(&provider, "dear"))
        .env("WELLSPRING__BUDGET__DAY__MONEY", "20")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the model dear has no price"), "{said}");
}
