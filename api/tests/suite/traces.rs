//! Traces as a collector gets them: every documented span of an upload and of an answer, each below the right one, and nothing
//! that was written or asked.

mod collector;

use std::collections::BTreeSet;
use std::sync::Arc;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::provider::Provider;
use crate::support::Server;
use collector::{Collector, Span};

const DOCUMENTED: &str = include_str!("../../../docs/explanation/traces.md");
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Name, the span above it, and attributes, of every row of the page's tables.
fn documented() -> Vec<(String, String, BTreeSet<String>)> {
    let ticked =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let rows = DOCUMENTED.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let above = ticked(cells[1]).first().cloned().unwrap_or_default();
        (ticked(cells[0]).remove(0), above, ticked(cells[3]).into_iter().collect())
    })
    .collect()
}

/// A span's name in the page's tables.
fn kind_of(span: &Span) -> &str {
    match span.name.split(' ').next().unwrap() {
        "POST" | "GET" => "request",
        name => name,
    }
}

fn secret(name: &str) -> String {
    format!("Zq{}", &blake3::hash(name.as_bytes()).to_hex()[..40])
}

#[tokio::test]
async fn every_documented_span_of_an_upload_and_an_answer_arrives_below_the_right_one() {
    let provider = Provider::start().await;
    let collector = Collector::start().await;
    let key = secret("key of the provider");
    let chats = format!(
        "[{{ name = \"leave-bot\", base_url = \"{}\", model = \"ok\", api_key = \"{key}\" }}]",
        provider.url
    );
    let server = Server::start_with(&[
        ("telemetry.traces.endpoint", &collector.url),
        ("models.chats", &chats),
        ("retrieve.rerank.model", "fake/overlap"),
    ])
    .await;
    let (text, question) = (secret("text"), secret("question"));
    let body = json!({ "id": secret("id"), "title": secret("title"), "metadata": { "k": secret("field") },
        "text": format!("Everyone has thirty days of paid leave. The code of the door is {text}.") });
    let upload = server
        .request(Method::POST, "/v1/collections/default/documents")
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .json(&body);
    let accepted = server.send(upload).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
    server.finished(accepted.body["job"].as_str().unwrap()).await;
    let asked = json!({ "question": format!("How many days of paid leave has everyone, {question}?") });
    let answered = server.post("/v1/answers", asked).await;
    let response = answered.headers["traceresponse"].to_str().unwrap().to_owned();
    assert_eq!(answered.good()["model"], "leave-bot");

    let wanted: BTreeSet<String> = documented().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(wanted.len(), 22, "{wanted:?}");
    let has = |spans: &[Span], name: &str| spans.iter().any(|span| kind_of(span) == name);
    let spans = collector
        .until(|spans| {
            wanted.iter().all(|name| has(spans, name))
                && spans.iter().filter(|span| span.name.starts_with("POST ")).count() == 2
        })
        .await;
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let upload = named("POST /v1/collections/{collection}/documents");
    assert_eq!((upload.trace.as_str(), upload.parent.as_str(), upload.kind), (TRACE, PARENT, 2));
    assert_eq!(upload.attribute("http.response.status_code"), "202");
    let answer = named("POST /v1/answers");
    assert_eq!(response, format!("00-{}-{}-01", answer.trace, answer.id), "the response names its span");
    assert_eq!(answer.parent, "", "it began here");

    for (name, above, attributes) in documented() {
        let mut ours = spans.iter().filter(|span| kind_of(span) == name).peekable();
        assert!(ours.peek().is_some(), "{name}");
        for span in ours {
            let is_asked = !span.attribute("http.route").is_empty() && above.is_empty();
            if !is_asked {
                let parent = spans.iter().find(|other| other.id == span.parent && other.trace == span.trace);
                let parent = parent.unwrap_or_else(|| panic!("{name} hangs on nothing: {span:?}"));
                assert_eq!(kind_of(parent), above, "above {name}");
            }
            let unknown: Vec<&String> =
                span.attributes.keys().filter(|key| !attributes.contains(*key)).collect();
            assert!(unknown.is_empty(), "attributes of {name} that are not documented: {unknown:?}");
        }
    }
    let ingest = named("ingest");
    assert_eq!((ingest.trace.as_str(), ingest.attribute("job.outcome")), (TRACE, "indexed"));
    assert!(ingest.nanoseconds > 0);
    let chat = named("chat ok");
    assert_eq!(
        [
            "gen_ai.provider.name",
            "gen_ai.request.model",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens"
        ]
        .map(|name| chat.attribute(name)),
        ["openai", "ok", "11", "3"]
    );
    assert_eq!(named("answer").attribute("answer.outcome"), "done");

    server.stop().await.0.success().then_some(()).unwrap();
    let planted = ["key of the provider", "text", "question", "id", "title", "field"].map(secret);
    for span in collector.so_far() {
        for planted in planted.iter().map(String::as_str).chain(["thirty", "paid leave", "leave has"]) {
            assert!(!span.whole.contains(planted), "{planted} stands in {}", span.whole);
        }
    }
}

