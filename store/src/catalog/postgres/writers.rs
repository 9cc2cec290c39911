//! Turns at writing an index of vectors that several processes share, by the database's clock.

use std::time::Duration;

use sqlx::PgConnection;

use super::failure::During;
use super::scoped::staying;
use crate::error::Result;
use crate::scope::CollectionScope;

pub(super) async fn claim(
    connection: &mut PgConnection,
    scope: CollectionScope,
    generation: u32,
    holder: String,
    lease: Duration,
) -> Result<bool> {
    staying(connection, &scope).await?;
    let claimed = sqlx::query(
        "INSERT INTO vector_writers (collection_key, generation, holder, until) \
         VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4)) \
         ON CONFLICT (collection_key, generation) DO UPDATE SET holder = excluded.holder, until = excluded.until \
         WHERE vector_writers.holder = excluded.holder OR vector_writers.until <= clock_timestamp()",
    )
    .bind(scope.key().0)
    .bind(i64::from(generation))
    .bind(holder)
    .bind(lease.as_secs_f64())
    .execute(connection)
    .await
    .during("take the turn at an index")?;
    Ok(claimed.rows_affected() == 1)
}

pub(super) async fn end(
    connection: &mut PgConnection,
    scope: CollectionScope,
    generation: u32,
    holder: String,
) -> Result<()> {
    sqlx::query(
        "UPDATE vector_writers SET until = clock_timestamp() \
         WHERE collection_key = $1 AND generation = $2 AND holder = $3",
    )
    .bind(scope.key().0)
    .bind(i64::from(generation))
    .bind(holder)
    .execute(connection)
    .await
    .during("end the turn at an index")
    .map(|_| ())
}
