//! The models' ledger over the store's: limits become ceilings, refusals get their names, and what is settled is counted.

use std::sync::Arc;

use async_trait::async_trait;
use wellspring_models::chat::Usage;
use wellspring_models::ledger::{Ask, Ledger, Limit, LimitName, Limits, Refusal, Reservation, Settled, Work};
use wellspring_models::{ErrorKind, ModelError, Money, Result};
use wellspring_store::ledger::{
    Amount, Ceiling, Ceilings, EntryKey, Exceeded, Holder, NewEntry, Settlement, Unit,
};
use wellspring_store::{ErrorKind as StoreKind, Ledger as Rows, StoreError, TenantId};

/// The books of one store under the configured limits.
pub(super) struct Books {
    rows: Arc<dyn Rows>,
    limits: Limits,
}

impl Books {
    pub(super) fn new(rows: Arc<dyn Rows>, limits: Limits) -> Self {
        Self { rows, limits }
    }

    fn ceilings(&self, work: Work) -> Ceilings {
        let Limits { request, key, tenant, day } = self.limits;
        // A document is as long as it is: its size is bounded where it is taken in.
        let request = if work == Work::DOCUMENTS { Limit::default() } else { request };
        let ceiling = |limit: Limit| Ceiling { tokens: limit.tokens, micros: limit.money.map(Money::micros) };
        Ceilings { request: ceiling(request), key: ceiling(key), tenant: ceiling(tenant), day: ceiling(day) }
    }
}

#[async_trait]
impl Ledger for Books {
    async fn reserve(&self, ask: &Ask) -> Result<Reservation> {
        let reserved = self.rows.reserve(entry(ask)?, self.ceilings(ask.work)).await.map_err(failed)?;
        let EntryKey(key) = reserved.map_err(|exceeded| {
            let refusal = refusal(&exceeded);
            metrics::counter!("wellspring_budget_refusals_total", "limit" => refusal.limit.code())
                .increment(1);
            refusal.into_error()
        })?;
        Ok(Reservation(key))
    }

    async fn affords(&self, ask: &Ask) -> Result<()> {
        let exceeded = self.rows.exceeded(entry(ask)?, self.ceilings(ask.work)).await.map_err(failed)?;
        exceeded.map_or(Ok(()), |exceeded| Err(refusal(&exceeded).into_error()))
    }

    async fn settle(&self, reservation: Reservation, ask: &Ask, settled: Settled) -> Result<()> {
        let (settlement, used) = match settled {
            Settled::Told(usage, cost) => {
                let amount = amount(&usage, cost);
                (Settlement::Told(amount), Some(amount))
            }
            Settled::Estimated(usage, cost) => {
                let amount = amount(&usage, cost);
                (Settlement::Estimated(amount), Some(amount))
            }
            Settled::Worst => (Settlement::Worst, Some(amount(&ask.worst, ask.cost))),
            Settled::Nothing => (Settlement::Nothing, None),
        };
        let first = self.rows.settle(EntryKey(reservation.0), settlement).await.map_err(failed)?;
        if let Some(used) = used.filter(|_| first) {
            count(ask, &used);
        }
        Ok(())
    }
}

fn entry(ask: &Ask) -> Result<NewEntry> {
    Ok(NewEntry {
        tenant: TenantId::new(ask.account.tenant()).map_err(failed)?,
        key: ask.account.key().map(str::to_owned),
        request: ask.account.request().to_owned(),
        purpose: ask.work.name().to_owned(),
        model: ask.model.clone(),
        worst: amount(&ask.worst, ask.cost),
    })
}

fn amount(usage: &Usage, cost: Option<Money>) -> Amount {
    Amount {
        input_tokens: usage.input_tokens,
        cached_input_tokens: usage.cached_input_tokens,
        output_tokens: usage.output_tokens,
        micros: cost.map_or(0, Money::micros),
    }
}

fn refusal(exceeded: &Exceeded) -> Refusal {
    let limit = match (exceeded.holder, exceeded.unit) {
        (Holder::Request, Unit::Tokens) => LimitName::RequestTokens,
        (Holder::Request, Unit::Micros) => LimitName::RequestMoney,
        (Holder::Key, Unit::Tokens) => LimitName::KeyTokens,
        (Holder::Key, Unit::Micros) => LimitName::KeyMoney,
        (Holder::Tenant, Unit::Tokens) => LimitName::TenantTokens,
        (Holder::Tenant, Unit::Micros) => LimitName::TenantMoney,
        (Holder::Day, Unit::Tokens) => LimitName::DayTokens,
        (Holder::Day, Unit::Micros) => LimitName::DayMoney,
    };
    let Exceeded { limit: most, used, asked, ends_in, .. } = *exceeded;
    Refusal { limit, most, used, asked, ends_in }
}

/// Nothing is spent that can't be written down: without the books a call fails.
fn failed(error: StoreError) -> ModelError {
    let kind = match error.kind() {
        StoreKind::Unavailable | StoreKind::RateLimited => ErrorKind::Unavailable,
        StoreKind::Timeout => ErrorKind::Timeout,
        StoreKind::Corrupt => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    };
    ModelError::new(kind, format!("the books can't be kept: {error}")).with_source(error)
}

fn count(ask: &Ask, used: &Amount) {
    let (model, purpose) = (ask.model.clone(), ask.work.name());
    metrics::counter!("wellspring_model_calls_total", "model" => model.clone(), "purpose" => purpose)
        .increment(1);
    for (kind, tokens) in [("input", used.input_tokens), ("output", used.output_tokens)] {
        metrics::counter!("wellspring_model_tokens_total",
            "model" => model.clone(), "purpose" => purpose, "kind" => kind)
        .increment(tokens);
    }
    if ask.cost.is_some() {
        metrics::counter!("wellspring_model_cost_micros_total", "model" => model, "purpose" => purpose)
            .increment(used.micros);
    }
}

/// Names and describes what is counted here.
pub(crate) fn describe() {
    use metrics::describe_counter;
    describe_counter!(
        "wellspring_model_calls_total",
        "Tries of paid models that were or may have been charged for, by model and purpose."
    );
    describe_counter!("wellspring_model_tokens_total", "Tokens of those, by model, purpose and kind.");
    describe_counter!(
        "wellspring_model_cost_micros_total",
        "What they cost, in millionths of the configured currency."
    );
    describe_counter!("wellspring_budget_refusals_total", "Calls refused before they were made, by limit.");
    describe_counter!("wellspring_kept_replies_total", "Kept replies looked for, by outcome: hit or miss.");
}
