//! `/health` and `/ready`: whether the process lives, and whether it can do its work.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;
use wellspring_store::accounts::Right;

use super::Shared;
use crate::auth::Sender;

/// Paths that are answered however full the server is.
pub(super) const ALWAYS_ANSWERED: [&str; 3] = ["/health", "/ready", "/metrics"];
/// Below this much free space the server says that it is not ready: SQLite and the indexes need room to work in.
const LEAST_FREE_BYTES: u64 = 256 << 20;
/// Changes by which an index may lag. `Lag` counts up to this many.
const MOST_BEHIND: u64 = 1_000;
/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The process lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The release.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// Say that the process lives
///
/// Asks nothing else; see `/ready`.
#[utoipa::path(get, path = "/health", operation_id = "health", tag = "service", responses((status = 200, description = "It does", body = Health)))]
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Whether the server can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether every check passed.
    ready: bool,
    /// What was looked at; empty for whoever may not see it.
    checks: Vec<Check>,
}

/// One thing looked at.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Check {
    /// `catalog`, `models`, `indexes`, `disk` or `shutdown`.
    #[schema(example = "catalog")]
    name: &'static str,
    ok: bool,
    /// What was found; where it is not `ok`, the cause and the fix.
    #[schema(example = "answers")]
    detail: String,
}

/// Say whether the server is ready
///
/// Looks at the catalog, at the models of every collection (loading them if need be), at how far the indexes lag and at
/// the free disk space. Where authentication is on the checks themselves are an operator's, unless `auth.open_readiness`
/// shows them to everybody.
#[utoipa::path(
    get, path = "/ready", operation_id = "ready", tag = "service",
    responses(
        (status = 200, description = "It is", body = Readiness),
        (status = 503, description = "It is not, and why", body = Readiness),
    )
)]
pub(super) async fn ready(State(server): State<Shared>, sender: Option<Extension<Sender>>) -> Response {
    let checks = vec![
        check("catalog", catalog(&server)).await,
        check("models", models(&server)).await,
        check("indexes", indexes(&server)).await,
        check("disk", disk(&server)).await,
        check("shutdown", shutdown(&server)).await,
    ];
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let operator = sender.is_some_and(|Extension(sender)| sender.permits(Right::Operator));
    let checks = if operator || server.app.config.auth.open_readiness { checks } else { Vec::new() };
    let mut response = (status, Json(Readiness { ready, checks })).into_response();
    if !ready {
        let wait = axum::http::HeaderValue::from_static("5");
        response.headers_mut().insert(axum::http::header::RETRY_AFTER, wait);
    }
    response
}

async fn check(name: &'static str, look: impl Future<Output = Result<String, String>>) -> Check {
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(Ok(detail)) => Check { name, ok: true, detail },
        Ok(Err(detail)) => Check { name, ok: false, detail },
        Err(_) => Check { name, ok: false, detail: format!("no answer within {} s", PATIENCE.as_secs()) },
    }
}

async fn catalog(server: &Shared) -> Result<String, String> {
    server.app.store.catalog.ping().await.map_err(|error| error.to_string())?;
    Ok("answers".to_owned())
}

async fn models(server: &Shared) -> Result<String, String> {
    let collections = server.app.store.catalog.all_collections().await.map_err(|error| error.to_string())?;
    let mut names: BTreeSet<String> =
        collections.into_iter().map(|(_, collection)| collection.model).collect();
    names.insert(server.app.registry.config().default_embedder.clone());
    for name in &names {
        server.app.registry.embedder(name).await.map_err(|error| error.to_string())?;
    }
    Ok(format!("loaded: {}", names.into_iter().collect::<Vec<_>>().join(", ")))
}

async fn indexes(server: &Shared) -> Result<String, String> {
    if !server.app.store.indexes.keeps_any() {
        return Ok("none are kept here".to_owned());
    }
    let lags = server.app.store.indexes.lag().await.map_err(|error| error.to_string())?;
    match lags.iter().max_by_key(|lag| lag.behind) {
        Some(lag) if lag.behind >= MOST_BEHIND => Err(format!(
            "the {} index of `{}` is {} or more changes behind; it is catching up",
            lag.index, lag.collection, lag.behind
        )),
        Some(lag) => Ok(format!("at most {} changes behind", lag.behind)),
        None => Ok("there are none yet".to_owned()),
    }
}

async fn disk(server: &Shared) -> Result<String, String> {
    let folder = server.scratch();
    let free =
        tokio::task::spawn_blocking(move || free_bytes(&folder)).await.map_err(|error| error.to_string())?;
    let free = free.map_err(|error| format!("the free space of the data folder is unknown: {error}"))?;
    let mebibytes = free >> 20;
    if free < LEAST_FREE_BYTES {
        return Err(format!(
            "{mebibytes} MiB free in the data folder, {} wanted: free space",
            LEAST_FREE_BYTES >> 20
        ));
    }
    Ok(format!("{mebibytes} MiB free"))
}

/// Bytes that this user can still write in the file system of `folder`.
fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

async fn shutdown(server: &Shared) -> Result<String, String> {
    if server.closing.is_closing() {
        Err("the server is shutting down".to_owned())
    } else {
        Ok("not asked for".to_owned())
    }
}
