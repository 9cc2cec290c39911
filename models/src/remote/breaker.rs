//! Leaves an endpoint alone for a while once it has failed several times in a row (the circuit breaker of Nygard,
//! "Release It!", 2007).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// When an endpoint is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Failures in a row (no connection, 5xx, a deadline, a cut reply) that open it; 0: it never opens.
    pub failures: u32,
    /// Milliseconds it stays open. Then one call is let through; if that succeeds it closes, else it stays open as long
    /// again.
    pub open_ms: u64,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: 5, open_ms: 10_000 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One call is under way that decides.
    HalfOpen,
}

/// The state of one endpoint; the clock is the caller's.
#[derive(Debug)]
pub(super) struct Breaker {
    config: BreakerConfig,
    state: State,
}

impl Breaker {
    pub(super) fn new(config: BreakerConfig) -> Self {
        Self { config, state: State::Closed { failures: 0 } }
    }

    /// Whether a call may go: `Ok(true)` for the one that decides, which must report how it ended or be
    /// [abandoned](Self::abandoned); otherwise the time until it is worth asking again.
    pub(super) fn ask(&mut self, now: Instant) -> Result<bool, Duration> {
        match self.state {
            State::Closed { .. } => Ok(false),
            State::Open { until } if now >= until => {
                self.state = State::HalfOpen;
                Ok(true)
            }
            State::Open { until } => Err(until - now),
            State::HalfOpen => Err(Duration::from_secs(1)),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// A success of a call from before it opened decides nothing.
    pub(super) fn succeeded(&mut self) {
        if !matches!(self.state, State::Open { .. }) {
            self.state = State::Closed { failures: 0 };
        }
    }

    pub(super) fn failed(&mut self, now: Instant) {
        let open = State::Open { until: now + Duration::from_millis(self.config.open_ms) };
        self.state = match self.state {
            State::Closed { failures }
                if self.config.failures == 0 || failures + 1 < self.config.failures =>
            {
                State::Closed { failures: failures.saturating_add(1) }
            }
            State::Closed { .. } | State::HalfOpen => open,
            // A call from before it opened.
            State::Open { until } => State::Open { until },
        };
    }

    /// The deciding call ended without telling: the next one decides.
    pub(super) fn abandoned(&mut self, now: Instant) {
        if self.state == State::HalfOpen {
            self.state = State::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_probes_once_and_closes() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut breaker = Breaker::new(BreakerConfig { failures: 2, open_ms: 100 });
        breaker.failed(at(0));
        breaker.succeeded();
        breaker.failed(at(1));
        assert_eq!(breaker.ask(at(2)), Ok(false), "a success in between starts the count again");
        breaker.failed(at(2));
        breaker.succeeded();
        assert_eq!(breaker.ask(at(3)), Err(Duration::from_millis(99)), "a late success is ignored");
        assert_eq!(breaker.ask(at(102)), Ok(true));
        assert!(breaker.ask(at(102)).is_err(), "one probe at a time");
        breaker.failed(at(103));
        assert!(breaker.ask(at(202)).is_err());
        assert_eq!(breaker.ask(at(203)), Ok(true));
        breaker.abandoned(at(204));
        assert_eq!(breaker.ask(at(204)), Ok(true), "a probe that was dropped is followed by another");
        breaker.succeeded();
        assert_eq!(breaker.ask(at(205)), Ok(false));
    }

    #[test]
    fn without_a_limit_it_never_opens() {
        let mut breaker = Breaker::new(BreakerConfig { failures: 0, open_ms: 100 });
        let now = Instant::now();
        (0..100).for_each(|_| breaker.failed(now));
        assert_eq!(breaker.ask(now), Ok(false));
    }
}
