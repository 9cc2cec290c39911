//! Tells idle workers that another process has queued a job.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::failure::During;
use crate::error::Result;

/// The channel of `NOTIFY`. Messages have no content: which job it is, a lease decides.
const CHANNEL: &str = "wellspring_jobs";
/// Wait before listening again after a failure.
const PAUSE: Duration = Duration::from_secs(2);

/// Listens on a connection of its own until the last clone is dropped. What is announced while it reconnects is missed:
/// workers poll as well.
#[derive(Debug, Clone)]
pub(super) struct Waker {
    arrived: Arc<Notify>,
    _task: Arc<Listening>,
}

#[derive(Debug)]
struct Listening(AbortHandle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Waker {
    /// Starts to listen.
    pub(super) fn start(pool: PgPool) -> Self {
        let arrived = Arc::new(Notify::new());
        let heard = Arc::clone(&arrived);
        let task = tokio::spawn(async move {
            loop {
                if let Err(error) = listen(&pool, &heard).await {
                    tracing::debug!(%error, "not listening for jobs; workers poll");
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { arrived, _task: Arc::new(Listening(task.abort_handle())) }
    }

    /// Returns at the next announcement, or at once if one came since the last call.
    pub(super) async fn woken(&self) {
        self.arrived.notified().await;
    }
}

/// Passes announcements on, until the connection fails for good.
async fn listen(pool: &PgPool, heard: &Notify) -> Result<()> {
    let mut listener = PgListener::connect_with(pool).await.during("listen for jobs")?;
    listener.listen(CHANNEL).await.during("listen for jobs")?;
    loop {
        listener.recv().await.during("listen for jobs")?;
        heard.notify_one();
    }
}

/// Announces a job, once the transaction commits.
pub(super) async fn announce(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("SELECT pg_notify($1, '')")
        .bind(CHANNEL)
        .execute(connection)
        .await
        .during("announce the job")?;
    Ok(())
}
