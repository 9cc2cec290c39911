//! Lets as many searches run at once as run well, lets a few wait, and refuses the rest at once.
//!
//! How many run well is found out: while a search takes about as long as it does alone, more are let in; when it takes twice as
//! long they only share what there is, and fewer are (the additive increase and multiplicative decrease of TCP, with time in place
//! of loss). A machine that computes its vectors itself ends at about twice its cores; one that waits for an endpoint at as many
//! as that serves. Whoever would wait too long is refused before any work was done for it: the wait is known from Little's law.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use wellspring_store::TenantId;

use crate::problem::{Code, Problem};

/// Searches that a look at the times needs.
const LOOK: u32 = 16;
/// A search that takes this many times as long as alone gains nothing from company.
const CROWDED: f64 = 2.0;
/// By how much the best time grows with each look while searches run as alone as they may, so that it is found anew when they
/// become harder.
const FORGETTING: f64 = 1.01;

/// See the module. Clones share everything.
#[derive(Debug, Clone)]
pub(super) struct Pace(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    fewest: usize,
    most: usize,
    limit: f64,
    running: usize,
    /// Of each tenant.
    runs: HashMap<TenantId, usize>,
    queue: std::collections::VecDeque<Waiter>,
    waiting: HashMap<TenantId, usize>,
    patience: Duration,
    /// Seconds of a search among as few others as ever, and lately.
    best: Option<f64>,
    lately: Option<f64>,
    look: Look,
}

#[derive(Debug)]
struct Waiter {
    tenant: TenantId,
    turn: oneshot::Sender<()>,
}

/// Times since the last change of the limit.
#[derive(Debug, Default)]
struct Look {
    count: u32,
    seconds: f64,
    was_full: bool,
}

/// The right to run one search; the next gets it when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    pace: Pace,
    tenant: TenantId,
    since: Instant,
    is_done: bool,
}

impl Turn {
    /// The search came to its end: how long it took tells something.
    pub(super) fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let took = self.is_done.then(|| self.since.elapsed());
        self.pace.state().leave(&self.tenant, took);
    }
}

