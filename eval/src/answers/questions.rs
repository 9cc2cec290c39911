//! Reads questions with their answers, and splits them by article.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::dataset::{Accepted, json_lines};
use crate::error::{ErrorKind, EvalError, Result};

/// Which half of the articles a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// What is chosen on data is chosen here.
    Fit,
    /// Figures are of these.
    Report,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its id.
    pub id: String,
    /// In plain words.
    pub text: String,
    /// Whether the documents answer it.
    pub answerable: bool,
    /// Words of the documents, each of which answers it; empty for an unanswerable one.
    pub gold: Vec<String>,
    /// Which half its article is in.
    pub half: Half,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_id")]
    id: String,
    text: String,
    #[serde(default)]
    metadata: About,
}

#[derive(Deserialize, Default)]
struct About {
    answerable: Option<bool>,
    #[serde(default)]
    answers: Vec<String>,
    /// The document it was asked about, `Article#3`.
    #[serde(default)]
    paragraph: String,
}

/// The questions of `queries.jsonl` whose metadata say whether they can be answered, in the order of the file. Articles (what
/// stands before `#` in `metadata.paragraph`) are sorted by name and go to the halves in turn. `Invalid` where no question
/// says it, or an answerable one has no answer.
pub fn questions(folder: &Path) -> Result<Vec<Question>> {
    let path = folder.join("queries.jsonl");
    let lines: Vec<(usize, Line)> =
        json_lines::<Line>(&path, &mut Accepted::default())?.collect::<Result<_>>()?;
    let article = |line: &Line| line.metadata.paragraph.split('#').next().unwrap_or_default().to_owned();
    let articles: BTreeSet<String> = lines.iter().map(|(_, line)| article(line)).collect();
    let articles: Vec<String> = articles.into_iter().collect();
    let invalid = |what: String| EvalError::new(ErrorKind::Invalid, format!("{} {what}", path.display()));
    let mut questions = Vec::new();
    for (number, line) in lines {
        let Some(answerable) = line.metadata.answerable else { continue };
        if answerable && line.metadata.answers.iter().all(|answer| answer.trim().is_empty()) {
            return Err(invalid(format!("line {number}: an answerable question without `metadata.answers`")));
        }
        let place = articles.binary_search(&article(&line)).unwrap_or(0);
        let half = if place.is_multiple_of(2) { Half::Fit } else { Half::Report };
        let gold = line.metadata.answers.into_iter().filter(|answer| !answer.trim().is_empty()).collect();
        questions.push(Question { id: line.id, text: line.text, answerable, gold, half });
    }
    if questions.is_empty() {
        return Err(invalid(
            "has no question whose `metadata.answerable` says whether it can be answered".to_owned(),
        ));
    }
    Ok(questions)
}
