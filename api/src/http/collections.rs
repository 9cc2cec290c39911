//! `/v1/collections`: make, list, show and delete collections.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wellspring_store::{CollectionName, CollectionScope, Scope};

use super::Shared;
use super::authorise::About;
use super::caller::Caller;
use super::extract::{ProblemJson, ProblemPath};
use super::schema::{Collection, CollectionDetail, CollectionList};
use crate::problem::Problem;

/// A collection to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCollection {
    /// 1-64 characters of a-z, 0-9, _ and -, starting with a letter or digit.
    #[schema(example = "handbook")]
    name: String,
    /// The embedder; the configured one if absent. It can't be changed later.
    #[schema(example = "all-MiniLM-L6-v2")]
    model: Option<String>,
    /// How its documents are cut: members of the configuration's section `chunk`, laid over it.
    #[schema(value_type = Option<Object>, example = json!({ "target_tokens": 120 }))]
    chunk: Option<Map<String, Value>>,
}

/// What a deletion answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Deleted {
    /// Always true: from now on no answer holds it.
    pub(super) deleted: bool,
    /// The place of a document's removal in the change sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seq: Option<i64>,
}

/// Looks a collection up by its name in the path or the body.
pub(super) async fn find(server: &Shared, scope: &Scope, name: &str) -> Result<CollectionScope, Problem> {
    let name = CollectionName::new(name)?;
    Ok(server.app.store.catalog.collection(scope, &name).await?.0)
}

/// Make a collection
///
/// The collection keeps the embedder's fingerprint; vectors of any other are refused.
#[utoipa::path(
    post, path = "/v1/collections", operation_id = "createCollection", tag = "collections", request_body = NewCollection,
    responses(
        (status = 201, description = "Made; `Location` names it", body = Collection),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A bad name, or an unknown member", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The embedder can't be loaded", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemJson(NewCollection { name, model, chunk }): ProblemJson<NewCollection>,
) -> Result<Response, Problem> {
    let name = CollectionName::new(name)?;
    let collection =
        server.app.create_collection_cut(&scope, &name, model, &chunk.unwrap_or_default()).await?;
    let mut response = (StatusCode::CREATED, Json(collection)).into_response();
    response.extensions_mut().insert(About(name.as_str().to_owned()));
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/collections/{name}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// List collections
///
/// By name, with counts of what is visible.
#[utoipa::path(
    get, path = "/v1/collections", operation_id = "listCollections", tag = "collections",
    responses((status = 200, description = "All of them", body = CollectionList))
)]
pub(super) async fn list(State(server): State<Shared>, Caller(scope): Caller) -> Result<Response, Problem> {
    let collections = server.app.store.catalog.collections(&scope).await?;
    Ok(Json(serde_json::json!({ "collections": collections })).into_response())
}

/// Show a collection
///
/// With its indexes: which engine, why, how many entries.
#[utoipa::path(
    get, path = "/v1/collections/{collection}", operation_id = "getCollection", tag = "collections",
    params(("collection" = String, Path, description = "Its name", example = "default")),
    responses(
        (status = 200, description = "The collection", body = CollectionDetail),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(name): ProblemPath<String>,
) -> Result<Response, Problem> {
    let name = CollectionName::new(name)?;
    let (scope, collection) = server.app.store.catalog.collection(&scope, &name).await?;
    let indexes = server.app.store.indexes.stats(&scope).await?;
    Ok(Json(serde_json::json!({ "collection": collection, "indexes": indexes })).into_response())
}

/// Delete a collection
///
/// With all its documents, which no answer holds from the moment this returns; their bytes leave the disk later.
#[utoipa::path(
    delete, path = "/v1/collections/{collection}", operation_id = "deleteCollection", tag = "collections",
    params(("collection" = String, Path, description = "Its name", example = "handbook")),
    responses(
        (status = 200, description = "Gone", body = Deleted),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(name): ProblemPath<String>,
) -> Result<Json<Deleted>, Problem> {
    let scope = find(&server, &scope, &name).await?;
    server.app.delete_collection(&scope).await?;
    Ok(Json(Deleted { deleted: true, seq: None }))
}
