//! One score for whether the passages found answer the question: retrieval, agreement of the legs, and what reading adds.
//!
//! A logistic model over a few [`Signals`], with weights in a data file that says what they were fitted on
//! (`confidence/weights.json`; another file can be configured, and `wellspring eval answers --fit FILE` writes one).

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{AnswerError, ErrorKind, Result};

/// The weights that come with the program.
const SHIPPED: &str = include_str!("confidence/weights.json");

/// The version of the file of weights.
pub const WEIGHTS_VERSION: u32 = 1;

/// What speaks for and against an answer being in the passages: of the question, of the sentence that fits it best, and of
/// the search. Counts are of words; shares lie between 0 and 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signals {
    /// Highest cosine of the question and a sentence; `None` where no local model read.
    pub similarity: Option<f64>,
    /// Mean similarity of the question's content words with their best match in the sentence.
    pub alignment: Option<f64>,
    /// The least of these similarities: the word the sentence knows least of.
    pub weakest: Option<f64>,
    /// Share of the question's content words, by rarity, that the sentence, title and headings hold.
    pub coverage: f64,
    /// Share, by rarity, that the whole passage does not hold.
    pub missing_around: f64,
    /// Rarity of the rarest content word that the sentence, title and headings lack; 1 is a word no passage holds.
    pub rarest_missing: f64,
    /// Names of the question that sentence, title and headings lack.
    pub names: f64,
    /// Numbers and dates of the question that they lack.
    pub numbers: f64,
    /// Words of the question in whose place the sentence has an opposite.
    pub opposites: f64,
    /// The same over the whole passage.
    pub opposites_around: f64,
    /// 1 where the question denies something and the sentence nothing.
    pub denied: f64,
    /// 1 where the sentence denies something and the question nothing.
    pub denies: f64,
    /// Superlatives and the like (`first`, `only`, `largest`) that the sentence lacks.
    pub qualifiers: f64,
    /// 1 where the kind of thing asked for stands in the sentence, −1 where it does not, 0 for questions of no kind.
    pub kind: f64,
    /// ln(1 + content words of the question).
    pub length: f64,
    /// 1 where both legs put the same passage first, 0 where not, ½ where only one leg ran.
    pub agreement: f64,
    /// Largest share of the question's words that one passage holds; `None` for a question without content words.
    pub retrieved_coverage: Option<f64>,
    /// Best cosine of a passage, by the collection's embedder; `None` without the dense leg.
    pub retrieved_similarity: Option<f64>,
}

/// Names of [`Signals`], as in a file of weights.
pub const SIGNALS: [&str; 18] = [
    "similarity",
    "alignment",
    "weakest",
    "coverage",
    "missing_around",
    "rarest_missing",
    "names",
    "numbers",
    "opposites",
    "opposites_around",
    "denied",
    "denies",
    "qualifiers",
    "kind",
    "length",
    "agreement",
    "retrieved_coverage",
    "retrieved_similarity",
];

impl Signals {
    /// A signal by its name; 0 for one that was not measured, `None` for a name that is none of [`SIGNALS`].
    pub fn value(&self, name: &str) -> Option<f64> {
        Some(match name {
            "similarity" => self.similarity.unwrap_or(0.0),
            "alignment" => self.alignment.unwrap_or(0.0),
            "weakest" => self.weakest.unwrap_or(0.0),
            "coverage" => self.coverage,
            "missing_around" => self.missing_around,
            "rarest_missing" => self.rarest_missing,
            "names" => self.names,
            "numbers" => self.numbers,
            "opposites" => self.opposites,
            "opposites_around" => self.opposites_around,
            "denied" => self.denied,
            "denies" => self.denies,
            "qualifiers" => self.qualifiers,
            "kind" => self.kind,
            "length" => self.length,
            "agreement" => self.agreement,
            "retrieved_coverage" => self.retrieved_coverage.unwrap_or(0.0),
            "retrieved_similarity" => self.retrieved_similarity.unwrap_or(0.0),
            _ => return None,
        })
    }
}

/// Whether the passages answer the question, as far as can be told without a chat model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confidence {
    /// 0–1: the share of questions with such signals that could be answered, among those the weights were fitted on.
    pub score: f64,
    /// Below it the question is refused.
    pub threshold: f64,
    /// `model` where a local model read the sentences, `words` where words alone were compared.
    pub read_by: &'static str,
    /// What the score is made of.
    pub signals: Signals,
}

