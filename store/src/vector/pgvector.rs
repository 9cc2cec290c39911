//! Vectors in the catalog's PostgreSQL database, by the extension pgvector.
//!
//! Each generation of a collection has a table of its own with vectors in full precision. Few rows are compared exactly; for
//! many there is a graph (HNSW) over their half-precision forms, whose finds are compared again in full precision. A filter
//! that leaves few candidates is answered exactly, any other by an iterative scan that goes on until enough pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{VectorEntry, VectorHit, VectorIndex, VectorQuery, VectorStats, check_entries, check_query};
use crate::catalog::postgres::{Database, During, PostgresCatalog, ROLE};
use crate::document::{ChunkKey, Seq};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::{CollectionScope, TenantId};

mod version;

/// Most components that a graph over half-precision vectors takes; longer ones are always compared exactly.
const GRAPH_DIMENSIONS: usize = 4_000;
/// Neighbours per node.
const M: u32 = 16;
/// Candidates considered while a node is linked.
const EF_CONSTRUCTION: u32 = 128;
/// Candidates considered by a search, at least, and the most that pgvector allows.
const EF_SEARCH: (usize, usize) = (100, 1_000);
/// Hits of the graph per wanted hit, to be compared again in full precision.
const RESCORED: usize = 2;
/// Nodes that a filtered search visits at most before it is answered exactly.
const MAX_SCANNED: u32 = 50_000;

/// When vectors are compared one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PgVectorConfig {
    /// Up to this many vectors a collection has no graph.
    pub exact_up_to: u64,
    /// Up to this many candidates of a filter are compared one by one.
    pub exact_among: u64,
}

