//! Leasing jobs to workers, and how attempts end.

use std::time::Duration;

use sqlx::SqliteConnection;

use super::failure::During;
use super::versions::{self, remove};
use crate::catalog::rows::job::{Due, Held, cancelled, stage_name, state_name};
use crate::catalog::rows::values::{json, signed};
use crate::clock::micros;
use crate::document::Version;
use crate::error::{ErrorKind, Result, StoreError};
use crate::jobs::{Ending, JobState, Lease, Progress, Retry, Stage};

/// Makes every leased job due at `now`.
pub(super) async fn end_all(connection: &mut SqliteConnection, now: i64) -> Result<()> {
    sqlx::query("UPDATE jobs SET due_at = ?1 WHERE state = 'running' AND due_at > ?1")
        .bind(now)
        .execute(connection)
        .await
        .during("end the leases of earlier processes")?;
    Ok(())
}

/// Whether any job may be due at `now`.
pub(super) async fn is_due(connection: &mut SqliteConnection, now: i64) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM jobs WHERE state IN ('queued', 'running') AND due_at <= ?)",
    )
    .bind(now)
    .fetch_one(connection)
    .await
    .during("look for a job")
}

macro_rules! due {
    ($which:literal) => {
        concat!(
            "SELECT j.key, j.id, j.document_key, j.version, j.document_id, j.attempts, j.max_attempts, j.fence, \
                j.cancel_requested, j.reason, j.message, j.collection_key, c.tenant, c.name, v.key AS version_key, \
                v.blob, v.bytes, v.source, v.declared_type, v.declared_title, v.declared_metadata, v.acl, j.trace \
             FROM jobs j CROSS JOIN collections c ON c.key = j.collection_key \
             CROSS JOIN versions v ON v.document_key = j.document_key AND v.version = j.version \
             WHERE j.state IN ('queued', 'running') AND j.due_at <= ?1 AND NOT EXISTS ( \
                SELECT 1 FROM jobs earlier WHERE earlier.document_key = j.document_key \
                    AND earlier.version < j.version AND earlier.state IN ('queued', 'running')) ",
            $which
        )
    };
}

async fn find(connection: &mut SqliteConnection, now: i64, query: &'static str) -> Result<Option<Due>> {
    sqlx::query_as(query).bind(now).fetch_optional(connection).await.during("lease a job")
}

/// Jobs that nobody has tried come first: those that fail again and again, for want of an endpoint that one collection
/// needs, must not keep the others waiting. Among those it goes by who has waited longest.
pub(super) async fn lease(
    connection: &mut SqliteConnection,
    now: i64,
    owner: String,
    lease: Duration,
) -> Result<Option<Lease>> {
    loop {
        let due = match find(connection, now, due!("AND j.fence = 0 ORDER BY j.key LIMIT 1")).await? {
            Some(fresh) => Some(fresh),
            None => find(connection, now, due!("ORDER BY j.due_at, j.key LIMIT 1")).await?,
        };
        let Some(due) = due else {
            return Ok(None);
        };
        if due.cancel_requested {
            give_up(connection, now, &due, JobState::Cancelled, "cancelled", "it was cancelled").await?;
        } else if due.attempts >= due.max_attempts {
            let message = format!(
                "none of {} attempts came to an end: the worker died or hung each time",
                due.attempts
            );
            give_up(connection, now, &due, JobState::Dead, "attempts_exhausted", &message).await?;
        } else {
            sqlx::query(
                "UPDATE jobs SET state = 'running', stage = 'waiting', done = NULL, total = NULL, owner = ?, \
                    due_at = ?, attempts = attempts + 1, fence = fence + 1, reason = NULL, message = NULL, \
                    updated_at = ? WHERE key = ?",
            )
            .bind(&owner)
            .bind(now.saturating_add(micros(lease)))
            .bind(now)
            .bind(due.key)
            .execute(&mut *connection)
            .await
            .during("lease a job")?;
            return due.lease().map(Some);
        }
    }
}

