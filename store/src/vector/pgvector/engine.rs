//! pgvector as an engine that the processes of one catalog share: which generations it keeps, and whose turn it is to write.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{PgVectorConfig, PgVectorIndex, version};
use crate::catalog::postgres::{Database, During, For, PostgresCatalog};
use crate::document::CollectionKey;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::CollectionScope;
use crate::vector::VectorIndex;
use crate::vector::remote::RemoteEngine;

/// See the module.
pub(crate) struct PgVectors {
    database: Database,
    config: PgVectorConfig,
    holder: Arc<str>,
}

impl PgVectors {
    /// In the catalog's database; `holder` is this process among those that write.
    pub(crate) fn new(catalog: &PostgresCatalog, config: PgVectorConfig, holder: Arc<str>) -> Self {
        Self { database: catalog.database().clone(), config, holder }
    }

    fn index(&self, scope: &CollectionScope, generation: u32, dimension: usize) -> PgVectorIndex {
        let mut index = PgVectorIndex::at(&self.database, scope, generation, dimension, self.config.clone());
        index.holder = Some(Arc::clone(&self.holder));
        index
    }
}

/// The table of a generation.
pub(super) fn table(collection: i64, generation: u32) -> String {
    format!("vectors_{collection}_g{generation}")
}

/// Collection and generation of a table, if it is one of ours.
fn generation_of(table: &str) -> Option<(CollectionKey, u32)> {
    let (collection, generation) = table.strip_prefix("vectors_")?.split_once("_g")?;
    Some((CollectionKey(collection.parse().ok()?), generation.parse().ok()?))
}

/// Refuses (`Conflict`) to write once another process has had its turn, and keeps others from taking theirs before the
/// transaction ends.
pub(super) async fn check_turn(
    connection: &mut PgConnection,
    collection: i64,
    generation: i64,
    holder: &str,
) -> Result<()> {
    let last: Option<String> = sqlx::query_scalar(
        "SELECT holder FROM vector_writers WHERE collection_key = $1 AND generation = $2 FOR SHARE",
    )
    .bind(collection)
    .bind(generation)
    .fetch_optional(connection)
    .await
    .during("change an index of vectors")?;
    if last.is_none_or(|last| last == holder) {
        return Ok(());
    }
    Err(StoreError::new(
        ErrorKind::Conflict,
        "another process writes this index of vectors now: what it applied has to be looked at first",
    ))
}

/// Removes a generation's table and what is known about it, if it is there.
pub(super) async fn remove(database: &Database, collection: i64, generation: u32) -> Result<()> {
    const DOING: &str = "remove an index of vectors";
    let mut owner = database.owner().await?;
    let drop = format!("DROP TABLE IF EXISTS {}", table(collection, generation));
    let dropped = sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut owner).await.during(DOING);
    owner.close().await.during(DOING)?;
    dropped?;
    database
        .write(For::Everybody, None, move |connection| {
            Box::pin(async move {
                sqlx::query("DELETE FROM vector_states WHERE collection_key = $1 AND generation = $2")
                    .bind(collection)
                    .bind(i64::from(generation))
                    .execute(connection)
                    .await
                    .during(DOING)
                    .map(|_| ())
            })
        })
        .await
}

#[async_trait]
impl RemoteEngine for PgVectors {
    async fn check(&self) -> Result<()> {
        let mut owner = self.database.owner().await?;
        let checked = version::require(&mut owner).await;
        owner.close().await.during("look for pgvector")?;
        checked
    }

    async fn find(
        &self,
        scope: &CollectionScope,
        generation: u32,
        dimension: usize,
    ) -> Result<Option<Arc<dyn VectorIndex>>> {
        let index = self.index(scope, generation, dimension);
        let name = format!("public.{}", index.table);
        let there: bool = self
            .database
            .read(scope.tenant().into(), move |connection| {
                let name = name.clone();
                Box::pin(async move {
                    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
                        .bind(name)
                        .fetch_one(connection)
                        .await
                        .during("look for an index of vectors")
                })
            })
            .await?;
        Ok(there.then(|| Arc::new(index) as Arc<dyn VectorIndex>))
    }

    async fn create(
        &self,
        scope: &CollectionScope,
        generation: u32,
        dimension: usize,
    ) -> Result<Arc<dyn VectorIndex>> {
        remove(&self.database, scope.key().0, generation).await?;
        let index = self.index(scope, generation, dimension);
        let mut owner = self.database.owner().await?;
        let made = index.make(&mut owner).await;
        owner.close().await.during("make an index of vectors")?;
        made?;
        Ok(Arc::new(index))
    }

    async fn remove(&self, collection: CollectionKey, generation: u32) -> Result<()> {
        remove(&self.database, collection.0, generation).await
    }

    async fn generations(&self) -> Result<Vec<(CollectionKey, u32)>> {
        let tables: Vec<String> = self
            .database
            .read(For::Everybody, |connection| {
                Box::pin(async move {
                    sqlx::query_scalar(
                        "SELECT tablename::text FROM pg_tables \
                         WHERE schemaname = 'public' AND tablename ~ '^vectors_[0-9]+_g[0-9]+$'",
                    )
                    .fetch_all(connection)
                    .await
                    .during("list the indexes of vectors")
                })
            })
            .await?;
        Ok(tables.iter().filter_map(|table| generation_of(table)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_told_by_their_names() {
        assert_eq!(generation_of(&table(7, 12)), Some((CollectionKey(7), 12)));
        for name in ["vectors", "vectors_7", "vectors_g1", "vectors_7_gx", "others_7_g1"] {
            assert_eq!(generation_of(name), None, "{name}");
        }
    }
}
