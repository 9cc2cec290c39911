//! How much each may ask for: rates per key and tenant, requests at once, and what a tenant may hold.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::bail;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use serde::{Deserialize, Serialize};
use wellspring_store::TenantId;
use wellspring_store::accounts::Usage;

/// `[limits]`. Rates and shares of tenants hold where callers are asked who they are; the rest always.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    /// Searches, answers and what else runs a model.
    pub(crate) queries: Rate,
    /// Documents taken in.
    pub(crate) uploads: Rate,
    /// Everything else.
    pub(crate) others: Rate,
    /// Uploads in progress at once, of the requests in progress.
    pub(crate) max_concurrent_uploads: usize,
    /// Streams that mostly wait (events of jobs) at once, of the requests in progress.
    pub(crate) max_concurrent_waits: usize,
    /// Requests of one tenant in progress at once.
    pub(crate) max_concurrent_per_tenant: usize,
    /// Milliseconds that a search may wait for its turn; one that would wait longer is answered 503 at once.
    pub(crate) search_wait_ms: u64,
    /// Connections at once; more wait to be accepted.
    pub(crate) max_connections: usize,
    /// Seconds a connection may take to send a request's head, or stay without one.
    pub(crate) header_read_seconds: u64,
    /// Headers of a request.
    pub(crate) max_headers: usize,
    /// Bytes of a request's head.
    pub(crate) max_header_bytes: usize,
    /// What each tenant may hold.
    pub(crate) tenant: Holding,
    /// What these tenants may hold instead.
    pub(crate) tenants: BTreeMap<String, Holding>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            queries: Rate { key_per_minute: 600, tenant_per_minute: 3_000 },
            uploads: Rate { key_per_minute: 1_200, tenant_per_minute: 6_000 },
            others: Rate { key_per_minute: 3_000, tenant_per_minute: 12_000 },
            max_concurrent_uploads: 64,
            max_concurrent_waits: 128,
            max_concurrent_per_tenant: 192,
            search_wait_ms: 50,
            max_connections: 4_096,
            header_read_seconds: 30,
            max_headers: 100,
            max_header_bytes: 64 << 10,
            tenant: Holding::default(),
            tenants: BTreeMap::new(),
        }
    }
}

/// Requests a minute, refilled evenly; a minute's worth may come at once. 0 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    /// Of one key, or one subject of tokens.
    pub(crate) key_per_minute: u32,
    /// Of all keys of a tenant together.
    pub(crate) tenant_per_minute: u32,
}

/// What a tenant may hold; no limit where there is no number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Holding {
    /// Documents, those that wait to be indexed included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) documents: Option<u64>,
    /// Their original bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    /// Chunks of visible documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chunks: Option<u64>,
}

impl LimitsConfig {
    /// Limits of 0 that would refuse everything, and names that no tenant has.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for (key, value) in [
            ("max_concurrent_uploads", self.max_concurrent_uploads),
            ("max_concurrent_waits", self.max_concurrent_waits),
            ("max_concurrent_per_tenant", self.max_concurrent_per_tenant),
            ("search_wait_ms", usize::try_from(self.search_wait_ms).unwrap_or(usize::MAX)),
            ("max_connections", self.max_connections),
            ("header_read_seconds", usize::try_from(self.header_read_seconds).unwrap_or(usize::MAX)),
            ("max_headers", self.max_headers),
        ] {
            if value == 0 {
                bail!("the configuration is wrong at `limits.{key}`: it must be 1 or more");
            }
        }
        if self.max_header_bytes < 8 << 10 {
            bail!("the configuration is wrong at `limits.max_header_bytes`: it must be 8192 or more");
        }
        for name in self.tenants.keys() {
            if let Err(error) = TenantId::new(name.as_str()) {
                bail!("the configuration is wrong at `limits.tenants.{name}`: {error}");
            }
        }
        Ok(())
    }

    /// Whether one more document may come in, given what is held; names the limit that is in the way.
    pub(crate) fn check_holding(&self, tenant: &TenantId, used: Usage) -> Result<(), String> {
        let most = self.tenants.get(tenant.as_str()).unwrap_or(&self.tenant);
        for (what, used, most) in [
            ("documents", used.documents, most.documents),
            ("bytes", used.bytes, most.bytes),
            ("chunks", used.chunks, most.chunks),
        ] {
            if let Some(most) = most
                && used >= most
            {
                return Err(format!(
                    "the tenant holds {used} {what} and may hold {most} (`limits.tenant.{what}`): delete some first"
                ));
            }
        }
        Ok(())
    }

    /// Whether anything is limited for this tenant, so that it need not be counted in vain.
    pub(crate) fn limits_holding(&self, tenant: &TenantId) -> bool {
        *self.tenants.get(tenant.as_str()).unwrap_or(&self.tenant) != Holding::default()
    }
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// One limit, over every key of it.
struct Meter<K: Hash + Eq + Clone> {
    per_minute: u32,
    limiter: Limiter<K>,
}

/// What is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Requests a minute.
    pub(crate) limit: u32,
    /// Requests that may come now.
    pub(crate) remaining: u32,
    /// Seconds until all of them may.
    pub(crate) reset: u32,
}

/// How a limit judges a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is none.
    Unlimited,
    /// It may.
    Allowed(Allowance),
    /// Not before this long.
    Refused(Allowance, Duration),
}

