//! Storing what a worker made of a document, and making it visible.

use std::collections::HashMap;

use serde_json::json as value;
use sqlx::SqliteConnection;

use super::changes;
use super::failure::During;
use super::leases::{abandon, finish, held, supersede};
use super::names;
use super::text;
use super::versions::{self, remove, show};
use crate::catalog::ChangeKind;
use crate::catalog::rows::job::cancelled;
use crate::catalog::rows::processed::{names_of, own_fields, page_count};
use crate::catalog::rows::values::{floats, hash, json, signed, unsigned};
use crate::clock::rfc3339;
use crate::document::{ContentHash, Metadata, ProcessedDocument, Seq};
use crate::error::{ErrorKind, Result, StoreError};
use crate::filter::{Scalar, flatten};
use crate::jobs::{Ending, JobState, Lease};
use crate::scope::CollectionScope;

pub(super) async fn known_vectors(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
    hashes: Vec<ContentHash>,
) -> Result<HashMap<ContentHash, Vec<f32>>> {
    let wanted: Vec<String> = hashes.iter().map(|hash| hash.to_hex()).collect();
    let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT unhex(wanted.value), x.vector FROM json_each(?3) wanted CROSS JOIN vectors x ON x.chunk_key = ( \
            SELECT key FROM chunks WHERE collection_key = ?1 AND content_hash = unhex(wanted.value) AND replaced = 0 LIMIT 1) \
         WHERE EXISTS (SELECT 1 FROM collections WHERE key = ?1 AND tenant = ?2 AND deleted_at IS NULL)",
    )
    .bind(scope.key().0)
    .bind(scope.tenant().as_str())
    .bind(json(&wanted)?)
    .fetch_all(connection)
    .await
    .during("look up known vectors")?;
    rows.into_iter().map(|(found, vector)| Ok((hash(&found)?, floats(&vector)))).collect()
}

/// The inner error is an answer that keeps what was written.
pub(super) async fn store_version(
    connection: &mut SqliteConnection,
    now: i64,
    lease: Lease,
    processed: ProcessedDocument,
) -> Result<Result<Seq>> {
    let held = held(connection, &lease).await?;
    let dimension: usize = unsigned(held.dimension)?;
    if let Some(chunk) = processed.chunks.iter().find(|chunk| chunk.vector.len() != dimension) {
        return Err(StoreError::new(
            ErrorKind::Invalid,
            format!(
                "chunk {} has a vector of {} components and the collection's have {dimension}: embed with its model",
                chunk.ordinal,
                chunk.vector.len()
            ),
        ));
    }
    if held.gone {
        let ending = cancelled(&held);
        abandon(connection, now, &held, &ending).await?;
        return Ok(Err(StoreError::new(ErrorKind::Conflict, "the document was deleted: drop this attempt")));
    }
    let version = versions::get(connection, held.version_key).await?;
    if version.state == "stored" {
        changes::record(connection, &version, ChangeKind::Removed).await?;
        clear(connection, version.key).await?;
    }
    let first = store_chunks(connection, &version, &processed).await?;
    store_fields(connection, &version, &own_fields(&held, &lease, &processed)).await?;
    sqlx::query(
        "UPDATE versions SET state = 'stored', media_type = ?, title = ?, metadata = ?, pipeline = ?, warnings = ?, \
            page_count = ?, chunks = ?, first_chunk = ?, text_bytes = ?, text_hash = ?, pages = ?, offsets = ? \
         WHERE key = ?",
    )
    .bind(&processed.media_type)
    .bind(&processed.title)
    .bind(json(&processed.metadata)?)
    .bind(&processed.pipeline)
    .bind(json(&processed.warnings)?)
    .bind(page_count(&processed))
    .bind(signed(processed.chunks.len())?)
    .bind(first)
    .bind(signed(processed.text.len())?)
    .bind(ContentHash::of(processed.text.as_bytes()).0.as_slice())
    .bind(json(&processed.pages)?)
    .bind(json(&processed.offsets)?)
    .bind(version.key)
    .execute(&mut *connection)
    .await
    .during("store the document")?;
    names::store(connection, version.key, version.collection_key, &names_of(&lease, &processed)).await?;
    text::store(connection, version.key, processed.text).await?;
    changes::record(connection, &version, ChangeKind::Stored).await.map(Ok)
}

/// Takes away what an earlier attempt stored. The chunks' keys stay, so that the indexes can be told to drop them.
async fn clear(connection: &mut SqliteConnection, version: i64) -> Result<()> {
    for statement in [
        "DELETE FROM vectors WHERE chunk_key IN (SELECT key FROM chunks WHERE version_key = ?)",
        "UPDATE chunks SET replaced = 1 WHERE version_key = ?",
        "DELETE FROM fields WHERE version_key = ?",
        "DELETE FROM names WHERE version_key = ?",
    ] {
        sqlx::query(statement)
            .bind(version)
            .execute(&mut *connection)
            .await
            .during("replace an earlier attempt")?;
    }
    Ok(())
}

