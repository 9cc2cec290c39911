//! Vectors in the catalog's PostgreSQL database, by the extension pgvector.
//!
//! Each generation of a collection has a table of its own with vectors in full precision. Few rows are compared exactly; for
//! many there is a graph (HNSW) over their half-precision forms, whose finds are compared again in full precision. A filter
//! that leaves few candidates is answered exactly, any other by an iterative scan that goes on until enough pass.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{VectorEntry, VectorHit, VectorIndex, VectorQuery, VectorStats, check_entries, check_query};
use crate::catalog::postgres::{Database, During, PostgresCatalog, ROLE};
use crate::document::{ChunkKey, Seq};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::{CollectionScope, TenantId};

mod engine;
mod version;

pub(crate) use engine::PgVectors;

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
    /// Who writes, where others may: what it sends after another one took its turn is refused.
    holder: Option<Arc<str>>,
    /// Whether there is a graph, once there is one.
    graph: Arc<AtomicBool>,
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
        let index = Self::at(catalog.database(), scope, generation, dimension, config);
        let mut owner = index.database.owner().await?;
        let made = index.make(&mut owner).await;
        owner.close().await.during("make an index of vectors")?;
        made.map(|()| index)
    }

    /// The generation, whose table may not be there.
    fn at(
        database: &Database,
        scope: &CollectionScope,
        generation: u32,
        dimension: usize,
        config: PgVectorConfig,
    ) -> Self {
        let collection = scope.key().0;
        Self {
            database: database.clone(),
            config,
            tenant: scope.tenant().clone(),
            collection,
            generation,
            dimension,
            table: engine::table(collection, generation).into(),
            holder: None,
            graph: Arc::default(),
        }
    }

    /// Removes the generation's table, if it is there.
    pub async fn remove_table(self) -> Result<()> {
        engine::remove(&self.database, self.collection, self.generation).await
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

    fn graph_name(&self) -> String {
        format!("{}_graph", self.table)
    }

    /// Whether a graph is ready. Once it is, it stays.
    async fn has_graph(&self) -> Result<bool> {
        if self.graph.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let ask = format!(
            "SELECT coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('public.{}')), false)",
            self.graph_name()
        );
        let ready: bool = self
            .database
            .read((&self.tenant).into(), move |connection| {
                let ask = ask.clone();
                Box::pin(async move {
                    sqlx::query_scalar(AssertSqlSafe(ask))
                        .fetch_one(connection)
                        .await
                        .during("look for a graph")
                })
            })
            .await
            .map_err(|e| self.failed(e))?;
        self.graph.store(ready, Ordering::Relaxed);
        Ok(ready)
    }

    async fn entries(&self) -> Result<u64> {
        let count = format!("SELECT count(*) FROM {}", self.table);
        let entries: i64 = self
            .database
            .read((&self.tenant).into(), move |connection| {
                let count = count.clone();
                Box::pin(async move {
                    sqlx::query_scalar(AssertSqlSafe(count))
                        .fetch_one(connection)
                        .await
                        .during("count vectors")
                })
            })
            .await
            .map_err(|e| self.failed(e))?;
        Ok(entries.unsigned_abs())
    }

    /// A failure, as `NotFound` where it is that the generation's table is gone, which another process may have removed.
    fn failed(&self, error: StoreError) -> StoreError {
        const UNDEFINED_TABLE: &str = "42P01";
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<sqlx::Error>());
        let gone = cause
            .and_then(sqlx::Error::as_database_error)
            .is_some_and(|e| e.code().as_deref() == Some(UNDEFINED_TABLE));
        if !gone {
            return error;
        }
        let message = format!("generation {} of an index of vectors is gone", self.generation);
        StoreError::new(ErrorKind::NotFound, message).with_source(error)
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
            .await
            .map_err(|e| self.failed(e))?;
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
        let (collection, generation) = (self.collection, i64::from(self.generation));
        let holder = self.holder.clone();
        self.database
            .write((&self.tenant).into(), None, move |connection| {
                let (request, holder) = (Arc::clone(&request), holder.clone());
                Box::pin(async move {
                    if let Some(holder) = holder {
                        engine::check_turn(connection, collection, generation, &holder).await?;
                    }
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
            .map_err(|e| self.failed(e))
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
            "INSERT INTO {table} (key, document, version, embedding) \
             SELECT r.key, r.document, r.version, r.embedding::vector \
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) r (key, document, version, embedding) \
             ON CONFLICT (key) DO UPDATE SET document = excluded.document, version = excluded.version, \
                embedding = excluded.embedding \
             WHERE ({table}.document, {table}.version) IS DISTINCT FROM (excluded.document, excluded.version) \
                OR {table}.embedding <> excluded.embedding",
            table = self.table
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
                         ON CONFLICT (collection_key, generation) DO UPDATE SET seq = greatest(vector_states.seq, excluded.seq)",
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
        if few || query.k * RESCORED > EF_SEARCH.1 || !self.has_graph().await? {
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
            .await
            .map_err(|e| self.failed(e))?;
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
            .map_err(|e| self.failed(e))
    }

    async fn optimize(&self) -> Result<()> {
        let few = self.entries().await? <= self.config.exact_up_to;
        if few || self.dimension > GRAPH_DIMENSIONS || self.has_graph().await? {
            return Ok(());
        }
        let mut owner = self.database.owner().await?;
        let built = self.build(&mut owner).await;
        owner.close().await.during("build the graph")?;
        built
    }

    async fn stats(&self) -> Result<VectorStats> {
        let (entries, graph) = (self.entries().await?, self.has_graph().await?);
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
        let (table, graph, dimension) = (&self.table, self.graph_name(), self.dimension);
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
