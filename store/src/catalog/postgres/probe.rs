//! Looks at a database without changing it: what a person wants to know before anything is opened.

use sqlx::{ConnectOptions, Connection, PgConnection};

use super::connection::{OLDEST, PostgresConfig, options};
use super::failure::During;
use crate::error::{ErrorKind, Result, StoreError};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The server's version, as it says it.
    pub server: String,
    /// The newest version of pgvector that the database has or could have; `None` where the server lacks it.
    pub pgvector: Option<String>,
    /// Whether there is a catalog in the database.
    pub begun: bool,
}

/// Connects as the configured user. `Unavailable` for a server that cannot be reached, `Unauthorized` for a user that is
/// not let in, `Invalid` for a server older than PostgreSQL 16.
pub async fn probe(config: &PostgresConfig) -> Result<Probe> {
    let mut connection = options(config, &config.url)?.connect().await.during("connect to PostgreSQL")?;
    let found = look(&mut connection).await;
    connection.close().await.during("connect to PostgreSQL")?;
    found
}

async fn look(connection: &mut PgConnection) -> Result<Probe> {
    let (number, server, begun, pgvector): (i32, String, bool, Option<String>) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
            to_regclass('public.collections') IS NOT NULL, \
            (SELECT coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = 'vector')",
    )
    .fetch_one(connection)
    .await
    .during("look at the database")?;
    if number < OLDEST {
        return Err(StoreError::new(
            ErrorKind::Invalid,
            format!("this is PostgreSQL {server}; 16 or newer is needed: upgrade it, or name another server"),
        ));
    }
    Ok(Probe { server, pgvector, begun })
}
