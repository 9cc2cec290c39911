//! One payer at one model: opens a reservation for a try, and sees to it that each is settled, whatever becomes of it.

use std::sync::Arc;

use crate::chat::Usage;
use crate::error::{ErrorKind, ModelError, Result};
use crate::ledger::{Account, Ask, Ledger, Reservation, Settled, Work};
use crate::money::Money;
use crate::price::Price;

/// Who pays for the calls of one model, and at what price.
#[derive(Clone)]
pub(crate) struct Meter {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) currency: Arc<str>,
    pub(crate) account: Account,
    pub(crate) work: Work,
    pub(crate) model: String,
    pub(crate) price: Option<Price>,
    /// Whether the provider charges for writing its prompt cache.
    pub(crate) may_write_cache: bool,
}

impl Meter {
    fn ask(&self, worst: Usage) -> Ask {
        let cost = |price: &Price| price.worst(worst.input_tokens, worst.output_tokens, self.may_write_cache);
        Ask {
            account: self.account.clone(),
            work: self.work,
            model: self.model.clone(),
            worst,
            cost: self.price.as_ref().map(cost),
        }
    }

    /// Reserves what a try may use at most; a limit refuses with the error of [`crate::ledger::Refusal`].
    pub(crate) async fn reserve(&self, worst: Usage) -> Result<Ticket> {
        let ask = self.ask(worst);
        let reservation = self.ledger.reserve(&ask).await?;
        Ok(Ticket {
            meter: self.clone(),
            ask,
            reservation,
            settled: Settled::Worst,
            charged: false,
            open: true,
        })
    }

    /// Whether so much could be reserved now.
    pub(crate) async fn affords(&self, worst: Usage) -> Result<()> {
        self.ledger.affords(&self.ask(worst)).await
    }

    fn cost(&self, usage: &Usage) -> Option<Money> {
        self.price.as_ref().map(|price| price.cost(usage))
    }
}

/// A try under way. One that is dropped, because nobody waits for it any more, is charged at its worst: how much the
/// provider went on to write can't be known.
pub(crate) struct Ticket {
    meter: Meter,
    ask: Ask,
    reservation: Reservation,
    /// What is to become of it.
    settled: Settled,
    charged: bool,
    open: bool,
}

impl Ticket {
    /// What was reserved.
    pub(crate) fn worst(&self) -> Usage {
        self.ask.worst
    }

    /// At what the provider says. One that counts nothing read does not count.
    pub(crate) async fn told(self, usage: Usage) {
        if usage.input_tokens == 0 {
            let guess = Usage { input_tokens: self.ask.worst.input_tokens, ..usage };
            return self.estimated(guess).await;
        }
        let cost = self.meter.cost(&usage);
        self.settle(Settled::Told(usage, cost)).await;
    }

    /// At an upper estimate.
    pub(crate) async fn estimated(self, usage: Usage) {
        let cost = self.meter.cost(&usage);
        self.settle(Settled::Estimated(usage, cost)).await;
    }

    /// At its worst, unless the failure says that nothing was charged.
    pub(crate) async fn failed(self, error: &ModelError) {
        let free = error.is_unbilled()
            || matches!(
                error.kind(),
                ErrorKind::RateLimited | ErrorKind::Unauthorized | ErrorKind::Invalid | ErrorKind::NotFound
            );
        self.settle(if free { Settled::Nothing } else { Settled::Worst }).await;
    }

    /// At its worst.
    pub(crate) async fn lost(self) {
        self.settle(Settled::Worst).await;
    }

    async fn settle(mut self, settled: Settled) {
        self.settled = settled;
        self.charge();
        let done = self.meter.ledger.settle(self.reservation, &self.ask, settled).await;
        // What could not be settled stays reserved, and is charged so at the next start.
        self.open = false;
        unsettled(done);
    }

    fn charge(&mut self) {
        let (usage, cost, estimated) = match self.settled {
            Settled::Told(usage, cost) => (usage, cost, false),
            Settled::Estimated(usage, cost) => (usage, cost, true),
            Settled::Worst => (self.ask.worst, self.ask.cost, true),
            Settled::Nothing => return,
        };
        if !std::mem::replace(&mut self.charged, true) {
            let Meter { account, work, model, currency, .. } = &self.meter;
            account.charge(*work, model, &usage, cost, estimated, Some(currency));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        self.charge();
        let (ledger, reservation) = (Arc::clone(&self.meter.ledger), self.reservation);
        let (ask, settled) = (self.ask.clone(), self.settled);
        // Without a runtime the process ends, and the next start settles it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { unsettled(ledger.settle(reservation, &ask, settled).await) });
        }
    }
}

fn unsettled(done: Result<()>) {
    if let Err(error) = done {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "a call could not be settled: what was reserved for it stays reserved");
    }
}
