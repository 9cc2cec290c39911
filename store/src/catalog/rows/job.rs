//! Rows of jobs: as people see them, as a worker leases them, and as a lease holds them.

use sqlx::FromRow;
use uuid::Uuid;

use super::values::{hash, parsed, unsigned};
use crate::clock::rfc3339;
use crate::document::{CollectionKey, CollectionName, DocumentId, DocumentKey, NewDocument, Version};
use crate::error::{ErrorKind, Result, StoreError};
use crate::jobs::{Ending, Job, JobId, JobState, Lease, Progress, Stage};
use crate::scope::{CollectionScope, Scope, TenantId};

#[derive(FromRow)]
pub(crate) struct JobRow {
    pub(crate) key: i64,
    pub(crate) id: String,
    pub(crate) collection: String,
    pub(crate) document_key: i64,
    pub(crate) document_id: String,
    pub(crate) version: Version,
    pub(crate) source: String,
    pub(crate) acl: Option<String>,
    pub(crate) state: String,
    pub(crate) stage: String,
    pub(crate) done: Option<i64>,
    pub(crate) total: Option<i64>,
    pub(crate) attempts: i64,
    pub(crate) max_attempts: i64,
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) report: String,
    pub(crate) cancel_requested: bool,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl JobRow {
    pub(crate) fn job(self) -> Result<Job> {
        let progress = match (self.done, self.total) {
            (Some(done), Some(total)) => Some(Progress { done: unsigned(done)?, total: unsigned(total)? }),
            _ => None,
        };
        Ok(Job {
            id: job_id(&self.id)?,
            collection: self.collection,
            document_id: DocumentId::new(self.document_id)?,
            version: self.version,
            source: self.source,
            state: named(&self.state)?,
            stage: named(&self.stage)?,
            progress,
            attempts: unsigned(self.attempts)?,
            max_attempts: unsigned(self.max_attempts)?,
            reason: self.reason,
            message: self.message,
            report: parsed(&self.report)?,
            cancel_requested: self.cancel_requested,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        })
    }
}

/// An id for a job that is accepted at `now`: later ones sort behind.
pub(crate) fn new_job_id(now: i64) -> JobId {
    let micros = u64::try_from(now).unwrap_or(0);
    let nanos = u32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0);
    JobId(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, micros / 1_000_000, nanos)))
}

/// A job's id as it is stored.
pub(crate) fn job_id(text: &str) -> Result<JobId> {
    Uuid::parse_str(text).map(JobId).map_err(|e| {
        StoreError::new(ErrorKind::Corrupt, "the catalog holds a job id that is none: run verify")
            .with_source(e)
    })
}

/// A state or stage from its stored name, which is its serde name.
pub(crate) fn named<T: serde::de::DeserializeOwned>(name: &str) -> Result<T> {
    T::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(name)).map_err(|e| {
        StoreError::new(
            ErrorKind::Corrupt,
            format!("the catalog holds the unknown job state {name:?}: run verify"),
        )
        .with_source(e)
    })
}

pub(crate) fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Indexed => "indexed",
        JobState::Unchanged => "unchanged",
        JobState::Skipped => "skipped",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
        JobState::Dead => "dead",
    }
}

pub(crate) fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Waiting => "waiting",
        Stage::Extract => "extract",
        Stage::Chunk => "chunk",
        Stage::Embed => "embed",
        Stage::Store => "store",
        Stage::Index => "index",
        Stage::Done => "done",
    }
}

pub(crate) fn no_job(id: JobId) -> StoreError {
    StoreError::new(ErrorKind::NotFound, format!("there is no job {id}"))
}

/// Whether the scope sees the version that a job makes, by the access list it was accepted with.
pub(crate) fn sees(scope: &Scope, row: &JobRow) -> Result<bool> {
    let acl: Option<Vec<String>> = row.acl.as_deref().map(parsed).transpose()?;
    Ok(scope.sees(acl.as_deref()))
}

#[derive(FromRow)]
pub(crate) struct Due {
    pub(crate) key: i64,
    pub(crate) id: String,
    pub(crate) document_key: i64,
    pub(crate) version: Version,
    pub(crate) document_id: String,
    pub(crate) attempts: i64,
    pub(crate) max_attempts: i64,
    pub(crate) fence: i64,
    pub(crate) cancel_requested: bool,
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) collection_key: i64,
    pub(crate) tenant: String,
    pub(crate) name: String,
    pub(crate) version_key: i64,
    pub(crate) blob: Vec<u8>,
    pub(crate) bytes: i64,
    pub(crate) source: String,
    pub(crate) declared_type: Option<String>,
    pub(crate) declared_title: Option<String>,
    pub(crate) declared_metadata: String,
    pub(crate) acl: Option<String>,
    pub(crate) trace: Option<String>,
}

impl Due {
    pub(crate) fn lease(self) -> Result<Lease> {
        let scope = Scope::administrator(TenantId::new(self.tenant)?);
        Ok(Lease {
            job: job_id(&self.id)?,
            fence: self.fence + 1,
            attempt: unsigned(self.attempts + 1)?,
            max_attempts: unsigned(self.max_attempts)?,
            collection: CollectionScope::new(
                scope,
                CollectionKey(self.collection_key),
                CollectionName::new(self.name)?,
            ),
            document_key: DocumentKey(self.document_key),
            version: self.version,
            document: NewDocument {
                id: DocumentId::new(self.document_id)?,
                blob: hash(&self.blob)?,
                bytes: unsigned(self.bytes)?,
                source: self.source,
                media_type: self.declared_type,
                title: self.declared_title,
                metadata: parsed(&self.declared_metadata)?,
                acl: self.acl.as_deref().map(parsed).transpose()?,
                trace: self.trace,
            },
        })
    }
}

/// A job whose lease was found to be good.
#[derive(Debug, FromRow)]
pub(crate) struct Held {
    pub(crate) job_key: i64,
    pub(crate) version_key: i64,
    pub(crate) cancel_requested: bool,
    /// Document or collection was deleted.
    pub(crate) gone: bool,
    pub(crate) attempts: i64,
    pub(crate) max_attempts: i64,
    pub(crate) dimension: i64,
    /// The visible version now, and its key.
    pub(crate) visible: Option<Version>,
    pub(crate) visible_key: Option<i64>,
    pub(crate) document_created_at: i64,
}

/// The end of a job that was cancelled or lost its document.
pub(crate) fn cancelled(held: &Held) -> Ending {
    let (reason, message) =
        if held.gone { ("deleted", "the document was deleted") } else { ("cancelled", "it was cancelled") };
    Ending {
        state: JobState::Cancelled,
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        report: serde_json::Value::Null,
    }
}
