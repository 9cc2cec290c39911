//! The change sequence that indexes follow, what they must hold, and how far each got.

use roaring::RoaringTreemap;
use sqlx::PgConnection;

use super::failure::During;
use super::replicas::{self, Replica};
use super::text::pieces;
use super::versions::{self, VersionRow};
use crate::catalog::rows::chunk::{self, EntryRow};
use crate::catalog::rows::values::{keys, no_collection, unsigned};
use crate::catalog::{Change, ChangeKind, IndexEntry, IndexKind};
use crate::document::{ChunkKey, DocumentKey, Seq, Version};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::CollectionScope;

/// Takes the next sequence number, under a lock on the collection that lasts until the transaction ends: whoever takes the
/// next one does so after this one can be seen.
pub(super) async fn record(
    connection: &mut PgConnection,
    version: &VersionRow,
    kind: ChangeKind,
) -> Result<Seq> {
    versions::lock_collection(connection, version.collection_key).await?;
    let seq: i64 = sqlx::query_scalar(
        "INSERT INTO changes (seq, tenant, collection_key, kind, document_key, version) \
         SELECT nextval('change_numbers'), tenant, key, $2, $3, $4 FROM collections WHERE key = $1 RETURNING seq",
    )
    .bind(version.collection_key)
    .bind(chunk::change_name(kind))
    .bind(version.document_key)
    .bind(version.version)
    .fetch_one(&mut *connection)
    .await
    .during("record a change")?;
    sqlx::query("UPDATE collections SET last_seq = $1 WHERE key = $2")
        .bind(seq)
        .bind(version.collection_key)
        .execute(connection)
        .await
        .during("record a change")?;
    Ok(Seq(seq))
}

pub(super) async fn last_seq(connection: &mut PgConnection, scope: CollectionScope) -> Result<Seq> {
    let seq: Option<i64> = sqlx::query_scalar(
        "SELECT last_seq FROM collections WHERE key = $1 AND tenant = $2 AND deleted_at IS NULL",
    )
    .bind(scope.key().0)
    .bind(scope.tenant().as_str())
    .fetch_optional(connection)
    .await
    .during("read the change sequence")?;
    seq.map(Seq).ok_or_else(|| no_collection(scope.name().as_str()))
}

pub(super) async fn after(
    connection: &mut PgConnection,
    scope: CollectionScope,
    after: Seq,
    limit: u32,
) -> Result<Vec<Change>> {
    let rows: Vec<(i64, String, i64, Version)> = sqlx::query_as(
        "SELECT seq, kind, document_key, version FROM changes WHERE collection_key = $1 \
            AND EXISTS (SELECT 1 FROM collections WHERE key = $1 AND tenant = $2 AND deleted_at IS NULL) \
            AND seq > $3 ORDER BY seq LIMIT $4",
    )
    .bind(scope.key().0)
    .bind(scope.tenant().as_str())
    .bind(after.0)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .during("read the change sequence")?;
    rows.into_iter()
        .map(|(seq, kind, document, version)| {
            let kind = chunk::change_kind(&kind)?;
            Ok(Change { seq: Seq(seq), kind, document: DocumentKey(document), version })
        })
        .collect()
}

macro_rules! entries {
    ($from:expr, $which:expr) => {
        concat!(
            "SELECT c.key, d.key AS document_key, v.version, v.title, c.headings, c.language, c.start, c.stop, \
                x.vector, ",
            pieces!(),
            " AS piece FROM ",
            $from,
            " LEFT JOIN vectors x ON x.chunk_key = c.key ",
            pieces!(join),
            " WHERE ",
            $which,
            " AND NOT c.replaced AND d.collection_key = $1 \
                AND EXISTS (SELECT 1 FROM collections WHERE key = $1 AND tenant = $2 AND deleted_at IS NULL) \
             ORDER BY c.key, s.number"
        )
    };
}

pub(super) async fn index_entries(
    connection: &mut PgConnection,
    scope: CollectionScope,
    document: DocumentKey,
    version: Version,
) -> Result<Vec<IndexEntry>> {
    let rows: Vec<EntryRow> = sqlx::query_as(entries!(
        "documents d JOIN versions v ON v.document_key = d.key JOIN chunks c ON c.version_key = v.key",
        "d.key = $3 AND v.version = $4"
    ))
    .bind(scope.key().0)
    .bind(scope.tenant().as_str())
    .bind(document.0)
    .bind(version)
    .fetch_all(connection)
    .await
    .during("read a version's chunks")?;
    chunk::entries(rows)
}

