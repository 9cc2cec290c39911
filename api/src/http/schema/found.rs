//! Shapes of filters, search results and answers.
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

/// An answer, or a refusal that says why.
#[derive(ToSchema)]
pub(crate) struct Answer {
    /// The text with `[n]` after each sentence; when abstained, a sentence that says so.
    answer: String,
    /// In the order of the text; empty when abstained.
    citations: Vec<Citation>,
    /// Every sentence that was made, with its support and what was done with it: those of the text in its order, then
    /// those that were left out.
    claims: Vec<CheckedClaim>,
    /// The few words that answer a question for a number, a date or a name, where quoted sentences have them.
    #[schema(required)]
    short_answer: Option<ShortAnswer>,
    /// Whether the passages answer the question, as far as can be told without a chat model; null where nothing was read.
    #[schema(required)]
    confidence: Option<Confidence>,
    /// Sentences of the passages that give different answers; a warning says so, too.
    conflicts: Vec<Conflict>,
    /// Whether this is a refusal.
    abstained: bool,
    /// Why it is a refusal.
    #[schema(required)]
    reason: Option<String>,
    /// False when the generation was cut short: the text is sound as far as it goes.
    complete: bool,
    /// What was read, best first.
    passages: Vec<NumberedPassage>,
    /// Tokens of the generation, where the provider says.
    #[schema(required)]
    usage: Option<Usage>,
    /// What all paid models that were called for this answer used and cost, those of the search included.
    spending: Spending,
    /// The chat model that wrote it; null for quoted sentences.
    #[schema(required)]
    model: Option<String>,
    /// The prompt; null for quoted sentences.
    #[schema(required)]
    prompt: Option<PromptVersion>,
    /// What the reader should know.
    warnings: Vec<Warning>,
    /// What did not work, of the search and of the answer.
    degraded: Vec<Degraded>,
    /// Milliseconds per stage, and `total`.
    timings: BTreeMap<String, f64>,
    /// The question as it was understood from what was asked before, where that differs.
    standalone: Option<String>,
    /// The answer in the schema that was asked for.
    structured: Option<super::Structured>,
    /// Every step of the agent that made it; absent for others.
    steps: Option<Vec<super::Step>>,
    /// The agent's run, where it had to wait for a person.
    run: Option<String>,
    /// Who judged the sentences, where `answer.judge` is on and the judge replied.
    judge: Option<Judge>,
}

/// The chat model that judged an answer's sentences.
#[derive(ToSchema)]
pub(crate) struct Judge {
    model: String,
    prompt: PromptVersion,
}

/// Whether the passages answer the question.
#[derive(ToSchema)]
pub(crate) struct Confidence {
    /// 0-1: the share of questions with such signals that could be answered, among those the weights were fitted on.
    score: f64,
    /// Below it the question is refused.
    threshold: f64,
    /// `model` where a local model read the sentences, `words` where words alone were compared.
    read_by: String,
    /// What the score is made of, by name; null for what was not measured.
    signals: BTreeMap<String, Option<f64>>,
}

/// Two sentences that give different answers to the question.
#[derive(ToSchema)]
pub(crate) struct Conflict {
    /// Two, the one that fits the question better first.
    sides: Vec<ConflictSide>,
}

/// One side of a contradiction.
#[derive(ToSchema)]
pub(crate) struct ConflictSide {
    /// The passage's number.
    n: u64,
    chunk_id: String,
    /// First byte of the sentence in the stored text.
    start: u64,
    /// One past its last byte.
    end: u64,
    /// The stored text from `start` to `end`.
    quote: String,
    /// What it says that the other side does not.
    value: String,
}

/// A checked citation.
#[derive(ToSchema)]
pub(crate) struct Citation {
    /// The passage's number, as the answer's text has it: `[n]`.
    n: u64,
    document_id: String,
    chunk_id: String,
    version: i64,
    /// First byte of the quote in the stored text.
    start: u64,
    /// One past the last byte.
    end: u64,
    /// The page on which the quote begins, from 1.
    #[schema(required)]
    page: Option<u32>,
    /// The stored text from `start` to `end`.
    quote: String,
    #[schema(required)]
    title: Option<String>,
    source: String,
    /// How well the passage supports the claim, 0-1; 1 for a quoted sentence. A score, not a proof.
    support: f64,
    /// The sentence of the answer that it hangs on.
    claim: String,
}

