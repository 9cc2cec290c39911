//! Collections: made, looked up under a scope, listed, deleted.

use sqlx::PgConnection;

use super::failure::During;
use super::replicas::{self, Replica};
use super::scoped::arguments;
use super::{conversations, feedback, recorded};
use crate::catalog::rows::document::CollectionRow;
use crate::catalog::rows::values::{json, no_collection, signed, unsigned};
use crate::clock::rfc3339;
use crate::document::{Collection, CollectionKey, CollectionName, NewCollection};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::{Access, CollectionScope, Scope, TenantId};

pub(super) async fn create(
    connection: &mut PgConnection,
    now: i64,
    scope: Scope,
    new: NewCollection,
    replica: Option<Replica>,
) -> Result<Collection> {
    if !scope.permits(&new.name) {
        return Err(StoreError::new(
            ErrorKind::Unauthorized,
            format!(
                "this key may not make the collection {:?}: use one that may touch it",
                new.name.as_str()
            ),
        ));
    }
    if new.dimension == 0 {
        return Err(StoreError::new(
            ErrorKind::Invalid,
            "a collection's vectors have at least one component",
        ));
    }
    sqlx::query("INSERT INTO tenants (name, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(scope.tenant().as_str())
        .bind(now)
        .execute(&mut *connection)
        .await
        .during("create the collection")?;
    let key: Option<i64> = sqlx::query_scalar(
        "INSERT INTO collections (tenant, name, model, fingerprint, dimension, settings, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING key",
    )
    .bind(scope.tenant().as_str())
    .bind(new.name.as_str())
    .bind(&new.model)
    .bind(&new.fingerprint)
    .bind(signed(new.dimension)?)
    .bind(json(&new.settings)?)
    .bind(now)
    .fetch_optional(&mut *connection)
    .await
    .during("create the collection")?;
    let key = key.ok_or_else(|| {
        StoreError::new(ErrorKind::Conflict, format!("a collection {:?} exists already", new.name.as_str()))
    })?;
    if let Some(replica) = replica {
        replicas::enter(connection, key, &replica).await?;
    }
    Ok(Collection {
        key: CollectionKey(key),
        name: new.name,
        model: new.model,
        fingerprint: new.fingerprint,
        dimension: new.dimension,
        settings: new.settings,
        created_at: rfc3339(now),
        documents: 0,
        chunks: 0,
    })
}

pub(super) async fn get(
    connection: &mut PgConnection,
    scope: Scope,
    name: CollectionName,
) -> Result<(CollectionScope, Collection)> {
    if !scope.permits(&name) {
        return Err(no_collection(name.as_str()));
    }
    let row: Option<CollectionRow> =
        sqlx::query_as("SELECT * FROM collections WHERE tenant = $1 AND name = $2 AND deleted_at IS NULL")
            .bind(scope.tenant().as_str())
            .bind(name.as_str())
            .fetch_optional(&mut *connection)
            .await
            .during("look up the collection")?;
    let row = row.ok_or_else(|| no_collection(name.as_str()))?;
    under(connection, scope, row).await
}

pub(super) async fn list(connection: &mut PgConnection, scope: Scope) -> Result<Vec<Collection>> {
    let rows: Vec<CollectionRow> =
        sqlx::query_as("SELECT * FROM collections WHERE tenant = $1 AND deleted_at IS NULL ORDER BY name")
            .bind(scope.tenant().as_str())
            .fetch_all(&mut *connection)
            .await
            .during("list the collections")?;
    let mut collections = Vec::with_capacity(rows.len());
    for row in rows {
        if scope.permits(&CollectionName::new(row.name.clone())?) {
            collections.push(under(connection, scope.clone(), row).await?.1);
        }
    }
    Ok(collections)
}

pub(super) async fn all(connection: &mut PgConnection) -> Result<Vec<(CollectionScope, Collection)>> {
    let rows: Vec<CollectionRow> =
        sqlx::query_as("SELECT * FROM collections WHERE deleted_at IS NULL ORDER BY key")
            .fetch_all(&mut *connection)
            .await
            .during("list the collections")?;
    let mut collections = Vec::with_capacity(rows.len());
    for row in rows {
        let scope = Scope::administrator(TenantId::new(row.tenant.clone())?);
        collections.push(under(connection, scope, row).await?);
    }
    Ok(collections)
}

/// Joins a collection with the scope, and takes documents that the scope may not see out of its counts.
async fn under(
    connection: &mut PgConnection,
    scope: Scope,
    row: CollectionRow,
) -> Result<(CollectionScope, Collection)> {
    let mut collection = row.collection()?;
    let restricted = matches!(scope.access(), Access::Principals(_));
    let scope = CollectionScope::new(scope, collection.key, collection.name.clone());
    if restricted {
        let (documents, chunks) = hidden(connection, &scope).await?;
        collection.documents = collection.documents.saturating_sub(documents);
        collection.chunks = collection.chunks.saturating_sub(chunks);
    }
    Ok((scope, collection))
}

/// Documents, and their chunks, that others of the tenant see. Costs the number of documents with an access list.
async fn hidden(connection: &mut PgConnection, scope: &CollectionScope) -> Result<(u64, u64)> {
    let counted: (i64, i64) = sqlx::query_as_with(
        "SELECT count(*), coalesce(sum(versions.chunks), 0)::bigint FROM documents \
         JOIN versions ON versions.key = documents.visible \
         WHERE documents.collection_key = $1 AND documents.restricted \
            AND EXISTS (SELECT 1 FROM collections WHERE key = $1 AND tenant = $2) AND NOT versions.acl && $3::text[]",
        arguments(scope)?,
    )
    .fetch_one(connection)
    .await
    .during("count the documents")?;
    Ok((unsigned(counted.0)?, unsigned(counted.1)?))
}

/// Waits for whoever adds to the collection, and keeps others out; `NotFound` if it was deleted.
async fn gone(connection: &mut PgConnection, scope: &CollectionScope) -> Result<()> {
    sqlx::query("SELECT 1 FROM collections WHERE key = $1 AND tenant = $2 AND deleted_at IS NULL FOR UPDATE")
        .bind(scope.key().0)
        .bind(scope.tenant().as_str())
        .fetch_optional(connection)
        .await
        .during("look up the collection")?
        .map(|_| ())
        .ok_or_else(|| no_collection(scope.name().as_str()))
}

pub(super) async fn delete(connection: &mut PgConnection, now: i64, scope: CollectionScope) -> Result<()> {
    gone(connection, &scope).await?;
    sqlx::query("UPDATE collections SET deleted_at = $1, documents = 0, chunks = 0 WHERE key = $2")
        .bind(now)
        .bind(scope.key().0)
        .execute(&mut *connection)
        .await
        .during("delete the collection")?;
    sqlx::query(
        "UPDATE jobs SET cancel_requested = true, updated_at = $1, reason = 'deleted', \
            message = 'the collection was deleted', \
            state = CASE state WHEN 'running' THEN state ELSE 'cancelled' END, \
            stage = CASE state WHEN 'running' THEN stage ELSE 'done' END \
         WHERE collection_key = $2 AND state IN ('queued', 'running', 'dead')",
    )
    .bind(now)
    .bind(scope.key().0)
    .execute(&mut *connection)
    .await
    .during("delete the collection")?;
    feedback::forget(connection, scope.key().0).await?;
    conversations::forget(connection, scope.key().0).await?;
    recorded::forget(connection, scope.key().0).await
}
