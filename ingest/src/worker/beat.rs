//! Keeps a lease alive while a job runs, says how far it is, and hears that it is to stop.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;
use wellspring_store::Catalog;
use wellspring_store::ErrorKind as StoreKind;
use wellspring_store::jobs::{JobId, Lease, Progress, Stage};

use crate::error::{ErrorKind, IngestError};
use crate::pipeline::attempt::Halt;

/// The longest wait between two heartbeats: how long a cancellation asked for in another process may go unheard.
const SLOWEST: Duration = Duration::from_secs(2);
/// A stage entered this soon after the last heartbeat is not recorded at once: every heartbeat waits for the disk, and a
/// small document is through with all stages in less.
const SOONEST: Duration = Duration::from_millis(250);

/// How far a job is.
struct Now {
    stage: Stage,
    progress: Option<Progress>,
    moved: Instant,
}

/// The heartbeat of one attempt.
pub(crate) struct Beat<'a> {
    catalog: &'a dyn Catalog,
    lease: &'a Lease,
    extend: Duration,
    /// How long a job may stand still.
    patience: Duration,
    changed: &'a broadcast::Sender<JobId>,
    now: Mutex<Now>,
    /// When the lease was last known to be ours: the leasing itself counts.
    sent: Mutex<Instant>,
}

impl<'a> Beat<'a> {
    pub(crate) fn new(
        catalog: &'a dyn Catalog,
        lease: &'a Lease,
        extend: Duration,
        patience: Duration,
        changed: &'a broadcast::Sender<JobId>,
    ) -> Self {
        let now = Now { stage: Stage::Waiting, progress: None, moved: Instant::now() };
        Self {
            catalog,
            lease,
            extend,
            patience,
            changed,
            now: Mutex::new(now),
            sent: Mutex::new(Instant::now()),
        }
    }

    /// Enters a stage: recorded within a moment, unless the next one is entered before.
    pub(crate) async fn stage(&self, stage: Stage) -> Result<(), Halt> {
        *self.now() = Now { stage, progress: None, moved: Instant::now() };
        if self.since_sent() < SOONEST.min(self.extend / 3) {
            return Ok(());
        }
        match self.send().await {
            Ok(()) => Ok(()),
            Err(Sending::Stop(halt)) => Err(halt),
            Err(Sending::Failed(error)) => Err(Halt::outside("store_unavailable", error)),
        }
    }

    /// Units done and to do within the stage; recorded with the next heartbeat.
    pub(crate) fn progress(&self, done: u64, total: u64) {
        let mut now = self.now();
        now.progress = Some(Progress { done, total });
        now.moved = Instant::now();
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Beats until there is a reason to stop: it was asked for, or nothing moves any more. A store that does not answer is one only when the lease has run out:
    /// another worker may hold the job by then.
    pub(crate) async fn keep(&self) -> Halt {
        // The first one says what a job that takes longer than a moment is doing.
        let mut wait = SOONEST.min(self.extend / 3);
        loop {
            tokio::time::sleep(wait).await;
            wait = SLOWEST.min(self.extend / 3);
            if let Some(halt) = self.stalled() {
                return halt;
            }
            match self.send().await {
                Ok(()) => {}
                Err(Sending::Stop(halt)) => return halt,
                Err(Sending::Failed(_)) if self.since_sent() >= self.extend => return Halt::Lost,
                Err(Sending::Failed(error)) => {
                    tracing::warn!(job = %self.lease.job, %error, "a heartbeat could not be written; trying again");
                }
            }
        }
    }

    /// Why a job that stands still is given up. One that waits to begin does not stand still.
    fn stalled(&self) -> Option<Halt> {
        let (stage, still) = {
            let now = self.now();
            (now.stage, now.moved.elapsed())
        };
        (stage != Stage::Waiting && still >= self.patience).then(|| {
            let message =
                format!("nothing moved in stage {stage:?} for {} s (`ingest.stalled_ms`)", still.as_secs());
            Halt::perhaps_the_document("timeout", IngestError::new(ErrorKind::Timeout, message))
        })
    }

    fn since_sent(&self) -> Duration {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    async fn send(&self) -> Result<(), Sending> {
        let (stage, progress) = {
            let now = self.now();
            (now.stage, now.progress)
        };
        let result = self.catalog.heartbeat(self.lease, stage, progress, self.extend).await;
        // Nobody listening is no fault.
        let _ = self.changed.send(self.lease.job);
        match result {
            Ok(false) => {
                *self.sent.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                Ok(())
            }
            Ok(true) => Err(Sending::Stop(Halt::Cancelled)),
            Err(e) if matches!(e.kind(), StoreKind::Conflict | StoreKind::NotFound) => {
                Err(Sending::Stop(Halt::Lost))
            }
            Err(e) => Err(Sending::Failed(e)),
        }
    }
}

enum Sending {
    Stop(Halt),
    Failed(wellspring_store::StoreError),
}
