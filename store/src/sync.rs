//! Carries catalog changes into the vector and keyword indexes, remembers how far each got, and rebuilds either.
//!
//! An index is a set of chunk keys with content that never changes under a key. So there are two ways to bring one to the
//! end of the change sequence, and both may be repeated at will:
//!
//! - **follow** reads the changes above what was flushed and applies them in order: the everyday way;
//! - **reconcile** compares the keys an index holds with those the catalog expects, removes what is too much and adds what
//!   is missing: at opening, after damage, and for a new generation, which is a reconciled empty index.
//!
//! The catalog purges a version only when every index has flushed its removal, so following never meets a removal whose
//! keys are gone, unless the index itself went back in time (a power cut, a restored copy): then it is reconciled.
//! Vectors and texts come from the catalog in both ways; nothing is ever embedded here.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OnceCell, oneshot};

use crate::catalog::{Catalog, IndexKind};
use crate::document::{CollectionKey, Seq};
use crate::error::{ErrorKind, Result, StoreError};
use crate::keyword::KeywordIndex;
use crate::scope::{CollectionScope, Scope};
use crate::vector::flat::{Form, ScanPool};
use crate::vector::{VectorIndex, VectorStats};

mod any;
mod build;
mod collection;
mod engines;
mod follower;
mod owner;

pub(crate) use any::AnyIndex;
pub use build::Progress;
pub(crate) use build::differences;
pub use collection::Mended;
use collection::{Command, Opened};
use engines::Engines;
pub use follower::Follower;

/// How indexes are kept.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyncConfig {
    /// Up to this many chunks a collection's vectors are scanned exactly; above, they are searched approximately through
    /// a graph. Switching up happens at a tenth above and down at a third below, so that a collection near the limit does
    /// not go to and fro.
    pub flat_max_chunks: u64,
    /// How scanned vectors are kept in memory.
    pub flat_form: Form,
    /// Threads that scan; 0 takes half of the processors.
    pub scan_threads: usize,
    /// Collections held open; beyond, the one unused for longest is closed.
    pub max_open: usize,
    /// Changes applied before a flush at most.
    pub batch_changes: u32,
    /// Milliseconds that a flush waits for further documents while several are worked on at a time. A document alone does
    /// not wait.
    pub linger_ms: u64,
    /// Milliseconds without writes after which the memory of writing is given back.
    pub idle_ms: u64,
    /// Milliseconds that a caller of [`Indexes::catch_up`] waits at most.
    pub wait_ms: u64,
    /// Milliseconds between two looks for changes that other processes made, where there may be some.
    pub follow_ms: u64,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            flat_max_chunks: 100_000,
            flat_form: Form::default(),
            scan_threads: 0,
            max_open: 64,
            batch_changes: 256,
            linger_ms: 100,
            idle_ms: 10_000,
            wait_ms: 600_000,
            follow_ms: 250,
        }
    }
}

/// How far an index is behind the catalog.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Lag {
    /// The tenant.
    pub tenant: String,
    /// The collection's name.
    pub collection: String,
    /// `vector` or `keyword`.
    pub index: &'static str,
    /// Changes not yet flushed; 1 000 stands for that many or more.
    pub behind: u64,
}

/// What the indexes of one collection are.
#[derive(Debug, Clone, serde::Serialize)]
pub struct IndexStats {
    /// The vector index, with the reason for its engine.
    pub vector: VectorStats,
    /// Its generation, from 1.
    pub vector_generation: u32,
    /// Entries of the keyword index.
    pub keyword_entries: u64,
    /// Its generation, from 1.
    pub keyword_generation: u32,
    /// Whether a new generation of either is being built.
    pub building: bool,
}

/// Everything that opening and building indexes needs.
struct Shared {
    /// Whether this process keeps indexes at all.
    keeps: bool,
    catalog: Arc<dyn Catalog>,
    engines: Engines,
    config: SyncConfig,
}

struct Place {
    opened: Arc<OnceCell<Arc<Opened>>>,
    last_use: AtomicU64,
}

/// The open indexes of every collection, and the task that keeps each up to the change sequence.
///
/// A collection is opened at first use: its indexes are then brought to the end of the change sequence before anybody
/// reads them. Nothing else in the process may write the index folder.
pub struct Indexes {
    shared: Arc<Shared>,
    places: Mutex<HashMap<CollectionKey, Place>>,
    uses: AtomicU64,
}

