//! The spans of one search in a trace: `docs/explanation/traces.md` says what each is. No query, no text, no name of a document.

use std::future::Future;

use tracing::field::{Empty, debug};
use tracing::{Instrument, Span, debug_span};

use crate::error::{ErrorKind, Result};
use crate::fuse::LegList;
use crate::query::Query;

/// A whole search.
pub(crate) fn search(query: &Query) -> Span {
    debug_span!(
        target: "wellspring::trace", "search",
        otel.status_code = Empty, "error.type" = Empty,
        search.mode = debug(query.mode), search.k = query.k, search.hits = Empty, search.degraded = Empty,
    )
}

/// The vector of a query's text.
pub(crate) fn embed(model: &str) -> Span {
    debug_span!(
        target: "wellspring::trace", "search.embed",
        gen_ai.operation.name = "embeddings", gen_ai.request.model = model,
    )
}

/// Asks the vector index.
pub(crate) fn dense(depth: usize) -> Span {
    debug_span!(
        target: "wellspring::trace", "search.dense",
        otel.status_code = Empty, "error.type" = Empty, search.depth = depth, search.hits = Empty,
    )
}

/// Asks the keyword index.
pub(crate) fn keyword(depth: usize) -> Span {
    debug_span!(
        target: "wellspring::trace", "search.keyword",
        otel.status_code = Empty, "error.type" = Empty, search.depth = depth, search.hits = Empty,
    )
}

/// Other words and passages to ask with, where that is switched on.
pub(crate) fn expand() -> Span {
    debug_span!(target: "wellspring::trace", "search.expand")
}

/// The lists made one.
pub(crate) fn fuse() -> Span {
    debug_span!(target: "wellspring::trace", "search.fuse", search.candidates = Empty)
}

/// Hits looked up in the catalog under the scope.
pub(crate) fn join(candidates: usize) -> Span {
    debug_span!(
        target: "wellspring::trace", "search.join", search.candidates = candidates, search.hits = Empty,
    )
}

/// The best hits read again by a model.
pub(crate) fn rerank(model: &str) -> Span {
    debug_span!(
        target: "wellspring::trace", "search.rerank",
        gen_ai.operation.name = "rerank", gen_ai.request.model = model,
    )
}

/// Runs a leg in its span.
pub(crate) async fn leg(
    span: Span,
    work: impl Future<Output = (Result<LegList>, f64)>,
) -> (Result<LegList>, f64) {
    let done = work.instrument(span.clone()).await;
    match &done.0 {
        Ok(list) => {
            span.record("search.hits", list.hits.len());
        }
        Err(error) => failed(&span, error.kind()),
    }
    done
}

/// Notes that the work of a span failed: only how, since messages may repeat what was asked.
pub(crate) fn failed(span: &Span, kind: ErrorKind) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", debug(kind));
}
