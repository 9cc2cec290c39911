//! Questions with snippets of three kinds: right, falsified and irrelevant ones (RGB, Chen et al., AAAI 2024). With nothing
//! but irrelevant ones an answer must be a refusal; with right and falsified ones the contradiction must be shown.

use std::collections::BTreeMap;
use std::path::Path;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use wellspring_answer::{Answer, AnswerRequest, Answerer, EXTRACTIVE};
use wellspring_ingest::{Content, Submission};
use wellspring_store::DocumentId;
use wellspring_store::filter::{Field, Filter};

use crate::dataset::{Accepted, json_lines};
use crate::engine::Engine;
use crate::error::{ErrorKind, EvalError, Result};
use crate::stats::{Interval, mean};

use super::Share;

/// The file of such a folder.
pub const FILE: &str = "en_fact.json";

const IN_FLIGHT: usize = 16;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(600);

/// One question and its snippets.
#[derive(Debug, Clone, Deserialize)]
pub struct Snippets {
    id: serde_json::Value,
    query: String,
    /// One answer, or several of which one is enough, or lists of such that are all needed.
    answer: serde_json::Value,
    #[serde(default)]
    positive: Vec<String>,
    #[serde(default)]
    positive_wrong: Vec<String>,
    #[serde(default)]
    negative: Vec<String>,
}

/// Which snippets a question is asked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// Irrelevant ones alone: to be refused.
    Irrelevant,
    /// Right ones alone.
    Right,
    /// Right and irrelevant ones.
    RightAndIrrelevant,
    /// Right and falsified ones: the contradiction is to be shown.
    RightAndFalsified,
}

const ALL: [Over; 4] = [Over::Irrelevant, Over::Right, Over::RightAndIrrelevant, Over::RightAndFalsified];

impl Over {
    fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Irrelevant => &["negative"],
            Self::Right => &["positive"],
            Self::RightAndIrrelevant => &["positive", "negative"],
            Self::RightAndFalsified => &["positive", "wrong"],
        }
    }
}

/// Rates over one kind of snippets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rates {
    /// Questions that have such snippets.
    pub questions: usize,
    /// Share refused.
    pub refused: Share,
    /// Share whose sentences hold the right answer.
    pub right: Share,
    /// Share in which two sentences are shown as contradicting each other.
    pub conflict: Share,
}

/// What `eval answers` measured on such a folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SnippetsReport {
    /// [`super::VERSION`].
    pub version: u32,
    /// The dataset's name.
    pub dataset: String,
    /// Of every resampling.
    pub seed: u64,
    /// By what the question was asked over.
    pub over: BTreeMap<Over, Rates>,
    /// Confidence of each question by its id, by what it was asked over.
    pub confidence: BTreeMap<Over, BTreeMap<String, f64>>,
    /// The configuration in force, secrets hidden.
    pub configuration: serde_json::Value,
}

/// The questions of a folder that has [`FILE`].
pub fn read(folder: &Path) -> Result<Vec<Snippets>> {
    let lines = json_lines::<Snippets>(&folder.join(FILE), &mut Accepted::default())?;
    lines.map(|line| line.map(|(_, snippets)| snippets)).collect()
}

