//! `PUT …/documents/{id}/acl`: who may see a document, changed where it stands.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wellspring_store::DocumentId;

use super::Shared;
use super::caller::Caller;
use super::collections::find;
use super::extract::{ProblemJson, ProblemPath};
use crate::problem::{Code, Problem};

/// Who may see a document.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "acl": ["user:ada", "group:ops"] }))]
pub(super) struct AccessList {
    /// Principals, at most `ingest.max_acl_entries`; null for everybody of the tenant.
    #[serde(deserialize_with = "present")]
    #[schema(required)]
    acl: Option<Vec<String>>,
}

/// A list or null, but not nothing: leaving it out must not open a document.
fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Vec<String>>, D::Error> {
    Option::deserialize(value)
}

/// Change who may see a document
///
/// In force for every request that is sent after this one is answered: searches, answers, lists, counts and jobs. Nothing is
/// embedded or indexed again. Versions that wait to be indexed get the list, too. A sender with principals of its own must
/// be able to see the document afterwards.
#[utoipa::path(
    put, path = "/v1/collections/{collection}/documents/{id}/acl", operation_id = "setAccessList", tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", example = "default"),
        ("id" = String, Path, description = "The document's id, percent-encoded", example = "handbook/welcome.md"),
    ),
    request_body = AccessList,
    responses(
        (status = 200, description = "Changed", body = AccessList),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The sender would not see the document any more", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such document", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A bad or missing list", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn set(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath((collection, id)): ProblemPath<(String, String)>,
    ProblemJson(AccessList { acl }): ProblemJson<AccessList>,
) -> Result<Response, Problem> {
    let most = server.app.config.ingest.max_acl_entries;
    if acl.as_ref().is_some_and(|acl| acl.len() > most) {
        return Err(Problem::new(
            Code::Invalid,
            format!("an access list has at most {most} principals (`ingest.max_acl_entries`)"),
        )
        .at("acl"));
    }
    let scope = find(&server, &scope, &collection).await?;
    server.app.store.catalog.set_acl(&scope, &DocumentId::new(id)?, acl.clone()).await?;
    Ok(Json(AccessList { acl }).into_response())
}
