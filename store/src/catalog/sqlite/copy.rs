//! Reads every row for a backup, and takes the rows of one in. The one file besides the filters that builds SQL: from the fixed
//! list of tables alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row as _, SqliteConnection};
use tokio::sync::mpsc;

use super::connection::{fresh, newest, settings};
use super::failure::During;
use crate::backup::copy::{Cut, Known, Moment, Origin, Target};
use crate::backup::tables::{COUNTED, Column, Table};
use crate::backup::value::{Kind, Row, Value};
use crate::catalog::rows::values::json;
use crate::clock::Clock;
use crate::error::{ErrorKind, Result, StoreError};

/// Rows in one statement, as long as their parameters fit.
const TOGETHER: usize = 50;

/// See [`Cut`].
pub(crate) struct SqliteCut {
    connection: SqliteConnection,
    moment: Moment,
}

impl SqliteCut {
    /// Opens the file beside whoever serves from it. `NotFound` if there is none; `Conflict` for a schema that is not ours:
    /// nothing is brought up to date here.
    pub(crate) async fn begin(path: &Path, clock: &dyn Clock) -> Result<Self> {
        let options = settings().filename(path).pragma("query_only", "ON");
        let mut connection = options.connect().await.during("open the catalog")?;
        let found: Option<i64> =
            sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
                .fetch_one(&mut connection)
                .await
                .during("look for the catalog's schema")?;
        if found != Some(newest()) {
            return Err(other_schema(found, newest()));
        }
        sqlx::query("BEGIN").execute(&mut connection).await.during("begin to read the catalog")?;
        // The first look fixes what is seen.
        let counters: Vec<(String, i64)> = sqlx::query_as("SELECT name, seq FROM sqlite_sequence")
            .fetch_all(&mut connection)
            .await
            .during("read the catalog")?;
        let counters = counters.into_iter().filter(|(name, _)| COUNTED.contains(&name.as_str())).collect();
        Ok(Self { connection, moment: Moment { at: clock.now(), engine: "sqlite", counters } })
    }
}

/// The catalog has a schema that this build does not copy.
pub(crate) fn other_schema(found: Option<i64>, ours: i64) -> StoreError {
    let what = match found {
        Some(found) if found > ours => "a newer release wrote it: use that release".to_owned(),
        _ => "an older release wrote it: start the server of this one once, which brings it up to date"
            .to_owned(),
    };
    StoreError::new(
        ErrorKind::Conflict,
        format!("the catalog has schema version {} and this build {ours}: {what}", found.unwrap_or_default()),
    )
}

/// How a column is read.
fn expression(table: &Table, column: &Column) -> String {
    match (table.name, column.name) {
        ("fields", "text") => "CASE WHEN t.kind = 1 THEN t.value END".to_owned(),
        ("fields", "number") => "CASE WHEN t.kind = 2 THEN CAST(t.value AS REAL) END".to_owned(),
        ("fields", "whole") => "CASE WHEN t.kind IN (3, 4) THEN t.value END".to_owned(),
        // Whose a receiver is, is in the configuration; its deliveries tell.
        ("webhook_cursors", "tenant") => {
            "coalesce((SELECT tenant FROM deliveries WHERE endpoint = t.endpoint LIMIT 1), 'default')"
                .to_owned()
        }
        (_, "tenant") => table.tenant.to_owned(),
        (_, name) => format!("t.\"{name}\""),
    }
}

fn value(row: &SqliteRow, index: usize, kind: Kind) -> Result<Value> {
    Ok(match kind {
        Kind::Integer | Kind::Flag => {
            row.try_get_unchecked::<Option<i64>, _>(index).map(|v| v.map(Value::Integer))
        }
        Kind::Real => row.try_get_unchecked::<Option<f64>, _>(index).map(|v| v.map(Value::Real)),
        Kind::Text | Kind::List => {
            row.try_get_unchecked::<Option<String>, _>(index).map(|v| v.map(Value::Text))
        }
        Kind::Bytes => row.try_get_unchecked::<Option<Vec<u8>>, _>(index).map(|v| v.map(Value::Bytes)),
    }
    .during("read the catalog")?
    .unwrap_or(Value::Null))
}

#[async_trait]
impl Cut for SqliteCut {
    fn moment(&self) -> &Moment {
        &self.moment
    }

