//! Takes removed versions out of the catalog for good, and records that it did.

use sqlx::{FromRow, SqliteConnection};

use super::failure::During;
use crate::catalog::Purged;
use crate::catalog::rows::values::{hash, json, signed, unsigned};
use crate::document::{ContentHash, DocumentId, Version};
use crate::error::Result;
use crate::scope::{CollectionScope, TenantId};

/// Idempotency keys are remembered for a week.
const REMEMBERED: i64 = 7 * 24 * 3600 * 1_000_000;

#[derive(FromRow)]
struct Victim {
    key: i64,
    tenant: String,
    collection_key: i64,
    document_key: i64,
    document_id: String,
    version: Version,
    blob: Vec<u8>,
    bytes: i64,
    chunks: i64,
}

pub(super) async fn purge(connection: &mut SqliteConnection, now: i64, limit: u32) -> Result<Purged> {
    let victims = victims(connection, limit).await?;
    let mut purged = Purged { versions: unsigned(signed(victims.len())?)?, ..Purged::default() };
    for victim in &victims {
        purged.chunks += unsigned::<u64>(victim.chunks)?;
        record(connection, now, victim).await?;
    }
    let keys = json(&victims.iter().map(|victim| victim.key).collect::<Vec<_>>())?;
    for statement in [
        "DELETE FROM changes WHERE (document_key, version) IN \
            (SELECT document_key, version FROM versions WHERE key IN (SELECT value FROM json_each(?)))",
        "DELETE FROM vectors WHERE chunk_key IN \
            (SELECT key FROM chunks WHERE version_key IN (SELECT value FROM json_each(?)))",
        "DELETE FROM chunks WHERE version_key IN (SELECT value FROM json_each(?))",
        "DELETE FROM segments WHERE version_key IN (SELECT value FROM json_each(?))",
        "DELETE FROM fields WHERE version_key IN (SELECT value FROM json_each(?))",
        "DELETE FROM names WHERE version_key IN (SELECT value FROM json_each(?))",
        "UPDATE documents SET visible = NULL WHERE visible IN (SELECT value FROM json_each(?))",
        "DELETE FROM versions WHERE key IN (SELECT value FROM json_each(?))",
    ] {
        sqlx::query(statement).bind(&keys).execute(&mut *connection).await.during("purge versions")?;
    }
    leftovers(connection, now).await?;
    purged.blobs = doomed(connection).await?;
    Ok(purged)
}

/// Versions that nobody can see and no index holds.
async fn victims(connection: &mut SqliteConnection, limit: u32) -> Result<Vec<Victim>> {
    let mut victims: Vec<Victim> = sqlx::query_as(
        "SELECT v.key, c.tenant, c.key AS collection_key, d.key AS document_key, d.id AS document_id, v.version, v.blob, \
            v.bytes, (SELECT count(*) FROM chunks WHERE version_key = v.key) AS chunks \
         FROM versions v JOIN documents d ON d.key = v.document_key JOIN collections c ON c.key = d.collection_key \
         WHERE v.state = 'removed' AND (v.removed_seq IS NULL OR v.removed_seq <= \
            (SELECT min(seq) FROM index_states WHERE collection_key = c.key)) \
         ORDER BY v.removed_seq, v.key LIMIT ?",
    )
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await
    .during("look for versions to purge")?;
    let left = i64::from(limit) - signed(victims.len())?;
    let of_collections: Vec<Victim> = sqlx::query_as(
        "SELECT v.key, c.tenant, c.key AS collection_key, d.key AS document_key, d.id AS document_id, v.version, v.blob, \
            v.bytes, (SELECT count(*) FROM chunks WHERE version_key = v.key) AS chunks \
         FROM collections c CROSS JOIN documents d ON d.collection_key = c.key \
         CROSS JOIN versions v ON v.document_key = d.key \
         WHERE c.deleted_at IS NOT NULL AND v.key NOT IN (SELECT value FROM json_each(?)) LIMIT ?",
    )
    .bind(json(&victims.iter().map(|victim| victim.key).collect::<Vec<_>>())?)
    .bind(left)
    .fetch_all(connection)
    .await
    .during("look for versions to purge")?;
    victims.extend(of_collections);
    Ok(victims)
}

