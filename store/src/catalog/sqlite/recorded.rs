//! Kept searches: written under a bound, listed for whoever sees everything.

use sqlx::SqliteConnection;

use super::failure::During;
use super::scoped::living;
use crate::catalog::rows::query::QueryRow;
use crate::catalog::rows::values::{json, principals};
use crate::error::{ErrorKind, Result, StoreError};
use crate::queries::{KeptQueries, NewQuery, RecordedQuery};
use crate::scope::{Access, CollectionScope};

/// Microseconds of a day.
const DAY: i64 = 24 * 3600 * 1_000_000;

pub(super) async fn record(
    connection: &mut SqliteConnection,
    now: i64,
    scope: CollectionScope,
    query: NewQuery,
    kept: KeptQueries,
) -> Result<()> {
    living(connection, &scope).await?;
    sqlx::query(
        "INSERT INTO queries (collection_key, principals, request, settings, chunks, at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(scope.key().0)
    .bind(principals(scope.scope().access())?)
    .bind(json(&query.request)?)
    .bind(&query.settings)
    .bind(json(&query.chunks)?)
    .bind(now)
    .execute(&mut *connection)
    .await
    .during("keep a query")?;
    sqlx::query("DELETE FROM queries WHERE collection_key = ? AND at < ?")
        .bind(scope.key().0)
        .bind(now.saturating_sub(i64::from(kept.days).saturating_mul(DAY)))
        .execute(&mut *connection)
        .await
        .during("forget old queries")?;
    sqlx::query(
        "DELETE FROM queries WHERE collection_key = ?1 AND key <= ( \
            SELECT key FROM queries WHERE collection_key = ?1 ORDER BY key DESC LIMIT 1 OFFSET ?2)",
    )
    .bind(scope.key().0)
    .bind(i64::from(kept.most.max(1)))
    .execute(connection)
    .await
    .during("forget old queries")?;
    Ok(())
}

/// Forgets every search of a collection.
pub(super) async fn forget(connection: &mut SqliteConnection, collection: i64) -> Result<()> {
    sqlx::query("DELETE FROM queries WHERE collection_key = ?")
        .bind(collection)
        .execute(connection)
        .await
        .during("forget queries")?;
    Ok(())
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
    limit: u32,
) -> Result<Vec<RecordedQuery>> {
    if *scope.scope().access() != Access::Everything {
        return Err(StoreError::new(
            ErrorKind::Unauthorized,
            "kept queries are shown to the tenant's administrator only: they are everybody's",
        ));
    }
    living(connection, &scope).await?;
    let rows: Vec<QueryRow> = sqlx::query_as(
        "SELECT key, principals, request, settings, chunks, at FROM queries WHERE collection_key = ? \
         ORDER BY key DESC LIMIT ?",
    )
    .bind(scope.key().0)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .during("list the queries")?;
    rows.into_iter().map(QueryRow::query).collect()
}
