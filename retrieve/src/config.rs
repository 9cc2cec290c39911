//! What an operator sets once for every search; a request can override the stage switches for itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wellspring_store::keyword::KeywordScoring;

use crate::boost::Boost;
use crate::error::{ErrorKind, Result, RetrieveError};
use crate::expand::ExpandConfig;
use crate::fuse::{Fusion, Missing};
use crate::hop::LinksConfig;
use crate::refine::RefineConfig;

/// Settings of retrieval. Every default is what measured best or costs nothing; see each field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetrieveConfig {
    /// Milliseconds for all legs together, query embedding included; 1 to 60 000.
    pub deadline_ms: u64,
    /// Hits asked from each leg; 1 to [`RetrieveConfig::max_depth`]. Also what z-scores are taken over, so a change
    /// moves fused scores. Of 100, 200, 500 and 1 000, nDCG@10 differs by less than a point on Cranfield and CACM, and 500
    /// has the best recall@100.
    pub depth: usize,
    /// A search whose hits turn out invisible or collapsed asks deeper, four times each round, up to this; at most
    /// 100 000.
    pub max_depth: usize,
    /// How the legs' lists become one.
    pub fusion: Fusion,
    /// Whether the dense leg's weight follows what was learned from the collection's own documents; see
    /// [`crate::tuning`].
    pub self_tuning: bool,
    /// What convex fusion takes for a chunk that a leg did not list; true scores change nDCG@10 by less than a point on
    /// Cranfield and CACM.
    pub missing: Missing,
    /// Documents that the best passages mention join the candidates.
    pub links: LinksConfig,
    /// What moves hits by their metadata; none unless asked for.
    pub boosts: Vec<Boost>,
    /// How the keyword leg weighs words.
    pub keyword: KeywordScoring,
    /// Whether the keyword leg puts similar words in the place of words that no text holds, and proposes a correction.
    pub keyword_fuzzy: bool,
    /// Whether what holds an identifier or a quoted phrase of the query is kept among the first three hits; not in mode
    /// `dense`.
    pub exact: bool,
    /// Hits whose text equals a better hit's are left out.
    pub collapse_duplicates: bool,
    /// Hits that share this part of their three-word sequences with a better hit, 0.5 to 1, and hold the same numbers,
    /// are left out; `None` is off.
    pub near_duplicates: Option<f32>,
    /// Most hits of one document; `None` for no limit.
    pub per_document: Option<usize>,
    /// Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): 1 is relevance alone, 0 is novelty alone;
    /// `None` is off.
    pub mmr: Option<f32>,
    /// What is asked besides the query; off by default.
    pub expand: ExpandConfig,
    /// Share of its better neighbour's score that a hit inherits, 0 to 1: 0.2 for conversations and logs, whose chunks
    /// belong together; `None` is off.
    pub smooth: Option<f32>,
    /// The second look at the best hits by late interaction and proximity; off unless one of them has a weight.
    pub refine: RefineConfig,
    /// A file with a model that orders the best hits, trained on judged queries of one's own; `None` is off. Read once.
    pub ranker: Option<PathBuf>,
    /// The last look at the best hits by a cross-encoder; `None` is off.
    pub rerank: Option<RerankConfig>,
    /// Keeping searches, to ask them again under other settings.
    pub record: RecordConfig,
}

/// Settings of keeping searches. A kept search is what was asked, by whom and when, and the ids of what came back; it costs a
/// write of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordConfig {
    /// Whether searches for passages are kept. Rankings of documents never are.
    pub enabled: bool,
    /// Searches kept per collection, 1 to 100 000; beyond, the oldest go.
    pub most: u32,
    /// Days after which they go, 1 to 3 650.
    pub days: u32,
}

impl Default for RecordConfig {
    fn default() -> Self {
        Self { enabled: false, most: 1_000, days: 90 }
    }
}

/// Settings of the rerank stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RerankConfig {
    /// The reranker's name in the registry.
    pub model: String,
    /// Hits it reads, 1 to 1000.
    #[serde(default = "default_candidates")]
    pub candidates: usize,
    /// Milliseconds it may take; the fused order stands if it takes longer.
    #[serde(default = "default_budget")]
    pub budget_ms: u64,
    /// Least probability of relevance, 0 to 1: hits below it, and those that the reranker did not read, are left out. Only
    /// for rerankers whose scores are probabilities (local ones, and endpoints that are `calibrated`); with another, or
    /// when reranking fails, nothing is left out and `degraded` says so.
    #[serde(default)]
    pub min_score: Option<f32>,
}

