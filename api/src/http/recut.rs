//! `POST …/documents/{id}/chunks/preview`: how a document would be cut with other settings, before anybody decides.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wellspring_store::DocumentId;

use super::caller::Identified;
use super::collections::find;
use super::extract::{ProblemJson, ProblemPath};
use super::{Shared, schema};
use crate::problem::Problem;

/// Where it is asked for.
pub(super) const ROUTE: &str = "/v1/collections/{collection}/documents/{id}/chunks/preview";

/// Other settings.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "chunk": { "target_tokens": 120, "overlap_tokens": 0 } }))]
pub(super) struct Recut {
    /// Members of the configuration's section `chunk`, laid over the collection's.
    #[serde(default)]
    #[schema(value_type = Object)]
    chunk: Map<String, Value>,
}

/// Show how a document would be cut
///
/// The original is read again and cut with other settings. Nothing is stored; with `"boundaries": "semantic"` its sentences are
/// embedded, and paid for where the embedder costs money.
#[utoipa::path(
    post, path = "/v1/collections/{collection}/documents/{id}/chunks/preview", operation_id = "previewChunks", tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", example = "default"),
        ("id" = String, Path, description = "The document's id, percent-encoded", example = "handbook/welcome.md"),
    ),
    request_body = Recut,
    responses(
        (status = 200, description = "Its chunks as they would be", body = schema::CutPreview),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such document, or not visible yet", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Settings that can't be, or a document that can't be read any more", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The embedder or a library can't serve now", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn preview(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemPath((collection, id)): ProblemPath<(String, String)>,
    ProblemJson(Recut { chunk }): ProblemJson<Recut>,
) -> Result<Response, Problem> {
    let scope = find(&server, sender.scope(), &collection).await?;
    let id = DocumentId::new(id)?;
    let preview = server.app.ingestor.recut(&scope, &id, &chunk, &sender.account()).await?;
    Ok(Json(preview).into_response())
}
