//! The catalog contract on SQLite, in a file and in memory.

use std::sync::Arc;

use crate::contract::catalog as contract;
use crate::contract::fixture::Fixture;
use wellspring_store::catalog::sqlite::SqliteCatalog;
use wellspring_store::clock::TestClock;

/// 2026-03-01T12:00:00Z.
const NOON: i64 = 1_772_366_400_000_000;

async fn in_a_file() -> (Fixture, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::at(NOON);
    let catalog =
        SqliteCatalog::open(folder.path().join("catalog.db"), Arc::new(clock.clone())).await.unwrap();
    (Fixture { catalog: Arc::new(catalog), clock }, folder)
}

async fn in_memory() -> (Fixture, ()) {
    let clock = TestClock::at(NOON);
    let catalog = SqliteCatalog::open_in_memory(Arc::new(clock.clone())).await.unwrap();
    (Fixture { catalog: Arc::new(catalog), clock }, ())
}

/// One test per rule on what `open` makes; afterwards the catalog must be sound.
macro_rules! tests {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let (fixture, _kept) = open().await;
            contract::$rule(&fixture).await;
            assert_eq!(fixture.catalog.check().await.unwrap(), Vec::<String>::new());
        }
    )+};
}

mod file {
    use super::{contract, in_a_file as open};
    contract::rules!(tests);
}

mod memory {
    use super::{contract, in_memory as open};
    contract::rules!(tests);
}
