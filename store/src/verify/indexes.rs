//! Compares one index with the catalog: files, keys, and the content under each key.

use roaring::RoaringTreemap;

use super::{Finding, FindingKind, finding, index_of, part};
use crate::Store;
use crate::catalog::{IndexEntry, IndexKind};
use crate::document::ChunkKey;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::CollectionScope;
use crate::sync::{AnyIndex, differences};

/// Entries read at a time.
const PAGE: u32 = 500;

/// Squared distance between a vector and what an index kept of it that quantisation explains: a hundred times what the
/// coarsest form makes of it, and a tenth of what separates near-duplicates.
const QUANTIZATION: f32 = 1e-3;

/// What is wrong with the index now. Unreadable files end the comparison: nothing in them can be relied on.
pub(super) async fn compare(
    store: &Store,
    scope: &CollectionScope,
    kind: IndexKind,
    entries: &mut u64,
) -> Result<Vec<Finding>> {
    let index = index_of(store, scope, kind).await?;
    match index.check().await {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::Corrupt => return Ok(vec![unreadable(scope, kind, &e)]),
        Err(e) => return Err(e),
    }
    let compared = async {
        let (missing, extra) = keys(store, scope, &index).await?;
        let stale = content(store, scope, &index, &missing, entries).await?;
        Ok((missing, extra, stale))
    };
    let (missing, extra, stale): (RoaringTreemap, RoaringTreemap, RoaringTreemap) = match compared.await {
        Ok(compared) => compared,
        Err(e) if StoreError::kind(&e) == ErrorKind::Corrupt => return Ok(vec![unreadable(scope, kind, &e)]),
        Err(e) => return Err(e),
    };
    let found = [(FindingKind::Missing, missing), (FindingKind::Extra, extra), (FindingKind::Stale, stale)];
    let found = found.into_iter().filter(|(_, keys)| !keys.is_empty());
    Ok(found
        .map(|(what, keys)| {
            finding(scope, part(kind), what, keys.len(), keys.iter().map(|key| format!("chunk {key}")))
        })
        .collect())
}

fn unreadable(scope: &CollectionScope, kind: IndexKind, error: &StoreError) -> Finding {
    finding(scope, part(kind), FindingKind::Unreadable, 1, [error.to_string()])
}

/// Missing and extra keys: those that differ in two looks with everything applied in between, for writers may be at work.
async fn keys(
    store: &Store,
    scope: &CollectionScope,
    index: &AnyIndex,
) -> Result<(RoaringTreemap, RoaringTreemap)> {
    let catalog = store.catalog.as_ref();
    let mut looks = Vec::new();
    for _ in 0..2 {
        store.indexes.catch_up(scope, catalog.last_seq(scope).await?).await?;
        let look = differences(catalog, scope, index).await?;
        if look.is_empty() {
            return Ok((look.missing, look.extra));
        }
        looks.push(look);
    }
    let (first, second) = (looks.swap_remove(0), looks.swap_remove(0));
    Ok((first.missing & second.missing, first.extra & second.extra))
}

/// Keys under which the index holds something else than the catalog.
async fn content(
    store: &Store,
    scope: &CollectionScope,
    index: &AnyIndex,
    missing: &RoaringTreemap,
    entries: &mut u64,
) -> Result<RoaringTreemap> {
    let mut stale = RoaringTreemap::new();
    let mut after = ChunkKey(0);
    loop {
        let page = store.catalog.entries_after(scope, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(stale) };
        after = last.vector.key;
        for entry in page {
            let key = entry.vector.key.0 as u64;
            if !missing.contains(key) {
                *entries += 1;
                if differs(index, &entry).await? {
                    stale.insert(key);
                }
            }
        }
    }
}

/// Whether the index holds another content. An entry that is not there is somebody else's finding.
async fn differs(index: &AnyIndex, entry: &IndexEntry) -> Result<bool> {
    Ok(match index {
        AnyIndex::Vector(index) => index.vector(entry.vector.key).await?.is_some_and(|kept| {
            let distance: f32 = kept.iter().zip(&entry.vector.vector).map(|(a, b)| (a - b) * (a - b)).sum();
            kept.len() != entry.vector.vector.len() || distance.is_nan() || distance > QUANTIZATION
        }),
        AnyIndex::Keyword(index) => index
            .content_hash(entry.keyword.key)
            .await?
            .is_some_and(|kept| kept != entry.keyword.content_hash()),
    })
}
