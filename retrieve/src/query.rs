//! What a caller asks for, checked and cleaned before anything is searched.

use serde::{Deserialize, Serialize};
use wellspring_models::Account;
use wellspring_store::keyword::KeywordScoring;
use wellspring_store::{Filter, TenantId};

use crate::boost::{self, Boost};
use crate::config::{
    RerankConfig, RetrieveConfig, check_fusion, check_mmr, check_share, check_similarity, within,
};
use crate::context::NeighbourConfig;
use crate::error::{ErrorKind, Result, RetrieveError};
use crate::expand::ExpandConfig;
use crate::fuse::{Fusion, Missing};
use crate::hop::LinksConfig;
use crate::refine::RefineConfig;

/// Longest query text, in bytes as received.
pub const MAX_QUERY_BYTES: usize = 8 * 1024;
/// Most hits of one search.
pub const MAX_K: usize = 1_000;
/// Hits of a search that does not say how many.
pub const DEFAULT_K: usize = 10;

/// Which legs run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Both, fused.
    #[default]
    Hybrid,
    /// By meaning: vectors only.
    Dense,
    /// By words: BM25 only.
    Keyword,
}

impl Mode {
    /// Whether the vector leg runs.
    pub fn wants_dense(self) -> bool {
        self != Self::Keyword
    }

    /// Whether the keyword leg runs.
    pub fn wants_keyword(self) -> bool {
        self != Self::Dense
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hybrid => "hybrid",
            Self::Dense => "dense",
            Self::Keyword => "keyword",
        })
    }
}

impl std::str::FromStr for Mode {
    type Err = RetrieveError;

    /// `hybrid`, `dense` or `keyword`.
    fn from_str(name: &str) -> Result<Self> {
        match name {
            "hybrid" => Ok(Self::Hybrid),
            "dense" => Ok(Self::Dense),
            "keyword" => Ok(Self::Keyword),
            _ => Err(RetrieveError::new(ErrorKind::Invalid, "the mode is one of hybrid, dense, keyword")),
        }
    }
}

/// One search as a caller asks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// What is looked for, in plain words; never parsed as a query language. 1 byte to [`MAX_QUERY_BYTES`].
    pub query: String,
    /// Most hits, 1 to [`MAX_K`].
    #[serde(default = "default_k")]
    pub k: usize,
    /// Which legs run.
    #[serde(default)]
    pub mode: Mode,
    /// Only documents that match.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// Whether the response says how each hit came about.
    #[serde(default)]
    pub explain: bool,
    /// Widens each hit by its neighbours or to its section; off by default.
    #[serde(default)]
    pub neighbours: Option<NeighbourConfig>,
    /// Stage switches for this search only.
    #[serde(default)]
    pub overrides: Overrides,
    /// Who pays for the paid models that it calls; the tenant as a whole if absent. Never read from a request's body.
    #[serde(skip)]
    pub account: Option<Account>,
}

fn default_k() -> usize {
    DEFAULT_K
}

impl SearchRequest {
    /// A hybrid search for `query` with every default.
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            k: DEFAULT_K,
            mode: Mode::default(),
            filter: None,
            explain: false,
            neighbours: None,
            overrides: Overrides::default(),
            account: None,
        }
    }
}

/// Settings that replace the operator's for one search: what evaluation switches stage by stage. Absent fields keep
/// [`RetrieveConfig`]'s value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// See [`RetrieveConfig::fusion`]. A weight given here is used as it is, whatever was learned about the collection.
    pub fusion: Option<Fusion>,
    /// See [`RetrieveConfig::self_tuning`].
    pub self_tuning: Option<bool>,
    /// See [`RetrieveConfig::missing`].
    pub missing: Option<Missing>,
    /// See [`RetrieveConfig::depth`].
    pub depth: Option<usize>,
    /// See [`RetrieveConfig::expand`].
    pub expand: Option<ExpandConfig>,
    /// See [`RetrieveConfig::smooth`]; 0 switches it off.
    pub smooth: Option<f32>,
    /// See [`RetrieveConfig::refine`]; its `cache_bytes` is the operator's.
    pub refine: Option<RefineConfig>,
    /// See [`LinksConfig::enabled`].
    pub links: Option<bool>,
    /// See [`RetrieveConfig::boosts`].
    pub boosts: Option<Vec<Boost>>,
    /// See [`RetrieveConfig::keyword`].
    pub keyword: Option<KeywordScoring>,
    /// See [`RetrieveConfig::keyword_fuzzy`].
    pub keyword_fuzzy: Option<bool>,
    /// `Some(false)` switches a configured ranker off.
    pub ranker: Option<bool>,
    /// `Some(false)` switches a configured rerank stage off.
    pub rerank: Option<bool>,
    /// See [`RetrieveConfig::exact`].
    pub exact: Option<bool>,
    /// See [`RetrieveConfig::collapse_duplicates`].
    pub collapse_duplicates: Option<bool>,
    /// See [`RetrieveConfig::near_duplicates`].
    pub near_duplicates: Option<f32>,
    /// See [`RetrieveConfig::per_document`].
    pub per_document: Option<usize>,
    /// See [`RetrieveConfig::mmr`].
    pub mmr: Option<f32>,
}

