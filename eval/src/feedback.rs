//! Judgements out of logged feedback, by a rule that would rather say nothing than something wrong.
//!
//! An event is a line of JSON: what was asked, what was shown in which order, and what the person did with it.
//!
//! ```json
//! {"query": "hotel costs", "shown": ["travel.md", "leave.md"], "clicked": ["leave.md"], "up": [], "down": ["travel.md"],
//!  "time": "2026-03-01T09:30:00Z", "session": "a1"}
//! ```
//!
//! `shown` holds document ids, or `{"document": …, "chunk": …}` where passages were shown; `clicked`, `up` and `down` name
//! documents or chunks that were shown. `session` tells people apart; events without one belong to one session where less
//! than half an hour lies between them (Catledge and Pitkow 1995). Judgements are about documents.
//!
//! - **Thumbs are grades**: up is [`UP`], down is 0. Each session has one voice, its last. Where voices disagree the
//!   majority counts if it is twice the rest; otherwise the pair is conflicting and left out.
//! - **Clicks count together**: a document is graded 1 once clicks weigh [`Rule::clicks`]. A click weighs 1 where the person
//!   passed over something that stood above it, and [`UNOPPOSED`] where not, since people click what stands first because it
//!   stands first (Joachims, Granka, Pan, Hembrooke and Gay, SIGIR 2005). Each session clicks a document once.
//! - **Skips count against**: a document that stood above a click and was not clicked is graded 0 once as many sessions
//!   passed it over and none clicked it. One that was clicked enough but passed over more often is conflicting.
//! - Thumbs outweigh clicks; where they say the opposite that is reported too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use wellspring_models::text::fold;

use crate::error::Result;
use crate::metrics::Qrels;

mod event;

pub use event::{Event, Shown, read};

/// The grade of a thumb up: somebody said so. A click's is 1.
pub const UP: i32 = 2;

/// What a click weighs that had nothing passed over above it.
pub const UNOPPOSED: f64 = 0.5;

/// How much it takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// What clicks of different sessions must weigh together, and how many sessions must pass a document over; at least 1.
    pub clicks: u32,
}

impl Default for Rule {
    /// Three: one person's curiosity and one accident are not enough.
    fn default() -> Self {
        Self { clicks: 3 }
    }
}

/// What became of the events.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgements {
    /// Texts by id: the first wording of queries that are equal but for case and white space.
    pub queries: BTreeMap<String, String>,
    /// Grades of queries with at least one relevant document.
    pub qrels: Qrels,
    /// Documents on which people disagree.
    pub conflicts: Vec<Conflict>,
    /// Queries left out because nothing was found relevant for them.
    pub without_relevant: usize,
    /// Events read.
    pub events: usize,
}

/// A document on which people disagree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conflict {
    /// The query's text.
    pub query: String,
    /// The document.
    pub document: String,
    /// Who says what.
    pub why: String,
    /// The grade it got all the same; `None` where it was left out.
    pub grade: Option<i32>,
}

/// What is known of one document under one query; sessions by number.
#[derive(Default)]
struct Voices {
    thumbs: BTreeMap<usize, bool>,
    clicks: BTreeMap<usize, f64>,
    skips: BTreeSet<usize>,
}

/// Applies the rule.
pub fn judge(events: &[Event], rule: Rule) -> Judgements {
    let mut by_query: BTreeMap<String, Vec<&Event>> = BTreeMap::new();
    for event in events {
        by_query.entry(fold(&event.query)).or_default().push(event);
    }
    let mut found = Judgements {
        queries: BTreeMap::new(),
        qrels: Qrels::new(),
        conflicts: Vec::new(),
        without_relevant: 0,
        events: events.len(),
    };
    for (at, mut of_query) in by_query.into_values().enumerate() {
        of_query.sort_by_key(|event| event.time);
        let text = of_query.first().map(|event| event.query.trim().to_owned()).unwrap_or_default();
        let mut grades = BTreeMap::new();
        for (document, voices) in voices(&of_query) {
            let (grade, why) = grade(&voices, rule);
            if let Some(why) = why {
                found.conflicts.push(Conflict {
                    query: text.clone(),
                    document: document.clone(),
                    why,
                    grade,
                });
            }
            if let Some(grade) = grade {
                grades.insert(document, grade);
            }
        }
        if grades.values().any(|grade| *grade > 0) {
            let id = format!("feedback-{:05}", at + 1);
            found.queries.insert(id.clone(), text);
            found.qrels.insert(id, grades.into_iter().collect());
        } else {
            found.without_relevant += 1;
        }
    }
    found
}

