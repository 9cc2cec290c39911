//! Reads every row for a backup, and takes the rows of one in. Like the filters, it builds SQL: from the fixed list of tables
//! alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row as _};
use tokio::sync::mpsc;

use super::PostgresCatalog;
use super::connection::{PostgresConfig, ROLE, applied, connect, newest};
use super::failure::During;
use super::scoped::{bind, shown};
use crate::backup::copy::{Cut, Known, Moment, Origin, Target};
use crate::backup::tables::{COUNTED, Column, Table};
use crate::backup::value::{Kind, Row, Value};
use crate::catalog::sqlite::copy::other_schema;
use crate::clock::Clock;
use crate::error::{ErrorKind, Result, StoreError};

/// Whoever has this advisory lock, shared, may still need bytes that no version refers to any more.
pub(crate) const BLOBS_WANTED: &str = "hashtextextended('wellspring blobs wanted', 0)";

/// How long a connection that was closed may take to be gone at the server.
const GOING: Duration = Duration::from_secs(5);

/// See [`Cut`].
pub(crate) struct PostgresCut {
    connection: PgConnection,
    moment: Moment,
}

impl PostgresCut {
    /// Connects beside whoever serves from the database. Until it is dropped no process deletes bytes of documents.
    /// `NotFound` if there is no catalog; `Conflict` for a schema that is not ours: nothing is brought up to date here.
    pub(crate) async fn begin(config: &PostgresConfig, clock: &dyn Clock) -> Result<Self> {
        let mut owner = connect(config, config.owner_url.as_deref().unwrap_or(&config.url)).await?;
        let found = applied(&mut owner).await?;
        owner.close().await.during("connect to PostgreSQL")?;
        match found {
            None => {
                return Err(StoreError::new(
                    ErrorKind::NotFound,
                    "the database holds no catalog: check `postgres.url` (or DATABASE_URL)",
                ));
            }
            Some(found) if found != newest() => return Err(other_schema(Some(found), newest())),
            Some(_) => {}
        }
        let mut connection = connect(config, &config.url).await?;
        for statement in [
            // A large table takes as long as it takes; a lock that is not free soon is somebody's fault.
            &format!(
                "SET ROLE {ROLE}; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0"
            ),
            &format!("SELECT pg_advisory_lock_shared({BLOBS_WANTED})"),
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL wellspring.tenant = '*'",
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
                .execute(&mut connection)
                .await
                .during("begin to read the catalog")?;
        }
        let counters = counters(&mut connection).await?;
        Ok(Self { connection, moment: Moment { at: clock.now(), engine: "postgres", counters } })
    }
}

/// The sequence behind a table's keys.
fn sequence(table: &str) -> String {
    match table {
        "chunks" => "'chunk_keys'".to_owned(),
        "changes" => "'change_numbers'".to_owned(),
        table => format!("pg_get_serial_sequence('{table}', 'key')"),
    }
}

async fn counters(connection: &mut PgConnection) -> Result<BTreeMap<String, i64>> {
    let mut counters = BTreeMap::new();
    for &table in COUNTED {
        let last = match table {
            // Those without a number get the next ones.
            "events" => "(SELECT last FROM event_numbers) + (SELECT count(*) FROM events WHERE seq IS NULL)"
                .to_owned(),
            table => format!("coalesce(pg_sequence_last_value({}::regclass), 0)", sequence(table)),
        };
        let last: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT {last}")))
            .fetch_one(&mut *connection)
            .await
            .during("read the catalog's counters")?;
        counters.insert(table.to_owned(), last);
    }
    Ok(counters)
}

/// How a column is read.
fn expression(table: &Table, column: &Column) -> String {
    let plain = match (table.name, column.name) {
        ("chunks", "end") => "t.stop".to_owned(),
        // Cut in two within a character, perhaps.
        ("fields", "text") => return "t.head || coalesce(t.rest, ''::bytea)".to_owned(),
        ("fields", "name") => return "t.name".to_owned(),
        ("events", "seq") => "coalesce(t.seq, (SELECT last FROM event_numbers) \
                + row_number() OVER (PARTITION BY t.seq IS NULL ORDER BY t.key))"
            .to_owned(),
        ("webhook_cursors", "tenant") => "t.tenant".to_owned(),
        (_, "tenant") => table.tenant.to_owned(),
        (_, name) => format!("t.\"{name}\""),
    };
    match column.kind {
        Kind::Integer => format!("({plain})::bigint"),
        Kind::Flag => format!("({plain})::int::bigint"),
        Kind::Real => format!("({plain})::float8"),
        Kind::Text => format!("({plain})::text"),
        Kind::List => format!("array_to_json({plain})::text"),
        Kind::Bytes => plain,
    }
}

