//! Shapes of answers: text, citations, claims, and the events of a stream.
#![expect(dead_code, reason = "shapes for openapi.json: described, never built")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

use super::{Context, Degraded, HitExplain};

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
