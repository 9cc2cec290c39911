//! Feedback: kept once per id, bounded, listed for whoever sees everything.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::failure::During;
use super::scoped::{json, living, parsed};
use super::{SqliteCatalog, queries};
use crate::catalog::Page;
use crate::clock::rfc3339;
use crate::error::{ErrorKind, Result, StoreError};
use crate::feedback::{Feedback, FeedbackRows, NewFeedback};
use crate::scope::{Access, CollectionScope};

#[async_trait]
impl FeedbackRows for SqliteCatalog {
    async fn record_feedback(
        &self,
        scope: &CollectionScope,
        feedback: NewFeedback,
        most: u32,
    ) -> Result<bool> {
        check(&feedback)?;
        let (now, scope) = (self.now(), scope.clone());
        self.database
            .write(None, move |connection| Box::pin(record(connection, now, scope, feedback, most)))
            .await
    }

    async fn feedback(
        &self,
        scope: &CollectionScope,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Feedback>> {
        let (scope, limit, cursor) = (scope.clone(), queries::limit(limit)?, cursor.map(str::to_owned));
        self.database.read(move |connection| Box::pin(list(connection, scope, cursor, limit))).await
    }
}

/// Refuses what could not be told from others later.
fn check(feedback: &NewFeedback) -> Result<()> {
    let plain = feedback.id.bytes().all(|byte| byte.is_ascii_graphic());
    if (1..=255).contains(&feedback.id.len()) && plain && feedback.event.is_object() {
        return Ok(());
    }
    Err(StoreError::new(
        ErrorKind::Invalid,
        "feedback is a JSON object with an id of 1-255 visible ASCII characters",
    ))
}

async fn record(
    connection: &mut SqliteConnection,
    now: i64,
    scope: CollectionScope,
    feedback: NewFeedback,
    most: u32,
) -> Result<bool> {
    living(connection, &scope).await?;
    let kept = sqlx::query(
        "INSERT INTO feedback (collection_key, id, event, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(scope.key().0)
    .bind(&feedback.id)
    .bind(json(&feedback.event)?)
    .bind(now)
    .execute(&mut *connection)
    .await
    .during("keep feedback")?;
    sqlx::query(
        "DELETE FROM feedback WHERE collection_key = ?1 AND key <= ( \
            SELECT key FROM feedback WHERE collection_key = ?1 ORDER BY key DESC LIMIT 1 OFFSET ?2)",
    )
    .bind(scope.key().0)
    .bind(i64::from(most.max(1)))
    .execute(connection)
    .await
    .during("forget old feedback")?;
    Ok(kept.rows_affected() > 0)
}

/// Forgets everything about a collection.
pub(super) async fn forget(connection: &mut SqliteConnection, collection: i64) -> Result<()> {
    sqlx::query("DELETE FROM feedback WHERE collection_key = ?")
        .bind(collection)
        .execute(connection)
        .await
        .during("forget feedback")?;
    Ok(())
}

async fn list(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
    cursor: Option<String>,
    limit: u32,
) -> Result<Page<Feedback>> {
    if *scope.scope().access() != Access::Everything {
        return Err(StoreError::new(
            ErrorKind::Unauthorized,
            "feedback is shown to the tenant's administrator only: it is everybody's",
        ));
    }
    living(connection, &scope).await?;
    let after = match cursor {
        None => 0,
        Some(cursor) => cursor.parse::<i64>().map_err(|_| {
            StoreError::new(ErrorKind::Invalid, "the cursor is not one that a page gave: take its `next`")
        })?,
    };
    let mut rows: Vec<(i64, String, String, i64)> = sqlx::query_as(
        "SELECT key, id, event, at FROM feedback WHERE collection_key = ? AND key > ? ORDER BY key LIMIT ?",
    )
    .bind(scope.key().0)
    .bind(after)
    .bind(i64::from(limit) + 1)
    .fetch_all(connection)
    .await
    .during("list the feedback")?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next = rows.last().filter(|_| more).map(|row| row.0.to_string());
    let items = rows
        .into_iter()
        .map(|(_, id, event, at)| Ok(Feedback { id, event: parsed(&event)?, at: rfc3339(at) }))
        .collect::<Result<_>>()?;
    Ok(Page { items, next })
}