/// Whether a text is kept as bytes, so that it may hold what PostgreSQL's text cannot.
fn as_bytes(table: &Table, column: &Column) -> bool {
    matches!((table.name, column.name), ("fields", "name" | "text"))
}

fn value(row: &PgRow, index: usize, table: &Table, column: &Column) -> Result<Value> {
    let doing = "read the catalog";
    let value = match column.kind {
        Kind::Text if as_bytes(table, column) => {
            let bytes: Option<Vec<u8>> = row.try_get(index).during(doing)?;
            let text = bytes.map(String::from_utf8).transpose().map_err(|e| {
                StoreError::new(ErrorKind::Corrupt, "a field of a document is not UTF-8: run verify")
                    .with_source(e)
            })?;
            text.map(Value::Text)
        }
        Kind::Integer | Kind::Flag => row.try_get::<Option<i64>, _>(index).during(doing)?.map(Value::Integer),
        Kind::Real => row.try_get::<Option<f64>, _>(index).during(doing)?.map(Value::Real),
        Kind::Text | Kind::List => row.try_get::<Option<String>, _>(index).during(doing)?.map(Value::Text),
        Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(index).during(doing)?.map(Value::Bytes),
    };
    Ok(value.unwrap_or(Value::Null))
}

#[async_trait]
impl Cut for PostgresCut {
    fn moment(&self) -> &Moment {
        &self.moment
    }

