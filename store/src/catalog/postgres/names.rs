//! The names of stored versions: kept with the version, looked up by hash under a scope, made anew for older catalogs.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::connection::{Database, For};
use super::failure::During;
use super::scoped::{arguments, asked, bind};
use super::text;
use crate::catalog::rows::name::{self, NameRow, Unnamed};
use crate::catalog::rows::values::{parsed, signed, unsigned};
use crate::error::Result;
use crate::names::{Bearer, Described, Name, NameHash, RULES, of_document};
use crate::scope::CollectionScope;

/// Rows of one name that are looked at. A name of more versions than this is nobody's in particular.
const ROWS: i64 = 64;
/// Versions named in one transaction when an older catalog is opened.
const BATCH: i64 = 100;

/// Keeps the names of a version that has none.
pub(super) async fn store(
    connection: &mut PgConnection,
    version: i64,
    collection: i64,
    names: &[Name],
) -> Result<()> {
    sqlx::query(
        "INSERT INTO names (tenant, version_key, collection_key, hash, kind, ordinal) \
         SELECT v.tenant, $1, $2, r.* FROM versions v, unnest($3::bigint[], $4::bigint[], $5::bigint[]) r \
         WHERE v.key = $1",
    )
    .bind(version)
    .bind(collection)
    .bind(names.iter().map(|name| name.hash.0).collect::<Vec<i64>>())
    .bind(names.iter().map(|name| name.kind.number()).collect::<Vec<i64>>())
    .bind(names.iter().map(|name| name.ordinal.map(i64::from)).collect::<Vec<Option<i64>>>())
    .execute(&mut *connection)
    .await
    .during("store the names")?;
    sqlx::query("UPDATE versions SET named_by = $1, names = $2 WHERE key = $3")
        .bind(RULES)
        .bind(signed(names.len())?)
        .bind(version)
        .execute(connection)
        .await
        .during("store the names")?;
    Ok(())
}

/// Takes a version's names away.
pub(super) async fn clear(connection: &mut PgConnection, version: i64) -> Result<()> {
    sqlx::query("DELETE FROM names WHERE version_key = $1")
        .bind(version)
        .execute(connection)
        .await
        .during("take the names away")?;
    Ok(())
}

pub(super) async fn bearers(
    connection: &mut PgConnection,
    scope: CollectionScope,
    names: BTreeSet<NameHash>,
    most: usize,
) -> Result<Vec<Bearer>> {
    const SQL: &str = concat!(
        "SELECT n.hash, n.kind, n.ordinal, v.document_key, v.first_chunk, v.chunks \
         FROM names n JOIN visible v ON v.version_key = n.version_key WHERE n.collection_key = $1 AND n.hash = ANY($4) AND ",
        asked!(),
        " ORDER BY n.hash, v.document_key"
    );
    let wanted: Vec<i64> = names.into_iter().map(|name| name.0).collect();
    // Most candidates are no names at all, and some are everybody's: both are left out before anything is joined.
    let few: Vec<i64> = sqlx::query_scalar(
        "SELECT value FROM (SELECT wanted.value AS value, \
            (SELECT count(*) FROM (SELECT 1 FROM names WHERE collection_key = $1 AND hash = wanted.value LIMIT $3)) AS found \
         FROM unnest($2::bigint[]) wanted (value)) WHERE found > 0 AND found < $3",
    )
    .bind(scope.key().0)
    .bind(&wanted)
    .bind(ROWS)
    .fetch_all(&mut *connection)
    .await
    .during("look up names")?;
    if few.is_empty() {
        return Ok(Vec::new());
    }
    let mut arguments = arguments(&scope)?;
    bind(&mut arguments, few)?;
    let rows: Vec<NameRow> =
        sqlx::query_as_with(SQL, arguments).fetch_all(connection).await.during("look up names")?;
    name::bearers(rows, most)
}

/// Names every stored version that was named by older rules or not at all, a batch at a time. Returns how many.
pub(super) async fn complete(database: &Database) -> Result<u64> {
    let mut named = 0;
    loop {
        let batch =
            database.write(For::Everybody, None, |connection| Box::pin(complete_some(connection))).await?;
        if batch == 0 {
            break;
        }
        named += batch;
    }
    if named > 0 {
        tracing::info!(versions = named, "collected the names of documents that an earlier release indexed");
    }
    Ok(named)
}

async fn complete_some(connection: &mut PgConnection) -> Result<u64> {
    // Several processes may start at once.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('wellspring names', 0))")
        .execute(&mut *connection)
        .await
        .during("look for versions without names")?;
    let versions: Vec<Unnamed> = sqlx::query_as(
        "SELECT v.key, d.collection_key, d.id, v.source, v.title FROM versions v JOIN documents d ON d.key = v.document_key \
         WHERE v.state IN ('stored', 'visible') AND v.named_by < $1 ORDER BY v.named_by, v.key LIMIT $2",
    )
    .bind(RULES)
    .bind(BATCH)
    .fetch_all(&mut *connection)
    .await
    .during("look for versions without names")?;
    for version in &versions {
        clear(connection, version.key).await?;
        let rows: Vec<(i64, i64, String)> = sqlx::query_as(
            "SELECT start, stop, headings FROM chunks WHERE version_key = $1 AND NOT replaced ORDER BY ordinal",
        )
        .bind(version.key)
        .fetch_all(&mut *connection)
        .await
        .during("read a version's chunks")?;
        let chunks: Vec<(usize, usize, Vec<String>)> = rows
            .into_iter()
            .map(|(start, end, headings)| Ok((unsigned(start)?, unsigned(end)?, parsed(&headings)?)))
            .collect::<Result<_>>()?;
        let borrowed: Vec<(usize, usize, &[String])> =
            chunks.iter().map(|(start, end, headings)| (*start, *end, headings.as_slice())).collect();
        // Damaged text is `verify`'s to report; a catalog with some must still open.
        let text = text::whole_if_readable(connection, version.key).await?.unwrap_or_default();
        let names = of_document(&Described {
            id: &version.id,
            source: &version.source,
            title: version.title.as_deref(),
            text: &text,
            chunks: &borrowed,
        });
        store(connection, version.key, version.collection_key, &names).await?;
    }
    Ok(versions.len() as u64)
}
