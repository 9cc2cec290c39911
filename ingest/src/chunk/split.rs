//! Cuts one group of sections into pieces that fit: text by its Markdown structure, large tables by rows.

use std::ops::Range;

use text_splitter::{ChunkConfig as Capacity, MarkdownSplitter, TextSplitter};
use unicode_segmentation::UnicodeSegmentation;
use wellspring_models::text::sentences;

use super::count::{TokenIndex, Words};
use super::semantic::Meaning;
use super::structure::{Markup, Structure, Table};

/// Bytes the splitter sees at once: what it does per chunk grows with the text that is left.
const WINDOW: usize = 16 * 1024;
/// Bytes looked back per token of overlap.
const BYTES_PER_TOKEN: usize = 16;

/// Sizes of a piece's own text in tokens, without special tokens and prefix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Where to aim; at least 1, at most `max`.
    pub(super) target: usize,
    /// Never above, the overlap included.
    pub(super) max: usize,
    /// Smaller pieces are joined with a neighbour where both fit.
    pub(super) min: usize,
    /// Repeated from the piece before.
    pub(super) overlap: usize,
    /// Whether what introduces a table stays with it, and is repeated with its header.
    pub(super) captions: bool,
}

/// One chunk to be: a span of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it begins, the overlap included.
    pub(super) start: usize,
    /// Where the text begins that no piece before it holds.
    pub(super) own: usize,
    pub(super) end: usize,
    /// A table's header, with its caption where there is room, to be repeated in front of it.
    pub(super) header: Option<Range<usize>>,
    tokens: usize,
}

impl Piece {
    pub(super) fn new(span: Range<usize>, tokens: usize) -> Self {
        Self { start: span.start, own: span.start, end: span.end, header: None, tokens }
    }
}

/// A document being cut.
pub(super) struct Splitter<'a, 'c, 't, 'm> {
    pub(super) meaning: &'a mut Meaning<'m>,
    pub(super) text: &'t str,
    pub(super) markup: Markup,
    pub(super) structure: &'a Structure,
    pub(super) words: &'a mut Words<'c>,
}