    async fn rows(&mut self, table: &'static Table, to: mpsc::Sender<Row>) -> Result<()> {
        let columns: Vec<String> = table.columns.iter().map(|column| expression(table, column)).collect();
        let select = format!("SELECT {} FROM {}", columns.join(", "), table.from);
        let mut rows = sqlx::query(AssertSqlSafe(select)).persistent(false).fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await.during("read the catalog")? {
            let values: Result<Row> = table
                .columns
                .iter()
                .enumerate()
                .map(|(index, column)| value(&row, index, table, column))
                .collect();
            if to.send(values?).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn known(&mut self, keys: &[i64]) -> Result<HashMap<i64, Known>> {
        let rows: Vec<(i64, String, bool)> = sqlx::query_as(
            "SELECT d.key, d.id, d.deleted_at IS NOT NULL OR c.deleted_at IS NOT NULL \
             FROM documents d JOIN collections c ON c.key = d.collection_key WHERE d.key = ANY($1)",
        )
        .bind(keys)
        .fetch_all(&mut self.connection)
        .await
        .during("look documents up")?;
        Ok(rows.into_iter().map(|(key, id, deleted)| (key, Known { id, deleted })).collect())
    }

    async fn purged(&mut self, after: i64) -> Result<HashMap<i64, HashSet<Vec<u8>>>> {
        let mut purged: HashMap<i64, HashSet<Vec<u8>>> = HashMap::new();
        let mut rows = sqlx::query_as::<_, (i64, Vec<u8>)>(
            "SELECT document_key, document_hash FROM purges WHERE key > $1",
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
pub(crate) struct PostgresTarget {
    connection: PgConnection,
}

/// Says in the database that its restore is over: from now on servers open it.
pub(crate) async fn finished(config: &PostgresConfig, now: i64) -> Result<()> {
    let mut connection = connect(config, config.owner_url.as_deref().unwrap_or(&config.url)).await?;
    sqlx::raw_sql("SET wellspring.tenant = '*'")
        .execute(&mut connection)
        .await
        .during("finish the restore")?;
    sqlx::query("UPDATE restores SET finished_at = $1 WHERE finished_at IS NULL")
        .bind(now)
        .execute(&mut connection)
        .await
        .during("finish the restore")?;
    connection.close().await.during("finish the restore")
}

impl PostgresTarget {
    /// Brings the schema up to date and says in the database that a restore is under way: no server opens it before
    /// [`finished`]. `Conflict` if anything is in it, or if a server uses it.
    pub(crate) async fn begin(config: &PostgresConfig, origin: &Origin) -> Result<Self> {
        PostgresCatalog::prepare(config).await?;
        let owner = config.owner_url.as_deref().unwrap_or(&config.url);
        let mut connection = connect(config, owner).await?;
        sqlx::raw_sql(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET wellspring.tenant = '*'",
        )
        .execute(&mut connection)
        .await
        .during("prepare the database")?;
        refuse_used(&mut connection).await?;
        for statement in [
            // An earlier one left nothing but bytes behind.
            "DELETE FROM blobs WHERE EXISTS (SELECT 1 FROM restores WHERE finished_at IS NULL)",
            "DELETE FROM restores WHERE finished_at IS NULL",
        ] {
            sqlx::query(statement).execute(&mut connection).await.during("prepare the database")?;
        }
        sqlx::query("INSERT INTO restores (cut_at, software, begun_at) VALUES ($1, $2, $3)")
            .bind(origin.cut_at)
            .bind(&origin.software)
            .bind(origin.begun_at)
            .execute(&mut connection)
            .await
            .during("prepare the database")?;
        let reference: String = sqlx::query_scalar(
            "SELECT conname FROM pg_constraint \
             WHERE conrelid = 'documents'::regclass AND confrelid = 'versions'::regclass",
        )
        .fetch_one(&mut connection)
        .await
        .during("prepare the database")?;
        // Documents and versions refer to each other; what the trigger counts comes with the rows.
        let begin = format!(
            "BEGIN; ALTER TABLE documents DROP CONSTRAINT \"{reference}\"; ALTER TABLE versions DISABLE TRIGGER versions_held"
        );
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut connection).await.during("prepare the database")?;
        Ok(Self { connection })
    }
}

/// `Conflict` for a database with rows in it, or with somebody else at work.
async fn refuse_used(connection: &mut PgConnection) -> Result<()> {
    let deadline = Instant::now() + GOING;
    loop {
        let others: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND pid <> pg_backend_pid() AND application_name = 'wellspring'",
        )
        .fetch_one(&mut *connection)
        .await
        .during("look at the database")?;
        if others == 0 {
            break;
        }
        if Instant::now() > deadline {
            return Err(StoreError::new(
                ErrorKind::Conflict,
                "another process of Wellspring uses this database: stop it, then restore",
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for table in [
        "tenants",
        "collections",
        "api_keys",
        "audit",
        "ledger_balances",
        "blobs WHERE NOT EXISTS (SELECT 1 FROM restores WHERE finished_at IS NULL)",
    ] {
        let used: bool = sqlx::query_scalar(AssertSqlSafe(format!("SELECT EXISTS (SELECT 1 FROM {table})")))
            .fetch_one(&mut *connection)
            .await
            .during("look at the database")?;
        if used {
            return Err(StoreError::new(
                ErrorKind::Conflict,
                "the database is not empty: restore into an empty one (`createdb NAME`), or drop and create this one",
            ));
        }
    }
    Ok(())
}

/// Columns of the table that a column goes into, and what they get from the parameter `r.cN`.
fn places(table: &Table, column: &Column, parameter: &str) -> Vec<(String, String)> {
    let place = |name: &str, from: String| (name.to_owned(), from);
    match (table.name, column.name, column.kind) {
        ("chunks", "end", _) => vec![place("stop", parameter.to_owned())],
        // The first 512 bytes apart from what follows them, as the schema says.
        ("fields", "text", _) => vec![
            place("head", format!("substring({parameter} FROM 1 FOR 512)")),
            place(
                "rest",
                format!("CASE WHEN length({parameter}) > 512 THEN substring({parameter} FROM 513) END"),
            ),
        ],
        (_, name, Kind::Flag) => vec![place(name, format!("{parameter} <> 0"))],
        (_, name, Kind::List) => vec![place(
            name,
            format!(
                "CASE WHEN {parameter} IS NOT NULL THEN ARRAY(SELECT json_array_elements_text({parameter}::json)) END"
            ),
        )],
        (_, name, _) => vec![place(name, parameter.to_owned())],
    }
}

/// One array per column.
fn arguments(table: &Table, rows: &[Row]) -> Result<PgArguments> {
    let mut arguments = PgArguments::default();
    for (index, column) in table.columns.iter().enumerate() {
        let values = rows.iter().map(|row| row.get(index).unwrap_or(&Value::Null));
        match column.kind {
            Kind::Integer | Kind::Flag => {
                let numbers = values.map(|value| match value {
                    Value::Integer(number) => Some(*number),
                    _ => None,
                });
                bind(&mut arguments, numbers.collect::<Vec<_>>())?;
            }
            Kind::Real => {
                let numbers = values.map(|value| match value {
                    Value::Real(number) => Some(*number),
                    _ => None,
                });
                bind(&mut arguments, numbers.collect::<Vec<_>>())?;
            }
            Kind::Bytes => {
                let bytes = values.map(|value| match value {
                    Value::Bytes(bytes) => Some(bytes.clone()),
                    _ => None,
                });
                bind(&mut arguments, bytes.collect::<Vec<_>>())?;
            }
            Kind::Text | Kind::List => {
                let texts = values.map(|value| match value {
                    Value::Text(text) => Some(text.as_str()),
                    _ => None,
                });
                if as_bytes(table, column) {
                    let bytes = texts.map(|text| text.map(|text| text.as_bytes().to_vec()));
                    bind(&mut arguments, bytes.collect::<Vec<_>>())?;
                } else {
                    let texts = texts.map(|text| text.map(|text| shown(text).into_owned()));
                    bind(&mut arguments, texts.collect::<Vec<_>>())?;
                }
            }
        }
    }
    Ok(arguments)
}

fn insert(table: &Table) -> String {
    let mut names = Vec::new();
    let mut values = Vec::new();
    let mut parameters = Vec::new();
    for (index, column) in table.columns.iter().enumerate() {
        let number = index + 1;
        let kind = match column.kind {
            Kind::Integer | Kind::Flag => "bigint",
            Kind::Real => "float8",
            Kind::Bytes => "bytea",
            Kind::Text | Kind::List if as_bytes(table, column) => "bytea",
            Kind::Text | Kind::List => "text",
        };
        parameters.push((format!("${number}::{kind}[]"), format!("c{number}")));
        for (name, value) in places(table, column, &format!("r.c{number}")) {
            names.push(format!("\"{name}\""));
            values.push(value);
        }
    }
    let (arrays, columns): (Vec<String>, Vec<String>) = parameters.into_iter().unzip();
    format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM unnest({}) AS r ({})",
        table.name,
        names.join(", "),
        values.join(", "),
        arrays.join(", "),
        columns.join(", ")
    )
}

#[async_trait]
impl Target for PostgresTarget {
    async fn load(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<()> {
        let arguments = arguments(table, &rows)?;
        sqlx::query_with(AssertSqlSafe(insert(table)), arguments)
            .execute(&mut self.connection)
            .await
            .during("put rows into the catalog")?;
        Ok(())
    }

    async fn finish(
        mut self: Box<Self>,
        counters: &BTreeMap<String, i64>,
        _: &Origin,
        now: i64,
    ) -> Result<()> {
        let connection = &mut self.connection;
        for (table, last) in counters.iter().filter(|(table, _)| COUNTED.contains(&table.as_str())) {
            let set = match table.as_str() {
                "events" => "UPDATE event_numbers SET last = greatest(last, $1)".to_owned(),
                table => format!("SELECT setval({}::regclass, greatest($1, 1), $1 > 0)", sequence(table)),
            };
            sqlx::query(AssertSqlSafe(set))
                .bind(last)
                .execute(&mut *connection)
                .await
                .during("set the catalog's counters")?;
        }
        sqlx::query(
            "UPDATE jobs SET state = 'queued', stage = 'waiting', done = NULL, total = NULL, owner = NULL, due_at = $1, \
                attempts = greatest(attempts - 1, 0) WHERE state = 'running'",
        )
        .bind(now)
        .execute(&mut *connection)
        .await
        .during("queue jobs again")?;
        sqlx::raw_sql(
            "UPDATE collections SET visible_seq = last_seq, purged_seq = last_seq; \
             ALTER TABLE versions ENABLE TRIGGER versions_held",
        )
        .execute(&mut *connection)
        .await
        .during("put rows into the catalog")?;
        sqlx::raw_sql(
            "ALTER TABLE documents ADD FOREIGN KEY (visible) REFERENCES versions (key); COMMIT; \
             ANALYZE documents, versions, segments, chunks, vectors, fields, names, jobs",
        )
        .execute(&mut *connection)
        .await
        .during("keep the restored rows")?;
        self.connection.close().await.during("keep the restored rows")
    }
}
