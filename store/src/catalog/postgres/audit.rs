//! The audit log's rows; triggers keep them from being changed, and from being removed before their time.

use async_trait::async_trait;
use sqlx::PgConnection;

use super::failure::During;
use super::scoped::shown;
use super::{For, PostgresCatalog};
use crate::audit::{AuditEntry, AuditFilter, AuditLog, NewAuditEntry};
use crate::catalog::Page;
use crate::catalog::rows::audit::{AuditRow, before, cut};
use crate::catalog::rows::values;
use crate::error::Result;
use crate::scope::TenantId;

#[async_trait]
impl AuditLog for PostgresCatalog {
    async fn append(&self, entry: NewAuditEntry) -> Result<()> {
        let now = self.now();
        write!(self, &entry.tenant, append(now, entry))
    }

    async fn entries(
        &self,
        filter: AuditFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<AuditEntry>> {
        let limit = values::limit(limit)?;
        let before = before(cursor)?;
        let whose = filter.tenant.as_ref().map_or(For::Everybody, For::from);
        read!(self, whose, entries(filter, before, limit))
    }

    async fn forget(&self, before: i64, limit: u32) -> Result<u64> {
        let limit = values::limit(limit)?;
        write!(self, For::Everybody, forget(before, limit))
    }
}

async fn forget(connection: &mut PgConnection, before: i64, limit: u32) -> Result<u64> {
    sqlx::query("SELECT set_config('wellspring.audit_horizon', $1, true)")
        .bind(before.to_string())
        .execute(&mut *connection)
        .await
        .during("forget old entries of the audit log")?;
    // Numbers ascend with time, so that the oldest are the first.
    let removed = sqlx::query(
        "DELETE FROM audit WHERE at < $1 AND key IN (SELECT key FROM audit ORDER BY key LIMIT $2)",
    )
    .bind(before)
    .bind(i64::from(limit))
    .execute(connection)
    .await
    .during("forget old entries of the audit log")?;
    Ok(removed.rows_affected())
}

async fn append(connection: &mut PgConnection, now: i64, entry: NewAuditEntry) -> Result<()> {
    sqlx::query(
        "INSERT INTO audit (at, tenant, actor, action, collection, object, outcome, request) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(now)
    .bind(entry.tenant.as_str())
    .bind(shown(cut(&entry.actor)))
    .bind(shown(cut(&entry.action)))
    .bind(entry.collection.as_deref().map(cut).map(shown))
    .bind(entry.object.as_deref().map(cut).map(shown))
    .bind(i64::from(entry.outcome))
    .bind(entry.request.as_deref().map(cut).map(shown))
    .execute(connection)
    .await
    .during("add to the audit log")?;
    Ok(())
}

async fn entries(
    connection: &mut PgConnection,
    filter: AuditFilter,
    before: i64,
    limit: u32,
) -> Result<Page<AuditEntry>> {
    let rows: Vec<AuditRow> = sqlx::query_as(
        "SELECT * FROM audit WHERE key < $1 AND ($2::text IS NULL OR tenant = $2) AND ($3::text IS NULL OR actor = $3) \
            AND ($4::text IS NULL OR object = $4) ORDER BY key DESC LIMIT $5",
    )
    .bind(before)
    .bind(filter.tenant.as_ref().map(TenantId::as_str))
    .bind(filter.actor.as_deref())
    .bind(filter.object.as_deref().map(cut))
    .bind(i64::from(limit) + 1)
    .fetch_all(connection)
    .await
    .during("read the audit log")?;
    let mut items = rows.into_iter().map(AuditRow::entry).collect::<Result<Vec<_>>>()?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(|entry| entry.seq.to_string());
    Ok(Page { items, next })
}
