//! API keys and what tenants hold.

use async_trait::async_trait;
use sqlx::PgConnection;

use super::failure::During;
use super::{For, PostgresCatalog};
use crate::accounts::{Accounts, ApiKey, NewKey, Usage};
use crate::catalog::Page;
use crate::catalog::rows::account::{KeyRow, limits};
use crate::catalog::rows::values::{self, json, unsigned};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::TenantId;

#[async_trait]
impl Accounts for PostgresCatalog {
    async fn create_key(&self, key: NewKey) -> Result<ApiKey> {
        key.check()?;
        let now = self.now();
        write!(self, key.grant.scope.tenant(), create(now, key))
    }

    async fn create_first_key(&self, key: NewKey) -> Result<Option<ApiKey>> {
        key.check()?;
        let now = self.now();
        write!(self, For::Everybody, create_first(now, key))
    }

    async fn living_key(&self, id: &str) -> Result<Option<(ApiKey, [u8; 32])>> {
        let (now, id) = (self.now(), id.to_owned());
        // Whose key it is, is what is asked.
        read!(self, For::Everybody, living(now, id))
    }

    async fn keys(
        &self,
        tenant: Option<&TenantId>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<ApiKey>> {
        let limit = values::limit(limit)?;
        let (tenant, cursor) = (tenant.cloned(), cursor.unwrap_or_default().to_owned());
        read!(self, whose(tenant.as_ref()), list(tenant, cursor, limit))
    }

    async fn revoke_key(&self, tenant: Option<&TenantId>, id: &str) -> Result<ApiKey> {
        let (now, tenant, id) = (self.now(), tenant.cloned(), id.to_owned());
        write!(self, whose(tenant.as_ref()), revoke(now, tenant, id))
    }

    async fn usage(&self, tenant: &TenantId) -> Result<Usage> {
        let tenant = tenant.clone();
        read!(self, &tenant, usage(tenant))
    }
}

/// A caller without a tenant looks after all of them.
fn whose(tenant: Option<&TenantId>) -> For {
    tenant.map_or(For::Everybody, For::from)
}

async fn create(connection: &mut PgConnection, now: i64, key: NewKey) -> Result<ApiKey> {
    let NewKey { id, hash, name, grant, created_by, expires_at } = key;
    let (collections, principals) = limits(&grant)?;
    let row: Option<KeyRow> = sqlx::query_as(
        "INSERT INTO api_keys (id, hash, tenant, name, rights, collections, tools, principals, created_by, created_at, \
            expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING RETURNING *",
    )
    .bind(&id)
    .bind(hash.as_slice())
    .bind(grant.scope.tenant().as_str())
    .bind(name)
    .bind(json(&grant.rights)?)
    .bind(collections)
    .bind(grant.tools.as_ref().map(json).transpose()?)
    .bind(principals)
    .bind(created_by)
    .bind(now)
    .bind(expires_at)
    .fetch_optional(connection)
    .await
    .during("keep the key")?;
    let row = row
        .ok_or_else(|| StoreError::new(ErrorKind::Conflict, format!("the key id {id:?} was used before")))?;
    Ok(row.key()?.0)
}

async fn create_first(connection: &mut PgConnection, now: i64, key: NewKey) -> Result<Option<ApiKey>> {
    // Of two servers that start together one makes it.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('wellspring first key', 0))")
        .execute(&mut *connection)
        .await
        .during("look for keys")?;
    let any: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM api_keys)")
        .fetch_one(&mut *connection)
        .await
        .during("look for keys")?;
    if any { Ok(None) } else { create(connection, now, key).await.map(Some) }
}

async fn living(connection: &mut PgConnection, now: i64, id: String) -> Result<Option<(ApiKey, [u8; 32])>> {
    let row: Option<KeyRow> = sqlx::query_as(
        "SELECT * FROM api_keys WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
    )
    .bind(id)
    .bind(now)
    .fetch_optional(connection)
    .await
    .during("look up the key")?;
    row.map(KeyRow::key).transpose()
}

async fn list(
    connection: &mut PgConnection,
    tenant: Option<TenantId>,
    cursor: String,
    limit: u32,
) -> Result<Page<ApiKey>> {
    // The cursor is tenant and id of the last key; every pair comes after two empty strings.
    let (after_tenant, after_id) = cursor.split_once(' ').unwrap_or_default();
    let rows: Vec<KeyRow> = sqlx::query_as(
        "SELECT * FROM api_keys WHERE ($1::text IS NULL OR tenant = $1) AND (tenant, id) > ($2, $3) \
         ORDER BY tenant, id LIMIT $4",
    )
    .bind(tenant.as_ref().map(TenantId::as_str))
    .bind(after_tenant)
    .bind(after_id)
    .bind(i64::from(limit) + 1)
    .fetch_all(connection)
    .await
    .during("list the keys")?;
    let mut items = rows.into_iter().map(|row| Ok(row.key()?.0)).collect::<Result<Vec<_>>>()?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(|key| format!("{} {}", key.tenant.as_str(), key.id));
    Ok(Page { items, next })
}

async fn revoke(
    connection: &mut PgConnection,
    now: i64,
    tenant: Option<TenantId>,
    id: String,
) -> Result<ApiKey> {
    let row: Option<KeyRow> = sqlx::query_as(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $1) WHERE id = $2 AND ($3::text IS NULL OR tenant = $3) \
         RETURNING *",
    )
    .bind(now)
    .bind(&id)
    .bind(tenant.as_ref().map(TenantId::as_str))
    .fetch_optional(connection)
    .await
    .during("revoke the key")?;
    match row {
        Some(row) => Ok(row.key()?.0),
        None => Err(StoreError::new(ErrorKind::NotFound, format!("there is no key {id:?}"))),
    }
}

async fn usage(connection: &mut PgConnection, tenant: TenantId) -> Result<Usage> {
    let (documents, bytes, chunks): (i64, i64, i64) = sqlx::query_as(
        "SELECT coalesce(sum(held_documents), 0)::bigint, coalesce(sum(held_bytes), 0)::bigint, \
            coalesce(sum(chunks), 0)::bigint \
         FROM collections WHERE tenant = $1 AND deleted_at IS NULL",
    )
    .bind(tenant.as_str())
    .fetch_one(connection)
    .await
    .during("count what the tenant holds")?;
    Ok(Usage { documents: unsigned(documents)?, bytes: unsigned(bytes)?, chunks: unsigned(chunks)? })
}
