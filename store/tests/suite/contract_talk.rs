//! The contract of conversations and runs on SQLite, in a file and in memory.

use std::sync::Arc;

use wellspring_store::catalog::sqlite::SqliteCatalog;
use wellspring_store::clock::TestClock;

use crate::contract::fixture::Fixture;
use crate::contract::talk::{self, Talk};

/// 2026-03-01T12:00:00Z.
const NOON: i64 = 1_772_366_400_000_000;

macro_rules! tests {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let folder = tempfile::tempdir().unwrap();
            let clock = TestClock::at(NOON);
            let shared = || Arc::new(clock.clone());
            let file = SqliteCatalog::open(folder.path().join("catalog.db"), shared()).await.unwrap();
            for catalog in [file, SqliteCatalog::open_in_memory(shared()).await.unwrap()] {
                let catalog = Arc::new(catalog);
                let fixture = Fixture { catalog: catalog.clone(), clock: clock.clone() };
                talk::$rule(&Talk { fixture: &fixture, conversations: catalog.as_ref(), runs: catalog.as_ref() }).await;
                assert_eq!(fixture.catalog.check().await.unwrap(), Vec::<String>::new());
            }
        }
    )+};
}

talk::rules!(tests);