async fn record(connection: &mut SqliteConnection, now: i64, victim: &Victim) -> Result<()> {
    sqlx::query(
        "INSERT INTO purges (at, tenant, collection_key, document_key, document_hash, version, chunks, bytes) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(now)
    .bind(&victim.tenant)
    .bind(victim.collection_key)
    .bind(victim.document_key)
    .bind(ContentHash::of(victim.document_id.as_bytes()).0.as_slice())
    .bind(victim.version)
    .bind(victim.chunks)
    .bind(victim.bytes)
    .execute(&mut *connection)
    .await
    .during("record a purge")?;
    sqlx::query("INSERT INTO doomed_blobs (tenant, blob) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(&victim.tenant)
        .bind(&victim.blob)
        .execute(connection)
        .await
        .during("record a purge")?;
    Ok(())
}

/// Rows that nothing refers to any more.
async fn leftovers(connection: &mut SqliteConnection, now: i64) -> Result<()> {
    for statement in [
        // The job of a deleted document still names it.
        "DELETE FROM jobs WHERE state NOT IN ('queued', 'running') AND document_key IN ( \
            SELECT key FROM documents d WHERE d.deleted_at IS NOT NULL \
                AND NOT EXISTS (SELECT 1 FROM versions WHERE document_key = d.key))",
        "DELETE FROM documents WHERE deleted_at IS NOT NULL \
            AND NOT EXISTS (SELECT 1 FROM versions WHERE document_key = documents.key)",
        "DELETE FROM documents WHERE collection_key IN (SELECT key FROM collections WHERE deleted_at IS NOT NULL) \
            AND NOT EXISTS (SELECT 1 FROM versions WHERE document_key = documents.key)",
    ] {
        sqlx::query(statement).execute(&mut *connection).await.during("purge versions")?;
    }
    sqlx::query("DELETE FROM idempotency WHERE created_at < ?")
        .bind(now.saturating_sub(REMEMBERED))
        .execute(&mut *connection)
        .await
        .during("forget idempotency keys")?;
    super::webhooks::forget(connection, now).await?;
    let emptied: Vec<i64> = sqlx::query_scalar(
        "SELECT key FROM collections WHERE deleted_at IS NOT NULL \
            AND NOT EXISTS (SELECT 1 FROM documents WHERE collection_key = collections.key)",
    )
    .fetch_all(&mut *connection)
    .await
    .during("purge collections")?;
    for collection in emptied {
        for statement in [
            "DELETE FROM jobs WHERE collection_key = ?",
            "DELETE FROM changes WHERE collection_key = ?",
            "DELETE FROM idempotency WHERE collection_key = ?",
            "DELETE FROM index_states WHERE collection_key = ?",
            "DELETE FROM tuning WHERE collection_key = ?",
            "DELETE FROM collections WHERE key = ?",
        ] {
            sqlx::query(statement)
                .bind(collection)
                .execute(&mut *connection)
                .await
                .during("purge collections")?;
        }
    }
    Ok(())
}

/// Blobs to delete now. One that a new version refers to is spared, and forgotten here.
async fn doomed(connection: &mut SqliteConnection) -> Result<Vec<(TenantId, ContentHash)>> {
    sqlx::query(
        "DELETE FROM doomed_blobs WHERE EXISTS ( \
            SELECT 1 FROM versions v JOIN documents d ON d.key = v.document_key \
            JOIN collections c ON c.key = d.collection_key \
            WHERE v.blob = doomed_blobs.blob AND c.tenant = doomed_blobs.tenant)",
    )
    .execute(&mut *connection)
    .await
    .during("look for blobs to delete")?;
    let rows: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT tenant, blob FROM doomed_blobs ORDER BY tenant, blob")
            .fetch_all(connection)
            .await
            .during("look for blobs to delete")?;
    rows.into_iter().map(|(tenant, blob)| Ok((TenantId::new(tenant)?, hash(&blob)?))).collect()
}

pub(super) async fn blob_deleted(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    blob: ContentHash,
) -> Result<()> {
    sqlx::query("DELETE FROM doomed_blobs WHERE tenant = ? AND blob = ?")
        .bind(tenant.as_str())
        .bind(blob.0.as_slice())
        .execute(connection)
        .await
        .during("record a deleted blob")?;
    Ok(())
}

pub(super) async fn blob_in_use(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    blob: ContentHash,
) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM versions v JOIN documents d ON d.key = v.document_key \
            JOIN collections c ON c.key = d.collection_key WHERE v.blob = ? AND c.tenant = ?)",
    )
    .bind(blob.0.as_slice())
    .bind(tenant.as_str())
    .fetch_one(connection)
    .await
    .during("look up a blob")
}

pub(super) async fn tenants(connection: &mut SqliteConnection) -> Result<Vec<TenantId>> {
    let names: Vec<String> = sqlx::query_scalar("SELECT name FROM tenants ORDER BY name")
        .fetch_all(connection)
        .await
        .during("list the tenants")?;
    names.into_iter().map(TenantId::new).collect()
}

pub(super) async fn blobs_to_come(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
) -> Result<Vec<(DocumentId, ContentHash)>> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT d.id, v.blob FROM collections c JOIN documents d ON d.collection_key = c.key \
            JOIN versions v ON v.document_key = d.key \
         WHERE c.key = ? AND c.tenant = ? AND c.deleted_at IS NULL AND d.deleted_at IS NULL \
            AND v.state IN ('pending', 'stored') ORDER BY d.id, v.version",
    )
    .bind(scope.key().0)
    .bind(scope.tenant().as_str())
    .fetch_all(connection)
    .await
    .during("list the blobs of documents to come")?;
    rows.into_iter().map(|(id, blob)| Ok((DocumentId::new(id)?, hash(&blob)?))).collect()
}
