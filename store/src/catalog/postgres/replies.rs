//! Kept replies in the database. Triggers of the schema remove those whose documents change or go.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::PgConnection;

use super::failure::During;
use super::scoped::{living, staying};
use super::{For, PostgresCatalog};
use crate::catalog::rows::values::{json, parsed};
use crate::clock::micros;
use crate::document::ContentHash;
use crate::error::Result;
use crate::replies::{NewReply, Replies};
use crate::scope::CollectionScope;

#[async_trait]
impl Replies for PostgresCatalog {
    async fn reply(&self, scope: &CollectionScope, ask: ContentHash) -> Result<Option<serde_json::Value>> {
        let (now, scope) = (self.now(), scope.clone());
        read!(self, scope.tenant(), get(now, scope, ask))
    }

    async fn keep_reply(&self, scope: &CollectionScope, reply: NewReply) -> Result<bool> {
        let (now, scope) = (self.now(), scope.clone());
        // The bound counts everybody's.
        write!(self, For::Everybody, keep(now, scope, reply))
    }
}

async fn get(
    connection: &mut PgConnection,
    now: i64,
    scope: CollectionScope,
    ask: ContentHash,
) -> Result<Option<serde_json::Value>> {
    living(connection, &scope).await?;
    let found: Option<String> =
        sqlx::query_scalar("SELECT reply FROM replies WHERE tenant = $1 AND ask = $2 AND expires_at > $3")
            .bind(scope.tenant().as_str())
            .bind(ask.0.as_slice())
            .bind(now)
            .fetch_optional(connection)
            .await
            .during("look for a kept reply")?;
    found.as_deref().map(parsed).transpose()
}

async fn keep(
    connection: &mut PgConnection,
    now: i64,
    scope: CollectionScope,
    new: NewReply,
) -> Result<bool> {
    staying(connection, &scope).await?;
    let mut documents = BTreeSet::new();
    // In one order; whoever changes one of them waits until the reply is kept, and then removes it.
    let sources: BTreeSet<_> = new.sources.iter().collect();
    for (id, version) in sources {
        let visible: Option<i64> = sqlx::query_scalar(
            "SELECT d.key FROM documents d JOIN versions v ON v.key = d.visible \
             WHERE d.collection_key = $1 AND d.id = $2 AND d.deleted_at IS NULL AND v.version = $3 FOR SHARE OF d",
        )
        .bind(scope.key().0)
        .bind(id.as_str())
        .bind(version)
        .fetch_optional(&mut *connection)
        .await
        .during("keep a reply")?;
        match visible {
            Some(key) => documents.insert(key),
            None => return Ok(false),
        };
    }
    let tenant = scope.tenant().as_str();
    sqlx::query("DELETE FROM replies WHERE expires_at <= $1 OR (tenant = $2 AND ask = $3)")
        .bind(now)
        .bind(tenant)
        .bind(new.ask.0.as_slice())
        .execute(&mut *connection)
        .await
        .during("forget kept replies")?;
    let expires = now.saturating_add(micros(new.keep));
    let key: Option<i64> = sqlx::query_scalar(
        "INSERT INTO replies (tenant, ask, reply, expires_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT DO NOTHING RETURNING key",
    )
    .bind(tenant)
    .bind(new.ask.0.as_slice())
    .bind(json(&new.reply)?)
    .bind(expires)
    .fetch_optional(&mut *connection)
    .await
    .during("keep a reply")?;
    // Another process kept one at the same moment.
    let Some(key) = key else { return Ok(false) };
    for document in documents {
        sqlx::query("INSERT INTO reply_sources (document_key, reply_key, collection_key, tenant) VALUES ($1, $2, $3, $4)")
            .bind(document)
            .bind(key)
            .bind(scope.key().0)
            .bind(tenant)
            .execute(&mut *connection)
            .await
            .during("keep a reply")?;
    }
    sqlx::query(
        "DELETE FROM replies WHERE key IN ( \
            SELECT key FROM replies ORDER BY expires_at DESC, key DESC OFFSET $1)",
    )
    .bind(i64::from(new.most))
    .execute(connection)
    .await
    .during("forget kept replies")?;
    Ok(true)
}
