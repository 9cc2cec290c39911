//! No statement that runs while serving or ingesting reads a whole table.
//!
//! Every statement that the catalog really runs is caught in the log and explained by SQLite. A program of its own: the
//! log is the process's, and other tests would write into it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that panics has said what it had to say, also outside the test functions themselves"
)]

#[allow(dead_code, unused_macros, unused_imports, reason = "only the catalog's part is run here")]
#[path = "suite/contract/mod.rs"]
mod contract;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use contract::fixture::Fixture;
use contract::users::People;
use contract::{catalog, users};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use wellspring_store::catalog::sqlite::SqliteCatalog;
use wellspring_store::clock::TestClock;

/// Catches the statements that sqlx logs.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<BTreeSet<String>>>);

impl Visit for Statements {
    fn record_str(&mut self, field: &Field, value: &str) {
        // A statement of four words is its own summary.
        let whole = field.name() == "db.statement" || (field.name() == "summary" && !value.ends_with('…'));
        if whole && !value.trim().is_empty() {
            self.0.lock().unwrap().insert(value.trim().to_owned());
        }
    }
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Lines of a plan that read everything there is: of a parameter, of a constant, of an index that holds only the few
/// rows that are wanted, of the tenants, collections, receivers, calls under way and kept replies (few, or bounded by a setting), or
/// of a list that was just made.
const HARMLESS: &[&str] = &[
    "VIRTUAL TABLE",
    "CONSTANT ROW",
    "USING INDEX jobs_open",
    "USING INDEX deliveries_due",
    "USING COVERING INDEX jobs_open",
    "INDEX collections_deleted",
    "USING COVERING INDEX deliveries_due",
    "INDEX documents_deleted",
    "INDEX versions_removed",
    "SCAN collections",
    "SCAN tenants",
    "SCAN c USING INDEX collections_deleted",
    "SCAN ledger_open",
    "SCAN replies USING COVERING INDEX replies_by_expiry",
    "SCAN doomed_blobs",
    "SCAN piece",
    "SCAN sqlite_sequence",
    "SCAN webhook_cursors",
    "2-ROW VALUES CLAUSE",
];

#[tokio::test]
async fn nothing_scans_a_table_that_grows() {
    let statements = Statements::default();
    tracing::subscriber::set_global_default(statements.clone()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    macro_rules! run {
        ($($rule:ident),+ $(,)?) => {$(
            number += 1;
            let clock = TestClock::at(1_772_366_400_000_000);
            let path = folder.path().join(format!("{number}.db"));
            let opened = SqliteCatalog::open(&path, Arc::new(clock.clone())).await.unwrap();
            catalog::$rule(&Fixture { catalog: Arc::new(opened), clock }).await;
        )+};
    }
    // Everything but `check`, which is meant to read all there is.
    catalog::rules!(run);
    macro_rules! run_people {
        ($($rule:ident),+ $(,)?) => {$(
            number += 1;
            let clock = TestClock::at(1_772_366_400_000_000);
            let path = folder.path().join(format!("{number}.db"));
            let opened = SqliteCatalog::open(&path, Arc::new(clock.clone())).await.unwrap();
            users::$rule(&People { users: Arc::new(opened), clock }).await;
        )+};
    }
    users::user_rules!(run_people);

    let mut connection =
        SqliteConnection::connect(&format!("sqlite://{}", folder.path().join("1.db").display()))
            .await
            .unwrap();
    let caught = statements.0.lock().unwrap().clone();
    let mut explained = 0;
    let mut scans = Vec::new();
    for statement in &caught {
        let first = statement.split_whitespace().next().unwrap_or_default();
        if !["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&first)
            || statement.contains("_sqlx_migrations")
        {
            continue;
        }
        explained += 1;
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain)
            .fetch_all(&mut connection)
            .await
            .unwrap_or_else(|e| panic!("{statement}: {e}"));
        // What a subquery delivered is read whole; how it came about has lines of its own.
        let delivered: Vec<String> = plan
            .iter()
            .filter_map(|(_, _, _, line)| {
                line.strip_prefix("CO-ROUTINE ").or_else(|| line.strip_prefix("MATERIALIZE "))
            })
            .map(|name| format!("SCAN {name}"))
            .collect();
        for (_, _, _, line) in plan {
            let harmless =
                HARMLESS.iter().any(|harmless| line.contains(harmless)) || delivered.contains(&line);
            if line.starts_with("SCAN") && !harmless {
                scans.push(format!("{line}\n    {statement}"));
            }
        }
    }
    assert!(explained > 60, "only {explained} statements were caught");
    assert!(scans.is_empty(), "{}", scans.join("\n"));
}