#[tokio::test]
async fn a_job_that_fails_says_so_in_its_trace_and_not_why_in_words() {
    let collector = Collector::start().await;
    let server = Server::start_with(&[("telemetry.traces.endpoint", &collector.url)]).await;
    let form = crate::support::Form::of("broken.pdf", b"%PDF-1.7 and nothing that a reader knows");
    let job = server.upload(form).await.good()["job"].as_str().unwrap().to_owned();
    let job = server.finished(&job).await;
    let spans = collector.until(|spans| spans.iter().any(|span| span.name == "ingest")).await;
    let ingest = spans.iter().find(|span| span.name == "ingest").unwrap();
    assert_eq!(ingest.attribute("job.outcome"), job["reason"], "{job}");
    assert!(ingest.whole.contains("Error"), "the status: {}", ingest.whole);
    assert!(!ingest.whole.contains("broken.pdf"));
}

/// A caller that records nothing wants nothing recorded.
#[tokio::test]
async fn whoever_brings_a_trace_says_whether_it_is_recorded() {
    let collector = Collector::start().await;
    let server = Server::start_with(&[("telemetry.traces.endpoint", &collector.url)]).await;
    let ask = |flag: &str| {
        let request = server.request(Method::GET, "/v1/collections");
        request.header("traceparent", format!("00-{TRACE}-{PARENT}-{flag}"))
    };
    server.send(ask("00")).await.good();
    server.send(server.request(Method::GET, "/health")).await.good();
    server.send(ask("01")).await.good();
    collector.until(|spans| !spans.is_empty()).await;
    server.stop().await;
    let spans = collector.so_far();
    let ours: Vec<&str> = spans.iter().filter(|s| s.trace == TRACE).map(|span| span.name.as_str()).collect();
    assert_eq!(ours, ["GET /v1/collections"]);
    assert!(spans.iter().all(|span| !span.name.contains("/health")), "probes are left out");
}

#[tokio::test]
async fn a_collector_that_is_away_costs_one_warning() {
    let collector = Collector::answering(StatusCode::FORBIDDEN).await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let data = Arc::new(tempfile::tempdir().unwrap());
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), collector.url.clone()),
        ("WELLSPRING__TELEMETRY__FORMAT".to_owned(), "json".to_owned()),
    ];
    let server = Server::start_logged(data, &environment, log.reopen().unwrap()).await;
    server.get("/v1/collections").await.good();
    let first = collector.until(|spans| !spans.is_empty()).await.len();
    server.add_text("a", "An otter.", json!({})).await;
    collector.until(|spans| spans.len() > first).await;
    let (status, _) = server.stop().await;
    assert!(status.success());
    let log = fs_err::read_to_string(log.path()).unwrap();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("takes no traces")).collect();
    assert_eq!(said.len(), 1, "{log}");
    assert!(said[0].contains("it answered 403"), "{}", said[0]);
}
