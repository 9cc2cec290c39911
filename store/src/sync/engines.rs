//! Which engine keeps an index, and in which folder: opening, making and removing generations.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::remotes::{RemoteKind, Remotes};
use super::{AnyIndex, SyncConfig, any};
use crate::catalog::IndexKind;
use crate::document::CollectionKey;
use crate::error::{ErrorKind, Result, StoreError};
use crate::keyword::tantivy::TantivyIndex;
use crate::scope::CollectionScope;
use crate::vector::VectorIndex;
use crate::vector::flat::{FlatIndex, Form, ScanPool};

/// What keeps a generation of vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VectorEngine {
    Flat,
    #[cfg(feature = "edge")]
    Edge,
    /// A server, and every process of the catalog uses what is there.
    Remote(RemoteKind),
}

/// Makes and finds indexes.
pub(super) struct Engines {
    folder: Option<PathBuf>,
    pool: ScanPool,
    form: Form,
    flat_max_chunks: u64,
    pub(super) remotes: Remotes,
}

impl Engines {
    pub(super) fn new(
        folder: Option<PathBuf>,
        config: &SyncConfig,
        pool: ScanPool,
        remotes: Remotes,
    ) -> Self {
        Self { folder, pool, form: config.flat_form, flat_max_chunks: config.flat_max_chunks, remotes }
    }

    /// This process among those that write shared indexes.
    pub(super) fn holder(&self) -> Arc<str> {
        self.remotes.holder()
    }

    /// The engine for a collection of this size that has `now` in use; the same one unless it is clearly out of place.
    pub(super) fn engine_for(&self, chunks: u64, now: VectorEngine) -> VectorEngine {
        let _ = chunks;
        match self.remotes.chosen() {
            #[cfg(feature = "edge")]
            Some(VectorEngine::Edge) if self.folder.is_none() => return VectorEngine::Flat,
            Some(chosen) => return chosen,
            None => {}
        }
        #[cfg(feature = "edge")]
        if self.folder.is_some() {
            let (up, down) = (self.flat_max_chunks / 10 * 11, self.flat_max_chunks / 3 * 2);
            return match now {
                VectorEngine::Flat if chunks > up.max(self.flat_max_chunks) => VectorEngine::Edge,
                VectorEngine::Edge if chunks < down => VectorEngine::Flat,
                VectorEngine::Remote(_) if chunks > self.flat_max_chunks => VectorEngine::Edge,
                VectorEngine::Remote(_) => VectorEngine::Flat,
                stays => stays,
            };
        }
        match now {
            VectorEngine::Remote(_) => VectorEngine::Flat,
            stays => stays,
        }
    }

    /// Opens the generation of the keyword index, or makes it if its folder is not there. Blocking work is moved off.
    pub(super) async fn keyword(&self, collection: CollectionKey, generation: u32) -> Result<TantivyIndex> {
        match self.generation(collection, IndexKind::Keyword, generation) {
            Some(folder) => blocking(move || TantivyIndex::open(&folder)).await,
            None => TantivyIndex::in_memory(),
        }
    }

    /// An empty exact index.
    pub(super) fn flat(&self, dimension: usize, chunks: u64) -> Result<Arc<dyn VectorIndex>> {
        let reason = match self.folder {
            _ if self.remotes.chosen() == Some(VectorEngine::Flat) => {
                format!("{chunks} chunks when loaded; chosen by configuration")
            }
            None => format!("kept in memory only; {chunks} chunks when loaded"),
            Some(_) if cfg!(feature = "edge") => {
                format!("{chunks} chunks when loaded, scanned exactly up to {}", self.flat_max_chunks)
            }
            Some(_) => {
                format!("{chunks} chunks when loaded, scanned exactly: this build has no feature `edge`")
            }
        };
        Ok(Arc::new(FlatIndex::new(dimension, self.form, self.pool.clone(), reason)?))
    }

    /// Whether a generation of vectors lies on this disk: only the approximate engine keeps files.
    #[cfg(feature = "edge")]
    pub(super) fn has_edge(&self, collection: CollectionKey, generation: u32) -> bool {
        self.generation(collection, IndexKind::Vector, generation).is_some_and(|folder| folder.is_dir())
    }

    /// Opens the approximate index of a generation, or makes it if its folder is not there.
    #[cfg(feature = "edge")]
    pub(super) async fn edge(
        &self,
        collection: CollectionKey,
        generation: u32,
        dimension: usize,
        chunks: u64,
    ) -> Result<Arc<dyn VectorIndex>> {
        let folder = self
            .generation(collection, IndexKind::Vector, generation)
            .ok_or_else(|| StoreError::new(ErrorKind::Internal, "an approximate index needs a folder"))?;
        let reason = match self.remotes.chosen() {
            Some(_) => format!("{chunks} chunks when opened; chosen by configuration"),
            None => {
                format!(
                    "{chunks} chunks when opened, more than the {} that are scanned",
                    self.flat_max_chunks
                )
            }
        };
        let index =
            blocking(move || crate::vector::edge::EdgeIndex::open(&folder, dimension, reason)).await?;
        Ok(Arc::new(index))
    }

