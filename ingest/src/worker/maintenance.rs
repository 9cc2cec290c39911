//! The background round: brings every index to the end of the change sequence and purges what nobody needs any more.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::error::Result;

/// Versions purged per transaction: short, so that writers do not wait for it.
const PURGE: u32 = 200;
/// How long submissions under way are waited for, and new ones held up, before the purge is left to the next round.
const GATE: Duration = Duration::from_millis(200);
/// Bytes that another process stored this short a time ago may belong to a document that it is about to accept.
const UPLOADING: Duration = Duration::from_secs(600);

/// Sweeps once, then runs rounds until told to stop: at the interval, and early after many publications or when a delete
/// asks for one.
pub(super) async fn run(inner: Arc<Inner>, stopping: CancellationToken) {
    let interval = Duration::from_millis(inner.config.maintenance_ms.max(10));
    tokio::select! {
        () = stopping.cancelled() => return,
        result = sweep(&inner) => if let Err(error) = result {
            tracing::warn!(%error, "bytes left by an earlier process could not be cleaned up; the next start tries again");
        },
    }
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = inner.tidy.notified() => {}
            () = tokio::time::sleep(interval) => {}
        }
        inner.publishes.store(0, Ordering::Relaxed);
        inner.extractor.rest();
        tokio::select! {
            () = stopping.cancelled() => return,
            result = round(&inner) => if let Err(error) = result {
                tracing::warn!(%error, "maintenance failed; the next round tries again");
            },
        }
    }
}

/// Deletes bytes that no document refers to: an earlier process died between storing an upload and accepting it.
async fn sweep(inner: &Inner) -> Result<()> {
    let store = &inner.store;
    for tenant in store.catalog.tenants().await? {
        let mut swept = 0_u64;
        for hash in store.blobs.list(&tenant).await? {
            if store.catalog.blob_in_use(&tenant, &hash).await? {
                continue;
            }
            // An upload under way may be about to be accepted with these bytes: wait for it a while, and look again.
            let Ok(_alone) = tokio::time::timeout(GATE, inner.bytes_in_use.write()).await else { continue };
            swept += u64::from(store.delete_unused_blob(&tenant, &hash, UPLOADING).await?);
        }
        if swept > 0 {
            tracing::info!(
                tenant = tenant.as_str(),
                blobs = swept,
                "cleaned up uploads that were never accepted"
            );
        }
    }
    Ok(())
}

/// One round. Harmless to repeat and to interrupt.
pub(super) async fn round(inner: &Inner) -> Result<()> {
    let store = &inner.store;
    store.indexes.follow().await?;
    while let Ok(_alone) = tokio::time::timeout(GATE, inner.bytes_in_use.write()).await {
        let purged = store.purge_once(PURGE).await?;
        if purged.versions == 0 {
            break;
        }
        tracing::info!(
            versions = purged.versions,
            chunks = purged.chunks,
            blobs = purged.blobs.len(),
            "purged"
        );
    }
    if !store.catalog.compact().await? {
        tracing::debug!("purged bytes stay in the catalog's log until no reader is in the way");
    }
    Ok(())
}
