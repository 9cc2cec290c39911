//! The seam to a memory of what the legs found, for a caller that asks the same queries again under other settings.

use roaring::RoaringTreemap;
use wellspring_store::CollectionKey;
use wellspring_store::keyword::KeywordScoring;

use crate::fuse::LegList;

/// What a leg is asked; everything that decides its answer within one state of the index.
#[derive(Debug, Clone, Copy)]
pub struct LegAsk<'a> {
    /// The collection.
    pub collection: CollectionKey,
    /// `dense` or `keyword`.
    pub leg: &'static str,
    /// The query as it is embedded and analysed.
    pub text: &'a str,
    /// Hits wanted.
    pub depth: usize,
    /// Only these chunks; `None` for all.
    pub only: Option<&'a RoaringTreemap>,
    /// How the keyword leg answers; `None` for the other.
    pub keyword: Option<KeywordAsk>,
}

/// What decides the keyword leg's answer beside the text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeywordAsk {
    /// How words are weighed.
    pub scoring: KeywordScoring,
    /// Whether unknown words are replaced.
    pub fuzzy: bool,
}

/// Remembers lists. It is the caller's business that the index and its settings are the same at both times; evaluation
/// is what this is for. Never asked about filtered searches.
pub trait LegMemory: Send + Sync + 'static {
    /// The list that the leg gave or, asked deeper, began with; `None` to have the leg asked.
    fn recall(&self, ask: &LegAsk<'_>) -> Option<LegList>;

    /// Takes what the leg gave.
    fn keep(&self, ask: &LegAsk<'_>, list: &LegList);
}
