//! Kept replies in the catalog's file. Triggers of the schema remove those whose documents change or go.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::SqliteCatalog;
use super::failure::During;
use super::scoped::living;
use crate::catalog::rows::values::{json, parsed};
use crate::clock::micros;
use crate::document::ContentHash;
use crate::error::Result;
use crate::replies::{NewReply, Replies};
use crate::scope::CollectionScope;

#[async_trait]
impl Replies for SqliteCatalog {
    async fn reply(&self, scope: &CollectionScope, ask: ContentHash) -> Result<Option<serde_json::Value>> {
        let (now, scope) = (self.now(), scope.clone());
        self.database.read(move |connection| Box::pin(get(connection, now, scope, ask))).await
    }

    async fn keep_reply(&self, scope: &CollectionScope, reply: NewReply) -> Result<bool> {
        let (now, scope) = (self.now(), scope.clone());
        self.database.write(None, move |connection| Box::pin(keep(connection, now, scope, reply))).await
    }
}

async fn get(
    connection: &mut SqliteConnection,
    now: i64,
    scope: CollectionScope,
    ask: ContentHash,
) -> Result<Option<serde_json::Value>> {
    living(connection, &scope).await?;
    let found: Option<String> =
        sqlx::query_scalar("SELECT reply FROM replies WHERE tenant = ? AND ask = ? AND expires_at > ?")
            .bind(scope.tenant().as_str())
            .bind(ask.0.as_slice())
            .bind(now)
            .fetch_optional(connection)
            .await
            .during("look for a kept reply")?;
    found.as_deref().map(parsed).transpose()
}

async fn keep(
    connection: &mut SqliteConnection,
    now: i64,
    scope: CollectionScope,
    new: NewReply,
) -> Result<bool> {
    living(connection, &scope).await?;
    let mut documents = BTreeSet::new();
    for (id, version) in &new.sources {
        let visible: Option<i64> = sqlx::query_scalar(
            "SELECT d.key FROM documents d JOIN versions v ON v.key = d.visible \
             WHERE d.collection_key = ? AND d.id = ? AND d.deleted_at IS NULL AND v.version = ?",
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
    sqlx::query("DELETE FROM replies WHERE expires_at <= ? OR (tenant = ? AND ask = ?)")
        .bind(now)
        .bind(tenant)
        .bind(new.ask.0.as_slice())
        .execute(&mut *connection)
        .await
        .during("forget kept replies")?;
    let expires = now.saturating_add(micros(new.keep));
    let key = sqlx::query("INSERT INTO replies (tenant, ask, reply, expires_at) VALUES (?, ?, ?, ?)")
        .bind(tenant)
        .bind(new.ask.0.as_slice())
        .bind(json(&new.reply)?)
        .bind(expires)
        .execute(&mut *connection)
        .await
        .during("keep a reply")?
        .last_insert_rowid();
    for document in documents {
        sqlx::query("INSERT INTO reply_sources (document_key, reply_key, collection_key) VALUES (?, ?, ?)")
            .bind(document)
            .bind(key)
            .bind(scope.key().0)
            .execute(&mut *connection)
            .await
            .during("keep a reply")?;
    }
    sqlx::query(
        "DELETE FROM replies WHERE key IN ( \
            SELECT key FROM replies ORDER BY expires_at DESC, key DESC LIMIT -1 OFFSET ?)",
    )
    .bind(i64::from(new.most))
    .execute(connection)
    .await
    .during("forget kept replies")?;
    Ok(true)
}
