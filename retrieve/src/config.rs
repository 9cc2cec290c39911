//! What an operator sets once for every search; a request can override the stage switches for itself.

use serde::{Deserialize, Serialize};
use wellspring_store::keyword::KeywordScoring;

use crate::error::{ErrorKind, Result, RetrieveError};
use crate::fuse::{Fusion, Missing};

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
    /// What convex fusion takes for a chunk that a leg did not list; true scores change nDCG@10 by less than a point on
    /// Cranfield and CACM.
    pub missing: Missing,
    /// How the keyword leg weighs words.
    pub keyword: KeywordScoring,
    /// Whether the keyword leg puts similar words in the place of words that no text holds, and proposes a correction.
    pub keyword_fuzzy: bool,
    /// Hits whose text equals a better hit's are left out.
    pub collapse_duplicates: bool,
    /// Most hits of one document; `None` for no limit.
    pub per_document: Option<usize>,
    /// Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): 1 is relevance alone, 0 is novelty alone;
    /// `None` is off.
    pub mmr: Option<f32>,
    /// The second look at the best hits by a cross-encoder; `None` is off.
    pub rerank: Option<RerankConfig>,
}

/// Settings of the rerank stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
            missing: Missing::default(),
            keyword: KeywordScoring::default(),
            keyword_fuzzy: true,
            collapse_duplicates: true,
            per_document: None,
            mmr: None,
            rerank: None,
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
        self.keyword.check()?;
        if let Some(cap) = self.per_document {
            within("per_document", cap as u64, 1, 1_000)?;
        }
        if let Some(lambda) = self.mmr {
            check_mmr(lambda)?;
        }
        if let Some(rerank) = &self.rerank {
            within("rerank.candidates", rerank.candidates as u64, 1, 1_000)?;
            within("rerank.budget_ms", rerank.budget_ms, 1, 60_000)?;
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

pub(crate) fn check_fusion(fusion: Fusion) -> Result<()> {
    match fusion {
        Fusion::Convex { weight } if !(0.0..=1.0).contains(&weight) => Err(RetrieveError::new(
            ErrorKind::Invalid,
            format!("the fusion weight is {weight}; it is the dense leg's share and must be 0 to 1"),
        )),
        Fusion::Convex { .. } => Ok(()),
        Fusion::Rrf { k } => within("fusion.k", u64::from(k), 1, 1_000),
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
