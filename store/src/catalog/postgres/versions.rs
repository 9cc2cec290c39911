//! A version's life: pending, stored, visible, removed, and what each step changes around it.

use sqlx::{FromRow, PgConnection};

use super::changes;
use super::failure::During;
use super::names;
use crate::catalog::ChangeKind;
use crate::document::Version;
use crate::error::Result;

/// Where a version stands.
#[derive(Debug, FromRow)]
pub(super) struct VersionRow {
    pub(super) key: i64,
    pub(super) collection_key: i64,
    pub(super) document_key: i64,
    pub(super) version: Version,
    pub(super) state: String,
}

pub(super) async fn get(connection: &mut PgConnection, key: i64) -> Result<VersionRow> {
    sqlx::query_as(
        "SELECT versions.key, documents.collection_key, versions.document_key, versions.version, versions.state \
         FROM versions JOIN documents ON documents.key = versions.document_key WHERE versions.key = $1",
    )
    .bind(key)
    .fetch_one(connection)
    .await
    .during("look up a version")
}

pub(super) async fn of_document(
    connection: &mut PgConnection,
    document: i64,
    version: Version,
) -> Result<VersionRow> {
    let key: i64 = sqlx::query_scalar("SELECT key FROM versions WHERE document_key = $1 AND version = $2")
        .bind(document)
        .bind(version)
        .fetch_one(&mut *connection)
        .await
        .during("look up a version")?;
    get(connection, key).await
}

/// Keeps everybody else from writing this document until the transaction ends. Comes before whatever is read of it to decide
/// on a write, and before the locks on its jobs and on its collection.
pub(super) async fn lock(connection: &mut PgConnection, document: i64) -> Result<()> {
    sqlx::query("SELECT 1 FROM documents WHERE key = $1 FOR NO KEY UPDATE")
        .bind(document)
        .execute(connection)
        .await
        .during("look up the document")?;
    Ok(())
}

/// Keeps everybody else from counting, and from taking sequence numbers, in this collection until the transaction ends.
pub(super) async fn lock_collection(connection: &mut PgConnection, collection: i64) -> Result<()> {
    sqlx::query("SELECT 1 FROM collections WHERE key = $1 FOR NO KEY UPDATE")
        .bind(collection)
        .execute(connection)
        .await
        .during("look up the collection")?;
    Ok(())
}

/// Puts a version, or none, in view in place of the one that is, and keeps the collection's counts. The one that was in
/// view still has to be removed.
pub(super) async fn show(connection: &mut PgConnection, document: i64, version: Option<i64>) -> Result<()> {
    sqlx::query(
        "UPDATE collections SET documents = documents + n, chunks = chunks + m FROM ( \
            SELECT documents.collection_key AS collection, \
                ($2 IS NOT NULL)::int - (documents.visible IS NOT NULL)::int AS n, \
                coalesce((SELECT chunks FROM versions WHERE key = $2), 0) \
                    - coalesce((SELECT chunks FROM versions WHERE key = documents.visible), 0) AS m \
            FROM documents WHERE documents.key = $1) AS difference \
         WHERE key = collection AND deleted_at IS NULL",
    )
    .bind(document)
    .bind(version)
    .execute(&mut *connection)
    .await
    .during("count the documents")?;
    sqlx::query(
        "UPDATE documents SET visible = $2, \
            restricted = EXISTS (SELECT 1 FROM versions WHERE key = $2 AND acl IS NOT NULL) WHERE key = $1",
    )
    .bind(document)
    .bind(version)
    .execute(connection)
    .await
    .during("change the visible version")?;
    Ok(())
}

/// Ends a version: the indexes are told if they may hold it, its names lead nowhere any more, and purge may take it.
pub(super) async fn remove(connection: &mut PgConnection, version: &VersionRow) -> Result<()> {
    let seq = match version.state.as_str() {
        "removed" => return Ok(()),
        "pending" => None,
        _ => Some(changes::record(connection, version, ChangeKind::Removed).await?),
    };
    sqlx::query("UPDATE versions SET state = 'removed', removed_seq = $1 WHERE key = $2")
        .bind(seq.map(|seq| seq.0))
        .bind(version.key)
        .execute(&mut *connection)
        .await
        .during("remove a version")?;
    names::clear(connection, version.key).await
}
