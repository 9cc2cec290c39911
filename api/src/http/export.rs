//! `GET /v1/collections/{collection}/export`: a collection's documents as lines of JSON, streamed.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use serde::Deserialize;
use utoipa::IntoParams;
use wellspring_store::Filter;
use wellspring_store::export::{ExportOptions, export};

use super::Shared;
use super::caller::Caller;
use super::collections::find;
use super::extract::{ProblemPath, ProblemQuery};
use crate::problem::{Code, Problem};

/// Where a collection is exported.
pub(super) const ROUTE: &str = "/v1/collections/{collection}/export";

/// What the export holds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// Whether each document is followed by its chunks.
    #[serde(default)]
    #[param(required = false)]
    chunks: bool,
    /// Whether chunks come with their vectors; only with `chunks`.
    #[serde(default)]
    #[param(required = false)]
    vectors: bool,
    /// Only documents whose metadata passes.
    #[param(example = "lang = \"de\" and year >= 2024")]
    filter: Option<String>,
}

/// Export a collection
///
/// Every visible document that the credential may see, a JSON object a line: first the collection, then documents, each
/// followed by its chunks where they are asked for, and at last `{"type":"end",…}` with their numbers. A response without that
/// line is not whole.
#[utoipa::path(
    get, path = "/v1/collections/{collection}/export", operation_id = "exportCollection", tag = "collections",
    params(("collection" = String, Path, description = "The collection's name", example = "default"), ExportQuery),
    responses(
        (status = 200, description = "The lines", body = String, content_type = "application/x-ndjson"),
        (status = 403, description = "For administrators only", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such collection", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A bad filter, or vectors without chunks", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(name): ProblemPath<String>,
    ProblemQuery(query): ProblemQuery<ExportQuery>,
) -> Result<Response, Problem> {
    let ExportQuery { chunks, vectors, filter } = query;
    if vectors && !chunks {
        return Err(
            Problem::new(Code::Invalid, "vectors come with their chunks: add `chunks=true`").at("vectors")
        );
    }
    let filter = filter
        .as_deref()
        .map(Filter::parse)
        .transpose()
        .map_err(|error| Problem::from(error).at("filter"))?;
    let scope = find(&server, &scope, &name).await?;
    let pieces = export(server.app.store.catalog.clone(), scope, ExportOptions { chunks, vectors, filter })
        // The status is sent already: a connection that breaks off says it.
        .inspect_err(|error| tracing::warn!(error = error.chain(), "an export broke off"));
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))];
    Ok((kind, Body::from_stream(pieces)).into_response())
}
