//! Logs on stderr (JSON where no person looks) and the Prometheus recorder behind `/metrics`.

use std::io::IsTerminal;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// What is logged and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TelemetryConfig {
    /// A filter such as `info,wellspring_ingest=debug`; `RUST_LOG` wins. Commands other than `serve` log warnings only,
    /// unless this is set.
    pub(crate) filter: Option<String>,
    /// `auto` (JSON unless stderr is a terminal), `json` or `text`.
    pub(crate) format: LogFormat,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { filter: None, format: LogFormat::Auto }
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

/// Starts logging; `fallback` is the filter where neither configuration nor `RUST_LOG` says one.
pub(crate) fn start_logging(config: &TelemetryConfig, fallback: &str) -> anyhow::Result<()> {
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
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        builder.json().flatten_event(true).with_ansi(false).init();
    } else {
        builder.with_ansi(person && std::env::var_os("NO_COLOR").is_none()).init();
    }
    Ok(())
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
