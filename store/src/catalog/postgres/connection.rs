//! Opens the database: settings, schema, roles; and runs transactions under a tenant, again where another one was in the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Postgres, Transaction};

use super::failure::{Again, During, again, failed, migration, timed_out};
use crate::error::{ErrorKind, Result, StoreError};
use crate::fault;
use crate::scope::TenantId;

static SCHEMA: Migrator = sqlx::migrate!("migrations/postgres");

/// The role under which everything but the schema is done: neither owner of a table nor superuser, so that row-level
/// security holds for it.
pub const ROLE: &str = "wellspring_app";
/// The oldest server that is tried in the tests.
pub(super) const OLDEST: i32 = 160_000;
/// How often a transaction is tried that collides with others.
const COLLISIONS: u32 = 12;
/// How long a transaction waits for a server that went away.
const OUTAGE: Duration = Duration::from_secs(5);
/// How long it waits for one that was away already.
const GLANCE: Duration = Duration::from_millis(500);

/// Where the catalog's PostgreSQL is and how it is used.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:5432/database?sslmode=verify-full`. The user owns the database, or is a member of the
    /// role `wellspring_app` where `owner_url` names another one for the schema.
    #[serde(serialize_with = "shown")]
    pub url: String,
    /// Who brings the schema up to date [default: the user of `url`].
    #[serde(default, serialize_with = "shown_if_any", skip_serializing_if = "Option::is_none")]
    pub owner_url: Option<String>,
    /// Most connections of this process, 2 and more.
    #[serde(default = "max_connections")]
    pub max_connections: u32,
    /// Seconds that one statement may take.
    #[serde(default = "statement_timeout_seconds")]
    pub statement_timeout_seconds: u32,
    /// Seconds that a caller waits for a free connection.
    #[serde(default = "acquire_timeout_seconds")]
    pub acquire_timeout_seconds: u32,
}

/// A URL without what may be secret: the password, and the parameters behind the question mark.
fn shown<S: serde::Serializer>(url: &str, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
    // A password may hold an `@` or a `?` that somebody forgot to escape.
    let (user, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let place = place.split('?').next().unwrap_or_default();
    match user.split([':', '?', '/']).next().unwrap_or_default() {
        "" => serializer.serialize_str(&format!("{scheme}://{place}")),
        user => serializer.serialize_str(&format!("{scheme}://{user}@{place}")),
    }
}

fn shown_if_any<S: serde::Serializer>(
    url: &Option<String>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    shown(url.as_deref().unwrap_or_default(), serializer)
}

fn max_connections() -> u32 {
    16
}

fn statement_timeout_seconds() -> u32 {
    60
}

fn acquire_timeout_seconds() -> u32 {
    10
}

impl PostgresConfig {
    /// The database of this URL with default settings.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            owner_url: None,
            max_connections: max_connections(),
            statement_timeout_seconds: statement_timeout_seconds(),
            acquire_timeout_seconds: acquire_timeout_seconds(),
        }
    }
}

/// Without URLs, which hold passwords.
impl std::fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("max_connections", &self.max_connections)
            .field("statement_timeout_seconds", &self.statement_timeout_seconds)
            .field("acquire_timeout_seconds", &self.acquire_timeout_seconds)
            .finish_non_exhaustive()
    }
}

/// For whom a transaction works: the rows it may touch.
#[derive(Debug, Clone)]
pub(crate) enum For {
    /// One tenant.
    Tenant(TenantId),
    /// Maintenance that serves every tenant.
    Everybody,
}

impl From<&TenantId> for For {
    fn from(tenant: &TenantId) -> Self {
        Self::Tenant(tenant.clone())
    }
}

impl For {
    /// As the setting that the policies look at. A tenant's name has no character that SQL gives a meaning to.
    fn setting(&self) -> &str {
        match self {
            Self::Tenant(tenant) => tenant.as_str(),
            Self::Everybody => "*",
        }
    }
}

