//! `/metrics`: what was counted since the start, and what stands in the catalog now, in Prometheus' text format.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::PrometheusHandle;
use wellspring_retrieve::{Mode, SearchResponse};
use wellspring_store::accounts::Right;

use super::Shared;
use crate::auth::Sender;
use crate::problem::Problem;
use crate::telemetry;

/// How often what was recorded is folded into histograms, scraped or not.
const UPKEEP: Duration = Duration::from_secs(5);

/// The recorder of this process, installed at first use: there can only be one.
pub(super) fn recorder() -> anyhow::Result<PrometheusHandle> {
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut recorder = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*recorder {
        return Ok(handle.clone());
    }
    let handle = telemetry::start_metrics()?;
    describe();
    crate::budget::describe();
    begin();
    *recorder = Some(handle.clone());
    Ok(handle)
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!(
        "wellspring_webhook_attempts_total",
        "Attempts at deliveries to webhooks, by receiver and outcome."
    );
    describe_counter!("wellspring_mcp_calls_total", "Calls of MCP tools, by tool and outcome.");
    describe_counter!(
        "wellspring_http_requests_total",
        "Requests answered, by method, route template and status."
    );
    describe_histogram!(
        "wellspring_http_request_seconds",
        "Time to a response's head, by method and route template."
    );
    describe_gauge!("wellspring_http_requests_in_flight", "Requests in progress, streams included.");
    describe_counter!(
        "wellspring_http_requests_shed_total",
        "Requests refused because too many were in progress."
    );
    describe_counter!(
        "wellspring_auth_refused_total",
        "Requests refused for their credential or for want of a right, by reason."
    );
    describe_counter!("wellspring_rate_limited_total", "Requests refused by a rate limit.");
    describe_counter!(
        "wellspring_logins_total",
        "Attempts to sign in, by outcome: good, refused or put_off."
    );
    describe_gauge!(
        "wellspring_searches_at_once",
        "Searches that may run at once now; it follows how long they take."
    );
    describe_counter!("wellspring_searches_total", "Searches answered, by mode.");
    describe_counter!(
        "wellspring_search_degraded_total",
        "Parts of searches that did not do their work, by leg."
    );
    describe_histogram!("wellspring_search_stage_seconds", "Time of a search's stages.");
    describe_counter!("wellspring_answers_total", "Answers by how they ended: done, refused or error.");
}

/// Counters that can be known beforehand begin at 0: whoever draws them sees a line, and an alert its first step.
fn begin() {
    use metrics::counter;
    for outcome in ["done", "refused", "error"] {
        counter!("wellspring_answers_total", "outcome" => outcome).absolute(0);
    }
    for mode in ["hybrid", "dense", "keyword"] {
        counter!("wellspring_searches_total", "mode" => mode).absolute(0);
    }
    for leg in ["dense", "keyword", "rerank"] {
        counter!("wellspring_search_degraded_total", "leg" => leg).absolute(0);
    }
    for reason in ["missing", "unknown", "rights"] {
        counter!("wellspring_auth_refused_total", "reason" => reason).absolute(0);
    }
    for outcome in ["good", "refused", "put_off"] {
        counter!("wellspring_logins_total", "outcome" => outcome).absolute(0);
    }
    for outcome in ["hit", "miss"] {
        counter!("wellspring_kept_replies_total", "outcome" => outcome).absolute(0);
    }
    counter!("wellspring_rate_limited_total").absolute(0);
    counter!("wellspring_http_requests_shed_total").absolute(0);
}

/// Keeps memory bounded where nobody scrapes; runs until it is dropped.
pub(super) async fn upkeep(recorder: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        recorder.run_upkeep();
    }
}

/// Counts a search and the time of its stages.
pub(super) fn searched(mode: Mode, response: &SearchResponse) {
    let mode = match mode {
        Mode::Hybrid => "hybrid",
        Mode::Dense => "dense",
        Mode::Keyword => "keyword",
    };
    metrics::counter!("wellspring_searches_total", "mode" => mode).increment(1);
    for degraded in &response.degraded {
        metrics::counter!("wellspring_search_degraded_total", "leg" => degraded.leg.clone()).increment(1);
    }
    for (stage, milliseconds) in &response.timings.0 {
        metrics::histogram!("wellspring_search_stage_seconds", "stage" => stage.clone())
            .record(milliseconds / 1e3);
    }
}

/// Show metrics
///
/// Prometheus' text format. What is counted from the catalog is read at the time of the request. Where authentication is on
/// this is an operator's; `auth.open_metrics` opens it without the figures of tenants.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "service",
    responses((status = 200, description = "The metrics", content_type = "text/plain", body = String,
        example = "# TYPE wellspring_jobs_backlog gauge\nwellspring_jobs_backlog 0\n"))
)]
pub(super) async fn show(
    State(server): State<Shared>,
    sender: Option<Extension<Sender>>,
) -> Result<Response, Problem> {
    let store = &server.app.store;
    let (backlog, oldest) = store.catalog.backlog().await?;
    let mut text = server.recorder.render();
    family(&mut text, "wellspring_build_info", "The release.");
    sample(&mut text, "wellspring_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    family(&mut text, "wellspring_jobs_backlog", "Queued and running jobs.");
    sample(&mut text, "wellspring_jobs_backlog", &[], backlog);
    family(&mut text, "wellspring_jobs_oldest_seconds", "Age of the oldest queued or running job.");
    sample(&mut text, "wellspring_jobs_oldest_seconds", &[], oldest);
    // Names and sizes of collections are their tenants' business, and the operator's.
    if !sender.is_some_and(|Extension(sender)| sender.permits(Right::Operator)) {
        return Ok(respond(text));
    }
    let collections = store.catalog.all_collections().await?;
    family(&mut text, "wellspring_documents", "Visible documents.");
    for (scope, collection) in &collections {
        let labels = [("tenant", scope.tenant().as_str()), ("collection", scope.name().as_str())];
        sample(&mut text, "wellspring_documents", &labels, collection.documents);
    }
    family(&mut text, "wellspring_chunks", "Chunks of visible documents.");
    for (scope, collection) in &collections {
        let labels = [("tenant", scope.tenant().as_str()), ("collection", scope.name().as_str())];
        sample(&mut text, "wellspring_chunks", &labels, collection.chunks);
    }
    family(
        &mut text,
        "wellspring_index_behind",
        "Changes an index has not flushed; 1000 stands for that many or more.",
    );
    for lag in store.indexes.lag().await? {
        let labels =
            [("tenant", lag.tenant.as_str()), ("collection", lag.collection.as_str()), ("index", lag.index)];
        sample(&mut text, "wellspring_index_behind", &labels, lag.behind);
    }
    Ok(respond(text))
}

fn respond(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

// Gauges of things that can vanish (a deleted collection) are written here: a recorder would show their last value on.

fn family(text: &mut String, name: &str, help: &str) {
    // Writing to a string can't fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
}

/// Label values are names of ours and of collections, which hold nothing that needs escaping.
fn sample(text: &mut String, name: &str, labels: &[(&str, &str)], value: u64) {
    let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let _ = writeln!(text, "{name}{labels} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_the_text_format() {
        let mut text = String::new();
        family(&mut text, "a", "An a.");
        sample(&mut text, "a", &[], 3);
        sample(&mut text, "a", &[("x", "1"), ("y", "b-c")], 4);
        assert_eq!(text, "# HELP a An a.\n# TYPE a gauge\na 3\na{x=\"1\",y=\"b-c\"} 4\n");
    }
}
