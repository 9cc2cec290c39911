//! One open collection: its indexes in use, as readers see them, and how they are brought up to date at opening.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::any::{self, AnyIndex};
use super::build::{self, Built, Progress};
use super::engines::VectorEngine;
use super::owner::{Owner, UNSORTED_AT_REST, follow};
use super::shared::is_away;
use super::{Reply, Shared};
use crate::catalog::IndexKind;
use crate::document::Seq;
use crate::error::{ErrorKind, Result, StoreError};
use crate::keyword::KeywordIndex;
use crate::scope::CollectionScope;
use crate::vector::VectorIndex;

/// Commands that may wait for one collection's task; further callers wait for room, within their deadlines.
const QUEUE: usize = 256;

/// What a collection's task is asked.
pub(super) enum Command {
    CatchUp { seq: Seq, reply: Reply },
    Rebuild { kind: IndexKind, progress: Option<Progress>, reply: Option<Reply> },
    Adopt { kind: IndexKind, built: Result<Built>, reply: Option<Reply> },
    Optimize { reply: Reply },
    Close { reply: Reply },
}

/// Damage that was found and mended when a collection was opened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mended {
    /// `vector` or `keyword`.
    pub index: &'static str,
    /// What was wrong, in words.
    pub what: String,
    /// Entries that were added or removed.
    pub entries: u64,
}

/// An index in use.
pub(super) struct InUse {
    pub(super) index: AnyIndex,
    pub(super) generation: u32,
    pub(super) flushed: Seq,
}

/// What readers take.
pub(super) struct Readable {
    vector: RwLock<(Arc<dyn VectorIndex>, u32)>,
    keyword: RwLock<(Arc<dyn KeywordIndex>, u32)>,
    pub(super) building: AtomicBool,
    pub(super) busy: AtomicBool,
    /// What both indexes have flushed.
    pub(super) reached: AtomicI64,
}

impl Readable {
    /// Puts an index in use for readers; those that have the old one finish with it.
    pub(super) fn show(&self, index: &AnyIndex, generation: u32) {
        match index {
            AnyIndex::Vector(index) => {
                *self.vector.write().unwrap_or_else(PoisonError::into_inner) =
                    (Arc::clone(index), generation);
            }
            AnyIndex::Keyword(index) => {
                *self.keyword.write().unwrap_or_else(PoisonError::into_inner) =
                    (Arc::clone(index), generation);
            }
        }
    }
}

/// See the module's description.
pub(crate) struct Opened {
    readable: Arc<Readable>,
    commands: mpsc::Sender<Command>,
    task: Mutex<Option<JoinHandle<()>>>,
    pub(super) mended: Vec<Mended>,
}

impl Opened {
    /// Opens both indexes, brings them to the end of the change sequence and starts the collection's task.
    pub(super) async fn open(shared: Arc<Shared>, scope: CollectionScope) -> Result<Arc<Self>> {
        let (found, collection) = shared.catalog.collection(scope.scope(), scope.name()).await?;
        if found.key() != scope.key() {
            return Err(StoreError::new(
                ErrorKind::NotFound,
                format!("the collection {} was deleted", scope.name()),
            ));
        }
        shared.catalog.enroll(&scope).await?;
        let mut opening =
            Opening { shared: &shared, scope: &scope, dimension: collection.dimension, mended: Vec::new() };
        let (vector, vector_index, engine) = opening.vector().await?;
        let away = is_away(engine, &vector.index).await;
        let (keyword, keyword_index) = opening.keyword().await?;
        let mended = opening.mended;
        for damage in &mended {
            tracing::warn!(
                collection = scope.name().as_str(),
                index = damage.index,
                entries = damage.entries,
                "mended an index at opening: {}",
                damage.what
            );
        }
        shared.engines.remove_generations_except(scope.key(), vector.generation, keyword.generation).await?;
        let readable = Arc::new(Readable {
            vector: RwLock::new((vector_index, vector.generation)),
            keyword: RwLock::new((keyword_index, keyword.generation)),
            building: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            reached: AtomicI64::new(vector.flushed.min(keyword.flushed).0),
        });
        let (commands, received) = mpsc::channel(QUEUE);
        let owner = Owner {
            shared,
            scope,
            dimension: collection.dimension,
            readable: Arc::clone(&readable),
            commands: received,
            own_commands: commands.downgrade(),
            vector,
            keyword,
            engine,
            away,
            builder: None,
            build_failed: None,
            shared_at: None,
            // An earlier process may have left some: the first rest looks.
            unsorted: UNSORTED_AT_REST,
        };
        let task = tokio::spawn(owner.run());
        Ok(Arc::new(Self { readable, commands, task: Mutex::new(Some(task)), mended }))
    }