pub(super) async fn entries_after(
    connection: &mut PgConnection,
    scope: CollectionScope,
    after: ChunkKey,
    limit: u32,
) -> Result<Vec<IndexEntry>> {
    let rows: Vec<EntryRow> = sqlx::query_as(entries!(
        "(SELECT chunks.* FROM chunks JOIN versions ON versions.key = chunks.version_key \
            WHERE chunks.collection_key = $1 AND chunks.key > $3 AND NOT chunks.replaced \
                AND versions.state IN ('stored', 'visible') ORDER BY chunks.key LIMIT $4) c \
         JOIN versions v ON v.key = c.version_key JOIN documents d ON d.key = v.document_key",
        "true"
    ))
    .bind(scope.key().0)
    .bind(scope.tenant().as_str())
    .bind(after.0)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .during("read the chunks")?;
    chunk::entries(rows)
}

pub(super) async fn chunk_keys(
    connection: &mut PgConnection,
    scope: CollectionScope,
    document: DocumentKey,
    version: Version,
) -> Result<Vec<ChunkKey>> {
    let keys: Vec<i64> = sqlx::query_scalar(
        "SELECT c.key FROM documents d JOIN versions v ON v.document_key = d.key JOIN chunks c ON c.version_key = v.key \
         WHERE d.key = $3 AND v.version = $4 AND d.collection_key = $1 \
            AND EXISTS (SELECT 1 FROM collections WHERE key = $1 AND tenant = $2) ORDER BY c.key",
    )
    .bind(scope.key().0)
    .bind(scope.tenant().as_str())
    .bind(document.0)
    .bind(version)
    .fetch_all(connection)
    .await
    .during("read a version's chunks")?;
    Ok(keys.into_iter().map(ChunkKey).collect())
}

pub(super) async fn expected_keys(
    connection: &mut PgConnection,
    scope: CollectionScope,
) -> Result<RoaringTreemap> {
    let ranges: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT versions.first_chunk, versions.chunks FROM documents \
         JOIN versions ON versions.document_key = documents.key \
         WHERE documents.collection_key = $1 AND versions.state IN ('stored', 'visible') \
            AND EXISTS (SELECT 1 FROM collections WHERE key = $1 AND tenant = $2 AND deleted_at IS NULL)",
    )
    .bind(scope.key().0)
    .bind(scope.tenant().as_str())
    .fetch_all(connection)
    .await
    .during("read the chunks")?;
    keys(ranges)
}

pub(super) async fn index_state(
    connection: &mut PgConnection,
    scope: CollectionScope,
    index: IndexKind,
    replica: Replica,
) -> Result<(u32, Seq)> {
    super::scoped::living(connection, &scope).await?;
    let state: Option<(i64, i64)> = sqlx::query_as(
        "SELECT generation, seq FROM index_states WHERE collection_key = $1 AND kind = $2 AND replica = $3",
    )
    .bind(scope.key().0)
    .bind(chunk::index_name(index))
    .bind(replica.of(index))
    .fetch_optional(connection)
    .await
    .during("read an index's state")?;
    // One that this process has not opened yet is at its beginning.
    let (generation, seq) = state.unwrap_or((1, 0));
    Ok((unsigned(generation)?, Seq(seq)))
}

/// Sets generation and sequence number where `from` is in use; a smaller number within the generation is ignored.
pub(super) async fn set_index_state(
    connection: &mut PgConnection,
    scope: CollectionScope,
    index: IndexKind,
    replica: Replica,
    from: u32,
    to: u32,
    seq: Seq,
) -> Result<()> {
    super::scoped::staying(connection, &scope).await?;
    if !advance(connection, &scope, index, &replica, from, to, seq).await? {
        // The first of this process.
        replicas::enter(connection, scope.key().0, &replica).await?;
        if !advance(connection, &scope, index, &replica, from, to, seq).await? {
            return Err(StoreError::new(
                ErrorKind::Conflict,
                format!(
                    "generation {from} of the {} index is not in use any more: read its state again",
                    chunk::index_name(index)
                ),
            ));
        }
    }
    Ok(())
}

/// Whether `from` was in use.
async fn advance(
    connection: &mut PgConnection,
    scope: &CollectionScope,
    index: IndexKind,
    replica: &Replica,
    from: u32,
    to: u32,
    seq: Seq,
) -> Result<bool> {
    let changed = sqlx::query(
        "UPDATE index_states SET seq = CASE WHEN generation = $4 THEN greatest(seq, $5) ELSE $5 END, generation = $4 \
         WHERE collection_key = $1 AND kind = $2 AND generation = $3 AND replica = $6",
    )
    .bind(scope.key().0)
    .bind(chunk::index_name(index))
    .bind(i64::from(from))
    .bind(i64::from(to))
    .bind(seq.0)
    .bind(replica.of(index))
    .execute(connection)
    .await
    .during("record an index's state")?;
    Ok(changed.rows_affected() == 1)
}
