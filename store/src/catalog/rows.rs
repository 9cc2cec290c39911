//! What both catalogs read out of their rows, and the checks and errors that they share; the statements are each one's own.

pub(super) mod account;
pub(super) mod audit;
pub(super) mod chunk;
pub(super) mod delivery;
pub(super) mod document;
pub(super) mod feedback;
pub(super) mod job;
pub(super) mod ledger;
pub(super) mod name;
pub(super) mod processed;
pub(super) mod query;
pub(super) mod talk;
pub(super) mod user;
pub(crate) mod values;