impl Pace {
    /// Between `fewest` and `most` searches at once; others wait for about `patience`, or as long as a search takes if that is
    /// longer.
    pub(super) fn new(fewest: usize, most: usize, patience: Duration) -> Self {
        let fewest = fewest.clamp(1, most.max(1));
        metrics::gauge!("wellspring_searches_at_once").set(fewest as f64);
        Self(Arc::new(Mutex::new(State {
            fewest,
            most: most.max(1),
            limit: fewest as f64,
            running: 0,
            runs: HashMap::new(),
            queue: std::collections::VecDeque::new(),
            waiting: HashMap::new(),
            patience,
            best: None,
            lately: None,
            look: Look::default(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn; refused at once, with 503, where that would take too long. Of the places to wait a tenant gets half at
    /// most, and the next turn is of the tenant that has fewest searches running, so that nobody waits for a crowd of another's.
    pub(super) async fn turn(&self, tenant: &TenantId) -> Result<Turn, Problem> {
        let waits = {
            let mut state = self.state();
            if state.queue.is_empty() && state.has_room() {
                state.enter(tenant);
                state.look.was_full |= !state.has_room();
                None
            } else {
                Some(state.wait(tenant)?)
            }
        };
        if let Some(turn) = waits {
            // The sender is dropped only with the queue itself, and that lives as long as we do.
            let mut place = Place { pace: self, tenant, turn, has_come: false };
            (&mut place.turn).await.map_err(|_| full(Duration::from_secs(1)))?;
            place.has_come = true;
        }
        Ok(Turn { pace: self.clone(), tenant: tenant.clone(), since: Instant::now(), is_done: false })
    }
}

/// A place in the queue. Whoever goes away in the very moment that its turn comes hands it on.
struct Place<'a> {
    pace: &'a Pace,
    tenant: &'a TenantId,
    turn: oneshot::Receiver<()>,
    has_come: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.has_come && self.turn.try_recv().is_ok() {
            self.pace.state().leave(self.tenant, None);
        }
    }
}

fn full(wait: Duration) -> Problem {
    metrics::counter!("wellspring_http_requests_shed_total").increment(1);
    Problem::new(
        Code::Unavailable,
        "more searches are asked for than can be made (`limits.search_wait_ms`); try again",
    )
    .retry_after(wait)
}

impl State {
    fn has_room(&self) -> bool {
        (self.running as f64) < self.limit.floor()
    }

    /// A place in the queue, if its turn comes soon enough.
    fn wait(&mut self, tenant: &TenantId) -> Result<oneshot::Receiver<()>, Problem> {
        self.look.was_full = true;
        // Before anything was measured a queue as long as the number of those that run is short enough.
        let each = self.lately.unwrap_or(self.patience.as_secs_f64());
        let patience = self.patience.as_secs_f64().max(each);
        let places = (patience / each * self.limit.floor()).ceil().max(1.0) as usize;
        let own = self.waiting.get(tenant).copied().unwrap_or(0);
        // Whoever has nobody waiting finds a place where a crowd does not.
        let all = if own == 0 { 2 * places } else { places };
        if self.queue.len() >= all || own >= places.div_ceil(2) {
            return Err(full(Duration::from_secs_f64(patience.max(1.0))));
        }
        let (turn, come) = oneshot::channel();
        *self.waiting.entry(tenant.clone()).or_default() += 1;
        self.queue.push_back(Waiter { tenant: tenant.clone(), turn });
        Ok(come)
    }

    fn enter(&mut self, tenant: &TenantId) {
        self.running += 1;
        *self.runs.entry(tenant.clone()).or_default() += 1;
    }

    fn leave(&mut self, tenant: &TenantId, took: Option<Duration>) {
        self.running = self.running.saturating_sub(1);
        less(&mut self.runs, tenant);
        if let Some(took) = took {
            self.learn(took.as_secs_f64());
        }
        while self.has_room() {
            // The queue is short. Of equals the first is taken.
            let runs = |waiter: &Waiter| self.runs.get(&waiter.tenant).copied().unwrap_or(0);
            let next = self.queue.iter().enumerate().min_by_key(|(_, waiter)| runs(waiter)).map(|(at, _)| at);
            let Some(Waiter { tenant, turn }) = next.and_then(|at| self.queue.remove(at)) else { break };
            less(&mut self.waiting, &tenant);
            // Whoever went away waits no more.
            if turn.send(()).is_ok() {
                self.enter(&tenant);
            }
        }
    }

    fn learn(&mut self, seconds: f64) {
        let seconds = seconds.max(1e-6);
        self.lately = Some(self.lately.map_or(seconds, |lately| lately + (seconds - lately) / 16.0));
        self.look.count += 1;
        self.look.seconds += seconds;
        if self.look.count < LOOK {
            return;
        }
        let Look { count, seconds, was_full } = std::mem::take(&mut self.look);
        let mean = seconds / f64::from(count);
        let is_alone = !was_full || self.limit.floor() as usize <= self.fewest;
        let grown = if is_alone { FORGETTING } else { 1.0 };
        let best = self.best.map_or(mean, |best| (best * grown).min(mean));
        self.best = Some(best);
        if mean > CROWDED * best {
            self.limit = (self.limit * 0.9).max(self.fewest as f64);
        } else if was_full {
            self.limit = (self.limit + 1.0).min(self.most as f64);
        }
        metrics::gauge!("wellspring_searches_at_once").set(self.limit.floor());
    }
}

/// One less of a tenant's; idle tenants leave nothing behind.
fn less(counts: &mut HashMap<TenantId, usize>, tenant: &TenantId) {
    if let Some(count) = counts.get_mut(tenant) {
        *count -= 1;
        if *count == 0 {
            counts.remove(tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(100);

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn limit(pace: &Pace) -> usize {
        pace.state().limit.floor() as usize
    }

    #[tokio::test]
    async fn a_turn_is_handed_on_in_order_and_what_would_wait_too_long_is_refused() {
        let pace = Pace::new(1, 1, PATIENCE);
        let (a, b) = (tenant("a"), tenant("b"));
        let first = pace.turn(&a).await.unwrap();
        // Nothing was measured: one may wait beside the one that runs.
        let mut second = Box::pin(pace.turn(&b));
        assert!((&mut second).now_or_never().is_none());
        let refused = pace.turn(&b).now_or_never().unwrap().unwrap_err();
        assert_eq!(refused.status(), axum::http::StatusCode::SERVICE_UNAVAILABLE);
        drop(first);
        let second = second.now_or_never().unwrap().unwrap();
        // Whoever goes away while it waits leaves its place.
        let mut third = Box::pin(pace.turn(&a));
        assert!((&mut third).now_or_never().is_none());
        drop(third);
        drop(second);
        let fourth = pace.turn(&b).now_or_never().unwrap().unwrap();
        // And whoever goes away when its turn has come hands it on.
        let mut fifth = Box::pin(pace.turn(&a));
        assert!((&mut fifth).now_or_never().is_none());
        drop(fourth);
        drop(fifth);
        assert!(pace.turn(&b).now_or_never().unwrap().is_ok());
        assert_eq!(pace.state().waiting, HashMap::new());
        assert_eq!(pace.state().runs, HashMap::new());
    }

    #[tokio::test]
    async fn a_tenant_gets_half_of_the_places_to_wait_and_keeps_nobody_behind_its_crowd() {
        let pace = Pace::new(2, 2, PATIENCE);
        pace.state().lately = Some(0.05);
        let (loud, quiet) = (tenant("loud"), tenant("quiet"));
        let running = [pace.turn(&loud).await.unwrap(), pace.turn(&loud).await.unwrap()];
        let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(pace.turn(&loud))).collect();
        let refused = waiting.iter_mut().filter_map(|turn| turn.now_or_never()).count();
        assert_eq!(refused, 2, "of four places two");
        let mut other = Box::pin(pace.turn(&quiet));
        assert!((&mut other).now_or_never().is_none(), "it waits and is not refused");
        let [one, _other] = running;
        drop(one);
        assert!(other.now_or_never().unwrap().is_ok(), "it came last and is next");
    }

    /// A machine of `cores` that computes: searches share them, and take longer the more there are.
    fn run(pace: &Pace, cores: f64, alone: f64, rounds: usize) {
        for _ in 0..rounds {
            let mut state = pace.state();
            state.look.was_full = true;
            state.running = state.limit.floor() as usize;
            let took = alone * (state.running as f64 / cores).max(1.0);
            state.learn(took);
        }
        pace.state().running = 0;
    }

    #[test]
    fn the_limit_settles_at_about_twice_the_cores_of_a_machine_that_computes() {
        let pace = Pace::new(2, 256, PATIENCE);
        run(&pace, 4.0, 0.02, 2_000);
        assert!((7..=10).contains(&limit(&pace)), "{}", limit(&pace));
        // Searches become four times as hard: the best time is found anew, and the limit does not collapse for good.
        run(&pace, 4.0, 0.08, 6_000);
        assert!((4..=10).contains(&limit(&pace)), "{}", limit(&pace));
    }

    #[test]
    fn the_limit_grows_where_searches_only_wait_for_an_endpoint() {
        let pace = Pace::new(2, 64, PATIENCE);
        run(&pace, 1_000.0, 0.3, 2_000);
        assert_eq!(limit(&pace), 64);
    }

    #[test]
    fn idle_times_say_nothing_about_more() {
        let pace = Pace::new(2, 64, PATIENCE);
        for _ in 0..1_000 {
            pace.state().learn(0.01);
        }
        assert_eq!(limit(&pace), 2);
    }
}
