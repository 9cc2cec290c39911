//! Storing what a worker made of a document, and making it visible.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json as value;
use sqlx::PgConnection;

use super::changes;
use super::failure::During;
use super::filter_sql;
use super::leases::{abandon, finish, held, supersede};
use super::names;
use super::replicas;
use super::scoped::shown;
use super::text;
use super::versions::{self, remove, show};
use crate::catalog::ChangeKind;
use crate::catalog::rows::job::cancelled;
use crate::catalog::rows::processed::{names_of, own_fields, page_count};
use crate::catalog::rows::values::{floats, hash, json, signed, unsigned};
use crate::clock::rfc3339;
use crate::document::{ContentHash, Metadata, NewChunk, ProcessedDocument, Seq};
use crate::error::{ErrorKind, Result, StoreError};
use crate::filter::{Scalar, flatten};
use crate::jobs::{Ending, JobState, Lease};
use crate::scope::CollectionScope;

pub(super) async fn known_vectors(
    connection: &mut PgConnection,
    scope: CollectionScope,
    hashes: Vec<ContentHash>,
) -> Result<HashMap<ContentHash, Vec<f32>>> {
    let wanted: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.0.to_vec()).collect();
    let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT DISTINCT ON (c.content_hash) c.content_hash, x.vector FROM chunks c JOIN vectors x ON x.chunk_key = c.key \
         WHERE c.collection_key = $1 AND c.content_hash = ANY($3) AND NOT c.replaced \
            AND EXISTS (SELECT 1 FROM collections WHERE key = $1 AND tenant = $2 AND deleted_at IS NULL) \
         ORDER BY c.content_hash, c.key",
    )
    .bind(scope.key().0)
    .bind(scope.tenant().as_str())
    .bind(wanted)
    .fetch_all(connection)
    .await
    .during("look up known vectors")?;
    rows.into_iter().map(|(found, vector)| Ok((hash(&found)?, floats(&vector)))).collect()
}

/// The inner error is an answer that keeps what was written.
pub(super) async fn store_version(
    connection: &mut PgConnection,
    now: i64,
    lease: Lease,
    processed: Arc<ProcessedDocument>,
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
        "UPDATE versions SET state = 'stored', media_type = $1, title = $2, metadata = $3, pipeline = $4, warnings = $5, \
            page_count = $6, chunks = $7, first_chunk = $8, text_bytes = $9, text_hash = $10, pages = $11, offsets = $12 \
         WHERE key = $13",
    )
    .bind(shown(&processed.media_type))
    .bind(processed.title.as_deref().map(shown))
    .bind(json(&processed.metadata)?)
    .bind(shown(&processed.pipeline))
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
    text::store(connection, version.key, &processed.text).await?;
    changes::record(connection, &version, ChangeKind::Stored).await.map(Ok)
}

/// Takes away what an earlier attempt stored. The chunks' keys stay, so that the indexes can be told to drop them.
async fn clear(connection: &mut PgConnection, version: i64) -> Result<()> {
    for statement in [
        "DELETE FROM vectors WHERE chunk_key IN (SELECT key FROM chunks WHERE version_key = $1)",
        "UPDATE chunks SET replaced = true WHERE version_key = $1",
        "DELETE FROM fields WHERE version_key = $1",
        "DELETE FROM names WHERE version_key = $1",
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
    connection: &mut PgConnection,
    version: &versions::VersionRow,
    processed: &ProcessedDocument,
) -> Result<i64> {
    let chunks = &processed.chunks;
    let first: i64 = sqlx::query_scalar("SELECT take_chunk_keys($1)")
        .bind(signed(chunks.len())?)
        .fetch_one(&mut *connection)
        .await
        .during("store the chunks")?;
    let keys: Vec<i64> = (first..).take(chunks.len()).collect();
    // One statement for all rows: a large document has thousands.
    sqlx::query(
        "INSERT INTO chunks (version_key, collection_key, key, ordinal, start, stop, page, section_start, section_end, \
            tokens, language, id, content_hash, headings, links) \
         SELECT $1, $2, r.* FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
            $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::bytea[], $14::text[], \
            $15::text[]) r",
    )
    .bind(version.key)
    .bind(version.collection_key)
    .bind(&keys)
    .bind(column(chunks, |chunk| Ok(i64::from(chunk.ordinal)))?)
    .bind(column(chunks, |chunk| signed(chunk.start))?)
    .bind(column(chunks, |chunk| signed(chunk.end))?)
    .bind(column(chunks, |chunk| Ok(chunk.page.map(i64::from)))?)
    .bind(column(chunks, |chunk| chunk.section.map(|section| signed(section.0)).transpose())?)
    .bind(column(chunks, |chunk| chunk.section.map(|section| signed(section.1)).transpose())?)
    .bind(column(chunks, |chunk| Ok(i64::from(chunk.tokens)))?)
    .bind(column(chunks, |chunk| Ok(chunk.language.clone()))?)
    .bind(column(chunks, |chunk| Ok(chunk.id.0.clone()))?)
    .bind(column(chunks, |chunk| Ok(chunk.content_hash.0.to_vec()))?)
    .bind(column(chunks, |chunk| json(&chunk.headings))?)
    .bind(column(chunks, |chunk| (!chunk.links.is_empty()).then(|| json(&chunk.links)).transpose())?)
    .execute(&mut *connection)
    .await
    .during("store the chunks")?;
    let vectors: Vec<Vec<u8>> = chunks
        .iter()
        .map(|chunk| chunk.vector.iter().flat_map(|component| component.to_le_bytes()).collect())
        .collect();
    sqlx::query(
        "INSERT INTO vectors (chunk_key, vector) SELECT r.* FROM unnest($1::bigint[], $2::bytea[]) r",
    )
    .bind(keys)
    .bind(vectors)
    .execute(connection)
    .await
    .during("store the vectors")?;
    Ok(first)
}

