//! The rows of work: what a job is, how it is leased, and the states it goes through.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::document::{DocumentId, DocumentKey, NewDocument, Version};
use crate::scope::CollectionScope;

/// Attempts that a job gets before it is `Dead`. Those that failed for want of something outside the document (an
/// endpoint, a disk) do not count.
pub const MAX_ATTEMPTS: u32 = 5;

/// A job's id (UUID version 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub Uuid);

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a job stands. All but `Queued` and `Running` are final, but for a `Dead` one that is queued again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting for a worker (first time, or again after a failed attempt).
    Queued,
    /// Leased by a worker.
    Running,
    /// The version is visible and searchable.
    Indexed,
    /// The bytes, metadata and pipeline are those of the visible version: nothing was done.
    Unchanged,
    /// Not a kind of document that is read; the reason says which.
    Skipped,
    /// Reading failed for a reason that lies in the document.
    Failed,
    /// A client cancelled it, or its document was deleted or overtaken by a newer version meanwhile.
    Cancelled,
    /// Every attempt failed, and nobody knows that the document is to blame. Its bytes are kept until the job is queued
    /// again or cancelled, or the document is deleted or replaced.
    Dead,
}

impl JobState {
    /// Whether no worker will touch the job any more, unless a `Dead` one is queued again.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// What a running job is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not started.
    Waiting,
    /// Bytes to text.
    Extract,
    /// Text to chunks.
    Chunk,
    /// Chunks to vectors.
    Embed,
    /// Text, chunks and vectors into the catalog.
    Store,
    /// Into the indexes, flushed.
    Index,
    /// Done.
    Done,
}

/// A job as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The collection's name.
    pub collection: String,
    /// The document.
    pub document_id: DocumentId,
    /// The version it makes.
    pub version: Version,
    /// The document's source.
    pub source: String,
    /// Where it stands.
    pub state: JobState,
    /// What it is doing.
    pub stage: Stage,
    /// Units done and to do within the stage (chunks while embedding), where known.
    pub progress: Option<Progress>,
    /// Attempts begun.
    pub attempts: u32,
    /// Attempts allowed.
    pub max_attempts: u32,
    /// A stable code for the end, e.g. `encrypted`, `image_only`, `duplicate_of`, `cancelled`.
    pub reason: Option<String>,
    /// The reason in words.
    pub message: Option<String>,
    /// What the finished job made: chunks, tokens, pages, truncated, reused vectors, duplicate_of, warnings …
    pub report: serde_json::Value,
    /// Whether a client asked for cancellation.
    pub cancel_requested: bool,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
}

/// Units done and to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Done.
    pub done: u64,
    /// To do in all.
    pub total: u64,
}

/// A worker's right to one job until a deadline. Every write through it checks `fence`: a worker whose lease was taken
/// over gets `Conflict` and must drop the job.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Grows with every lease of the job, attempts that do not count included.
    pub fence: i64,
    /// This attempt, from 1.
    pub attempt: u32,
    /// Attempts allowed.
    pub max_attempts: u32,
    /// The collection, under the tenant's own authority.
    pub collection: CollectionScope,
    /// The document's row.
    pub document_key: DocumentKey,
    /// The version to make.
    pub version: Version,
    /// What was accepted.
    pub document: NewDocument,
}

/// The end of a job that makes nothing visible.
#[derive(Debug, Clone)]
pub struct Ending {
    /// A final state other than `Indexed`, which a publication makes, and `Dead`, which too many retries make.
    pub state: JobState,
    /// See [`Job::reason`].
    pub reason: Option<String>,
    /// See [`Job::message`].
    pub message: Option<String>,
    /// See [`Job::report`].
    pub report: serde_json::Value,
}

/// What becomes of an attempt that failed for a reason outside the document.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Wait before the next attempt.
    pub after: Duration,
    /// See [`Job::reason`].
    pub reason: String,
    /// See [`Job::message`].
    pub message: String,
    /// Whether this attempt counts. Not when the worker shut down, nor when what failed would have failed for any document.
    pub counts: bool,
}
