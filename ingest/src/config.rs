//! What can be set about ingestion, for the process and per collection.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wellspring_models::Embedder;

use crate::chunk::{ChunkConfig, Pooling};
use crate::error::{ErrorKind, IngestError, Result};

/// Settings of the process. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Bytes of one document, 1 or more. 100 MiB.
    pub max_upload_bytes: u64,
    /// Bytes of a document's metadata as JSON. 64 KiB.
    pub max_metadata_bytes: usize,
    /// Principals on one access list. 1 000.
    pub max_acl_entries: usize,
    /// Queued and running jobs beyond which documents are refused for now. 10 000.
    pub max_backlog: u64,
    /// Jobs worked on at a time, 1 or more. 32: while some wait for the disk or for extraction, others keep the embedder busy.
    pub workers: usize,
    /// Bytes of original documents in memory at a time, over all workers; one larger than this is worked on alone. 256 MiB.
    pub memory_bytes: u64,
    /// Files that a folder run has accepted and not yet seen finished. 64.
    pub files_in_flight: usize,
    /// Chunks per call of the embedder: the step of progress and the most work lost by a cancellation. 32.
    pub embed_batch: usize,
    /// Calls of the embedder at a time per job. 2, so that a local model has work while results are taken in.
    pub embed_calls: usize,
    /// A job whose worker says nothing for this long is given to another. 60 s; heartbeats come three times as often.
    pub lease_ms: u64,
    /// Wait between looks for work that nobody announced (another process, a retry that fell due). 1 s.
    pub poll_ms: u64,
    /// How long a job may stand still, no stage entered and no chunk embedded. 30 min.
    pub stalled_ms: u64,
    /// Wait before the second attempt, doubled for each further one and shortened at random by up to half. 0.5 s.
    pub retry_base_ms: u64,
    /// The longest such wait. 60 s.
    pub retry_cap_ms: u64,
    /// Time between rounds of bringing indexes up to date and purging what was superseded or deleted. 30 s.
    pub maintenance_ms: u64,
    /// Such a round also comes after this many published versions. 1 000.
    pub maintenance_publishes: u64,
    /// How long a folder run waits for a file. 1 h.
    pub wait_ms: u64,
    /// How long a folder run in which nothing ends any more waits for files that fail for want of something outside them (an
    /// endpoint that is down). Their jobs stay queued. 30 s.
    pub outage_ms: u64,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            max_upload_bytes: 100 * 1024 * 1024,
            max_metadata_bytes: 64 * 1024,
            max_acl_entries: 1_000,
            max_backlog: 10_000,
            workers: 32,
            memory_bytes: 256 * 1024 * 1024,
            files_in_flight: 64,
            embed_batch: 32,
            embed_calls: 2,
            lease_ms: 60_000,
            poll_ms: 1_000,
            stalled_ms: 30 * 60_000,
            retry_base_ms: 500,
            retry_cap_ms: 60_000,
            maintenance_ms: 30_000,
            maintenance_publishes: 1_000,
            wait_ms: 3_600_000,
            outage_ms: 30_000,
        }
    }
}

impl IngestConfig {
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms.max(30))
    }

    pub(crate) fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms.max(1))
    }
}

/// Settings of one collection: what [`wellspring_store::Collection::settings`] holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectionSettings {
    /// How its documents are cut. Changing it makes every document count as changed.
    pub chunk: ChunkConfig,
}

impl CollectionSettings {
    /// Reads and checks the stored form; null means the defaults. `Invalid` names the setting.
    pub fn read(value: &serde_json::Value) -> Result<Self> {
        let settings: Self = match value {
            serde_json::Value::Null => Self::default(),
            value => Self::deserialize(value).map_err(|e| {
                IngestError::new(ErrorKind::Invalid, format!("the collection's settings can't be read: {e}"))
                    .with_source(e)
            })?,
        };
        settings.chunk.validate()?;
        Ok(settings)
    }

    /// These settings with members of `chunk` replaced. `Invalid` names a member that there is none of, or that can't be so.
    pub fn with_chunk(&self, chunk: &serde_json::Map<String, serde_json::Value>) -> Result<Self> {
        let mut value = self.to_value()?;
        if let Some(kept) = value.get_mut("chunk").and_then(serde_json::Value::as_object_mut) {
            kept.extend(chunk.clone());
        }
        let settings = Self::deserialize(&value).map_err(|e| {
            IngestError::new(ErrorKind::Invalid, format!("the settings of chunking can't be so: {e}"))
                .with_source(e)
        })?;
        settings.chunk.validate()?;
        Ok(settings)
    }

    /// `Invalid` where a collection with this embedder can't have these settings.
    pub fn suits(&self, embedder: &dyn Embedder) -> Result<()> {
        match self.chunk.pooling == Pooling::Late && embedder.tokens().is_none() {
            true => Err(crate::pipeline::late::unable(&embedder.info().name)),
            false => Ok(()),
        }
    }

    /// The stored form.
    pub fn to_value(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self).map_err(|e| {
            IngestError::new(ErrorKind::Internal, "the collection's settings can't be written").with_source(e)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_being_stored_and_are_checked() {
        let settings =
            CollectionSettings { chunk: ChunkConfig { target_tokens: 99, ..ChunkConfig::default() } };
        assert_eq!(CollectionSettings::read(&settings.to_value().unwrap()).unwrap(), settings);
        assert_eq!(
            CollectionSettings::read(&serde_json::Value::Null).unwrap(),
            CollectionSettings::default()
        );
        let over = |chunk: serde_json::Value| settings.with_chunk(chunk.as_object().unwrap());
        let laid = over(serde_json::json!({"overlap_tokens": 7})).unwrap().chunk;
        assert_eq!((laid.target_tokens, laid.overlap_tokens), (99, 7));
        for wrong in [serde_json::json!({"target_tokens": 1}), serde_json::json!({"taget_tokens": 90})] {
            assert_eq!(over(wrong).unwrap_err().kind(), ErrorKind::Invalid);
        }
        assert!(CollectionSettings::read(&serde_json::json!({"chunk": {"target_tokens": 1}})).is_err());
        assert!(CollectionSettings::read(&serde_json::json!({"chunks": {}})).is_err());
    }
}
