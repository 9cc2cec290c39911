//! Where the links of a page lead: the stored text keeps what a reader sees of them, this keeps their targets.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::clean::clean_line;
use crate::offsets::OffsetMap;

/// Links kept of one document.
const MOST: usize = 10_000;
/// Bytes of the longest target: an id of ours has at most 512.
const LONGEST: usize = 1_024;

/// A link in the stored text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSpan {
    /// First byte of its words, or of the line they stand in where they can't be told apart.
    pub at: usize,
    /// Where it leads, as the document has it: relative or whole, entities decoded.
    pub target: String,
}

/// A link as the markup has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// Its content, in the units of the draft's offset map.
    pub(crate) content: Range<u64>,
    /// The words that a reader sees.
    pub(crate) words: String,
    /// See [`LinkSpan::target`].
    pub(crate) target: String,
}

/// Whether a target can be another document's address; a place in the same one and a script can't.
pub(crate) fn can_lead_elsewhere(target: &str) -> bool {
    let scheme = target.split(['/', '?', '#']).next().and_then(|first| first.split_once(':'));
    let foreign = scheme.is_some_and(|(scheme, _)| !matches!(scheme, "http" | "https" | "file"));
    (1..=LONGEST).contains(&target.len()) && !target.starts_with('#') && !foreign
}

/// The links whose words are in the stored text, in its order. Anchors ascend in the source, as they were found.
pub(crate) fn in_text(anchors: Vec<Anchor>, offsets: &OffsetMap, text: &str) -> Vec<LinkSpan> {
    if anchors.is_empty() {
        return Vec::new();
    }
    let mut lines: Vec<(Range<usize>, Range<u64>)> =
        offsets.segments().map(|(line, source)| (line, source.start..source.end)).collect();
    lines.sort_by_key(|(line, source)| (source.start, line.start));
    let mut found = Vec::new();
    let mut first = 0;
    // Equal words in one stretch stand for one link after the other.
    let mut behind = 0;
    for Anchor { content, words, target } in anchors {
        // A stretch that ends before this link begins holds none of the links behind it either.
        while lines.get(first).is_some_and(|(_, source)| source.end <= content.start) {
            first += 1;
        }
        let mut near = lines.iter().skip(first).take_while(|(_, source)| source.start < content.end);
        let Some((line, _)) = near.find(|(_, source)| source.end > content.start) else { continue };
        let words = clean_line(&words);
        let from = line.start.max(behind).min(line.end);
        let rest = text.get(from..line.end).filter(|_| !words.is_empty());
        let at = rest.and_then(|rest| rest.find(&words)).map(|at| from + at);
        behind = at.map_or(behind, |at| at + words.len());
        found.push(LinkSpan { at: at.unwrap_or(line.start), target });
        if found.len() == MOST {
            break;
        }
    }
    found.sort_by_key(|link| link.at);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_documents_are_targets() {
        for target in ["a.html", "../b/c.md#part", "/root", "https://x.org/y?z=1", "b/notes:1", "?page=2"] {
            assert!(can_lead_elsewhere(target), "{target}");
        }
        for target in ["", "#top", "mailto:a@b.c", "javascript:void(0)", "tel:+1", "data:text/plain,x"] {
            assert!(!can_lead_elsewhere(target), "{target}");
        }
        assert!(!can_lead_elsewhere(&"x".repeat(LONGEST + 1)));
    }
}
