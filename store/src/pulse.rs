//! Says at intervals that this process follows the catalog, and has its indexes compared anew if it was given up meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::catalog::Catalog;
use crate::sync::Indexes;

/// Beats until it is stopped or dropped.
pub(crate) struct Pulse(AbortHandle);

impl Pulse {
    /// The first beat is the caller's.
    pub(crate) fn start(interval: Duration, catalog: Arc<dyn Catalog>, indexes: Arc<Indexes>) -> Self {
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                match catalog.beat().await {
                    Ok(true) => {}
                    Ok(false) => {
                        tracing::warn!(
                            "this process was given up by the others; its indexes are compared with the catalog"
                        );
                        reopen(&indexes).await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the others could not be told that this process is there")
                    }
                }
            }
        });
        Self(task.abort_handle())
    }

    pub(crate) fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Removals may have been purged that the open indexes have not seen; opening compares them.
async fn reopen(indexes: &Indexes) {
    if let Err(error) = indexes.close().await {
        tracing::warn!(%error, "an index did not close in good order");
    }
}
