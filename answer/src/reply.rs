//! What is asked and what comes back: the request, the answer with its citations, and the events of a stream.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use wellspring_models::{Account, Statement, Usage};
use wellspring_retrieve::{ChunkId, Degraded, DocumentId, Filter, Mode, Passage, Timings, Version};

use crate::agent::{Paused, Step};
use crate::confidence::Confidence;
use crate::conflict::Conflict;
use crate::conversation::Exchange;
use crate::error::AnswerError;
use crate::ground::support::Finding;
use crate::judge::Judge;
use crate::structured::Structured;
use crate::suspicion::{Suspicion, suspicions};

/// The model name that asks for an answer without a model, whatever is configured.
pub const EXTRACTIVE: &str = "extractive";

/// One question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    /// In plain words; the limits of a search query apply.
    pub question: String,
    /// Only documents that match.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// Passages to answer from, 1 to 50; the operator's number if absent.
    #[serde(default)]
    pub k: Option<usize>,
    /// How passages are found.
    #[serde(default)]
    pub mode: Mode,
    /// A chat model of the registry, or [`EXTRACTIVE`] for quoted sentences; the operator's if absent.
    #[serde(default)]
    pub model: Option<String>,
    /// Who pays for the paid models that it calls; the tenant as a whole if absent. Never read from a request's body.
    #[serde(skip)]
    pub account: Option<Account>,
    /// What was asked and answered before, oldest first; the last six count. The question is then understood from it.
    #[serde(default)]
    pub history: Vec<Exchange>,
    /// A JSON schema, of an object: the answer is asked for in it, field by field. Needs a chat model.
    #[serde(default)]
    pub schema: Option<Value>,
}

impl AnswerRequest {
    /// `question` with every default.
    pub fn new(question: impl Into<String>) -> Self {
        Self {
            question: question.into(),
            filter: None,
            k: None,
            mode: Mode::default(),
            model: None,
            account: None,
            history: Vec::new(),
            schema: None,
        }
    }
}

/// A checked citation: when it was made and again right before the end, `quote` was byte for byte the stored text of
/// this version from `start` to `end`, and visible to the asker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Citation {
    /// The passage's number, as the answer's text has it: `[n]`.
    pub n: usize,
    /// The document.
    pub document_id: DocumentId,
    /// The chunk that was found.
    pub chunk_id: ChunkId,
    /// The document's version.
    pub version: Version,
    /// First byte of the quote in the stored text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// The page on which the quote begins, from 1.
    pub page: Option<u32>,
    /// The stored text from `start` to `end`.
    pub quote: String,
    /// The document's title.
    pub title: Option<String>,
    /// Where the document came from.
    pub source: String,
    /// How well the passage supports the claim, 0–1; 1 for a quoted sentence. A score, not a proof.
    pub support: f64,
    /// The sentence of the answer that it hangs on.
    pub claim: String,
}

/// A few words of the stored text, inside one of the citations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShortAnswer {
    /// The passage's number.
    pub n: usize,
    /// First byte in the stored text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// The stored text from `start` to `end`.
    pub text: String,
}

/// What was done with a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is in the answer, with citations.
    Kept,
    /// It is in the answer, followed by `[unsupported]`.
    Marked,
    /// It was left out.
    Dropped,
}

/// A sentence of the answer, or one that was left out of it, and how it was checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckedClaim {
    /// The sentence without markers.
    pub text: String,
    /// What was done with it.
    pub decision: Decision,
    /// How well the passages it cites support it, 0–1; 1 for a quoted sentence. A score, not a proof.
    pub support: f64,
    /// What in it those passages do not hold: with any, it is not kept.
    pub findings: Vec<Finding>,
    /// How well the judge found those passages to support it, 0–1; absent where none was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged: Option<f64>,
    /// Numbers of the passages it is kept for.
    pub citations: Vec<usize>,
    /// Of a quoted sentence its place by how well it fits the question, from 1; `None` for a generated one.
    pub rank: Option<usize>,
}

/// A passage with the number it goes by.
#[derive(Debug, Clone, Serialize)]
pub struct NumberedPassage {
    /// From 1.
    pub n: usize,
    /// Why it looks as if it were written for a model instead of a reader; empty for most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suspicions: Vec<Suspicion>,
    /// The passage.
    #[serde(flatten)]
    pub passage: Passage,
}

impl NumberedPassage {
    /// The passage at `place` from 0, looked through for what is suspicious.
    pub(crate) fn new(place: usize, passage: Passage) -> Self {
        Self { n: place + 1, suspicions: suspicions(passage.reading().0), passage }
    }

    /// Whether a cautious operator would not answer from it: more than a mere request.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.suspicions.iter().any(|suspicion| *suspicion != Suspicion::Request)
    }
}

/// Something the reader of an answer should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Stable: `unknown_citation`, `unsupported_claim`, `citation_withdrawn`, `citation_corrected`, `truncated`,
    /// `fallback`, `passages_left_out`, `suspicious_passage`, `conflicting_passages`, `computed`.
    pub code: &'static str,
    /// In words.
    pub message: String,
}

