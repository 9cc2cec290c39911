//! Shapes of filters and search results.
#![expect(dead_code, reason = "shapes for openapi.json: described, never built")]

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// How to search.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Both legs, fused.
    Hybrid,
    /// By meaning.
    Dense,
    /// By words.
    Keyword,
}

/// A filter in either of its forms.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum FilterInput {
    /// `lang = "de" and (year >= 2024 or tags in ["a", "b"]) and not path ^= "old/" and exists(author)`
    Text(String),
    Tree(Filter),
}

/// The tree that the text form is read into.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(example = json!({ "and": [
    { "eq": ["lang", "de"] },
    { "range": ["year", { "gte": 2024, "lt": 2026 }] },
    { "not": { "prefix": ["path", "old/"] } },
] }))]
pub(crate) enum Filter {
    /// `[field, value]`: equal; a field that holds an array matches if any element does. A value is a string, a number,
    /// true, false, or `{"date": "2026-03-01"}`.
    #[schema(value_type = Vec<Value>)]
    Eq(Vec<Value>),
    /// `[field, [value, …]]`: equal to one of them.
    #[schema(value_type = Vec<Value>)]
    In(Vec<Value>),
    /// `[field, {"gt" | "gte" | "lt" | "lte": bound, …}]`, every bound a number or every one a date.
    #[schema(value_type = Vec<Value>)]
    Range(Vec<Value>),
    /// The field is there and not null.
    Exists(String),
    /// `[field, text]`: a string that starts with the text.
    Prefix(Vec<String>),
    /// Every one.
    #[schema(no_recursion)]
    And(Vec<Filter>),
    /// At least one.
    #[schema(no_recursion)]
    Or(Vec<Filter>),
    /// Not this.
    #[schema(no_recursion)]
    Not(Box<Filter>),
}

/// How far a passage is widened.
#[derive(ToSchema)]
pub(crate) struct Neighbours {
    /// Chunks before it.
    #[schema(default = 0, maximum = 10)]
    before: Option<u32>,
    /// Chunks after it.
    #[schema(default = 0, maximum = 10)]
    after: Option<u32>,
    /// Most bytes of the section that the passage stands in; unset: only whole chunks.
    #[schema(minimum = 200, maximum = 100_000)]
    section: Option<u32>,
}

/// A search's result.
#[derive(ToSchema)]
pub(crate) struct SearchResponse {
    /// Best first.
    hits: Vec<Passage>,
    /// What did not work; empty when the result is all it should be.
    degraded: Vec<Degraded>,
    /// The query with misspelt words put right, where a word that no text holds has one clearly likeliest correction. The
    /// hits are those of the query as it was asked.
    did_you_mean: Option<String>,
    /// How the search came about: legs, fusion, what was left out and why. With `explain` only.
    #[schema(value_type = Option<Object>)]
    explain: Option<Value>,
    /// Milliseconds per stage, and `total`.
    timings: BTreeMap<String, f64>,
}

/// A piece of a visible document's stored text.
#[derive(ToSchema)]
pub(crate) struct Passage {
    document_id: String,
    chunk_id: String,
    version: i64,
    /// Higher is better; comparable only within one response.
    score: f32,
    #[schema(required)]
    title: Option<String>,
    /// The stored text from `start` to `end`.
    text: String,
    source: String,
    /// First page it touches, from 1.
    #[schema(required)]
    page: Option<u32>,
    /// First byte in the stored text.
    start: u64,
    /// One past the last byte.
    end: u64,
    /// Headings above it, outermost first.
    headings: Vec<String>,
    /// The document's.
    metadata: BTreeMap<String, Value>,
    /// ISO 639-1, where detected.
    #[schema(required)]
    language: Option<String>,
    /// The passage with its neighbours, where they were asked for.
    context: Option<Context>,
    /// How it came about. With `explain` only.
    explain: Option<HitExplain>,
}

/// A longer stretch of the stored text around a passage.
#[derive(ToSchema)]
pub(crate) struct Context {
    text: String,
    /// First byte in the stored text.
    start: u64,
    /// One past the last byte.
    end: u64,
}

/// How one hit came about.
#[derive(ToSchema)]
pub(crate) struct HitExplain {
    /// Place after fusion, links and boosts, from 1.
    fused_rank: u64,
    /// The fused score, with what links and boosts added.
    fused: f32,
    /// Its standing by meaning, if that leg ran.
    dense: Option<LegScore>,
    /// Its standing by words, if that leg ran.
    keyword: Option<LegScore>,
    /// Late interaction, −1 to 1, if it ran.
    late: Option<f32>,
    /// Nearness and order of the query's words, 0 to 1, if looked at.
    proximity: Option<f32>,
    /// What mentions it, if anything does.
    #[schema(required = false)]
    links: Vec<LinkExplain>,
    /// What its metadata added, if anything.
    #[schema(required = false)]
    boosts: Vec<BoostExplain>,
    /// What the reranker gave, if it ran.
    rerank: Option<f32>,
    /// The same as a probability of relevance, where the reranker gives such.
    relevance: Option<f32>,
}

/// Why a hit was raised, or joined the candidates.
#[derive(ToSchema)]
pub(crate) struct LinkExplain {
    /// The chunk that mentions it; absent if the query does.
    from: Option<String>,
    /// The mention as it stands there.
    name: String,
    /// What the name is to the hit's document: title, short_title, address, heading, term or symbol.
    kind: String,
    /// Documents that bear the name.
    shared: u64,
    /// Documents that the mentioning chunk leads to.
    outgoing: Option<u64>,
    /// What it added to the score.
    added: f32,
    /// Whether neither search had listed the chunk.
    joined: bool,
}

/// What one boost did to a hit.
#[derive(ToSchema)]
pub(crate) struct BoostExplain {
    field: String,
    /// How much of its weight, 0 to 1.
    share: f32,
    added: f32,
}

/// A hit's standing in one leg.
#[derive(ToSchema)]
pub(crate) struct LegScore {
    /// From 1; null when the leg did not list it.
    #[schema(required)]
    rank: Option<u64>,
    /// Cosine or BM25; null when it is not known.
    #[schema(required)]
    score: Option<f32>,
    /// What convex fusion used; null under other methods.
    #[schema(required)]
    normalized: Option<f64>,
}

/// A part that did not do its work.
#[derive(ToSchema)]
pub(crate) struct Degraded {
    /// `dense`, `keyword`, `expand`, `rerank`, `context`, `model` …
    leg: String,
    reason: String,
}
