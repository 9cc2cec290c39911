//! Runs of an agent, under their owner.

use async_trait::async_trait;
use sqlx::PgConnection;
use uuid::Uuid;

use super::PostgresCatalog;
use super::failure::During;
use super::scoped::staying;
use crate::catalog::rows::talk::RunRow;
use crate::catalog::rows::values::{json, signed};
use crate::conversations::Owner;
use crate::error::{ErrorKind, Result, StoreError};
use crate::runs::{NewRun, Run, RunState, Runs};
use crate::scope::CollectionScope;

async fn find(connection: &mut PgConnection, now: i64, owner: &Owner, id: Uuid) -> Result<Run> {
    let row: Option<RunRow> = sqlx::query_as(
        "SELECT r.id, c.name AS collection, r.conversation, r.state, r.version, r.body, r.expires_at \
         FROM runs r JOIN collections c ON c.key = r.collection_key AND c.deleted_at IS NULL \
         WHERE r.id = $1 AND r.tenant = $2 AND r.owner = $3 AND r.expires_at > $4",
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

async fn get(connection: &mut PgConnection, now: i64, owner: Owner, id: Uuid) -> Result<Run> {
    find(connection, now, &owner, id).await
}

async fn keep(
    connection: &mut PgConnection,
    now: i64,
    owner: Owner,
    scope: CollectionScope,
    run: NewRun,
) -> Result<Run> {
    staying(connection, &scope).await?;
    sqlx::query("DELETE FROM runs WHERE expires_at <= $1")
        .bind(now)
        .execute(&mut *connection)
        .await
        .during("remove expired runs")?;
    let lasts = signed(run.seconds)?.saturating_mul(1_000_000);
    sqlx::query(
        "INSERT INTO runs (id, tenant, owner, collection_key, conversation, state, version, body, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, 'waiting', 1, $6, $7, $8)",
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
    connection: &mut PgConnection,
    now: i64,
    owner: Owner,
    id: Uuid,
    (version, state): (u64, RunState),
    body: serde_json::Value,
) -> Result<Run> {
    // Of two decisions the second one waits, and sees the first.
    sqlx::query("SELECT 1 FROM runs WHERE id = $1 FOR UPDATE")
        .bind(id.to_string())
        .execute(&mut *connection)
        .await
        .during("look up a run")?;
    let run = find(connection, now, &owner, id).await?;
    if run.version != version {
        let message = format!("the run {id} has changed meanwhile: it was decided already");
        return Err(StoreError::new(ErrorKind::Conflict, message));
    }
    sqlx::query("UPDATE runs SET state = $1, version = version + 1, body = $2 WHERE id = $3")
        .bind(state.as_str())
        .bind(json(&body)?)
        .bind(id.to_string())
        .execute(&mut *connection)
        .await
        .during("change a run")?;
    find(connection, now, &owner, id).await
}

#[async_trait]
impl Runs for PostgresCatalog {
    async fn keep_run(&self, owner: &Owner, scope: &CollectionScope, run: NewRun) -> Result<Run> {
        let (now, owner, scope) = (self.now(), owner.clone(), scope.clone());
        write!(self, &owner.tenant, keep(now, owner, scope, run))
    }

    async fn run(&self, owner: &Owner, id: Uuid) -> Result<Run> {
        let (now, owner) = (self.now(), owner.clone());
        read!(self, &owner.tenant, get(now, owner, id))
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
        let to = (version, state);
        write!(self, &owner.tenant, change(now, owner, id, to, body))
    }
}
