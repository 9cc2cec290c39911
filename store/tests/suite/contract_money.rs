//! The contracts of the ledger and of kept replies on SQLite, in a file and in memory.

use std::sync::Arc;

use crate::contract::fixture::Fixture;
use crate::contract::ledger::{self, Books};
use crate::contract::replies::{self, Kept};
use wellspring_store::catalog::sqlite::SqliteCatalog;
use wellspring_store::clock::TestClock;

/// 2026-03-01T12:00:00Z.
const NOON: i64 = 1_772_366_400_000_000;

async fn in_a_file() -> (Arc<SqliteCatalog>, TestClock, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::at(NOON);
    let catalog =
        SqliteCatalog::open(folder.path().join("catalog.db"), Arc::new(clock.clone())).await.unwrap();
    (Arc::new(catalog), clock, folder)
}

async fn in_memory() -> (Arc<SqliteCatalog>, TestClock, ()) {
    let clock = TestClock::at(NOON);
    (Arc::new(SqliteCatalog::open_in_memory(Arc::new(clock.clone())).await.unwrap()), clock, ())
}

macro_rules! ledger_tests {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let (catalog, clock, _kept) = open().await;
            ledger::$rule(&Books { ledger: catalog, clock }).await;
        }
    )+};
}

macro_rules! reply_tests {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let (catalog, clock, _kept) = open().await;
            let fixture = Fixture { catalog: Arc::clone(&catalog) as _, clock };
            replies::$rule(&Kept { replies: catalog, fixture }).await;
        }
    )+};
}

mod file {
    use super::in_a_file as open;
    use super::*;
    ledger::rules!(ledger_tests);
    replies::rules!(reply_tests);
}

mod memory {
    use super::in_memory as open;
    use super::*;
    ledger::rules!(ledger_tests);
    replies::rules!(reply_tests);
}
