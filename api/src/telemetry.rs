//! Logs on stderr (JSON where no person looks), traces for a collector, and the Prometheus recorder behind `/metrics`.

pub(crate) mod traces;

use std::io::IsTerminal;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use self::traces::{Traces, TracesConfig};

/// What is logged and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TelemetryConfig {
    /// A filter such as `info,wellspring_ingest=debug`; `RUST_LOG` wins. Commands other than `serve` log warnings only,
    /// unless this is set.
    pub(crate) filter: Option<String>,
    /// `auto` (JSON unless stderr is a terminal), `json` or `text`.
    pub(crate) format: LogFormat,
    /// Spans of requests and jobs, for an OpenTelemetry collector; of `serve` alone.
    pub(crate) traces: TracesConfig,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { filter: None, format: LogFormat::Auto, traces: TracesConfig::default() }
    }
}

/// The shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    Auto,
    Json,
    Text,
}

/// Starts logging; `fallback` is the filter where neither configuration nor `RUST_LOG` says one. With a runtime to send them
/// from, and a collector to send them to, spans are sent until [`Traces::end`].
pub(crate) fn start(
    config: &TelemetryConfig,
    fallback: &str,
    runtime: Option<&Handle>,
) -> anyhow::Result<Option<Traces>> {
    let filter = match (std::env::var("RUST_LOG"), &config.filter) {
        (Ok(filter), _) if !filter.is_empty() => filter,
        (_, Some(filter)) => filter.clone(),
        _ => fallback.to_owned(),
    };
    let filter = EnvFilter::try_new(&filter)
        .with_context(|| format!("the log filter {filter:?} is not of the form `info,crate=debug`"))?;
    let person = std::io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !person,
    };
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match json {
        true => lines.json().flatten_event(true).with_ansi(false).boxed(),
        false => lines.with_ansi(person && std::env::var_os("NO_COLOR").is_none()).boxed(),
    };
    let traces = match runtime {
        Some(runtime) => Traces::new(&config.traces, runtime)?,
        None => None,
    };
    let spans = traces.as_ref().map(Traces::layer);
    tracing_subscriber::registry().with(spans).with(lines.with_filter(filter)).init();
    Ok(traces)
}

/// Installs the recorder that `/metrics` renders. Stage and request times are histograms with fixed buckets.
pub(crate) fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    const SECONDS: &[f64] =
        &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .install_recorder()
        .context("the metrics recorder can't be installed")
}
