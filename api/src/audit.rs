//! `[audit]`: how long it is kept who did what.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use wellspring_store::audit::NewAuditEntry;
use wellspring_store::{Store, StoreError, TenantId};

/// How often old entries are looked for.
const EVERY: Duration = Duration::from_secs(3_600);
/// Entries removed in one transaction.
const AT_ONCE: u32 = 1_000;

/// How long entries of the audit log are kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuditConfig {
    /// Days after which entries are removed [default: never].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep_days: Option<u32>,
}

impl AuditConfig {
    /// Refuses to keep nothing.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if let Some(days) = self.keep_days {
            anyhow::ensure!(
                (1..=36_500).contains(&days),
                "the configuration is wrong at `audit.keep_days`: it is {days} and must be 1 to 36500"
            );
        }
        Ok(())
    }
}

/// Removes entries as they become too old; ends at once where none ever does.
pub(crate) async fn retain(store: Store, config: AuditConfig) {
    let Some(days) = config.keep_days else { return };
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let before = Timestamp::now() - SignedDuration::from_hours(24 * i64::from(days));
        if let Err(error) = forget(&store, before).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "old entries of the audit log could not be removed");
        }
    }
}

/// Removes every entry from before a moment, and leaves one that says so.
async fn forget(store: &Store, before: Timestamp) -> Result<(), StoreError> {
    let mut removed = 0;
    loop {
        let now = store.audit.forget(before.as_microsecond(), AT_ONCE).await?;
        removed += now;
        if now < u64::from(AT_ONCE) {
            break;
        }
    }
    if removed == 0 {
        return Ok(());
    }
    let entry = NewAuditEntry {
        tenant: TenantId::default_tenant(),
        actor: "retention".to_owned(),
        action: "forgetAuditEntries".to_owned(),
        collection: None,
        object: Some(format!("{removed} from before {before:.0}")),
        outcome: 200,
        request: None,
    };
    store.audit.append(entry).await
}

#[cfg(test)]
mod tests {
    use wellspring_store::audit::AuditFilter;

    use super::*;

    #[tokio::test]
    async fn what_is_removed_is_itself_written_down() {
        let store = Store::in_memory().await.unwrap();
        let entry = NewAuditEntry {
            tenant: TenantId::default_tenant(),
            actor: "key:a".to_owned(),
            action: "deleteDocument".to_owned(),
            collection: None,
            object: None,
            outcome: 200,
            request: None,
        };
        for _ in 0..3 {
            store.audit.append(entry.clone()).await.unwrap();
        }
        let kept = async || store.audit.entries(AuditFilter::default(), None, 10).await.unwrap().items;
        forget(&store, Timestamp::now() - SignedDuration::from_hours(24)).await.unwrap();
        assert_eq!(kept().await.len(), 3, "they are young");
        forget(&store, Timestamp::now() + SignedDuration::from_hours(1)).await.unwrap();
        let left = kept().await;
        assert_eq!((left.len(), left[0].actor.as_str()), (1, "retention"));
        assert!(left[0].object.as_deref().unwrap().starts_with("3 from before "), "{:?}", left[0].object);
    }

    #[test]
    fn nothing_is_kept_for_no_time() {
        assert!(AuditConfig { keep_days: Some(0) }.check().is_err());
        AuditConfig { keep_days: Some(1) }.check().unwrap();
    }
}
