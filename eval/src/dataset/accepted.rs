//! What was unusual in the input, and accepted: counted, so that nothing happens silently.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts by what it was, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Accepted(pub BTreeMap<String, usize>);

impl Accepted {
    /// Adds `times` occurrences; none adds nothing.
    pub fn count(&mut self, what: &str, times: usize) {
        if times > 0 {
            *self.0.entry(what.to_owned()).or_default() += times;
        }
    }

    /// Counts what [`crate::run::lines`] takes away or leaves in place.
    pub(crate) fn count_in_text(&mut self, text: &str) {
        self.count("byte order marks", usize::from(text.starts_with('\u{feff}')));
        self.count("lines ended by CR LF", text.matches("\r\n").count());
        self.count(
            "line separators inside strings",
            text.matches(['\u{2028}', '\u{2029}', '\u{85}']).count(),
        );
    }

    /// A grade as it counts: one below 0 as 0.
    pub(crate) fn grade(&mut self, grade: i32) -> i32 {
        self.count("negative grades, counted as 0", usize::from(grade < 0));
        grade.max(0)
    }
}

impl std::fmt::Display for Accepted {
    /// `2 byte order marks, 5 lines ended by CR LF`; empty for nothing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (what, times)) in self.0.iter().enumerate() {
            write!(f, "{}{times} {what}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}