    async fn rows(&mut self, table: &'static Table, to: mpsc::Sender<Row>) -> Result<()> {
        let columns: Vec<String> = table.columns.iter().map(|column| expression(table, column)).collect();
        // Joined in the order in which they are written: no table is sorted in memory.
        let from = table.from.replace(" JOIN ", " CROSS JOIN ");
        let select = format!("SELECT {} FROM {from}", columns.join(", "));
        let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await.during("read the catalog")? {
            let values: Result<Row> = table
                .columns
                .iter()
                .enumerate()
                .map(|(index, column)| value(&row, index, column.kind))
                .collect();
            if to.send(values?).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn known(&mut self, keys: &[i64]) -> Result<HashMap<i64, Known>> {
        let rows: Vec<(i64, String, bool)> = sqlx::query_as(
            "SELECT d.key, d.id, d.deleted_at IS NOT NULL OR c.deleted_at IS NOT NULL FROM json_each(?) wanted \
             CROSS JOIN documents d ON d.key = wanted.value CROSS JOIN collections c ON c.key = d.collection_key",
        )
        .bind(json(keys)?)
        .fetch_all(&mut self.connection)
        .await
        .during("look documents up")?;
        Ok(rows.into_iter().map(|(key, id, deleted)| (key, Known { id, deleted })).collect())
    }

    async fn purged(&mut self, after: i64) -> Result<HashMap<i64, HashSet<Vec<u8>>>> {
        let mut purged: HashMap<i64, HashSet<Vec<u8>>> = HashMap::new();
        let mut rows = sqlx::query_as::<_, (i64, Vec<u8>)>(
            "SELECT document_key, document_hash FROM purges WHERE key > ?",
        )
        .bind(after)
        .fetch(&mut self.connection);
        while let Some((document, hash)) = rows.try_next().await.during("look for what was purged")? {
            purged.entry(document).or_default().insert(hash);
        }
        Ok(purged)
    }

    async fn living_collections(&mut self) -> Result<HashSet<i64>> {
        let keys: Vec<i64> = sqlx::query_scalar("SELECT key FROM collections WHERE deleted_at IS NULL")
            .fetch_all(&mut self.connection)
            .await
            .during("list the collections")?;
        Ok(keys.into_iter().collect())
    }
}

/// See [`Target`].
pub(crate) struct SqliteTarget {
    connection: SqliteConnection,
    /// The one trigger that fires when rows come in: what it counts comes with them.
    trigger: String,
}

impl SqliteTarget {
    /// Makes an empty catalog in a file that is not there yet. It is not synced before [`Target::finish`].
    pub(crate) async fn create(path: &Path) -> Result<Self> {
        let mut connection = fresh(path).await?;
        for pragma in [
            // A file that is not finished is thrown away, so it need not survive anything.
            "PRAGMA journal_mode = DELETE",
            "PRAGMA synchronous = OFF",
            // Documents and versions refer to each other; all of it is checked at the end.
            "PRAGMA foreign_keys = OFF",
        ] {
            sqlx::raw_sql(pragma).execute(&mut connection).await.during("make a catalog")?;
        }
        let trigger: String =
            sqlx::query_scalar("SELECT sql FROM sqlite_master WHERE name = 'versions_held'")
                .fetch_one(&mut connection)
                .await
                .during("make a catalog")?;
        sqlx::raw_sql("BEGIN; DROP TRIGGER versions_held")
            .execute(&mut connection)
            .await
            .during("make a catalog")?;
        Ok(Self { connection, trigger })
    }
}

/// The columns that a row goes into, and one row's places.
fn places(table: &Table) -> (String, String) {
    let mut names = Vec::new();
    let mut marks = Vec::new();
    for column in table.columns {
        match (table.name, column.name) {
            ("fields", "text") => {
                names.push("value".to_owned());
                marks.push("coalesce(?, ?, ?)");
            }
            ("fields", "number" | "whole") => {}
            (_, "tenant") if !table.keeps_tenant() => {}
            (_, name) => {
                names.push(format!("\"{name}\""));
                marks.push("?");
            }
        }
    }
    (names.join(", "), format!("({})", marks.join(", ")))
}

#[async_trait]
impl Target for SqliteTarget {
    async fn load(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<()> {
        let (names, marks) = places(table);
        for some in rows.chunks(TOGETHER) {
            let all = vec![marks.as_str(); some.len()].join(", ");
            let insert = format!("INSERT INTO {} ({names}) VALUES {all}", table.name);
            let mut insert = sqlx::query(AssertSqlSafe(insert)).persistent(some.len() == TOGETHER);
            for row in some {
                for (column, value) in table.columns.iter().zip(row) {
                    if column.name == "tenant" && !table.keeps_tenant() {
                        continue;
                    }
                    insert = match value {
                        Value::Null => insert.bind(None::<i64>),
                        Value::Integer(number) => insert.bind(*number),
                        Value::Real(number) => insert.bind(*number),
                        Value::Text(text) => insert.bind(text.as_str()),
                        Value::Bytes(bytes) => insert.bind(bytes.as_slice()),
                    };
                }
            }
            insert.execute(&mut self.connection).await.during("put rows into the catalog")?;
        }
        Ok(())
    }

    async fn finish(
        mut self: Box<Self>,
        counters: &BTreeMap<String, i64>,
        origin: &Origin,
        now: i64,
    ) -> Result<()> {
        let connection = &mut self.connection;
        for (name, last) in counters {
            for statement in [
                "INSERT INTO sqlite_sequence (name, seq) SELECT ?1, 0 \
                    WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)",
                "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1",
            ] {
                sqlx::query(statement)
                    .bind(name)
                    .bind(last)
                    .execute(&mut *connection)
                    .await
                    .during("set the catalog's counters")?;
            }
        }
        sqlx::query(
            "UPDATE jobs SET state = 'queued', stage = 'waiting', done = NULL, total = NULL, owner = NULL, due_at = ?, \
                attempts = max(attempts - 1, 0) WHERE state = 'running'",
        )
        .bind(now)
        .execute(&mut *connection)
        .await
        .during("queue jobs again")?;
        sqlx::raw_sql(
            "INSERT INTO index_states (collection_key, kind, generation, seq) \
                SELECT c.key, k.column1, 1, 0 FROM collections c, (VALUES ('vector'), ('keyword')) k",
        )
        .execute(&mut *connection)
        .await
        .during("put rows into the catalog")?;
        sqlx::query("INSERT INTO restores (cut_at, software, begun_at, finished_at) VALUES (?, ?, ?, ?)")
            .bind(origin.cut_at)
            .bind(&origin.software)
            .bind(origin.begun_at)
            .bind(now)
            .execute(&mut *connection)
            .await
            .during("put rows into the catalog")?;
        sqlx::raw_sql(AssertSqlSafe(self.trigger.clone()))
            .execute(&mut *connection)
            .await
            .during("make a catalog")?;
        let torn: i64 = sqlx::query_scalar("SELECT count(*) FROM pragma_foreign_key_check")
            .fetch_one(&mut *connection)
            .await
            .during("check the catalog's references")?;
        if torn > 0 {
            return Err(StoreError::new(
                ErrorKind::Corrupt,
                format!("{torn} rows of the backup refer to rows that are not in it: use another backup"),
            ));
        }
        sqlx::raw_sql("COMMIT; PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL")
            .execute(&mut *connection)
            .await
            .during("keep the restored rows")?;
        self.connection.close().await.during("close the catalog")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::tables::{COLUMNS_LEFT_OUT, LEFT_OUT, TABLES};

    /// Whoever adds a table or a column decides here whether it is in a backup.
    #[tokio::test]
    async fn every_table_and_column_is_in_a_backup_or_left_out_on_purpose() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = fresh(&folder.path().join("catalog.db")).await.unwrap();
        let columns: Vec<(String, String)> = sqlx::query_as(
            "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name NOT LIKE '_sqlx_%'",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        assert!(columns.len() > 150, "{columns:?}");
        for (table, column) in columns {
            if LEFT_OUT.iter().any(|(name, why)| *name == table && !why.is_empty()) {
                continue;
            }
            let known = TABLES.iter().find(|known| known.name == table).unwrap_or_else(|| {
                panic!("say in `backup::tables` whether `{table}` is in a backup");
            });
            let named = format!("{table}.{column}");
            assert!(
                known.columns.iter().any(|known| known.name == column)
                    || COLUMNS_LEFT_OUT.contains(&named.as_str()),
                "say in `backup::tables` whether `{named}` is in a backup"
            );
        }
    }
}
