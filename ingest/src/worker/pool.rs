//! The workers: they lease jobs, run them under a heartbeat, and record how each came out.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use wellspring_store::fault;
use wellspring_store::jobs::{Ending, JobId, JobState, Lease, Retry};

use super::Inner;
use super::beat::Beat;
use super::maintenance;
use crate::error::{ErrorKind, IngestError};
use crate::pipeline::attempt::{Attempt, Done, Halt, writing};
use crate::report::JobReport;
use crate::spans;

/// Time that workers get to hand back their jobs once the deadline of a shutdown has passed.
const HAND_BACK: Duration = Duration::from_secs(5);

/// The longest wait that an endpoint may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Running workers. Dropping it stops them where they stand: their jobs are taken over when the leases run out.
#[must_use = "workers stop when the pool is dropped"]
pub struct WorkerPool {
    inner: Arc<Inner>,
    stopping: CancellationToken,
    hand_back: CancellationToken,
    tasks: JoinSet<()>,
}

impl WorkerPool {
    pub(super) fn start(inner: &Arc<Inner>, workers: usize) -> Self {
        let mut pool = Self {
            inner: Arc::clone(inner),
            stopping: CancellationToken::new(),
            hand_back: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        for number in 0..workers.max(1) {
            let worker = Worker {
                inner: Arc::clone(inner),
                owner: format!("{}/{number}", inner.owner),
                stopping: pool.stopping.clone(),
                hand_back: pool.hand_back.clone(),
            };
            pool.tasks.spawn(worker.run());
        }
        pool.tasks.spawn(maintenance::run(Arc::clone(inner), pool.stopping.clone()));
        pool
    }

    /// Takes no new job, lets running ones finish until the deadline, then hands them back uncounted for the next start.
    /// Returns whether all of them finished.
    pub async fn shutdown(mut self, deadline: Duration) -> bool {
        self.stopping.cancel();
        // Workers that wait for work look up now.
        self.inner.wake.notify_waiters();
        if self.joined(deadline).await {
            return true;
        }
        self.hand_back.cancel();
        if !self.joined(HAND_BACK).await {
            tracing::warn!("workers did not hand back their jobs in time; the leases run out by themselves");
        }
        false
    }

    async fn joined(&mut self, deadline: Duration) -> bool {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(deadline, all).await.is_ok()
    }
}

struct Worker {
    inner: Arc<Inner>,
    owner: String,
    stopping: CancellationToken,
    hand_back: CancellationToken,
}

impl Worker {
    async fn run(self) {
        let (config, catalog) = (&self.inner.config, &self.inner.store.catalog);
        while !self.stopping.is_cancelled() {
            let leased = catalog.lease(&self.owner, config.lease()).await;
            self.inner.looked(leased.as_ref().err());
            match leased {
                Ok(Some(lease)) => {
                    // One announcement wakes one worker; where there was one job there may be more.
                    self.inner.wake.notify_one();
                    let span = spans::job(&lease);
                    self.job(&lease).instrument(span).await;
                }
                Ok(None) | Err(_) => self.idle().await,
            }
        }
    }

    async fn idle(&self) {
        tokio::select! {
            () = self.inner.wake.notified() => {}
            () = self.inner.store.catalog.work_arrives() => {}
            () = tokio::time::sleep(self.inner.config.poll()) => {}
            () = self.stopping.cancelled() => {}
        }
    }

    async fn job(&self, lease: &Lease) {
        fault::point("ingest.lease.after");
        let outcome = AssertUnwindSafe(self.attempt(lease))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(panicked(&panic)));
        let outcome = match outcome {
            Ok(Done::Unchanged) => {
                Err(Halt::Ended { state: JobState::Unchanged, reason: "", message: String::new() })
            }
            Ok(Done::Ready(report)) => self.publish(lease, &report).await,
            Err(halt) => Err(halt),
        };
        let span = Span::current();
        match outcome {
            Ok(()) => {
                span.record("job.outcome", "indexed");
            }
            Err(halt) => {
                spans::halted(&span, &halt);
                self.settle(lease, halt).await;
            }
        }
        self.inner.changed(lease.job);
    }

    async fn attempt(&self, lease: &Lease) -> Result<Done, Halt> {
        let inner = self.inner.as_ref();
        let patience = Duration::from_millis(inner.config.stalled_ms.max(1));
        let beat =
            Beat::new(inner.store.catalog.as_ref(), lease, inner.config.lease(), patience, &inner.changes);
        let attempt = Attempt {
            store: &inner.store,
            embedders: inner.embedders.as_ref(),
            extractor: inner.extractor.as_ref(),
            chunkers: &inner.chunkers,
            config: &inner.config,
            lease,
            beat: &beat,
        };
        let cancelled = inner.cancelled(lease.job);
        let done = async {
            let _share = inner.memory.share(lease.document.bytes).await;
            attempt.run().await
        };
        tokio::select! {
            biased;
            done = done => done,
            halt = beat.keep() => Err(halt),
            () = cancelled => Err(Halt::Cancelled),
            () = self.hand_back.cancelled() => Err(Halt::HandBack),
        }
    }