/// Events of one query, oldest first.
fn voices(events: &[&Event]) -> BTreeMap<String, Voices> {
    let mut voices: BTreeMap<String, Voices> = BTreeMap::new();
    for (session, event) in event::sessions(events).into_iter().zip(events) {
        let mut passed_over = 0;
        let last = event.shown.iter().rposition(|shown| event.has_clicked(shown));
        for (at, shown) in event.shown.iter().enumerate() {
            let of = voices.entry(shown.document.clone()).or_default();
            if event.is_in(&event.up, shown) {
                of.thumbs.insert(session, true);
            } else if event.is_in(&event.down, shown) {
                of.thumbs.insert(session, false);
            }
            if event.has_clicked(shown) {
                let weight = if passed_over > 0 { 1.0 } else { UNOPPOSED };
                let kept = of.clicks.entry(session).or_insert(weight);
                *kept = kept.max(weight);
            } else if last.is_some_and(|last| at < last) {
                of.skips.insert(session);
                passed_over += 1;
            }
        }
    }
    // Another passage of a document that was clicked is not passed over.
    for of in voices.values_mut() {
        of.skips.retain(|session| !of.clicks.contains_key(session));
    }
    voices
}

/// The grade, and where people disagree who says what.
fn grade(voices: &Voices, rule: Rule) -> (Option<i32>, Option<String>) {
    let up = voices.thumbs.values().filter(|up| **up).count();
    let down = voices.thumbs.len() - up;
    let weight: f64 = voices.clicks.values().sum();
    let clicked = weight >= f64::from(rule.clicks);
    let skipped = voices.skips.len();
    if up + down > 0 {
        let against = (up > 0 && down > 0).then(|| format!("{up} thumbs up, {down} down"));
        return match (up >= 2 * down, down >= 2 * up) {
            (true, _) => (Some(UP), against),
            (_, true) if clicked && against.is_none() => {
                (Some(0), Some(format!("{down} thumbs down, clicked by {}", voices.clicks.len())))
            }
            (_, true) => (Some(0), against),
            _ => (None, against),
        };
    }
    if clicked && skipped > voices.clicks.len() {
        return (None, Some(format!("clicked by {}, passed over by {skipped}", voices.clicks.len())));
    }
    if clicked {
        return (Some(1), None);
    }
    let enough = usize::try_from(rule.clicks).is_ok_and(|enough| skipped >= enough);
    ((enough && voices.clicks.is_empty()).then_some(0), None)
}

/// Writes `queries.jsonl`, `qrels/test.tsv` and a `dataset.toml` that says that the documents are in a collection: what
/// `--dataset` reads.
pub fn write(judgements: &Judgements, folder: &Path) -> Result<()> {
    fs_err::create_dir_all(folder.join("qrels"))?;
    let mut text = String::new();
    for (id, query) in &judgements.queries {
        text.push_str(
            &serde_json::json!({ "_id": id, "text": query, "metadata": { "type": "feedback" } }).to_string(),
        );
        text.push('\n');
    }
    fs_err::write(folder.join("queries.jsonl"), text)?;
    crate::dataset::write_qrels(&folder.join("qrels").join("test.tsv"), &judgements.qrels)?;
    Ok(fs_err::write(
        folder.join("dataset.toml"),
        "# Judgements out of logged feedback.\ncollection = true\n",
    )?)
}

#[cfg(test)]
mod tests;
