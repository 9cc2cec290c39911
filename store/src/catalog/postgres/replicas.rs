//! Who follows the changes with indexes of its own, how far each is, and for whom a purge waits.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{FromRow, PgConnection};

use super::failure::During;
use super::scoped::staying;
use crate::catalog::IndexKind;
use crate::catalog::rows::values::no_collection;
use crate::document::{CollectionKey, CollectionName, Seq};
use crate::error::Result;
use crate::scope::{CollectionScope, Scope, TenantId};

/// Without a sign of life for this long a process is given up: purges wait for it no longer.
pub(super) const GIVEN_UP: Duration = Duration::from_secs(300);
/// What is remembered of one that was given up goes after this long.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);
/// Stands in `index_states` for an index that all processes share.
const SHARED: &str = "";

/// A process as the catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    id: Arc<str>,
    shares_vectors: bool,
}

impl Replica {
    /// One that keeps indexes of its own under this id, which no other process has.
    pub fn new(id: &str) -> Self {
        Self { id: id.into(), shares_vectors: false }
    }

    /// The same with vectors in an engine that all processes share: one of them follows for all.
    #[must_use]
    pub fn sharing_vectors(self) -> Self {
        Self { shares_vectors: true, ..self }
    }

    /// No process in particular: what is recorded holds for all.
    pub(super) fn everybody() -> Self {
        Self { id: SHARED.into(), shares_vectors: true }
    }

    /// Under which name the state of an index is kept.
    pub(super) fn of(&self, index: IndexKind) -> &str {
        match index {
            IndexKind::Vector if self.shares_vectors => SHARED,
            IndexKind::Vector | IndexKind::Keyword => &self.id,
        }
    }
}

/// Says that the process is there; `false` if it was given up since it last said so, or never said so before.
pub(super) async fn beat(connection: &mut PgConnection, now: i64, replica: Replica) -> Result<bool> {
    if replica == Replica::everybody() {
        return Ok(true);
    }
    let beaten = sqlx::query("UPDATE replicas SET seen_at = $2 WHERE id = $1 AND living")
        .bind(replica.id.as_ref())
        .bind(now)
        .execute(&mut *connection)
        .await
        .during("say that this process is there")?;
    if beaten.rows_affected() == 1 {
        return Ok(true);
    }
    sqlx::query(
        "INSERT INTO replicas (id, started_at, seen_at) VALUES ($1, $2, $2) \
         ON CONFLICT (id) DO UPDATE SET started_at = $2, seen_at = $2, living = true",
    )
    .bind(replica.id.as_ref())
    .bind(now)
    .execute(&mut *connection)
    .await
    .during("say that this process is there")?;
    // What was recorded before vectors came to be shared, or ceased to be: nobody follows it, so no purge may wait for it.
    let former = if replica.shares_vectors { replica.id.as_ref() } else { SHARED };
    sqlx::query("DELETE FROM index_states WHERE kind = 'vector' AND replica = $1")
        .bind(former)
        .execute(connection)
        .await
        .during("say that this process is there")?;
    Ok(false)
}

/// Gives a process up that ends in good order.
pub(super) async fn leave(connection: &mut PgConnection, replica: Replica) -> Result<()> {
    sqlx::query("UPDATE replicas SET living = false WHERE id = $1")
        .bind(replica.id.as_ref())
        .execute(connection)
        .await
        .during("say that this process ends")?;
    Ok(())
}

/// Gives up who was not heard of, and forgets who was given up long ago. In the purge's transaction, so that nobody is left
/// out by one purge and waited for by the next without knowing.
pub(super) async fn give_up(connection: &mut PgConnection, now: i64) -> Result<()> {
    let before = |age: Duration| now.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
    sqlx::query("UPDATE replicas SET living = false WHERE living AND seen_at < $1")
        .bind(before(GIVEN_UP))
        .execute(&mut *connection)
        .await
        .during("look for processes that are gone")?;
    let gone: Vec<String> =
        sqlx::query_scalar("DELETE FROM replicas WHERE NOT living AND seen_at < $1 RETURNING id")
            .bind(before(FORGOTTEN))
            .fetch_all(&mut *connection)
            .await
            .during("look for processes that are gone")?;
    if !gone.is_empty() {
        sqlx::query("DELETE FROM index_states WHERE replica = ANY($1)")
            .bind(gone)
            .execute(connection)
            .await
            .during("look for processes that are gone")?;
    }
    Ok(())
}

/// Makes purges wait for the indexes of the collection; what they have flushed already stays recorded.
pub(super) async fn enroll(
    connection: &mut PgConnection,
    scope: CollectionScope,
    replica: Replica,
) -> Result<()> {
    staying(connection, &scope).await?;
    enter(connection, scope.key().0, &replica).await
}

