//! The audit log's rows; triggers keep them from being changed or removed.

use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection};

use super::SqliteCatalog;
use super::failure::During;
use super::queries;
use super::scoped::unsigned;
use crate::audit::{AuditEntry, AuditFilter, AuditLog, NewAuditEntry};
use crate::catalog::Page;
use crate::clock::rfc3339;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::TenantId;

/// Longest text of an entry in bytes.
const LONGEST: usize = 1024;

#[derive(FromRow)]
struct Row {
    key: i64,
    at: i64,
    tenant: String,
    actor: String,
    action: String,
    collection: Option<String>,
    object: Option<String>,
    outcome: i64,
    request: Option<String>,
}

impl Row {
    fn entry(self) -> Result<AuditEntry> {
        Ok(AuditEntry {
            seq: self.key,
            at: rfc3339(self.at),
            tenant: TenantId::new(self.tenant)?,
            actor: self.actor,
            action: self.action,
            collection: self.collection,
            object: self.object,
            outcome: unsigned(self.outcome)?,
            request: self.request,
        })
    }
}

#[async_trait]
impl AuditLog for SqliteCatalog {
    async fn append(&self, entry: NewAuditEntry) -> Result<()> {
        let now = self.now();
        self.database.write(None, move |connection| Box::pin(append(connection, now, entry))).await
    }

    async fn entries(
        &self,
        filter: AuditFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<AuditEntry>> {
        let limit = queries::limit(limit)?;
        let before = match cursor {
            None => i64::MAX,
            Some(cursor) => cursor.parse().map_err(|e: std::num::ParseIntError| {
                StoreError::new(
                    ErrorKind::Invalid,
                    "the cursor is not one that this listing gave out: start from the beginning",
                )
                .with_source(e)
            })?,
        };
        self.database.read(move |connection| Box::pin(entries(connection, filter, before, limit))).await
    }
}

/// The text, cut at a character's border.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

async fn append(connection: &mut SqliteConnection, now: i64, entry: NewAuditEntry) -> Result<()> {
    sqlx::query(
        "INSERT INTO audit (at, tenant, actor, action, collection, object, outcome, request) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(now)
    .bind(entry.tenant.as_str())
    .bind(cut(&entry.actor))
    .bind(cut(&entry.action))
    .bind(entry.collection.as_deref().map(cut))
    .bind(entry.object.as_deref().map(cut))
    .bind(i64::from(entry.outcome))
    .bind(entry.request.as_deref().map(cut))
    .execute(connection)
    .await
    .during("add to the audit log")?;
    Ok(())
}

async fn entries(
    connection: &mut SqliteConnection,
    filter: AuditFilter,
    before: i64,
    limit: u32,
) -> Result<Page<AuditEntry>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM audit WHERE key < ?1 AND (?2 IS NULL OR tenant = ?2) AND (?3 IS NULL OR actor = ?3) \
            AND (?4 IS NULL OR object = ?4) ORDER BY key DESC LIMIT ?5",
    )
    .bind(before)
    .bind(filter.tenant.as_ref().map(TenantId::as_str))
    .bind(filter.actor.as_deref())
    .bind(filter.object.as_deref().map(cut))
    .bind(i64::from(limit) + 1)
    .fetch_all(connection)
    .await
    .during("read the audit log")?;
    let mut items = rows.into_iter().map(Row::entry).collect::<Result<Vec<_>>>()?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(|entry| entry.seq.to_string());
    Ok(Page { items, next })
}
