//! One search from request to passages: recall, fuse, join with the catalog, rerank, diversify, widen.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Instrument;
use wellspring_models::registry::Registry;
use wellspring_store::clock::{Clock, SystemClock};
use wellspring_store::{Catalog, ChunkId, CollectionScope, DocumentId, PageSpan, Store, Version};

use crate::adjust::adjust;
use crate::choose::{Chosen, choose};
use crate::config::{RetrieveConfig, within};
use crate::error::{ErrorKind, Result, RetrieveError};
use crate::exact::Pins;
use crate::expand::Wider;
use crate::explain::{self, Degraded, Explain, Timings};
use crate::freshness;
use crate::memory::LegMemory;
use crate::models::CollectionModels;
use crate::passage::{Passage, SearchResponse};
use crate::query::{Query, SearchRequest};
use crate::ranker::{self, LinearRanker, ReadyRanker};
use crate::recall::{DENSE, KEYWORD, Legs, Recalled};
use crate::refine::late::TokenMemory;
use crate::spans;
use crate::tuning::Tunings;

/// Rounds of asking deeper: with four times the depth each, the last asks 64 times the first.
const MAX_ROUNDS: usize = 4;
/// Most documents of one document ranking.
const MAX_DOCUMENTS: usize = 10_000;

/// Searches collections.
pub struct Retriever {
    pub(crate) store: Store,
    pub(crate) registry: Arc<Registry>,
    pub(crate) models: CollectionModels,
    pub(crate) config: RetrieveConfig,
    memory: Option<Arc<dyn LegMemory>>,
    pub(crate) tokens: TokenMemory,
    ranker: Option<ReadyRanker>,
    pub(crate) tunings: Tunings,
    clock: Arc<dyn Clock>,
}

/// The outcome of the rounds of recall.
struct Ranked {
    chosen: Chosen,
    pins: Pins,
    degraded: Vec<Degraded>,
    did_you_mean: Option<String>,
    explain: Option<Explain>,
}

impl Retriever {
    /// `Invalid` if a setting is out of range, `NotFound` without a ranker's file, which is read here. Models are loaded
    /// when a search first needs them.
    pub fn new(store: Store, registry: Arc<Registry>, config: RetrieveConfig) -> Result<Self> {
        config.check()?;
        let tokens = TokenMemory::new(config.refine.cache_bytes);
        let ranker = config.ranker.as_deref().map(LinearRanker::read).transpose()?;
        let ranker = ranker.map(LinearRanker::ready).transpose()?;
        Ok(Self {
            store,
            models: CollectionModels::new(Arc::clone(&registry)),
            registry,
            config,
            memory: None,
            tokens,
            ranker,
            tunings: Tunings::default(),
            clock: Arc::new(SystemClock),
        })
    }

    /// Lets the legs' answers be remembered and recalled; see [`LegMemory`].
    #[must_use]
    pub fn with_memory(self, memory: Arc<dyn LegMemory>) -> Self {
        Self { memory: Some(memory), ..self }
    }

