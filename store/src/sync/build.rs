//! Brings an index, an empty one too, to what the catalog expects by comparing keys; builds new generations with it.

use std::sync::Arc;

use roaring::RoaringTreemap;
use tokio::sync::mpsc;

use super::any::AnyIndex;
use super::collection::Command;
use super::engines::VectorEngine;
use super::turn::Turn;
use super::{Reply, Shared};
use crate::catalog::{Catalog, IndexKind};
use crate::document::{ChunkKey, Seq};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::CollectionScope;

/// Told how many entries of how many are done; called from async code, so it must be quick.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Entries read and applied at a time: a few megabytes.
const PAGE: u64 = 500;

/// What a comparison found, by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Differences {
    /// Expected by the catalog, not in the index.
    pub(crate) missing: RoaringTreemap,
    /// In the index, not expected by the catalog.
    pub(crate) extra: RoaringTreemap,
}

impl Differences {
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty()
    }
}

/// Removes from the index what the catalog does not expect and adds what it does, and returns the sequence number that
/// the index then contains, with what was different. It is not flushed.
///
/// Writers of the catalog may go on meanwhile: the sequence number is taken first, so that the index has at least
/// everything up to it, and following the changes above repeats harmlessly what it already has.
pub(super) async fn reconcile(
    catalog: &dyn Catalog,
    scope: &CollectionScope,
    index: &AnyIndex,
    progress: Option<&Progress>,
) -> Result<(Seq, Differences)> {
    let seq = catalog.last_seq(scope).await?;
    let expected = catalog.expected_keys(scope).await?;
    let have = index.keys().await?;
    let differences = Differences { missing: &expected - &have, extra: have - expected };
    let extra: Vec<ChunkKey> = differences.extra.iter().map(|key| ChunkKey(key as i64)).collect();
    for keys in extra.chunks(10_000) {
        index.remove(keys).await?;
    }
    add(catalog, scope, index, &differences.missing, progress).await?;
    Ok((seq, differences))
}

/// Adds the listed keys, read page by page from the first one that is still to come.
async fn add(
    catalog: &dyn Catalog,
    scope: &CollectionScope,
    index: &AnyIndex,
    keys: &RoaringTreemap,
    progress: Option<&Progress>,
) -> Result<()> {
    let total = keys.len();
    let mut left = keys.iter().peekable();
    let mut done = 0;
    while let Some(&next) = left.peek() {
        let limit = (total - done).clamp(1, PAGE) as u32;
        let mut page = catalog.entries_after(scope, ChunkKey(next as i64 - 1), limit).await?;
        let Some(last) = page.last().map(|entry| entry.vector.key.0 as u64) else { break };
        page.retain(|entry| keys.contains(entry.vector.key.0 as u64));
        index.upsert(page).await?;
        while left.next_if(|&key| key <= last).is_some() {
            done += 1;
        }
        if let Some(progress) = progress {
            progress(done, total);
        }
    }
    Ok(())
}

/// A new generation to be built.
pub(super) struct Plan {
    pub(super) kind: IndexKind,
    pub(super) engine: VectorEngine,
    pub(super) generation: u32,
    pub(super) dimension: usize,
    pub(super) progress: Option<Progress>,
    pub(super) reply: Option<Reply>,
}

/// A generation that is built and flushed, to be put in use.
pub(super) struct Built {
    pub(super) index: AnyIndex,
    pub(super) engine: VectorEngine,
    pub(super) generation: u32,
    /// Nobody else writes it before it is in use.
    pub(super) turn: Option<Turn>,
}

/// Builds beside the index in use and hands the result to the collection's task.
pub(super) async fn build(
    shared: Arc<Shared>,
    scope: CollectionScope,
    plan: Plan,
    owner: mpsc::WeakSender<Command>,
) {
    let Plan { kind, engine, generation, dimension, progress, reply } = plan;
    let built = async {
        let turn = turn(&shared, &scope, engine, generation).await?;
        let index = create(&shared, &scope, kind, engine, generation, dimension, progress.as_ref()).await?;
        Ok(Built { index, engine, generation, turn })
    };
    let built = built.await;
    let Some(owner) = owner.upgrade() else { return };
    // A closed channel means that the collection is closed: the folder is removed when it opens again.
    let _ = owner.send(Command::Adopt { kind, built, reply }).await;
}

/// The turn at a generation that no process has built yet, where processes share it. `Conflict` where one does, or has.
async fn turn(
    shared: &Shared,
    scope: &CollectionScope,
    engine: VectorEngine,
    generation: u32,
) -> Result<Option<Turn>> {
    if !matches!(engine, VectorEngine::Remote(_)) {
        return Ok(None);
    }
    let busy =
        || StoreError::new(ErrorKind::Conflict, "another process builds, or built, the same vector index");
    let turn = Turn::take(shared, scope, generation).await?.ok_or_else(busy)?;
    let (in_use, _) = shared.catalog.index_state(scope, IndexKind::Vector).await?;
    if in_use >= generation {
        turn.end().await;
        return Err(busy());
    }
    Ok(Some(turn))
}

/// An index with everything that the catalog expected when it began, flushed and optimised.
pub(super) async fn create(
    shared: &Shared,
    scope: &CollectionScope,
    kind: IndexKind,
    engine: VectorEngine,
    generation: u32,
    dimension: usize,
    progress: Option<&Progress>,
) -> Result<AnyIndex> {
    let chunks = shared.catalog.expected_keys(scope).await?.len();
    let index = shared.engines.create(scope, kind, generation, engine, dimension, chunks).await?;
    let (seq, _) = reconcile(shared.catalog.as_ref(), scope, &index, progress).await?;
    index.flush(seq).await?;
    index.optimize().await?;
    index.flush(seq).await?;
    Ok(index)
}

/// Refuses an index whose keys are not the expected ones although it was reconciled and flushed, and returns the sequence
/// number it was flushed at. What writers store meanwhile is not held against it.
pub(super) async fn finish(catalog: &dyn Catalog, scope: &CollectionScope, index: &AnyIndex) -> Result<Seq> {
    let (seq, _) = reconcile(catalog, scope, index, None).await?;
    index.flush(seq).await?;
    let wrong = differences(catalog, scope, index).await?;
    if wrong.is_empty() || catalog.last_seq(scope).await? > seq {
        return Ok(seq);
    }
    Err(StoreError::new(
        ErrorKind::Corrupt,
        format!(
            "a new index generation lacks {} entries and has {} too many after it was built; the old one stays in use",
            wrong.missing.len(),
            wrong.extra.len()
        ),
    ))
}

/// What an index has too much and too little of, without mending anything.
pub(crate) async fn differences(
    catalog: &dyn Catalog,
    scope: &CollectionScope,
    index: &AnyIndex,
) -> Result<Differences> {
    let expected = catalog.expected_keys(scope).await?;
    let have = index.keys().await?;
    Ok(Differences { missing: &expected - &have, extra: have - expected })
}