/// A sentence of the answer, or one that was left out of it, and how it was checked.
#[derive(ToSchema)]
pub(crate) struct CheckedClaim {
    /// The sentence without markers.
    text: String,
    /// Kept with citations, kept but marked as unsupported, or left out.
    decision: Decision,
    /// How well the passages it cites support it, 0-1; 1 for a quoted sentence. A score, not a proof.
    support: f64,
    /// What in it those passages do not hold.
    findings: Vec<Finding>,
    /// How well the judge found those passages to support it, 0-1; absent where none was asked.
    judged: Option<f64>,
    /// Numbers of the passages it is kept for.
    citations: Vec<u64>,
    /// Of a quoted sentence its place by how well it fits the question, from 1; null for a generated one.
    #[schema(required)]
    rank: Option<u64>,
}

/// A few words of the stored text, inside one of the citations.
#[derive(ToSchema)]
pub(crate) struct ShortAnswer {
    /// The passage's number.
    n: u64,
    /// First byte in the stored text.
    start: u64,
    /// One past the last byte.
    end: u64,
    /// The stored text from `start` to `end`.
    text: String,
}

/// What was done with a sentence.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Decision {
    Kept,
    Marked,
    Dropped,
}

/// Something in a sentence that its passages do not hold.
#[derive(ToSchema)]
pub(crate) struct Finding {
    missing: Missing,
    /// A number by value, a date, a stemmed name, or a word that one side denies.
    value: String,
}

/// What kind of thing is missing.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Missing {
    Number,
    Date,
    Name,
    Negation,
}

/// Why a passage looks as if it were written for a model instead of a reader.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Suspicion {
    Override,
    Model,
    Markup,
    Hidden,
    Request,
}

/// A passage with the number it goes by.
#[derive(ToSchema)]
pub(crate) struct NumberedPassage {
    /// From 1.
    n: u64,
    /// Why it looks as if it were written for a model instead of a reader; absent for most.
    suspicions: Option<Vec<Suspicion>>,
    document_id: String,
    chunk_id: String,
    version: i64,
    score: f32,
    #[schema(required)]
    title: Option<String>,
    text: String,
    source: String,
    #[schema(required)]
    page: Option<u32>,
    start: u64,
    end: u64,
    headings: Vec<String>,
    metadata: BTreeMap<String, Value>,
    #[schema(required)]
    language: Option<String>,
    context: Option<Context>,
    explain: Option<HitExplain>,
}

/// Tokens of one call as the provider counted them.
#[derive(ToSchema)]
pub(crate) struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    /// Of the tokens read, how many the provider had in its prompt cache.
    cached_input_tokens: u64,
    /// Of the tokens read, how many the provider put into its prompt cache, where it charges for that.
    cache_write_tokens: u64,
}

/// What the paid models that were called for one answer came to.
#[derive(ToSchema)]
pub(crate) struct Spending {
    /// By purpose and model; empty where no paid model was called.
    lines: Vec<SpendingLine>,
    /// All lines with a price together, as a decimal; null where none has one.
    #[schema(required, example = "0.0132")]
    cost: Option<String>,
    /// What the costs are in, where there are any.
    #[schema(required, example = "USD")]
    currency: Option<String>,
}

/// What the calls of one kind to one model came to.
#[derive(ToSchema)]
pub(crate) struct SpendingLine {
    /// `answer`, `expand`, `rerank`, `embed_query`, …
    purpose: String,
    /// The model's configured name.
    model: String,
    /// Tries that were or may have been charged for.
    calls: u64,
    /// Replies that were kept from an earlier call and cost nothing.
    cached: u64,
    input_tokens: u64,
    /// Of those, how many the provider had in its prompt cache.
    cached_input_tokens: u64,
    output_tokens: u64,
    /// Whether some of the numbers are upper estimates, since the provider did not tell.
    estimated: bool,
    /// As a decimal; null without a price.
    #[schema(required)]
    cost: Option<String>,
}

/// The prompt that was used.
#[derive(ToSchema)]
pub(crate) struct PromptVersion {
    name: String,
    /// The first 16 hexadecimal digits of the BLAKE3 of its files.
    hash: String,
}

/// Something the reader of an answer should know.
#[derive(ToSchema)]
pub(crate) struct Warning {
    /// Stable.
    #[schema(example = "truncated")]
    code: String,
    message: String,
}

/// One event of a stream; the stream's description says which there are.
#[derive(ToSchema)]
pub(crate) struct ServerSentEvent {
    /// `message` where it has no name.
    event: Option<String>,
    /// JSON, or `[DONE]`.
    data: String,
}
