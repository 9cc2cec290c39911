//! The catalog in a PostgreSQL database.
//!
//! Every transaction is opened for one tenant, or for the maintenance of all, and the database's own policies hold it to
//! that. Readers see one state of the database. Writers lock the rows of a document before they look at it, then, last and
//! for short, the row of its collection: so the changes of a collection become visible in the order of their numbers. A file
//! here says in PostgreSQL's words what the one of its name says in SQLite's.

use std::sync::Arc;

pub(crate) use self::connection::{Database, For};
pub use self::connection::{PostgresConfig, ROLE};
pub(crate) use self::failure::During;
pub use self::probe::{Probe, probe};
pub(crate) use self::purge::blob_in_use as referred_to;
pub use self::replicas::Replica;
use self::wake::Waker;
use crate::clock::Clock;
use crate::error::Result;

/// `read!(self, whose, module::function(arguments…))`: the function gets a connection first, then the arguments, which are
/// cloned for every try.
macro_rules! read {
    ($self:ident, $whose:expr, $($function:ident)::+ ( $($argument:ident),* $(,)? )) => {{
        let whose: $crate::catalog::postgres::For = $whose.into();
        $self
            .database
            .read(whose, move |connection| {
                $(let $argument = Clone::clone(&$argument);)*
                Box::pin($($function)::+(connection, $($argument),*))
            })
            .await
    }};
}

/// Like `read!`, in a transaction that may write. The name before the function is that of its crash points.
macro_rules! write {
    ($self:ident, $whose:expr, $points:literal, $($function:ident)::+ ( $($argument:ident),* $(,)? )) => {{
        let points = $crate::catalog::postgres::connection::Points {
            before: concat!("catalog.", $points, ".before_commit"),
            after: concat!("catalog.", $points, ".after_commit"),
        };
        write!(@ $self, $whose, Some(points), $($function)::+ ( $($argument),* ))
    }};
    ($self:ident, $whose:expr, $($function:ident)::+ ( $($argument:ident),* $(,)? )) => {
        write!(@ $self, $whose, None, $($function)::+ ( $($argument),* ))
    };
    (@ $self:ident, $whose:expr, $points:expr, $($function:ident)::+ ( $($argument:ident),* )) => {{
        let whose: $crate::catalog::postgres::For = $whose.into();
        $self
            .database
            .write(whose, $points, move |connection| {
                $(let $argument = Clone::clone(&$argument);)*
                Box::pin($($function)::+(connection, $($argument),*))
            })
            .await
    }};
}

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
mod probe;
mod purge;
mod queries;
mod recorded;
mod replicas;
mod replies;
mod runs;
mod scoped;
mod store;
mod text;
mod tuning;
mod users;
mod versions;
mod wake;
mod webhooks;
mod writers;

/// See the module.
#[derive(Debug, Clone)]
pub struct PostgresCatalog {
    database: Database,
    clock: Arc<dyn Clock>,
    waker: Waker,
    /// Whose indexes this process keeps; `None` for one without indexes.
    replica: Option<Replica>,
}

impl PostgresCatalog {
    /// Connects and brings the schema up to date; several processes may do so at once. A schema of a newer release, or one
    /// that differs from ours, is `Conflict`; a server that cannot be reached is `Unavailable`, one older than PostgreSQL 16
    /// `Invalid`.
    ///
    /// Leases of other processes are left alone: they run out by themselves.
    pub async fn open(config: &PostgresConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let database = Database::open(config).await?;
        names::complete(&database).await?;
        let waker = Waker::start(database.pool().clone());
        Ok(Self { database, clock, waker, replica: Some(Replica::everybody()) })
    }

    /// The catalog as a process with indexes of its own sees it, or one without any (`None`). Until then what is recorded of
    /// indexes holds for every process.
    #[must_use]
    pub fn for_replica(self, replica: Option<Replica>) -> Self {
        Self { replica, ..self }
    }

    /// The catalog of a schema that is up to date, also where a restore into it did not finish.
    pub(crate) async fn attach(config: &PostgresConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let database = Database::attach(config).await?;
        let waker = Waker::start(database.pool().clone());
        Ok(Self { database, clock, waker, replica: None })
    }

    /// Brings the schema up to date without opening the catalog, also where a restore into it did not finish.
    pub(crate) async fn prepare(config: &PostgresConfig) -> Result<()> {
        connection::prepare(config, false).await
    }

    /// A name that no other catalog has; a copy of the database has the same.
    pub async fn identity(&self) -> Result<String> {
        self.database.identity().await
    }

    /// The database, for what else is kept in it.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// As whom this process records what its indexes hold.
    fn follower(&self) -> Replica {
        self.replica.clone().unwrap_or_else(Replica::everybody)
    }

    fn now(&self) -> i64 {
        self.clock.now()
    }
}
