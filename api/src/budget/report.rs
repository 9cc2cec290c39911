//! What a tenant or a key used and spent, by day, model and purpose, beside its limits.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;
use wellspring_models::ledger::LimitName;
use wellspring_models::{ErrorKind, ModelError, Money};
use wellspring_store::TenantId;
use wellspring_store::ledger::{Amount, Balance, UsageRow};

use crate::app::App;

/// Days that are told where nobody says which.
const DAYS: i64 = 30;

/// A day of UTC, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day(i64);

impl std::str::FromStr for Day {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let date: Date = text.parse().map_err(|_| {
            ModelError::new(ErrorKind::Invalid, format!("{text:?} is no day: write it like 2026-03-01"))
        })?;
        Ok(Self(date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24))
    }
}

/// Tokens and money.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Used {
    /// Tries that were or may have been charged for.
    pub(crate) calls: u64,
    /// Of those, how many are upper estimates, since the provider did not tell.
    pub(crate) estimated: u64,
    /// Tokens read.
    pub(crate) input_tokens: u64,
    /// Of those, how many the provider had in its prompt cache.
    pub(crate) cached_input_tokens: u64,
    /// Tokens written.
    pub(crate) output_tokens: u64,
    /// In the currency, as a decimal; null for a model without a price.
    #[schema(required, value_type = Option<String>, example = "0.0132")]
    pub(crate) cost: Option<Money>,
}

/// What one model was used for on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct UsageLine {
    /// The day, in UTC.
    #[schema(example = "2026-03-01")]
    pub(crate) day: String,
    /// `answer`, `expand`, `rerank`, `embed_query`, `embed_documents`, …
    pub(crate) purpose: String,
    /// The model's configured name.
    pub(crate) model: String,
    #[serde(flatten)]
    pub(crate) used: Used,
}

/// A limit and how much of it is taken today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LimitLine {
    /// The setting.
    #[schema(example = "budget.tenant.money")]
    pub(crate) name: String,
    /// Tokens, or money as a decimal.
    #[schema(example = "20.00")]
    pub(crate) limit: String,
    /// Spent, and reserved for calls under way.
    #[schema(example = "1.25")]
    pub(crate) used: String,
}

/// Usage of paid models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct UsageReport {
    /// What costs are in.
    #[schema(example = "USD")]
    pub(crate) currency: String,
    /// By day, purpose and model.
    pub(crate) rows: Vec<UsageLine>,
    /// All rows together.
    pub(crate) total: Used,
    /// Limits of today.
    pub(crate) limits: Vec<LimitLine>,
}

/// Usage of the tenant, or of one of its keys, from one day to another, both included; without them the last 30 days.
/// `everybody` adds the limits of the server as a whole, which are no tenant's business.
pub(crate) async fn report(
    app: &App,
    tenant: &TenantId,
    key: Option<&str>,
    days: (Option<Day>, Option<Day>),
    everybody: bool,
) -> anyhow::Result<UsageReport> {
    let ledger = &app.store.ledger;
    let to = days.1.map_or(ledger.today(), |day| day.0);
    let from = days.0.map_or(to - DAYS + 1, |day| day.0);
    let budget = &app.config.budget;
    let priced = |row: &UsageRow| row.amount.micros > 0 || budget.prices.contains_key(&row.model);
    let rows = ledger.usage(tenant, key, from, to).await.context("what was used can't be read")?;
    let mut total = Used::default();
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let used = used(&row, priced(&row));
        total.add(&used);
        lines.push(UsageLine { day: row.day, purpose: row.purpose, model: row.model, used });
    }
    let balances = ledger.balances(tenant, key).await.context("what is reserved can't be read")?;
    let mut holders = Vec::new();
    if key.is_some() {
        holders.push((budget.key, balances.key, LimitName::KeyTokens, LimitName::KeyMoney));
    } else {
        holders.push((budget.tenant, balances.tenant, LimitName::TenantTokens, LimitName::TenantMoney));
    }
    if everybody {
        holders.push((budget.day, balances.day, LimitName::DayTokens, LimitName::DayMoney));
    }
    let mut limits = Vec::new();
    for (limit, Balance { tokens, micros }, of_tokens, of_money) in holders {
        limits.extend(limit.tokens.map(|most| line(of_tokens, most.to_string(), tokens.to_string())));
        let spent = Money::from_micros(micros).to_string();
        limits.extend(limit.money.map(|most| line(of_money, most.to_string(), spent)));
    }
    Ok(UsageReport { currency: budget.currency.clone(), rows: lines, total, limits })
}

fn line(name: LimitName, limit: String, used: String) -> LimitLine {
    LimitLine { name: name.setting(), limit, used }
}

fn used(row: &UsageRow, priced: bool) -> Used {
    let Amount { input_tokens, cached_input_tokens, output_tokens, micros } = row.amount;
    Used {
        calls: row.calls,
        estimated: row.estimated,
        input_tokens,
        cached_input_tokens,
        output_tokens,
        cost: priced.then(|| Money::from_micros(micros)),
    }
}

impl Used {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.estimated += other.estimated;
        self.input_tokens += other.input_tokens;
        self.cached_input_tokens += other.cached_input_tokens;
        self.output_tokens += other.output_tokens;
        self.cost = self.cost.into_iter().chain(other.cost).reduce(Money::plus);
    }
}

impl UsageReport {
    /// Costs by model, most first.
    pub(crate) fn by_model(&self) -> Vec<(String, Used)> {
        let mut models: BTreeMap<&str, Used> = BTreeMap::new();
        for line in &self.rows {
            models.entry(&line.model).or_default().add(&line.used);
        }
        let mut models: Vec<_> = models.into_iter().map(|(name, used)| (name.to_owned(), used)).collect();
        models.sort_by(|a, b| b.1.cost.cmp(&a.1.cost).then(a.0.cmp(&b.0)));
        models
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        for (text, day) in [("1970-01-01", 0), ("2026-03-01", 20_513), ("2024-02-29", 19_782)] {
            assert_eq!(text.parse::<Day>().unwrap(), Day(day));
        }
        for wrong in ["", "2026-3-1x", "2025-02-29", "yesterday"] {
            assert!(wrong.parse::<Day>().is_err(), "{wrong:?}");
        }
    }
}
