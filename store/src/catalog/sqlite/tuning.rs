//! What retrieval learns about a collection: samples of its chunks, and the report made of them.

use sqlx::SqliteConnection;

use super::failure::During;
use super::scoped::{arguments, asked, bind, living};
use crate::catalog::LanguageSample;
use crate::catalog::rows::values::{json, parsed};
use crate::document::ChunkKey;
use crate::error::Result;
use crate::scope::CollectionScope;

/// Multiplied with a key, modulo 2³², it spreads neighbours far apart (Knuth, TAOCP 3, 6.4).
macro_rules! spread {
    () => {
        "(c.key * 2654435761) & 4294967295"
    };
}

pub(super) async fn sample(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
    per_language: u32,
) -> Result<Vec<LanguageSample>> {
    let mut arguments = arguments(&scope)?;
    bind(&mut arguments, i64::from(per_language))?;
    let rows: Vec<(Option<String>, i64, i64)> = sqlx::query_as_with(
        concat!(
            "SELECT language, chunks, key FROM ( \
                SELECT c.language, c.key, count(*) OVER (PARTITION BY c.language) AS chunks, \
                    row_number() OVER (PARTITION BY c.language ORDER BY ",
            spread!(),
            ", c.key) AS place \
                FROM visible v CROSS JOIN chunks c ON c.version_key = v.version_key \
                WHERE c.replaced = 0 AND ",
            asked!(),
            ") WHERE place <= ?4 ORDER BY chunks DESC, language, place"
        ),
        arguments,
    )
    .fetch_all(connection)
    .await
    .during("draw a sample of the chunks")?;
    let mut samples: Vec<LanguageSample> = Vec::new();
    for (language, chunks, key) in rows {
        match samples.last_mut().filter(|last| last.language == language) {
            Some(last) => last.keys.push(ChunkKey(key)),
            None => {
                let chunks = chunks.unsigned_abs();
                samples.push(LanguageSample { language, chunks, keys: vec![ChunkKey(key)] });
            }
        }
    }
    Ok(samples)
}

pub(super) async fn get(
    connection: &mut SqliteConnection,
    scope: CollectionScope,
) -> Result<Option<serde_json::Value>> {
    living(connection, &scope).await?;
    let report: Option<String> = sqlx::query_scalar("SELECT report FROM tuning WHERE collection_key = ?")
        .bind(scope.key().0)
        .fetch_optional(connection)
        .await
        .during("read what was learned about the collection")?;
    report.map(|report| parsed(&report)).transpose()
}

pub(super) async fn put(
    connection: &mut SqliteConnection,
    now: i64,
    scope: CollectionScope,
    report: serde_json::Value,
) -> Result<()> {
    living(connection, &scope).await?;
    sqlx::query(
        "INSERT INTO tuning (collection_key, report, updated_at) VALUES (?1, ?2, ?3) \
         ON CONFLICT (collection_key) DO UPDATE SET report = ?2, updated_at = ?3",
    )
    .bind(scope.key().0)
    .bind(json(&report)?)
    .bind(now)
    .execute(connection)
    .await
    .during("keep what was learned about the collection")?;
    Ok(())
}
