//! Events and their deliveries: planned once per receiver, tried until they are through or given up, kept for replay.

use async_trait::async_trait;
use sqlx::PgConnection;
use uuid::Uuid;

use super::failure::During;
use super::scoped::shown;
use super::{For, PostgresCatalog};
use crate::catalog::Page;
use crate::catalog::rows::delivery::{
    DeliveryRow, EventRow, KEPT, REMEMBERED, before, check, outcome, page, state_name,
};
use crate::catalog::rows::values::{self, json, signed, unsigned};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::Scope;
use crate::webhooks::{Attempt, Delivery, DeliveryRows, DeliveryState, Planned, Receiver};

/// Events kept at most.
const MOST: i64 = 10_000;
/// Microseconds for which a delivery is left to the process that took it: two minutes, more than an attempt may take.
const TAKEN: i64 = 120 * 1_000_000;

#[async_trait]
impl DeliveryRows for PostgresCatalog {
    async fn keep_receivers(&self, endpoints: &[String]) -> Result<()> {
        let (now, endpoints) = (self.now(), endpoints.to_vec());
        write!(self, For::Everybody, keep_only(now, endpoints))
    }

    async fn plan_deliveries(&self, receiver: &Receiver, most_pending: u32) -> Result<Planned> {
        let (now, receiver) = (self.now(), receiver.clone());
        // Whoever looks every second and finds nothing should not make the disk sync.
        let looked = receiver.clone();
        if !read!(self, For::Everybody, is_news(looked))? {
            return Ok(Planned::default());
        }
        write!(self, For::Everybody, plan(now, receiver, most_pending))
    }

    async fn due_deliveries(&self, receiver: &Receiver, limit: u32) -> Result<Vec<Delivery>> {
        let (now, receiver) = (self.now(), receiver.clone());
        // An idle sender should not make the disk sync.
        let asked = receiver.clone();
        if !read!(self, For::Everybody, is_due(now, asked))? {
            return Ok(Vec::new());
        }
        write!(self, For::Everybody, due(now, receiver, limit))
    }

    async fn settle_delivery(&self, id: &str, attempt: Attempt) -> Result<()> {
        let (now, id) = (self.now(), id.to_owned());
        write!(self, For::Everybody, settle(now, id, attempt))
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
        read!(self, scope.tenant(), list(scope, endpoint, state, cursor, limit))
    }

    async fn replay_delivery(&self, scope: &Scope, id: &str) -> Result<Delivery> {
        check(scope)?;
        let (now, scope, id) = (self.now(), scope.clone(), id.to_owned());
        write!(self, scope.tenant(), replay(now, scope, id))
    }
}

/// Forgets who was told once there is nobody of that name any more, so that events need not be kept for them.
async fn keep_only(connection: &mut PgConnection, now: i64, endpoints: Vec<String>) -> Result<()> {
    sqlx::query("DELETE FROM webhook_cursors WHERE NOT endpoint = ANY($1)")
        .bind(&endpoints)
        .execute(&mut *connection)
        .await
        .during("forget receivers")?;
    sqlx::query(
        "UPDATE deliveries SET state = 'failed', error = 'the receiver was removed', updated_at = $1 \
         WHERE state = 'pending' AND NOT endpoint = ANY($2)",
    )
    .bind(now)
    .bind(endpoints)
    .execute(connection)
    .await
    .during("forget receivers")?;
    Ok(())
}

/// Numbers the events that were written since, and returns the number of the newest. Whoever writes an event does not know
/// yet when it will be committed, and a receiver that was told of a later one would never look back: so events get their
/// numbers from whoever looks for them, one transaction after the other.
async fn number(connection: &mut PgConnection) -> Result<i64> {
    let last: i64 = sqlx::query_scalar("SELECT last FROM event_numbers FOR UPDATE")
        .fetch_one(&mut *connection)
        .await
        .during("look for events")?;
    let numbered = sqlx::query(
        "UPDATE events SET seq = $1 + fresh.place FROM ( \
            SELECT key, row_number() OVER (ORDER BY key) AS place FROM events WHERE seq IS NULL) fresh \
         WHERE events.key = fresh.key",
    )
    .bind(last)
    .execute(&mut *connection)
    .await
    .during("look for events")?;
    let newest = last.saturating_add(signed(numbered.rows_affected())?);
    if newest > last {
        sqlx::query("UPDATE event_numbers SET last = $1")
            .bind(newest)
            .execute(&mut *connection)
            .await
            .during("look for events")?;
        sqlx::query("DELETE FROM events WHERE seq <= $1")
            .bind(newest - MOST)
            .execute(connection)
            .await
            .during("forget old events")?;
    }
    Ok(newest)
}

/// Part of a purge: events that every receiver was told of, and deliveries that ended long ago. Both name documents.
pub(super) async fn forget(connection: &mut PgConnection, now: i64) -> Result<()> {
    let newest = number(connection).await?;
    sqlx::query("DELETE FROM events WHERE seq <= coalesce((SELECT min(seq) FROM webhook_cursors), $1)")
        .bind(newest)
        .execute(&mut *connection)
        .await
        .during("forget events")?;
    sqlx::query("DELETE FROM deliveries WHERE state <> 'pending' AND updated_at < $1")
        .bind(now.saturating_sub(REMEMBERED))
        .execute(connection)
        .await
        .during("forget deliveries")?;
    Ok(())
}

/// Whether the receiver is new, or events came since it was told last.
async fn is_news(connection: &mut PgConnection, receiver: Receiver) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM events WHERE seq IS NULL) \
            OR coalesce((SELECT seq FROM webhook_cursors WHERE endpoint = $1), -1) < (SELECT last FROM event_numbers)",
    )
    .bind(receiver.endpoint)
    .fetch_one(connection)
    .await
    .during("look for events")
}

