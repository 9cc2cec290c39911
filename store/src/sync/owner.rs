//! A collection's own task: the only writer of its indexes. It applies changes in batches, flushes once for everybody
//! who waits, and puts new generations in use.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::any::AnyIndex;
use super::build::{self, Built, Plan, Progress};
use super::collection::{Command, InUse, Readable};
use super::engines::VectorEngine;
use super::{Reply, Shared};
use crate::catalog::{Catalog, Change, ChangeKind, IndexKind};
use crate::document::Seq;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::CollectionScope;

/// Entries handed to an index at a time.
const ENTRIES_PER_CALL: usize = 1_000;

/// See the module's description.
pub(super) struct Owner {
    pub(super) shared: Arc<Shared>,
    pub(super) scope: CollectionScope,
    pub(super) dimension: usize,
    pub(super) readable: Arc<Readable>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) own_commands: mpsc::WeakSender<Command>,
    pub(super) vector: InUse,
    pub(super) keyword: InUse,
    pub(super) engine: VectorEngine,
    pub(super) builder: Option<JoinHandle<()>>,
}

impl Owner {
    /// Works until it is closed or nobody can ask any more.
    pub(super) async fn run(mut self) {
        self.move_if_out_of_place().await;
        let mut closing = None;
        let mut next = None;
        loop {
            let command = match next.take() {
                Some(command) => Some(command),
                None => self.receive().await,
            };
            self.readable.busy.store(true, Ordering::Relaxed);
            match command {
                None => break,
                Some(Command::Close { reply }) => {
                    closing = Some(reply);
                    break;
                }
                Some(Command::CatchUp { seq, reply }) => {
                    let mut waiting = vec![(seq, reply)];
                    // Whoever asked while the last batch was being flushed shares the next flush.
                    while next.is_none() {
                        match self.commands.try_recv() {
                            Ok(Command::CatchUp { seq, reply }) => waiting.push((seq, reply)),
                            Ok(other) => next = Some(other),
                            Err(_) => break,
                        }
                    }
                    self.catch_up(waiting).await;
                    self.move_if_out_of_place().await;
                }
                Some(Command::Rebuild { kind, progress, reply }) => {
                    self.rebuild(kind, self.engine, progress, reply)
                }
                Some(Command::Adopt { kind, built, reply }) => {
                    let adopted = match built {
                        Ok(built) => self.adopt(kind, built).await,
                        Err(e) => Err(e),
                    };
                    self.builder = None;
                    self.readable.building.store(false, Ordering::Relaxed);
                    self.answer_build(kind, adopted, reply);
                }
                Some(Command::Optimize { reply }) => {
                    let _ = reply.send(self.optimize().await);
                }
            }
            self.readable.busy.store(false, Ordering::Relaxed);
        }
        let closed = self.close().await;
        if let Some(reply) = closing {
            let _ = reply.send(closed);
        } else if let Err(e) = closed {
            tracing::warn!(collection = self.scope.name().as_str(), "closing indexes failed: {e}");
        }
    }

    /// The next command; after a while without one, the memory of writing is given back.
    async fn receive(&mut self) -> Option<Command> {
        let idle = Duration::from_millis(self.shared.config.idle_ms);
        if let Ok(command) = tokio::time::timeout(idle, self.commands.recv()).await {
            return command;
        }
        if let AnyIndex::Keyword(index) = &self.keyword.index
            && let Err(e) = index.rest().await
        {
            tracing::warn!(collection = self.scope.name().as_str(), "the keyword writer did not close: {e}");
        }
        self.commands.recv().await
    }

