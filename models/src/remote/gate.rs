//! Lets calls through to one endpoint: so many at a time, a bounded number waiting, none while its breaker is open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::breaker::{Breaker, BreakerConfig};
use crate::error::{ErrorKind, ModelError, Result};

/// What a gate lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GateConfig {
    /// Calls at a time, at least 1.
    pub(crate) concurrency: usize,
    /// Calls that may wait for one of those to end.
    pub(crate) queue: usize,
    pub(crate) breaker: BreakerConfig,
}

impl GateConfig {
    /// Lets everything through: for callers with bounds of their own.
    pub(crate) fn open() -> Self {
        let breaker = BreakerConfig { failures: 0, ..BreakerConfig::default() };
        Self { concurrency: Semaphore::MAX_PERMITS / 2, queue: 0, breaker }
    }
}

/// The gate of one endpoint, shared by all that call it.
#[derive(Debug)]
pub(crate) struct Gate {
    what: String,
    calls: Arc<Semaphore>,
    /// A permit for each call, under way or waiting.
    places: Arc<Semaphore>,
    breaker: Mutex<Breaker>,
}

impl Gate {
    pub(crate) fn new(what: String, config: GateConfig) -> Arc<Self> {
        let calls = config.concurrency.max(1);
        Arc::new(Self {
            what,
            calls: Arc::new(Semaphore::new(calls)),
            places: Arc::new(Semaphore::new(calls.saturating_add(config.queue))),
            breaker: Mutex::new(Breaker::new(config.breaker)),
        })
    }

    /// A pass for one call, before `end`. `RateLimited` when too many wait already or the wait was too long,
    /// `Unavailable` with the time to wait while the breaker is open.
    pub(crate) async fn enter(self: &Arc<Self>, end: Instant) -> Result<Pass> {
        let busy = || {
            ModelError::new(
                ErrorKind::RateLimited,
                format!(
                    "too many calls to {} are waiting; try again later or raise `concurrency`",
                    self.what
                ),
            )
        };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let call = timeout_at(end, Arc::clone(&self.calls).acquire_owned()).await;
        let call = call.map_err(|_| busy())?.map_err(|_| busy())?;
        let decides = self.breaker().ask(Instant::now()).map_err(|wait| {
            ModelError::new(
                ErrorKind::Unavailable,
                format!("{} failed too often and is left alone for {} ms", self.what, wait.as_millis()),
            )
            .unbilled()
            .with_retry_after(Some(wait))
        })?;
        Ok(Pass { gate: Arc::clone(self), _permits: [place, call], decides })
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way; dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    _permits: [OwnedSemaphorePermit; 2],
    decides: bool,
}

impl Pass {
    /// Tells how a try of the call ended. Only what speaks against the endpoint's health counts as a failure: a refused
    /// request or a request to slow down shows that it works.
    pub(crate) fn tell<T>(&mut self, result: &Result<T>) {
        self.decides = false;
        match result.as_ref().err().map(ModelError::kind) {
            Some(ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Corrupt) => {
                self.gate.breaker().failed(Instant::now());
            }
            _ => self.gate.breaker().succeeded(),
        }
    }

    /// Whether the call may be tried again: not once the breaker is open.
    pub(crate) fn may_retry(&self) -> bool {
        self.gate.breaker().is_closed()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.decides {
            self.gate.breaker().abandoned(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[tokio::test]
    async fn calls_beyond_the_limit_wait_and_beyond_the_queue_are_refused() {
        let gate = Gate::new(
            "x".to_owned(),
            GateConfig { concurrency: 1, queue: 1, breaker: BreakerConfig::default() },
        );
        let first = gate.enter(soon()).await.unwrap();
        let (waiting, refused) = tokio::join!(gate.enter(soon()), gate.enter(soon()));
        assert_eq!(waiting.unwrap_err().kind(), ErrorKind::RateLimited, "the wait was too long");
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::RateLimited);
        drop(first);
        assert!(gate.enter(soon()).await.is_ok());
    }

    #[tokio::test]
    async fn failures_close_the_gate_and_refusals_do_not() {
        let breaker = BreakerConfig { failures: 2, open_ms: 60_000 };
        let gate = Gate::new("x".to_owned(), GateConfig { concurrency: 9, queue: 0, breaker });
        let mut pass = gate.enter(soon()).await.unwrap();
        let fault = |kind| Err::<(), _>(ModelError::new(kind, "x"));
        pass.tell(&fault(ErrorKind::Unavailable));
        pass.tell(&fault(ErrorKind::RateLimited));
        pass.tell(&fault(ErrorKind::Timeout));
        assert!(pass.may_retry());
        pass.tell(&fault(ErrorKind::Unavailable));
        assert!(!pass.may_retry());
        let error = gate.enter(soon()).await.unwrap_err();
        assert!(error.retry_after().is_some() && error.kind() == ErrorKind::Unavailable);
    }
}
