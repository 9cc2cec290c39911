//! Either index of a collection, for the code that treats both alike.

use std::sync::Arc;
use std::time::Duration;

use roaring::RoaringTreemap;

use crate::catalog::{IndexEntry, IndexKind};
use crate::document::{ChunkKey, Seq};
use crate::error::Result;
use crate::keyword::KeywordIndex;
use crate::vector::VectorIndex;

/// How long searches in an index that is to be closed are waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// `vector` or `keyword`.
pub(crate) fn name(kind: IndexKind) -> &'static str {
    match kind {
        IndexKind::Vector => "vector",
        IndexKind::Keyword => "keyword",
    }
}

/// One of the two.
#[derive(Clone)]
pub(crate) enum AnyIndex {
    Vector(Arc<dyn VectorIndex>),
    Keyword(Arc<dyn KeywordIndex>),
}

impl AnyIndex {
    pub(crate) fn kind(&self) -> IndexKind {
        match self {
            Self::Vector(_) => IndexKind::Vector,
            Self::Keyword(_) => IndexKind::Keyword,
        }
    }

    pub(crate) async fn upsert(&self, entries: Vec<IndexEntry>) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        match self {
            Self::Vector(index) => {
                index.upsert(entries.into_iter().map(|entry| entry.vector).collect()).await
            }
            Self::Keyword(index) => {
                index.upsert(entries.into_iter().map(|entry| entry.keyword).collect()).await
            }
        }
    }

    pub(crate) async fn remove(&self, keys: &[ChunkKey]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        match self {
            Self::Vector(index) => index.remove(keys).await,
            Self::Keyword(index) => index.remove(keys).await,
        }
    }

    /// The one place where an index becomes durable.
    pub(crate) async fn flush(&self, seq: Seq) -> Result<()> {
        crate::fault::point("index.flush.before");
        match self {
            Self::Vector(index) => index.flush(seq).await?,
            Self::Keyword(index) => index.flush(seq).await?,
        }
        crate::fault::point("index.flush.after");
        Ok(())
    }

    pub(crate) async fn watermark(&self) -> Result<Seq> {
        match self {
            Self::Vector(index) => index.watermark().await,
            Self::Keyword(index) => index.watermark().await,
        }
    }

    pub(crate) async fn keys(&self) -> Result<RoaringTreemap> {
        match self {
            Self::Vector(index) => index.keys().await,
            Self::Keyword(index) => index.keys().await,
        }
    }

    pub(crate) async fn check(&self) -> Result<()> {
        match self {
            Self::Vector(index) => index.check().await,
            Self::Keyword(index) => index.check().await,
        }
    }

    pub(crate) async fn optimize(&self) -> Result<()> {
        match self {
            Self::Vector(index) => index.optimize().await,
            Self::Keyword(index) => index.optimize().await,
        }
    }

    /// Waits a while for the searches that still hold it: closing it under them would fail those that have not begun.
    pub(crate) async fn unused(&self) {
        let held = || match self {
            Self::Vector(index) => Arc::strong_count(index),
            Self::Keyword(index) => Arc::strong_count(index),
        };
        let patience = tokio::time::Instant::now() + PATIENCE;
        while held() > 1 && tokio::time::Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends writing and lets go of files.
    pub(crate) async fn close(&self) -> Result<()> {
        match self {
            Self::Vector(index) => index.close().await,
            Self::Keyword(index) => index.rest().await,
        }
    }
}
