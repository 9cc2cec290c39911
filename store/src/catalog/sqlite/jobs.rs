//! Jobs as people see them.

use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::failure::During;
use super::leases::finish;
use super::scoped::{living, parsed, unsigned};
use super::versions::{self, remove};
use crate::catalog::Page;
use crate::clock::rfc3339;
use crate::document::{CollectionName, DocumentId, Version};
use crate::error::{ErrorKind, Result, StoreError};
use crate::jobs::{Ending, Job, JobId, JobState, Progress, Stage};
use crate::scope::{CollectionScope, Scope};

#[derive(FromRow)]
struct Row {
    key: i64,
    id: String,
    collection: String,
    document_key: i64,
    document_id: String,
    version: Version,
    source: String,
    acl: Option<String>,
    state: String,
    stage: String,
    done: Option<i64>,
    total: Option<i64>,
    attempts: i64,
    max_attempts: i64,
    reason: Option<String>,
    message: Option<String>,
    report: String,
    cancel_requested: bool,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn job(self) -> Result<Job> {
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

/// A job's id as it is stored.
pub(super) fn job_id(text: &str) -> Result<JobId> {
    Uuid::parse_str(text).map(JobId).map_err(|e| {
        StoreError::new(ErrorKind::Corrupt, "the catalog holds a job id that is none: run verify")
            .with_source(e)
    })
}

/// A state or stage from its stored name, which is its serde name.
fn named<T: serde::de::DeserializeOwned>(name: &str) -> Result<T> {
    T::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(name)).map_err(|e| {
        StoreError::new(
            ErrorKind::Corrupt,
            format!("the catalog holds the unknown job state {name:?}: run verify"),
        )
        .with_source(e)
    })
}

pub(super) fn state_name(state: JobState) -> &'static str {
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

pub(super) fn stage_name(stage: Stage) -> &'static str {
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

async fn row(connection: &mut SqliteConnection, scope: &Scope, id: JobId) -> Result<Row> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT jobs.*, collections.name AS collection FROM jobs JOIN collections ON collections.key = jobs.collection_key \
         WHERE jobs.id = ? AND collections.tenant = ? AND collections.deleted_at IS NULL",
    )
    .bind(id.to_string())
    .bind(scope.tenant().as_str())
    .fetch_optional(&mut *connection)
    .await
    .during("look up the job")?;
    let Some(row) = row else {
        return Err(no_job(id));
    };
    let permitted = scope.permits(&CollectionName::new(row.collection.clone())?);
    if permitted && sees(scope, &row)? { Ok(row) } else { Err(no_job(id)) }
}

fn no_job(id: JobId) -> StoreError {
    StoreError::new(ErrorKind::NotFound, format!("there is no job {id}"))
}

/// Whether the scope sees the version that a job makes, by the access list it was accepted with.
fn sees(scope: &Scope, row: &Row) -> Result<bool> {
    let acl: Option<Vec<String>> = row.acl.as_deref().map(parsed).transpose()?;
    Ok(scope.sees(acl.as_deref()))
}

pub(super) async fn get(connection: &mut SqliteConnection, scope: Scope, id: JobId) -> Result<Job> {
    row(connection, &scope, id).await?.job()
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
    state: Option<JobState>,
    cursor: Option<String>,
    limit: u32,
) -> Result<Page<Job>> {
    living(connection, &scope).await?;
    let mut before = match cursor {
        None => i64::MAX,
        Some(cursor) => cursor.parse().map_err(|e: std::num::ParseIntError| {
            StoreError::new(
                ErrorKind::Invalid,
                "the cursor is not one that this listing gave out: start from the beginning",
            )
            .with_source(e)
        })?,
    };
    let mut items = Vec::new();
    loop {
        let rows: Vec<Row> = match state {
            None => sqlx::query_as(
                "SELECT *, ?2 AS collection FROM jobs WHERE collection_key = ?1 AND key < ?3 ORDER BY key DESC LIMIT ?4",
            ),
            Some(_) => sqlx::query_as(
                "SELECT *, ?2 AS collection FROM jobs WHERE collection_key = ?1 AND key < ?3 AND state = ?5 \
                 ORDER BY key DESC LIMIT ?4",
            ),
        }
        .bind(scope.key().0)
        .bind(scope.name().as_str())
        .bind(before)
        .bind(i64::from(limit))
        .bind(state.map(state_name))
        .fetch_all(&mut *connection)
        .await
        .during("list the jobs")?;
        let last = rows.len() < limit as usize;
        for row in rows {
            before = row.key;
            if sees(scope.scope(), &row)? {
                items.push(row.job()?);
                if items.len() == limit as usize {
                    return Ok(Page { items, next: Some(before.to_string()) });
                }
            }
        }
        if last {
            return Ok(Page { items, next: None });
        }
    }
}

pub(super) async fn cancel(
    connection: &mut SqliteConnection,
    now: i64,
    scope: Scope,
    id: JobId,
) -> Result<Job> {
    let job = row(connection, &scope, id).await?;
    match job.state.as_str() {
        "queued" | "dead" => {
            let version = versions::of_document(connection, job.document_key, job.version).await?;
            remove(connection, &version).await?;
            let ending = Ending {
                state: JobState::Cancelled,
                reason: Some("cancelled".to_owned()),
                message: Some("it was cancelled".to_owned()),
                report: serde_json::Value::Null,
            };
            finish(connection, now, job.key, &ending).await?;
        }
        "running" => {}
        state => {
            let message = format!("job {id} has ended as {state}: there is nothing left to cancel");
            return Err(StoreError::new(ErrorKind::Conflict, message));
        }
    }
    sqlx::query("UPDATE jobs SET cancel_requested = 1, updated_at = ? WHERE key = ?")
        .bind(now)
        .bind(job.key)
        .execute(&mut *connection)
        .await
        .during("cancel the job")?;
    row(connection, &scope, id).await?.job()
}

/// Queues a dead job again, with all its attempts before it.
pub(super) async fn requeue(
    connection: &mut SqliteConnection,
    now: i64,
    scope: Scope,
    id: JobId,
) -> Result<Job> {
    let job = row(connection, &scope, id).await?;
    if job.state != "dead" {
        let message = format!("job {id} is {}: only a dead one can be queued again", job.state);
        return Err(StoreError::new(ErrorKind::Conflict, message));
    }
    let version = versions::of_document(connection, job.document_key, job.version).await?;
    if !matches!(version.state.as_str(), "pending" | "stored") {
        let message = format!("what job {id} was to index is no longer kept: add the document again");
        return Err(StoreError::new(ErrorKind::Conflict, message));
    }
    sqlx::query(
        "UPDATE jobs SET state = 'queued', stage = 'waiting', attempts = 0, due_at = ?1, reason = NULL, message = NULL, \
            updated_at = ?1 WHERE key = ?2",
    )
    .bind(now)
    .bind(job.key)
    .execute(&mut *connection)
    .await
    .during("queue a job again")?;
    row(connection, &scope, id).await?.job()
}

pub(super) async fn backlog(connection: &mut SqliteConnection, now: i64) -> Result<(u64, u64)> {
    let (jobs, oldest): (i64, Option<i64>) =
        sqlx::query_as("SELECT count(*), min(created_at) FROM jobs WHERE state IN ('queued', 'running')")
            .fetch_one(connection)
            .await
            .during("count the jobs")?;
    let age = oldest.map_or(0, |oldest| now.saturating_sub(oldest).max(0) / 1_000_000);
    Ok((unsigned(jobs)?, unsigned(age)?))
}
