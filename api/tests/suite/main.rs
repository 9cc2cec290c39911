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
mod dashboard;
mod eval;
mod examples;
mod feedback;
mod fleet;
mod grpc;
mod http_agent;
mod http_budget;
mod http_documents;
mod http_door;
mod http_recut;
mod http_search;
mod http_talk;
mod judge;
#[path = "../../examples/overload/load.rs"]
mod load;
mod mcp;
mod mcp_tools;
mod moving;
mod openai;
mod overload;
mod page;
#[path = "../../../store/tests/suite/postgres/server.rs"]
#[allow(dead_code, reason = "the tests of the store use the rest")]
mod postgres;
#[path = "../../../models/tests/provider/mod.rs"]
mod provider;
mod support;
mod traces;
mod walls;
mod webhooks;
mod words;
