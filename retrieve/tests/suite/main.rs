//! Searches over a real store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that panics has said what it had to say, also outside the test functions themselves"
)]

mod boosts;
mod degraded;
mod exact;
mod expand;
mod explain;
mod links;
mod replay;
mod search;
mod support;