    /// Makes the version visible. Not interrupted: half of it does not exist.
    async fn publish(&self, lease: &Lease, report: &JobReport) -> Result<(), Halt> {
        let report = serde_json::to_value(report).map_err(|e| {
            Halt::outside(
                "internal",
                IngestError::new(ErrorKind::Internal, "the report can't be written").with_source(e),
            )
        })?;
        let publish = self.inner.store.catalog.publish(lease, report);
        let publish = publish.instrument(spans::stage(spans::Stage::Publish));
        let state = publish.await.map_err(writing)?;
        fault::point("ingest.publish.after");
        if state == JobState::Indexed {
            self.inner.published();
        }
        Ok(())
    }

    /// Records why an attempt did not end in a publication.
    async fn settle(&self, lease: &Lease, halt: Halt) {
        let catalog = &self.inner.store.catalog;
        let written = match halt {
            Halt::Lost => {
                tracing::info!(job = %lease.job, document = %lease.document.id, "the job is no longer ours; dropped");
                return;
            }
            Halt::Ended { state: JobState::Unchanged, .. } => {
                let ending =
                    Ending { state: JobState::Unchanged, reason: None, message: None, report: Value::Null };
                catalog.end_job(lease, ending).await
            }
            Halt::Ended { state, reason, message } => {
                tracing::info!(job = %lease.job, document = %lease.document.id, ?state, reason, %message, "a document was not indexed");
                let ending = Ending {
                    state,
                    reason: Some(reason.to_owned()),
                    message: Some(message),
                    report: Value::Null,
                };
                catalog.end_job(lease, ending).await
            }
            Halt::Cancelled => {
                let message = Some("cancelled while it was running".to_owned());
                let ending = Ending {
                    state: JobState::Cancelled,
                    reason: Some("cancelled".to_owned()),
                    message,
                    report: Value::Null,
                };
                catalog.end_job(lease, ending).await
            }
            Halt::HandBack => {
                let message = "the worker shut down; the job goes on with the next start".to_owned();
                let retry =
                    Retry { after: Duration::ZERO, reason: "shutdown".to_owned(), message, counts: false };
                catalog.retry_job(lease, retry).await.map(drop)
            }
            Halt::Outside { reason, error, counts } => {
                let after = self.wait_before_retry(lease, &error);
                tracing::warn!(job = %lease.job, document = %lease.document.id, attempt = lease.attempt, reason, %error, ?after, "an attempt failed");
                let retry = Retry { after, reason: reason.to_owned(), message: error.to_string(), counts };
                catalog.retry_job(lease, retry).await.map(drop)
            }
        };
        if let Err(error) = written {
            // A lost lease says that somebody else writes the end; any other fault ends with the lease.
            tracing::warn!(job = %lease.job, %error, "the end of an attempt could not be recorded");
        }
    }

    fn wait_before_retry(&self, lease: &Lease, error: &IngestError) -> Duration {
        let config = &self.inner.config;
        let tries = u32::try_from(lease.fence).unwrap_or(u32::MAX);
        let wait = backoff(config.retry_base_ms, config.retry_cap_ms, tries, lease.job);
        error.retry_after().map_or(wait, |asked| asked.clamp(wait, LONGEST_WAIT.max(wait)))
    }
}

/// Doubles with each try (from 1) up to `cap`, then loses up to half: by job and try, so that jobs that failed together
/// do not come back together, and a run can be repeated.
fn backoff(base_ms: u64, cap_ms: u64, tries: u32, job: JobId) -> Duration {
    let full =
        base_ms.saturating_mul(1_u64.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX)).min(cap_ms);
    let hash = blake3::hash(format!("{job}/{tries}").as_bytes());
    let share = u64::from(hash.as_bytes().first().copied().unwrap_or(0));
    Duration::from_millis(full - full / 2 * share / 255)
}

fn panicked(panic: &Box<dyn Any + Send>) -> Halt {
    let said = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    let message =
        format!("the worker stopped unexpectedly: {}", said.unwrap_or_else(|| "no message".to_owned()));
    Halt::perhaps_the_document("internal", IngestError::new(ErrorKind::Internal, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_lose_at_most_half() {
        let job = JobId(uuid::Uuid::from_u128(7));
        for (attempt, full) in [(1, 500), (2, 1_000), (3, 2_000), (9, 60_000), (200, 60_000)] {
            let wait = backoff(500, 60_000, attempt, job).as_millis() as u64;
            assert!(wait <= full && wait >= full / 2, "attempt {attempt}: {wait}");
            assert_eq!(u128::from(wait), backoff(500, 60_000, attempt, job).as_millis());
        }
    }
}