/// One value of each chunk.
fn column<T>(chunks: &[NewChunk], value: impl Fn(&NewChunk) -> Result<T>) -> Result<Vec<T>> {
    chunks.iter().map(value).collect()
}

/// Rows of [`flatten`], a column each. A text is cut as the schema says.
async fn store_fields(
    connection: &mut PgConnection,
    version: &versions::VersionRow,
    metadata: &Metadata,
) -> Result<()> {
    let rows = flatten(metadata);
    let (mut heads, mut rests, mut numbers, mut wholes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (_, scalar) in &rows {
        let (mut head, mut rest, mut number, mut whole) = (None, None, None, None);
        match scalar {
            Scalar::Present => {}
            Scalar::Text(text) => {
                let (first, more) = filter_sql::split(text);
                head = Some(first.to_vec());
                rest = more.map(<[u8]>::to_vec);
            }
            Scalar::Number(value) => number = Some(*value),
            Scalar::Bool(flag) => whole = Some(i64::from(*flag)),
            Scalar::Date(micros) => whole = Some(*micros),
        }
        heads.push(head);
        rests.push(rest);
        numbers.push(number);
        wholes.push(whole);
    }
    sqlx::query(
        "INSERT INTO fields (version_key, collection_key, name, kind, head, rest, number, whole) \
         SELECT $1, $2, r.* FROM unnest($3::bytea[], $4::bigint[], $5::bytea[], $6::bytea[], $7::float8[], \
            $8::bigint[]) r",
    )
    .bind(version.key)
    .bind(version.collection_key)
    .bind(rows.iter().map(|(name, _)| name.as_bytes().to_vec()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, scalar)| scalar.kind()).collect::<Vec<_>>())
    .bind(heads)
    .bind(rests)
    .bind(numbers)
    .bind(wholes)
    .execute(connection)
    .await
    .during("store the metadata")?;
    Ok(())
}

pub(super) async fn publish(
    connection: &mut PgConnection,
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
    // Of two documents with the same bytes, the one published last has to find the other.
    versions::lock_collection(connection, version.collection_key).await?;
    show(connection, version.document_key, Some(version.key)).await?;
    sqlx::query("UPDATE versions SET state = 'visible', visible_at = $1 WHERE key = $2")
        .bind(now)
        .bind(version.key)
        .execute(&mut *connection)
        .await
        .during("publish the document")?;
    let updated = Metadata::from([("_updated_at".to_owned(), value!(rfc3339(now)))]);
    store_fields(connection, &version, &updated).await?;
    replicas::shown(connection, version.collection_key, version.document_key, version.version).await?;
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
async fn duplicate_of(connection: &mut PgConnection, version: i64) -> Result<Option<String>> {
    sqlx::query_scalar(
        "SELECT min(other.document_id) FROM visible this \
         JOIN visible other ON other.collection_key = this.collection_key AND other.blob = this.blob \
            AND other.document_key <> this.document_key AND (other.acl IS NULL OR other.acl = this.acl) \
         WHERE this.version_key = $1",
    )
    .bind(version)
    .fetch_one(connection)
    .await
    .during("look for a duplicate")
}
