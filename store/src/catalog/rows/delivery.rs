//! Events and deliveries as both catalogs keep them, and what an attempt makes of one.

use serde_json::json as value;
use sqlx::FromRow;

use super::values::{parsed, unsigned};
use crate::catalog::Page;
use crate::clock::{micros, rfc3339};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::{Access, Scope};
use crate::webhooks::{Attempt, Delivery, DeliveryState};

/// Finished deliveries kept for each receiver.
pub(crate) const KEPT: i64 = 10_000;
/// No longer than this, in microseconds: thirty days.
pub(crate) const REMEMBERED: i64 = 30 * 24 * 3600 * 1_000_000;

#[derive(FromRow)]
pub(crate) struct EventRow {
    pub(crate) seq: i64,
    pub(crate) collection: String,
    pub(crate) kind: String,
    pub(crate) document_id: Option<String>,
    pub(crate) version: Option<i64>,
    pub(crate) job: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) at: i64,
}

impl EventRow {
    pub(crate) fn payload(&self) -> serde_json::Value {
        let mut data = value!({ "collection": self.collection });
        let members = [
            ("document_id", self.document_id.as_ref().map(|id| value!(id))),
            ("version", self.version.map(|version| value!(version))),
            ("job", self.job.as_ref().map(|job| value!(job))),
            ("reason", self.reason.as_ref().map(|reason| value!(reason))),
        ];
        for (name, member) in members {
            if let Some(member) = member {
                data[name] = member;
            }
        }
        value!({ "type": self.kind, "timestamp": rfc3339(self.at), "data": data })
    }
}

#[derive(FromRow)]
pub(crate) struct DeliveryRow {
    key: i64,
    id: String,
    endpoint: String,
    kind: String,
    payload: String,
    state: String,
    attempts: i64,
    status: Option<i64>,
    error: Option<String>,
    created_at: i64,
    updated_at: i64,
}

impl DeliveryRow {
    pub(crate) fn delivery(self) -> Result<Delivery> {
        let state = match self.state.as_str() {
            "pending" => DeliveryState::Pending,
            "delivered" => DeliveryState::Delivered,
            "failed" => DeliveryState::Failed,
            other => {
                let message = format!("the catalog holds the unknown delivery state {other:?}: run verify");
                return Err(StoreError::new(ErrorKind::Corrupt, message));
            }
        };
        Ok(Delivery {
            id: self.id,
            endpoint: self.endpoint,
            kind: self.kind,
            payload: parsed(&self.payload)?,
            state,
            attempts: unsigned(self.attempts)?,
            status: self.status.map(unsigned).transpose()?,
            error: self.error,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        })
    }
}

/// As it stands in a row.
pub(crate) fn state_name(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Pending => "pending",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Failed => "failed",
    }
}

/// Deliveries tell of every document of the tenant.
pub(crate) fn check(scope: &Scope) -> Result<()> {
    if *scope.access() == Access::Everything {
        return Ok(());
    }
    Err(StoreError::new(
        ErrorKind::Unauthorized,
        "deliveries are shown to the tenant's administrator only: they tell of everybody's documents",
    ))
}

/// Where a delivery stands after an attempt, and when it is due.
pub(crate) fn outcome(attempt: &Attempt, now: i64) -> (DeliveryState, i64) {
    match (&attempt.error, attempt.retry) {
        (None, _) => (DeliveryState::Delivered, now),
        (Some(_), Some(wait)) => (DeliveryState::Pending, now.saturating_add(micros(wait))),
        (Some(_), None) => (DeliveryState::Failed, now),
    }
}

/// The key that a page's cursor stands before.
pub(crate) fn before(cursor: Option<&str>) -> Result<i64> {
    match cursor {
        None => Ok(i64::MAX),
        Some(cursor) => cursor.parse().map_err(|_| {
            StoreError::new(ErrorKind::Invalid, "the cursor is not one that a page gave: take its `next`")
        }),
    }
}

/// A page out of up to one row more than it holds.
pub(crate) fn page(mut rows: Vec<DeliveryRow>, limit: u32) -> Result<Page<Delivery>> {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next = rows.last().filter(|_| more).map(|row| row.key.to_string());
    Ok(Page { items: rows.into_iter().map(DeliveryRow::delivery).collect::<Result<_>>()?, next })
}
