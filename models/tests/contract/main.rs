//! The contracts of the seams, run by every implementation of them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that panics has said what it had to say; clippy exempts test functions only, not their helpers"
)]

mod budget;
mod chat;
mod embedder;
mod fakes;
mod http_reranker;
mod local;
mod local_reranker;
mod onnx;
mod openai_chat;
mod openai_embedder;
mod raw;
mod remote_faults;
mod reranker;
mod router;
mod shared;
mod tools;

#[path = "../provider/mod.rs"]
mod provider;
