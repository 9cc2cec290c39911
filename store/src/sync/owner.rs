//! A collection's own task: the only writer of its indexes. It applies changes in batches, flushes once for everybody
//! who waits, and puts new generations in use.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::any::AnyIndex;
use super::build::{self, Built, Plan, Progress};
use super::collection::{Command, InUse, Readable};
use super::engines::VectorEngine;
use super::shared::LOOK;
use super::{Reply, Shared};
use crate::catalog::{Catalog, Change, ChangeKind, IndexKind};
use crate::document::Seq;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::CollectionScope;

/// Entries handed to an index at a time.
const ENTRIES_PER_CALL: usize = 1_000;
/// A shared flush longer ago than this says nothing of the next one.
const STREAM: Duration = Duration::from_secs(1);
/// Documents that share a flush at most.
const SHARED_BY: usize = 256;
/// A generation that could not be built is tried again after this.
const REBUILT: Duration = Duration::from_secs(30);
/// Vectors outside the graph that searches may have to scan: at this many writes wait while they are taken into it.
const UNSORTED: u64 = 50_000;
/// The same when nobody writes.
pub(super) const UNSORTED_AT_REST: u64 = 1_000;

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
    /// Whether the vector index stands for one whose server is away.
    pub(super) away: bool,
    /// When building a generation failed last.
    pub(super) build_failed: Option<Instant>,
    pub(super) builder: Option<JoinHandle<()>>,
    /// The last flush, if several documents shared it.
    pub(super) shared_at: Option<Instant>,
    /// Vectors added to a graph since it was last put in order.
    pub(super) unsorted: u64,
}

/// A failure, and the index that it is about if it is one's.
pub(super) struct Failed {
    index: Option<IndexKind>,
    pub(super) error: StoreError,
}

