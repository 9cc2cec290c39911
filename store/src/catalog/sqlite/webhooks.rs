//! Events and their deliveries: planned once per receiver, tried until they are through or given up, kept for replay.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::SqliteCatalog;
use super::failure::During;
use crate::catalog::Page;
use crate::catalog::rows::delivery::{
    DeliveryRow, EventRow, KEPT, REMEMBERED, before, check, outcome, page, state_name,
};
use crate::catalog::rows::values::{self, json, signed, unsigned};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::Scope;
use crate::webhooks::{Attempt, Delivery, DeliveryRows, DeliveryState, Planned, Receiver};

/// The number of the newest event that there ever was; events themselves are forgotten.
macro_rules! newest {
    () => {
        "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"
    };
}

#[async_trait]
impl DeliveryRows for SqliteCatalog {
    async fn keep_receivers(&self, endpoints: &[String]) -> Result<()> {
        let (now, endpoints) = (self.now(), endpoints.to_vec());
        self.database.write(None, move |connection| Box::pin(keep_only(connection, now, endpoints))).await
    }

    async fn plan_deliveries(&self, receiver: &Receiver, most_pending: u32) -> Result<Planned> {
        let (now, receiver) = (self.now(), receiver.clone());
        // Whoever looks every second and finds nothing should not make the disk sync.
        let looked = receiver.clone();
        if !self.database.read(move |connection| Box::pin(is_news(connection, looked))).await? {
            return Ok(Planned::default());
        }
        self.database
            .write(None, move |connection| Box::pin(plan(connection, now, receiver, most_pending)))
            .await
    }

    async fn due_deliveries(&self, receiver: &Receiver, limit: u32) -> Result<Vec<Delivery>> {
        let (now, receiver) = (self.now(), receiver.clone());
        self.database.read(move |connection| Box::pin(due(connection, now, receiver, limit))).await
    }

    async fn settle_delivery(&self, id: &str, attempt: Attempt) -> Result<()> {
        let (now, id) = (self.now(), id.to_owned());
        self.database.write(None, move |connection| Box::pin(settle(connection, now, id, attempt))).await
    }