/// A search that passed every check, with every setting decided.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) text: String,
    pub(crate) k: usize,
    pub(crate) mode: Mode,
    pub(crate) filter: Option<Filter>,
    pub(crate) explain: bool,
    pub(crate) neighbours: Option<NeighbourConfig>,
    pub(crate) fusion: Fusion,
    pub(crate) self_tuning: bool,
    /// What the dense leg's weight was multiplied with.
    pub(crate) trust: Option<f64>,
    pub(crate) missing: Missing,
    pub(crate) links: Option<LinksConfig>,
    pub(crate) depth: usize,
    pub(crate) max_depth: usize,
    pub(crate) boosts: Vec<Boost>,
    pub(crate) keyword: KeywordScoring,
    pub(crate) keyword_fuzzy: bool,
    pub(crate) exact: bool,
    pub(crate) collapse_duplicates: bool,
    pub(crate) near_duplicates: Option<f32>,
    pub(crate) per_document: Option<usize>,
    pub(crate) mmr: Option<f32>,
    pub(crate) expand: ExpandConfig,
    pub(crate) smooth: Option<f32>,
    pub(crate) refine: RefineConfig,
    /// Whether a configured ranker runs.
    pub(crate) ranker: bool,
    pub(crate) rerank: Option<RerankConfig>,
    pub(crate) account: Account,
}

impl Query {
    /// Checks the request against its limits and fills in the operator's settings; `Invalid` names the limit.
    pub(crate) fn of(request: SearchRequest, config: &RetrieveConfig, tenant: &TenantId) -> Result<Self> {
        let SearchRequest { query, k, mode, filter, explain, neighbours, overrides, account } = request;
        within("k", k as u64, 1, MAX_K as u64)?;
        if query.len() > MAX_QUERY_BYTES {
            return Err(RetrieveError::new(
                ErrorKind::Invalid,
                format!(
                    "the query has {} bytes; at most {MAX_QUERY_BYTES} are searched: shorten it",
                    query.len()
                ),
            ));
        }
        let text = clean(&query);
        if text.is_empty() {
            return Err(RetrieveError::new(ErrorKind::Invalid, "the query is empty: say what to look for"));
        }
        let fusion = overrides.fusion.unwrap_or(config.fusion);
        check_fusion(fusion)?;
        let depth = overrides.depth.unwrap_or(config.depth);
        within("depth", depth as u64, 1, config.max_depth as u64)?;
        let keyword = overrides.keyword.unwrap_or(config.keyword);
        keyword.check()?;
        let per_document = overrides.per_document.or(config.per_document);
        if let Some(cap) = per_document {
            within("per_document", cap as u64, 1, MAX_K as u64)?;
        }
        let mmr = overrides.mmr.or(config.mmr);
        if let Some(lambda) = mmr {
            check_mmr(lambda)?;
        }
        let expand = overrides.expand.unwrap_or_else(|| config.expand.clone());
        expand.check()?;
        let smooth = overrides.smooth.or(config.smooth);
        if let Some(weight) = smooth {
            check_share("smooth", weight)?;
        }
        let refine = overrides.refine.unwrap_or_else(|| config.refine.clone());
        refine.check()?;
        let boosts = overrides.boosts.unwrap_or_else(|| config.boosts.clone());
        boost::check(&boosts)?;
        let near_duplicates = overrides.near_duplicates.or(config.near_duplicates);
        check_similarity(near_duplicates)?;
        if let Some(neighbours) = neighbours {
            neighbours.check()?;
        }
        Ok(Self {
            text,
            k,
            mode,
            filter,
            explain,
            neighbours,
            fusion,
            self_tuning: overrides.self_tuning.unwrap_or(config.self_tuning && overrides.fusion.is_none()),
            trust: None,
            missing: overrides.missing.unwrap_or(config.missing),
            links: Some(config.links.clone()).filter(|links| overrides.links.unwrap_or(links.enabled)),
            depth,
            max_depth: config.max_depth,
            keyword,
            keyword_fuzzy: overrides.keyword_fuzzy.unwrap_or(config.keyword_fuzzy),
            exact: overrides.exact.unwrap_or(config.exact),
            collapse_duplicates: overrides.collapse_duplicates.unwrap_or(config.collapse_duplicates),
            boosts,
            near_duplicates,
            per_document,
            mmr,
            expand,
            smooth: smooth.filter(|weight| *weight > 0.0),
            refine,
            ranker: config.ranker.is_some() && overrides.ranker != Some(false),
            rerank: config.rerank.clone().filter(|_| overrides.rerank != Some(false)),
            account: account.unwrap_or_else(|| Account::of_tenant(tenant.as_str())),
        })
    }
}

/// The text as it is embedded and analysed: normalised like stored text, control characters as white space, runs of
/// white space as one blank.
pub fn clean(query: &str) -> String {
    let without_controls: String = query.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let normalised = wellspring_models::text::normalize(&without_controls);
    normalised.split_whitespace().collect::<Vec<_>>().join(" ")
}