    pub(super) fn vector(&self) -> Arc<dyn VectorIndex> {
        Arc::clone(&self.readable.vector.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    pub(super) fn keyword(&self) -> Arc<dyn KeywordIndex> {
        Arc::clone(&self.readable.keyword.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// What both indexes have flushed.
    pub(super) fn reached(&self) -> Seq {
        Seq(self.readable.reached.load(Ordering::Acquire))
    }

    /// Of the vector index and of the keyword index.
    pub(super) fn generations(&self) -> (u32, u32) {
        let vector = self.readable.vector.read().unwrap_or_else(PoisonError::into_inner).1;
        (vector, self.readable.keyword.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    pub(super) fn is_building(&self) -> bool {
        self.readable.building.load(Ordering::Relaxed)
    }

    /// Whether closing it would interrupt or delay nobody: no command, no build, no search.
    pub(super) fn is_idle(&self) -> bool {
        let waiting = self.commands.max_capacity() - self.commands.capacity();
        // The task holds each index once, and so do readers' places.
        let searched =
            Arc::strong_count(&self.readable.vector.read().unwrap_or_else(PoisonError::into_inner).0) > 2
                || Arc::strong_count(&self.readable.keyword.read().unwrap_or_else(PoisonError::into_inner).0)
                    > 2;
        waiting == 0 && !searched && !self.is_building() && !self.readable.busy.load(Ordering::Relaxed)
    }

    /// Whether its task has ended: closed, or by a fault of ours.
    pub(super) fn is_over(&self) -> bool {
        self.commands.is_closed()
    }

    /// Has the task do something and waits for its answer; `None` if the collection is closed.
    pub(super) async fn ask(&self, command: impl FnOnce(Reply) -> Command) -> Option<Result<()>> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Ends the task after what it was asked before, and lets go of files.
    pub(super) async fn close(&self) -> Result<()> {
        let closed = self.ask(|reply| Command::Close { reply }).await.unwrap_or(Ok(()));
        if let Some(task) = self.task.lock().await.take() {
            // A task that panicked has nothing left to close.
            let _ = task.await;
        }
        closed
    }
}

/// The steps of opening a collection.
pub(super) struct Opening<'a> {
    pub(super) shared: &'a Shared,
    pub(super) scope: &'a CollectionScope,
    pub(super) dimension: usize,
    pub(super) mended: Vec<Mended>,
}

impl Opening<'_> {
    async fn vector(&mut self) -> Result<(InUse, Arc<dyn VectorIndex>, VectorEngine)> {
        let (generation, recorded) = self.shared.catalog.index_state(self.scope, IndexKind::Vector).await?;
        let chunks = self.shared.catalog.expected_keys(self.scope).await?.len();
        if let Some(opened) = self.remote(generation, recorded, chunks).await? {
            return Ok(opened);
        }
        #[cfg(feature = "edge")]
        if self.shared.engines.has_edge(self.scope.key(), generation) {
            let edge =
                match self.shared.engines.edge(self.scope.key(), generation, self.dimension, chunks).await {
                    Ok(edge) => {
                        let index = AnyIndex::Vector(Arc::clone(&edge));
                        self.bring_up(&index, generation, recorded, true).await.map(|in_use| (in_use, edge))
                    }
                    Err(e) => Err(e),
                };
            match edge {
                Ok((in_use, edge)) => return Ok((in_use, edge, VectorEngine::Edge)),
                Err(e) if e.kind() == ErrorKind::Corrupt => {
                    // Everything is searchable at once by scanning; the graph is built anew in the background.
                    self.note(
                        IndexKind::Vector,
                        format!("unreadable, loaded from the catalog instead: {e}"),
                        chunks,
                    );
                    self.shared
                        .engines
                        .remove_generation(self.scope.key(), IndexKind::Vector, generation)
                        .await?;
                }
                Err(e) => return Err(e),
            }
        }
        let flat = self.shared.engines.flat(self.dimension, chunks)?;
        let in_use = self.bring_up(&AnyIndex::Vector(Arc::clone(&flat)), generation, recorded, false).await?;
        Ok((in_use, flat, VectorEngine::Flat))
    }

    async fn keyword(&mut self) -> Result<(InUse, Arc<dyn KeywordIndex>)> {
        let (generation, recorded) = self.shared.catalog.index_state(self.scope, IndexKind::Keyword).await?;
        let kept = self.shared.engines.has_keyword(self.scope.key(), generation);
        let opened = match self.shared.engines.keyword(self.scope.key(), generation).await {
            Ok(index) => {
                let index: Arc<dyn KeywordIndex> = Arc::new(index);
                let any = AnyIndex::Keyword(Arc::clone(&index));
                self.bring_up(&any, generation, recorded, kept || recorded > Seq(0))
                    .await
                    .map(|in_use| (in_use, index))
            }
            Err(e) => Err(e),
        };
        match opened {
            Err(e) if e.kind() == ErrorKind::Corrupt => self.keyword_anew(generation, &e).await,
            result => result,
        }
    }

    /// A damaged keyword index becomes the next generation, built before anybody searches.
    async fn keyword_anew(&mut self, from: u32, why: &StoreError) -> Result<(InUse, Arc<dyn KeywordIndex>)> {
        let (shared, scope) = (self.shared, self.scope);
        let (kind, generation) = (IndexKind::Keyword, from + 1);
        let index =
            build::create(shared, scope, kind, VectorEngine::Flat, generation, self.dimension, None).await?;
        let flushed = build::finish(shared.catalog.as_ref(), scope, &index).await?;
        shared.catalog.swap_generation(scope, kind, from, generation, flushed).await?;
        let entries = index.keys().await?.len();
        self.note(kind, format!("unreadable, built anew from the catalog: {why}"), entries);
        match &index {
            AnyIndex::Keyword(keyword) => {
                let keyword = Arc::clone(keyword);
                Ok((InUse { index, generation, flushed }, keyword))
            }
            AnyIndex::Vector(_) => {
                Err(StoreError::new(ErrorKind::Internal, "a vector index was built for keywords"))
            }
        }
    }

    /// Follows what came after the index's own watermark, then compares keys. An index that is `kept` on disk should
    /// hold exactly what its watermark says: what else differs is damage, and is noted.
    pub(super) async fn bring_up(
        &mut self,
        index: &AnyIndex,
        generation: u32,
        recorded: Seq,
        kept: bool,
    ) -> Result<InUse> {
        let (catalog, scope) = (self.shared.catalog.as_ref(), self.scope);
        let own = index.watermark().await?;
        if own > catalog.last_seq(scope).await? {
            return Err(StoreError::new(
                ErrorKind::Corrupt,
                format!(
                    "the {} index is newer than the catalog, which was restored from an older copy",
                    any::name(index.kind())
                ),
            ));
        }
        // Below the recorded watermark changes may be purged already, so following would miss removals.
        let whole = own >= recorded;
        let mut reached = own;
        if kept && whole {
            loop {
                let changes =
                    catalog.changes(scope, reached, self.shared.config.batch_changes.max(1)).await?;
                let Some(last) = changes.last() else { break };
                follow(catalog, scope, &[index], &changes).await.map_err(|failed| failed.error)?;
                reached = last.seq;
            }
        }
        if kept && reached > own {
            // Keys are compared as the index shows them, and it shows what is flushed.
            index.flush(reached).await?;
        }
        let (seq, wrong) = build::reconcile(catalog, scope, index, None).await?;
        if kept && !wrong.is_empty() && own < catalog.purged_to(scope).await? {
            // Others did not wait for this process while it was away.
            tracing::info!(
                collection = scope.name().as_str(),
                index = any::name(index.kind()),
                missing = wrong.missing.len(),
                extra = wrong.extra.len(),
                "an index that was away is as the catalog says again"
            );
        } else if kept && !wrong.is_empty() {
            let what = if whole {
                "entries differed from the catalog"
            } else {
                "older than what was recorded as flushed"
            };
            self.note(
                index.kind(),
                format!("{what}: {} missing, {} too many", wrong.missing.len(), wrong.extra.len()),
                wrong.missing.len() + wrong.extra.len(),
            );
        }
        if seq > reached || !wrong.is_empty() || seq > recorded {
            index.flush(seq).await?;
        }
        if seq > recorded {
            catalog.record_watermark(scope, index.kind(), generation, seq).await?;
        }
        Ok(InUse { index: index.clone(), generation, flushed: seq })
    }

    pub(super) fn note(&mut self, kind: IndexKind, what: String, entries: u64) {
        self.mended.push(Mended { index: any::name(kind), what, entries });
    }
}
