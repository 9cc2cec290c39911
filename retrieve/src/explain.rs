//! How a search and each of its hits came about, and what was left out and why.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;
use wellspring_store::ChunkId;
use wellspring_store::keyword::KeywordScoring;

use crate::boost::BoostExplain;
use crate::expand::Expanded;
use crate::fuse::{Fused, Fusion, LegList, LegScore, Missing, Spread};
use crate::hop::{LinkExplain, LinksExplain};
use crate::query::{Mode, Query};

/// Most left-out chunks that are named one by one; the counts are always whole.
const NAMED_DROPS: usize = 50;

/// A part of the search that did not do its work, so that the result is poorer than it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Degraded {
    /// `dense`, `keyword`, `indexes` (behind what other processes wrote), `expand`, `late`, `rerank` or `context`; an answer adds its own.
    pub leg: String,
    /// What happened, in words.
    pub reason: String,
}

/// How a search came about.
#[derive(Debug, Clone, Serialize)]
pub struct Explain {
    /// The query as it was embedded and analysed.
    pub query: String,
    /// Which legs were wanted.
    pub mode: Mode,
    /// How they were fused.
    pub fusion: Fusion,
    /// What the configured weight of the dense leg was multiplied with for this query, as learned from the collection;
    /// absent where nothing was learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<f64>,
    /// See [`Missing`].
    pub missing: Missing,
    /// How the keyword leg weighed words.
    pub keyword: KeywordScoring,
    /// Whether it replaced words that no text holds.
    pub keyword_fuzzy: bool,
    /// What was asked besides it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expanded: Vec<Expanded>,
    /// Hits asked from each leg in the last round.
    pub depth: usize,
    /// Rounds of asking, from 1; more than one when hits were invisible or left out.
    pub rounds: usize,
    /// Chunks that scope and filter let through; `None` when everything.
    pub candidates: Option<u64>,
    /// What answered the vector leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector_index: Option<VectorEngine>,
    /// The legs that ran.
    pub legs: Vec<LegExplain>,
    /// Chunks in the fused ranking, those that links added included.
    pub fused: usize,
    /// What following links did; absent if that stage did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<LinksExplain>,
    /// How many chunks were left out, by reason: `not_visible`, `duplicate`, `near_duplicate`,
    /// `per_document`, `below_min_score`.
    pub dropped: BTreeMap<&'static str, usize>,
    /// The first of them that the scope may know of.
    pub dropped_hits: Vec<DroppedHit>,
}

/// What a vector index is and why.
#[derive(Debug, Clone, Serialize)]
pub struct VectorEngine {
    /// `flat` or `edge`.
    pub engine: &'static str,
    /// Why this one was chosen.
    pub reason: String,
    /// How vectors are kept.
    pub quantization: &'static str,
}

/// One leg.
#[derive(Debug, Clone, Serialize)]
pub struct LegExplain {
    /// `dense` or `keyword`.
    pub leg: &'static str,
    /// Hits it gave.
    pub hits: usize,
    /// Whether it had no further one.
    pub exhausted: bool,
    /// Mean of its scores.
    pub mean: f64,
    /// Their deviation.
    pub deviation: f64,
}

/// A chunk that ranked but was left out.
#[derive(Debug, Clone, Serialize)]
pub struct DroppedHit {
    /// The chunk.
    pub chunk_id: ChunkId,
    /// `duplicate`, `near_duplicate` or `per_document`.
    pub reason: &'static str,
    /// The better hit it duplicates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<ChunkId>,
}

/// How one hit came about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HitExplain {
    /// Place after fusion, links and boosts, from 1, before anything was left out.
    pub fused_rank: usize,
    /// The fused score, with what links and boosts added.
    pub fused: f32,
    /// Its standing by meaning; absent if that leg did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense: Option<LegScore>,
    /// Its standing by words; absent if that leg did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyword: Option<LegScore>,
    /// Late interaction, −1 to 1; absent if it did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late: Option<f32>,
    /// Nearness and order of the query's words, 0 to 1; absent if it was not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proximity: Option<f32>,
    /// What mentions it, and what that added to the fused score.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkExplain>,
    /// What its metadata added to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub boosts: Vec<BoostExplain>,
    /// What the reranker gave; absent if it did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<f32>,
    /// The same as a probability of relevance, 0 to 1; absent where the reranker's scores only order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relevance: Option<f32>,
}

impl HitExplain {
    pub(crate) fn of(fused: &Fused, index: usize) -> Self {
        Self {
            fused_rank: index + 1,
            fused: fused.score,
            dense: fused.dense,
            keyword: fused.keyword,
            late: None,
            proximity: None,
            links: Vec::new(),
            boosts: Vec::new(),
            rerank: None,
            relevance: None,
        }
    }
}

/// What was left out, counted while the hits are chosen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drops {
    pub(crate) counts: BTreeMap<&'static str, usize>,
    pub(crate) named: Vec<DroppedHit>,
}

impl Drops {
    /// Counts chunks that must not be named: they are not visible, or nobody looked at them.
    pub(crate) fn count(&mut self, reason: &'static str, chunks: usize) {
        if chunks > 0 {
            *self.counts.entry(reason).or_default() += chunks;
        }
    }

    pub(crate) fn name(&mut self, chunk_id: ChunkId, reason: &'static str, of: Option<ChunkId>) {
        self.count(reason, 1);
        if self.named.len() < NAMED_DROPS {
            self.named.push(DroppedHit { chunk_id, reason, of });
        }
    }
}

/// Milliseconds per stage, `total` included. A stage that ran in several rounds has their sum.
#[derive(Debug, Clone, Default, PartialEq, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Timings(pub BTreeMap<String, f64>);

impl Timings {
    /// Adds the time since `start` to a stage.
    pub fn add(&mut self, stage: &str, start: Instant) {
        *self.0.entry(stage.to_owned()).or_default() += milliseconds(start);
    }

    pub(crate) fn add_ms(&mut self, stage: &str, ms: f64) {
        *self.0.entry(stage.to_owned()).or_default() += ms;
    }
}

pub(crate) fn milliseconds(start: Instant) -> f64 {
    // Microseconds are all that a clock read around an await can mean.
    (start.elapsed().as_secs_f64() * 1e6).round() / 1e3
}

pub(crate) fn leg(name: &'static str, list: &LegList) -> LegExplain {
    let spread = Spread::of(list);
    LegExplain {
        leg: name,
        hits: list.hits.len(),
        exhausted: list.exhausted,
        mean: spread.mean,
        deviation: spread.deviation,
    }
}

/// What of an [`Explain`] is known from the query alone.
pub(crate) fn of_query(query: &Query) -> Explain {
    Explain {
        query: query.text.clone(),
        mode: query.mode,
        fusion: query.fusion,
        trust: query.trust,
        missing: query.missing,
        keyword: query.keyword,
        keyword_fuzzy: query.keyword_fuzzy,
        expanded: Vec::new(),
        depth: query.depth,
        rounds: 0,
        candidates: None,
        vector_index: None,
        legs: Vec::new(),
        fused: 0,
        links: None,
        dropped: BTreeMap::new(),
        dropped_hits: Vec::new(),
    }
}