/// The rows of both indexes, where they are not there yet.
pub(super) async fn enter(connection: &mut PgConnection, collection: i64, replica: &Replica) -> Result<()> {
    sqlx::query(
        "INSERT INTO index_states (collection_key, kind, replica, generation, seq) \
         VALUES ($1, 'vector', $2, 1, 0), ($1, 'keyword', $3, 1, 0) ON CONFLICT DO NOTHING",
    )
    .bind(collection)
    .bind(replica.of(IndexKind::Vector))
    .bind(replica.of(IndexKind::Keyword))
    .execute(connection)
    .await
    .during("follow the collection")?;
    Ok(())
}

#[derive(FromRow)]
struct Behind {
    key: i64,
    tenant: String,
    name: String,
    last_seq: i64,
}

/// Collections with changes that this process has not flushed.
pub(super) async fn behind(
    connection: &mut PgConnection,
    replica: Replica,
) -> Result<Vec<(CollectionScope, Seq)>> {
    let rows: Vec<Behind> = sqlx::query_as(
        "SELECT c.key, c.tenant, c.name, c.last_seq FROM collections c \
         WHERE c.deleted_at IS NULL AND c.last_seq > coalesce( \
            (SELECT min(seq) FROM index_states s WHERE s.collection_key = c.key \
                AND ((s.kind = 'vector' AND s.replica = $1) OR (s.kind = 'keyword' AND s.replica = $2)) \
             HAVING count(*) = 2), 0) \
         ORDER BY c.key",
    )
    .bind(replica.of(IndexKind::Vector))
    .bind(replica.of(IndexKind::Keyword))
    .fetch_all(connection)
    .await
    .during("look for changes to follow")?;
    rows.into_iter()
        .map(|row| {
            let scope = Scope::administrator(TenantId::new(row.tenant)?);
            let name = CollectionName::new(row.name)?;
            Ok((CollectionScope::new(scope, CollectionKey(row.key), name), Seq(row.last_seq)))
        })
        .collect()
}

pub(super) async fn newest_visible(connection: &mut PgConnection, scope: CollectionScope) -> Result<Seq> {
    Ok(progress(connection, &scope).await?.0)
}

pub(super) async fn purged_to(connection: &mut PgConnection, scope: CollectionScope) -> Result<Seq> {
    Ok(progress(connection, &scope).await?.1)
}

async fn progress(connection: &mut PgConnection, scope: &CollectionScope) -> Result<(Seq, Seq)> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "SELECT visible_seq, purged_seq FROM collections WHERE key = $1 AND tenant = $2 AND deleted_at IS NULL",
    )
    .bind(scope.key().0)
    .bind(scope.tenant().as_str())
    .fetch_optional(connection)
    .await
    .during("read the change sequence")?;
    let (visible, purged) = row.ok_or_else(|| no_collection(scope.name().as_str()))?;
    Ok((Seq(visible), Seq(purged)))
}

/// A version comes into view, under the lock on its collection's row.
pub(super) async fn shown(
    connection: &mut PgConnection,
    collection: i64,
    document: i64,
    version: i64,
) -> Result<()> {
    sqlx::query(
        "UPDATE collections SET visible_seq = greatest(visible_seq, \
            (SELECT max(seq) FROM changes WHERE document_key = $2 AND version = $3 AND kind = 'stored')) WHERE key = $1",
    )
    .bind(collection)
    .bind(document)
    .bind(version)
    .execute(connection)
    .await
    .during("publish the document")?;
    Ok(())
}

/// Removals up to these numbers are purged: collection and number.
pub(super) async fn purged(connection: &mut PgConnection, removed: &[(i64, i64)]) -> Result<()> {
    let (collections, seqs): (Vec<i64>, Vec<i64>) = removed.iter().copied().unzip();
    sqlx::query(
        "UPDATE collections SET purged_seq = greatest(purged_seq, r.seq) \
         FROM (SELECT key, max(seq) AS seq FROM unnest($1::bigint[], $2::bigint[]) u (key, seq) GROUP BY key) r \
         WHERE collections.key = r.key",
    )
    .bind(collections)
    .bind(seqs)
    .execute(connection)
    .await
    .during("record a purge")?;
    Ok(())
}

pub(super) async fn tenants(connection: &mut PgConnection) -> Result<Vec<TenantId>> {
    let names: Vec<String> = sqlx::query_scalar("SELECT name FROM tenants ORDER BY name")
        .fetch_all(connection)
        .await
        .during("list the tenants")?;
    names.into_iter().map(TenantId::new).collect()
}