/// Inserts chunks and vectors under consecutive keys; returns the first.
async fn store_chunks(
    connection: &mut SqliteConnection,
    version: &versions::VersionRow,
    processed: &ProcessedDocument,
) -> Result<i64> {
    let first: i64 =
        sqlx::query_scalar("SELECT 1 + coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'chunks'), 0)")
            .fetch_one(&mut *connection)
            .await
            .during("store the chunks")?;
    let rows: Vec<serde_json::Value> = processed
        .chunks
        .iter()
        .map(|chunk| {
            value!([
                chunk.ordinal,
                chunk.start,
                chunk.end,
                chunk.page,
                chunk.section.map(|section| section.0),
                chunk.section.map(|section| section.1),
                chunk.tokens,
                chunk.language,
                chunk.id,
                chunk.content_hash.to_hex(),
                chunk.headings,
                (!chunk.links.is_empty()).then_some(&chunk.links),
            ])
        })
        .collect();
    let vectors: Vec<u8> = processed
        .chunks
        .iter()
        .flat_map(|chunk| chunk.vector.iter().flat_map(|component| component.to_le_bytes()))
        .collect();
    // One statement for all rows: a large document has thousands.
    sqlx::query(
        "INSERT INTO chunks (key, version_key, collection_key, ordinal, start, end, page, section_start, section_end, \
            tokens, language, id, content_hash, headings, links) \
         SELECT ?1 + row.key, ?2, ?3, row.value ->> 0, row.value ->> 1, row.value ->> 2, row.value ->> 3, \
            row.value ->> 4, row.value ->> 5, row.value ->> 6, row.value ->> 7, row.value ->> 8, \
            unhex(row.value ->> 9), row.value -> 10, row.value ->> 11 \
         FROM json_each(?4) row ORDER BY row.key",
    )
    .bind(first)
    .bind(version.key)
    .bind(version.collection_key)
    .bind(json(&rows)?)
    .execute(&mut *connection)
    .await
    .during("store the chunks")?;
    let size = vectors.len() / rows.len().max(1);
    sqlx::query(
        "INSERT INTO vectors (chunk_key, vector) \
         SELECT key, substr(?1, 1 + (key - ?2) * ?3, ?3) FROM chunks WHERE version_key = ?4 AND replaced = 0",
    )
    .bind(vectors)
    .bind(first)
    .bind(signed(size)?)
    .bind(version.key)
    .execute(connection)
    .await
    .during("store the vectors")?;
    Ok(first)
}

async fn store_fields(
    connection: &mut SqliteConnection,
    version: &versions::VersionRow,
    metadata: &Metadata,
) -> Result<()> {
    for (name, scalar) in flatten(metadata) {
        let insert = sqlx::query(
            "INSERT INTO fields (version_key, collection_key, name, kind, value) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(version.key)
        .bind(version.collection_key)
        .bind(name)
        .bind(scalar.kind());
        let insert = match scalar {
            Scalar::Present => insert.bind(None::<i64>),
            Scalar::Text(text) => insert.bind(text),
            Scalar::Number(number) => insert.bind(number),
            Scalar::Bool(flag) => insert.bind(i64::from(flag)),
            Scalar::Date(micros) => insert.bind(micros),
        };
        insert.execute(&mut *connection).await.during("store the metadata")?;
    }
    Ok(())
}

pub(super) async fn publish(
    connection: &mut SqliteConnection,
    now: i64,
    lease: Lease,
    mut report: serde_json::Value,
) -> Result<JobState> {
    let held = held(connection, &lease).await?;
    let overtaken = held.visible.is_some_and(|visible| visible > lease.version);
    if held.gone || held.cancel_requested || overtaken {
        let mut ending = cancelled(&held);
        if overtaken && !held.gone {
            ending.reason = Some("superseded".to_owned());
            ending.message = Some("a newer version is visible already".to_owned());
        }
        ending.report = report;
        abandon(connection, now, &held, &ending).await?;
        return Ok(ending.state);
    }
    let version = versions::get(connection, held.version_key).await?;
    if version.state != "stored" {
        return Err(StoreError::new(ErrorKind::Invalid, "a version is stored before it is published"));
    }
    show(connection, version.document_key, Some(version.key)).await?;
    sqlx::query("UPDATE versions SET state = 'visible', visible_at = ? WHERE key = ?")
        .bind(now)
        .bind(version.key)
        .execute(&mut *connection)
        .await
        .during("publish the document")?;
    let updated = Metadata::from([("_updated_at".to_owned(), value!(rfc3339(now)))]);
    store_fields(connection, &version, &updated).await?;
    if let Some(old) = held.visible_key {
        let old = versions::get(connection, old).await?;
        remove(connection, &old).await?;
    }
    supersede(connection, now, &lease, "a newer version is visible").await?;
    if let Some(duplicate) = duplicate_of(connection, version.key).await?
        && let Some(report) = report.as_object_mut()
    {
        report.insert("duplicate_of".to_owned(), value!(duplicate));
    }
    let ending = Ending { state: JobState::Indexed, reason: None, message: None, report };
    finish(connection, now, held.job_key, &ending).await?;
    Ok(JobState::Indexed)
}

/// Another visible document with the same bytes that everybody who sees this version may see too.
async fn duplicate_of(connection: &mut SqliteConnection, version: i64) -> Result<Option<String>> {
    sqlx::query_scalar(
        "SELECT min(other.document_id) FROM visible this \
         JOIN visible other ON other.collection_key = this.collection_key AND other.blob = this.blob \
            AND other.document_key <> this.document_key AND (other.acl IS NULL OR other.acl = this.acl) \
         WHERE this.version_key = ?",
    )
    .bind(version)
    .fetch_one(connection)
    .await
    .during("look for a duplicate")
}
