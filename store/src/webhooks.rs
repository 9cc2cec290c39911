//! Telling others what happened to documents: the rows of who is told what, and how each telling went.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::Page;
use crate::error::Result;
use crate::scope::{Scope, TenantId};

/// Who is told, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// Its name, unique in an installation.
    pub endpoint: String,
    /// Whose events it gets.
    pub tenant: TenantId,
    /// Kinds of events (`job.indexed`, `document.deleted`); empty for all.
    pub kinds: BTreeSet<String>,
    /// Names of collections; empty for all.
    pub collections: BTreeSet<String>,
}

/// How a planning went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Planned {
    /// Deliveries made.
    pub deliveries: u64,
    /// Events that were forgotten before the receiver could be told: it was out of reach for too long.
    pub lost: u64,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// To be sent, for the first time or again.
    Pending,
    /// The receiver said that it has it.
    Delivered,
    /// Given up.
    Failed,
}

/// One event on its way to one receiver.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Delivery {
    /// The same for every attempt and replay: what a receiver tells repeats by.
    pub id: String,
    /// The receiver.
    pub endpoint: String,
    /// The event's kind.
    pub kind: String,
    /// The JSON that is sent.
    pub payload: Value,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts made since it was planned or replayed.
    pub attempts: u32,
    /// The status of the last answer; `None` where none came.
    pub status: Option<u16>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
}

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The answer's status; `None` where none came.
    pub status: Option<u16>,
    /// Why it failed; `None` for one that went well.
    pub error: Option<String>,
    /// The wait before the next attempt of one that failed; `None` gives it up.
    pub retry: Option<Duration>,
}

/// What a catalog keeps of it; each method is one transaction, like those of [`crate::Catalog`]. The events themselves are
/// written by the transactions that make them happen.
#[async_trait]
pub trait DeliveryRows {
    /// Forgets receivers of other names: what waits for them is given up, and events are no longer kept for them.
    async fn keep_receivers(&self, endpoints: &[String]) -> Result<()>;

    /// Makes deliveries of the events that the receiver has not been told of, while fewer than `most_pending` of its own
    /// wait. A receiver that is not known yet is told of what happens from now on. Every event is planned once.
    async fn plan_deliveries(&self, receiver: &Receiver, most_pending: u32) -> Result<Planned>;

    /// Deliveries to a receiver that are due, the longest due first, at most `limit`. What was planned for a receiver of that
    /// name that served another tenant is not among them.
    async fn due_deliveries(&self, receiver: &Receiver, limit: u32) -> Result<Vec<Delivery>>;

    /// Records an attempt at a delivery.
    async fn settle_delivery(&self, id: &str, attempt: Attempt) -> Result<()>;

    /// Deliveries of the tenant, newest first, at most `limit` (1–1000) after `cursor`. `Unauthorized` for a scope that
    /// does not see everything.
    async fn deliveries(
        &self,
        scope: &Scope,
        endpoint: Option<&str>,
        state: Option<DeliveryState>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Delivery>>;

    /// Makes a delivery due again, all attempts before it, whatever became of it.
    async fn replay_delivery(&self, scope: &Scope, id: &str) -> Result<Delivery>;
}