/// Where the crash suite may stop the process around an operation's commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Points {
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
}

/// The open database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pool: PgPool,
    user: PgConnectOptions,
    owner: PgConnectOptions,
    /// Whether documents' bytes are kept here, too.
    keeps_blobs: Arc<AtomicBool>,
    /// Whether the server was away when it was last needed: then nobody waits for it any more, but is told at once.
    away: Arc<AtomicBool>,
}

impl Database {
    /// Connects, and brings the schema up to date while nobody else does.
    pub(super) async fn open(config: &PostgresConfig) -> Result<Self> {
        prepare(config, true).await?;
        Self::attach(config).await
    }

    /// Connects to a database whose schema is up to date.
    pub(crate) async fn attach(config: &PostgresConfig) -> Result<Self> {
        let options = options(config, &config.url)?;
        let owner = match &config.owner_url {
            Some(url) => self::options(config, url)?,
            None => options.clone(),
        };
        let pool = PgPoolOptions::new()
            .max_connections(config.max_connections.max(2))
            .acquire_timeout(Duration::from_secs(config.acquire_timeout_seconds.into()))
            .after_connect(|connection, _| {
                Box::pin(async move {
                    sqlx::query(AssertSqlSafe(format!("SET ROLE {ROLE}"))).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_with(options.clone())
            .await
            .during("connect to PostgreSQL")?;
        Ok(Self { pool, user: options, owner, keeps_blobs: Arc::default(), away: Arc::default() })
    }

    /// Documents' bytes are kept here as well: what is accepted refers to them.
    pub(crate) fn keep_blobs(&self) {
        self.keeps_blobs.store(true, Ordering::Relaxed);
    }

    pub(super) fn keeps_blobs(&self) -> bool {
        self.keeps_blobs.load(Ordering::Relaxed)
    }

    /// Whether it was for want of a server, and not because others have all connections, that there was none.
    async fn is_gone(&self, error: &StoreError) -> bool {
        if !timed_out(error) {
            return false;
        }
        match tokio::time::timeout(GLANCE, self.user.connect()).await {
            Ok(Ok(connection)) => {
                // What becomes of it does not matter.
                let _ = connection.close().await;
                false
            }
            Ok(Err(refused)) => again(&failed("connect to PostgreSQL", refused)) == Again::Disconnected,
            Err(_) => true,
        }
    }

    /// The pool, under the application's role.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A name that no other catalog has: what is derived from this one is kept under it.
    pub(crate) async fn identity(&self) -> Result<String> {
        sqlx::query_scalar("SELECT catalog_identity()")
            .fetch_one(&self.pool)
            .await
            .during("ask for the catalog's identity")
    }

    /// A connection of its own that may change the schema.
    pub(crate) async fn owner(&self) -> Result<PgConnection> {
        self.owner.connect().await.during("connect to PostgreSQL")
    }

    async fn begin(&self, mode: &str, whose: &For) -> Result<Transaction<'static, Postgres>> {
        let begin = format!("BEGIN {mode}; SET LOCAL wellspring.tenant = '{}'", whose.setting());
        let begun = self.pool.begin_with(AssertSqlSafe(begin));
        if !self.away.load(Ordering::Relaxed) {
            return begun.await.during("begin a transaction");
        }
        let begun = tokio::time::timeout(GLANCE, begun).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let begun = begun.during("begin a transaction")?;
        if self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("PostgreSQL is back");
        }
        Ok(begun)
    }

    /// Whether another try is worth it; remembers a server that is away.
    async fn again(&self, tries: &mut Tries, error: &StoreError) -> bool {
        let away = self.away.load(Ordering::Relaxed);
        let again = again(error);
        if (away && again == Again::Disconnected) || !tries.another(again, error).await {
            let gone = again == Again::Disconnected || (!away && self.is_gone(error).await);
            if gone && !self.away.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    error = error.chain(),
                    "PostgreSQL is away; everything that needs it is refused"
                );
            }
            return false;
        }
        true
    }

