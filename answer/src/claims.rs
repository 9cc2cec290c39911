//! Cuts a growing text into sentences, each with the citation markers that stand in or after it.

use std::ops::Range;

use wellspring_models::text::sentences;

use crate::cite;

/// Longest text, in bytes, that is kept waiting for the end of its sentence: what is longer is handed out at its last
/// blank, so that a reply without full stops can't be read again and again from its beginning.
const LONGEST: usize = 8 * 1024;

/// Collects generated text and hands out each sentence once it can no longer change.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pending: String,
    /// Whether what is pending holds what may end a sentence, so that looking for its end is worth while.
    ended: bool,
}

impl Claims {
    /// Adds text; gives the sentences that are final now. A sentence is final when a later one has begun with a letter:
    /// before that, markers may still belong to it, or its full stop may turn out to be part of a number or a shortening.
    pub(crate) fn push(&mut self, text: &str) -> Vec<String> {
        self.pending.push_str(text);
        self.ended |= text.contains(may_end);
        if self.pending.len() > LONGEST {
            return self.cut_long();
        }
        // Only a letter after an end can make the sentence before it final.
        if !self.ended || !text.contains(char::is_alphabetic) {
            return Vec::new();
        }
        let ends = ends(&self.pending);
        let Some((_, finished)) = ends.split_last() else { return Vec::new() };
        let begun = finished.last().is_some_and(|&end| self.pending[end..].contains(char::is_alphabetic));
        let finished =
            if begun { finished } else { finished.split_last().map_or(&[][..], |(_, earlier)| earlier) };
        let claims = cut(&self.pending, finished);
        if let Some(&end) = finished.last() {
            self.pending.drain(..end);
            self.ended = self.pending.contains(may_end);
        }
        claims
    }

    /// All sentences of what is pending, the last one up to its last blank.
    fn cut_long(&mut self) -> Vec<String> {
        let text = std::mem::take(&mut self.pending);
        let kept = text.rfind(char::is_whitespace).filter(|place| *place > 0).unwrap_or(text.len());
        self.pending = text[kept..].to_owned();
        self.ended = false;
        cut(&text[..kept], &ends(&text[..kept]))
    }

    /// The rest. `complete` says that the text ended where it should: an unfinished last sentence is left out otherwise.
    pub(crate) fn finish(self, complete: bool) -> Vec<String> {
        let mut claims = cut(&self.pending, &ends(&self.pending));
        let finished =
            |claim: &String| cite::split(claim).text.trim_end().ends_with(['.', '!', '?', '。', '！', '？']);
        if !complete && !claims.last().is_some_and(finished) {
            claims.pop();
        }
        claims
    }
}

/// Whether a character can be the end of a sentence in any script, or begin a new block.
fn may_end(c: char) -> bool {
    c == '\n' || !(c.is_alphanumeric() || matches!(c, ' ' | ',' | '-' | '\'' | '’'))
}

/// Where each sentence ends, the markers after it included: `Done. [1] Next.` has a bound before `Next`.
fn ends(text: &str) -> Vec<usize> {
    let (blanked, markers) = blank_markers(text);
    let ranges = sentences(&blanked);
    let starts = ranges.iter().skip(1).map(|range| range.start).chain([text.len()]);
    let end = |(range, next): (&Range<usize>, usize)| {
        let last = markers.iter().rev().find(|marker| marker.start >= range.end && marker.end <= next);
        last.map_or(range.end, |marker| marker.end)
    };
    ranges.iter().zip(starts).map(end).collect()
}

/// The text with blanks, byte for byte, in place of its markers, so that a full stop before one or within one is read as
/// if the marker were not there; and where the markers are.
fn blank_markers(text: &str) -> (String, Vec<Range<usize>>) {
    let mut blanked = String::with_capacity(text.len());
    let mut markers = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (length, marker) = match cite::marker(rest) {
            Some((_, after)) => (rest.len() - after.len(), true),
            None => (c.len_utf8(), false),
        };
        if marker {
            markers.push(blanked.len()..blanked.len() + length);
            blanked.extend(std::iter::repeat_n(' ', length));
        } else {
            blanked.push(c);
        }
        rest = &rest[length..];
    }
    (blanked, markers)
}

/// The pieces of the text up to each end; white space before a sentence belongs to it.
fn cut(text: &str, ends: &[usize]) -> Vec<String> {
    let mut start = 0;
    ends.iter()
        .map(|&end| {
            let piece = text[start..end].to_owned();
            start = end;
            piece
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, size: usize) -> Vec<String> {
        let mut claims = Claims::default();
        let mut found = Vec::new();
        let characters: Vec<char> = text.chars().collect();
        for piece in characters.chunks(size) {
            found.extend(claims.push(&piece.iter().collect::<String>()));
        }
        found.extend(claims.finish(true));
        found
    }

    #[test]
    fn markers_after_a_full_stop_belong_to_the_sentence_before() {
        let text = "Leave is 30 days. [1] Carry-over ends in March [2][3]. Ask Dr. Weber.[1, 2]";
        let expected =
            ["Leave is 30 days. [1]", " Carry-over ends in March [2][3].", " Ask Dr. Weber.[1, 2]"];
        for size in [1, 2, 3, 7, 100] {
            assert_eq!(pieces(text, size), expected, "pieces of {size}");
        }
    }

    #[test]
    fn nothing_is_lost_and_a_sentence_waits_for_the_next() {
        let mut claims = Claims::default();
        assert!(claims.push("It costs 3.").is_empty());
        assert!(claims.push("5 euros a month. ").is_empty());
        assert_eq!(claims.push("Then"), ["It costs 3.5 euros a month."]);
        assert_eq!(claims.finish(true), [" Then"]);
    }

    #[test]
    fn a_reply_without_full_stops_is_handed_out_all_the_same() {
        let text = "word ".repeat(5_000);
        let mut claims = Claims::default();
        let mut found: Vec<String> = Vec::new();
        for piece in text.as_bytes().chunks(7) {
            found.extend(claims.push(std::str::from_utf8(piece).unwrap()));
            assert!(claims.pending.len() <= LONGEST);
        }
        assert!(found.len() >= 2, "{}", found.len());
        found.extend(claims.finish(true));
        assert_eq!(found.concat().trim_end(), text.trim_end());
    }

    #[test]
    fn a_cut_text_loses_its_unfinished_sentence() {
        let mut claims = Claims::default();
        claims.push("One is done [1]. Two is not");
        assert!(claims.finish(false).is_empty());
        let mut claims = Claims::default();
        claims.push("One is done. [1]");
        assert_eq!(claims.finish(false), ["One is done. [1]"]);
    }
}
