//! Hands out models that somebody pays for: the same models, each of whose tries is reserved and settled on an account.

use std::sync::Arc;
use std::time::Duration;

use super::chats::{Api, Purpose};
use super::config::{Deadlines, RetryPolicy};
use super::{DEFAULT, Registry, lock};
use crate::budget::{Accounting, Meter, PaidChat, Toll};
use crate::cache::CachedEmbedder;
use crate::chat::{ChatModel, Usage};
use crate::embed::Embedder;
use crate::error::{ErrorKind, ModelError, Result};
use crate::fake::OFFLINE_CHAT;
use crate::ledger::{Account, Limits, Work};
use crate::price::Price;
use crate::replies::ReplyCache;
use crate::rerank::{LISTWISE_RERANKER, ListwiseReranker, Reranker};
use crate::router::RoutedChat;

/// How a paid chat model is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    retry: RetryPolicy,
    deadlines: Deadlines,
    may_write_cache: bool,
}

impl Terms {
    pub(super) fn of(endpoint: &super::ChatEndpoint) -> Self {
        let may_write_cache = endpoint.api == Api::Anthropic;
        Self { retry: endpoint.retry, deadlines: endpoint.deadlines, may_write_cache }
    }
}

impl Default for Terms {
    /// Of a model that a caller registered.
    fn default() -> Self {
        let retry = RetryPolicy { retries: 0, ..RetryPolicy::default() };
        Self { retry, deadlines: Deadlines::default(), may_write_cache: false }
    }
}

impl Registry {
    /// The same registry with books: from here on what is handed out by account is reserved, settled and may be refused.
    ///
    /// # Errors
    ///
    /// `Invalid` for a price of a model that is not configured and, where `limits` are in money, for a configured model
    /// without a price.
    pub fn with_accounting(mut self, accounting: Accounting, limits: &Limits) -> Result<Self> {
        let names = self.paid_names();
        let invalid = |message: String| Err(ModelError::new(ErrorKind::Invalid, message));
        if let Some(unknown) = accounting.prices.keys().find(|name| !names.contains(name)) {
            let known = super::list(&names);
            return invalid(format!(
                "`budget.prices` has a price for {unknown}, and no endpoint is called so; there are: {known}"
            ));
        }
        if limits.limit_money()
            && let Some(free) = names.iter().find(|name| !accounting.prices.contains_key(*name))
        {
            return invalid(format!(
                "a limit in `budget` is in money, and the model {free} has no price: add \
                 `[budget.prices.\"{free}\"]` with `input` and `output` (0 for a model that costs nothing)"
            ));
        }
        self.accounting = Some(accounting);
        Ok(self)
    }

    /// Names of all models behind an endpoint.
    fn paid_names(&self) -> Vec<String> {
        let config = &self.config;
        let embedders = config.embedders.iter().map(|endpoint| endpoint.name.clone());
        let rerankers = config
            .rerankers
            .iter()
            .chain(&config.providers.rerankers())
            .map(|e| e.name.clone())
            .collect::<Vec<_>>();
        let chats = config
            .chats
            .iter()
            .chain(&config.providers.endpoints())
            .map(|e| e.name.clone())
            .collect::<Vec<_>>();
        embedders.chain(rerankers).chain(chats).collect()
    }

    /// The price of the model of this name, and what it is in; `None` without one.
    pub fn price(&self, name: &str) -> Option<(Price, &str)> {
        let accounting = self.accounting.as_ref()?;
        Some((*accounting.prices.get(name)?, &accounting.currency))
    }

    /// Where whole replies are kept, if they are.
    pub fn replies(&self) -> Option<&ReplyCache> {
        self.accounting.as_ref()?.replies.as_ref()
    }

    /// As [`Registry::chat`], paid for by `account`.
    pub fn chat_for(
        &self,
        name: Option<&str>,
        purpose: Purpose,
        account: &Account,
    ) -> Result<Option<Arc<dyn ChatModel>>> {
        let Some(model) = self.chat(name)? else { return Ok(None) };
        Ok(Some(self.paid(model, purpose, account, true)))
    }

    /// As [`Registry::route`], paid for by `account`. `within` is what the caller waits at most: of a route with several
    /// models each gets an equal share of what is left, so that one that hangs leaves time for the next.
    pub fn route_for(
        &self,
        purpose: Purpose,
        account: &Account,
        within: Duration,
    ) -> Result<Option<Arc<dyn ChatModel>>> {
        let names = self.config.routes.names(purpose);
        match names {
            [] => self.chat_for(None, purpose, account),
            [only] => self.chat_for(Some(only), purpose, account),
            _ => {
                let mut models = Vec::with_capacity(names.len());
                for (place, name) in names.iter().enumerate() {
                    let last = place + 1 == names.len();
                    let routed = lock(&self.routed).get(name).filter(|_| !last).cloned();
                    let model = match routed {
                        Some(model) => Some(model),
                        None => self.chat(Some(name))?,
                    };
                    models.extend(model.map(|model| self.paid(model, purpose, account, last)));
                }
                Ok(Some(Arc::new(RoutedChat::new(names.join(", "), models)?.within(within))))
            }
        }
    }

