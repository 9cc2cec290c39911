//! What every implementation of a seam must do.

pub(crate) mod accounts;
pub(crate) mod blobs;
pub(crate) mod catalog;
pub(crate) mod fixture;
pub(crate) mod keyword;
pub(crate) mod ledger;
pub(crate) mod replies;
pub(crate) mod talk;
pub(crate) mod users;
pub(crate) mod vector;
