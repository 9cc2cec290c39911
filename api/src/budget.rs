//! What may be spent: prices and limits of the configuration, and the wiring of models to the books.

mod books;
mod replies;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wellspring_models::budget::Accounting;
use wellspring_models::ledger::{Limit, Limits};
use wellspring_models::replies::ReplyCache;
use wellspring_models::{Price, Registry};
use wellspring_store::Store;

use books::Books;
use replies::KeptReplies;

pub(crate) use books::describe;
pub(crate) use report::{Day, UsageReport, report};

/// Prices, limits, and replies that are given again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BudgetConfig {
    /// What all prices and sums are in; only shown.
    pub(crate) currency: String,
    /// For one request.
    pub(crate) request: Limit,
    /// For one API key or user in a day of UTC.
    pub(crate) key: Limit,
    /// For one tenant in a day of UTC.
    pub(crate) tenant: Limit,
    /// For everybody together in a day of UTC.
    pub(crate) day: Limit,
    /// Replies that are given again.
    pub(crate) replies: RepliesConfig,
    /// By the configured name of the model, for a million tokens.
    pub(crate) prices: BTreeMap<String, Price>,
}

/// Replies of chat models that are given again to exactly the same ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RepliesConfig {
    /// Seconds for which a reply is kept; 0: none is.
    pub(crate) keep_seconds: u64,
    /// Replies kept at most.
    pub(crate) most: u32,
}

impl Default for RepliesConfig {
    fn default() -> Self {
        Self { keep_seconds: 0, most: 10_000 }
    }
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            currency: "USD".to_owned(),
            request: Limit::default(),
            key: Limit::default(),
            tenant: Limit::default(),
            day: Limit::default(),
            replies: RepliesConfig::default(),
            prices: BTreeMap::new(),
        }
    }
}

impl BudgetConfig {
    fn limits(&self) -> Limits {
        Limits { request: self.request, key: self.key, tenant: self.tenant, day: self.day }
    }

    /// The registry with the store's books. An error names the model that has no price although a limit is in money, or the
    /// price that is nobody's.
    pub(crate) fn keep_books(
        &self,
        registry: Registry,
        store: &Store,
    ) -> wellspring_models::Result<Registry> {
        let limits = self.limits();
        let replies = (self.replies.keep_seconds > 0).then(|| {
            let keep = Duration::from_secs(self.replies.keep_seconds);
            ReplyCache::new(Arc::new(KeptReplies::new(store, keep, self.replies.most)))
        });
        let accounting = Accounting {
            ledger: Arc::new(Books::new(Arc::clone(&store.ledger), limits)),
            prices: self.prices.clone(),
            currency: self.currency.as_str().into(),
            replies,
        };
        registry.with_accounting(accounting, &limits)
    }
}

#[cfg(test)]
mod tests {
    use wellspring_models::registry::{Api, ChatEndpoint, ModelsConfig};

    use super::*;

    fn config(text: &str) -> BudgetConfig {
        toml::from_str(text).unwrap()
    }

    async fn opened(text: &str) -> Result<(), String> {
        let endpoint = ChatEndpoint {
            base_url: "http://127.0.0.1:9/v1".to_owned(),
            ..ChatEndpoint::new("large", Api::Openai, "m")
        };
        let registry =
            Registry::new(ModelsConfig { chats: vec![endpoint], ..ModelsConfig::default() }).unwrap();
        let store = Store::in_memory().await.unwrap();
        config(text).keep_books(registry, &store).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn prices_and_limits_are_exact() {
        let config = config(
            "currency = 'EUR'\nday = { money = 20, tokens = 5 }\nrequest.money = 0.05\n\
             [prices.\"openai/x\"]\ninput = 0.15\noutput = '0.6'\ncached_input = 0.075",
        );
        assert_eq!(config.day.money.unwrap().micros(), 20_000_000);
        assert_eq!(config.request.money.unwrap().micros(), 50_000);
        let price = config.prices["openai/x"];
        assert_eq!((price.input.micros(), price.output.micros()), (150_000, 600_000));
        assert_eq!(price.cached_input.unwrap().micros(), 75_000);
        let shown = toml::to_string_pretty(&config).unwrap();
        assert_eq!(toml::from_str::<BudgetConfig>(&shown).unwrap(), config);
        assert!(toml::from_str::<BudgetConfig>("day = { euros = 1 }").is_err());
        assert!(toml::from_str::<BudgetConfig>("day = { money = -1 }").is_err());
    }

    #[tokio::test]
    async fn a_limit_in_money_needs_the_price_of_every_model() {
        let missing = opened("day = { money = 20 }").await.unwrap_err();
        assert!(missing.contains("the model large has no price"), "{missing}");
        let unknown = opened("[prices.larg]\ninput = 1").await.unwrap_err();
        assert!(unknown.contains("larg") && unknown.contains("there are: large"), "{unknown}");
        opened("day = { tokens = 20 }").await.unwrap();
        opened("day = { money = 20 }\n[prices.large]\ninput = 0").await.unwrap();
    }
}
