//! What PostgreSQL keeps: the catalog's contract on every release that is tried, and what only this one promises.

mod blobs;
mod books;
mod catalog;
mod engine;
mod filter;
mod replicas;
mod restart;
mod server;
mod vector;
mod walls;
mod whole;

use std::sync::Arc;

use wellspring_store::catalog::postgres::{PostgresCatalog, PostgresConfig};
use wellspring_store::clock::TestClock;

use crate::contract::fixture::Fixture;
pub(crate) use server::{OWNER, Release, Server, server};

/// 2026-03-01T12:00:00Z.
const NOON: i64 = 1_772_366_400_000_000;

/// A catalog in a database of its own.
pub(crate) struct Opened {
    pub(crate) server: &'static Server,
    pub(crate) database: String,
    pub(crate) config: PostgresConfig,
    pub(crate) catalog: Arc<PostgresCatalog>,
    pub(crate) fixture: Fixture,
}

/// `None` where the server is not there.
pub(crate) async fn open(release: Release) -> Option<Opened> {
    let server = server(release)?;
    let database = server.migrated().await;
    let config =
        PostgresConfig { max_connections: 6, ..PostgresConfig::new(server.url(server::OWNER, &database)) };
    let clock = TestClock::at(NOON);
    let catalog = Arc::new(PostgresCatalog::open(&config, Arc::new(clock.clone())).await.unwrap());
    let fixture = Fixture { catalog: Arc::clone(&catalog) as _, clock };
    Some(Opened { server, database, config, catalog, fixture })
}