/// Brings every snippet into the collection as a document of its own, named `ID/KIND/NUMBER`.
pub async fn index(engine: &Engine, questions: &[Snippets]) -> Result<()> {
    let texts = questions.iter().flat_map(|question| {
        let kinds = [
            ("positive", &question.positive),
            ("wrong", &question.positive_wrong),
            ("negative", &question.negative),
        ];
        kinds.into_iter().flat_map(move |(kind, texts)| {
            let named = move |(number, text): (usize, &String)| {
                (format!("{}/{kind}/{number}", question.id), text.clone())
            };
            texts.iter().enumerate().map(named)
        })
    });
    let texts: Vec<(String, String)> = texts.filter(|(_, text)| !text.trim().is_empty()).collect();
    stream::iter(texts)
        .map(|(id, text)| async move {
            let failed = |doing| move |error| EvalError::engine(doing, error);
            let document = DocumentId::new(id.as_str()).map_err(failed("naming a snippet"))?;
            let mut submission = Submission::new(document, id, Content::Bytes(text.into_bytes().into()));
            submission.media_type = Some("text/plain".to_owned());
            let accepted = engine.ingestor.submit(&engine.collection, submission, None).await;
            let accepted = accepted.map_err(|error| EvalError::engine("accepting a snippet", error))?;
            let job = engine.ingestor.wait(engine.collection.scope(), accepted.job, PATIENCE).await;
            let job = job.map_err(|error| EvalError::engine("waiting for a snippet", error))?;
            match job.reason {
                Some(reason) => {
                    Err(EvalError::new(ErrorKind::Engine, format!("a snippet was not read: {reason}")))
                }
                None => Ok(()),
            }
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<()>()
        .await?;
    let learned = engine.retriever.learn_if_stale(&engine.collection).await;
    learned.map_err(|error| EvalError::engine("learning from the snippets", error))?;
    Ok(())
}

/// Asks every question over each kind of snippets, with the settings that users have.
pub async fn evaluate(
    answerer: &Answerer,
    engine: &Engine,
    questions: &[Snippets],
    dataset: &str,
    seed: u64,
) -> Result<SnippetsReport> {
    let (mut over, mut confidence) = (BTreeMap::new(), BTreeMap::new());
    for kind in ALL {
        let mut outcomes: Vec<[bool; 3]> = Vec::new();
        let mut scores = BTreeMap::new();
        for question in questions.iter().filter(|question| question.has(kind)) {
            let answer = answerer
                .answer(&engine.collection, question.request(kind))
                .await
                .map_err(|error| EvalError::engine("answering a question", error))?;
            outcomes.push([answer.abstained, question.is_right(&answer), !answer.conflicts.is_empty()]);
            let score = answer.confidence.as_ref().map_or(0.0, |confidence| confidence.score);
            scores.insert(question.id.to_string(), score);
        }
        let share = |which: usize| -> Option<Share> {
            let values: Vec<f64> =
                outcomes.iter().map(|outcome| f64::from(u8::from(outcome[which]))).collect();
            Some(Share { value: mean(&values), interval: Interval::of_mean(&values, seed)? })
        };
        if let (Some(refused), Some(right), Some(conflict)) = (share(0), share(1), share(2)) {
            over.insert(kind, Rates { questions: outcomes.len(), refused, right, conflict });
            confidence.insert(kind, scores);
        }
    }
    Ok(SnippetsReport {
        version: super::VERSION,
        dataset: dataset.to_owned(),
        seed,
        over,
        confidence,
        configuration: engine.configuration.clone(),
    })
}

impl Snippets {
    fn has(&self, over: Over) -> bool {
        let some = |kind: &str| match kind {
            "positive" => !self.positive.is_empty(),
            "wrong" => !self.positive_wrong.is_empty(),
            _ => !self.negative.is_empty(),
        };
        over.kinds().iter().all(|kind| some(kind))
    }

    fn request(&self, over: Over) -> AnswerRequest {
        let prefix = |kind: &&str| Filter::Prefix(Field("_id".to_owned()), format!("{}/{kind}/", self.id));
        AnswerRequest {
            filter: Some(Filter::Or(over.kinds().iter().map(prefix).collect())),
            model: Some(EXTRACTIVE.to_owned()),
            ..AnswerRequest::new(&self.query)
        }
    }

    fn is_right(&self, answer: &Answer) -> bool {
        let text =
            answer.citations.iter().map(|citation| citation.quote.as_str()).collect::<Vec<_>>().join("\n");
        !answer.abstained && holds(&text.to_lowercase(), &self.answer)
    }
}

/// Whether a text in lower case holds an answer: a string itself, of a list every member, and of a list in it any.
fn holds(text: &str, answer: &serde_json::Value) -> bool {
    match answer {
        serde_json::Value::String(answer) => text.contains(&answer.to_lowercase()),
        serde_json::Value::Array(all) => all.iter().all(|one| match one {
            serde_json::Value::Array(any) => any.iter().any(|answer| holds(text, answer)),
            other => holds(text, other),
        }),
        other => text.contains(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_every_form_are_found() {
        let held = |answer: serde_json::Value| holds("held in tampa, florida in 2021", &answer);
        assert!(held(serde_json::json!("Tampa, Florida")) && held(serde_json::json!(2021)));
        assert!(held(serde_json::json!([["Tampa", "Miami"], ["2021"]])));
        assert!(!held(serde_json::json!(["Tampa", "2022"])));
    }
}
