//! What an explained search is told about the links that were followed.

use serde::Serialize;
use wellspring_store::ChunkId;
use wellspring_store::names::NameKind;

/// Why a hit was raised, or joined the candidates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkExplain {
    /// The chunk that mentions it; `None` if the query does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<ChunkId>,
    /// The mention as it stands there: a phrase, or a link's target.
    pub name: String,
    /// What that name is to the hit's document.
    pub kind: NameKind,
    /// Documents that bear the name, this one included.
    pub shared: usize,
    /// Documents that the mentioning chunk leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<usize>,
    /// What it added to the score.
    pub added: f32,
    /// Whether no leg had listed the chunk.
    pub joined: bool,
}

/// What the stage did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LinksExplain {
    /// Passages whose mentions were looked at.
    pub sources: usize,
    /// Of them, those that lead to too many documents.
    pub hubs: usize,
    /// Mentions looked up, of the query and of the sources.
    pub mentions: usize,
    /// Chunks raised by a name in the query.
    pub named: usize,
    /// Chunks raised by a mention in a source.
    pub linked: usize,
    /// Of both, those that no leg had listed.
    pub joined: usize,
}