impl Default for PgVectorConfig {
    fn default() -> Self {
        Self { exact_up_to: 10_000, exact_among: 20_000 }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct PgVectorIndex {
    database: Database,
    config: PgVectorConfig,
    tenant: TenantId,
    collection: i64,
    generation: u32,
    dimension: usize,
    /// A name made of numbers only.
    table: Arc<str>,
}

impl PgVectorIndex {
    /// Opens the generation's table, making it if it is not there. `Invalid` where the server has no pgvector or one that is
    /// too old, and for more than 16 000 components.
    pub async fn open(
        catalog: &PostgresCatalog,
        scope: &CollectionScope,
        generation: u32,
        dimension: usize,
        config: PgVectorConfig,
    ) -> Result<Self> {
        let collection = scope.key().0;
        let index = Self {
            database: catalog.database().clone(),
            config,
            tenant: scope.tenant().clone(),
            collection,
            generation,
            dimension,
            table: format!("vectors_{collection}_g{generation}").into(),
        };
        let mut owner = index.database.owner().await?;
        let made = index.make(&mut owner).await;
        owner.close().await.during("make an index of vectors")?;
        made.map(|()| index)
    }

    /// Removes the generation's table, if it is there.
    pub async fn remove_table(self) -> Result<()> {
        let mut owner = self.database.owner().await?;
        let drop = format!("DROP TABLE IF EXISTS {}", self.table);
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut owner).await.during("remove an index of vectors")?;
        owner.close().await.during("remove an index of vectors")?;
        let (collection, generation) = (self.collection, i64::from(self.generation));
        self.database
            .write((&self.tenant).into(), None, move |connection| {
                Box::pin(async move {
                    sqlx::query("DELETE FROM vector_states WHERE collection_key = $1 AND generation = $2")
                        .bind(collection)
                        .bind(generation)
                        .execute(connection)
                        .await
                        .during("remove an index of vectors")
                        .map(|_| ())
                })
            })
            .await
    }

    async fn make(&self, owner: &mut PgConnection) -> Result<()> {
        version::require(owner).await?;
        if !(1..=16_000).contains(&self.dimension) {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                format!("pgvector keeps vectors of 1 to 16000 components, not of {}", self.dimension),
            ));
        }
        let (table, dimension, tenant) = (&self.table, self.dimension, self.tenant.as_str());
        // Several processes may open the collection at once.
        let make = format!(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('{table}', 0)); \
             DO $$ BEGIN IF to_regclass('public.{table}') IS NULL THEN \
                CREATE TABLE {table} (key BIGINT PRIMARY KEY, document BIGINT NOT NULL, version BIGINT NOT NULL, \
                    embedding vector({dimension}) NOT NULL); \
                ALTER TABLE {table} ALTER COLUMN embedding SET STORAGE PLAIN; \
                GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {ROLE}; \
                ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; \
                ALTER TABLE {table} FORCE ROW LEVEL SECURITY; \
                CREATE POLICY tenant_wall ON {table} \
                    USING ((SELECT current_setting('wellspring.tenant', true)) IN ('{tenant}', '*')); \
             END IF; END $$; COMMIT"
        );
        // A row of plain storage has to fit on a page of 8 KiB.
        let make =
            if dimension > 1_900 { make.replace("SET STORAGE PLAIN", "SET STORAGE EXTERNAL") } else { make };
        sqlx::raw_sql(AssertSqlSafe(make)).execute(owner).await.during("make an index of vectors")?;
        Ok(())
    }

    fn graph(&self) -> String {
        format!("{}_graph", self.table)
    }

    /// Entries, and whether a graph over them is ready.
    async fn size(&self) -> Result<(u64, bool)> {
        let count = format!(
            "SELECT (SELECT count(*) FROM {}), coalesce((SELECT indisvalid FROM pg_index \
                WHERE indexrelid = to_regclass('public.{}')), false)",
            self.table,
            self.graph()
        );
        let (entries, graph): (i64, bool) = self
            .database
            .read((&self.tenant).into(), move |connection| {
                let count = count.clone();
                Box::pin(async move {
                    sqlx::query_as(AssertSqlSafe(count)).fetch_one(connection).await.during("count vectors")
                })
            })
            .await?;
        Ok((entries.unsigned_abs(), graph))
    }

    /// Hits of one statement that orders by distance and then key.
    async fn ask(
        &self,
        settings: String,
        sql: String,
        query: &VectorQuery<'_>,
        k: usize,
    ) -> Result<Vec<VectorHit>> {
        let vector = query.vector.to_vec();
        let keys: Vec<i64> = query
            .among
            .map_or_else(Vec::new, |among| among.iter().filter_map(|key| i64::try_from(key).ok()).collect());
        let request = Arc::new((settings, sql, vector, keys));
        let limit = i64::try_from(k).unwrap_or(i64::MAX);
        let rows: Vec<(i64, f64)> = self
            .database
            .read((&self.tenant).into(), move |connection| {
                let request = Arc::clone(&request);
                Box::pin(async move {
                    let (settings, sql, vector, keys) = &*request;
                    sqlx::raw_sql(AssertSqlSafe(settings.clone()))
                        .execute(&mut *connection)
                        .await
                        .during("search vectors")?;
                    sqlx::query_as(AssertSqlSafe(sql.clone()))
                        .bind(vector)
                        .bind(limit)
                        .bind(keys)
                        // A plan for any list of candidates would look each up in it.
                        .persistent(false)
                        .fetch_all(connection)
                        .await
                        .during("search vectors")
                })
            })
            .await?;
        let mut hits: Vec<VectorHit> = rows
            .into_iter()
            .map(|(key, score)| VectorHit { key: ChunkKey(key), score: score as f32 })
            .collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.key.cmp(&b.key)));
        Ok(hits)
    }

    async fn exactly(&self, query: &VectorQuery<'_>, k: usize) -> Result<Vec<VectorHit>> {
        let which = if query.among.is_some() { "key = ANY($3)" } else { "$3::bigint[] IS NOT NULL" };
        let sql = format!(
            "SELECT key, -(embedding <#> $1::real[]::vector) FROM {} WHERE {which} \
             ORDER BY embedding <#> $1::real[]::vector, key LIMIT $2",
            self.table
        );
        // The graph must not answer; candidates may be looked up by key.
        self.ask("SET LOCAL enable_indexscan = off".to_owned(), sql, query, k).await
    }

    async fn by_graph(&self, query: &VectorQuery<'_>, k: usize) -> Result<Vec<VectorHit>> {
        let which = if query.among.is_some() { "key = ANY($3)" } else { "$3::bigint[] IS NOT NULL" };
        let (dimension, table) = (self.dimension, &self.table);
        let sql = format!(
            "WITH near AS MATERIALIZED (SELECT key, embedding FROM {table} WHERE {which} \
                ORDER BY (embedding::halfvec({dimension})) <#> $1::real[]::halfvec({dimension}) LIMIT $2 * {RESCORED}) \
             SELECT key, -(embedding <#> $1::real[]::vector) FROM near \
             ORDER BY embedding <#> $1::real[]::vector, key LIMIT $2"
        );
        let breadth = (k * RESCORED).clamp(EF_SEARCH.0, EF_SEARCH.1);
        let settings = format!(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; \
             SET LOCAL hnsw.ef_search = {breadth}; SET LOCAL hnsw.iterative_scan = relaxed_order; \
             SET LOCAL hnsw.max_scan_tuples = {MAX_SCANNED}"
        );
        self.ask(settings, sql, query, k).await
    }

    async fn change(&self, sql: String, batch: Vec<VectorEntry>, keys: Vec<i64>) -> Result<()> {
        let documents: Vec<i64> = batch.iter().map(|entry| entry.document.0).collect();
        let versions: Vec<i64> = batch.iter().map(|entry| entry.version).collect();
        let texts: Vec<String> = batch.iter().map(|entry| literal(&entry.vector)).collect();
        let request = Arc::new((sql, keys, documents, versions, texts));
        self.database
            .write((&self.tenant).into(), None, move |connection| {
                let request = Arc::clone(&request);
                Box::pin(async move {
                    let (sql, keys, documents, versions, texts) = &*request;
                    sqlx::query(AssertSqlSafe(sql.clone()))
                        .bind(keys)
                        .bind(documents)
                        .bind(versions)
                        .bind(texts)
                        .execute(connection)
                        .await
                        .during("change an index of vectors")
                        .map(|_| ())
                })
            })
            .await
    }
}