impl Failed {
    pub(super) fn of(index: IndexKind, error: StoreError) -> Self {
        Self { index: Some(index), error }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self { index: None, error }
    }
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
                    next = self.gather(&mut waiting).await;
                    let shared = waiting.len() > 1;
                    self.catch_up(waiting).await;
                    self.shared_at = shared.then(Instant::now);
                    self.move_if_out_of_place().await;
                    self.sort(UNSORTED).await;
                }
                Some(Command::Rebuild { kind, progress, reply }) => {
                    self.rebuild(kind, self.engine, progress, reply)
                }
                Some(Command::Adopt { kind, built, reply }) => {
                    let adopted = match built {
                        Ok(built) => self.adopt(kind, built).await,
                        Err(e) => Err(e),
                    };
                    self.build_failed = adopted.is_err().then(Instant::now);
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
        // Not idle: closing the collection would have to wait.
        self.readable.busy.store(true, Ordering::Relaxed);
        self.sort(UNSORTED_AT_REST).await;
        if let AnyIndex::Keyword(index) = &self.keyword.index
            && let Err(e) = index.rest().await
        {
            tracing::warn!(collection = self.scope.name().as_str(), "the keyword writer did not close: {e}");
        }
        self.readable.busy.store(false, Ordering::Relaxed);
        if !self.shares() {
            return self.commands.recv().await;
        }
        loop {
            if let Ok(command) = tokio::time::timeout(LOOK, self.commands.recv()).await {
                return command;
            }
            if let Err(Failed { error, .. }) = self.look().await {
                tracing::debug!(
                    collection = self.scope.name().as_str(),
                    error = error.chain(),
                    "looking failed"
                );
            }
            self.move_if_out_of_place().await;
        }
    }

    /// Collects those who can share the next flush: whoever asked while the last batch was being flushed and, where the
    /// last flush was shared already, whoever asks within a moment. A flush costs the same for one document as for many.
    /// Returns a command of another kind, if one came.
    async fn gather(&mut self, waiting: &mut Vec<(Seq, Reply)>) -> Option<Command> {
        let busy = self.shared_at.is_some_and(|at| at.elapsed() < STREAM);
        let linger = if busy {
            Duration::from_millis(self.shared.config.linger_ms).min(STREAM)
        } else {
            Duration::ZERO
        };
        let until = tokio::time::Instant::now() + linger;
        while waiting.len() < SHARED_BY {
            let command = match self.commands.try_recv() {
                Ok(command) => command,
                Err(_) => match tokio::time::timeout_at(until, self.commands.recv()).await {
                    Ok(Some(command)) => command,
                    Ok(None) | Err(_) => return None,
                },
            };
            match command {
                Command::CatchUp { seq, reply } => waiting.push((seq, reply)),
                other => return Some(other),
            }
        }
        None
    }

    async fn catch_up(&mut self, waiting: Vec<(Seq, Reply)>) {
        let wanted = waiting.iter().map(|(seq, _)| *seq).max().unwrap_or(Seq(0));
        let result = self.follow_until(wanted).await;
        if let Err(Failed { index: Some(kind), error }) = &result
            && error.kind() == ErrorKind::Corrupt
        {
            // It turned out to be damaged while writing: it is built anew beside the damaged one.
            self.rebuild(*kind, self.engine, None, None);
        }
        for (seq, reply) in waiting {
            let answer = match &result {
                Ok(reached) if *reached >= seq => Ok(()),
                Ok(reached) => Err(StoreError::new(
                    ErrorKind::Invalid,
                    format!("change {} was asked for, but the collection's last one is {}", seq.0, reached.0),
                )),
                Err(Failed { error, .. }) => {
                    let message = format!("indexing {} failed: {error}", self.scope.name());
                    Err(StoreError::new(error.kind(), message))
                }
            };
            // Who stopped waiting is not told.
            let _ = reply.send(answer);
        }
        if let Err(Failed { error, .. }) = result {
            tracing::error!(
                collection = self.scope.name().as_str(),
                error = error.chain(),
                "indexing failed"
            );
        }
    }

    /// Applies and flushes batches until `wanted` is reached or there is nothing left. Returns what is flushed.
    async fn follow_until(&mut self, wanted: Seq) -> std::result::Result<Seq, Failed> {
        let catalog = Arc::clone(&self.shared.catalog);
        loop {
            self.look().await?;
            let flushed = self.vector.flushed.min(self.keyword.flushed);
            if flushed >= wanted {
                return Ok(flushed);
            }
            let changes =
                catalog.changes(&self.scope, flushed, self.shared.config.batch_changes.max(1)).await?;
            let Some(last) = changes.last() else { return Ok(flushed) };
            let turn = self.turn(last.seq).await?;
            // Another process may have brought a shared index further than ours are.
            let mut behind: Vec<&mut InUse> = [&mut self.vector, &mut self.keyword]
                .into_iter()
                .filter(|in_use| in_use.flushed < last.seq)
                .collect();
            crate::fault::point("index.apply.before");
            let indexes: Vec<&AnyIndex> = behind.iter().map(|in_use| &in_use.index).collect();
            self.unsorted += follow(catalog.as_ref(), &self.scope, &indexes, &changes).await?;
            crate::fault::point("index.apply.after");
            let flushes = indexes
                .iter()
                .map(|index| async { index.flush(last.seq).await.map_err(|e| Failed::of(index.kind(), e)) });
            for flushed in futures::future::join_all(flushes).await {
                flushed?;
            }
            for in_use in &mut behind {
                catalog
                    .record_watermark(&self.scope, in_use.index.kind(), in_use.generation, last.seq)
                    .await?;
                in_use.flushed = in_use.flushed.max(last.seq);
            }
            self.tell();
            if let Some(turn) = turn {
                turn.end().await;
            }
        }
    }

    /// Lets readers know what both indexes have flushed.
    pub(super) fn tell(&self) {
        let reached = self.vector.flushed.min(self.keyword.flushed);
        self.readable.reached.store(reached.0, Ordering::Release);
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
            // Another process does it, or has done it.
            (None, Err(e)) if e.kind() == ErrorKind::Conflict => {
                tracing::debug!(collection = self.scope.name().as_str(), "a new index was not built: {e}");
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
        let Built { index, engine, generation, turn } = built;
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
        if let VectorEngine::Remote(remote) = engine
            && let Err(e) =
                self.shared.engines.remotes.engine(remote)?.put_in_use(scope.key(), generation).await
        {
            tracing::warn!(error = e.chain(), "an index's lasting name does not lead to the new generation");
        }
        self.readable.show(&index, generation);
        let old = std::mem::replace(in_use, InUse { index, generation, flushed });
        self.tell();
        if kind == IndexKind::Vector {
            let former = std::mem::replace(&mut self.engine, engine);
            self.away = false;
            self.unsorted = 0;
            if [former, engine].iter().any(|engine| matches!(engine, VectorEngine::Remote(_))) {
                self.shared.engines.remotes.retire_below(self.scope.key(), generation).await;
            }
        }
        if let Some(turn) = turn {
            turn.end().await;
        }
        // From here on the new generation serves; what goes wrong with the old one's remains is no failure.
        old.index.unused().await;
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
        let lately = self.build_failed.is_some_and(|at| at.elapsed() < REBUILT);
        if self.builder.is_some() || lately {
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

    /// Takes what was added to a graph since it was last put in order into it, when there is enough of it that searches,
    /// which scan it, notice.
    async fn sort(&mut self, enough: u64) {
        if self.engine == VectorEngine::Flat || self.unsorted < enough || self.builder.is_some() {
            return;
        }
        let sorted = match self.vector.index.optimize().await {
            // How far a shared index is, is for whoever writes it to say.
            Ok(()) if self.shares() => Ok(()),
            Ok(()) => self.vector.index.flush(self.vector.flushed).await,
            Err(e) => Err(e),
        };
        match sorted {
            Ok(()) => self.unsorted = 0,
            Err(e) => tracing::warn!(
                collection = self.scope.name().as_str(),
                error = e.chain(),
                "a vector graph was not extended"
            ),
        }
    }

    async fn optimize(&mut self) -> Result<()> {
        for in_use in [&self.vector, &self.keyword] {
            in_use.index.optimize().await?;
            in_use.index.flush(in_use.flushed).await?;
        }
        self.unsorted = 0;
        Ok(())
    }

    /// Whether other processes may change the vector index, or which one it is.
    pub(super) fn shares(&self) -> bool {
        matches!(self.engine, VectorEngine::Remote(_)) || self.shared.engines.remotes.shares()
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
/// within the batch is only removed. Applying them again is harmless. Returns the number of entries added.
pub(super) async fn follow(
    catalog: &dyn Catalog,
    scope: &CollectionScope,
    indexes: &[&AnyIndex],
    changes: &[Change],
) -> std::result::Result<u64, Failed> {
    let last: BTreeMap<_, _> =
        changes.iter().map(|change| ((change.document, change.version), change.kind)).collect();
    let mut removed = Vec::new();
    let mut entries = Vec::new();
    let mut added = 0;
    for ((document, version), kind) in last {
        let stored = match kind {
            ChangeKind::Stored => catalog.index_entries(scope, document, version).await?,
            ChangeKind::Removed => Vec::new(),
        };
        // Keys that an earlier attempt at the same version used are no longer among its entries.
        let kept: HashSet<_> = stored.iter().map(|entry| entry.vector.key).collect();
        let keys = catalog.chunk_keys(scope, document, version).await?;
        removed.extend(keys.into_iter().filter(|key| !kept.contains(key)));
        added += stored.len() as u64;
        entries.extend(stored);
        while entries.len() >= ENTRIES_PER_CALL {
            let rest = entries.split_off(ENTRIES_PER_CALL);
            upsert(indexes, std::mem::replace(&mut entries, rest)).await?;
        }
    }
    upsert(indexes, entries).await?;
    for index in indexes {
        index.remove(&removed).await.map_err(|e| Failed::of(index.kind(), e))?;
    }
    Ok(added)
}

async fn upsert(
    indexes: &[&AnyIndex],
    entries: Vec<crate::catalog::IndexEntry>,
) -> std::result::Result<(), Failed> {
    for index in indexes {
        index.upsert(entries.clone()).await.map_err(|e| Failed::of(index.kind(), e))?;
    }
    Ok(())
}
