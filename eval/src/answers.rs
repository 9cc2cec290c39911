//! Measures answers of quoted sentences, without any chat model: do they hold the answer, and are the questions refused that
//! the documents do not answer?
//!
//! Questions are those of a folder in BEIR layout whose `queries.jsonl` says in `metadata` what is `answerable` and what
//! the `answers` are (SQuAD 2.0, Rajpurkar et al., ACL 2018). Every question is asked over all documents, so what retrieval
//! misses counts as a failure. Articles are split in two: what is chosen on data is chosen on one half, figures are of the
//! other.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use wellspring_answer::{Answer, AnswerRequest, Answerer, EXTRACTIVE, RefusalConfig, Signals};
use wellspring_retrieve::Mode;
use wellspring_store::CollectionScope;

use crate::error::{EvalError, Result};
use crate::stats::Interval;

pub mod fit;
mod overlap;
mod questions;
mod roc;
pub mod snippets;

pub use questions::{Half, Question, questions};
pub use roc::{Area, Curve, Point, area, curve};

/// The version of [`AnswersReport`] as JSON.
pub const VERSION: u32 = 1;

/// What one question came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The question's id.
    pub id: String,
    /// Which half its article is in.
    pub half: Half,
    /// Whether the documents answer it.
    pub answerable: bool,
    /// The confidence score.
    pub confidence: f64,
    /// Whether the settings in force refuse it.
    pub refused: bool,
    /// Whether the best sentence holds a gold answer.
    pub first: bool,
    /// Whether one of the sentences does.
    pub any: bool,
    /// Sentences quoted.
    pub sentences: usize,
    /// Token F1 of the short answer; `None` where none was given.
    pub short_f1: Option<f64>,
    /// Whether the baseline's sentence holds a gold answer.
    pub baseline: bool,
    /// Share of the question's words in the baseline's sentence.
    pub baseline_overlap: f64,
    /// Whether two sentences were shown as contradicting each other.
    pub conflict: bool,
    /// What the confidence is made of.
    pub signals: Signals,
}

/// A share of questions with its 95 % interval over them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// 0–1.
    pub value: f64,
    /// Bootstrap over questions.
    pub interval: Interval,
}

/// Figures of one half of the questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Questions that the documents answer.
    pub answerable: usize,
    /// Questions that they do not.
    pub unanswerable: usize,
    /// Shares by name, as documented in `docs/evaluation.md`.
    pub shares: BTreeMap<String, Share>,
    /// Areas under the ROC curve of answerable against unanswerable, by what scored.
    pub auroc: BTreeMap<String, Area>,
    /// Risk over coverage by what decides the order, with the area under each.
    pub risk_coverage: BTreeMap<String, Curve>,
}

/// What `eval answers` measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnswersReport {
    /// [`VERSION`].
    pub version: u32,
    /// The dataset's name.
    pub dataset: String,
    /// Of every resampling.
    pub seed: u64,
    /// How passages were found.
    pub mode: Mode,
    /// What the weights of the confidence were fitted on.
    pub weights: String,
    /// The threshold of the confidence.
    pub threshold: f64,
    /// The half that weights are fitted on.
    pub fit: Figures,
    /// The half that had no part in it.
    pub report: Figures,
    /// Every question.
    pub questions: Vec<Asked>,
    /// The configuration in force, secrets hidden.
    pub configuration: serde_json::Value,
}

/// How questions are asked.
#[derive(Debug, Clone, Copy)]
pub struct AskOptions {
    /// How passages are found.
    pub mode: Mode,
    /// Questions asked at the same time.
    pub concurrency: usize,
}

/// Asks every question. `answerer` must refuse nothing ([`never_refuses`]), so that every question has a score and an answer;
/// `limits` and its threshold say which of them a user would have been refused.
pub async fn ask(
    answerer: &Answerer,
    scope: &CollectionScope,
    questions: &[Question],
    limits: RefusalConfig,
    options: AskOptions,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Asked>> {
    let done = &std::sync::atomic::AtomicU64::new(0);
    let asked = stream::iter(questions)
        .map(|question| async move {
            let request = AnswerRequest {
                mode: options.mode,
                model: Some(EXTRACTIVE.to_owned()),
                ..AnswerRequest::new(&question.text)
            };
            let answer = answerer
                .answer(scope, request)
                .await
                .map_err(|error| EvalError::engine("answering a question", error))?;
            progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1);
            Ok::<_, EvalError>(judged(question, &answer, limits))
        })
        .buffered(options.concurrency.max(1));
    asked.try_collect().await
}

/// Settings under which nothing is refused once something is found.
pub fn never_refuses() -> RefusalConfig {
    RefusalConfig { min_coverage: 0.0, min_cosine: -1.0, min_confidence: Some(0.0) }
}