/// Ends a job that nobody holds. What an earlier attempt or the client said about it is kept; so is the version of a
/// dead one.
async fn give_up(
    connection: &mut SqliteConnection,
    now: i64,
    due: &Due,
    state: JobState,
    reason: &str,
    message: &str,
) -> Result<()> {
    if state != JobState::Dead {
        let version = versions::get(connection, due.version_key).await?;
        remove(connection, &version).await?;
    }
    let end = Ending {
        state,
        reason: Some(due.reason.clone().unwrap_or_else(|| reason.to_owned())),
        message: Some(due.message.clone().unwrap_or_else(|| message.to_owned())),
        report: serde_json::Value::Null,
    };
    finish(connection, now, due.key, &end).await
}

/// The job of a lease; `Conflict` if the lease was taken over or the job ended.
pub(super) async fn held(connection: &mut SqliteConnection, lease: &Lease) -> Result<Held> {
    let held: Option<Held> = sqlx::query_as(
        "SELECT j.key AS job_key, v.key AS version_key, j.cancel_requested, \
            d.deleted_at IS NOT NULL OR c.deleted_at IS NOT NULL AS gone, j.attempts, j.max_attempts, c.dimension, \
            shown.version AS visible, shown.key AS visible_key, d.created_at AS document_created_at \
         FROM jobs j JOIN collections c ON c.key = j.collection_key JOIN documents d ON d.key = j.document_key \
         JOIN versions v ON v.document_key = j.document_key AND v.version = j.version \
         LEFT JOIN versions shown ON shown.key = d.visible \
         WHERE j.id = ? AND j.fence = ? AND j.state = 'running' AND c.key = ? AND c.tenant = ?",
    )
    .bind(lease.job.to_string())
    .bind(lease.fence)
    .bind(lease.collection.key().0)
    .bind(lease.collection.tenant().as_str())
    .fetch_optional(connection)
    .await
    .during("check a lease")?;
    held.ok_or_else(|| {
        StoreError::new(
            ErrorKind::Conflict,
            format!(
                "the lease of job {} is lost: another worker has it, or it has ended; drop this attempt",
                lease.job
            ),
        )
    })
}

pub(super) async fn heartbeat(
    connection: &mut SqliteConnection,
    now: i64,
    lease: Lease,
    stage: Stage,
    progress: Option<Progress>,
    extend: Duration,
) -> Result<bool> {
    let held = held(connection, &lease).await?;
    sqlx::query("UPDATE jobs SET due_at = ?, stage = ?, done = ?, total = ?, updated_at = ? WHERE key = ?")
        .bind(now.saturating_add(micros(extend)))
        .bind(stage_name(stage))
        .bind(progress.map(|p| signed(p.done)).transpose()?)
        .bind(progress.map(|p| signed(p.total)).transpose()?)
        .bind(now)
        .bind(held.job_key)
        .execute(connection)
        .await
        .during("extend a lease")?;
    Ok(held.cancel_requested || held.gone)
}

pub(super) async fn end(
    connection: &mut SqliteConnection,
    now: i64,
    lease: Lease,
    ending: Ending,
) -> Result<()> {
    if !ending.state.is_final() || matches!(ending.state, JobState::Indexed | JobState::Dead) {
        let message = format!("a worker cannot end a job as {}", state_name(ending.state));
        return Err(StoreError::new(ErrorKind::Invalid, message));
    }
    let held = held(connection, &lease).await?;
    if ending.state == JobState::Unchanged {
        supersede(connection, now, &lease, "the visible version is what was accepted last").await?;
    }
    abandon(connection, now, &held, &ending).await
}

