//! Stands for an index whose server can't be reached: whatever it is asked it refuses with the reason.

use async_trait::async_trait;
use roaring::RoaringTreemap;

use crate::document::{ChunkKey, Seq};
use crate::error::{Result, StoreError};
use crate::vector::{VectorEntry, VectorHit, VectorIndex, VectorQuery, VectorStats};

/// See the module.
pub(super) struct Away {
    engine: &'static str,
    why: StoreError,
}

impl Away {
    pub(super) fn new(engine: &'static str, why: StoreError) -> Self {
        Self { engine, why }
    }

    fn refuse<T>(&self) -> Result<T> {
        Err(StoreError::new(self.why.kind(), self.why.to_string()).with_retry_after(self.why.retry_after()))
    }
}

#[async_trait]
impl VectorIndex for Away {
    async fn upsert(&self, _: Vec<VectorEntry>) -> Result<()> {
        self.refuse()
    }

    async fn remove(&self, _: &[ChunkKey]) -> Result<()> {
        self.refuse()
    }

    async fn flush(&self, _: Seq) -> Result<()> {
        self.refuse()
    }

    async fn watermark(&self) -> Result<Seq> {
        self.refuse()
    }

    async fn search(&self, _: VectorQuery<'_>) -> Result<Vec<VectorHit>> {
        self.refuse()
    }

    async fn keys(&self) -> Result<RoaringTreemap> {
        self.refuse()
    }

    async fn vector(&self, _: ChunkKey) -> Result<Option<Vec<f32>>> {
        self.refuse()
    }

    async fn optimize(&self) -> Result<()> {
        self.refuse()
    }

    async fn stats(&self) -> Result<VectorStats> {
        let reason = format!("away: {}", self.why);
        Ok(VectorStats { engine: self.engine, reason, quantization: "unknown", entries: 0, bytes: 0 })
    }
}
