//! Work of more than half a millisecond, done on a thread where nobody waits.

use crate::error::{ErrorKind, Result, RetrieveError};

/// Runs `work` on a thread for such work. `Internal`, naming `what` was to be done, if it broke off.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        RetrieveError::new(ErrorKind::Internal, format!("{what} stopped in the middle")).with_source(error)
    })
}
