//! Chunks as searches need them: candidates, hits joined with what is visible, spans and neighbours.

use roaring::RoaringTreemap;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteArguments;

use super::failure::During;
use super::filter_sql::{Shape, filtered};
use super::scoped::{arguments, asked, bind};
use super::text::{self, pieces};
use crate::catalog::rows::chunk::{self, ChunkRow};
use crate::catalog::rows::values::{json, keys, no_document, unsigned};
use crate::document::{ChunkId, ChunkKey, DocumentId, DocumentKey, StoredChunk, Version};
use crate::error::{ErrorKind, Result, StoreError};
use crate::filter::Filter;
use crate::scope::CollectionScope;

/// Visible chunks out of `from`, which names them `c`.
macro_rules! chunks {
    ($from:literal) => {
        concat!(
            "SELECT c.key, c.id, v.document_key, v.document_id, v.version, c.ordinal, c.start, c.end AS stop, c.page, \
                c.headings, c.section_start, c.section_end, v.title, v.source, v.metadata, c.language, \
                c.links, ",
            pieces!(),
            " AS piece FROM ",
            $from,
            pieces!(join),
            " WHERE c.replaced = 0 AND ",
            asked!()
        )
    };
}

const IN_ORDER: &str = " ORDER BY c.ordinal, c.key, s.number";

async fn fetch(
    connection: &mut SqliteConnection,
    sql: &'static str,
    arguments: SqliteArguments,
    filter: Option<&Filter>,
) -> Result<Vec<StoredChunk>> {
    let rows: Vec<ChunkRow> = filtered(sql, arguments, filter, Shape::Each, IN_ORDER)?
        .fetch_all(connection)
        .await
        .during("read the chunks")?;
    chunk::chunks(rows)
}

pub(super) async fn visible_chunks(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
    keys: Vec<ChunkKey>,
    filter: Option<Filter>,
) -> Result<Vec<StoredChunk>> {
    const SQL: &str = chunks!(
        "json_each(?4) wanted CROSS JOIN chunks c ON c.key = wanted.value \
         CROSS JOIN visible v ON v.version_key = c.version_key"
    );
    let mut arguments = arguments(&scope)?;
    let unique: std::collections::BTreeSet<ChunkKey> = keys.into_iter().collect();
    bind(&mut arguments, json(&unique)?)?;
    fetch(connection, SQL, arguments, filter.as_ref()).await
}

pub(super) async fn chunks_by_id(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
    ids: Vec<ChunkId>,
) -> Result<Vec<StoredChunk>> {
    const SQL: &str = chunks!(
        "json_each(?4) wanted CROSS JOIN chunks c ON c.id = wanted.value \
         CROSS JOIN visible v ON v.version_key = c.version_key"
    );
    let mut arguments = arguments(&scope)?;
    // SQLite's JSON ends a string at a NUL; an id never has one.
    let unique: std::collections::BTreeSet<ChunkId> =
        ids.into_iter().filter(|id| !id.0.chars().any(char::is_control)).collect();
    bind(&mut arguments, json(&unique)?)?;
    fetch(connection, SQL, arguments, None).await
}

pub(super) async fn chunks_of(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
    id: DocumentId,
) -> Result<Vec<StoredChunk>> {
    const SQL: &str = concat!(
        chunks!("visible v CROSS JOIN chunks c ON c.version_key = v.version_key"),
        " AND v.document_id = ?4"
    );
    shown(connection, &scope, &id).await?;
    let mut arguments = arguments(&scope)?;
    bind(&mut arguments, id.as_str().to_owned())?;
    fetch(connection, SQL, arguments, None).await
}

pub(super) async fn neighbours(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
    document: DocumentKey,
    version: Version,
    ordinals: std::ops::RangeInclusive<u32>,
) -> Result<Vec<StoredChunk>> {
    const SQL: &str = concat!(
        chunks!("visible v CROSS JOIN chunks c ON c.version_key = v.version_key"),
        " AND v.document_key = ?4 AND v.version = ?5 AND c.ordinal BETWEEN ?6 AND ?7"
    );
    let mut arguments = arguments(&scope)?;
    bind(&mut arguments, document.0)?;
    bind(&mut arguments, version)?;
    bind(&mut arguments, i64::from(*ordinals.start()))?;
    bind(&mut arguments, i64::from(*ordinals.end()))?;
    fetch(connection, SQL, arguments, None).await
}

pub(super) async fn candidates(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
    filter: Option<Filter>,
) -> Result<RoaringTreemap> {
    const SQL: &str = concat!("SELECT v.first_chunk, v.chunks FROM visible v WHERE ", asked!());
    let ranges: Vec<(i64, i64)> = filtered(SQL, arguments(&scope)?, filter.as_ref(), Shape::Sets, "")?
        .fetch_all(connection)
        .await
        .during("find the candidates")?;
    keys(ranges)
}

/// Key of the visible version, its number, and its length in bytes.
pub(super) async fn shown(
    connection: &mut SqliteConnection,
    scope: &CollectionScope,
    id: &DocumentId,
) -> Result<(i64, Version, usize)> {
    let mut arguments = arguments(scope)?;
    bind(&mut arguments, id.as_str().to_owned())?;
    let row: Option<(i64, Version, i64)> = sqlx::query_as_with(
        concat!(
            "SELECT v.version_key, v.version, v.text_bytes FROM visible v WHERE v.document_id = ?4 AND ",
            asked!()
        ),
        arguments,
    )
    .fetch_optional(connection)
    .await
    .during("look up the document")?;
    let (key, version, bytes) = row.ok_or_else(|| no_document(id.as_str()))?;
    Ok((key, version, unsigned(bytes)?))
}

pub(super) async fn text_span(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
    id: DocumentId,
    version: Version,
    start: usize,
    end: usize,
) -> Result<String> {
    let (key, shown, length) = shown(connection, &scope, &id).await?;
    if shown != version {
        return Err(StoreError::new(
            ErrorKind::NotFound,
            format!("version {version} of the document {:?} is not the visible one", id.as_str()),
        ));
    }
    let bytes = text::span(connection, key, start, end.min(length)).await?;
    chunk::cut(&bytes)
}
