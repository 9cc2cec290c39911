//! The time that all support checks of one answer may take together.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use wellspring_models::{ErrorKind, ModelError};

/// What is left of the time for one answer's checks. Waiting for a chat model does not count, only the checks do.
#[derive(Debug)]
pub(crate) struct Budget {
    whole: Duration,
    left: Mutex<Duration>,
}

impl Budget {
    pub(crate) fn new(milliseconds: u64) -> Self {
        let whole = Duration::from_millis(milliseconds);
        Self { whole, left: Mutex::new(whole) }
    }

    /// Runs `work` for as long as is left. `Timeout` when nothing is left, at once or on the way: whoever asks compares words
    /// alone then.
    pub(crate) async fn spend<T>(
        &self,
        work: impl Future<Output = Result<T, ModelError>>,
    ) -> Result<T, ModelError> {
        let left = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.is_zero() {
            return Err(self.spent());
        }
        let start = Instant::now();
        let done = timeout(left, work).await;
        let mut rest = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *rest = rest.saturating_sub(start.elapsed());
        done.unwrap_or_else(|_| Err(self.spent()))
    }

    fn spent(&self) -> ModelError {
        let message = format!("checking the answer took longer than {} ms", self.whole.as_millis());
        ModelError::new(ErrorKind::Timeout, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_one_check_spends_another_lacks() {
        let budget = Budget::new(20);
        let forever = std::future::pending::<Result<(), ModelError>>();
        assert_eq!(budget.spend(forever).await.unwrap_err().kind(), ErrorKind::Timeout);
        let ready = std::future::ready(Ok(()));
        assert_eq!(budget.spend(ready).await.unwrap_err().kind(), ErrorKind::Timeout, "nothing is left");
        assert!(Budget::new(60_000).spend(std::future::ready(Ok(1))).await.is_ok());
    }
}
