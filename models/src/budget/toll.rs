//! Tries a call until it succeeds or may not be tried again, each try paid for by itself.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use tokio::time::{Instant, timeout_at};

use super::meter::{Meter, Ticket};
use crate::chat::Usage;
use crate::error::{ErrorKind, ModelError, Result};
use crate::registry::RetryPolicy;

/// What a try used.
pub(crate) enum Used {
    /// As the provider counted it.
    Told(Usage),
    /// Not more than this.
    AtMost(Usage),
}

/// Pays for every try of a call. What is called must not try again by itself.
#[derive(Clone)]
pub(crate) struct Toll {
    pub(crate) meter: Meter,
    pub(crate) retry: RetryPolicy,
}

impl Toll {
    /// What `attempt` gives, with what that try used, before `end`.
    pub(crate) async fn pay<T, F>(&self, worst: Usage, end: Instant, attempt: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<(T, Used)>>,
    {
        self.retrying(end, || async {
            let ticket = self.meter.reserve(worst).await?;
            match attempt().await {
                Ok((value, used)) => {
                    match used {
                        Used::Told(usage) => ticket.told(usage).await,
                        Used::AtMost(usage) => ticket.estimated(usage).await,
                    }
                    Ok(value)
                }
                Err(error) => {
                    ticket.failed(&error).await;
                    Err(error)
                }
            }
        })
        .await
    }

    /// What `attempt` gives, with the ticket of that try still open: for a stream, whose end decides.
    pub(crate) async fn open<T, F>(
        &self,
        worst: Usage,
        end: Instant,
        attempt: impl Fn() -> F,
    ) -> Result<(T, Ticket)>
    where
        F: Future<Output = Result<T>>,
    {
        self.retrying(end, || async {
            let ticket = self.meter.reserve(worst).await?;
            match attempt().await {
                Ok(value) => Ok((value, ticket)),
                Err(error) => {
                    ticket.failed(&error).await;
                    Err(error)
                }
            }
        })
        .await
    }

    /// As an endpoint tries again: what fails in passing, after jittered waits that double and are at least what a
    /// `Retry-After` asks for. What a limit refused is not tried again.
    async fn retrying<T, F>(&self, end: Instant, attempt: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let longest = Duration::from_millis(self.retry.max_ms);
        let waits = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(self.retry.min_ms.max(1)))
            .with_max_delay(longest)
            .with_max_times(self.retry.retries)
            .build()
            .map(|wait| wait.mul_f64(fastrand::f64()));
        let tries = attempt
            .retry(waits)
            .sleep(tokio::time::sleep)
            .when(|error: &ModelError| error.is_transient() && error.refusal().is_none())
            .adjust(|error, wait| {
                let asked = error.retry_after().unwrap_or_default();
                let wait = wait?.max(asked);
                (asked <= longest && Instant::now() + wait < end).then_some(wait)
            })
            .notify(|error, wait| tracing::debug!(%error, ?wait, "trying again"));
        timeout_at(end, tries).await.unwrap_or_else(|_| {
            let message = format!("the model {} did not answer before its deadline", self.meter.model);
            Err(ModelError::new(ErrorKind::Timeout, message))
        })
    }
}
