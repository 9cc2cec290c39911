//! Accepting a document and deleting one: the two writes that a client waits for.

use sqlx::SqliteConnection;

use super::failure::During;
use super::scoped::living;
use super::versions::{self, remove};
use crate::catalog::rows::job::{job_id, new_job_id};
use crate::catalog::rows::values::{json, no_document, parsed, signed};
use crate::catalog::{Accepted, IdempotencyKey};
use crate::document::{DocumentId, NewDocument, Seq, Version};
use crate::error::{ErrorKind, Result, StoreError};
use crate::jobs::{JobId, MAX_ATTEMPTS};
use crate::scope::CollectionScope;

pub(super) async fn accept(
    connection: &mut SqliteConnection,
    now: i64,
    scope: CollectionScope,
    document: NewDocument,
    idempotency: Option<IdempotencyKey>,
) -> Result<Accepted> {
    living(connection, &scope).await?;
    if let Some(key) = &idempotency
        && let Some(first) = remembered(connection, &scope, key).await?
    {
        return Ok(first);
    }
    if let Some(key) = living_document(connection, &scope, &document.id).await?
        && !may_replace(connection, &scope, key).await?
    {
        return Err(StoreError::new(
            ErrorKind::Conflict,
            format!("the document id {:?} is taken: choose another", document.id.as_str()),
        ));
    }
    let (document_key, version): (i64, Version) = sqlx::query_as(
        "INSERT INTO documents (collection_key, id, last_version, created_at) VALUES (?, ?, 1, ?) \
         ON CONFLICT (collection_key, id) WHERE deleted_at IS NULL DO UPDATE SET last_version = last_version + 1 \
         RETURNING key, last_version",
    )
    .bind(scope.key().0)
    .bind(document.id.as_str())
    .bind(now)
    .fetch_one(&mut *connection)
    .await
    .during("accept the document")?;
    sqlx::query(
        "INSERT INTO versions (document_key, version, state, blob, bytes, source, declared_type, declared_title, \
            declared_metadata, acl, created_at) VALUES (?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(document_key)
    .bind(version)
    .bind(document.blob.0.as_slice())
    .bind(signed(document.bytes)?)
    .bind(&document.source)
    .bind(&document.media_type)
    .bind(&document.title)
    .bind(json(&document.metadata)?)
    .bind(document.acl.as_deref().map(json).transpose()?)
    .bind(now)
    .execute(&mut *connection)
    .await
    .during("accept the document")?;
    let job = new_job(connection, now, &scope, document_key, version, &document).await?;
    let accepted = Accepted { version, job };
    if let Some(key) = idempotency {
        remember(connection, now, &scope, &key, accepted).await?;
    }
    Ok(accepted)
}

async fn new_job(
    connection: &mut SqliteConnection,
    now: i64,
    scope: &CollectionScope,
    document_key: i64,
    version: Version,
    document: &NewDocument,
) -> Result<JobId> {
    let id = new_job_id(now);
    sqlx::query(
        "INSERT INTO jobs (id, collection_key, document_key, version, document_id, source, acl, state, stage, \
            max_attempts, due_at, created_at, updated_at, trace) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'queued', 'waiting', ?8, ?9, ?9, ?9, ?10)",
    )
    .bind(id.to_string())
    .bind(scope.key().0)
    .bind(document_key)
    .bind(version)
    .bind(document.id.as_str())
    .bind(&document.source)
    .bind(document.acl.as_deref().map(json).transpose()?)
    .bind(i64::from(MAX_ATTEMPTS))
    .bind(now)
    .bind(&document.trace)
    .execute(connection)
    .await
    .during("accept the document")?;
    Ok(id)
}

async fn remembered(
    connection: &mut SqliteConnection,
    scope: &CollectionScope,
    key: &IdempotencyKey,
) -> Result<Option<Accepted>> {
    let first: Option<(Vec<u8>, Version, String)> =
        sqlx::query_as("SELECT request, version, job FROM idempotency WHERE collection_key = ? AND key = ?")
            .bind(scope.key().0)
            .bind(&key.key)
            .fetch_optional(connection)
            .await
            .during("look up the idempotency key")?;
    match first {
        None => Ok(None),
        Some((request, version, job)) if request == key.request.0 => {
            Ok(Some(Accepted { version, job: job_id(&job)? }))
        }
        Some(_) => Err(StoreError::new(
            ErrorKind::Conflict,
            format!("the idempotency key {:?} was used for another request: use a new one", key.key),
        )),
    }
}

async fn remember(
    connection: &mut SqliteConnection,
    now: i64,
    scope: &CollectionScope,
    key: &IdempotencyKey,
    accepted: Accepted,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO idempotency (collection_key, key, request, version, job, created_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(scope.key().0)
    .bind(&key.key)
    .bind(key.request.0.as_slice())
    .bind(accepted.version)
    .bind(accepted.job.to_string())
    .bind(now)
    .execute(connection)
    .await
    .during("remember the idempotency key")?;
    Ok(())
}

pub(super) async fn living_document(
    connection: &mut SqliteConnection,
    scope: &CollectionScope,
    id: &DocumentId,
) -> Result<Option<i64>> {
    sqlx::query_scalar("SELECT key FROM documents WHERE collection_key = ? AND id = ? AND deleted_at IS NULL")
        .bind(scope.key().0)
        .bind(id.as_str())
        .fetch_optional(connection)
        .await
        .during("look up the document")
}

/// Whether the scope sees what it is about to replace or delete: the visible version or, before there is one, all those
/// to come.
async fn may_replace(
    connection: &mut SqliteConnection,
    scope: &CollectionScope,
    document: i64,
) -> Result<bool> {
    let live = live_versions(connection, document).await?;
    let visible = live.iter().find(|(_, state, _)| state == "visible");
    for (_, _, acl) in visible.map_or(live.as_slice(), std::slice::from_ref) {
        let acl: Option<Vec<String>> = acl.as_deref().map(parsed).transpose()?;
        if !scope.scope().sees(acl.as_deref()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Key, state and access list of the versions that are not removed.
pub(super) async fn live_versions(
    connection: &mut SqliteConnection,
    document: i64,
) -> Result<Vec<(i64, String, Option<String>)>> {
    sqlx::query_as(
        "SELECT key, state, acl FROM versions WHERE document_key = ? AND state <> 'removed' ORDER BY version",
    )
    .bind(document)
    .fetch_all(connection)
    .await
    .during("look up the document")
}

pub(super) async fn delete_version(
    connection: &mut SqliteConnection,
    now: i64,
    scope: CollectionScope,
    id: DocumentId,
    version: Version,
) -> Result<Seq> {
    let (_, shown, _) = super::queries::shown(connection, &scope, &id).await?;
    if shown != version {
        let message = format!("version {shown} of the document {:?} is the visible one", id.as_str());
        return Err(StoreError::new(ErrorKind::Conflict, message));
    }
    delete(connection, now, scope, id).await
}

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    now: i64,
    scope: CollectionScope,
    id: DocumentId,
) -> Result<Seq> {
    living(connection, &scope).await?;
    let document = living_document(connection, &scope, &id).await?.ok_or_else(|| no_document(id.as_str()))?;
    let live = live_versions(connection, document).await?;
    if live.is_empty() || !may_replace(connection, &scope, document).await? {
        return Err(no_document(id.as_str()));
    }
    versions::show(connection, document, None).await?;
    sqlx::query("UPDATE documents SET deleted_at = ? WHERE key = ?")
        .bind(now)
        .bind(document)
        .execute(&mut *connection)
        .await
        .during("delete the document")?;
    // A version that a worker holds is removed when that worker notices, or when its lease runs out.
    let held: Vec<Version> =
        sqlx::query_scalar("SELECT version FROM jobs WHERE document_key = ? AND state = 'running'")
            .bind(document)
            .fetch_all(&mut *connection)
            .await
            .during("delete the document")?;
    sqlx::query(
        "UPDATE jobs SET cancel_requested = 1, updated_at = ?1, reason = 'deleted', \
            message = 'the document was deleted', \
            state = CASE state WHEN 'running' THEN state ELSE 'cancelled' END, \
            stage = CASE state WHEN 'running' THEN stage ELSE 'done' END \
         WHERE document_key = ?2 AND state IN ('queued', 'running', 'dead')",
    )
    .bind(now)
    .bind(document)
    .execute(&mut *connection)
    .await
    .during("delete the document")?;
    for (key, _, _) in live {
        let version = versions::get(connection, key).await?;
        if !held.contains(&version.version) {
            remove(connection, &version).await?;
        }
    }
    super::changes::last_seq(connection, scope).await
}
