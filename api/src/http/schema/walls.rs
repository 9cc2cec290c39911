//! Shapes of keys and of the audit log.
#![expect(dead_code, reason = "shapes for openapi.json: described, never built")]

use serde::Deserialize;
use utoipa::ToSchema;

/// What may be done with a credential.
#[derive(ToSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Right {
    /// Search, ask, read documents and jobs.
    Read,
    /// Add, replace and delete documents, change their access lists, make collections.
    Write,
    /// Both, and: delete collections, make and revoke keys of the tenant, read its audit log.
    Admin,
    /// All of it, for every tenant, and the metrics of the whole server.
    Operator,
}

/// A key. Its secret is nowhere.
#[derive(ToSchema)]
pub(crate) struct ApiKey {
    /// The public part.
    #[schema(example = "9f86d081884c7d65")]
    id: String,
    #[schema(example = "default")]
    tenant: String,
    /// For people.
    #[schema(example = "the intranet's search box")]
    name: String,
    rights: Vec<Right>,
    /// Collections it may touch; null for all.
    #[schema(required)]
    collections: Option<Vec<String>>,
    /// Tools that agents may call with it; null for all.
    #[schema(required)]
    tools: Option<Vec<String>>,
    /// Whose documents it sees; null for every document.
    #[schema(required)]
    principals: Option<Vec<String>>,
    /// Who made it.
    #[schema(required)]
    created_by: Option<String>,
    /// RFC 3339.
    #[schema(format = DateTime)]
    created_at: String,
    /// RFC 3339.
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
    /// RFC 3339.
    #[schema(required, format = DateTime)]
    revoked_at: Option<String>,
}

/// A key that was made.
#[derive(ToSchema)]
pub(crate) struct MadeKey {
    key: ApiKey,
    /// The whole key, shown this once.
    #[schema(example = "ws_9f86d081884c7d65_…")]
    token: String,
}

/// A page of keys.
#[derive(ToSchema)]
pub(crate) struct KeyList {
    /// By tenant and id, revoked and expired ones included.
    keys: Vec<ApiKey>,
    /// Give it back as `cursor` to get the next page.
    #[schema(required)]
    next: Option<String>,
}

/// Something that was done or refused.
#[derive(ToSchema)]
pub(crate) struct AuditEntry {
    /// Ascending with time.
    seq: i64,
    /// RFC 3339.
    #[schema(format = DateTime)]
    at: String,
    tenant: String,
    /// `key:…`, `user:…` or `command` (somebody at the data folder).
    #[schema(example = "key:9f86d081884c7d65")]
    actor: String,
    /// The operation, by its id in this description.
    #[schema(example = "deleteDocument")]
    action: String,
    #[schema(required)]
    collection: Option<String>,
    /// The document, job or key, by id.
    #[schema(required)]
    object: Option<String>,
    /// The HTTP status: 2xx was done, 4xx refused, 5xx failed.
    outcome: u16,
    /// The request's id.
    #[schema(required)]
    request: Option<String>,
}

/// A page of the audit log.
#[derive(ToSchema)]
pub(crate) struct AuditList {
    /// Newest first.
    entries: Vec<AuditEntry>,
    /// Give it back as `cursor` to get the next page.
    #[schema(required)]
    next: Option<String>,
}
