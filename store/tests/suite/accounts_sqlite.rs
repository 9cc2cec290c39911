//! The contract of keys and audit log on SQLite, and that nobody with a tool for SQLite changes the log by accident.

use std::sync::Arc;

use crate::contract::accounts::{self as contract, Books};
use crate::contract::fixture::{Fixture, tenant};
use sqlx::{Connection, SqliteConnection};
use wellspring_store::audit::{AuditFilter, NewAuditEntry};
use wellspring_store::catalog::sqlite::SqliteCatalog;
use wellspring_store::clock::TestClock;

/// 2026-03-01T12:00:00Z.
const NOON: i64 = 1_772_366_400_000_000;

async fn open(path: &std::path::Path) -> Books {
    let clock = TestClock::at(NOON);
    let catalog = Arc::new(SqliteCatalog::open(path, Arc::new(clock.clone())).await.unwrap());
    let (accounts, audit) = (Arc::clone(&catalog), Arc::clone(&catalog));
    Books { accounts, audit, catalog: Fixture { catalog, clock } }
}

/// One test per rule on a catalog in a file; afterwards it must be sound.
macro_rules! tests {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let folder = tempfile::tempdir().unwrap();
            let books = open(&folder.path().join("catalog.db")).await;
            contract::$rule(&books).await;
            assert_eq!(books.catalog.catalog.check().await.unwrap(), Vec::<String>::new());
        }
    )+};
}
contract::account_rules!(tests);

#[tokio::test]
async fn entries_of_the_audit_log_can_be_neither_changed_nor_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let books = open(&path).await;
    let entry = NewAuditEntry {
        tenant: tenant("one"),
        actor: "key:a".to_owned(),
        action: "deleteDocument".to_owned(),
        collection: None,
        object: None,
        outcome: 200,
        request: None,
    };
    books.audit.append(entry).await.unwrap();
    let mut raw = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    for harm in ["DELETE FROM audit", "UPDATE audit SET actor = 'somebody else'"] {
        let refused = sqlx::query(harm).execute(&mut raw).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
    assert_eq!(books.audit.entries(AuditFilter::default(), None, 10).await.unwrap().items.len(), 1);
}