    /// The model with a toll before it; unchanged where there are no books, and where it runs in this process.
    fn paid(
        &self,
        model: Arc<dyn ChatModel>,
        purpose: Purpose,
        account: &Account,
        retries: bool,
    ) -> Arc<dyn ChatModel> {
        let name = model.name().to_owned();
        let Some(accounting) = self.accounting.as_ref().filter(|_| name != OFFLINE_CHAT) else {
            return model;
        };
        let mut terms = self.terms.get(&name).copied().unwrap_or_default();
        if !retries {
            terms.retry.retries = 0;
        }
        let meter = meter(accounting, account, purpose.into(), name.clone(), terms.may_write_cache);
        // The toll tries again, so that every try is paid for; what it calls must not.
        let inner = lock(&self.routed).get(&name).cloned().unwrap_or(model);
        Arc::new(PaidChat::new(inner, Toll { meter, retry: terms.retry }, terms.deadlines))
    }

    /// As [`Registry::embedder`], paid for by `account` where it is behind an endpoint and the text is in no cache.
    pub async fn embedder_for(&self, name: &str, work: Work, account: &Account) -> Result<Arc<dyn Embedder>> {
        let name = if name == DEFAULT { &self.config.default_embedder } else { name };
        let (Some(accounting), Some(remote)) = (&self.accounting, self.remotes.get(name)) else {
            return self.embedder(name).await;
        };
        let meter = meter(accounting, account, work, name.to_owned(), false);
        let paid: Arc<dyn Embedder> = Arc::new(remote.model.paid_by(meter));
        Ok(match &remote.cached {
            Some(cached) => Arc::new(cached.over(paid)),
            None => paid,
        })
    }

    /// Whether `account` could pay now for embedding so many tokens at once: worth knowing before a large document is
    /// begun that would not be finished. Always for a model that is not behind an endpoint.
    pub async fn affords_embedding(&self, name: &str, tokens: u64, account: &Account) -> Result<()> {
        let name = if name == DEFAULT { &self.config.default_embedder } else { name };
        let (Some(accounting), true) = (&self.accounting, self.remotes.contains_key(name)) else {
            return Ok(());
        };
        let meter = meter(accounting, account, Work::DOCUMENTS, name.to_owned(), false);
        meter.affords(Usage { input_tokens: tokens, ..Usage::default() }).await
    }

    /// Whether the embedder of this name is behind an endpoint, where each token may cost money.
    pub fn is_remote_embedder(&self, name: &str) -> bool {
        let name = if name == DEFAULT { &self.config.default_embedder } else { name };
        self.remotes.contains_key(name)
    }

    /// As [`Registry::reranker`], paid for by `account` where it is behind an endpoint or a chat model. `within` as for
    /// [`Registry::route_for`].
    pub async fn reranker_for(
        &self,
        name: Option<&str>,
        account: &Account,
        within: Duration,
    ) -> Result<Option<Arc<dyn Reranker>>> {
        let asked = name.filter(|name| *name != DEFAULT).or(self.config.default_reranker.as_deref());
        let (Some(accounting), Some(name)) = (&self.accounting, asked) else {
            return self.reranker(name).await;
        };
        if name == LISTWISE_RERANKER
            && let Some(chat) = self.route_for(Purpose::Rerank, account, within)?
        {
            return Ok(Some(Arc::new(ListwiseReranker::new(chat))));
        }
        match self.remote_rerankers.get(name) {
            Some(remote) => {
                let meter = meter(accounting, account, Work::RERANK, name.to_owned(), false);
                Ok(Some(Arc::new(remote.paid_by(meter))))
            }
            None => self.reranker(Some(name)).await,
        }
    }
}

fn meter(
    accounting: &Accounting,
    account: &Account,
    work: Work,
    model: String,
    may_write_cache: bool,
) -> Meter {
    Meter {
        ledger: Arc::clone(&accounting.ledger),
        currency: Arc::clone(&accounting.currency),
        account: account.clone(),
        work,
        price: accounting.prices.get(&model).copied(),
        model,
        may_write_cache,
    }
}

/// A remote embedder, and the cache before it.
pub(super) struct Remote {
    pub(super) model: Arc<crate::openai::OpenAiEmbedder>,
    pub(super) cached: Option<Arc<CachedEmbedder>>,
}