impl<K: Hash + Eq + Clone> Meter<K> {
    fn new(per_minute: u32) -> Option<Self> {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute)?);
        Some(Self { per_minute, limiter: RateLimiter::dashmap(quota).with_middleware() })
    }

    fn judge(&self, key: &K) -> Verdict {
        let allowance = |remaining: u32| Allowance {
            limit: self.per_minute,
            remaining,
            reset: (60 * self.per_minute.saturating_sub(remaining)).div_ceil(self.per_minute),
        };
        match self.limiter.check_key(key) {
            Ok(state) => Verdict::Allowed(allowance(state.remaining_burst_capacity())),
            Err(refused) => {
                Verdict::Refused(allowance(0), refused.wait_time_from(self.limiter.clock().now()))
            }
        }
    }
}

/// A class's limits.
pub(crate) struct Rates {
    keys: Option<Meter<(TenantId, String)>>,
    tenants: Option<Meter<TenantId>>,
}

impl Rates {
    /// The limits of a class of requests.
    pub(crate) fn new(rate: Rate) -> Self {
        Self { keys: Meter::new(rate.key_per_minute), tenants: Meter::new(rate.tenant_per_minute) }
    }

    /// Counts a request; the limit that is nearer decides.
    pub(crate) fn judge(&self, actor: &str, tenant: &TenantId) -> Verdict {
        let of_key = self.keys.as_ref().map_or(Verdict::Unlimited, |meter| {
            // Tenants may have users of the same name.
            meter.judge(&(tenant.clone(), actor.to_owned()))
        });
        if matches!(of_key, Verdict::Refused(..)) {
            return of_key;
        }
        let of_tenant = self.tenants.as_ref().map_or(Verdict::Unlimited, |meter| meter.judge(tenant));
        match (of_key, of_tenant) {
            (Verdict::Allowed(key), Verdict::Allowed(tenant)) => {
                Verdict::Allowed(if tenant.remaining < key.remaining { tenant } else { key })
            }
            (Verdict::Unlimited, other) | (other, Verdict::Unlimited) => other,
            (_, refused) => refused,
        }
    }

    /// Forgets keys that have all their allowance back.
    pub(crate) fn forget_idle(&self) {
        if let Some(keys) = &self.keys {
            keys.limiter.retain_recent();
        }
        if let Some(tenants) = &self.tenants {
            tenants.limiter.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    #[test]
    fn keys_have_their_own_allowance_and_share_their_tenants() {
        let rates = Rates::new(Rate { key_per_minute: 3, tenant_per_minute: 5 });
        let remaining = |actor: &str, of: &str| match rates.judge(actor, &tenant(of)) {
            Verdict::Allowed(Allowance { remaining, .. }) => Some(remaining),
            _ => None,
        };
        assert_eq!(
            [remaining("a", "one"), remaining("a", "one"), remaining("a", "one")],
            [Some(2), Some(1), Some(0)]
        );
        let Verdict::Refused(allowance, wait) = rates.judge("a", &tenant("one")) else {
            panic!("not refused")
        };
        assert_eq!((allowance.limit, allowance.remaining, allowance.reset), (3, 0, 60));
        assert!(wait <= Duration::from_secs(20), "{wait:?}");
        // A user of another tenant may have the same name.
        assert_eq!(remaining("a", "two"), Some(2));
        // Another key of the tenant has what the tenant has left; another tenant has all of it.
        assert_eq!(
            [remaining("b", "one"), remaining("b", "one"), remaining("b", "one")],
            [Some(1), Some(0), None]
        );
        assert_eq!(remaining("c", "two"), Some(2));
        rates.forget_idle();
        assert_eq!(remaining("a", "one"), None, "forgetting the idle forgets nobody who is not");
    }

    #[test]
    fn no_number_is_no_limit() {
        let rates = Rates::new(Rate { key_per_minute: 0, tenant_per_minute: 0 });
        for _ in 0..1_000 {
            assert_eq!(rates.judge("a", &tenant("one")), Verdict::Unlimited);
        }
        let only_tenants = Rates::new(Rate { key_per_minute: 0, tenant_per_minute: 1 });
        assert!(matches!(only_tenants.judge("a", &tenant("one")), Verdict::Allowed(_)));
        assert!(matches!(only_tenants.judge("b", &tenant("one")), Verdict::Refused(..)));
    }

    #[test]
    fn holdings_are_per_tenant_and_the_limit_is_named() {
        let text = "[tenant]\ndocuments = 2\n[tenants.large]\nbytes = 100";
        let limits: LimitsConfig = toml::from_str(text).unwrap();
        limits.check().unwrap();
        let used = |documents, bytes| Usage { documents, bytes, chunks: 0 };
        assert!(limits.check_holding(&tenant("small"), used(1, 1_000)).is_ok());
        let refused = limits.check_holding(&tenant("small"), used(2, 0)).unwrap_err();
        assert!(refused.contains("2 documents") && refused.contains("limits.tenant.documents"), "{refused}");
        assert!(limits.check_holding(&tenant("large"), used(1_000, 99)).is_ok());
        assert!(limits.check_holding(&tenant("large"), used(0, 100)).is_err());
        assert!(!LimitsConfig::default().limits_holding(&tenant("small")));
        let bad: LimitsConfig = toml::from_str("[tenants.'../x']\nbytes = 1").unwrap();
        assert!(bad.check().is_err());
    }
}
