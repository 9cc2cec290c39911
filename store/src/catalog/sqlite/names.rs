//! The names of stored versions: kept with the version, looked up by hash under a scope, made anew for older catalogs.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use super::connection::Database;
use super::failure::During;
use super::scoped::{arguments, asked, bind};
use super::text;
use crate::catalog::rows::name::{self, NameRow, Unnamed};
use crate::catalog::rows::values::{json, parsed, signed, unsigned};
use crate::error::Result;
use crate::names::{Bearer, Described, Name, NameHash, RULES, of_document};
use crate::scope::CollectionScope;

/// Rows of one name that are looked at. A name of more versions than this is nobody's in particular.
const ROWS: i64 = 64;
/// Versions named in one transaction when an older catalog is opened.
const BATCH: i64 = 100;

/// Keeps the names of a version that has none.
pub(super) async fn store(
    connection: &mut SqliteConnection,
    version: i64,
    collection: i64,
    names: &[Name],
) -> Result<()> {
    let rows: Vec<(i64, i64, Option<u32>)> =
        names.iter().map(|name| (name.hash.0, name.kind.number(), name.ordinal)).collect();
    sqlx::query(
        "INSERT INTO names (version_key, hash, collection_key, kind, ordinal) \
         SELECT ?1, row.value ->> 0, ?2, row.value ->> 1, row.value ->> 2 FROM json_each(?3) row",
    )
    .bind(version)
    .bind(collection)
    .bind(json(&rows)?)
    .execute(&mut *connection)
    .await
    .during("store the names")?;
    sqlx::query("UPDATE versions SET named_by = ?, names = ? WHERE key = ?")
        .bind(RULES)
        .bind(signed(names.len())?)
        .bind(version)
        .execute(connection)
        .await
        .during("store the names")?;
    Ok(())
}

/// Takes a version's names away.
pub(super) async fn clear(connection: &mut SqliteConnection, version: i64) -> Result<()> {
    sqlx::query("DELETE FROM names WHERE version_key = ?")
        .bind(version)
        .execute(connection)
        .await
        .during("take the names away")?;
    Ok(())
}

pub(super) async fn bearers(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
    names: BTreeSet<NameHash>,
    most: usize,
) -> Result<Vec<Bearer>> {
    const SQL: &str = concat!(
        "SELECT n.hash, n.kind, n.ordinal, v.document_key, v.first_chunk, v.chunks \
         FROM json_each(?4) wanted CROSS JOIN names n ON n.collection_key = ?1 AND n.hash = wanted.value \
         CROSS JOIN visible v ON v.version_key = n.version_key WHERE ",
        asked!(),
        " ORDER BY n.hash, v.document_key"
    );
    let wanted: Vec<i64> = names.into_iter().map(|name| name.0).collect();
    // Most candidates are no names at all, and some are everybody's: both are left out before anything is joined.
    let few: Vec<i64> = sqlx::query_scalar(
        "SELECT value FROM (SELECT wanted.value AS value, \
            (SELECT count(*) FROM (SELECT 1 FROM names WHERE collection_key = ?1 AND hash = wanted.value LIMIT ?3)) AS found \
         FROM json_each(?2) wanted) WHERE found > 0 AND found < ?3",
    )
    .bind(scope.key().0)
    .bind(json(&wanted)?)
    .bind(ROWS)
    .fetch_all(&mut *connection)
    .await
    .during("look up names")?;
    if few.is_empty() {
        return Ok(Vec::new());
    }
    let mut arguments = arguments(&scope)?;
    bind(&mut arguments, json(&few)?)?;
    let rows: Vec<NameRow> =
        sqlx::query_as_with(SQL, arguments).fetch_all(connection).await.during("look up names")?;
    name::bearers(rows, most)
}

/// Names every stored version that was named by older rules or not at all, a batch at a time. Returns how many.
pub(super) async fn complete(database: &Database) -> Result<u64> {
    let mut named = 0;
    loop {
        let batch = database.write(None, |connection| Box::pin(complete_some(connection))).await?;
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

async fn complete_some(connection: &mut SqliteConnection) -> Result<u64> {
    let versions: Vec<Unnamed> = sqlx::query_as(
        "SELECT v.key, d.collection_key, d.id, v.source, v.title FROM versions v JOIN documents d ON d.key = v.document_key \
         WHERE v.state IN ('stored', 'visible') AND v.named_by < ? ORDER BY v.named_by, v.key LIMIT ?",
    )
    .bind(RULES)
    .bind(BATCH)
    .fetch_all(&mut *connection)
    .await
    .during("look for versions without names")?;
    for version in &versions {
        clear(connection, version.key).await?;
        let rows: Vec<(i64, i64, String)> = sqlx::query_as(
            "SELECT start, end, headings FROM chunks WHERE version_key = ? AND replaced = 0 ORDER BY ordinal",
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
        let text = text::whole(connection, version.key).await.unwrap_or_default();
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
