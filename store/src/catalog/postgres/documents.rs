//! Visible documents: one, a page of them, and what is kept of their bytes and text.

use sqlx::PgConnection;

use super::failure::During;
use super::filter_sql::{Shape, filtered};
use super::queries::shown;
use super::scoped::{arguments, asked, bind};
use super::text;
use crate::catalog::Page;
use crate::catalog::rows::document::DocumentRow;
use crate::catalog::rows::values::{hash, no_document, parsed};
use crate::document::{ContentHash, Document, DocumentId, PageSpan};
use crate::error::Result;
use crate::filter::Filter;
use crate::scope::CollectionScope;

macro_rules! documents {
    () => {
        concat!(
            "SELECT v.document_key, v.document_id, v.version, v.title, v.source, v.media_type, v.metadata, \
                array_to_json(v.acl)::text AS acl, \
                v.bytes, v.blob, v.pipeline, v.page_count, v.chunks, v.warnings, v.document_created_at, v.visible_at \
             FROM visible v WHERE ",
            asked!()
        )
    };
}

pub(super) async fn get(
    connection: &mut PgConnection,
    scope: CollectionScope,
    id: DocumentId,
) -> Result<Document> {
    let mut arguments = arguments(&scope)?;
    bind(&mut arguments, id.as_str().to_owned())?;
    let row: Option<DocumentRow> =
        sqlx::query_as_with(concat!(documents!(), " AND v.document_id = $4"), arguments)
            .fetch_optional(connection)
            .await
            .during("look up the document")?;
    row.ok_or_else(|| no_document(id.as_str()))?.document()
}

pub(super) async fn list(
    connection: &mut PgConnection,
    scope: CollectionScope,
    filter: Option<Filter>,
    cursor: Option<String>,
    limit: u32,
) -> Result<Page<Document>> {
    super::scoped::living(connection, &scope).await?;
    let mut arguments = arguments(&scope)?;
    // Every id is longer than the empty string.
    bind(&mut arguments, cursor.unwrap_or_default())?;
    bind(&mut arguments, i64::from(limit) + 1)?;
    let rows: Vec<DocumentRow> = filtered(
        concat!(documents!(), " AND v.document_id > $4"),
        arguments,
        filter.as_ref(),
        Shape::Each,
        " ORDER BY v.document_id LIMIT $5",
    )?
    .fetch_all(connection)
    .await
    .during("list the documents")?;
    let mut items = rows.into_iter().map(DocumentRow::document).collect::<Result<Vec<_>>>()?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(|document| document.id.as_str().to_owned());
    Ok(Page { items, next })
}

pub(super) async fn text(
    connection: &mut PgConnection,
    scope: CollectionScope,
    id: DocumentId,
) -> Result<(String, Vec<PageSpan>, serde_json::Value)> {
    let (key, _, _) = shown(connection, &scope, &id).await?;
    let (pages, offsets): (String, String) =
        sqlx::query_as("SELECT pages, offsets FROM versions WHERE key = $1")
            .bind(key)
            .fetch_one(&mut *connection)
            .await
            .during("read the text")?;
    Ok((text::whole(connection, key).await?, parsed(&pages)?, parsed(&offsets)?))
}

pub(super) async fn blob(
    connection: &mut PgConnection,
    scope: CollectionScope,
    id: DocumentId,
) -> Result<ContentHash> {
    let (key, _, _) = shown(connection, &scope, &id).await?;
    let blob: Vec<u8> = sqlx::query_scalar("SELECT blob FROM versions WHERE key = $1")
        .bind(key)
        .fetch_one(connection)
        .await
        .during("look up the document")?;
    hash(&blob)
}