/// The prompt that was used, so that an answer can be traced to its wording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromptVersion {
    /// Its name.
    pub name: &'static str,
    /// The first 16 hexadecimal digits of the BLAKE3 of its files.
    pub hash: String,
}

/// An answer, or a refusal that says why.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// The text with `[n]` after each sentence; when abstained, a sentence that says so.
    pub answer: String,
    /// In the order of the text; empty when abstained.
    pub citations: Vec<Citation>,
    /// Every sentence that was made, with its support and what was done with it: those of the text in its order, then those
    /// that were left out (none where a passage disappeared meanwhile).
    pub claims: Vec<CheckedClaim>,
    /// The few words that answer a question for a number, a date or a name, where quoted sentences have them; `None` for
    /// other questions, generated answers and refusals.
    pub short_answer: Option<ShortAnswer>,
    /// Whether the passages answer the question, as far as can be told without a chat model; `None` where nothing was read.
    pub confidence: Option<Confidence>,
    /// Sentences of the passages that give different answers; a warning says so, too.
    pub conflicts: Vec<Conflict>,
    /// Whether this is a refusal.
    pub abstained: bool,
    /// Why it is a refusal.
    pub reason: Option<String>,
    /// `false` when the generation was cut short: the text is sound as far as it goes.
    pub complete: bool,
    /// What was read, best first; only what is still visible.
    pub passages: Vec<NumberedPassage>,
    /// Tokens of the generation, where the provider says.
    pub usage: Option<Usage>,
    /// What all paid models that were called for this answer used and cost, those of the search included.
    pub spending: Statement,
    /// The chat model that wrote it; `None` for quoted sentences.
    pub model: Option<String>,
    /// The prompt; `None` for quoted sentences.
    pub prompt: Option<PromptVersion>,
    /// What the reader should know.
    pub warnings: Vec<Warning>,
    /// What did not work, of the search and of the answer.
    pub degraded: Vec<Degraded>,
    /// Milliseconds per stage.
    pub timings: Timings,
    /// What only some answers have.
    #[serde(flatten)]
    pub details: Details,
}

/// What only some answers have; left out of the others.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Details {
    /// The question as it was understood from what was asked before, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standalone: Option<String>,
    /// The answer in the schema that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured: Option<Structured>,
    /// Every step of the agent that made it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// The agent's run, where it had to wait for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Uuid>,
    /// Who judged the sentences, where a judge was asked and replied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge: Option<Judge>,
    /// The prompt, where it is not that of plain answers.
    #[serde(skip)]
    pub(crate) prompt: Option<PromptVersion>,
}

/// One event of a streamed answer. `Retrieval` comes first, or after the steps of an agent; exactly one of `Done`,
/// `Refused`, `Error` and, for agents, `Paused` comes, and it is the last.
#[derive(Debug)]
pub enum AnswerEvent {
    /// What was found.
    Retrieval {
        /// The passages, numbered.
        passages: Vec<NumberedPassage>,
        /// What did not work in the search.
        degraded: Vec<Degraded>,
    },
    /// More of the text: one or more whole sentences that were checked.
    Token(String),
    /// A citation of the text so far.
    Citation(Box<Citation>),
    /// Something to know.
    Warning(Warning),
    /// A step of an agent; these come before `Retrieval`.
    Step(Box<Step>),
    /// The object asked for, as far as it was written and checked.
    Partial(Value),
    /// Tokens of the generation.
    Usage(Usage),
    /// The end: the whole answer. Its text is the streamed text, less sentences whose citations had to be withdrawn
    /// meanwhile.
    Done(Box<Answer>),
    /// The end: a refusal.
    Refused(Box<Answer>),
    /// The end of an agent's run for now: it waits for a person.
    Paused(Box<Paused>),
    /// The end: what was streamed is no answer.
    Error(AnswerError),
}

impl AnswerEvent {
    /// The name of the server-sent event.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Retrieval { .. } => "retrieval",
            Self::Token(_) => "token",
            Self::Citation(_) => "citation",
            Self::Warning(_) => "warning",
            Self::Step(_) => "step",
            Self::Partial(_) => "partial",
            Self::Paused(_) => "paused",
            Self::Usage(_) => "usage",
            Self::Done(_) => "done",
            Self::Refused(_) => "refused",
            Self::Error(_) => "error",
        }
    }

    /// Whether no event follows.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Refused(_) | Self::Paused(_) | Self::Error(_))
    }

    /// The event's data. An error's is only its message: the door that serves it adds its own code.
    pub fn data(&self) -> serde_json::Value {
        match self {
            Self::Retrieval { passages, degraded } => {
                serde_json::json!({ "passages": passages, "degraded": degraded })
            }
            Self::Token(text) => serde_json::json!({ "text": text }),
            Self::Citation(citation) => serde_json::json!(citation),
            Self::Warning(warning) => serde_json::json!(warning),
            Self::Step(step) => serde_json::json!(step),
            Self::Partial(value) => value.clone(),
            Self::Paused(paused) => serde_json::json!(paused),
            Self::Usage(usage) => serde_json::json!(usage),
            Self::Done(answer) | Self::Refused(answer) => serde_json::json!(answer),
            Self::Error(error) => serde_json::json!({ "message": error.to_string() }),
        }
    }
}
