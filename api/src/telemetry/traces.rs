//! Sends spans to an OpenTelemetry collector by OTLP (protobuf over HTTP); docs/explanation/traces.md names them.
//!
//! A span is exported if its target is [`TARGET`] and for no other reason, so that nothing leaves by accident. Events are never
//! exported: a log line may name a file.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};

/// The target of spans that are exported, in every crate.
pub(crate) const TARGET: &str = "wellspring::trace";
/// Spans that wait to be sent; more are dropped.
const QUEUE: usize = 4_096;
/// Spans of one request to the collector.
const BATCH: usize = 512;
/// How often spans are sent.
const EVERY: Duration = Duration::from_secs(2);
/// How long the collector may take for one request.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last spans may take at the end of the process.
const LAST: Duration = Duration::from_secs(3);
/// Most bytes of a collector's answer that are read.
const LONGEST_ANSWER: usize = 64 << 10;

/// Where traces go.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TracesConfig {
    /// The collector's base URL, such as `http://localhost:4318` [default: `OTEL_EXPORTER_OTLP_ENDPOINT`; without either
    /// nothing is traced].
    pub(crate) endpoint: Option<String>,
    /// Share of the traces that begin here which are sent, 0 to 1. Where a request brings a trace, it says whether that is.
    pub(crate) sampled: f64,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self { endpoint: None, sampled: 1.0 }
    }
}

impl TracesConfig {
    /// Refuses shares out of range.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            (0.0..=1.0).contains(&self.sampled),
            "the configuration is wrong at `telemetry.traces.sampled`: it is {} and must be 0 to 1",
            self.sampled
        );
        Ok(())
    }

    /// The collector, by configuration or environment; `None` without one, and where OpenTelemetry is switched off.
    fn collector(&self) -> Option<String> {
        let said = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        if said("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return None;
        }
        let named = self.endpoint.clone().or_else(|| said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
        named.or_else(|| said("OTEL_EXPORTER_OTLP_ENDPOINT"))
    }
}

/// What sends spans. Nothing is sent after [`Traces::end`].
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// `None` where no collector is named. `runtime` carries the requests to the collector.
    pub(crate) fn new(config: &TracesConfig, runtime: &Handle) -> anyhow::Result<Option<Self>> {
        let Some(collector) = config.collector() else { return Ok(None) };
        let is_here = ["//localhost", "//127.0.0.1", "//[::1]"].iter().any(|host| collector.contains(host));
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Courier::new(runtime.clone(), is_here)?)
            .with_timeout(PATIENCE);
        if let Some(endpoint) = &config.endpoint {
            exporter = exporter.with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')));
        }
        let exporter = exporter.build().context("the configuration is wrong at `telemetry.traces`")?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(EVERY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        // `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` are read where they are set.
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("wellspring");
        }
        let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let mut provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_resource(resource.with_attribute(version).build());
        if std::env::var_os("OTEL_TRACES_SAMPLER").is_none() {
            let ours = Box::new(Sampler::TraceIdRatioBased(config.sampled));
            provider = provider.with_sampler(Sampler::ParentBased(ours));
        }
        Ok(Some(Self(provider.build())))
    }

    /// What spans go through on their way.
    pub(crate) fn layer(&self) -> impl Layer<Registry> + Send + Sync + use<> {
        let only_ours = filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET)
            .with_max_level_hint(LevelFilter::DEBUG);
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("wellspring"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(only_ours)
    }

    /// Sends what is left; gives up after three seconds. Blocks.
    pub(crate) fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST) {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// Carries requests to the collector, and says once when it does not take them and once when it does again.
#[derive(Debug)]
struct Courier {
    client: reqwest::Client,
    runtime: Handle,
    is_away: AtomicBool,
}

impl Courier {
    /// A proxy is used unless the collector is on this machine.
    fn new(runtime: Handle, is_here: bool) -> anyhow::Result<Self> {
        // An error means that another part of the program installed a provider first: just as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = reqwest::Client::builder();
        let client = if is_here { builder.no_proxy() } else { builder }
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .context("no client for the collector of traces can be made")?;
        Ok(Self { client, runtime, is_away: AtomicBool::new(false) })
    }

    fn tell(&self, failure: Option<String>) {
        match failure {
            Some(reason) if !self.is_away.swap(true, Ordering::Relaxed) => {
                tracing::warn!(reason, "the collector takes no traces; they are dropped until it does");
            }
            None if self.is_away.swap(false, Ordering::Relaxed) => {
                tracing::info!("the collector takes traces again");
            }
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Courier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // The exporter's thread has no runtime of its own.
        let sent = self.runtime.spawn(send(self.client.clone(), request)).await;
        let answer = sent.unwrap_or_else(|error| Err(error.into()));
        self.tell(match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered {}", answer.status())),
            Err(error) => Some(error.to_string()),
        });
        answer
    }
}

async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    // A URL may hold a password.
    let clean = reqwest::Error::without_url;
    let mut answer = client.execute(request.try_into().map_err(clean)?).await.map_err(clean)?;
    let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(clean)? {
        if body.len() + piece.len() > LONGEST_ANSWER {
            return Err("the collector's answer is too long".into());
        }
        body.extend_from_slice(&piece);
    }
    let mut response = Response::builder().status(status).body(Bytes::from(body))?;
    *response.headers_mut() = headers;
    Ok(response)
}
