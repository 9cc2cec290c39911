//! W3C trace context: takes part in the trace that a request belongs to, or begins one, names it in the log, and opens the span
//! of the request where traces are sent to a collector.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Where a client names its trace.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Where the response names the span that it was made in (Trace Context, level 2).
pub(super) const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The trace of one request, and this server's span in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trace {
    /// Of the whole trace; never 0.
    trace: u128,
    /// Of the caller's span; `None` where the trace begins here.
    parent: Option<u64>,
    /// Of the work done here; never 0.
    span: u64,
    /// Whether the caller records it.
    sampled: bool,
}

impl Trace {
    /// The trace that the headers name, or a new one where they name none or not in the way the standard asks.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let span = fastrand::u64(1..);
        let mut given = headers.get_all(TRACEPARENT).iter();
        let parent = match (given.next(), given.next()) {
            (Some(value), None) => value.to_str().ok().and_then(read),
            _ => None,
        };
        match parent {
            Some((trace, parent, sampled)) => Self { trace, parent: Some(parent), span, sampled },
            None => Self { trace: fastrand::u128(1..), parent: None, span, sampled: false },
        }
    }

    /// The span of the request in the trace. What the trace says of itself is then that of the span, where it is recorded.
    pub(super) fn span(&mut self, method: &str, route: &str) -> Span {
        let span = tracing::debug_span!(
            target: "wellspring::trace",
            "request",
            otel.name = format!("{method} {route}"),
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = method,
            http.route = route,
            http.response.status_code = Empty,
        );
        if let Some(parent) = self.parent {
            let flags = TraceFlags::new(u8::from(self.sampled));
            let parent = SpanContext::new(self.trace.into(), parent.into(), flags, true, TraceState::NONE);
            // A span that nobody records has no parent to set.
            let _ = span.set_parent(Context::new().with_remote_span_context(parent));
        }
        let context = span.context();
        let made = context.span().span_context().clone();
        if made.is_valid() {
            self.trace = u128::from_be_bytes(made.trace_id().to_bytes());
            self.span = u64::from_be_bytes(made.span_id().to_bytes());
            self.sampled = made.is_sampled();
        }
        span
    }

    /// The trace's id as logs and collectors write it.
    pub(super) fn id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The caller's span, empty where there is none.
    pub(super) fn parent(&self) -> String {
        self.parent.map(|parent| format!("{parent:016x}")).unwrap_or_default()
    }

    /// For the response.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.to_string()).ok()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// Trace, parent and whether it is sampled, of `version-trace-parent-flags`. A later version may have more parts, the first
/// one may not; upper case and zeros are refused, as the standard asks.
fn read(text: &str) -> Option<(u128, u64, bool)> {
    let mut parts = text.split('-');
    let mut part = |length: usize| {
        let part = parts.next().filter(|part| part.len() == length)?;
        part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(part)
    };
    let (version, trace, parent, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    if version == "ff" || version == "00" && parts.next().is_some() {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
    let parent = u64::from_str_radix(parent, 16).ok().filter(|id| *id != 0)?;
    Some((trace, parent, u8::from_str_radix(flags, 16).ok()? & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (TRACEPARENT, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_request_goes_on_with_its_trace() {
        let trace = Trace::of(&headers(&[GIVEN]));
        assert_eq!(
            (trace.id().as_str(), trace.parent().as_str()),
            ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
        );
        let said = trace.to_string();
        assert!(said.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && said.ends_with("-01"), "{said}");
        assert!(!said.contains("b7ad6b7169203331"), "the span here is another: {said}");
        let later = Trace::of(&headers(&["cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more"]));
        assert_eq!((later.id(), later.sampled), (trace.id(), false));
    }

    #[test]
    fn what_is_no_trace_begins_a_new_one() {
        for bad in [
            &["00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"][..],
            &["00-00000000000000000000000000000000-b7ad6b7169203331-01"],
            &["00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"],
            &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x"],
            &["ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
            &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"],
            &["x"],
            &[GIVEN, GIVEN],
            &[],
        ] {
            let trace = Trace::of(&headers(bad));
            assert_ne!(trace.id(), "0af7651916cd43dd8448eb211c80319c", "{bad:?}");
            assert_eq!((trace.parent, trace.id().len()), (None, 32));
            assert!(trace.trace != 0 && trace.span != 0);
        }
    }
}
