//! Runs of an agent, under their owner.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::SqliteCatalog;
use super::failure::During;
use super::scoped::living;
use crate::catalog::rows::talk::RunRow;
use crate::catalog::rows::values::{json, signed};
use crate::conversations::Owner;
use crate::error::{ErrorKind, Result, StoreError};
use crate::runs::{NewRun, Run, RunState, Runs};
use crate::scope::CollectionScope;

async fn find(connection: &mut SqliteConnection, now: i64, owner: &Owner, id: Uuid) -> Result<Run> {
    let row: Option<RunRow> = sqlx::query_as(
        "SELECT r.id, c.name AS collection, r.conversation, r.state, r.version, r.body, r.expires_at \
         FROM runs r JOIN collections c ON c.key = r.collection_key AND c.deleted_at IS NULL \
         WHERE r.id = ? AND r.tenant = ? AND r.owner = ? AND r.expires_at > ?",
    )
    .bind(id.to_string())
    .bind(owner.tenant.as_str())
    .bind(owner.column())
    .bind(now)
    .fetch_optional(connection)
    .await
    .during("look up a run")?;
    row.ok_or_else(|| {
        StoreError::new(ErrorKind::NotFound, format!("there is no run {id}, or it has expired"))
    })?
    .run()
}

async fn keep(
    connection: &mut SqliteConnection,
    now: i64,
    owner: Owner,
    scope: CollectionScope,
    run: NewRun,
) -> Result<Run> {
    living(connection, &scope).await?;
    sqlx::query("DELETE FROM runs WHERE expires_at <= ?")
        .bind(now)
        .execute(&mut *connection)
        .await
        .during("remove expired runs")?;
    let lasts = signed(run.seconds)?.saturating_mul(1_000_000);
    sqlx::query(
        "INSERT INTO runs (id, tenant, owner, collection_key, conversation, state, version, body, created_at, expires_at) \
         VALUES (?, ?, ?, ?, ?, 'waiting', 1, ?, ?, ?)",
    )
    .bind(run.id.to_string())
    .bind(owner.tenant.as_str())
    .bind(owner.column())
    .bind(scope.key().0)
    .bind(run.conversation.map(|id| id.to_string()))
    .bind(json(&run.body)?)
    .bind(now)
    .bind(now.saturating_add(lasts))
    .execute(&mut *connection)
    .await
    .during("keep a run")?;
    find(connection, now, &owner, run.id).await
}

async fn change(
    connection: &mut SqliteConnection,
    now: i64,
    owner: Owner,
    id: Uuid,
    (version, state): (u64, RunState),
    body: serde_json::Value,
) -> Result<Run> {
    let run = find(connection, now, &owner, id).await?;
    if run.version != version {
        let message = format!("the run {id} has changed meanwhile: it was decided already");
        return Err(StoreError::new(ErrorKind::Conflict, message));
    }
    sqlx::query("UPDATE runs SET state = ?, version = version + 1, body = ? WHERE id = ?")
        .bind(state.as_str())
        .bind(json(&body)?)
        .bind(id.to_string())
        .execute(&mut *connection)
        .await
        .during("change a run")?;
    find(connection, now, &owner, id).await
}

#[async_trait]
impl Runs for SqliteCatalog {
    async fn keep_run(&self, owner: &Owner, scope: &CollectionScope, run: NewRun) -> Result<Run> {
        let (now, owner, scope) = (self.now(), owner.clone(), scope.clone());
        self.database.write(None, move |c| Box::pin(keep(c, now, owner, scope, run))).await
    }

    async fn run(&self, owner: &Owner, id: Uuid) -> Result<Run> {
        let (now, owner) = (self.now(), owner.clone());
        self.database.read(move |c| Box::pin(async move { find(c, now, &owner, id).await })).await
    }

    async fn change_run(
        &self,
        owner: &Owner,
        id: Uuid,
        version: u64,
        state: RunState,
        body: serde_json::Value,
    ) -> Result<Run> {
        let (now, owner) = (self.now(), owner.clone());
        self.database.write(None, move |c| Box::pin(change(c, now, owner, id, (version, state), body))).await
    }
}