fn default_candidates() -> usize {
    50
}

fn default_budget() -> u64 {
    1_500
}

impl Default for RetrieveConfig {
    fn default() -> Self {
        Self {
            deadline_ms: 2_000,
            depth: 500,
            max_depth: 16_000,
            fusion: Fusion::default(),
            self_tuning: true,
            missing: Missing::default(),
            links: LinksConfig::default(),
            boosts: Vec::new(),
            keyword: KeywordScoring::default(),
            keyword_fuzzy: true,
            exact: true,
            collapse_duplicates: true,
            near_duplicates: None,
            per_document: None,
            mmr: None,
            expand: ExpandConfig::default(),
            smooth: None,
            refine: RefineConfig::default(),
            ranker: None,
            rerank: None,
            record: RecordConfig::default(),
        }
    }
}

impl RetrieveConfig {
    /// Refuses values out of range with `Invalid`, naming the setting and its range.
    pub fn check(&self) -> Result<()> {
        within("deadline_ms", self.deadline_ms, 1, 60_000)?;
        within("max_depth", self.max_depth as u64, 1, 100_000)?;
        within("depth", self.depth as u64, 1, self.max_depth as u64)?;
        check_fusion(self.fusion)?;
        self.links.check()?;
        crate::boost::check(&self.boosts)?;
        check_similarity(self.near_duplicates)?;
        self.keyword.check()?;
        if let Some(cap) = self.per_document {
            within("per_document", cap as u64, 1, 1_000)?;
        }
        if let Some(lambda) = self.mmr {
            check_mmr(lambda)?;
        }
        self.expand.check()?;
        if let Some(weight) = self.smooth {
            check_share("smooth", weight)?;
        }
        self.refine.check()?;
        within("record.most", u64::from(self.record.most), 1, 100_000)?;
        within("record.days", u64::from(self.record.days), 1, 3_650)?;
        if let Some(rerank) = &self.rerank {
            within("rerank.candidates", rerank.candidates as u64, 1, 1_000)?;
            within("rerank.budget_ms", rerank.budget_ms, 1, 60_000)?;
            if let Some(least) = rerank.min_score {
                check_share("rerank.min_score", least)?;
            }
        }
        Ok(())
    }
}

pub(crate) fn within(name: &str, value: u64, least: u64, most: u64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(RetrieveError::new(ErrorKind::Invalid, format!("`{name}` is {value}; it must be {least} to {most}")))
}

pub(crate) fn check_share(name: &str, value: f32) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(RetrieveError::new(ErrorKind::Invalid, format!("`{name}` is {value}; it must be 0 to 1")))
}

pub(crate) fn check_fusion(fusion: Fusion) -> Result<()> {
    let weight = fusion.weight();
    if !(0.0..=1.0).contains(&weight) {
        return Err(RetrieveError::new(
            ErrorKind::Invalid,
            format!("the fusion weight is {weight}; it is the dense leg's share and must be 0 to 1"),
        ));
    }
    match fusion {
        Fusion::Convex { .. } => Ok(()),
        Fusion::Rrf { k, .. } => within("fusion.k", u64::from(k), 1, 1_000),
    }
}

pub(crate) fn check_similarity(threshold: Option<f32>) -> Result<()> {
    match threshold {
        Some(share) if !(0.5..=1.0).contains(&share) => Err(RetrieveError::new(
            ErrorKind::Invalid,
            format!("`near_duplicates` is {share}; it must be 0.5 (alike) to 1 (the same words)"),
        )),
        _ => Ok(()),
    }
}

pub(crate) fn check_mmr(lambda: f32) -> Result<()> {
    if (0.0..=1.0).contains(&lambda) {
        return Ok(());
    }
    Err(RetrieveError::new(
        ErrorKind::Invalid,
        format!("`mmr` is {lambda}; it must be 0 (novelty) to 1 (relevance)"),
    ))
}