/// A vector in pgvector's text form, which loses nothing: the shortest digits that give the number back.
fn literal(vector: &[f32]) -> String {
    let mut text = String::with_capacity(vector.len() * 12);
    text.push('[');
    for (i, component) in vector.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(&component.to_string());
    }
    text.push(']');
    text
}

#[async_trait]
impl VectorIndex for PgVectorIndex {
    async fn upsert(&self, entries: Vec<VectorEntry>) -> Result<()> {
        check_entries(&entries, self.dimension)?;
        // The last of a key holds; one statement may not name a key twice.
        let unique: BTreeMap<ChunkKey, VectorEntry> =
            entries.into_iter().map(|entry| (entry.key, entry)).collect();
        if unique.is_empty() {
            return Ok(());
        }
        let keys = unique.keys().map(|key| key.0).collect();
        let sql = format!(
            "INSERT INTO {} (key, document, version, embedding) \
             SELECT r.key, r.document, r.version, r.embedding::vector \
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) r (key, document, version, embedding) \
             ON CONFLICT (key) DO UPDATE SET document = excluded.document, version = excluded.version, \
                embedding = excluded.embedding",
            self.table
        );
        self.change(sql, unique.into_values().collect(), keys).await
    }

    async fn remove(&self, keys: &[ChunkKey]) -> Result<()> {
        let sql = format!(
            "DELETE FROM {} WHERE key = ANY($1) AND $2::bigint[] IS NOT NULL AND $3::bigint[] IS NOT NULL \
                AND $4::text[] IS NOT NULL",
            self.table
        );
        self.change(sql, Vec::new(), keys.iter().map(|key| key.0).collect()).await
    }