    /// An empty index as the next generation; what lies in its folder from an interrupted build is removed first.
    pub(super) async fn create(
        &self,
        scope: &CollectionScope,
        kind: IndexKind,
        generation: u32,
        engine: VectorEngine,
        dimension: usize,
        chunks: u64,
    ) -> Result<AnyIndex> {
        let collection = scope.key();
        self.remove_generation(collection, kind, generation).await?;
        Ok(match (kind, engine) {
            (IndexKind::Keyword, _) => {
                AnyIndex::Keyword(Arc::new(self.keyword(collection, generation).await?))
            }
            (IndexKind::Vector, VectorEngine::Flat) => AnyIndex::Vector(self.flat(dimension, chunks)?),
            #[cfg(feature = "edge")]
            (IndexKind::Vector, VectorEngine::Edge) => {
                AnyIndex::Vector(self.edge(collection, generation, dimension, chunks).await?)
            }
            (IndexKind::Vector, VectorEngine::Remote(kind)) => {
                AnyIndex::Vector(self.remotes.engine(kind)?.create(scope, generation, dimension).await?)
            }
        })
    }

    /// Whether a keyword index of this generation was ever on this disk.
    pub(super) fn has_keyword(&self, collection: CollectionKey, generation: u32) -> bool {
        self.generation(collection, IndexKind::Keyword, generation).is_some_and(|folder| folder.is_dir())
    }

    /// Removes a generation's folder, if there is one; what a server keeps of it stays.
    pub(super) async fn remove_generation(
        &self,
        collection: CollectionKey,
        kind: IndexKind,
        generation: u32,
    ) -> Result<()> {
        match self.generation(collection, kind, generation) {
            Some(folder) => blocking(move || remove_folder(&folder)).await,
            None => Ok(()),
        }
    }

    /// Removes what builds that never finished left of a collection.
    pub(super) async fn remove_generations_except(
        &self,
        collection: CollectionKey,
        vector: u32,
        keyword: u32,
    ) -> Result<()> {
        // Where vectors are kept in the process its numbers mean nothing to others.
        if self.remotes.shares() {
            self.remotes.retire_below(collection, vector).await;
        }
        let Some(folder) = self.collection(collection) else { return Ok(()) };
        let keep = [generation_name(IndexKind::Vector, vector), generation_name(IndexKind::Keyword, keyword)];
        blocking(move || {
            for name in names_in(&folder)? {
                if !keep.contains(&name) {
                    remove_folder(&folder.join(name))?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Removes a collection's folder, and what servers keep of it.
    pub(super) async fn remove_collection(&self, collection: CollectionKey) -> Result<()> {
        self.remotes.remove_below(collection, None).await;
        match self.collection(collection) {
            Some(folder) => blocking(move || remove_folder(&folder)).await,
            None => Ok(()),
        }
    }

    /// Removes the folders of collections that are not among the living. What is not named by a number is left alone.
    pub(super) async fn remove_collections_except(&self, living: BTreeSet<CollectionKey>) -> Result<()> {
        let Some(root) = self.folder.clone() else { return Ok(()) };
        blocking(move || {
            for name in names_in(&root)? {
                if name.parse().is_ok_and(|key| !living.contains(&CollectionKey(key))) {
                    remove_folder(&root.join(name))?;
                }
            }
            Ok(())
        })
        .await
    }

    fn collection(&self, collection: CollectionKey) -> Option<PathBuf> {
        self.folder.as_ref().map(|root| root.join(collection.0.to_string()))
    }

    fn generation(&self, collection: CollectionKey, kind: IndexKind, generation: u32) -> Option<PathBuf> {
        self.collection(collection).map(|folder| folder.join(generation_name(kind, generation)))
    }
}

fn generation_name(kind: IndexKind, generation: u32) -> String {
    format!("{}-g{generation}", any::name(kind))
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(unusable(e)),
    };
    entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()).map_err(unusable))
        .collect()
}

fn remove_folder(folder: &Path) -> Result<()> {
    match fs_err::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(unusable(e)),
        _ => Ok(()),
    }
}

fn unusable(source: std::io::Error) -> StoreError {
    StoreError::new(
        ErrorKind::Unavailable,
        "the index folder can't be read or changed; check its disk and permissions",
    )
    .with_source(source)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        StoreError::new(ErrorKind::Internal, "index work stopped in the middle; see the log").with_source(e)
    })?
}
