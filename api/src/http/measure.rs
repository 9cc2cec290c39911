//! Gives every request an id, a span, one log line and its place in the metrics. Bodies are never looked at.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::trace::{TRACERESPONSE, Trace};

/// Accepted from the client, made otherwise, and always sent back.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is accepted.
const LONGEST_ID: usize = 128;

/// The id of a request, among its extensions.
#[derive(Debug, Clone)]
struct RequestId(HeaderValue);

/// The id that this request goes by.
pub(super) fn id_of(request: &Request) -> Option<&str> {
    request.extensions().get::<RequestId>()?.0.to_str().ok()
}

/// The outermost layer.
pub(super) async fn measure(mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = request_id(request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "(none)".to_owned(), |path| path.as_str().to_owned());
    let mut trace = Trace::of(request.headers());
    // Probes would fill a collector with nothing.
    let recorded = match route.as_str() {
        "/health" | "/ready" | "/metrics" => Span::none(),
        route => trace.span(method, route),
    };
    let span = tracing::info_span!(
        "http.request",
        method,
        route,
        request_id = id.to_str().unwrap_or_default(),
        trace_id = trace.id(),
        parent_span = trace.parent()
    );
    let mut response = next.run(request).instrument(recorded.clone()).instrument(span.clone()).await;
    let status = response.status();
    recorded.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        recorded.record("otel.status_code", "ERROR");
    }
    drop(recorded);
    let seconds = start.elapsed().as_secs_f64();
    span.in_scope(|| {
        let duration_ms = (seconds * 1e6).round() / 1e3;
        tracing::info!(status = status.as_u16(), duration_ms, "request");
    });
    metrics::counter!("wellspring_http_requests_total",
        "method" => method, "route" => route.clone(), "status" => status.as_str().to_owned())
    .increment(1);
    metrics::histogram!("wellspring_http_request_seconds", "method" => method, "route" => route)
        .record(seconds);
    response.headers_mut().insert(REQUEST_ID, id);
    if let Some(value) = trace.header() {
        response.headers_mut().insert(TRACERESPONSE, value);
    }
    response
}

/// The client's id if it is short and printable (it goes into logs), else a new one that sorts by time.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    if let Some(given) = headers.get(REQUEST_ID)
        && (1..=LONGEST_ID).contains(&given.len())
        && given.as_bytes().iter().all(u8::is_ascii_graphic)
    {
        return given.clone();
    }
    HeaderValue::from_str(&Uuid::now_v7().to_string()).unwrap_or(HeaderValue::from_static("none"))
}

/// Clients can invent methods; labels must stay few.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_id(value: &'static str) -> HeaderValue {
        request_id(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static(value))]))
    }

    #[test]
    fn a_sensible_id_is_kept_and_others_are_replaced() {
        assert_eq!(with_id("abc-123"), "abc-123");
        for bad in ["", "two words", "x\ty"] {
            let made = with_id(bad);
            let made: Uuid = made.to_str().unwrap().parse().unwrap();
            assert_eq!(made.get_version_num(), 7);
        }
        let long = HeaderValue::from_str(&"x".repeat(LONGEST_ID + 1)).unwrap();
        assert_ne!(request_id(&HeaderMap::from_iter([(REQUEST_ID, long.clone())])), long);
    }
}
