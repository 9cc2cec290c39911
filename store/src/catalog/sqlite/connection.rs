//! Opens the database: settings, schema, and who may read and write through which connection.

use std::path::Path;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};

use super::failure::{During, migration};
use super::writer::{Points, Writer};
use crate::error::Result;

static SCHEMA: Migrator = sqlx::migrate!("migrations/sqlite");

/// Connections that read at the same time.
const READERS: u32 = 4;
/// How long a caller waits for one of them.
const READ_PATIENCE: Duration = Duration::from_secs(10);
/// How long SQLite waits for another process's lock.
const BUSY: Duration = Duration::from_secs(5);
/// Free pages, of 4 KiB, moved out of the file at a time.
const PAGES: u32 = 1_000;

/// The open database.
#[derive(Debug, Clone)]
pub(super) struct Database {
    writer: Writer,
    /// `None` for a database in memory, which has one connection for everything.
    readers: Option<SqlitePool>,
}

impl Database {
    /// Opens the file, making it if it is not there, and brings its schema up to date.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let options = settings().filename(path);
        let writer = Self::writer(options.clone().create_if_missing(true)).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(READ_PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .during("open the catalog")?;
        Ok(Self { writer, readers: Some(readers) })
    }

    /// Makes an empty database in memory.
    pub(super) async fn open_in_memory() -> Result<Self> {
        Ok(Self { writer: Self::writer(settings().in_memory(true)).await?, readers: None })
    }

    async fn writer(options: SqliteConnectOptions) -> Result<Writer> {
        Ok(Writer::start(migrated(options).await?))
    }

    /// Runs `work` in a transaction of its own; see [`Writer::write`].
    pub(super) async fn write<T, F>(&self, points: Option<Points>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.writer.write(points, work).await
    }

    /// Runs `work`, which must not write, on one consistent state of the database.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let Some(readers) = &self.readers else {
            return self.writer.write(None, work).await;
        };
        let mut transaction = readers.begin().await.during("read the catalog")?;
        let result = work(&mut transaction).await;
        // Nothing was written; ending the transaction by commit or by rollback is the same.
        transaction.commit().await.during("read the catalog")?;
        result
    }

    /// Moves the free pages out of the file and what was deleted out of the log, a little at a time, so that writers do
    /// not wait. `false` if readers were in the way: call again later.
    pub(super) async fn compact(&self) -> Result<bool> {
        while self.shrink().await? {}
        self.writer
            .outside(|connection| {
                Box::pin(async move {
                    // Without this, writers would wait behind the slowest reader.
                    let emptied: Result<i64> = async {
                        sqlx::raw_sql("PRAGMA busy_timeout = 50")
                            .execute(&mut *connection)
                            .await
                            .during("compact the catalog")?;
                        sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)")
                            .fetch_one(&mut *connection)
                            .await
                            .during("compact the catalog")
                    }
                    .await;
                    sqlx::query(AssertSqlSafe(format!("PRAGMA busy_timeout = {}", BUSY.as_millis())))
                        .execute(connection)
                        .await
                        .during("compact the catalog")?;
                    Ok(emptied? == 0)
                })
            })
            .await
    }

    /// Moves some free pages out of the file; says whether there are more.
    async fn shrink(&self) -> Result<bool> {
        self.writer
            .outside(|connection| {
                Box::pin(async move {
                    let before = free_pages(connection).await?;
                    sqlx::query(AssertSqlSafe(format!("PRAGMA incremental_vacuum({PAGES})")))
                        .fetch_all(&mut *connection)
                        .await
                        .during("compact the catalog")?;
                    let after = free_pages(connection).await?;
                    // A file that was made without it (a restored dump) keeps its free pages for later rows.
                    Ok(0 < after && after < before)
                })
            })
            .await
    }
}

/// A connection to a database whose schema is up to date.
async fn migrated(options: SqliteConnectOptions) -> Result<SqliteConnection> {
    let mut connection = options.connect().await.during("open the catalog")?;
    SCHEMA.run_direct(None, &mut connection, false).await.map_err(|error| migration(error, newest()))?;
    Ok(connection)
}

/// The newest version of the schema that this build knows.
pub(super) fn newest() -> i64 {
    SCHEMA.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The only connection to an empty catalog in a file that is made here.
pub(super) async fn fresh(path: &Path) -> Result<SqliteConnection> {
    migrated(settings().filename(path).create_if_missing(true)).await
}

async fn free_pages(connection: &mut SqliteConnection) -> Result<i64> {
    sqlx::query_scalar("PRAGMA freelist_count").fetch_one(connection).await.during("compact the catalog")
}

/// What every connection to a catalog agrees on.
pub(super) fn settings() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .journal_mode(SqliteJournalMode::Wal)
        // A commit that was answered survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .statement_cache_capacity(256)
        // Deleted bytes are overwritten, and none are spilt into temporary files.
        .pragma("secure_delete", "ON")
        .pragma("temp_store", "MEMORY")
        // KiB.
        .pragma("cache_size", "-16384")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    async fn pragma(database: &Database, statement: &'static str) {
        database
            .writer
            .outside(move |connection| {
                Box::pin(async move {
                    sqlx::raw_sql(statement).execute(connection).await.during("set").map(|_| ())
                })
            })
            .await
            .unwrap();
    }

    async fn insert(database: &Database, bytes: i64) -> Result<()> {
        database
            .write(None, move |connection| {
                Box::pin(async move {
                    let insert = "INSERT INTO purges (at, tenant, collection_key, document_key, document_hash, version, \
                        chunks, bytes) VALUES (1, 't', 1, 1, zeroblob(?), 1, 1, 1)";
                    sqlx::query(insert).bind(bytes).execute(connection).await.during("insert").map(|_| ())
                })
            })
            .await
    }

    /// A limit on the file's pages stands in for the disk's end: SQLite reports both alike.
    #[tokio::test]
    async fn a_full_disk_fails_what_does_not_fit_and_nothing_after() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("catalog.db")).await.unwrap();
        pragma(&database, "PRAGMA max_page_count = 1").await;
        let (large, _) = tokio::join!(insert(&database, 1_000_000), insert(&database, 1));
        let error = large.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("full"), "{error}");
        pragma(&database, "PRAGMA max_page_count = 1000000").await;
        insert(&database, 1_000_000).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_or_an_error_undoes_only_its_own_work() {
        let database = Database::open_in_memory().await.unwrap();
        let panics = database.write(None, |connection| -> BoxFuture<'_, Result<()>> {
            Box::pin(async move {
                sqlx::query("INSERT INTO tenants VALUES ('torn', 1)").execute(connection).await.unwrap();
                panic!("a fault of ours");
            })
        });
        let fails = database.write(None, |connection| -> BoxFuture<'_, Result<()>> {
            Box::pin(async move {
                sqlx::query("INSERT INTO tenants VALUES ('half', 1)")
                    .execute(&mut *connection)
                    .await
                    .unwrap();
                sqlx::query("INSERT INTO tenants VALUES ('half', 1)")
                    .execute(connection)
                    .await
                    .during("insert")
                    .map(|_| ())
            })
        });
        let (panicked, failed, kept) = tokio::join!(panics, fails, insert(&database, 1));
        assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Internal);
        kept.unwrap();
        let rows: (i64, i64) = database
            .read(|connection| {
                Box::pin(async move {
                    sqlx::query_as("SELECT (SELECT count(*) FROM tenants), (SELECT count(*) FROM purges)")
                        .fetch_one(connection)
                        .await
                        .during("count")
                })
            })
            .await
            .unwrap();
        assert_eq!(rows, (0, 1));
    }
}
