//! Makes chunks of pieces: trims them, puts title and headings in front, and makes sure that the result fits.

use std::collections::HashMap;
use std::ops::Range;

use wellspring_models::TokenCounter;
use wellspring_store::ContentHash;

use super::count::{Words, has_long_word};
use super::split::{Piece, cut};
use super::structure::Structure;
use super::{Chunk, ChunkConfig, Input};
use crate::enrich;

/// Prefixes remembered: chunks of a section follow each other.
const PREFIXES: usize = 64;
/// Even where word counts add up, every so many chunks are counted whole, in case they do not.
const CHECKED: usize = 16;

/// Turns pieces, in order, into chunks.
pub(super) struct Emitter<'a> {
    config: &'a ChunkConfig,
    /// Whether word counts add up to those of texts, as far as is known.
    additive: bool,
    max: usize,
    input: &'a Input<'a>,
    structure: &'a Structure,
    /// Prefixes made, by headings above and headings in all.
    prefixes: HashMap<(Vec<usize>, usize), (String, usize)>,
    chunks: Vec<Chunk>,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(
        config: &'a ChunkConfig,
        additive: bool,
        max: usize,
        input: &'a Input<'a>,
        structure: &'a Structure,
    ) -> Self {
        Self { config, additive, max, input, structure, prefixes: HashMap::new(), chunks: Vec::new() }
    }

    pub(super) fn finish(self) -> Vec<Chunk> {
        self.chunks
    }

    /// Title and headings for a chunk that begins at `start`, below the headings of `path`, and their tokens.
    pub(super) fn prefix(&mut self, words: &mut Words<'_>, path: &[usize], start: usize) -> (String, usize) {
        let (structure, config, title) = (self.structure, self.config, self.input.title);
        let headings = || path.iter().filter_map(|&i| structure.headings.get(i));
        let said = headings().take_while(|h| h.start < start).count();
        if self.prefixes.len() > PREFIXES {
            self.prefixes.clear();
        }
        let limit = config.prefix_tokens.min(self.max / 3);
        let make = || {
            let all: Vec<&str> = headings().map(|h| h.text.as_str()).collect();
            let above = if config.headings { all.get(..said).unwrap_or_default() } else { &[] };
            let size = |text: &str| words.exact(text).saturating_sub(words.special());
            let text = enrich::prefix(title.filter(|_| config.title), above, &all, limit, size);
            let tokens = size(&text);
            (text, tokens)
        };
        self.prefixes.entry((path.to_vec(), said)).or_insert_with(make).clone()
    }

    /// Adds the chunk of a piece; several where its exact size turns out above the limit. Blank pieces are dropped.
    pub(super) fn push(&mut self, words: &mut Words<'_>, mut piece: Piece) {
        let Some(own) = trimmed(self.input.text, piece.own..piece.end) else { return };
        piece.start = trimmed(self.input.text, piece.start..piece.own).map_or(own.start, |lead| lead.start);
        (piece.own, piece.end) = (own.start, own.end);
        // The piece before may have become several chunks: the overlap must not reach behind the last one's start.
        if self.chunks.last().is_some_and(|last| piece.start <= last.span.start) {
            piece.start = piece.own;
        }
        loop {
            let chunk = self.compose(words, &piece);
            if chunk.tokens <= self.max {
                self.chunks.push(chunk);
                return;
            }
            // The estimate was too low. Give up what is repeated before cutting what is not.
            if piece.start < piece.own {
                piece.start = piece.own;
            } else if piece.header.is_some() {
                piece.header = None;
            } else {
                return self.halve(words, piece.own..piece.end, chunk);
            }
        }
    }

    fn compose(&mut self, words: &mut Words<'_>, piece: &Piece) -> Chunk {
        let text = self.input.text;
        let path = self.path(piece.start..piece.end);
        let header = piece.header.clone().and_then(|header| text.get(header)).unwrap_or_default();
        let body = text.get(piece.start..piece.end).unwrap_or_default();
        let (mut embedded_text, prefix_tokens) = self.prefix(words, &path, piece.start);
        embedded_text.push_str(header);
        embedded_text.push_str(body);
        let sum = words.special() + prefix_tokens + words.sum(header) + words.sum(body);
        let tokens = self.tokens(words, &embedded_text, sum);
        Chunk {
            span: piece.start..piece.end,
            overlap: piece.own - piece.start,
            page: page_of(self.input, piece.start..piece.end),
            headings: path
                .iter()
                .filter_map(|&i| self.structure.headings.get(i))
                .map(|h| h.text.clone())
                .collect(),
            section: self.section(piece.start..piece.end),
            window: None,
            content_hash: ContentHash::of(embedded_text.as_bytes()),
            tokens,
            embedded_text,
        }
    }

    /// The sum over words where it can be trusted: word counts add up, none was cut, and a tenth of the limit is left. Counting
    /// whole texts would double what the tokenizer costs.
    fn tokens(&mut self, words: &Words<'_>, text: &str, sum: usize) -> usize {
        let trusted = self.additive && sum <= self.max - self.max / 10 && !has_long_word(text);
        if trusted && !self.chunks.len().is_multiple_of(CHECKED) {
            return sum;
        }
        let exact = words.exact(text);
        self.additive &= !trusted || exact == sum;
        exact
    }

    /// Headings that all sections of a span have in common.
    fn path(&self, span: Range<usize>) -> Vec<usize> {
        let (first, last) =
            (self.structure.section_at(span.start), self.structure.section_at(span.end.saturating_sub(1)));
        let mut touched = self.structure.sections.get(first..=last).unwrap_or_default().iter();
        let mut path = touched.next().map(|s| s.path.clone()).unwrap_or_default();
        for section in touched {
            path.truncate(path.iter().zip(&section.path).take_while(|(a, b)| a == b).count());
        }
        path
    }

    fn section(&self, span: Range<usize>) -> Option<(usize, usize)> {
        if self.structure.headings.is_empty() {
            return None;
        }
        let first = self.structure.sections.get(self.structure.section_at(span.start))?;
        let last = self.structure.sections.get(self.structure.section_at(span.end.saturating_sub(1)))?;
        trimmed(self.input.text, first.span.start..last.span.end).map(|section| (section.start, section.end))
    }

    /// Cuts a span whose chunk is above the limit, at least in two; a single character is kept as it is, without prefix.
    fn halve(&mut self, words: &mut Words<'_>, span: Range<usize>, mut chunk: Chunk) {
        let body = self.input.text.get(span.clone()).unwrap_or_default();
        let Some((_, first)) = body.char_indices().next().filter(|(_, c)| c.len_utf8() < body.len()) else {
            chunk.embedded_text = body.to_owned();
            chunk.content_hash = ContentHash::of(body.as_bytes());
            chunk.tokens = words.exact(body);
            self.chunks.push(chunk);
            return;
        };
        let index = words.index(body);
        // What the estimate missed by, with a tenth to spare.
        let size = index.tokens(0, body.len()) * self.max * 9 / (chunk.tokens.max(1) * 10);
        let mut parts = cut(body, &index, self.input.markup, size.max(1), size.max(1));
        if parts.len() < 2 {
            let middle = body.floor_char_boundary(body.len() / 2).max(first.len_utf8());
            parts = vec![0..middle, middle..body.len()];
        }
        for part in parts {
            self.push(words, Piece::new(span.start + part.start..span.start + part.end, 0));
        }
    }
}