/// A logistic model: score = 1 / (1 + exp(−(intercept + Σ weight · signal))).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logistic {
    /// The constant.
    pub intercept: f64,
    /// The score below which a question is refused, where the configuration names none.
    pub threshold: f64,
    /// By name of signal; others do not count.
    pub weights: BTreeMap<String, f64>,
}

impl Logistic {
    /// 0–1.
    pub fn score(&self, signals: &Signals) -> f64 {
        let terms = self.weights.iter().filter_map(|(name, weight)| Some(weight * signals.value(name)?));
        1.0 / (1.0 + (-(self.intercept + terms.sum::<f64>())).exp())
    }
}

/// A file of weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// [`WEIGHTS_VERSION`].
    pub version: u32,
    /// What they were fitted on, in words.
    pub fitted_on: String,
    /// The model that read; for any other one words alone are compared. Its precision may differ.
    pub model: String,
    /// With that model.
    pub with_model: Logistic,
    /// Without one.
    pub words: Logistic,
}

impl Weights {
    /// Those that come with the program.
    pub fn shipped() -> Result<Self> {
        Self::parse(SHIPPED, "the program's own weights")
    }

    /// Reads a file of weights; `Invalid` names what is wrong with it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path).map_err(|error| {
            AnswerError::new(ErrorKind::Invalid, format!("the weights of the confidence: {error}"))
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    fn parse(text: &str, named: &str) -> Result<Self> {
        let invalid = |what: String| AnswerError::new(ErrorKind::Invalid, format!("{named}: {what}"));
        let weights: Self = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if weights.version != WEIGHTS_VERSION {
            return Err(invalid(format!(
                "version {} of weights, this program reads {WEIGHTS_VERSION}",
                weights.version
            )));
        }
        for model in [&weights.with_model, &weights.words] {
            if let Some(name) = model.weights.keys().find(|name| !SIGNALS.contains(&name.as_str())) {
                return Err(invalid(format!("there is no signal called `{name}`")));
            }
            let numbers = model.weights.values().chain([&model.intercept]);
            if !numbers.into_iter().all(|number| number.is_finite())
                || !(0.0..=1.0).contains(&model.threshold)
            {
                return Err(invalid("weights are finite numbers, a threshold is 0 to 1".to_owned()));
            }
        }
        Ok(weights)
    }

    /// Whether they are for what this embedder reads.
    pub(crate) fn fits(&self, embedder: &str) -> bool {
        embedder.split('/').next() == self.model.split('/').next()
    }

    /// The score with its threshold: `least`, or the file's.
    pub(crate) fn judge(&self, signals: Signals, by_model: bool, least: Option<f64>) -> Confidence {
        let logistic = if by_model { &self.with_model } else { &self.words };
        let rounded = |score: f64| (score * 1000.0).round() / 1000.0;
        Confidence {
            score: rounded(logistic.score(&signals)),
            threshold: least.unwrap_or(logistic.threshold),
            read_by: if by_model { "model" } else { "words" },
            signals,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_weights_are_sound_and_point_the_right_way() {
        let weights = Weights::shipped().unwrap();
        let near = Signals {
            similarity: Some(0.8),
            alignment: Some(0.8),
            weakest: Some(0.6),
            coverage: 0.9,
            length: 1.8,
            agreement: 1.0,
            kind: 1.0,
            ..Signals::default()
        };
        let far = Signals { names: 1.0, numbers: 1.0, opposites: 1.0, rarest_missing: 1.0, ..near };
        for by_model in [true, false] {
            let score = |signals| weights.judge(signals, by_model, None).score;
            assert!(score(near) > score(far), "{} {}", score(near), score(far));
            let confidence = weights.judge(near, by_model, Some(0.9));
            assert_eq!(confidence.threshold, 0.9, "the configured threshold counts");
        }
        assert!(weights.fits("all-MiniLM-L6-v2/int8") && !weights.fits("other/int8"));
    }

    #[test]
    fn every_signal_has_a_name_and_a_wrong_file_is_refused() {
        assert!(SIGNALS.iter().all(|name| Signals::default().value(name).is_some()));
        assert_eq!(Signals::default().value("luck"), None);
        for (wrong, complaint) in [
            (SHIPPED.replace("\"version\": 1", "\"version\": 2"), "version 2"),
            (SHIPPED.replace("\"coverage\"", "\"luck\""), "no signal called `luck`"),
            (SHIPPED.replace("\"threshold\"", "\"treshold\""), "treshold"),
        ] {
            let error = Weights::parse(&wrong, "file").unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
    }
}
