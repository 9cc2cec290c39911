//! Jobs as people see them.

use sqlx::PgConnection;

use super::failure::During;
use super::leases::finish;
use super::scoped::living;
use super::versions::{self, remove};
use super::wake;
use crate::catalog::Page;
use crate::catalog::rows::job::{JobRow, no_job, sees, state_name};
use crate::catalog::rows::values::unsigned;
use crate::document::CollectionName;
use crate::error::{ErrorKind, Result, StoreError};
use crate::jobs::{Ending, Job, JobId, JobState};
use crate::scope::{CollectionScope, Scope};

async fn row(connection: &mut PgConnection, scope: &Scope, id: JobId) -> Result<JobRow> {
    let row: Option<JobRow> = sqlx::query_as(
        "SELECT jobs.*, collections.name AS collection FROM jobs JOIN collections ON collections.key = jobs.collection_key \
         WHERE jobs.id = $1 AND collections.tenant = $2 AND collections.deleted_at IS NULL",
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

/// The job as it is once nobody else writes its document, or leases it, until the transaction ends.
async fn locked(connection: &mut PgConnection, scope: &Scope, id: JobId) -> Result<JobRow> {
    let seen = row(connection, scope, id).await?;
    versions::lock(connection, seen.document_key).await?;
    row(connection, scope, id).await
}

pub(super) async fn get(connection: &mut PgConnection, scope: Scope, id: JobId) -> Result<Job> {
    row(connection, &scope, id).await?.job()
}

pub(super) async fn list(
    connection: &mut PgConnection,
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
        let rows: Vec<JobRow> = sqlx::query_as(
            "SELECT *, $2 AS collection FROM jobs WHERE collection_key = $1 AND key < $3 \
                AND ($5::text IS NULL OR state = $5) ORDER BY key DESC LIMIT $4",
        )
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

pub(super) async fn cancel(connection: &mut PgConnection, now: i64, scope: Scope, id: JobId) -> Result<Job> {
    let job = locked(connection, &scope, id).await?;
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
    sqlx::query("UPDATE jobs SET cancel_requested = true, updated_at = $1 WHERE key = $2")
        .bind(now)
        .bind(job.key)
        .execute(&mut *connection)
        .await
        .during("cancel the job")?;
    row(connection, &scope, id).await?.job()
}

/// Queues a dead job again, with all its attempts before it.
pub(super) async fn requeue(connection: &mut PgConnection, now: i64, scope: Scope, id: JobId) -> Result<Job> {
    let job = locked(connection, &scope, id).await?;
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
        "UPDATE jobs SET state = 'queued', stage = 'waiting', attempts = 0, due_at = $1, reason = NULL, message = NULL, \
            updated_at = $1 WHERE key = $2",
    )
    .bind(now)
    .bind(job.key)
    .execute(&mut *connection)
    .await
    .during("queue a job again")?;
    wake::announce(connection).await?;
    row(connection, &scope, id).await?.job()
}

pub(super) async fn backlog(connection: &mut PgConnection, now: i64) -> Result<(u64, u64)> {
    let (jobs, oldest): (i64, Option<i64>) =
        sqlx::query_as("SELECT count(*), min(created_at) FROM jobs WHERE state IN ('queued', 'running')")
            .fetch_one(connection)
            .await
            .during("count the jobs")?;
    let age = oldest.map_or(0, |oldest| now.saturating_sub(oldest).max(0) / 1_000_000);
    Ok((unsigned(jobs)?, unsigned(age)?))
}