    /// Takes the time, which boosts by date compare with, from this clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    pub(crate) fn catalog(&self) -> &dyn Catalog {
        self.store.catalog.as_ref()
    }

    /// The settings it runs with.
    pub fn config(&self) -> &RetrieveConfig {
        &self.config
    }

    /// At most `k` visible passages, best first. A part that failed is named in `degraded`. Errors: `Invalid` for the
    /// request, `NotFound` for the collection, `Conflict` for another embedder, `Unavailable` or `Timeout` when no leg
    /// could answer.
    pub async fn search(&self, scope: &CollectionScope, request: SearchRequest) -> Result<SearchResponse> {
        if !self.config.record.enabled {
            return self.search_unrecorded(scope, request).await;
        }
        let found = self.search_unrecorded(scope, request.clone()).await?;
        self.record(scope, &request, &found).await;
        Ok(found)
    }

    /// Like [`Retriever::search`], whatever is configured about keeping searches.
    pub(crate) async fn search_unrecorded(
        &self,
        scope: &CollectionScope,
        request: SearchRequest,
    ) -> Result<SearchResponse> {
        let mut query = Query::of(request, &self.config, scope.tenant())?;
        self.run(scope, &mut query).await
    }

    /// The best passage of each of at most `depth` (1–10 000) documents, best first: a document's score is its best
    /// chunk's. Goes on asking deeper until that many documents are found or nothing is left; `k`, `per_document`,
    /// duplicate collapse and MMR do not apply, so that documents with equal text each keep their place.
    pub async fn search_documents(
        &self,
        scope: &CollectionScope,
        request: SearchRequest,
        depth: usize,
    ) -> Result<SearchResponse> {
        within("depth in documents", depth as u64, 1, MAX_DOCUMENTS as u64)?;
        let mut query = Query {
            k: depth,
            per_document: Some(1),
            collapse_duplicates: false,
            near_duplicates: None,
            mmr: None,
            ..Query::of(request, &self.config, scope.tenant())?
        };
        self.run(scope, &mut query).await
    }

    /// The hits of a search as a ranker would get them, each with its features, one per name in
    /// [`ranker::FEATURES`]: what a ranker is trained on. No ranker and no reranker runs.
    pub async fn features(
        &self,
        scope: &CollectionScope,
        request: SearchRequest,
    ) -> Result<Vec<(Passage, Vec<f64>)>> {
        let mut query = Query {
            ranker: false,
            rerank: None,
            mmr: None,
            ..Query::of(request, &self.config, scope.tenant())?
        };
        self.tune(scope, &mut query).await;
        let mut timings = Timings::default();
        let mut hits = Box::pin(self.rank(scope, &query, &mut timings)).await?.chosen.passages;
        self.reorder(scope, &query, &mut hits, &mut timings).await;
        hits.truncate(query.k);
        let rows = ranker::rows(&query.text, &hits).await?;
        Ok(hits.into_iter().zip(rows).collect())
    }

    /// Those of the chunks that are visible under the scope, in the order asked, each once.
    pub async fn fetch(&self, scope: &CollectionScope, ids: &[ChunkId]) -> Result<Vec<Passage>> {
        let chunks = self.store.catalog.chunks_by_id(scope, ids).await?;
        let mut chunks: HashMap<_, _> = chunks.into_iter().map(|chunk| (chunk.id.clone(), chunk)).collect();
        Ok(ids.iter().filter_map(|id| chunks.remove(id)).map(|chunk| Passage::of(chunk, 0.0, None)).collect())
    }

    /// Bytes `start..end` of a document's stored text, if this version is the visible one: what a quote is compared
    /// with. Cut to the text's length and to character boundaries; `NotFound` otherwise.
    pub async fn text_span(
        &self,
        scope: &CollectionScope,
        document: &DocumentId,
        version: Version,
        start: usize,
        end: usize,
    ) -> Result<String> {
        Ok(self.store.catalog.text_span(scope, document, version, start, end).await?)
    }

    /// The pages of a document's visible version, in order; empty where the format has none. `NotFound` if no version is
    /// visible.
    pub async fn pages(&self, scope: &CollectionScope, document: &DocumentId) -> Result<Vec<PageSpan>> {
        Ok(self.store.catalog.text(scope, document).await?.1)
    }

    async fn run(&self, scope: &CollectionScope, query: &mut Query) -> Result<SearchResponse> {
        let span = spans::search(query);
        let found = self.stages(scope, query).instrument(span.clone()).await;
        match &found {
            Ok(found) => {
                span.record("search.hits", found.hits.len());
                span.record("search.degraded", found.degraded.len());
            }
            Err(error) => spans::failed(&span, error.kind()),
        }
        found
    }

    async fn stages(&self, scope: &CollectionScope, query: &mut Query) -> Result<SearchResponse> {
        let start = Instant::now();
        let mut timings = Timings::default();
        self.tune(scope, query).await;
        let query = &*query;
        let lagging = freshness::wait(&self.store, scope, &self.config, &mut timings).await?;
        // Boxed: callers hold this future in theirs.
        let ranked = Box::pin(self.rank(scope, query, &mut timings)).await?;
        let Ranked { chosen, pins, mut degraded, did_you_mean, mut explain } = ranked;
        let mut hits = chosen.passages;
        degraded.extend(lagging);
        degraded.extend(Box::pin(self.reorder(scope, query, &mut hits, &mut timings)).await);
        if let Some(ranker) = self.ranker.as_ref().filter(|_| query.ranker) {
            let stage = Instant::now();
            if let Err(error) = ranker::rank(ranker, &query.text, &mut hits).await {
                degraded.push(Degraded { leg: "ranker".to_owned(), reason: error.to_string() });
            }
            timings.add("ranker", stage);
        }
        degraded.extend(self.rerank(query, &mut hits, &pins, explain.as_mut(), &mut timings).await);
        pins.lift_passages(&mut hits);
        if let Some(lambda) = query.mmr {
            let stage = Instant::now();
            hits = self.diversify(scope, hits, &pins, lambda, query.k).await?;
            timings.add("diversify", stage);
            pins.lift_passages(&mut hits);
        }
        hits.truncate(query.k);
        degraded.extend(self.widen(scope, query, &mut hits, &mut timings).await);
        timings.add("total", start);
        Ok(SearchResponse { hits, degraded, did_you_mean, explain, timings })
    }

    /// Recall, fusion and the join, deeper each round until enough hits are let in.
    async fn rank(&self, scope: &CollectionScope, query: &Query, timings: &mut Timings) -> Result<Ranked> {
        let catalog = self.store.catalog.as_ref();
        let budget = Duration::from_millis(self.config.deadline_ms);
        let legs = |query| Legs::new(&self.store, &self.models, scope, query, self.memory.as_deref(), budget);
        let expanded = Wider::start(query, &self.registry, legs, timings).instrument(spans::expand());
        let (mut wider, mut legs) = expanded.await;
        let want = query.pool();
        let deepest = query.max_depth.max(want);
        let mut depth = query.depth.max(want).min(deepest);
        let mut report = query.explain.then(|| explain::of_query(query));
        let mut earlier: Option<Chosen> = None;
        let mut pins = Pins::default();
        for round in 1.. {
            let mut recalled = match (legs.round(depth, timings).await, earlier.take()) {
                (Ok(recalled), _) => recalled,
                (Err(error), Some(chosen)) if error.is_transient() => {
                    let reason = format!("asking deeper for more hits failed: {error}");
                    let mut degraded = vec![Degraded { leg: "recall".to_owned(), reason }];
                    degraded.extend(wider.degraded());
                    let did_you_mean = legs.did_you_mean().await?;
                    return Ok(Ranked { chosen, pins, degraded, did_you_mean, explain: report });
                }
                (Err(error), _) => return Err(error),
            };
            let fusing = spans::fuse();
            let mut fused = wider.rank(&legs, &mut recalled, depth, timings).instrument(fusing.clone()).await;
            fusing.record("search.candidates", fused.len());
            drop(fusing);
            let now = self.clock.now();
            let mut adjusted = adjust(&self.store, scope, query, &legs, &mut fused, now, timings).await?;
            fused = wider.promote(fused, want);
            if round == 1 && query.exact && query.mode.wants_keyword() {
                pins = legs.pins(&fused, timings).await;
            }
            pins.lift_fused(&mut fused);
            let stage = Instant::now();
            let mut chosen = joined(choose(catalog, scope, query, &fused, want), fused.len()).await?;
            timings.add("join", stage);
            if round == 1 && query.learns() && wider.learn(&legs, &chosen.passages, depth, timings).await {
                fused = wider.rank(&legs, &mut recalled, depth, timings).instrument(spans::fuse()).await;
                adjusted = adjust(&self.store, scope, query, &legs, &mut fused, now, timings).await?;
                fused = wider.promote(fused, want);
                pins.lift_fused(&mut fused);
                let stage = Instant::now();
                chosen = joined(choose(catalog, scope, query, &fused, want), fused.len()).await?;
                timings.add("join", stage);
            }
            // Chunks that feedback proposed stand among the first for a later stage; here the score decides.
            chosen.passages.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.place.key.cmp(&b.place.key)));
            if let Some(report) = &mut report {
                describe(report, &recalled, &chosen, fused.len());
                report.expanded = wider.told().to_vec();
                adjusted.tell(report, &mut chosen.passages);
                (report.depth, report.rounds, report.candidates) = (depth, round, legs.candidates());
            }
            let enough = chosen.passages.len() >= want || recalled.exhausted();
            if enough || depth == deepest || round == MAX_ROUNDS {
                if let Some(report) = &mut report
                    && query.mode.wants_dense()
                {
                    report.vector_index = legs.vector_engine().await;
                }
                let did_you_mean = legs.did_you_mean().await?;
                let degraded = legs.degraded().into_iter().chain(wider.degraded()).collect();
                return Ok(Ranked { chosen, pins, degraded, did_you_mean, explain: report });
            }
            earlier = Some(chosen);
            depth = depth.saturating_mul(4).min(deepest);
        }
        Err(RetrieveError::new(ErrorKind::Internal, "the rounds of recall ended without a result"))
    }
}

