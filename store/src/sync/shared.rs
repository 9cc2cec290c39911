//! Indexes that several processes share: finding the generation in use, opening it, and looking at what others did.

use std::sync::Arc;
use std::time::Duration;

use super::any::AnyIndex;
use super::away::Away;
use super::build;
use super::collection::{InUse, Opening};
use super::engines::VectorEngine;
use super::owner::{Failed, Owner};
use super::remotes::{RemoteKind, Remotes};
use super::turn::Turn;
use crate::catalog::IndexKind;
use crate::document::Seq;
use crate::error::{ErrorKind, Result, StoreError};
use crate::vector::VectorIndex;

/// How often, at rest, a process looks for a generation that another one put in use, and for a server that was away.
pub(super) const LOOK: Duration = Duration::from_secs(10);
/// How long a process waits before it asks again whose turn it is.
const POLL: Duration = Duration::from_millis(50);

type Opened = (InUse, Arc<dyn VectorIndex>, VectorEngine);

impl Opening<'_> {
    /// The generation as an engine outside the process keeps it; a new one, for a collection that no index ever followed.
    /// `None` where none of them has it. While the server is away something stands for it that says so.
    pub(super) async fn remote(
        &mut self,
        generation: u32,
        recorded: Seq,
        chunks: u64,
    ) -> Result<Option<Opened>> {
        let chosen = self.shared.engines.remotes.chosen();
        let found = match self.shared.engines.remotes.find(self.scope, generation, self.dimension).await {
            Ok(None) => match chosen {
                Some(VectorEngine::Remote(kind)) if recorded == Seq(0) => self.first(kind, generation).await,
                _ => return Ok(None),
            },
            Ok(Some((index, kind))) => Ok((index, kind)),
            Err(e) => Err(e),
        };
        let brought = match found {
            Ok((index, kind)) => self
                .bring_up_shared(&index, generation, recorded)
                .await
                .map(|in_use| (in_use, index, VectorEngine::Remote(kind))),
            Err(e) => Err(e),
        };
        match brought {
            Ok(opened) => Ok(Some(opened)),
            Err(e) if e.kind() == ErrorKind::Corrupt => {
                // Everything is searchable at once by scanning; the next generation is built in the background.
                self.note(
                    IndexKind::Vector,
                    format!("unusable, loaded from the catalog instead: {e}"),
                    chunks,
                );
                Ok(None)
            }
            // Vectors that are to be kept here can be loaded here: nobody has to wait for a server.
            Err(e) if e.is_transient() => {
                let Some(engine @ VectorEngine::Remote(kind)) = chosen else { return Ok(None) };
                tracing::warn!(
                    collection = self.scope.name().as_str(),
                    error = e.chain(),
                    "a vector index can't be reached: searches go by words"
                );
                let away: Arc<dyn VectorIndex> = Arc::new(Away::new(Remotes::name(kind), e));
                let index = AnyIndex::Vector(Arc::clone(&away));
                Ok(Some((InUse { index, generation, flushed: Seq(0) }, away, engine)))
            }
            Err(e) => Err(e),
        }
    }

    /// Makes a collection's first generation, unless another process does at this moment.
    async fn first(&self, kind: RemoteKind, generation: u32) -> Result<(Arc<dyn VectorIndex>, RemoteKind)> {
        let engine = self.shared.engines.remotes.engine(kind)?;
        loop {
            let turn = Turn::take(self.shared, self.scope, generation).await?;
            if let Some(index) = engine.find(self.scope, generation, self.dimension).await? {
                if let Some(turn) = turn {
                    turn.end().await;
                }
                return Ok((index, kind));
            }
            if let Some(turn) = turn {
                let made = engine.create(self.scope, generation, self.dimension).await;
                let named = match made {
                    Ok(index) => {
                        engine.put_in_use(self.scope.key(), generation).await.map(|()| (index, kind))
                    }
                    Err(e) => Err(e),
                };
                turn.end().await;
                return named;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// What is up to date and holds as many entries as it should is taken as it is: others may have written it a moment ago.
    /// Anything else is brought up like an index of our own, if it is our turn; if not, whoever writes does it.
    async fn bring_up_shared(
        &mut self,
        index: &Arc<dyn VectorIndex>,
        generation: u32,
        recorded: Seq,
    ) -> Result<InUse> {
        let (catalog, scope) = (Arc::clone(&self.shared.catalog), self.scope);
        let any = AnyIndex::Vector(Arc::clone(index));
        let own = index.watermark().await?;
        let up_to_date = own == catalog.last_seq(scope).await? && own >= recorded;
        if up_to_date && index.stats().await?.entries == catalog.expected_keys(scope).await?.len() {
            if own > recorded {
                catalog.record_watermark(scope, IndexKind::Vector, generation, own).await?;
            }
            return Ok(InUse { index: any, generation, flushed: own });
        }
        let Some(turn) = Turn::take(self.shared, scope, generation).await? else {
            return Ok(InUse { index: any, generation, flushed: own });
        };
        let brought = self.bring_up(&any, generation, recorded, true).await;
        turn.end().await;
        brought
    }
}

/// Whether an index stands for one whose server can't be reached.
pub(super) async fn is_away(engine: VectorEngine, index: &AnyIndex) -> bool {
    matches!(engine, VectorEngine::Remote(_)) && index.watermark().await.is_err()
}

impl Owner {
    /// Takes over what other processes did to a shared index: the generation they put in use, and how far it is. Asks a
    /// server again that was away.
    pub(super) async fn look(&mut self) -> std::result::Result<(), Failed> {
        if !self.shares() {
            return Ok(());
        }
        let (generation, recorded) = self.shared.catalog.index_state(&self.scope, IndexKind::Vector).await?;
        if generation != self.vector.generation || self.away {
            self.take_over(generation, recorded).await?;
        }
        if !matches!(self.engine, VectorEngine::Remote(_)) {
            return Ok(());
        }
        match self.vector.index.watermark().await {
            Ok(seq) => {
                self.vector.flushed = seq;
                self.tell();
                Ok(())
            }
            Err(gone) if gone.kind() == ErrorKind::NotFound => {
                let lost = "the vector index is gone from its server; it is built anew from the catalog";
                let lost = StoreError::new(ErrorKind::Corrupt, lost).with_source(gone);
                Err(Failed::of(IndexKind::Vector, lost))
            }
            Err(e) => Err(Failed::of(IndexKind::Vector, e)),
        }
    }

    /// Opens the generation in use in place of ours.
    async fn take_over(&mut self, generation: u32, recorded: Seq) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let scope = self.scope.clone();
        let chunks = shared.catalog.expected_keys(&scope).await?.len();
        let mut opening =
            Opening { shared: &shared, scope: &scope, dimension: self.dimension, mended: Vec::new() };
        let (in_use, _, engine) = match opening.remote(generation, recorded, chunks).await? {
            Some(opened) => opened,
            // It is kept in another process's folder, or lost.
            None => {
                let flat = shared.engines.flat(self.dimension, chunks)?;
                let index = AnyIndex::Vector(Arc::clone(&flat));
                let (flushed, _) = build::reconcile(shared.catalog.as_ref(), &scope, &index, None).await?;
                index.flush(flushed).await?;
                (InUse { index, generation, flushed }, flat, VectorEngine::Flat)
            }
        };
        let away = is_away(engine, &in_use.index).await;
        if away && self.away {
            // Still the same.
            return Ok(());
        }
        self.readable.show(&in_use.index, generation);
        let old = std::mem::replace(&mut self.vector, in_use);
        self.engine = engine;
        self.away = away;
        self.unsorted = 0;
        old.index.unused().await;
        old.index.close().await
    }

    /// Waits until this process may write the vector index, or until it is at `seq` by another one's doing: then `None`, as for
    /// an index that nobody shares.
    pub(super) async fn turn(&mut self, seq: Seq) -> std::result::Result<Option<Turn>, Failed> {
        loop {
            if !matches!(self.engine, VectorEngine::Remote(_)) || self.vector.flushed >= seq {
                return Ok(None);
            }
            let generation = self.vector.generation;
            if let Some(turn) = Turn::take(&self.shared, &self.scope, generation).await? {
                // What the last writer did is known only now.
                self.look().await?;
                if self.vector.generation == generation && self.vector.flushed < seq {
                    return Ok(Some(turn));
                }
                turn.end().await;
                continue;
            }
            tokio::time::sleep(POLL.mul_f64(0.5 + fastrand::f64())).await;
            self.look().await?;
        }
    }
}
