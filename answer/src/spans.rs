//! The spans of one answer in a trace: `docs/explanation/traces.md` says what each is. No question, no text, no name of a
//! document.

use tracing::field::{Empty, debug};
use tracing::{Span, debug_span};

use crate::reply::AnswerEvent;

/// A whole answer.
pub(crate) fn answer(streamed: bool) -> Span {
    debug_span!(
        target: "wellspring::trace", "answer",
        otel.status_code = Empty, "error.type" = Empty,
        answer.streamed = streamed, answer.outcome = Empty, answer.citations = Empty,
        gen_ai.request.model = Empty, gen_ai.usage.input_tokens = Empty, gen_ai.usage.output_tokens = Empty,
    )
}

/// Reads the passages for the question.
pub(crate) fn read(passages: usize) -> Span {
    debug_span!(target: "wellspring::trace", "answer.read", answer.passages = passages)
}

/// Writes the answer, or quotes it: `model` is the one that was asked for.
pub(crate) fn generate(model: Option<&str>) -> Span {
    debug_span!(target: "wellspring::trace", "answer.generate", gen_ai.request.model = model)
}

/// Checks one sentence against the passages that it cites.
pub(crate) fn verify() -> Span {
    debug_span!(target: "wellspring::trace", "answer.verify", answer.support = Empty, answer.decision = Empty)
}

/// Looks up once more what is cited.
pub(crate) fn recheck() -> Span {
    debug_span!(target: "wellspring::trace", "answer.recheck")
}

/// Notes how an answer ended.
pub(crate) fn ended(span: &Span, last: &AnswerEvent) {
    span.record("answer.outcome", last.name());
    match last {
        AnswerEvent::Done(answer) | AnswerEvent::Refused(answer) => {
            span.record("answer.citations", answer.citations.len());
            if let Some(model) = &answer.model {
                span.record("gen_ai.request.model", model.as_str());
            }
            if let Some(usage) = answer.usage {
                span.record("gen_ai.usage.input_tokens", usage.input_tokens);
                span.record("gen_ai.usage.output_tokens", usage.output_tokens);
            }
        }
        AnswerEvent::Error(error) => {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", debug(error.kind()));
        }
        _ => {}
    }
}