    async fn deliveries(
        &self,
        scope: &Scope,
        endpoint: Option<&str>,
        state: Option<DeliveryState>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Delivery>> {
        check(scope)?;
        let limit = values::limit(limit)?;
        let (scope, endpoint, cursor) =
            (scope.clone(), endpoint.map(str::to_owned), cursor.map(str::to_owned));
        self.database
            .read(move |connection| Box::pin(list(connection, scope, endpoint, state, cursor, limit)))
            .await
    }

    async fn replay_delivery(&self, scope: &Scope, id: &str) -> Result<Delivery> {
        check(scope)?;
        let (now, scope, id) = (self.now(), scope.clone(), id.to_owned());
        self.database.write(None, move |connection| Box::pin(replay(connection, now, scope, id))).await
    }
}

/// Forgets who was told once there is nobody of that name any more, so that events need not be kept for them.
async fn keep_only(connection: &mut SqliteConnection, now: i64, endpoints: Vec<String>) -> Result<()> {
    let names = json(&endpoints)?;
    sqlx::query("DELETE FROM webhook_cursors WHERE endpoint NOT IN (SELECT value FROM json_each(?))")
        .bind(&names)
        .execute(&mut *connection)
        .await
        .during("forget receivers")?;
    sqlx::query(
        "UPDATE deliveries SET state = 'failed', error = 'the receiver was removed', updated_at = ?1 \
         WHERE state = 'pending' AND endpoint NOT IN (SELECT value FROM json_each(?2))",
    )
    .bind(now)
    .bind(names)
    .execute(connection)
    .await
    .during("forget receivers")?;
    Ok(())
}

/// Part of a purge: events that every receiver was told of, and deliveries that ended long ago. Both name documents.
pub(super) async fn forget(connection: &mut SqliteConnection, now: i64) -> Result<()> {
    sqlx::query(concat!(
        "DELETE FROM events WHERE seq <= (SELECT coalesce(min(seq), ",
        newest!(),
        ") FROM webhook_cursors)"
    ))
    .execute(&mut *connection)
    .await
    .during("forget events")?;
    sqlx::query("DELETE FROM deliveries WHERE state <> 'pending' AND updated_at < ?")
        .bind(now.saturating_sub(REMEMBERED))
        .execute(connection)
        .await
        .during("forget deliveries")?;
    Ok(())
}

/// Whether the receiver is new, or events came since it was told last.
async fn is_news(connection: &mut SqliteConnection, receiver: Receiver) -> Result<bool> {
    sqlx::query_scalar(concat!(
        "SELECT coalesce((SELECT seq FROM webhook_cursors WHERE endpoint = ?), -1) < ",
        newest!()
    ))
    .bind(receiver.endpoint)
    .fetch_one(connection)
    .await
    .during("look for events")
}

async fn plan(
    connection: &mut SqliteConnection,
    now: i64,
    receiver: Receiver,
    most_pending: u32,
) -> Result<Planned> {
    let cursor: Option<i64> = sqlx::query_scalar("SELECT seq FROM webhook_cursors WHERE endpoint = ?")
        .bind(&receiver.endpoint)
        .fetch_optional(&mut *connection)
        .await
        .during("plan deliveries")?;
    let Some(cursor) = cursor else {
        // Whoever is new is told what happens from now on.
        sqlx::query(concat!("INSERT INTO webhook_cursors (endpoint, seq) VALUES (?, ", newest!(), ")"))
            .bind(&receiver.endpoint)
            .execute(connection)
            .await
            .during("plan deliveries")?;
        return Ok(Planned::default());
    };
    let pending: i64 =
        sqlx::query_scalar("SELECT count(*) FROM deliveries WHERE endpoint = ? AND state = 'pending'")
            .bind(&receiver.endpoint)
            .fetch_one(&mut *connection)
            .await
            .during("plan deliveries")?;
    let room = i64::from(most_pending).saturating_sub(pending);
    if room <= 0 {
        return Ok(Planned::default());
    }
    let oldest: Option<i64> = sqlx::query_scalar("SELECT min(seq) FROM events")
        .fetch_one(&mut *connection)
        .await
        .during("plan deliveries")?;
    let events: Vec<EventRow> = sqlx::query_as(
        "SELECT seq, collection, kind, document_id, version, job, reason, at FROM events WHERE seq > ?1 AND tenant = ?2 \
            AND (?3 = '[]' OR kind IN (SELECT value FROM json_each(?3))) \
            AND (?4 = '[]' OR collection IN (SELECT value FROM json_each(?4))) ORDER BY seq LIMIT ?5",
    )
    .bind(cursor)
    .bind(receiver.tenant.as_str())
    .bind(json(&receiver.kinds)?)
    .bind(json(&receiver.collections)?)
    .bind(room)
    .fetch_all(&mut *connection)
    .await
    .during("plan deliveries")?;
    for event in &events {
        sqlx::query(
            "INSERT INTO deliveries (id, endpoint, tenant, kind, payload, state, due_at, created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6, ?6, ?6)",
        )
        .bind(format!("msg_{}", Uuid::now_v7().simple()))
        .bind(&receiver.endpoint)
        .bind(receiver.tenant.as_str())
        .bind(&event.kind)
        .bind(json(&event.payload())?)
        .bind(now)
        .execute(&mut *connection)
        .await
        .during("plan deliveries")?;
    }
    // Where all that matched was taken, what did not match need not be looked at again.
    sqlx::query(concat!(
        "UPDATE webhook_cursors SET seq = max(seq, CASE WHEN ?2 THEN ",
        newest!(),
        " ELSE ?3 END) WHERE endpoint = ?1"
    ))
    .bind(&receiver.endpoint)
    .bind(signed(events.len())? < room)
    .bind(events.last().map_or(cursor, |event| event.seq))
    .execute(&mut *connection)
    .await
    .during("plan deliveries")?;
    sqlx::query(
        "DELETE FROM deliveries WHERE endpoint = ?1 AND state <> 'pending' AND key <= ( \
            SELECT key FROM deliveries WHERE endpoint = ?1 ORDER BY key DESC LIMIT 1 OFFSET ?2)",
    )
    .bind(&receiver.endpoint)
    .bind(KEPT)
    .execute(connection)
    .await
    .during("forget old deliveries")?;
    // Events are forgotten in order, those of other tenants among them.
    let lost = oldest.map_or(0, |oldest| oldest.saturating_sub(cursor + 1).max(0));
    Ok(Planned { deliveries: unsigned(signed(events.len())?)?, lost: unsigned(lost)? })
}

async fn due(
    connection: &mut SqliteConnection,
    now: i64,
    receiver: Receiver,
    limit: u32,
) -> Result<Vec<Delivery>> {
    let rows: Vec<DeliveryRow> = sqlx::query_as(
        "SELECT * FROM deliveries WHERE endpoint = ? AND tenant = ? AND state = 'pending' AND due_at <= ? \
         ORDER BY due_at, key LIMIT ?",
    )
    .bind(receiver.endpoint)
    .bind(receiver.tenant.as_str())
    .bind(now)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .during("look for deliveries")?;
    rows.into_iter().map(DeliveryRow::delivery).collect()
}

async fn settle(connection: &mut SqliteConnection, now: i64, id: String, attempt: Attempt) -> Result<()> {
    let (state, due) = outcome(&attempt, now);
    sqlx::query(
        "UPDATE deliveries SET state = ?, attempts = attempts + 1, due_at = ?, status = ?, error = ?, updated_at = ? \
         WHERE id = ?",
    )
    .bind(state_name(state))
    .bind(due)
    .bind(attempt.status.map(i64::from))
    .bind(attempt.error)
    .bind(now)
    .bind(id)
    .execute(connection)
    .await
    .during("settle a delivery")?;
    Ok(())
}

async fn list(
    connection: &mut SqliteConnection,
    scope: Scope,
    endpoint: Option<String>,
    state: Option<DeliveryState>,
    cursor: Option<String>,
    limit: u32,
) -> Result<Page<Delivery>> {
    let before = before(cursor.as_deref())?;
    let rows: Vec<DeliveryRow> = sqlx::query_as(
        "SELECT * FROM deliveries WHERE tenant = ?1 AND (?2 IS NULL OR endpoint = ?2) AND (?3 IS NULL OR state = ?3) \
            AND key < ?4 ORDER BY key DESC LIMIT ?5",
    )
    .bind(scope.tenant().as_str())
    .bind(endpoint)
    .bind(state.map(state_name))
    .bind(before)
    .bind(i64::from(limit) + 1)
    .fetch_all(connection)
    .await
    .during("list the deliveries")?;
    page(rows, limit)
}

async fn replay(connection: &mut SqliteConnection, now: i64, scope: Scope, id: String) -> Result<Delivery> {
    let row: Option<DeliveryRow> = sqlx::query_as(
        "UPDATE deliveries SET state = 'pending', attempts = 0, due_at = ?1, updated_at = ?1 \
         WHERE id = ?2 AND tenant = ?3 RETURNING *",
    )
    .bind(now)
    .bind(&id)
    .bind(scope.tenant().as_str())
    .fetch_optional(connection)
    .await
    .during("replay a delivery")?;
    row.ok_or_else(|| StoreError::new(ErrorKind::NotFound, format!("there is no delivery {id:?}")))?
        .delivery()
}
