//! The contract of users and sign-ins on SQLite.

use std::sync::Arc;

use crate::contract::users::{self as contract, People};
use wellspring_store::catalog::sqlite::SqliteCatalog;
use wellspring_store::clock::TestClock;

/// One test per rule on a catalog in a file.
macro_rules! tests {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let folder = tempfile::tempdir().unwrap();
            // 2026-03-01T12:00:00Z.
            let clock = TestClock::at(1_772_366_400_000_000);
            let path = folder.path().join("catalog.db");
            let catalog = SqliteCatalog::open(&path, Arc::new(clock.clone())).await.unwrap();
            contract::$rule(&People { users: Arc::new(catalog), clock }).await;
        }
    )+};
}
contract::user_rules!(tests);
