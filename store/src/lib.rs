//! What is kept, and how it is found by key, by word and by vector.
//!
//! The catalog is the truth: it keeps text, metadata and vectors. The vector and keyword indexes are derived from it
//! and can be lost, corrupted or replaced; `sync` brings them up to the catalog's change sequence.

pub mod blobs;
pub mod catalog;
pub mod document;
pub mod error;
pub mod filter;
pub mod jobs;
pub mod keyword;
pub mod scope;
pub mod sync;
pub mod vector;
pub mod verify;

pub use blobs::Blobs;
pub use catalog::Catalog;
pub use document::*;
pub use error::{ErrorKind, Result, StoreError};
pub use filter::Filter;
pub use scope::{Access, CollectionScope, Collections, Scope, TenantId};

use std::sync::Arc;

/// The parts of one data folder, opened together.
#[derive(Clone)]
pub struct Store {
    /// The truth.
    pub catalog: Arc<dyn Catalog>,
    /// The original bytes.
    pub blobs: Arc<dyn Blobs>,
    /// What is derived from the catalog.
    pub indexes: Arc<sync::Indexes>,
}
