//! What every implementation of a seam must do.

pub(crate) mod blobs;
pub(crate) mod catalog;
pub(crate) mod fixture;
pub(crate) mod keyword;
pub(crate) mod talk;
pub(crate) mod vector;
