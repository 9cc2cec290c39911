//! Answers over a real store: extractive, written by a chat model, attacked, and measured.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that panics has said what it had to say, also outside the test functions themselves"
)]

mod agent;
mod extractive;
mod generated;
mod injection;
mod judged;
mod squad;
#[path = "../../../retrieve/tests/suite/support/mod.rs"]
mod support;
mod talk;
mod trial;
