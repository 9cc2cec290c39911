//! Sends what is due to one receiver, signed, a few at a time, and plans when to try again.

use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use ring::hmac;
use wellspring_store::webhooks::{Attempt, Delivery, Receiver};
use wellspring_store::{Result, Store};

use super::{EndpointConfig, WebhooksConfig};

/// Attempts under way at once.
const AT_ONCE: usize = 4;
/// Deliveries taken up at a time.
const BATCH: u32 = 64;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Tells one receiver.
pub(super) struct Sender {
    store: Store,
    client: Client,
    url: String,
    key: hmac::Key,
    receiver: Receiver,
    config: WebhooksConfig,
}

impl Sender {
    pub(super) fn new(
        store: Store,
        endpoint: &EndpointConfig,
        config: WebhooksConfig,
    ) -> anyhow::Result<Self> {
        // Every process has chosen its provider of cryptography by the time it opens connections; doing so again is no fault.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let local = reqwest::Url::parse(&endpoint.url).is_ok_and(|url| {
            url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"))
        });
        let client = Client::builder()
            // A redirect could lead anywhere.
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .timeout(Duration::from_millis(config.timeout_ms))
            .user_agent(concat!("wellspring/", env!("CARGO_PKG_VERSION")));
        // Plain HTTP is allowed for what stays on this machine.
        let client = if local { client.no_proxy() } else { client };
        let client = client.build().context("the client for webhooks can't be made")?;
        Ok(Self {
            store,
            client,
            url: endpoint.url.clone(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &endpoint.key()?),
            receiver: endpoint.receiver()?,
            config,
        })
    }

    /// Plans and sends until it is dropped.
    pub(super) async fn run(self, poll: Duration) {
        let mut ticks = tokio::time::interval(poll);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.round().await {
                let (error, endpoint) = (&error as &dyn std::error::Error, &self.receiver.endpoint);
                tracing::warn!(error, endpoint, "webhooks wait: the catalog can't be read");
            }
        }
    }

    async fn round(&self) -> Result<()> {
        let catalog = &self.store.catalog;
        loop {
            let planned = catalog.plan_deliveries(&self.receiver, self.config.max_pending).await?;
            if planned.lost > 0 {
                let (endpoint, lost) = (&self.receiver.endpoint, planned.lost);
                tracing::warn!(endpoint, lost, "a receiver was away for so long that events were forgotten");
            }
            let due = catalog.due_deliveries(&self.receiver, BATCH).await?;
            if due.is_empty() {
                return Ok(());
            }
            let mut attempts = futures::stream::iter(due)
                .map(|delivery| async move {
                    let attempt = self.attempt(&delivery).await;
                    (delivery, attempt)
                })
                .buffer_unordered(AT_ONCE);
            while let Some((delivery, attempt)) = attempts.next().await {
                let outcome = match (&attempt.error, attempt.retry) {
                    (None, _) => "delivered",
                    (Some(_), Some(_)) => "retried",
                    (Some(_), None) => "failed",
                };
                metrics::counter!("wellspring_webhook_attempts_total",
                    "endpoint" => self.receiver.endpoint.clone(), "outcome" => outcome)
                .increment(1);
                catalog.settle_delivery(&delivery.id, attempt).await?;
            }
        }
    }

    async fn attempt(&self, delivery: &Delivery) -> Attempt {
        let body = delivery.payload.to_string();
        let timestamp = jiff::Timestamp::now().as_second();
        let request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &delivery.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature(&self.key, &delivery.id, timestamp, &body))
            .body(body);
        match request.send().await {
            Ok(response) if response.status().is_success() => {
                Attempt { status: Some(response.status().as_u16()), error: None, retry: None }
            }
            Ok(response) => {
                let status = response.status();
                // Standard Webhooks: gone means that nobody wants it any more.
                let over = status == StatusCode::GONE;
                let asked = retry_after(response.headers());
                let retry = self.wait(delivery.attempts, asked).filter(|_| !over);
                Attempt { status: Some(status.as_u16()), error: Some(format!("it answered {status}")), retry }
            }
            Err(error) => Attempt {
                status: None,
                // The URL is the operator's and may hold a credential.
                error: Some(error.without_url().to_string()),
                retry: self.wait(delivery.attempts, None),
            },
        }
    }

    /// The wait after an attempt that failed, `before` having been made before it: full jitter under a bound that doubles,
    /// or what the receiver asked for if that is longer. `None` when there were enough.
    fn wait(&self, before: u32, asked: Option<Duration>) -> Option<Duration> {
        if before + 1 >= self.config.max_attempts {
            return None;
        }
        let longest = self.config.retry_max_ms.max(self.config.retry_min_ms);
        let bound = self.config.retry_min_ms.saturating_mul(1 << before.min(30)).min(longest);
        let jittered = Duration::from_millis(fastrand::u64(bound / 2..=bound));
        Some(jittered.max(asked.unwrap_or_default().min(Duration::from_millis(longest))))
    }
}

/// Whole seconds; a date is not worth a parser here, since there is a wait of our own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The signature of Standard Webhooks.
fn signature(key: &hmac::Key, id: &str, timestamp: i64, body: &str) -> String {
    let tag = hmac::sign(key, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries (standard-webhooks, `libraries/python/tests`).
    #[test]
    fn signatures_are_those_of_the_specification() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let made = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
