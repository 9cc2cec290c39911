//! Maps byte ranges of a document's stored text back to where they came from in the source file.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What the source positions of an [`OffsetMap`] count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Basis {
    /// Bytes of the original file (UTF-8 text formats).
    #[default]
    Bytes,
    /// Bytes of the original file after decoding it from this charset (WHATWG label) to UTF-8, byte order mark removed.
    Decoded(String),
    /// Character indices on a page, as PDFium counts them. The part name is the page number, from 1.
    PageChars,
    /// Units inside a named part of the container: paragraphs, table rows, records or chapters, counted from 0.
    PartUnits,
}

/// One stretch of the source; `end` is exclusive. What is counted is said by [`Basis`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSpan {
    /// Name of the part (archive member, sheet, page number); empty when the file is one part.
    pub part: String,
    /// First position.
    pub start: u64,
    /// One past the last position; never less than `start`.
    pub end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    start: usize,
    end: usize,
    part: u32,
    from: u64,
    to: u64,
}

impl Segment {
    /// A segment whose text is as long as its source is taken position for position; any other maps as a whole.
    fn linear(&self, basis: &Basis) -> bool {
        !matches!(basis, Basis::PartUnits) && (self.end - self.start) as u64 == self.to - self.from
    }

    fn slice(&self, start: usize, end: usize, basis: &Basis) -> (u64, u64) {
        if self.linear(basis) {
            let from = self.from + (start - self.start) as u64;
            (from, from + (end - start) as u64)
        } else {
            (self.from, self.to)
        }
    }
}

/// Ascending, non-overlapping segments of stored text with their place in the source.
///
/// Text that has no source (a separator, a repeated table header) lies between segments. Serialises to a compact
/// versioned form; a map read back equals the one written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "Wire")]
pub struct OffsetMap {
    basis: Basis,
    parts: Vec<String>,
    segments: Vec<Segment>,
}

/// A replaced stretch: bytes `from` of the old text became bytes `to` of the new one. See [`OffsetMap::rewrite`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) from: Range<usize>,
    pub(crate) to: Range<usize>,
}

impl OffsetMap {
    /// An empty map whose source positions count `basis`.
    pub fn new(basis: Basis) -> Self {
        Self { basis, ..Self::default() }
    }

    /// A map of text that is the source itself, shifted by `skip` positions (a byte order mark).
    pub fn identity(basis: Basis, len: usize, skip: usize) -> Self {
        let mut map = Self::new(basis);
        let part = map.part("");
        map.push(0..len, part, skip as u64, (skip + len) as u64);
        map
    }

    /// What source positions count.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// How many segments the map holds.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// End of the last mapped stretch of text, 0 when nothing is mapped.
    pub fn text_end(&self) -> usize {
        self.segments.last().map_or(0, |s| s.end)
    }