fn judged(question: &Question, answer: &Answer, limits: RefusalConfig) -> Asked {
    let holds = |text: &str| question.gold.iter().any(|gold| text.contains(gold.as_str()));
    let best = answer.claims.iter().position(|claim| claim.rank == Some(1));
    let quote = |place: usize| answer.citations.get(place).map(|citation| citation.quote.as_str());
    let (confidence, signals) = match &answer.confidence {
        Some(confidence) => (confidence.score, confidence.signals),
        None => (0.0, Signals::default()),
    };
    let off_topic = limits.is_off_topic(signals.retrieved_coverage, signals.retrieved_similarity);
    let top =
        answer.passages.first().and_then(|found| overlap::sentence(&question.text, &found.passage.text));
    let f1 = |short: &str| question.gold.iter().map(|gold| overlap::f1(short, gold)).fold(0.0, f64::max);
    Asked {
        id: question.id.clone(),
        half: question.half,
        answerable: question.answerable,
        confidence,
        refused: answer.abstained
            || off_topic
            || limits.min_confidence.is_some_and(|least| confidence < least),
        first: best.and_then(quote).is_some_and(holds),
        any: answer.citations.iter().any(|citation| holds(&citation.quote)),
        sentences: answer.citations.len(),
        short_f1: answer.short_answer.as_ref().map(|short| f1(&short.text)),
        baseline: top.as_ref().is_some_and(|(text, _)| holds(text)),
        baseline_overlap: top.map_or(0.0, |(_, share)| share),
        conflict: !answer.conflicts.is_empty(),
        signals,
    }
}

/// The figures of the questions of one half; `extra` are further scores to be told apart by, by name, one per question of
/// `asked`. `None` where the half has not both kinds of questions.
pub fn figures(
    asked: &[Asked],
    half: Half,
    extra: &BTreeMap<String, Vec<f64>>,
    seed: u64,
) -> Option<Figures> {
    let places: Vec<usize> = (0..asked.len()).filter(|&place| asked[place].half == half).collect();
    let of = |answerable: bool| -> Vec<&Asked> {
        places.iter().map(|&place| &asked[place]).filter(|asked| asked.answerable == answerable).collect()
    };
    let (yes, no) = (of(true), of(false));
    let mut shares = BTreeMap::new();
    let mut put = |name: &str, of: &[&Asked], value: &dyn Fn(&Asked) -> f64| {
        let values: Vec<f64> = of.iter().map(|asked| value(asked)).collect();
        if let Some(interval) = Interval::of_mean(&values, seed) {
            shares.insert(name.to_owned(), Share { value: crate::stats::mean(&values), interval });
        }
    };
    let flag = |value: bool| f64::from(u8::from(value));
    put("gold_in_best_sentence", &yes, &|a| flag(a.first));
    put("gold_in_sentences", &yes, &|a| flag(a.any));
    put("gold_in_sentences_not_refused", &yes, &|a| flag(a.any && !a.refused));
    put("baseline_gold", &yes, &|a| flag(a.baseline));
    put("short_f1", &yes, &|a| a.short_f1.unwrap_or(0.0));
    put("short_given", &yes, &|a| flag(a.short_f1.is_some()));
    let given: Vec<&Asked> = yes.iter().copied().filter(|asked| asked.short_f1.is_some()).collect();
    put("short_f1_where_given", &given, &|a| a.short_f1.unwrap_or(0.0));
    put("refused_answerable", &yes, &|a| flag(a.refused));
    put("refused_unanswerable", &no, &|a| flag(a.refused));
    put("conflict_answerable", &yes, &|a| flag(a.conflict));
    put("sentences", &yes, &|a| a.sentences as f64);
    let labels: Vec<bool> = places.iter().map(|&place| asked[place].answerable).collect();
    let mut scores: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    scores.insert("confidence".to_owned(), places.iter().map(|&place| asked[place].confidence).collect());
    scores.insert("baseline".to_owned(), places.iter().map(|&place| asked[place].baseline_overlap).collect());
    for (name, values) in extra {
        scores.insert(name.clone(), places.iter().map(|&place| values[place]).collect());
    }
    let mut auroc = BTreeMap::new();
    for (name, values) in &scores {
        auroc.insert(name.clone(), area(values, &labels, seed)?);
    }
    let right = |baseline: bool| -> Vec<bool> {
        let one = |place: &usize| if baseline { asked[*place].baseline } else { asked[*place].any };
        places.iter().map(|place| asked[*place].answerable && one(place)).collect()
    };
    let curves =
        scores.iter().map(|(name, values)| (name.clone(), curve(values, &right(name == "baseline"))));
    Some(Figures {
        answerable: yes.len(),
        unanswerable: no.len(),
        shares,
        auroc,
        risk_coverage: curves.collect(),
    })
}

#[cfg(test)]
mod tests;
