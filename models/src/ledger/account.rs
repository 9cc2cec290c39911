//! Who pays for the calls of one request, and the statement of what they came to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::Work;
use crate::chat::Usage;
use crate::money::Money;

/// Who pays for the calls of one request or job. Clones add to the same statement.
#[derive(Debug, Clone)]
pub struct Account {
    tenant: String,
    key: Option<String>,
    request: String,
    bill: Arc<Mutex<Bill>>,
}

/// Same payer, same request.
impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        (&self.tenant, &self.key, &self.request) == (&other.tenant, &other.key, &other.request)
    }
}

impl Eq for Account {}

#[derive(Debug, Default)]
struct Bill {
    lines: BTreeMap<(Work, String), Line>,
    currency: Option<Arc<str>>,
}

/// What the calls of one kind to one model came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// `answer`, `expand`, `rerank`, `embed_query`, …
    pub purpose: Work,
    /// The model's configured name.
    pub model: String,
    /// Tries that were or may have been charged for.
    pub calls: u64,
    /// Replies that were kept from an earlier call and cost nothing.
    pub cached: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Of those, how many the provider had in its prompt cache.
    pub cached_input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Whether some of the numbers are upper estimates, since the provider did not tell.
    pub estimated: bool,
    /// In the currency of the prices; `None` without a price.
    pub cost: Option<Money>,
}

/// What a request's calls came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// By purpose and model; empty where no paid model was called.
    pub lines: Vec<Line>,
    /// All lines with a price together; `None` where none has one.
    pub cost: Option<Money>,
    /// What the costs are in, where there are any.
    pub currency: Option<String>,
}

impl Account {
    /// Of a tenant and, where one asks, an API key or user. `request` is not empty and unlike that of any other request.
    pub fn new(tenant: impl Into<String>, key: Option<String>, request: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), key, request: request.into(), bill: Arc::default() }
    }

    /// Of a tenant as a whole, for a request without a name of its own.
    pub fn of_tenant(tenant: impl Into<String>) -> Self {
        let request = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        Self::new(tenant, None, request)
    }

    /// The tenant.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The API key or user.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The request or job.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// What its calls came to so far. Calls under way are not in it.
    pub fn statement(&self) -> Statement {
        let bill = self.bill.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<Line> = bill.lines.values().cloned().collect();
        let cost = lines.iter().filter_map(|line| line.cost).reduce(Money::plus);
        let currency = bill.currency.as_deref().filter(|_| cost.is_some()).map(str::to_owned);
        Statement { lines, cost, currency }
    }

    /// Adds a call.
    pub(crate) fn charge(
        &self,
        work: Work,
        model: &str,
        usage: &Usage,
        cost: Option<Money>,
        estimated: bool,
        currency: Option<&Arc<str>>,
    ) {
        self.line(work, model, |line| {
            line.calls += 1;
            line.input_tokens += usage.input_tokens;
            line.cached_input_tokens += usage.cached_input_tokens;
            line.output_tokens += usage.output_tokens;
            line.estimated |= estimated;
            line.cost = match (line.cost, cost) {
                (Some(a), Some(b)) => Some(a.plus(b)),
                (a, b) => a.or(b),
            };
        });
        self.bill.lock().unwrap_or_else(PoisonError::into_inner).currency = currency.cloned();
    }

    /// Adds a reply that was kept.
    pub(crate) fn replay(&self, work: Work, model: &str) {
        self.line(work, model, |line| line.cached += 1);
    }

    fn line(&self, work: Work, model: &str, change: impl FnOnce(&mut Line)) {
        let mut bill = self.bill.lock().unwrap_or_else(PoisonError::into_inner);
        let line = bill.lines.entry((work, model.to_owned())).or_insert_with(|| Line {
            purpose: work,
            model: model.to_owned(),
            calls: 0,
            cached: 0,
            input_tokens: 0,
            cached_input_tokens: 0,
            output_tokens: 0,
            estimated: false,
            cost: None,
        });
        change(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Purpose;

    #[test]
    fn a_statement_sums_by_purpose_and_model() {
        let account = Account::new("t", None, "r");
        let usage = Usage { input_tokens: 10, output_tokens: 2, ..Usage::default() };
        let currency: Arc<str> = "EUR".into();
        let answer = Work::from(Purpose::Answer);
        assert_eq!(account.statement(), Statement::default());
        account.charge(answer, "m", &usage, Some(Money::from_micros(5)), false, Some(&currency));
        account.clone().charge(answer, "m", &usage, Some(Money::from_micros(7)), true, Some(&currency));
        account.charge(Work::QUERY, "e", &usage, None, false, Some(&currency));
        account.replay(answer, "other");
        let statement = account.statement();
        let told: Vec<_> = statement
            .lines
            .iter()
            .map(|line| {
                (line.purpose.name(), line.model.as_str(), line.calls, line.cached, line.input_tokens)
            })
            .collect();
        assert_eq!(
            told,
            [("answer", "m", 2, 0, 20), ("answer", "other", 0, 1, 0), ("embed_query", "e", 1, 0, 10)]
        );
        assert!(statement.lines[0].estimated && !statement.lines[2].estimated);
        assert_eq!(
            (statement.cost, statement.currency.as_deref()),
            (Some(Money::from_micros(12)), Some("EUR"))
        );
    }
}