async fn plan(
    connection: &mut PgConnection,
    now: i64,
    receiver: Receiver,
    most_pending: u32,
) -> Result<Planned> {
    let newest = number(connection).await?;
    let cursor: Option<i64> = sqlx::query_scalar("SELECT seq FROM webhook_cursors WHERE endpoint = $1")
        .bind(&receiver.endpoint)
        .fetch_optional(&mut *connection)
        .await
        .during("plan deliveries")?;
    let Some(cursor) = cursor else {
        // Whoever is new is told what happens from now on.
        sqlx::query("INSERT INTO webhook_cursors (endpoint, tenant, seq) VALUES ($1, $2, $3)")
            .bind(&receiver.endpoint)
            .bind(receiver.tenant.as_str())
            .bind(newest)
            .execute(connection)
            .await
            .during("plan deliveries")?;
        return Ok(Planned::default());
    };
    let pending: i64 =
        sqlx::query_scalar("SELECT count(*) FROM deliveries WHERE endpoint = $1 AND state = 'pending'")
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
        "SELECT seq, collection, kind, document_id, version, job, reason, at FROM events WHERE seq > $1 AND tenant = $2 \
            AND (cardinality($3::text[]) = 0 OR kind = ANY($3)) \
            AND (cardinality($4::text[]) = 0 OR collection = ANY($4)) ORDER BY seq LIMIT $5",
    )
    .bind(cursor)
    .bind(receiver.tenant.as_str())
    .bind(Vec::from_iter(&receiver.kinds))
    .bind(Vec::from_iter(&receiver.collections))
    .bind(room)
    .fetch_all(&mut *connection)
    .await
    .during("plan deliveries")?;
    for event in &events {
        sqlx::query(
            "INSERT INTO deliveries (id, endpoint, tenant, kind, payload, state, due_at, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, 'pending', $6, $6, $6)",
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
    let all = signed(events.len())? < room;
    sqlx::query("UPDATE webhook_cursors SET seq = greatest(seq, $2) WHERE endpoint = $1")
        .bind(&receiver.endpoint)
        .bind(if all { newest } else { events.last().map_or(cursor, |event| event.seq) })
        .execute(&mut *connection)
        .await
        .during("plan deliveries")?;
    sqlx::query(
        "DELETE FROM deliveries WHERE endpoint = $1 AND state <> 'pending' AND key <= ( \
            SELECT key FROM deliveries WHERE endpoint = $1 ORDER BY key DESC LIMIT 1 OFFSET $2)",
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

async fn is_due(connection: &mut PgConnection, now: i64, receiver: Receiver) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM deliveries WHERE endpoint = $1 AND tenant = $3 AND state = 'pending' \
            AND due_at <= $2)",
    )
    .bind(receiver.endpoint)
    .bind(now)
    .bind(receiver.tenant.as_str())
    .fetch_one(connection)
    .await
    .during("look for deliveries")
}

/// Takes what is due: other processes leave it alone for as long as an attempt may take.
async fn due(
    connection: &mut PgConnection,
    now: i64,
    receiver: Receiver,
    limit: u32,
) -> Result<Vec<Delivery>> {
    let rows: Vec<DeliveryRow> = sqlx::query_as(
        "WITH due AS (SELECT key, due_at FROM deliveries WHERE endpoint = $1 AND tenant = $5 AND state = 'pending' AND due_at <= $2 \
            ORDER BY due_at, key LIMIT $3 FOR UPDATE SKIP LOCKED), \
         taken AS (UPDATE deliveries SET due_at = $4 FROM due WHERE deliveries.key = due.key \
            RETURNING deliveries.*, due.due_at AS was_due) \
         SELECT * FROM taken ORDER BY was_due, key",
    )
    .bind(receiver.endpoint)
    .bind(now)
    .bind(i64::from(limit))
    .bind(now.saturating_add(TAKEN))
    .bind(receiver.tenant.as_str())
    .fetch_all(connection)
    .await
    .during("look for deliveries")?;
    rows.into_iter().map(DeliveryRow::delivery).collect()
}

async fn settle(connection: &mut PgConnection, now: i64, id: String, attempt: Attempt) -> Result<()> {
    let (state, due) = outcome(&attempt, now);
    sqlx::query(
        "UPDATE deliveries SET state = $1, attempts = attempts + 1, due_at = $2, status = $3, error = $4, updated_at = $5 \
         WHERE id = $6",
    )
    .bind(state_name(state))
    .bind(due)
    .bind(attempt.status.map(i64::from))
    .bind(attempt.error.as_deref().map(shown))
    .bind(now)
    .bind(id)
    .execute(connection)
    .await
    .during("settle a delivery")?;
    Ok(())
}

async fn list(
    connection: &mut PgConnection,
    scope: Scope,
    endpoint: Option<String>,
    state: Option<DeliveryState>,
    cursor: Option<String>,
    limit: u32,
) -> Result<Page<Delivery>> {
    let before = before(cursor.as_deref())?;
    let rows: Vec<DeliveryRow> = sqlx::query_as(
        "SELECT * FROM deliveries WHERE tenant = $1 AND ($2::text IS NULL OR endpoint = $2) AND ($3::text IS NULL OR state = $3) \
            AND key < $4 ORDER BY key DESC LIMIT $5",
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

async fn replay(connection: &mut PgConnection, now: i64, scope: Scope, id: String) -> Result<Delivery> {
    let row: Option<DeliveryRow> = sqlx::query_as(
        "UPDATE deliveries SET state = 'pending', attempts = 0, due_at = $1, updated_at = $1 \
         WHERE id = $2 AND tenant = $3 RETURNING *",
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
