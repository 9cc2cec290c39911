//! The stages that reorder, pick among and widen the hits of one search, after fusion and the join.

use std::time::{Duration, Instant};

use tracing::Instrument;
use wellspring_store::{ChunkKey, CollectionScope};

use crate::context::contexts;
use crate::diversify::marginal_relevance;
use crate::error::Result;
use crate::exact::Pins;
use crate::expand::MINED;
use crate::explain::{Degraded, Explain, Timings};
use crate::passage::Passage;
use crate::pipeline::Retriever;
use crate::query::Query;
use crate::ranker;
use crate::refine::{refine, sink};
use crate::rerank::{keep_relevant, rerank};
use crate::smooth::{self, smooth};
use crate::spans;

/// Hits that maximal marginal relevance picks from, per hit wanted.
const MMR_POOL: usize = 4;

impl Retriever {
    /// The stages between fusion and the models that read or were trained: neighbours, late interaction and proximity.
    pub(crate) async fn reorder(
        &self,
        scope: &CollectionScope,
        query: &Query,
        hits: &mut [Passage],
        timings: &mut Timings,
    ) -> Option<Degraded> {
        if let Some(weight) = query.smooth {
            let stage = Instant::now();
            smooth(hits, weight);
            timings.add("smooth", stage);
        }
        if !query.refine.is_on() {
            return None;
        }
        let embedder = self.models.embedder(&self.store, scope, &query.account).await;
        refine(&query.refine, embedder, &self.tokens, &query.text, hits, timings).await
    }

    /// Lets the reranker order the best hits; pins are spared by its threshold.
    pub(crate) async fn rerank(
        &self,
        query: &Query,
        hits: &mut Vec<Passage>,
        pins: &Pins,
        explain: Option<&mut Explain>,
        timings: &mut Timings,
    ) -> Option<Degraded> {
        let settings = query.rerank.as_ref()?;
        let stage = Instant::now();
        let read = settings.candidates.min(hits.len());
        let (head, tail) = hits.split_at_mut(read);
        let mut threshold = None;
        let budget = Duration::from_millis(settings.budget_ms);
        let degraded = match self.registry.reranker_for(Some(&settings.model), &query.account, budget).await {
            Ok(Some(reranker)) => {
                let span = spans::rerank(reranker.name());
                let failed = rerank(reranker.as_ref(), &query.text, head, budget).instrument(span).await;
                threshold = settings.min_score.filter(|_| failed.is_none()).map(|least| (reranker, least));
                failed
            }
            Ok(None) => {
                let reason = format!("there is no reranker {}", settings.model);
                Some(Degraded { leg: "rerank".to_owned(), reason })
            }
            Err(error) => Some(Degraded { leg: "rerank".to_owned(), reason: error.to_string() }),
        };
        if degraded.is_none() {
            sink(head, tail);
        }
        let uncalibrated = threshold.and_then(|(reranker, least)| {
            match keep_relevant(reranker.as_ref(), hits, read, least, pins) {
                Ok(left_out) => {
                    if let Some(report) = explain.filter(|_| left_out > 0) {
                        report.dropped.insert("below_min_score", left_out);
                    }
                    None
                }
                Err(degraded) => Some(degraded),
            }
        });
        timings.add("rerank", stage);
        degraded.or(uncalibrated)
    }

    /// At most `k` hits by maximal marginal relevance, pins among them.
    pub(crate) async fn diversify(
        &self,
        scope: &CollectionScope,
        hits: Vec<Passage>,
        pins: &Pins,
        lambda: f32,
        k: usize,
    ) -> Result<Vec<Passage>> {
        let index = self.store.indexes.vector(scope).await?;
        let mut vectors = Vec::with_capacity(hits.len());
        for hit in &hits {
            vectors.push(index.vector(hit.place.key).await?);
        }
        let scores: Vec<f32> = hits.iter().map(|hit| hit.score).collect();
        let keys: Vec<ChunkKey> = hits.iter().map(|hit| hit.place.key).collect();
        let mut hits: Vec<Option<Passage>> = hits.into_iter().map(Some).collect();
        let mut picked = marginal_relevance(&scores, &vectors, lambda, k);
        pins.keep_picked(&keys, &mut picked);
        Ok(picked.into_iter().filter_map(|index| hits[index].take()).collect())
    }

    /// Reads each hit with its neighbours or section, where that is asked for.
    pub(crate) async fn widen(
        &self,
        scope: &CollectionScope,
        query: &Query,
        hits: &mut Vec<Passage>,
        timings: &mut Timings,
    ) -> Option<Degraded> {
        let neighbours = query.neighbours?;
        let stage = Instant::now();
        let widened = contexts(self.store.catalog.as_ref(), scope, hits, neighbours).await;
        timings.add("context", stage);
        match widened {
            Ok(found) => {
                for (hit, context) in hits.iter_mut().zip(found) {
                    hit.context = context;
                }
                hits.retain(|hit| hit.context.is_some());
                None
            }
            Err(error) => {
                let reason = format!("passages are not widened: {error}");
                Some(Degraded { leg: "context".to_owned(), reason })
            }
        }
    }
}

impl Query {
    /// Hits to collect before the stages that pick among them.
    pub(crate) fn pool(&self) -> usize {
        let reranked = self.rerank.as_ref().map_or(0, |settings| settings.candidates);
        let picked = self.mmr.map_or(self.k, |_| self.k.saturating_mul(MMR_POOL));
        let refined = if self.refine.is_on() { self.refine.candidates } else { 0 };
        let mined = if self.expand.acronyms { MINED } else { 0 };
        let smoothed = if self.smooth.is_some() { smooth::POOL } else { 0 };
        let learned = if self.ranker { ranker::CANDIDATES } else { 0 };
        picked.max(reranked).max(refined).max(mined).max(smoothed).max(learned)
    }

    /// Whether the first round's hits may change what is asked.
    pub(crate) fn learns(&self) -> bool {
        self.expand.acronyms || self.widens_pool()
    }

    /// Whether feedback can bring in anything: all that is collected is read by a stage that reorders it.
    pub(crate) fn widens_pool(&self) -> bool {
        let read = self.rerank.as_ref().map_or(0, |settings| settings.candidates);
        let refined = if self.refine.is_on() { self.refine.candidates } else { 0 };
        let learned = if self.ranker { ranker::CANDIDATES } else { 0 };
        self.expand.feedback > 0 && read.max(refined).max(learned) >= self.pool()
    }
}