/// The chunk of a document in mode `whole`; none for blank text.
pub(super) fn whole(counter: &dyn TokenCounter, input: &Input<'_>) -> Vec<Chunk> {
    let Some(span) = trimmed(input.text, 0..input.text.len()) else { return Vec::new() };
    let body = input.text.get(span.clone()).unwrap_or_default();
    let embedded_text = match input.title {
        Some(title) => format!("{title} {body}"),
        None => body.to_owned(),
    };
    vec![Chunk {
        page: page_of(input, span.clone()),
        span,
        overlap: 0,
        headings: Vec::new(),
        section: None,
        window: None,
        content_hash: ContentHash::of(embedded_text.as_bytes()),
        tokens: counter.count(&embedded_text),
        embedded_text,
    }]
}

/// The first page that a span touches.
fn page_of(input: &Input<'_>, span: Range<usize>) -> Option<u32> {
    let first = input.pages.partition_point(|page| page.end <= span.start);
    input.pages.get(first).filter(|page| page.start < span.end).map(|page| page.page)
}

/// The span without blank lines before and white space behind; `None` if it is blank. The first line keeps its
/// indentation where the span begins with the line.
fn trimmed(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let part = text.get(span.clone())?;
    let first = part.len() - part.trim_start().len();
    let end = part.trim_end().len();
    if first >= end {
        return None;
    }
    let line = part.get(..first).and_then(|lead| lead.rfind('\n')).map(|newline| newline + 1);
    let at_line = span.start == 0 || text.get(..span.start).is_some_and(|before| before.ends_with('\n'));
    let start = line.or(at_line.then_some(0)).unwrap_or(first);
    Some(span.start + start..span.start + end)
}
