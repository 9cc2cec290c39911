//! Compares the blob store with the catalog: bytes that documents refer to, and bytes that nothing refers to.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{EXAMPLES, Finding, FindingKind, VerifyOptions, VerifyReport, finding};
use crate::Store;
use crate::document::{ContentHash, DocumentId};
use crate::error::{ErrorKind, Result};
use crate::scope::{CollectionScope, TenantId};

/// Documents listed at a time.
const PAGE: u32 = 500;

/// Reads the original bytes of every document, visible or accepted and still to come, and compares them with their hash.
pub(super) async fn referred(
    store: &Store,
    scope: &CollectionScope,
    report: &mut VerifyReport,
) -> Result<()> {
    let mut looked = Looked { store, scope, seen: BTreeSet::new(), missing: Vec::new(), corrupt: Vec::new() };
    let mut cursor = None;
    loop {
        let page = store.catalog.documents(scope, None, cursor.as_deref(), PAGE).await?;
        for document in page.items {
            let hash = match store.catalog.blob(scope, &document.id).await {
                Ok(hash) => hash,
                // Deleted since it was listed.
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            looked.at(&document.id, hash).await?;
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    for (document, hash) in store.catalog.blobs_to_come(scope).await? {
        looked.at(&document, hash).await?;
    }
    let Looked { seen, missing, corrupt, .. } = looked;
    report.blobs += seen.len() as u64;
    for (kind, documents) in [(FindingKind::Missing, missing), (FindingKind::Corrupt, corrupt)] {
        report.note(finding(scope, "blobs", kind, documents.len() as u64, documents));
    }
    Ok(())
}

/// What was found of the blobs of one collection.
struct Looked<'a> {
    store: &'a Store,
    scope: &'a CollectionScope,
    seen: BTreeSet<ContentHash>,
    missing: Vec<String>,
    corrupt: Vec<String>,
}

impl Looked<'_> {
    /// Reads a document's blob, unless another document's was the same.
    async fn at(&mut self, document: &DocumentId, hash: ContentHash) -> Result<()> {
        if !self.seen.insert(hash) {
            return Ok(());
        }
        match self.store.blobs.get(self.scope.tenant(), &hash).await {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => {
                // Gone with its document while we looked, or lost.
                if self.store.catalog.blob_in_use(self.scope.tenant(), &hash).await? {
                    self.missing.push(document.to_string());
                }
            }
            Err(e) if e.kind() == ErrorKind::Corrupt => self.corrupt.push(document.to_string()),
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

/// Blobs to which no version refers, also of tenants whose collections are gone; deleted, if wanted, when they are still unused
/// after the grace time.
pub(super) async fn orphans(store: &Store, options: VerifyOptions, report: &mut VerifyReport) -> Result<()> {
    // Blobs that a purge has named and not deleted yet are on their way out, not damage.
    let doomed: BTreeSet<(TenantId, ContentHash)> = store.catalog.purge(0).await?.blobs.into_iter().collect();
    for tenant in &store.catalog.tenants().await? {
        let mut orphans = Vec::new();
        for hash in store.blobs.list(tenant).await? {
            let is_doomed = doomed.contains(&(tenant.clone(), hash));
            if !is_doomed && !store.catalog.blob_in_use(tenant, &hash).await? {
                orphans.push(hash);
            }
        }
        if orphans.is_empty() {
            continue;
        }
        if options.repair {
            orphans = delete(store, tenant, orphans, options).await?;
        }
        report.note(Finding {
            part: "blobs",
            tenant: Some(tenant.as_str().to_owned()),
            collection: None,
            kind: FindingKind::Orphaned,
            count: orphans.len() as u64,
            examples: orphans.iter().take(EXAMPLES).map(|hash| hash.to_hex()).collect(),
            mended: options.repair,
        });
    }
    Ok(())
}

/// Deletes those that are unused still, and returns them.
async fn delete(
    store: &Store,
    tenant: &TenantId,
    orphans: Vec<ContentHash>,
    options: VerifyOptions,
) -> Result<Vec<ContentHash>> {
    tokio::time::sleep(options.orphan_grace).await;
    let mut deleted = Vec::new();
    for hash in orphans {
        if store.blobs.delete_unused(store.catalog.as_ref(), tenant, &hash, Duration::ZERO).await? {
            deleted.push(hash);
        }
    }
    Ok(deleted)
}
