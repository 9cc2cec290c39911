//! The spans of one job in a trace, and how a job finds the trace of the request that brought its document:
//! `docs/explanation/traces.md` says what each is. No text, no name of a document.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::field::Empty;
use tracing::{Span, debug_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use wellspring_store::jobs::{JobState, Lease};

use crate::pipeline::attempt::Halt;

/// One attempt at a job: a part of the trace that brought the document, where that is recorded.
pub(crate) fn job(lease: &Lease) -> Span {
    let span = debug_span!(
        target: "wellspring::trace", "ingest",
        otel.kind = "consumer", otel.status_code = Empty,
        job.id = display(lease.job), job.attempt = lease.attempt, job.outcome = Empty,
        document.bytes = lease.document.bytes,
    );
    if let Some(context) = lease.document.trace.as_deref().and_then(read) {
        // A span that nobody records has no parent to set.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(context));
    }
    span
}

/// Notes that an attempt ended early: by the code of its reason, since messages may repeat the document.
pub(crate) fn halted(span: &Span, halt: &Halt) {
    let (outcome, is_error) = match halt {
        Halt::Ended { state: JobState::Unchanged, .. } => ("unchanged", false),
        Halt::Ended { reason, .. } => (*reason, true),
        Halt::Outside { reason, .. } => (*reason, true),
        Halt::Cancelled => ("cancelled", false),
        Halt::Lost => ("lost", true),
        Halt::HandBack => ("handed_back", false),
    };
    span.record("job.outcome", outcome);
    if is_error {
        span.record("otel.status_code", "ERROR");
    }
}

/// One stage of a job.
pub(crate) fn stage(stage: Stage) -> Span {
    match stage {
        Stage::Extract => debug_span!(target: "wellspring::trace", "ingest.extract", document.format = Empty),
        Stage::Chunk => debug_span!(target: "wellspring::trace", "ingest.chunk", document.chunks = Empty),
        Stage::Embed => debug_span!(
            target: "wellspring::trace", "ingest.embed",
            gen_ai.operation.name = "embeddings", gen_ai.request.model = Empty, document.embedded = Empty,
        ),
        Stage::Commit => debug_span!(target: "wellspring::trace", "ingest.commit"),
        Stage::Index => debug_span!(target: "wellspring::trace", "ingest.index"),
        Stage::Publish => debug_span!(target: "wellspring::trace", "ingest.publish"),
    }
}

/// What a job passes through.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    Extract,
    Chunk,
    Embed,
    Commit,
    Index,
    Publish,
}

/// The place of the current span, as W3C's Trace Context writes it; `None` where nothing is recorded.
pub(crate) fn here() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let place = span.span_context();
    let flags = place.trace_flags().to_u8();
    place.is_sampled().then(|| format!("00-{}-{}-{flags:02x}", place.trace_id(), place.span_id()))
}

/// Reads what [`here`] wrote.
fn read(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, TraceFlags::new(flags), true, TraceState::NONE);
    (version == "00" && context.is_valid()).then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_nothing_else_is() {
        let place = read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(place.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(place.span_id().to_string(), "b7ad6b7169203331");
        assert!(place.is_remote() && place.is_sampled());
        let zeros = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        for bad in ["", "00-x-y-01", "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", zeros] {
            assert!(read(bad).is_none(), "{bad}");
        }
        assert_eq!(here(), None, "nothing is recorded here");
    }
}
