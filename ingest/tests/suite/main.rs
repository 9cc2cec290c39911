//! Documents into chunks: chunking, extraction, the pipeline and its worker.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that panics has said what it had to say, also outside the test functions themselves"
)]

mod chunk;
mod chunk_real;
mod extract_offsets;
mod extract_quality;
mod pipeline;
mod pipeline_context;
mod pipeline_rig;
mod source;
mod worker;
