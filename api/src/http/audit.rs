//! `/v1/audit`: who did what.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use wellspring_store::audit::AuditFilter;

use super::caller::Identified;
use super::extract::ProblemQuery;
use super::keys::asked_about;
use super::{Shared, schema};
use crate::problem::Problem;

/// Which entries to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only of this tenant. An operator sees every tenant's.
    tenant: Option<String>,
    /// Only by this actor.
    #[param(example = "key:9f86d081884c7d65")]
    actor: Option<String>,
    /// Only about this document, job or key.
    object: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// At most this many, 1-1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Read the audit log
///
/// Newest first. Every change, and every attempt at one that was refused for want of a right: who, what, when and how it
/// ended, without content. Entries are never changed and never removed.
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "listAudit", tag = "administration", params(ListQuery),
    responses(
        (status = 200, description = "A page of it", body = schema::AuditList),
        (status = 422, description = "A bad tenant, cursor or limit", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemQuery(query): ProblemQuery<ListQuery>,
) -> Result<Response, Problem> {
    let ListQuery { tenant, actor, object, cursor, limit } = query;
    let filter = AuditFilter { tenant: asked_about(&sender, tenant)?, actor, object };
    let limit = super::page_size(limit)?;
    let page = server.app.store.audit.entries(filter, cursor.as_deref(), limit).await?;
    Ok(Json(json!({ "entries": page.items, "next": page.next })).into_response())
}
