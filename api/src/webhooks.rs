//! Telling others what happens to documents: who is told, and the task that signs, sends and tries again.
//!
//! Requests are those of the Standard Webhooks specification (standardwebhooks.com): the headers `webhook-id`,
//! `webhook-timestamp` and `webhook-signature`, which is `v1,` and the base64 of HMAC-SHA256 over
//! `id.timestamp.body` under the receiver's secret. A receiver tells repeats by the id.

mod send;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use url::{Host, Url};
use wellspring_models::Secret;
use wellspring_store::webhooks::Receiver;
use wellspring_store::{CollectionName, TenantId};

use crate::app::App;
use send::Sender;

/// Least bytes of a secret.
const LEAST_SECRET: usize = 24;

/// Who is told what happens to documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WebhooksConfig {
    /// The receivers.
    pub(crate) endpoints: Vec<EndpointConfig>,
    /// Attempts at each delivery before it is given up.
    pub(crate) max_attempts: u32,
    /// The first wait's upper bound, which doubles with each attempt, in milliseconds.
    pub(crate) retry_min_ms: u64,
    /// The longest wait, of `Retry-After` too, in milliseconds.
    pub(crate) retry_max_ms: u64,
    /// How long one attempt may take, in milliseconds.
    pub(crate) timeout_ms: u64,
    /// How often events are looked for, in milliseconds.
    pub(crate) poll_ms: u64,
    /// Deliveries of one receiver that may wait. While there are as many, further events stay events, of which the newest
    /// ten thousand are kept.
    pub(crate) max_pending: u32,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            max_attempts: 12,
            retry_min_ms: 2_000,
            retry_max_ms: 3_600_000,
            timeout_ms: 10_000,
            poll_ms: 1_000,
            max_pending: 1_000,
        }
    }
}

/// A receiver. Only the operator names one: a URL that a client could choose would let it reach into the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointConfig {
    /// What deliveries call it.
    pub(crate) name: String,
    /// Where events are sent: https, or http to a loopback address.
    pub(crate) url: String,
    /// What deliveries are signed with: at least 24 bytes, or base64 after `whsec_`.
    pub(crate) secret: Secret,
    /// Whose events it gets.
    #[serde(default = "default_tenant")]
    pub(crate) tenant: String,
    /// Kinds of events; empty for all.
    #[serde(default)]
    pub(crate) events: BTreeSet<String>,
    /// Names of collections; empty for all.
    #[serde(default)]
    pub(crate) collections: BTreeSet<String>,
}

fn default_tenant() -> String {
    TenantId::default_tenant().as_str().to_owned()
}

/// What can happen.
pub(crate) const KINDS: [&str; 8] = [
    "job.indexed",
    "job.unchanged",
    "job.skipped",
    "job.failed",
    "job.cancelled",
    "job.dead",
    "document.deleted",
    "collection.deleted",
];

impl WebhooksConfig {
    /// Refuses what could not be sent, or not be trusted.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let mut names = BTreeSet::new();
        for endpoint in &self.endpoints {
            let place = format!("the configuration is wrong at `webhooks.endpoints`, `{}`", endpoint.name);
            endpoint.check().context(place.clone())?;
            if !names.insert(&endpoint.name) {
                bail!("{place}: the name is given twice");
            }
        }
        for (key, value) in [
            ("max_attempts", u64::from(self.max_attempts)),
            ("retry_min_ms", self.retry_min_ms),
            ("timeout_ms", self.timeout_ms),
            ("poll_ms", self.poll_ms),
            ("max_pending", u64::from(self.max_pending)),
        ] {
            if value == 0 {
                bail!("the configuration is wrong at `webhooks.{key}`: it must be 1 or more");
            }
        }
        Ok(())
    }
}

