//! `/v1/webhooks`: who is told what happens to documents, how each telling went, and telling again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use wellspring_store::webhooks::DeliveryState;
use wellspring_store::{Access, Scope};

use super::Shared;
use super::caller::Caller;
use super::extract::{ProblemPath, ProblemQuery};
use crate::problem::{Code, Problem};

/// Every receiver of the caller's tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EndpointList {
    endpoints: Vec<Endpoint>,
}

/// A receiver, as the operator configured it; its URL and secret are not shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Endpoint {
    #[schema(example = "audit")]
    name: String,
    /// Kinds of events; empty for all.
    events: Vec<String>,
    /// Names of collections; empty for all.
    collections: Vec<String>,
}

/// Which deliveries to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only those of this receiver.
    endpoint: Option<String>,
    /// Only those in this state.
    #[param(value_type = Option<Standing>)]
    state: Option<DeliveryState>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// At most this many, 1-1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Where a delivery stands.
#[derive(ToSchema)]
#[schema(as = DeliveryState, rename_all = "snake_case")]
#[expect(dead_code, reason = "a shape for openapi.json: described, never built")]
pub(super) enum Standing {
    Pending,
    Delivered,
    Failed,
}

/// One event on its way to one receiver.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for openapi.json: described, never built")]
pub(super) struct Delivery {
    /// The `webhook-id` of every attempt and replay.
    #[schema(example = "msg_01931a6e7c4d7c3b9d5a3f1f6c1b2a3d")]
    id: String,
    endpoint: String,
    #[schema(example = "job.indexed")]
    kind: String,
    /// The JSON that is sent: `type`, `timestamp` and `data`.
    #[schema(value_type = Object)]
    payload: Value,
    state: Standing,
    /// Attempts made since it was planned or replayed.
    attempts: u32,
    /// The status of the last answer; null where none came.
    #[schema(required)]
    status: Option<u16>,
    /// Why the last attempt failed.
    #[schema(required)]
    error: Option<String>,
    /// RFC 3339.
    #[schema(format = DateTime)]
    created_at: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A page of deliveries.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for openapi.json: described, never built")]
pub(super) struct DeliveryList {
    /// Newest first.
    deliveries: Vec<Delivery>,
    /// Give it back as `cursor` for the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
}

/// List webhook receivers
///
/// As the operator configured them (`webhooks.endpoints`).
#[utoipa::path(
    get, path = "/v1/webhooks", operation_id = "listWebhooks", tag = "webhooks",
    responses(
        (status = 200, description = "All of them", body = EndpointList),
        (status = 403, description = "For administrators only", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(server): State<Shared>,
    Caller(scope): Caller,
) -> Result<Json<EndpointList>, Problem> {
    administrator(&scope)?;
    let own = |tenant: &str| tenant == scope.tenant().as_str();
    let endpoints = server.app.config.webhooks.endpoints.iter().filter(|one| own(&one.tenant));
    let endpoints = endpoints.map(|one| Endpoint {
        name: one.name.clone(),
        events: one.events.iter().cloned().collect(),
        collections: one.collections.iter().cloned().collect(),
    });
    Ok(Json(EndpointList { endpoints: endpoints.collect() }))
}

/// List deliveries
///
/// Newest first, a page at a time.
#[utoipa::path(
    get, path = "/v1/webhooks/deliveries", operation_id = "listDeliveries", tag = "webhooks", params(ListQuery),
    responses(
        (status = 200, description = "A page of them", body = DeliveryList),
        (status = 403, description = "For administrators only", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A bad state, cursor or limit", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn deliveries(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemQuery(query): ProblemQuery<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let ListQuery { endpoint, state, cursor, limit } = query;
    let limit = super::page_size(limit)?;
    let catalog = &server.app.store.catalog;
    let page = catalog.deliveries(&scope, endpoint.as_deref(), state, cursor.as_deref(), limit).await?;
    Ok(Json(json!({ "deliveries": page.items, "next": page.next })))
}

/// Deliver again
///
/// With the same `webhook-id` and all attempts before it, whatever became of it.
#[utoipa::path(
    post, path = "/v1/webhooks/deliveries/{id}/replay", operation_id = "replayDelivery", tag = "webhooks",
    params(("id" = String, Path, description = "The delivery's id", example = "msg_01931a6e7c4d7c3b9d5a3f1f6c1b2a3d")),
    responses(
        (status = 202, description = "It is due", body = Delivery),
        (status = 403, description = "For administrators only", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn replay(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(id): ProblemPath<String>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let delivery = server.app.store.catalog.replay_delivery(&scope, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(json!(delivery))))
}

/// Receivers tell of everybody's documents.
fn administrator(scope: &Scope) -> Result<(), Problem> {
    if *scope.access() == Access::Everything {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden, "webhooks are the tenant's administrator's"))
}