    async fn catch_up(&mut self, waiting: Vec<(Seq, Reply)>) {
        let wanted = waiting.iter().map(|(seq, _)| *seq).max().unwrap_or(Seq(0));
        let result = self.follow_until(wanted).await;
        if let Err(e) = &result
            && e.kind() == ErrorKind::Corrupt
        {
            self.mend();
        }
        for (seq, reply) in waiting {
            let answer = match &result {
                Ok(reached) if *reached >= seq => Ok(()),
                Ok(reached) => Err(StoreError::new(
                    ErrorKind::Invalid,
                    format!("change {} was asked for, but the collection's last one is {}", seq.0, reached.0),
                )),
                Err(e) => {
                    Err(StoreError::new(e.kind(), format!("indexing {} failed: {e}", self.scope.name())))
                }
            };
            // Who stopped waiting is not told.
            let _ = reply.send(answer);
        }
        if let Err(e) = result {
            tracing::error!(collection = self.scope.name().as_str(), error = e.chain(), "indexing failed");
        }
    }

    /// Applies and flushes batches until `wanted` is reached or there is nothing left. Returns what is flushed.
    async fn follow_until(&mut self, wanted: Seq) -> Result<Seq> {
        let catalog = Arc::clone(&self.shared.catalog);
        loop {
            let flushed = self.vector.flushed.min(self.keyword.flushed);
            if flushed >= wanted {
                return Ok(flushed);
            }
            let changes =
                catalog.changes(&self.scope, flushed, self.shared.config.batch_changes.max(1)).await?;
            let Some(last) = changes.last() else { return Ok(flushed) };
            crate::fault::point("index.apply.before");
            follow(catalog.as_ref(), &self.scope, &[&self.vector.index, &self.keyword.index], &changes)
                .await?;
            crate::fault::point("index.apply.after");
            let (vector, keyword) =
                tokio::join!(self.vector.index.flush(last.seq), self.keyword.index.flush(last.seq));
            vector?;
            keyword?;
            for in_use in [&mut self.vector, &mut self.keyword] {
                catalog
                    .record_watermark(&self.scope, in_use.index.kind(), in_use.generation, last.seq)
                    .await?;
                in_use.flushed = in_use.flushed.max(last.seq);
            }
        }
    }

    /// An index on disk turned out to be damaged while writing: whichever says so is built anew beside it.
    fn mend(&mut self) {
        if self.engine != VectorEngine::Flat {
            self.rebuild(IndexKind::Vector, self.engine, None, None);
        } else {
            self.rebuild(IndexKind::Keyword, self.engine, None, None);
        }
    }

    /// Starts building a generation, unless one is being built.
    fn rebuild(
        &mut self,
        kind: IndexKind,
        engine: VectorEngine,
        progress: Option<Progress>,
        reply: Option<Reply>,
    ) {
        if self.builder.is_some() {
            let busy = StoreError::new(
                ErrorKind::Conflict,
                format!("an index of {} is being built already; wait until it is in use", self.scope.name()),
            );
            return self.answer_build(kind, Err(busy), reply);
        }
        let generation = match kind {
            IndexKind::Vector => self.vector.generation + 1,
            IndexKind::Keyword => self.keyword.generation + 1,
        };
        let plan = Plan { kind, engine, generation, dimension: self.dimension, progress, reply };
        let task =
            build::build(Arc::clone(&self.shared), self.scope.clone(), plan, self.own_commands.clone());
        self.readable.building.store(true, Ordering::Relaxed);
        self.builder = Some(tokio::spawn(task));
    }

    fn answer_build(&self, kind: IndexKind, result: Result<()>, reply: Option<Reply>) {
        match (reply, result) {
            (Some(reply), result) => {
                let _ = reply.send(result);
            }
            (None, Err(e)) => {
                let index = super::any::name(kind);
                tracing::error!(
                    collection = self.scope.name().as_str(),
                    index,
                    error = e.chain(),
                    "a new index was not built"
                );
            }
            (None, Ok(())) => {}
        }
    }