impl<'t> Splitter<'_, '_, 't, '_> {
    /// Pieces of `span`, ascending, covering all of it but white space; one piece if `tokens`, its size, fits.
    pub(super) fn split(&mut self, span: Range<usize>, tokens: usize, budget: Budget) -> Vec<Piece> {
        if tokens <= budget.max {
            return vec![Piece::new(span, tokens)];
        }
        let overlap = budget.overlap.min(budget.target / 2);
        let inner = Budget {
            target: budget.target.saturating_sub(overlap).max(1),
            max: budget.max.saturating_sub(overlap).max(1),
            ..budget
        };
        let mut pieces = Vec::new();
        let mut at = span.start;
        let structure = self.structure;
        for table in structure.tables_in(&span) {
            let lead = if budget.captions { table.lead.max(at) } else { table.span.start };
            let tokens = self.size(lead..table.span.end);
            if tokens > inner.max {
                self.prose(at..lead, inner, &mut pieces);
                self.rows(table, lead, inner, &mut pieces);
                at = table.span.end;
            } else if lead < table.span.start && tokens * 2 > inner.target {
                // Left to the splitter, such a table would often begin a piece and its caption end the one before.
                self.prose(at..lead, inner, &mut pieces);
                pieces.push(Piece::new(lead..table.span.end, tokens));
                at = table.span.end;
            }
        }
        self.prose(at..span.end, inner, &mut pieces);
        let mut pieces = joined(pieces, inner);
        self.overlap(&mut pieces, overlap);
        pieces
    }

    fn slice(&self, range: Range<usize>) -> &'t str {
        self.text.get(range).unwrap_or_default()
    }

    fn size(&mut self, range: Range<usize>) -> usize {
        let part = self.slice(range);
        self.words.size(part)
    }

    fn prose(&mut self, range: Range<usize>, budget: Budget, pieces: &mut Vec<Piece>) {
        if !self.by_meaning(&range, budget, pieces) {
            self.in_windows(range, budget, pieces);
        }
    }

    /// Cuts text window by window; the last piece of a window is cut again with what follows.
    pub(super) fn in_windows(&mut self, range: Range<usize>, budget: Budget, pieces: &mut Vec<Piece>) {
        let mut at = range.start;
        while at < range.end {
            let end = self.window_end(at, range.end);
            let window = self.slice(at..end);
            let index = self.words.index(window);
            let total = index.tokens(0, window.len());
            let last = end == range.end;
            // Equal parts read better than full ones and a rest.
            let parts = total.div_ceil(budget.target).max(1);
            let target = if last { total.div_ceil(parts).max(1) } else { budget.target };
            let mut cuts = cut(window, &index, self.markup, target, budget.max);
            if !last && cuts.len() > 1 {
                cuts.pop();
            }
            let next = cuts.last().map_or(window.len(), |cut| cut.end);
            for cut in cuts {
                let tokens = index.tokens(cut.start, cut.end);
                if !self.slice(at + cut.start..at + cut.end).trim().is_empty() {
                    pieces.push(Piece::new(at + cut.start..at + cut.end, tokens));
                }
            }
            at += next.max(1);
        }
    }

    /// The end of a line in the second half of the window, else a character boundary.
    fn window_end(&self, at: usize, end: usize) -> usize {
        if end - at <= WINDOW {
            return end;
        }
        let limit = self.text.floor_char_boundary(at + WINDOW);
        let half = self.text.floor_char_boundary(at + WINDOW / 2);
        self.slice(half..limit).rfind('\n').map_or(limit, |line| half + line + 1)
    }

    /// Packs rows from the caption at `lead` on; every piece but the first repeats caption and header, or the header alone,
    /// unless that takes more than a third of the room. Where the header is another table's, so does the first.
    fn rows(&mut self, table: &Table, lead: usize, budget: Budget, pieces: &mut Vec<Piece>) {
        let own = table.names.as_ref() == Some(&table.header);
        let captioned = own.then_some(lead..table.header.end);
        let mut repeated = captioned.into_iter().chain(table.names.clone());
        let header = repeated.find(|header| self.size(header.clone()) * 3 <= budget.target);
        let reserved = header.clone().map_or(0, |header| self.size(header));
        let first = self.size(lead..table.header.end);
        let mut open = match own {
            true => Piece::new(lead..table.header.end, first),
            false => Piece { header: header.clone(), ..Piece::new(lead..table.header.end, first + reserved) },
        };
        let mut at = table.header.end;
        for line in self.slice(at..table.span.end).split_inclusive('\n') {
            let row = at..at + line.len();
            at = row.end;
            let tokens = self.words.size(line);
            if open.start < open.end && open.tokens + tokens <= budget.target {
                open.end = row.end;
                open.tokens += tokens;
                continue;
            }
            close(&mut open, row.end, pieces);
            if tokens + reserved > budget.max {
                let room = budget.max.saturating_sub(reserved).max(1);
                let before = pieces.len();
                self.in_windows(row, Budget { target: room, max: room, ..budget }, pieces);
                for piece in pieces.iter_mut().skip(before) {
                    piece.header.clone_from(&header);
                    piece.tokens += reserved;
                }
            } else {
                open = Piece { header: header.clone(), ..Piece::new(row, tokens + reserved) };
            }
        }
        close(&mut open, at, pieces);
    }

    /// Lets each piece begin some sentences earlier, within the section and the prose it continues.
    fn overlap(&mut self, pieces: &mut [Piece], tokens: usize) {
        let mut floor = 0;
        for (number, piece) in pieces.iter_mut().enumerate() {
            if number > 0 && piece.header.is_none() {
                let section = self.structure.sections.get(self.structure.section_at(piece.own));
                let limit = section
                    .map_or(piece.own, |s| s.span.start)
                    .max(self.structure.prose_start(piece.own))
                    .max(floor);
                piece.start = self.overlap_start(limit, piece.own, tokens);
            }
            floor = self.text.ceil_char_boundary(piece.own + 1);
        }
    }

    /// The earliest start of a sentence, else of a word, from which at most `tokens` lie before `own`.
    fn overlap_start(&mut self, limit: usize, own: usize, tokens: usize) -> usize {
        if limit >= own || tokens == 0 {
            return own;
        }
        let from = self.text.ceil_char_boundary(limit.max(own.saturating_sub(tokens * BYTES_PER_TOKEN)));
        let back = self.slice(from..own);
        let index = self.words.index(back);
        let whole = from == limit;
        let fits = |at: usize| (at > 0 || whole) && index.tokens(at, back.len()) <= tokens;
        let sentence = sentences(back).into_iter().map(|s| s.start).find(|&at| fits(at));
        let start =
            sentence.or_else(|| back.split_word_bound_indices().map(|(at, _)| at).find(|&at| fits(at)));
        let start = start.unwrap_or(back.len());
        let lead = back.get(start..).map_or(0, |rest| rest.len() - rest.trim_start().len());
        from + start + lead
    }
}

/// The splitter proper: parts of `text`, in order and without gaps, at most `max` tokens each.
pub(super) fn cut(
    text: &str,
    index: &TokenIndex<'_>,
    markup: Markup,
    target: usize,
    max: usize,
) -> Vec<Range<usize>> {
    let capacity = Capacity::new(target.min(max)..=max).with_sizer(index).with_trim(false);
    let span = |(at, part): (usize, &str)| at..at + part.len();
    match markup {
        Markup::Markdown => MarkdownSplitter::new(capacity).chunk_indices(text).map(span).collect(),
        Markup::Plain => TextSplitter::new(capacity).chunk_indices(text).map(span).collect(),
    }
}

/// Ends the open piece, if there is anything in it, and begins an empty one at `next`.
fn close(open: &mut Piece, next: usize, pieces: &mut Vec<Piece>) {
    let done = std::mem::replace(open, Piece::new(next..next, 0));
    if done.start < done.end {
        pieces.push(done);
    }
}

/// Joins pieces below the minimum with their neighbour where both fit.
fn joined(pieces: Vec<Piece>, budget: Budget) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        if let Some(last) = out.last_mut()
            && piece.header.is_none()
            && last.tokens.min(piece.tokens) < budget.min
            && last.tokens + piece.tokens <= budget.max
        {
            last.end = piece.end;
            last.tokens += piece.tokens;
        } else {
            out.push(piece);
        }
    }
    out
}
