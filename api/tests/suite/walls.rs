//! The server with authentication on: who is let in, who sees what, who may how much, and what is left behind.

mod access;
mod doors;
mod isolation;
mod keys;
mod limits;
mod secrets;
mod tokens;
mod users;
pub(crate) mod visitor;
