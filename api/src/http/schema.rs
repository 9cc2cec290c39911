//! The shapes of what the lower crates write as JSON, for `openapi.json`.
//!
//! Responses are those crates' own types, serialised as they are, so that HTTP and the command line print the same;
//! they know nothing of OpenAPI. Nothing here is ever built: the HTTP tests check every response against these shapes.

mod answered;
mod cut;
mod found;
mod kept;
mod talk;
mod walls;

pub(super) use answered::*;
pub(super) use cut::*;
pub(super) use found::*;
pub(super) use kept::*;
pub(super) use talk::*;
pub(super) use walls::*;