/// The join in its span.
async fn joined(join: impl Future<Output = Result<Chosen>>, candidates: usize) -> Result<Chosen> {
    let span = spans::join(candidates);
    let chosen = join.instrument(span.clone()).await?;
    span.record("search.hits", chosen.passages.len());
    Ok(chosen)
}

fn describe(report: &mut Explain, recalled: &Recalled, chosen: &Chosen, fused: usize) {
    report.legs = [(DENSE, &recalled.dense), (KEYWORD, &recalled.keyword)]
        .into_iter()
        .filter_map(|(name, list)| Some(explain::leg(name, list.as_ref()?)))
        .collect();
    report.fused = fused;
    report.dropped = chosen.drops.counts.clone();
    report.dropped_hits = chosen.drops.named.clone();
}

/// Documents in the order of their best passage, each with that passage's score.
pub fn document_ranking(hits: &[Passage]) -> Vec<(DocumentId, f32)> {
    let mut best: HashMap<&DocumentId, f32> = HashMap::new();
    for hit in hits {
        best.entry(&hit.document_id).and_modify(|score| *score = score.max(hit.score)).or_insert(hit.score);
    }
    let mut ranking: Vec<_> = best.into_iter().map(|(id, score)| (id.clone(), score)).collect();
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranking
}
