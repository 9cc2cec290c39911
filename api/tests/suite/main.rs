//! The binary as its users drive it: over HTTP, on the command line, and killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that panics has said what it had to say, also outside the test functions themselves"
)]

mod architecture;
mod bulk;
mod chat;
mod clients;
mod commands;
mod crash;
mod eval;
mod examples;
mod feedback;
mod grpc;
mod http_agent;
mod http_budget;
mod http_documents;
mod http_door;
mod http_recut;
mod http_search;
mod http_talk;
mod judge;
mod mcp;
mod mcp_tools;
mod moving;
mod openai;
mod page;
#[path = "../../../models/tests/provider/mod.rs"]
mod provider;
mod support;
mod walls;
mod webhooks;
mod words;
