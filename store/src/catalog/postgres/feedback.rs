//! Feedback: kept once per id, bounded, listed for whoever sees everything.

use async_trait::async_trait;
use sqlx::PgConnection;

use super::PostgresCatalog;
use super::failure::During;
use super::scoped::{living, staying};
use crate::catalog::Page;
use crate::catalog::rows::feedback::{FeedbackRow, after, check, check_reader, page};
use crate::catalog::rows::values::{self, json};
use crate::error::Result;
use crate::feedback::{Feedback, FeedbackRows, NewFeedback};
use crate::scope::CollectionScope;

#[async_trait]
impl FeedbackRows for PostgresCatalog {
    async fn record_feedback(
        &self,
        scope: &CollectionScope,
        feedback: NewFeedback,
        most: u32,
    ) -> Result<bool> {
        check(&feedback)?;
        let (now, scope) = (self.now(), scope.clone());
        write!(self, scope.tenant(), record(now, scope, feedback, most))
    }

    async fn feedback(
        &self,
        scope: &CollectionScope,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Feedback>> {
        let (scope, limit, cursor) = (scope.clone(), values::limit(limit)?, cursor.map(str::to_owned));
        read!(self, scope.tenant(), list(scope, cursor, limit))
    }
}

async fn record(
    connection: &mut PgConnection,
    now: i64,
    scope: CollectionScope,
    feedback: NewFeedback,
    most: u32,
) -> Result<bool> {
    staying(connection, &scope).await?;
    let kept = sqlx::query(
        "INSERT INTO feedback (collection_key, id, event, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(scope.key().0)
    .bind(&feedback.id)
    .bind(json(&feedback.event)?)
    .bind(now)
    .execute(&mut *connection)
    .await
    .during("keep feedback")?;
    sqlx::query(
        "DELETE FROM feedback WHERE collection_key = $1 AND key <= ( \
            SELECT key FROM feedback WHERE collection_key = $1 ORDER BY key DESC LIMIT 1 OFFSET $2)",
    )
    .bind(scope.key().0)
    .bind(i64::from(most.max(1)))
    .execute(connection)
    .await
    .during("forget old feedback")?;
    Ok(kept.rows_affected() > 0)
}

/// Forgets everything about a collection.
pub(super) async fn forget(connection: &mut PgConnection, collection: i64) -> Result<()> {
    sqlx::query("DELETE FROM feedback WHERE collection_key = $1")
        .bind(collection)
        .execute(connection)
        .await
        .during("forget feedback")?;
    Ok(())
}

async fn list(
    connection: &mut PgConnection,
    scope: CollectionScope,
    cursor: Option<String>,
    limit: u32,
) -> Result<Page<Feedback>> {
    check_reader(&scope)?;
    living(connection, &scope).await?;
    let after = after(cursor.as_deref())?;
    let rows: Vec<FeedbackRow> = sqlx::query_as(
        "SELECT key, id, event, at FROM feedback WHERE collection_key = $1 AND key > $2 ORDER BY key LIMIT $3",
    )
    .bind(scope.key().0)
    .bind(after)
    .bind(i64::from(limit) + 1)
    .fetch_all(connection)
    .await
    .during("list the feedback")?;
    page(rows, limit)
}
