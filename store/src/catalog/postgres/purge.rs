//! Takes removed versions out of the catalog for good, and records that it did.

use sqlx::{FromRow, PgConnection};

use super::failure::During;
use super::replicas;
use crate::catalog::Purged;
use crate::catalog::rows::values::{hash, signed, unsigned};
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
    removed_seq: Option<i64>,
}

pub(super) async fn purge(connection: &mut PgConnection, now: i64, limit: u32) -> Result<Purged> {
    alone(connection).await?;
    replicas::give_up(connection, now).await?;
    let victims = victims(connection, limit).await?;
    let mut purged = Purged { versions: unsigned(signed(victims.len())?)?, ..Purged::default() };
    for victim in &victims {
        purged.chunks += unsigned::<u64>(victim.chunks)?;
        record(connection, now, victim).await?;
    }
    let keys: Vec<i64> = victims.iter().map(|victim| victim.key).collect();
    for statement in [
        "DELETE FROM changes WHERE (document_key, version) IN \
            (SELECT document_key, version FROM versions WHERE key = ANY($1))",
        "DELETE FROM vectors WHERE chunk_key IN \
            (SELECT key FROM chunks WHERE version_key = ANY($1))",
        "DELETE FROM chunks WHERE version_key = ANY($1)",
        "DELETE FROM segments WHERE version_key = ANY($1)",
        "DELETE FROM fields WHERE version_key = ANY($1)",
        "DELETE FROM names WHERE version_key = ANY($1)",
        "UPDATE documents SET visible = NULL WHERE visible = ANY($1)",
        "DELETE FROM versions WHERE key = ANY($1)",
    ] {
        sqlx::query(statement).bind(&keys).execute(&mut *connection).await.during("purge versions")?;
    }
    let removed: Vec<(i64, i64)> =
        victims.iter().filter_map(|victim| Some((victim.collection_key, victim.removed_seq?))).collect();
    if !removed.is_empty() {
        replicas::purged(connection, &removed).await?;
    }
    leftovers(connection, now).await?;
    purged.blobs = doomed(connection).await?;
    Ok(purged)
}

/// One purge at a time, whichever process does it.
async fn alone(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('wellspring purge', 0))")
        .execute(connection)
        .await
        .during("purge versions")?;
    Ok(())
}

/// Versions that nobody can see and that no index of a living process holds. Where nobody follows, nobody is waited for.
async fn victims(connection: &mut PgConnection, limit: u32) -> Result<Vec<Victim>> {
    let mut victims: Vec<Victim> = sqlx::query_as(
        "SELECT v.key, c.tenant, c.key AS collection_key, d.key AS document_key, d.id AS document_id, v.version, v.blob, \
            v.bytes, (SELECT count(*) FROM chunks WHERE version_key = v.key) AS chunks, v.removed_seq \
         FROM versions v JOIN documents d ON d.key = v.document_key JOIN collections c ON c.key = d.collection_key \
         WHERE v.state = 'removed' AND (v.removed_seq IS NULL OR NOT EXISTS ( \
            SELECT 1 FROM index_states s WHERE s.collection_key = c.key AND s.seq < v.removed_seq \
                AND (s.replica = '' OR EXISTS (SELECT 1 FROM replicas r WHERE r.id = s.replica AND r.living)))) \
         ORDER BY v.removed_seq NULLS FIRST, v.key LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await
    .during("look for versions to purge")?;
    let left = i64::from(limit) - signed(victims.len())?;
    // A worker that is storing one holds its document and will fail: the next round takes it.
    let of_collections: Vec<Victim> = sqlx::query_as(
        "SELECT v.key, c.tenant, c.key AS collection_key, d.key AS document_key, d.id AS document_id, v.version, v.blob, \
            v.bytes, (SELECT count(*) FROM chunks WHERE version_key = v.key) AS chunks, v.removed_seq \
         FROM collections c JOIN documents d ON d.collection_key = c.key \
         JOIN versions v ON v.document_key = d.key \
         WHERE c.deleted_at IS NOT NULL AND NOT v.key = ANY($1) LIMIT $2 FOR NO KEY UPDATE OF d SKIP LOCKED",
    )
    .bind(victims.iter().map(|victim| victim.key).collect::<Vec<i64>>())
    .bind(left)
    .fetch_all(connection)
    .await
    .during("look for versions to purge")?;
    victims.extend(of_collections);
    Ok(victims)
}

async fn record(connection: &mut PgConnection, now: i64, victim: &Victim) -> Result<()> {
    sqlx::query(
        "INSERT INTO purges (at, tenant, collection_key, document_key, document_hash, version, chunks, bytes) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
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
    sqlx::query("INSERT INTO doomed_blobs (tenant, blob) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(&victim.tenant)
        .bind(&victim.blob)
        .execute(connection)
        .await
        .during("record a purge")?;
    Ok(())
}

/// Rows that nothing refers to any more.
async fn leftovers(connection: &mut PgConnection, now: i64) -> Result<()> {
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
    sqlx::query("DELETE FROM idempotency WHERE created_at < $1")
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
            "DELETE FROM jobs WHERE collection_key = $1",
            "DELETE FROM changes WHERE collection_key = $1",
            "DELETE FROM idempotency WHERE collection_key = $1",
            "DELETE FROM index_states WHERE collection_key = $1",
            "DELETE FROM tuning WHERE collection_key = $1",
            "DELETE FROM collections WHERE key = $1",
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
async fn doomed(connection: &mut PgConnection) -> Result<Vec<(TenantId, ContentHash)>> {
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
    connection: &mut PgConnection,
    tenant: TenantId,
    blob: ContentHash,
) -> Result<()> {
    sqlx::query("DELETE FROM doomed_blobs WHERE tenant = $1 AND blob = $2")
        .bind(tenant.as_str())
        .bind(blob.0.as_slice())
        .execute(connection)
        .await
        .during("record a deleted blob")?;
    Ok(())
}

pub(crate) async fn blob_in_use(
    connection: &mut PgConnection,
    tenant: TenantId,
    blob: ContentHash,
) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM versions v JOIN documents d ON d.key = v.document_key \
            JOIN collections c ON c.key = d.collection_key WHERE v.blob = $1 AND c.tenant = $2)",
    )
    .bind(blob.0.as_slice())
    .bind(tenant.as_str())
    .fetch_one(connection)
    .await
    .during("look up a blob")
}

pub(super) async fn blobs_to_come(
    connection: &mut PgConnection,
    scope: CollectionScope,
) -> Result<Vec<(DocumentId, ContentHash)>> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT d.id, v.blob FROM collections c JOIN documents d ON d.collection_key = c.key \
            JOIN versions v ON v.document_key = d.key \
         WHERE c.key = $1 AND c.tenant = $2 AND c.deleted_at IS NULL AND d.deleted_at IS NULL \
            AND v.state IN ('pending', 'stored') ORDER BY d.id, v.version",
    )
    .bind(scope.key().0)
    .bind(scope.tenant().as_str())
    .fetch_all(connection)
    .await
    .during("list the blobs of documents to come")?;
    rows.into_iter().map(|(id, blob)| Ok((DocumentId::new(id)?, hash(&blob)?))).collect()
}
