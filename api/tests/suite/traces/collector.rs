//! A collector of traces that speaks OTLP over HTTP and keeps what it gets.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use tokio::sync::watch;

use crate::support::PATIENCE;

/// A span as it came.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for the first of a trace.
    pub(crate) parent: String,
    pub(crate) name: String,
    /// As OTLP numbers it: 2 server, 3 client, 5 consumer.
    pub(crate) kind: i32,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) nanoseconds: u64,
    /// Everything that was sent of it, resource and scope besides.
    pub(crate) whole: String,
}

impl Span {
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// A running collector; it ends with the runtime.
pub(crate) struct Collector {
    pub(crate) url: String,
    spans: watch::Receiver<Vec<Span>>,
}

#[derive(Clone)]
struct Keeping {
    spans: watch::Sender<Vec<Span>>,
    answer: StatusCode,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::answering(StatusCode::OK).await
    }

    /// One that keeps everything and answers with this.
    pub(crate) async fn answering(answer: StatusCode) -> Self {
        let (sender, spans) = watch::channel(Vec::new());
        let service =
            Router::new().route("/v1/traces", post(take)).with_state(Keeping { spans: sender, answer });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self { url, spans }
    }

    /// What came, once it is enough.
    pub(crate) async fn until(&self, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let mut spans = self.spans.clone();
        let come = tokio::time::timeout(PATIENCE, spans.wait_for(|spans| enough(spans))).await;
        if let Ok(spans) = come {
            return spans.unwrap().clone();
        }
        let come: Vec<String> =
            self.so_far().iter().map(|span| format!("{} < {}", span.name, span.parent)).collect();
        panic!("not enough came: {come:#?}")
    }

    pub(crate) fn so_far(&self) -> Vec<Span> {
        self.spans.borrow().clone()
    }
}

async fn take(State(keeping): State<Keeping>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut come = Vec::new();
    for resource in request.resource_spans {
        for scope in resource.scope_spans {
            for span in scope.spans {
                let whole = format!("{:?} {:?} {span:?}", resource.resource, scope.scope);
                let attributes = span
                    .attributes
                    .iter()
                    .map(|pair| (pair.key.clone(), shown(pair.value.as_ref().and_then(|v| v.value.as_ref()))))
                    .collect();
                come.push(Span {
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    name: span.name,
                    kind: span.kind,
                    attributes,
                    nanoseconds: span.end_time_unix_nano - span.start_time_unix_nano,
                    whole,
                });
            }
        }
    }
    keeping.spans.send_modify(|spans| spans.append(&mut come));
    keeping.answer
}

fn shown(value: Option<&Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
