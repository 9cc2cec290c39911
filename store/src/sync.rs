//! Carries catalog changes into the vector and keyword indexes, remembers how far each got, and rebuilds either.

use std::sync::Arc;

use crate::document::Seq;
use crate::error::Result;
use crate::keyword::KeywordIndex;
use crate::scope::CollectionScope;
use crate::vector::VectorIndex;

/// The open indexes of every collection, and the task that keeps each up to the change sequence.
#[derive(Debug)]
pub struct Indexes {}

impl Indexes {
    /// The collection's vector index in use.
    pub async fn vector(&self, _scope: &CollectionScope) -> Result<Arc<dyn VectorIndex>> {
        Err(crate::StoreError::new(crate::ErrorKind::Internal, "not written yet"))
    }

    /// The collection's keyword index in use.
    pub async fn keyword(&self, _scope: &CollectionScope) -> Result<Arc<dyn KeywordIndex>> {
        Err(crate::StoreError::new(crate::ErrorKind::Internal, "not written yet"))
    }

    /// Returns when both indexes have applied and flushed every change up to `seq`. Callers that wait together share
    /// one flush.
    pub async fn catch_up(&self, _scope: &CollectionScope, _seq: Seq) -> Result<()> {
        Err(crate::StoreError::new(crate::ErrorKind::Internal, "not written yet"))
    }
}
