//! `/v1/models`: the collections that chat and the embedders that embed, as OpenAI lists models.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use wellspring_models::ErrorKind;
use wellspring_models::registry::ListedKind;
use wellspring_store::Scope;

use super::super::Shared;
use super::super::caller::Caller;
use super::super::extract::ProblemPath;
use super::{ErrorBody, Failure};
use crate::problem::Problem;

/// Every model that a request can name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelList {
    /// Always `list`.
    object: &'static str,
    /// Collections, embedders, rerankers; each by name.
    data: Vec<Model>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Model {
    /// What a request calls it.
    #[schema(example = "default")]
    id: String,
    /// Always `model`.
    object: &'static str,
    /// Seconds since 1970; 0 where that means nothing.
    created: i64,
    /// Always `wellspring`.
    owned_by: &'static str,
    /// Which door takes it.
    kind: Kind,
}

/// Which door takes a model.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// `/v1/chat/completions`
    Collection,
    /// `/v1/embeddings`
    Embedder,
    /// `/v1/rerank`
    Reranker,
}

/// List models
///
/// The caller's collections, which chat, and the embedders and rerankers that can be named.
#[utoipa::path(
    get, path = "/v1/models", operation_id = "listModels", tag = "openai",
    responses(
        (status = 200, description = "All of them", body = ModelList),
        (status = 429, description = "A limit was reached", body = ErrorBody),
    )
)]
pub(super) async fn list(
    State(server): State<Shared>,
    caller: Result<Caller, Problem>,
) -> Result<Json<ModelList>, Failure> {
    let Caller(scope) = caller?;
    Ok(Json(ModelList { object: "list", data: all(&server, &scope).await? }))
}

/// Show a model
///
/// By its id, percent-encoded.
#[utoipa::path(
    get, path = "/v1/models/{model}", operation_id = "getModel", tag = "openai",
    params(("model" = String, Path, description = "The model's id, percent-encoded", example = "default")),
    responses(
        (status = 200, description = "The model", body = Model),
        (status = 404, description = "No such model", body = ErrorBody),
    )
)]
pub(super) async fn show(
    State(server): State<Shared>,
    caller: Result<Caller, Problem>,
    id: Result<ProblemPath<String>, Problem>,
) -> Result<Json<Model>, Failure> {
    let (Caller(scope), ProblemPath(id)) = (caller?, id?);
    let found = all(&server, &scope).await?.into_iter().find(|model| model.id == id);
    found.map(Json).ok_or_else(|| Failure::no_model(&id, "a collection, an embedder or a reranker"))
}

async fn all(server: &Shared, scope: &Scope) -> Result<Vec<Model>, Failure> {
    let model = |id, created, kind| Model { id, object: "model", created, owned_by: "wellspring", kind };
    let mut models: Vec<Model> = server
        .app
        .store
        .catalog
        .collections(scope)
        .await?
        .into_iter()
        .map(|collection| {
            let made = collection.created_at.parse::<jiff::Timestamp>().map_or(0, |at| at.as_second());
            model(collection.name.to_string(), made, Kind::Collection)
        })
        .collect();
    let registry = std::sync::Arc::clone(&server.app.registry);
    // The model folder is read.
    let listed = tokio::task::spawn_blocking(move || registry.available()).await.map_err(|panic| {
        wellspring_models::ModelError::new(ErrorKind::Internal, "listing the models failed")
            .with_source(panic)
    })?;
    models.extend(listed.into_iter().filter(|listing| listing.problem.is_none()).filter_map(|listing| {
        match listing.kind {
            ListedKind::Embedder => Some(model(listing.name, 0, Kind::Embedder)),
            ListedKind::Reranker => Some(model(listing.name, 0, Kind::Reranker)),
            ListedKind::Chat => None,
        }
    }));
    Ok(models)
}
