//! Tells streams that the server closes: first those that only wait, at the end those that still work.

use tokio_util::sync::CancellationToken;

/// Shared by the server and every stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Closing {
    asked: CancellationToken,
    cut: CancellationToken,
}

impl Closing {
    /// Asks streams that only wait (job events) to end.
    pub(super) fn ask(&self) {
        self.asked.cancel();
    }

    /// Cuts streams that still work (answers): their time is up.
    pub(super) fn cut(&self) {
        self.asked.cancel();
        self.cut.cancel();
    }

    /// Whether shutdown has begun.
    pub(super) fn is_closing(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Resolves when shutdown begins.
    pub(super) async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Resolves when the time for requests in flight is nearly up.
    pub(super) async fn was_cut(&self) {
        self.cut.cancelled().await;
    }
}
