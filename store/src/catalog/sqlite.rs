//! The catalog in one SQLite file.
//!
//! One connection writes, several read: readers see the state of the last commit and never wait for the writer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use self::connection::Database;
use self::failure::During;
use crate::clock::Clock;
use crate::error::Result;

mod accept;
mod accounts;
mod acl;
mod audit;
mod changes;
mod check;
mod collections;
mod connection;
mod contract;
mod conversations;
pub(crate) mod copy;
mod documents;
mod failure;
mod feedback;
mod filter_sql;
mod jobs;
mod leases;
mod ledger;
mod names;
mod purge;
mod queries;
mod recorded;
mod replies;
mod runs;
mod scoped;
mod store;
mod text;
mod tuning;
mod users;
mod versions;
mod webhooks;
mod writer;

/// See the module.
#[derive(Debug, Clone)]
pub struct SqliteCatalog {
    database: Database,
    clock: Arc<dyn Clock>,
    /// Whether the file may hold what a purge left free; an earlier process may have ended in between.
    loose: Arc<AtomicBool>,
}

impl SqliteCatalog {
    /// Opens the file, making it if it is not there, and brings its schema up to date. A schema of a newer release, or
    /// one that differs from ours, is `Conflict`; a damaged file is `Corrupt`.
    ///
    /// Documents that an earlier release indexed get their names here, which reads their texts once.
    pub async fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self> {
        let database = Database::open(path.as_ref()).await?;
        names::complete(&database).await?;
        Ok(Self::over(database, clock))
    }

    /// Makes an empty catalog that is gone when it is dropped. Its reads wait for its writes.
    pub async fn open_in_memory(clock: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self::over(Database::open_in_memory().await?, clock))
    }

    /// A name that no other catalog has; a copy of the file has the same.
    pub async fn identity(&self) -> Result<String> {
        self.database
            .read(|connection| {
                Box::pin(async move {
                    sqlx::query_scalar("SELECT name FROM catalog_identity WHERE one = 1")
                        .fetch_one(connection)
                        .await
                        .during("ask for the catalog's identity")
                })
            })
            .await
    }

    fn over(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock, loose: Arc::new(AtomicBool::new(true)) }
    }

    fn now(&self) -> i64 {
        self.clock.now()
    }
}