    async fn flush(&self, seq: Seq) -> Result<()> {
        let (collection, generation) = (self.collection, i64::from(self.generation));
        self.database
            .write((&self.tenant).into(), None, move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO vector_states (collection_key, generation, seq) VALUES ($1, $2, $3) \
                         ON CONFLICT (collection_key, generation) DO UPDATE SET seq = excluded.seq",
                    )
                    .bind(collection)
                    .bind(generation)
                    .bind(seq.0)
                    .execute(connection)
                    .await
                    .during("record how far an index is")
                    .map(|_| ())
                })
            })
            .await
    }

    async fn watermark(&self) -> Result<Seq> {
        let (collection, generation) = (self.collection, i64::from(self.generation));
        let seq: Option<i64> = self
            .database
            .read((&self.tenant).into(), move |connection| {
                Box::pin(async move {
                    sqlx::query_scalar(
                        "SELECT seq FROM vector_states WHERE collection_key = $1 AND generation = $2",
                    )
                    .bind(collection)
                    .bind(generation)
                    .fetch_optional(connection)
                    .await
                    .during("ask how far an index is")
                })
            })
            .await?;
        Ok(Seq(seq.unwrap_or(0)))
    }

    async fn search(&self, query: VectorQuery<'_>) -> Result<Vec<VectorHit>> {
        check_query(query.vector, self.dimension)?;
        let few = query.among.is_some_and(|among| among.len() <= self.config.exact_among);
        if query.k == 0 || query.among.is_some_and(RoaringTreemap::is_empty) {
            return Ok(Vec::new());
        }
        // More than a graph is searched for at once is no search but a listing.
        if few || query.k * RESCORED > EF_SEARCH.1 || !self.size().await?.1 {
            return self.exactly(&query, query.k).await;
        }
        let hits = self.by_graph(&query, query.k).await?;
        // Where too few passed the filter on the way, only looking at all of them is sure.
        let short = query.among.map_or(0, RoaringTreemap::len).min(query.k as u64) > hits.len() as u64;
        if short { self.exactly(&query, query.k).await } else { Ok(hits) }
    }

    async fn keys(&self) -> Result<RoaringTreemap> {
        let sql = format!("SELECT key FROM {}", self.table);
        let keys: Vec<i64> = self
            .database
            .read((&self.tenant).into(), move |connection| {
                let sql = sql.clone();
                Box::pin(async move {
                    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection).await.during("list vectors")
                })
            })
            .await?;
        Ok(keys.into_iter().map(i64::unsigned_abs).collect())
    }

    async fn vector(&self, key: ChunkKey) -> Result<Option<Vec<f32>>> {
        let sql = format!("SELECT embedding::real[] FROM {} WHERE key = $1", self.table);
        self.database
            .read((&self.tenant).into(), move |connection| {
                let sql = sql.clone();
                Box::pin(async move {
                    sqlx::query_scalar(AssertSqlSafe(sql))
                        .bind(key.0)
                        .fetch_optional(connection)
                        .await
                        .during("read a vector")
                })
            })
            .await
    }

    async fn optimize(&self) -> Result<()> {
        let (entries, graph) = self.size().await?;
        if graph || entries <= self.config.exact_up_to || self.dimension > GRAPH_DIMENSIONS {
            return Ok(());
        }
        let mut owner = self.database.owner().await?;
        let built = self.build(&mut owner).await;
        owner.close().await.during("build the graph")?;
        built
    }

    async fn stats(&self) -> Result<VectorStats> {
        let (entries, graph) = self.size().await?;
        let reason = if graph {
            format!("{entries} vectors, searched through a graph")
        } else {
            format!("{entries} vectors, compared exactly up to {}", self.config.exact_up_to)
        };
        let sql = format!("SELECT pg_total_relation_size('{}')", self.table);
        let bytes: i64 = self
            .database
            .read((&self.tenant).into(), move |connection| {
                let sql = sql.clone();
                Box::pin(async move {
                    sqlx::query_scalar(AssertSqlSafe(sql))
                        .fetch_one(connection)
                        .await
                        .during("measure vectors")
                })
            })
            .await?;
        let quantization = if graph { "f16, compared again in f32" } else { "f32" };
        Ok(VectorStats { engine: "pgvector", reason, quantization, entries, bytes: bytes.unsigned_abs() })
    }
}

impl PgVectorIndex {
    /// Writers and searches go on meanwhile. What an interrupted build left is not valid, and is removed first.
    async fn build(&self, owner: &mut PgConnection) -> Result<()> {
        let (table, graph, dimension) = (&self.table, self.graph(), self.dimension);
        for statement in [
            "SET statement_timeout = 0".to_owned(),
            "SET lock_timeout = '120s'".to_owned(),
            // The graph is built several times faster where it fits.
            "SET maintenance_work_mem = '512MB'".to_owned(),
            // One build at a time, whichever process does it; ends with the connection.
            format!("SELECT pg_advisory_lock(hashtextextended('{graph}', 0))"),
            format!("DROP INDEX CONCURRENTLY IF EXISTS {graph}"),
            format!(
                "CREATE INDEX CONCURRENTLY {graph} ON {table} \
                 USING hnsw ((embedding::halfvec({dimension})) halfvec_ip_ops) \
                 WITH (m = {M}, ef_construction = {EF_CONSTRUCTION})"
            ),
            format!("ANALYZE {table}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *owner).await.during("build the graph")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_written_without_loss() {
        let vector = [1.0, -0.1, f32::MIN_POSITIVE, 1.0 / 3.0];
        let text = literal(&vector);
        let read: Vec<f32> =
            text.trim_matches(['[', ']']).split(',').map(|number| number.parse().unwrap()).collect();
        assert_eq!(read, vector);
        assert_eq!(literal(&[]), "[]");
    }
}