/// Ends what waits or is dead of the document's older versions: a newer one is shown, and they must never replace it.
pub(super) async fn supersede(
    connection: &mut SqliteConnection,
    now: i64,
    lease: &Lease,
    message: &str,
) -> Result<()> {
    // One that was queued again while this one ran may run beside it.
    sqlx::query(
        "UPDATE jobs SET cancel_requested = 1 WHERE document_key = ? AND version < ? AND state = 'running'",
    )
    .bind(lease.document_key.0)
    .bind(lease.version)
    .execute(&mut *connection)
    .await
    .during("end the jobs of older versions")?;
    let overtaken: Vec<Version> = sqlx::query_scalar(
        "UPDATE jobs SET state = 'cancelled', stage = 'done', reason = 'superseded', message = ?, updated_at = ? \
         WHERE document_key = ? AND version < ? AND state IN ('queued', 'dead') RETURNING version",
    )
    .bind(message)
    .bind(now)
    .bind(lease.document_key.0)
    .bind(lease.version)
    .fetch_all(&mut *connection)
    .await
    .during("end the jobs of older versions")?;
    for version in overtaken {
        let version = versions::of_document(connection, lease.document_key.0, version).await?;
        remove(connection, &version).await?;
    }
    Ok(())
}

pub(super) async fn retry(
    connection: &mut SqliteConnection,
    now: i64,
    lease: Lease,
    retry: Retry,
) -> Result<JobState> {
    let held = held(connection, &lease).await?;
    if held.cancel_requested || held.gone {
        let ending = cancelled(&held);
        abandon(connection, now, &held, &ending).await?;
        return Ok(JobState::Cancelled);
    }
    if retry.counts && held.attempts >= held.max_attempts {
        let ending = Ending {
            state: JobState::Dead,
            reason: Some(retry.reason),
            message: Some(retry.message),
            report: serde_json::Value::Null,
        };
        finish(connection, now, held.job_key, &ending).await?;
        return Ok(JobState::Dead);
    }
    sqlx::query(
        "UPDATE jobs SET state = 'queued', stage = 'waiting', done = NULL, total = NULL, owner = NULL, due_at = ?, \
            attempts = attempts - ?, reason = ?, message = ?, updated_at = ? WHERE key = ?",
    )
    .bind(now.saturating_add(micros(retry.after)))
    .bind(i64::from(!retry.counts))
    .bind(&retry.reason)
    .bind(&retry.message)
    .bind(now)
    .bind(held.job_key)
    .execute(&mut *connection)
    .await
    .during("queue a job again")?;
    // Whoever looks at the job of a newer version sees why nothing happens.
    sqlx::query(
        "UPDATE jobs SET reason = 'earlier_version_waits', message = ?, updated_at = ? \
         WHERE document_key = ? AND version > ? AND state = 'queued'",
    )
    .bind(format!("version {} of this document waits: {}", lease.version, retry.message))
    .bind(now)
    .bind(lease.document_key.0)
    .bind(lease.version)
    .execute(connection)
    .await
    .during("queue a job again")?;
    Ok(JobState::Queued)
}

/// Ends a held job and removes its version.
pub(super) async fn abandon(
    connection: &mut SqliteConnection,
    now: i64,
    held: &Held,
    ending: &Ending,
) -> Result<()> {
    let version = versions::get(connection, held.version_key).await?;
    remove(connection, &version).await?;
    finish(connection, now, held.job_key, ending).await
}

/// Writes a job's final state.
pub(super) async fn finish(
    connection: &mut SqliteConnection,
    now: i64,
    job: i64,
    ending: &Ending,
) -> Result<()> {
    sqlx::query(
        "UPDATE jobs SET state = ?, stage = 'done', done = NULL, total = NULL, owner = NULL, reason = ?, message = ?, \
            report = ?, updated_at = ? WHERE key = ?",
    )
    .bind(state_name(ending.state))
    .bind(&ending.reason)
    .bind(&ending.message)
    .bind(json(&ending.report)?)
    .bind(now)
    .bind(job)
    .execute(connection)
    .await
    .during("end a job")?;
    Ok(())
}