    /// Every segment: range of stored text and its source, ascending.
    pub fn segments(&self) -> impl Iterator<Item = (Range<usize>, SourceSpan)> + '_ {
        self.segments.iter().map(|s| (s.start..s.end, self.span(s.part, s.from, s.to)))
    }

    /// The index of a part name, for [`OffsetMap::push`]; the same name gives the same index.
    pub(crate) fn part(&mut self, name: &str) -> u32 {
        let found = self.parts.iter().rposition(|p| p == name);
        let index = found.unwrap_or_else(|| {
            self.parts.push(name.to_owned());
            self.parts.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// Adds a segment behind all others. Empty ones and ones that would overlap are dropped, adjacent ones are joined.
    pub(crate) fn push(&mut self, text: Range<usize>, part: u32, from: u64, to: u64) {
        if text.start >= text.end || text.start < self.text_end() || from > to {
            return;
        }
        let new = Segment { start: text.start, end: text.end, part, from, to };
        if let Some(last) = self.segments.last_mut()
            && last.part == part
            && last.end == new.start
        {
            let follows = last.to == from && last.linear(&self.basis) && new.linear(&self.basis);
            let same = matches!(self.basis, Basis::PartUnits) && last.from == from && last.to == to;
            if follows || same {
                last.end = new.end;
                last.to = to;
                return;
            }
        }
        self.segments.push(new);
    }

    /// Where the text in `range` came from, in text order, neighbours in the same part joined.
    ///
    /// Empty when the range is empty, lies outside the text, or covers only text that has no source.
    pub fn lookup(&self, range: Range<usize>) -> Vec<SourceSpan> {
        let mut found: Vec<(u32, u64, u64)> = Vec::new();
        let first = self.segments.partition_point(|s| s.end <= range.start);
        for segment in self.segments.iter().skip(first) {
            if segment.start >= range.end {
                break;
            }
            let (start, end) = (segment.start.max(range.start), segment.end.min(range.end));
            if start >= end {
                continue;
            }
            let (from, to) = segment.slice(start, end, &self.basis);
            match found.last_mut() {
                // Gaps of a few positions are line ends, hyphens or removed marks: one span reads better than two.
                Some(last) if last.0 == segment.part && from <= last.2 + 4 && from >= last.1 => {
                    last.2 = last.2.max(to)
                }
                _ => found.push((segment.part, from, to)),
            }
        }
        found.into_iter().map(|(part, from, to)| self.span(part, from, to)).collect()
    }

    fn span(&self, part: u32, start: u64, end: u64) -> SourceSpan {
        let part = self.parts.get(part as usize).cloned().unwrap_or_default();
        SourceSpan { part, start, end }
    }

    /// The map of a text that was made from this one's by `edits` (ascending, not overlapping, everything else kept).
    pub(crate) fn rewrite(&self, edits: &[Edit]) -> Self {
        let mut out = Self { basis: self.basis.clone(), parts: self.parts.clone(), segments: Vec::new() };
        for segment in &self.segments {
            if segment.linear(&self.basis) {
                self.rewrite_linear(segment, edits, &mut out);
            } else {
                let (start, end) = (moved(edits, segment.start, false), moved(edits, segment.end, true));
                out.push(start.max(out.text_end())..end, segment.part, segment.from, segment.to);
            }
        }
        out
    }

    fn rewrite_linear(&self, segment: &Segment, edits: &[Edit], out: &mut Self) {
        let mut at = segment.start;
        let mut index = edits.partition_point(|e| e.from.end <= segment.start);
        while at < segment.end {
            let edit = edits.get(index).filter(|e| e.from.start < segment.end);
            let plain_end = edit.map_or(segment.end, |e| e.from.start.max(at));
            if at < plain_end {
                let to = moved(edits, at, false);
                let (from, source_end) = segment.slice(at, plain_end, &self.basis);
                out.push(to..to + (plain_end - at), segment.part, from, source_end);
            }
            let Some(edit) = edit else { break };
            let (start, end) = (edit.from.start.max(segment.start), edit.from.end.min(segment.end));
            let (from, to) = segment.slice(start, end.max(start), &self.basis);
            match out.segments.last_mut() {
                // One that reaches over a gap became part of what the segment before the gap was made into.
                Some(last) if edit.to.end <= last.end && edit.from.start < segment.start => {
                    if last.part == segment.part && last.to <= from {
                        last.to = to;
                    }
                }
                _ => out.push(edit.to.start.max(out.text_end())..edit.to.end, segment.part, from, to),
            }
            at = end.max(at);
            index += 1;
        }
    }
}

/// Where a position of the old text lies in the new one; inside a replaced stretch, its start, or its end if `end`.
pub(crate) fn moved(edits: &[Edit], position: usize, end: bool) -> usize {
    let next = edits.partition_point(|e| e.from.end <= position);
    if let Some(edit) = edits.get(next)
        && edit.from.start < position
    {
        return if end { edit.to.end } else { edit.to.start };
    }
    match next.checked_sub(1).and_then(|i| edits.get(i)) {
        Some(before) => before.to.end + (position - before.from.end),
        None => position,
    }
}

/// Builds stored text and its map together.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    pub(crate) text: String,
    pub(crate) map: OffsetMap,
}

impl Builder {
    pub(crate) fn new(basis: Basis) -> Self {
        Self { text: String::new(), map: OffsetMap::new(basis) }
    }

    /// Appends text that came from `from..to` of a part.
    pub(crate) fn push(&mut self, text: &str, part: u32, from: u64, to: u64) {
        let start = self.text.len();
        self.text.push_str(text);
        self.map.push(start..self.text.len(), part, from, to);
    }

    /// Appends text that has no source.
    pub(crate) fn glue(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Makes sure that what comes next starts a new block: a blank line before it, none at the start.
    pub(crate) fn block(&mut self) {
        while self.text.ends_with([' ', '\t']) && self.text.len() > self.map.text_end() {
            self.text.pop();
        }
        if self.text.is_empty() || self.text.ends_with("\n\n") {
            return;
        }
        self.text.push_str(if self.text.ends_with('\n') { "\n" } else { "\n\n" });
    }
}

/// The persisted form: segments as five numbers each, positions as differences to the segment before.
#[derive(Serialize, Deserialize)]
struct Wire {
    v: u8,
    basis: Basis,
    parts: Vec<String>,
    segments: Vec<i64>,
}

impl From<OffsetMap> for Wire {
    fn from(map: OffsetMap) -> Self {
        let mut segments = Vec::with_capacity(map.segments.len() * 5);
        let (mut text, mut source) = (0_i64, 0_i64);
        for s in &map.segments {
            let (start, end) = (s.start as i64, s.end as i64);
            let (from, to) = (s.from as i64, s.to as i64);
            segments.extend([start - text, end - start, i64::from(s.part), from - source, to - from]);
            (text, source) = (end, to);
        }
        Self { v: 1, basis: map.basis, parts: map.parts, segments }
    }
}

impl TryFrom<Wire> for OffsetMap {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        if wire.v != 1 {
            return Err(format!("offset map of version {}, this program reads version 1", wire.v));
        }
        if !wire.segments.len().is_multiple_of(5) {
            return Err("offset map is cut short".to_owned());
        }
        let bad = || "offset map holds an impossible position".to_owned();
        let mut map = Self {
            basis: wire.basis,
            parts: wire.parts,
            segments: Vec::with_capacity(wire.segments.len() / 5),
        };
        let (mut text, mut source) = (0_i64, 0_i64);
        for chunk in wire.segments.chunks_exact(5) {
            let &[gap, len, part, jump, source_len] = chunk else { return Err(bad()) };
            let start = text.checked_add(gap).ok_or_else(bad)?;
            let end = start.checked_add(len).ok_or_else(bad)?;
            let from = source.checked_add(jump).ok_or_else(bad)?;
            let to = from.checked_add(source_len).ok_or_else(bad)?;
            if gap < 0
                || len <= 0
                || from < 0
                || source_len < 0
                || part < 0
                || part as usize >= map.parts.len()
            {
                return Err(bad());
            }
            map.segments.push(Segment {
                start: start as usize,
                end: end as usize,
                part: part as u32,
                from: from as u64,
                to: to as u64,
            });
            (text, source) = (end, to);
        }
        Ok(map)
    }
}
