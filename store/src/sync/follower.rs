//! Follows what other processes write, and says how far behind what is visible this process still is.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::task::AbortHandle;

use super::Indexes;
use crate::document::Seq;
use crate::error::{ErrorKind, Result};
use crate::scope::CollectionScope;

/// Collections brought up to date at a time.
const AT_ONCE: usize = 4;
/// Changes that are counted of a lag.
const COUNTED: u32 = 1_000;

/// Follows until it is dropped.
#[must_use = "following ends when this is dropped"]
pub struct Follower(AbortHandle);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Indexes {
    /// Brings the indexes of every collection to the end of its change sequence. One that is there already is not even
    /// opened: opening loads its vectors.
    pub async fn follow(&self) -> Result<()> {
        if !self.shared.keeps {
            return Ok(());
        }
        let behind = self.shared.catalog.behind().await?;
        stream::iter(behind)
            .for_each_concurrent(AT_ONCE, |(scope, newest)| async move {
                // A collection deleted meanwhile, or one whose index is damaged, does not keep the others from their turn.
                match self.catch_up(&scope, newest).await {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => tracing::warn!(
                        collection = %scope.name(), %error, "the indexes of a collection could not be brought up to date"
                    ),
                }
            })
            .await;
        Ok(())
    }

    /// Follows all the time, at the configured interval: from the first collection at once, so that a process that starts
    /// has everything before it is asked.
    pub fn keep_following(self: &Arc<Self>) -> Follower {
        let indexes = Arc::clone(self);
        let interval = Duration::from_millis(self.shared.config.follow_ms.max(10));
        let task = tokio::spawn(async move {
            let mut failing = false;
            loop {
                match indexes.follow().await {
                    Ok(()) => failing = false,
                    // Said once per outage.
                    Err(error) if !failing => {
                        failing = true;
                        tracing::warn!(%error, "changes could not be looked for; trying again");
                    }
                    Err(_) => {}
                }
                tokio::time::sleep(interval).await;
            }
        });
        Follower(task.abort_handle())
    }

    /// Waits until the indexes know every chunk that was visible when this was asked, at most so long. Returns the number of
    /// changes that they lack then, 1 000 for that many or more; `None` where no other process writes, so that they lack none.
    ///
    /// # Errors
    /// The catalog's; a failure of the indexes shows in the number.
    pub async fn await_visible(&self, scope: &CollectionScope, patience: Duration) -> Result<Option<u64>> {
        let Some(newest) = self.shared.catalog.newest_visible(scope).await? else { return Ok(None) };
        let waited = tokio::time::timeout(patience, async {
            let opened = self.opened(scope).await?;
            match opened.reached() >= newest {
                true => Ok(()),
                false => self.catch_up(scope, newest).await,
            }
        });
        match waited.await {
            Ok(Ok(())) => return Ok(Some(0)),
            Ok(Err(error)) => {
                tracing::warn!(collection = %scope.name(), %error, "the indexes are behind what is visible");
            }
            Err(_) => {}
        }
        self.lacking(scope, newest).await.map(Some)
    }

    /// Changes up to `newest` that are not flushed.
    async fn lacking(&self, scope: &CollectionScope, newest: Seq) -> Result<u64> {
        let reached = match self.places.try_lock() {
            Ok(places) => places.get(&scope.key()).and_then(|place| Some(place.opened.get()?.reached())),
            // They are being opened or closed.
            Err(_) => None,
        };
        let changes = self.shared.catalog.changes(scope, reached.unwrap_or(Seq(0)), COUNTED).await?;
        Ok(changes.iter().filter(|change| change.seq <= newest).count().max(1) as u64)
    }
}
