//! The store: its contracts, run on every implementation, and what only one of them promises.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that panics has said what it had to say, also outside the test functions themselves"
)]

mod accounts_sqlite;
mod backup;
mod blobs_local;
mod catalog_file;
mod catalog_sqlite;
mod catalog_throughput;
mod contract;
mod contract_edge;
mod contract_keyword;
mod contract_money;
mod contract_talk;
mod contract_vector;
mod exact_terms;
mod export;
mod filter;
mod filter_sql;
mod keyword;
#[cfg(target_os = "linux")]
mod postgres;
mod qdrant;
mod sync;
mod users_sqlite;
mod verify;
mod world;
