//! Bounds the bytes of documents that are in memory at a time.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes that one permit stands for.
const UNIT: u64 = 64 * 1024;

/// A budget that attempts share by the size of their documents.
#[derive(Debug)]
pub(crate) struct Memory {
    units: Semaphore,
    total: u32,
}

impl Memory {
    /// A budget of this many bytes, rounded up to 64 KiB.
    pub(crate) fn new(bytes: u64) -> Self {
        let total = units(bytes, u32::MAX >> 4);
        Self { units: Semaphore::new(total as usize), total }
    }

    /// Waits for room for a document of this many bytes, in the order of asking; one above the whole budget gets all of
    /// it. The room is free again when the share is dropped. Nobody asks twice at a time, so nobody waits for himself.
    pub(crate) async fn share(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.units.acquire_many(units(bytes, self.total)).await.ok()
    }
}

fn units(bytes: u64, most: u32) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, most)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn large_documents_wait_for_each_other_and_none_waits_for_ever() {
        let memory = Memory::new(10 * UNIT);
        let small = memory.share(1).await;
        assert!(memory.share(9 * UNIT).now_or_never().is_some());
        assert!(memory.share(9 * UNIT + 1).now_or_never().is_none());
        drop(small);
        assert!(memory.share(u64::MAX).now_or_never().is_some());
    }
}
