//! What an operator sets once for every answer.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wellspring_retrieve::NeighbourConfig;

use crate::agent::AgentConfig;
use crate::error::{AnswerError, ErrorKind, Result};
use crate::judge::JudgeConfig;

/// Most passages an answer is made from.
pub const MAX_PASSAGES: usize = 50;

/// The value of `support_model` that compares words alone.
pub const WORDS: &str = "words";
/// What an unset `support_model` means to the registry.
pub(crate) const DEFAULT_SUPPORT_MODEL: &str = "default";

/// Settings of answering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerConfig {
    /// The chat model's name in the registry; `None` answers with sentences quoted from the documents.
    pub model: Option<String>,
    /// Passages an answer is made from when a request does not say, 1 to [`MAX_PASSAGES`].
    pub passages: usize,
    /// Widens each passage by its neighbours before it is read; `None` is off.
    pub neighbours: Option<NeighbourConfig>,
    /// Most tokens of passages in a prompt, estimated; 200 to 1 000 000.
    pub prompt_tokens: usize,
    /// Most tokens generated; 16 to 100 000.
    pub max_tokens: u32,
    /// 0 (deterministic) to 2.
    pub temperature: f32,
    /// Passed to the model where its provider supports it.
    pub seed: Option<u64>,
    /// Milliseconds for one generation, 100 to 600 000.
    pub generation_deadline_ms: u64,
    /// A chat model that fails before anything was sent is replaced by quoted sentences, and the answer says so;
    /// `false` makes its failure the answer's.
    pub fall_back: bool,
    /// What becomes of a generated sentence that its passages do not support.
    pub unsupported: Unsupported,
    /// Least support (0–1) of a generated sentence; see [`crate::Support`].
    pub min_support: f64,
    /// The embedder whose token vectors support is scored with; unset: the registry's default. [`WORDS`], and a model that
    /// has none (a remote one), compare words alone.
    pub support_model: Option<String>,
    /// Milliseconds for all checks of one answer by the local model together, 100 to 600 000; what is left is checked by its
    /// words alone.
    pub support_deadline_ms: u64,
    /// A second check of generated sentences, by a chat model; off.
    pub judge: JudgeConfig,
    /// Weights of the confidence score, as `wellspring eval answers --fit` writes them; the program's own if absent.
    pub confidence_weights: Option<PathBuf>,
    /// Sentences of an extractive answer, 1 to 10; two that contradict each other are both shown.
    pub sentences: usize,
    /// When retrieval is too weak to answer from.
    pub refusal: RefusalConfig,
    /// What is done about passages that may be written to mislead a model.
    pub injection: InjectionConfig,
    /// Limits of an agent's run.
    pub agent: AgentConfig,
}

/// What is done about passages that may be written to mislead a model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InjectionConfig {
    /// Passages that ask to set instructions aside, speak to a model, or hold role markup or hidden characters are not
    /// answered from; `false` only flags them. A mere request (`Write a …`) is only flagged either way.
    pub exclude: bool,
    /// Most of `prompt_tokens` (0.05–1) that may come from one document.
    pub source_share: f64,
}

impl Default for InjectionConfig {
    fn default() -> Self {
        Self { exclude: false, source_share: 0.5 }
    }
}

/// What becomes of a generated sentence without support.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsupported {
    /// It is left out, and a warning says so.
    #[default]
    Drop,
    /// It stays, followed by `[unsupported]`, and a warning says so.
    Mark,
}

/// An answer is refused before anything is generated when **both** signals lie below their thresholds. They tell
/// off-topic questions from answerable ones; near misses are left to the confidence, once the passages were read. The
/// defaults are for int8 all-MiniLM-L6-v2: over the documents of an invented company they refuse nine in ten questions of other
/// sets and hardly any that is answered (`docs/measurements.md`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefusalConfig {
    /// Least share (0–1), weighted by rarity, of the question's words that one passage must hold.
    pub min_coverage: f64,
    /// Least cosine (−1 to 1) of the best passage. Embedders differ in scale: the default is for all-MiniLM-L6-v2.
    pub min_cosine: f32,
    /// Least confidence (0–1) that the passages answer the question, once they are read: see [`crate::Confidence`]. Absent:
    /// the threshold of the weights; 0 never refuses.
    pub min_confidence: Option<f64>,
}

impl Default for RefusalConfig {
    fn default() -> Self {
        Self { min_coverage: 0.25, min_cosine: 0.4, min_confidence: None }
    }
}

impl RefusalConfig {
    /// Whether what was found is too far from the question to be read at all: both signals lie below their thresholds. A
    /// signal that is absent does not speak for the question: the other decides; with neither, nothing is known against it.
    pub fn is_off_topic(&self, coverage: Option<f64>, cosine: Option<f64>) -> bool {
        let words = coverage.map(|coverage| coverage < self.min_coverage);
        let meaning = cosine.map(|cosine| cosine < f64::from(self.min_cosine));
        match (words, meaning) {
            (None, None) => false,
            (words, meaning) => words.unwrap_or(true) && meaning.unwrap_or(true),
        }
    }
}

impl Default for AnswerConfig {
    fn default() -> Self {
        Self {
            model: None,
            passages: 8,
            neighbours: None,
            prompt_tokens: 6_000,
            max_tokens: 800,
            temperature: 0.0,
            seed: None,
            generation_deadline_ms: 60_000,
            fall_back: true,
            unsupported: Unsupported::default(),
            min_support: 0.3,
            support_model: None,
            support_deadline_ms: 10_000,
            judge: JudgeConfig::default(),
            confidence_weights: None,
            sentences: 3,
            refusal: RefusalConfig::default(),
            injection: InjectionConfig::default(),
            agent: AgentConfig::default(),
        }
    }
}

impl AnswerConfig {
    /// Refuses values out of range with `Invalid`, naming the setting and its range.
    pub fn check(&self) -> Result<()> {
        within("passages", self.passages as f64, 1.0, MAX_PASSAGES as f64)?;
        within("prompt_tokens", self.prompt_tokens as f64, 200.0, 1e6)?;
        within("max_tokens", f64::from(self.max_tokens), 16.0, 1e5)?;
        within("temperature", f64::from(self.temperature), 0.0, 2.0)?;
        within("generation_deadline_ms", self.generation_deadline_ms as f64, 100.0, 600_000.0)?;
        within("min_support", self.min_support, 0.0, 1.0)?;
        within("support_deadline_ms", self.support_deadline_ms as f64, 100.0, 600_000.0)?;
        within("refusal.min_confidence", self.refusal.min_confidence.unwrap_or(0.0), 0.0, 1.0)?;
        within("sentences", self.sentences as f64, 1.0, 10.0)?;
        within("injection.source_share", self.injection.source_share, 0.05, 1.0)?;
        self.agent.check()?;
        self.judge.check()?;
        within("refusal.min_coverage", self.refusal.min_coverage, 0.0, 1.0)?;
        within("refusal.min_cosine", f64::from(self.refusal.min_cosine), -1.0, 1.0)
    }
}

pub(crate) fn within(name: &str, value: f64, least: f64, most: f64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(AnswerError::new(ErrorKind::Invalid, format!("`{name}` is {value}; it must be {least} to {most}")))
}
