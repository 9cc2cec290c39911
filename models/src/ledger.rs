//! The seam to the books: who pays for a call, what may be spent, and what was.

mod account;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::chat::Usage;
use crate::error::{ErrorKind, ModelError, Result};
use crate::money::Money;
use crate::registry::Purpose;

pub use account::{Account, Line, Statement};

/// What a paid call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Work(&'static str);

impl Work {
    /// Embedding what somebody asks.
    pub const QUERY: Self = Self("embed_query");
    /// Embedding documents as they are taken in.
    pub const DOCUMENTS: Self = Self("embed_documents");
    /// Reranking by a model that is no chat model.
    pub const RERANK: Self = Self("rerank");

    /// Its name in usage, limits and metrics.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl From<Purpose> for Work {
    fn from(purpose: Purpose) -> Self {
        Self(purpose.name())
    }
}

/// The most that may be spent, worst cases of calls under way included; an absent part is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    /// Tokens read and written.
    pub tokens: Option<u64>,
    /// Money.
    pub money: Option<Money>,
}

/// The limits that every call is held to, all at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// For one request with all the calls it makes; embedding documents is not held to it.
    pub request: Limit,
    /// For one API key or user in a day of UTC.
    pub key: Limit,
    /// For one tenant in a day of UTC.
    pub tenant: Limit,
    /// For everybody together in a day of UTC.
    pub day: Limit,
}

impl Limits {
    /// Whether any of them is in money, so that every model needs a price.
    pub fn limit_money(&self) -> bool {
        [self.request, self.key, self.tenant, self.day].iter().any(|limit| limit.money.is_some())
    }
}

/// One try of a call, before it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Who pays.
    pub account: Account,
    /// What for.
    pub work: Work,
    /// The model's configured name.
    pub model: String,
    /// The most it can use; only input and output tokens count.
    pub worst: Usage,
    /// The most it can cost; `None` without a price.
    pub cost: Option<Money>,
}

/// A reservation that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reservation(pub i64);

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It used this much, says the provider.
    Told(Usage, Option<Money>),
    /// It used at most about this much: an estimate of what was sent and received.
    Estimated(Usage, Option<Money>),
    /// Nobody can say; what was reserved is charged.
    Worst,
    /// Nothing was used.
    Nothing,
}

/// Books that are durable: what is reserved stays reserved over a crash, and is then charged as it was reserved.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Reserves the worst case under every limit at once; durable when it returns. A refusal is the error of
    /// [`Refusal::into_error`].
    async fn reserve(&self, ask: &Ask) -> Result<Reservation>;

    /// Fails as [`Ledger::reserve`] would now, and reserves nothing.
    async fn affords(&self, ask: &Ask) -> Result<()>;

    /// Replaces a reservation by what is known. Settling again does nothing.
    async fn settle(&self, reservation: Reservation, ask: &Ask, settled: Settled) -> Result<()>;
}

/// Which limit refused a call; its name is a stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitName {
    /// `budget.request.tokens`
    RequestTokens,
    /// `budget.request.money`
    RequestMoney,
    /// `budget.key.tokens`
    KeyTokens,
    /// `budget.key.money`
    KeyMoney,
    /// `budget.tenant.tokens`
    TenantTokens,
    /// `budget.tenant.money`
    TenantMoney,
    /// `budget.day.tokens`
    DayTokens,
    /// `budget.day.money`
    DayMoney,
}

impl LimitName {
    /// The stable code: `budget-day-money`, …
    pub const fn code(self) -> &'static str {
        match self {
            Self::RequestTokens => "budget-request-tokens",
            Self::RequestMoney => "budget-request-money",
            Self::KeyTokens => "budget-key-tokens",
            Self::KeyMoney => "budget-key-money",
            Self::TenantTokens => "budget-tenant-tokens",
            Self::TenantMoney => "budget-tenant-money",
            Self::DayTokens => "budget-day-tokens",
            Self::DayMoney => "budget-day-money",
        }
    }

    /// The setting that holds it.
    pub fn setting(self) -> String {
        self.code().replace('-', ".")
    }

    fn is_money(self) -> bool {
        matches!(self, Self::RequestMoney | Self::KeyMoney | Self::TenantMoney | Self::DayMoney)
    }

    fn is_of_request(self) -> bool {
        matches!(self, Self::RequestTokens | Self::RequestMoney)
    }
}

/// A call that was refused before it was made. Amounts are tokens, or millionths of the currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.told())]
pub struct Refusal {
    /// By which limit.
    pub limit: LimitName,
    /// The limit.
    pub most: u64,
    /// Spent and reserved.
    pub used: u64,
    /// What the call may take.
    pub asked: u64,
    /// Until the day ends.
    pub ends_in: Duration,
}

impl Refusal {
    fn told(&self) -> String {
        let setting = self.limit.setting();
        if matches!(self.limit, LimitName::DayTokens | LimitName::DayMoney) {
            // What everybody together spent is nobody's business.
            return format!(
                "the limit `{setting}` of everybody together leaves no room; try again on the next day of UTC, or raise it"
            );
        }
        let (most, used, asked) = if self.limit.is_money() {
            let money = |micros| Money::from_micros(micros).to_string();
            (money(self.most), money(self.used), money(self.asked))
        } else {
            (format!("{} tokens", self.most), self.used.to_string(), self.asked.to_string())
        };
        let fix = if self.limit.is_of_request() {
            "ask for less, or raise it"
        } else {
            "try again on the next day of UTC, or raise it"
        };
        format!(
            "the limit `{setting}` of {most} leaves no room: {used} are spent or reserved and {asked} more could be needed; {fix}"
        )
    }

    /// Whether the call would be refused on an empty day, too.
    pub fn is_for_ever(&self) -> bool {
        self.asked > self.most
    }

    /// As an error of a call: `RateLimited` until the day ends, with the refusal as its source.
    pub fn into_error(self) -> ModelError {
        ModelError::new(ErrorKind::RateLimited, self.to_string())
            .with_retry_after(Some(self.ends_in))
            .with_source(self)
    }

    /// The refusal somewhere in a chain of errors.
    pub fn within<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Self> {
        std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_limit_and_is_found_again() {
        let refusal = Refusal {
            limit: LimitName::TenantMoney,
            most: 20_000_000,
            used: 19_990_000,
            asked: 50_000,
            ends_in: Duration::from_secs(60),
        };
        let error = refusal.into_error();
        assert_eq!(
            error.to_string(),
            "the limit `budget.tenant.money` of 20.00 leaves no room: 19.99 are spent or reserved and 0.05 more could be \
             needed; try again on the next day of UTC, or raise it"
        );
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimited, Some(refusal.ends_in)));
        assert_eq!(Refusal::within(&error), Some(&refusal));
        assert!(!refusal.is_for_ever() && Refusal { asked: 20_000_001, ..refusal }.is_for_ever());
        let of_all = Refusal { limit: LimitName::DayMoney, ..refusal }.to_string();
        assert!(of_all.contains("budget.day.money") && !of_all.contains("19.99"), "{of_all}");
        assert_eq!(LimitName::RequestTokens.setting(), "budget.request.tokens");
    }
}
