//! What calls of paid models may cost and did cost: reserved before they are made, settled after, never above a ceiling.
//!
//! Amounts are tokens and millionths of whatever currency the prices are in; a day is a day of UTC by the store's clock.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::scope::TenantId;

/// Microseconds of a day.
pub(crate) const DAY: i64 = 24 * 3_600 * 1_000_000;

/// One try of a call, before it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Whom it is charged to.
    pub tenant: TenantId,
    /// The API key or user who asks; `None` without authentication and for work of the tenant as a whole.
    pub key: Option<String>,
    /// The request or job that it belongs to; not empty.
    pub request: String,
    /// What it is for: `answer`, `embed_documents`, …
    pub purpose: String,
    /// The model's configured name.
    pub model: String,
    /// The most it can cost. `cached_input_tokens` is not used.
    pub worst: Amount,
}

/// What a call costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Tokens read.
    pub input_tokens: u64,
    /// Of those, how many the provider had in its prompt cache.
    pub cached_input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Millionths of the currency; 0 without a price.
    pub micros: u64,
}

/// The most that may be spent and reserved; absent parts are unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ceiling {
    /// Tokens read and written.
    pub tokens: Option<u64>,
    /// Millionths of the currency.
    pub micros: Option<u64>,
}

/// The ceilings that one entry is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// For all entries of the request, whenever they are made.
    pub request: Ceiling,
    /// For the key in a day; not compared where an entry has no key.
    pub key: Ceiling,
    /// For the tenant in a day.
    pub tenant: Ceiling,
    /// For everybody together in a day.
    pub day: Ceiling,
}

/// Whose ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// The request.
    Request,
    /// The key, in a day.
    Key,
    /// The tenant, in a day.
    Tenant,
    /// Everybody, in a day.
    Day,
}

/// What a ceiling counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Tokens.
    Tokens,
    /// Millionths of the currency.
    Micros,
}

/// A ceiling that an entry would pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose.
    pub holder: Holder,
    /// Of what.
    pub unit: Unit,
    /// The ceiling.
    pub limit: u64,
    /// Spent and reserved so far.
    pub used: u64,
    /// What the entry may take.
    pub asked: u64,
    /// Until the day ends. A request's ceiling stays as it is.
    pub ends_in: Duration,
}

/// An open entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryKey(pub i64);

/// How an entry is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// At what the provider says.
    Told(Amount),
    /// At an estimate.
    Estimated(Amount),
    /// At the most it can have cost, as reserved.
    Worst,
    /// Nothing was used: it leaves no trace.
    Nothing,
}

/// What was settled of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The day, as `2026-03-01`.
    pub day: String,
    /// What for.
    pub purpose: String,
    /// The model's configured name.
    pub model: String,
    /// Tries that were or may have been charged for.
    pub calls: u64,
    /// Of those, how many are estimates.
    pub estimated: u64,
    /// What they cost.
    pub amount: Amount,
}

/// Spent and reserved today.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// Tokens.
    pub tokens: u64,
    /// Millionths of the currency.
    pub micros: u64,
}

/// Today's balances of those whom a limit may concern.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balances {
    /// Of the key; zero where none is asked about.
    pub key: Balance,
    /// Of the tenant.
    pub tenant: Balance,
    /// Of everybody.
    pub day: Balance,
}

/// The books. Every method is one transaction, durable when it returns.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Reserves the entry's worst case under every ceiling at once, or nothing: the first ceiling that it would pass, in the
    /// order request, key, tenant, day, and of each tokens before money.
    async fn reserve(
        &self,
        entry: NewEntry,
        ceilings: Ceilings,
    ) -> Result<std::result::Result<EntryKey, Exceeded>>;

    /// What [`Ledger::reserve`] would refuse now; `None` if nothing. Reserves nothing.
    async fn exceeded(&self, entry: NewEntry, ceilings: Ceilings) -> Result<Option<Exceeded>>;

    /// Replaces the reservation by what is known now, on the day on which it was made. `false` if it is settled already.
    async fn settle(&self, entry: EntryKey, settlement: Settlement) -> Result<bool>;

    /// Settles open entries that nobody can be waiting for at their worst case, and says how many there were: what an earlier
    /// process left open may have been charged for. Only for a process that makes no calls yet. Where it holds the data
    /// alone these are all; where other processes may be making calls, those of an hour ago and earlier.
    async fn settle_open(&self) -> Result<u64>;

    /// What was settled for the tenant, or for one of its keys, on the days `from` to `to`, both included and counted from
    /// 1970-01-01: by day, purpose and model.
    async fn usage(&self, tenant: &TenantId, key: Option<&str>, from: i64, to: i64) -> Result<Vec<UsageRow>>;

    /// Spent and reserved today.
    async fn balances(&self, tenant: &TenantId, key: Option<&str>) -> Result<Balances>;

    /// Today, counted from 1970-01-01.
    fn today(&self) -> i64;
}

/// A day counted from 1970-01-01, as `2026-03-01`.
pub(crate) fn date(day: i64) -> String {
    crate::clock::rfc3339(day.saturating_mul(DAY)).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        assert_eq!((date(0).as_str(), date(20_513).as_str()), ("1970-01-01", "2026-03-01"));
    }
}