    /// Brings a built generation up to now, checks it, and puts it in the old one's place.
    async fn adopt(&mut self, kind: IndexKind, built: Built) -> Result<()> {
        let (catalog, scope) = (self.shared.catalog.as_ref(), &self.scope);
        let Built { index, engine, generation } = built;
        let flushed = match build::finish(catalog, scope, &index).await {
            Ok(flushed) => flushed,
            Err(e) => {
                index.close().await?;
                self.shared.engines.remove_generation(scope.key(), kind, generation).await?;
                return Err(e);
            }
        };
        let in_use = match kind {
            IndexKind::Vector => &mut self.vector,
            IndexKind::Keyword => &mut self.keyword,
        };
        catalog.swap_generation(scope, kind, in_use.generation, generation, flushed).await?;
        self.readable.show(&index, generation);
        let old = std::mem::replace(in_use, InUse { index, generation, flushed });
        if kind == IndexKind::Vector {
            self.engine = engine;
        }
        // From here on the new generation serves; what goes wrong with the old one's remains is no failure.
        let removed = match old.index.close().await {
            Ok(()) => self.shared.engines.remove_generation(scope.key(), kind, old.generation).await,
            Err(e) => Err(e),
        };
        if let Err(e) = removed {
            tracing::warn!(
                collection = scope.name().as_str(),
                "an old index was not removed, it is at the next opening: {e}"
            );
        }
        Ok(())
    }

    /// Moves the vectors to the other engine where the collection's size calls for it, or anew to the same one where
    /// its files have grown beyond use.
    async fn move_if_out_of_place(&mut self) {
        let AnyIndex::Vector(index) = &self.vector.index else { return };
        if self.builder.is_some() {
            return;
        }
        let Ok(stats) = index.stats().await else { return };
        let engine = self.shared.engines.engine_for(stats.entries, self.engine);
        let anew = index.wants_rebuild().await;
        if engine != self.engine || anew.is_some() {
            let reason = anew.unwrap_or_else(|| format!("{} chunks call for another engine", stats.entries));
            tracing::info!(collection = self.scope.name().as_str(), "building a new vector index: {reason}");
            self.rebuild(IndexKind::Vector, engine, None, None);
        }
    }

    async fn optimize(&mut self) -> Result<()> {
        for in_use in [&self.vector, &self.keyword] {
            in_use.index.optimize().await?;
            in_use.index.flush(in_use.flushed).await?;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        if let Some(builder) = self.builder.take() {
            builder.abort();
            // Its folder is a left-over that the next opening removes.
            let _ = builder.await;
        }
        self.keyword.index.close().await?;
        self.vector.index.close().await
    }
}

/// Applies changes to the indexes. What counts is the last change of each version: one that was stored and removed
/// within the batch is only removed. Applying them again is harmless.
pub(super) async fn follow(
    catalog: &dyn Catalog,
    scope: &CollectionScope,
    indexes: &[&AnyIndex],
    changes: &[Change],
) -> Result<()> {
    let last: BTreeMap<_, _> =
        changes.iter().map(|change| ((change.document, change.version), change.kind)).collect();
    let mut removed = Vec::new();
    let mut entries = Vec::new();
    for ((document, version), kind) in last {
        let stored = match kind {
            ChangeKind::Stored => catalog.index_entries(scope, document, version).await?,
            ChangeKind::Removed => Vec::new(),
        };
        // Keys that an earlier attempt at the same version used are no longer among its entries.
        let kept: HashSet<_> = stored.iter().map(|entry| entry.vector.key).collect();
        let keys = catalog.chunk_keys(scope, document, version).await?;
        removed.extend(keys.into_iter().filter(|key| !kept.contains(key)));
        entries.extend(stored);
        while entries.len() >= ENTRIES_PER_CALL {
            let rest = entries.split_off(ENTRIES_PER_CALL);
            upsert(indexes, std::mem::replace(&mut entries, rest)).await?;
        }
    }
    upsert(indexes, entries).await?;
    for index in indexes {
        index.remove(&removed).await?;
    }
    Ok(())
}

async fn upsert(indexes: &[&AnyIndex], entries: Vec<crate::catalog::IndexEntry>) -> Result<()> {
    for index in indexes {
        index.upsert(entries.clone()).await?;
    }
    Ok(())
}
