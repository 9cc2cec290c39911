//! A test set that a team writes by hand: rows of question and document, as CSV with a header or as JSONL.
//!
//! Columns or keys: `question` and `document` (an id), and, where wanted, `span` (words of the document that answer it),
//! `grade` (an integer, 1 if absent), `id` (of the question; questions are numbered in order of appearance if absent) and
//! `type` (any word: figures are broken down by it).
//! A question with several documents has several rows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use super::{Accepted, Dataset, Documents, GoldSpan, Parts, beir, stem};
use crate::error::{ErrorKind, EvalError, Result};
use crate::metrics::Qrels;
use crate::run::wrong;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(alias = "query")]
    question: String,
    document: String,
    #[serde(default)]
    span: Option<String>,
    #[serde(default)]
    grade: Option<i32>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, rename = "type")]
    of: Option<String>,
}

pub(super) fn open(path: &Path, documents: Documents) -> Result<Dataset> {
    let mut accepted = Accepted::default();
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let rows = match extension.as_str() {
        "csv" => csv_rows(path, &mut accepted)?,
        "jsonl" | "ndjson" => beir::json_lines::<Row>(path, &mut accepted)?.collect::<Result<_>>()?,
        _ => {
            return Err(EvalError::new(
                ErrorKind::Invalid,
                format!("{} must end in .csv or .jsonl, so that its format is known", path.display()),
            ));
        }
    };
    let parts = Parts { name: stem(path), documents, ..gather(path, rows, &mut accepted)? };
    Dataset::checked(parts, accepted, path)
}

fn csv_rows(path: &Path, accepted: &mut Accepted) -> Result<Vec<(usize, Row)>> {
    let text = fs_err::read_to_string(path)?;
    accepted.count_in_text(&text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().cloned().map_err(|e| wrong(path, 1, "not a CSV header").with_source(e))?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| {
            let line = e.position().map_or(0, csv::Position::line) as usize;
            wrong(path, line, "not a row with as many columns as the header").with_source(e)
        })?;
        let line = record.position().map_or(0, csv::Position::line) as usize;
        let row = record.deserialize(Some(&header)).map_err(|e| {
            wrong(
                path,
                line,
                "the columns are question and document, and where wanted span, grade (an integer), id and type",
            )
            .with_source(e)
        })?;
        rows.push((line, row));
    }
    Ok(rows)
}

fn gather(path: &Path, rows: Vec<(usize, Row)>, accepted: &mut Accepted) -> Result<Parts> {
    let mut queries: BTreeMap<String, String> = BTreeMap::new();
    let mut numbered: HashMap<String, String> = HashMap::new();
    let mut qrels = Qrels::new();
    let mut spans: BTreeMap<String, Vec<GoldSpan>> = BTreeMap::new();
    let (mut types, mut seen) = (BTreeMap::new(), HashSet::new());
    for (line, row) in rows {
        let (question, document) = (row.question.trim().to_owned(), row.document.trim().to_owned());
        if question.is_empty() || document.is_empty() {
            return Err(wrong(path, line, "a row needs a question and a document"));
        }
        let id = match row.id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()) {
            Some(id) => id,
            None => {
                let next = format!("q{:04}", numbered.len() + 1);
                numbered.entry(question.clone()).or_insert(next).clone()
            }
        };
        if let Some(other) = queries.insert(id.clone(), question.clone())
            && other != question
        {
            return Err(wrong(path, line, format_args!("question `{id}` has another text further up")));
        }
        let span = row.span.map(|span| span.trim().to_owned()).filter(|span| !span.is_empty());
        if !seen.insert((id.clone(), document.clone(), span.clone())) {
            return Err(wrong(path, line, format_args!("`{document}` is there twice for this question")));
        }
        let grade = accepted.grade(row.grade.unwrap_or(1));
        let kept = *qrels.entry(id.clone()).or_default().entry(document.clone()).or_insert(grade);
        if kept != grade {
            return Err(wrong(
                path,
                line,
                format_args!("`{document}` has grade {grade} here and {kept} further up for this question"),
            ));
        }
        if let Some(of) = row.of.filter(|of| !of.trim().is_empty()) {
            types.insert(id.clone(), of);
        }
        if let Some(quote) = span {
            spans.entry(id).or_default().push(GoldSpan { document, quote });
        }
    }
    if qrels.is_empty() {
        return Err(EvalError::new(ErrorKind::Invalid, format!("{} has no row", path.display())));
    }
    Ok(Parts { queries, qrels, spans, types, ..Parts::default() })
}
