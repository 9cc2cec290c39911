//! Evaluation as a user drives it, against golden figures of other tools.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that panics has said what it had to say, also outside the test functions themselves"
)]

mod answers;
mod browser;
mod evaluate;
mod gate;
mod golden;
mod rig;