impl EndpointConfig {
    fn check(&self) -> anyhow::Result<()> {
        TenantId::new(&*self.name).map_err(|_| {
            anyhow::anyhow!("a name is 1-64 characters of a-z, 0-9, _ and -, starting with a letter or digit")
        })?;
        TenantId::new(&*self.tenant)?;
        let url = Url::parse(&self.url).with_context(|| format!("`url` is no URL: {}", self.url))?;
        let local = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => bail!("`url` names no host"),
        };
        if !(url.scheme() == "https" || url.scheme() == "http" && local) {
            bail!("`url` must be https: what is sent tells which documents there are");
        }
        if self.key()?.len() < LEAST_SECRET {
            bail!("`secret` has fewer than {LEAST_SECRET} bytes: make one with `openssl rand -hex 32`");
        }
        for kind in &self.events {
            if !KINDS.contains(&kind.as_str()) {
                bail!("`events` names `{kind}`; there are: {}", KINDS.join(", "));
            }
        }
        for name in &self.collections {
            CollectionName::new(name.as_str())?;
        }
        Ok(())
    }

    /// The bytes of the secret.
    fn key(&self) -> anyhow::Result<Vec<u8>> {
        use base64::Engine;
        match self.secret.expose().strip_prefix("whsec_") {
            Some(encoded) => base64::engine::general_purpose::STANDARD
                .decode(encoded)
                .ok()
                .context("`secret` is not base64 after `whsec_`"),
            None => Ok(self.secret.expose().as_bytes().to_vec()),
        }
    }

    fn receiver(&self) -> anyhow::Result<Receiver> {
        Ok(Receiver {
            endpoint: self.name.clone(),
            tenant: TenantId::new(&*self.tenant)?,
            kinds: self.events.clone(),
            collections: self.collections.clone(),
        })
    }
}

/// The tasks that tell; they end when this is aborted or dropped with the process.
#[derive(Debug)]
pub(crate) struct Telling(Vec<JoinHandle<()>>);

impl Telling {
    /// Stops sending. What is under way is sent again by the next process.
    pub(crate) fn abort(&self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Starts one task for each receiver, so that one that hangs keeps no other waiting. When this returns every receiver is
/// known: what happens from now on will be told.
pub(crate) async fn start(app: &App) -> anyhow::Result<Telling> {
    let config = &app.config.webhooks;
    let names: Vec<String> = config.endpoints.iter().map(|endpoint| endpoint.name.clone()).collect();
    app.store.catalog.keep_receivers(&names).await?;
    let mut tasks = Vec::with_capacity(config.endpoints.len());
    for endpoint in &config.endpoints {
        let sender = Sender::new(app.store.clone(), endpoint, config.clone())?;
        app.store.catalog.plan_deliveries(&endpoint.receiver()?, 0).await?;
        tasks.push(tokio::spawn(sender.run(Duration::from_millis(config.poll_ms))));
    }
    Ok(Telling(tasks))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(change: impl FnOnce(&mut EndpointConfig)) -> anyhow::Result<()> {
        let mut endpoint = EndpointConfig {
            name: "audit".to_owned(),
            url: "https://hooks.example/in".to_owned(),
            secret: Secret::new("0123456789abcdef01234567"),
            tenant: default_tenant(),
            events: BTreeSet::new(),
            collections: BTreeSet::new(),
        };
        change(&mut endpoint);
        WebhooksConfig { endpoints: vec![endpoint], ..WebhooksConfig::default() }.check()
    }

    #[test]
    fn only_what_can_be_trusted_is_accepted() {
        endpoint(|_| ()).unwrap();
        endpoint(|e| e.url = "http://127.0.0.1:9/x".to_owned()).unwrap();
        endpoint(|e| e.secret = Secret::new("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3")).unwrap();
        for wrong in [
            endpoint(|e| e.url = "http://hooks.example/in".to_owned()),
            endpoint(|e| e.url = "ftp://127.0.0.1/in".to_owned()),
            endpoint(|e| e.url = "hooks".to_owned()),
            endpoint(|e| e.secret = Secret::new("short")),
            endpoint(|e| e.secret = Secret::new("whsec_!!!!")),
            endpoint(|e| e.name = "a b".to_owned()),
            endpoint(|e| e.events = ["job.done".to_owned()].into()),
            endpoint(|e| e.collections = ["../x".to_owned()].into()),
        ] {
            let message = format!("{:#}", wrong.unwrap_err());
            assert!(message.contains("webhooks.endpoints"), "{message}");
            assert!(!message.contains("short"), "{message}");
        }
    }
}