impl std::fmt::Debug for Indexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexes").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl Indexes {
    /// Indexes in `folder` (`<collection key>/{keyword,vector}-g<generation>`), or in memory without one. Folders of
    /// collections that are gone are removed.
    pub async fn open(
        catalog: Arc<dyn Catalog>,
        folder: Option<PathBuf>,
        config: SyncConfig,
    ) -> Result<Self> {
        let engines = Engines::new(folder, &config, ScanPool::new(scan_threads(&config))?);
        let living = catalog.all_collections().await?.into_iter().map(|(scope, _)| scope.key()).collect();
        engines.remove_collections_except(living).await?;
        Ok(Self::of(Shared { keeps: true, catalog, engines, config }))
    }

    /// No indexes: what is written here, other processes follow. Searching is `Unavailable`, and there is nothing to wait for.
    pub fn none(catalog: Arc<dyn Catalog>, config: SyncConfig) -> Result<Self> {
        let engines = Engines::new(None, &config, ScanPool::new(1)?);
        Ok(Self::of(Shared { keeps: false, catalog, engines, config }))
    }

    fn of(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), places: Mutex::new(HashMap::new()), uses: AtomicU64::new(0) }
    }

    /// Whether this process keeps indexes.
    pub fn keeps_any(&self) -> bool {
        self.shared.keeps
    }

    /// The collection's vector index in use.
    pub async fn vector(&self, scope: &CollectionScope) -> Result<Arc<dyn VectorIndex>> {
        Ok(self.opened(scope).await?.vector())
    }

    /// The collection's keyword index in use.
    pub async fn keyword(&self, scope: &CollectionScope) -> Result<Arc<dyn KeywordIndex>> {
        Ok(self.opened(scope).await?.keyword())
    }

    /// Returns when both indexes have applied and flushed every change up to `seq`. Callers that wait together share
    /// one flush. `Timeout` after the configured wait; the work goes on and asking again is harmless.
    pub async fn catch_up(&self, scope: &CollectionScope, seq: Seq) -> Result<()> {
        if !self.shared.keeps {
            return Ok(());
        }
        let wait = Duration::from_millis(self.shared.config.wait_ms);
        tokio::time::timeout(wait, self.ask(scope, |reply| Command::CatchUp { seq, reply })).await.map_err(
            |e| {
                StoreError::new(
                    ErrorKind::Timeout,
                    format!(
                        "the indexes of {} did not catch up within {} s; they go on working",
                        scope.name(),
                        wait.as_secs()
                    ),
                )
                .with_source(e)
            },
        )?
    }

    /// Builds a new generation of an index from the catalog and puts it in use; searches go on in the old one meanwhile.
    /// `progress` is told entries done and to do. `Conflict` while one is being built already.
    pub async fn rebuild(
        &self,
        scope: &CollectionScope,
        kind: IndexKind,
        progress: Option<Progress>,
    ) -> Result<()> {
        self.ask(scope, |reply| Command::Rebuild { kind, progress: progress.clone(), reply: Some(reply) })
            .await
    }

    /// Does the slow work that makes searches faster (graph, merges). Writes wait meanwhile; searches don't.
    pub async fn optimize(&self, scope: &CollectionScope) -> Result<()> {
        self.ask(scope, |reply| Command::Optimize { reply }).await
    }

    /// How far every index of every collection is behind, from the catalog alone: nothing is opened.
    pub async fn lag(&self) -> Result<Vec<Lag>> {
        const MOST: u32 = 1_000;
        let catalog = &self.shared.catalog;
        let mut lags = Vec::new();
        if !self.shared.keeps {
            return Ok(lags);
        }
        for (scope, _) in catalog.all_collections().await? {
            for kind in [IndexKind::Vector, IndexKind::Keyword] {
                let (_, flushed) = catalog.index_state(&scope, kind).await?;
                let behind = match catalog.last_seq(&scope).await? > flushed {
                    true => catalog.changes(&scope, flushed, MOST).await?.len() as u64,
                    false => 0,
                };
                lags.push(Lag {
                    tenant: scope.tenant().as_str().to_owned(),
                    collection: scope.name().as_str().to_owned(),
                    index: any::name(kind),
                    behind,
                });
            }
        }
        Ok(lags)
    }

    /// What a collection's indexes are.
    pub async fn stats(&self, scope: &CollectionScope) -> Result<IndexStats> {
        let opened = self.opened(scope).await?;
        let (vector_generation, keyword_generation) = opened.generations();
        Ok(IndexStats {
            vector: opened.vector().stats().await?,
            vector_generation,
            keyword_entries: opened.keyword().len().await?,
            keyword_generation,
            building: opened.is_building(),
        })
    }

    /// What opening the collection found wrong in its indexes and mended, for `verify` to report; opens it if need be.
    pub async fn mended_at_opening(&self, scope: &CollectionScope) -> Result<Vec<Mended>> {
        Ok(self.opened(scope).await?.mended.clone())
    }

    /// Closes a collection that was deleted and removes its index folder.
    pub async fn drop_collection(&self, key: CollectionKey) -> Result<()> {
        let mut places = self.places.lock().await;
        if let Some(opened) = places.remove(&key).and_then(|place| place.opened.get().cloned()) {
            opened.close().await?;
        }
        self.shared.engines.remove_collection(key).await
    }

    /// Flushes and closes every collection. Using one again opens it again.
    pub async fn close(&self) -> Result<()> {
        let mut places = self.places.lock().await;
        for (_, place) in places.drain() {
            if let Some(opened) = place.opened.get() {
                opened.close().await?;
            }
        }
        Ok(())
    }

    /// The collection, opened by whoever comes first while the others wait.
    pub(crate) async fn opened(&self, scope: &CollectionScope) -> Result<Arc<Opened>> {
        if !self.shared.keeps {
            return Err(StoreError::new(
                ErrorKind::Unavailable,
                "this process keeps no indexes: ask one that serves",
            ));
        }
        let now = self.uses.fetch_add(1, Ordering::Relaxed);
        let cell = {
            let mut places = self.places.lock().await;
            if !places.contains_key(&scope.key()) {
                self.make_room(&mut places).await?;
            }
            let place = places
                .entry(scope.key())
                .or_insert_with(|| Place { opened: Arc::default(), last_use: AtomicU64::new(now) });
            place.last_use.store(now, Ordering::Relaxed);
            Arc::clone(&place.opened)
        };
        // Index work is done for the tenant as a whole: what a caller may see is decided when hits meet the catalog.
        let whole = CollectionScope::new(
            Scope::administrator(scope.tenant().clone()),
            scope.key(),
            scope.name().clone(),
        );
        let shared = Arc::clone(&self.shared);
        // On a task of its own: a caller that gives up must not leave a folder half opened for the next one.
        let opening =
            tokio::spawn(async move { cell.get_or_try_init(|| Opened::open(shared, whole)).await.cloned() });
        opening.await.map_err(|e| {
            StoreError::new(ErrorKind::Internal, "opening indexes stopped in the middle; see the log")
                .with_source(e)
        })?
    }

    /// Has a collection's task do something. A collection that is closed under our hands is opened again.
    async fn ask(&self, scope: &CollectionScope, command: impl Fn(Reply) -> Command) -> Result<()> {
        for _ in 0..3 {
            let opened = self.opened(scope).await?;
            if let Some(result) = opened.ask(&command).await {
                return result;
            }
            self.forget(scope.key(), &opened).await;
        }
        Err(StoreError::new(
            ErrorKind::Unavailable,
            format!("the indexes of {} are being closed; try again", scope.name()),
        ))
    }

    /// Lets go of a collection whose task has ended, so that the next use opens it again.
    async fn forget(&self, key: CollectionKey, ended: &Arc<Opened>) {
        let mut places = self.places.lock().await;
        let same = |place: &Place| place.opened.get().is_some_and(|opened| Arc::ptr_eq(opened, ended));
        if ended.is_over() && places.get(&key).is_some_and(same) {
            places.remove(&key);
        }
    }

    /// Closes the longest unused collections that have nothing to do. Busy ones stay, beyond the cap if need be.
    async fn make_room(&self, places: &mut HashMap<CollectionKey, Place>) -> Result<()> {
        let mut idle: Vec<(u64, CollectionKey)> = places
            .iter()
            // Who holds the place or what is opened is about to use it.
            .filter(|(_, place)| Arc::strong_count(&place.opened) == 1)
            .filter(|(_, place)| {
                place.opened.get().is_some_and(|opened| Arc::strong_count(opened) == 1 && opened.is_idle())
            })
            .map(|(key, place)| (place.last_use.load(Ordering::Relaxed), *key))
            .collect();
        idle.sort_unstable();
        let over = (places.len() + 1).saturating_sub(self.shared.config.max_open.max(1));
        for (_, key) in idle.into_iter().take(over) {
            if let Some(opened) = places.remove(&key).and_then(|place| place.opened.get().cloned()) {
                opened.close().await?;
            }
        }
        Ok(())
    }
}

fn scan_threads(config: &SyncConfig) -> usize {
    match config.scan_threads {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2)),
        threads => threads,
    }
}

/// Where a command's result goes.
type Reply = oneshot::Sender<Result<()>>;
