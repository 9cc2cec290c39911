//! Lines of a feedback log.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::Error as _;

use crate::dataset::{Accepted, json_lines};
use crate::error::{ErrorKind, EvalError, Result};
use crate::run::wrong;

/// Seconds without an event after which another session begins.
const PAUSE: i64 = 30 * 60;

/// Something that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The document's id.
    pub document: String,
    /// The passage's, where passages were shown.
    pub chunk: Option<String>,
}

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Document(String),
            Chunk {
                document: String,
                #[serde(default)]
                chunk: Option<String>,
            },
        }
        let shown = match Either::deserialize(deserializer)? {
            Either::Document(document) => Self { document, chunk: None },
            Either::Chunk { document, chunk } => Self { document, chunk },
        };
        let bad = |id: &str| id.trim().is_empty() || id.contains(['\t', '\n', '\r']);
        if bad(&shown.document) || shown.chunk.as_deref().is_some_and(bad) {
            return Err(D::Error::custom("an id is empty or holds a tab or a line end"));
        }
        Ok(shown)
    }
}

/// One answer of a system and what a person did with it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// What was asked.
    pub query: String,
    /// What was shown, first rank first.
    pub shown: Vec<Shown>,
    /// Ids of documents or passages that were opened.
    #[serde(default)]
    pub clicked: Vec<String>,
    /// Ids that got a thumb up.
    #[serde(default)]
    pub up: Vec<String>,
    /// Ids that got a thumb down.
    #[serde(default)]
    pub down: Vec<String>,
    /// When, seconds since 1970; RFC 3339 in the file.
    #[serde(deserialize_with = "instant")]
    pub time: i64,
    /// Tells people or visits apart; opaque.
    #[serde(default)]
    pub session: Option<String>,
}

fn instant<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time: jiff::Timestamp =
        text.parse().map_err(|_| D::Error::custom(format!("`{text}` is not a time of RFC 3339")))?;
    Ok(time.as_second())
}

impl Event {
    pub(super) fn is_in(&self, ids: &[String], shown: &Shown) -> bool {
        ids.iter().any(|id| *id == shown.document || Some(id) == shown.chunk.as_ref())
    }

    pub(super) fn has_clicked(&self, shown: &Shown) -> bool {
        self.is_in(&self.clicked, shown)
    }

    /// What contradicts itself; `None` for an event that can be judged.
    pub fn fault(&self) -> Option<String> {
        if self.query.trim().is_empty() {
            return Some("the query is empty".to_owned());
        }
        if self.shown.is_empty() {
            return Some("nothing was shown".to_owned());
        }
        let known =
            |id: &&String| !self.shown.iter().any(|shown| self.is_in(std::slice::from_ref(*id), shown));
        if let Some(id) = self.clicked.iter().chain(&self.up).chain(&self.down).find(known) {
            return Some(format!("`{id}` was not shown"));
        }
        let both =
            self.shown.iter().find(|shown| self.is_in(&self.up, shown) && self.is_in(&self.down, shown));
        both.map(|shown| format!("`{}` has a thumb up and a thumb down", shown.document))
    }
}

/// Reads a log. A line that is no event is `Invalid` with its number, and so is a log without a line.
pub fn read(path: &Path, accepted: &mut Accepted) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    for line in json_lines::<Event>(path, accepted)? {
        let (number, event) = line?;
        if let Some(fault) = event.fault() {
            return Err(wrong(path, number, fault));
        }
        events.push(event);
    }
    if events.is_empty() {
        return Err(EvalError::new(ErrorKind::Invalid, format!("{} has no event", path.display())));
    }
    Ok(events)
}

/// The number of the session of each event of one query; `events` are in order of time.
pub(super) fn sessions(events: &[&Event]) -> Vec<usize> {
    let mut numbers: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    let (mut next, mut before) = (0, i64::MIN);
    events
        .iter()
        .map(|event| {
            let own = event.session.as_deref();
            if own.is_none() {
                if event.time.saturating_sub(before) >= PAUSE {
                    numbers.remove(&None);
                }
                before = event.time;
            }
            *numbers.entry(own).or_insert_with(|| {
                next += 1;
                next
            })
        })
        .collect()
}