    /// Runs `work`, which must not write, on one consistent state of the database.
    pub(crate) async fn read<T, F>(&self, whose: For, work: F) -> Result<T>
    where
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T>> + Send + Sync,
    {
        let mut tries = Tries::default();
        loop {
            let result = async {
                let mut transaction = self.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY", &whose).await?;
                let result = work(&mut transaction).await?;
                transaction.commit().await.during("read the catalog")?;
                Ok(result)
            }
            .await;
            match result {
                Err(error) if self.again(&mut tries, &error).await => {}
                result => return result,
            }
        }
    }

    /// Runs `work` in a transaction that sees, statement by statement, what others have committed; what it must not lose it
    /// locks. Nothing of it is kept if it fails, and it is run again where that may mend it.
    pub(crate) async fn write<T, F>(&self, whose: For, points: Option<Points>, work: F) -> Result<T>
    where
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T>> + Send + Sync,
    {
        let mut tries = Tries::default();
        loop {
            let result = async {
                let mut transaction = self.begin("ISOLATION LEVEL READ COMMITTED", &whose).await?;
                let result = work(&mut transaction).await?;
                Ok((transaction, result))
            }
            .await;
            match result {
                Ok((transaction, result)) => {
                    if let Some(points) = points {
                        fault::point(points.before);
                    }
                    // Not again: if the answer was lost on its way, it may have happened.
                    transaction.commit().await.during("commit to the catalog")?;
                    if let Some(points) = points {
                        fault::point(points.after);
                    }
                    return Ok(result);
                }
                Err(error) if self.again(&mut tries, &error).await => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// How often one transaction was tried.
#[derive(Default)]
struct Tries {
    failed: u32,
    outage: Option<Instant>,
}

impl Tries {
    /// Waits a little, at random up to a bound that doubles, if another try is worth it.
    async fn another(&mut self, again: Again, error: &StoreError) -> bool {
        let most = match again {
            Again::Never => return false,
            Again::Collided if self.failed >= COLLISIONS => return false,
            Again::Collided => Duration::from_millis(2 << self.failed.min(7)),
            Again::Disconnected => {
                if self.outage.get_or_insert_with(Instant::now).elapsed() > OUTAGE {
                    return false;
                }
                Duration::from_millis(50 << self.failed.min(4))
            }
        };
        self.failed += 1;
        tracing::debug!(%error, tries = self.failed, "a transaction is tried again");
        tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
        true
    }
}

/// Connects; a server that is starting is waited for.
async fn reach(options: &PgConnectOptions, patience: Duration) -> Result<PgConnection> {
    let since = Instant::now();
    loop {
        match options.connect().await.during("connect to PostgreSQL") {
            Err(error) if again(&error) == Again::Disconnected && since.elapsed() < patience => {
                tracing::info!(%error, "waiting for PostgreSQL");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            connected => return connected,
        }
    }
}

/// Brings the schema up to date. `Conflict` if a restore into the database did not finish, unless `whole` does not matter.
pub(super) async fn prepare(config: &PostgresConfig, whole: bool) -> Result<()> {
    let owner = options(config, config.owner_url.as_deref().unwrap_or(&config.url))?;
    let mut connection = reach(&owner, Duration::from_secs(config.acquire_timeout_seconds.into())).await?;
    let migrated = migrate(&mut connection).await;
    let unfinished = match &migrated {
        Ok(()) if whole => unfinished(&mut connection).await,
        _ => Ok(false),
    };
    connection.close().await.during("connect to PostgreSQL")?;
    migrated?;
    if unfinished? {
        return Err(StoreError::new(
            ErrorKind::Conflict,
            "a restore into this database is under way or was interrupted: wait for it, or restore again",
        ));
    }
    Ok(())
}

/// Whether a restore into the database did not finish.
async fn unfinished(connection: &mut PgConnection) -> Result<bool> {
    sqlx::raw_sql("SET wellspring.tenant = '*'")
        .execute(&mut *connection)
        .await
        .during("look for restores")?;
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM restores WHERE finished_at IS NULL)")
        .fetch_one(connection)
        .await
        .during("look for restores")
}

/// A connection of its own, under no other role than the user's.
pub(super) async fn connect(config: &PostgresConfig, url: &str) -> Result<PgConnection> {
    options(config, url)?.connect().await.during("connect to PostgreSQL")
}

/// The newest version of the schema that this build knows.
pub(super) fn newest() -> i64 {
    SCHEMA.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The newest version of the schema that the database has; `None` where there is no catalog in it.
pub(super) async fn applied(connection: &mut PgConnection) -> Result<Option<i64>> {
    let kept: bool = sqlx::query_scalar("SELECT to_regclass('public._sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .during("look for the catalog's schema")?;
    if !kept {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
        .fetch_one(connection)
        .await
        .during("look for the catalog's schema")
}

pub(super) fn options(config: &PostgresConfig, url: &str) -> Result<PgConnectOptions> {
    let options: PgConnectOptions = url.parse().during("read the database URL")?;
    let statement = format!("{}s", config.statement_timeout_seconds.max(1));
    Ok(options.application_name("wellspring").statement_cache_capacity(256).options([
        ("statement_timeout", statement.as_str()),
        ("lock_timeout", "20s"),
        ("idle_in_transaction_session_timeout", "120s"),
        // A commit that was answered survives a power cut, whatever the server's default is.
        ("synchronous_commit", "on"),
        // Short statements by key: compiling them costs more than it saves.
        ("jit", "off"),
        ("search_path", "public"),
    ]))
}

async fn migrate(connection: &mut PgConnection) -> Result<()> {
    let (version, name): (i32, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int, current_setting('server_version')",
    )
    .fetch_one(&mut *connection)
    .await
    .during("ask PostgreSQL for its version")?;
    if version < OLDEST {
        return Err(StoreError::new(
            ErrorKind::Invalid,
            format!("this is PostgreSQL {name}; 16 or newer is needed: upgrade it, or name another server"),
        ));
    }
    let newest = newest();
    // Nobody waits longer than for another server's first start.
    sqlx::raw_sql("SET lock_timeout = '120s'; SET statement_timeout = '600s'")
        .execute(&mut *connection)
        .await
        .during("bring the catalog's schema up to date")?;
    // Where the newest migration was applied, the role was made as well, and need not be ours to make.
    if applied(connection).await?.is_none_or(|applied| applied < newest) {
        role(connection).await?;
    }
    SCHEMA.run_direct(None, connection, false).await.map_err(|error| migration(error, newest))
}

/// Makes the application's role if it is not there, and ourselves a member. Several databases of one server may do so at
/// once.
async fn role(connection: &mut PgConnection) -> Result<()> {
    let mut tries = 0;
    loop {
        let made = sqlx::raw_sql(
            "DO $$ BEGIN \
                IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'wellspring_app') THEN \
                    CREATE ROLE wellspring_app NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS; \
                END IF; \
                IF NOT pg_has_role(current_user, 'wellspring_app', 'SET') THEN \
                    EXECUTE format('GRANT wellspring_app TO %I', current_user); \
                END IF; \
             END $$",
        )
        .execute(&mut *connection)
        .await;
        match made {
            Ok(_) => return Ok(()),
            Err(error) if tries < 20 && raced(&error) => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..50))).await;
            }
            Err(error) => return Err(error).during("make the role wellspring_app"),
        }
    }
}

/// Another session made the role, or changed its members, at the same moment.
fn raced(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        matches!(error.code().as_deref(), Some("42710" | "23505"))
            || error.message().contains("concurrently updated")
    })
}
