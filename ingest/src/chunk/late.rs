//! Plans the windows of late chunking: the stretches of text that chunks are read in before their own tokens are pooled.
//!
//! Günther et al., "Late Chunking: Contextual Chunk Embeddings Using Long-Context Embedding Models", 2024
//! (arXiv:2409.04701). A model reads no more than its limit at once (all-MiniLM-L6-v2: 256 tokens, the default target being
//! 200), so a section is read in windows that overlap: each has a core, whose chunks are pooled from it, and as much of the
//! section on both sides as fits. Small chunks therefore see much around them and large ones little.

use std::ops::Range;
use std::sync::Arc;

use wellspring_store::ContentHash;

use super::Chunk;
use super::count::{TokenIndex, Words};

/// What a model is given at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Title, headings and a repeated table header, which the chunks of the core have in common; pooled with each.
    pub lead: String,
    /// Bytes of the stored text that follow it.
    pub span: Range<usize>,
}

/// Gives every chunk its window, and the hash that follows from it. Chunks of one section whose leads are alike share
/// windows. The limit is `max` tokens, special ones included; no window is larger unless a chunk by itself is.
pub(super) fn plan(chunks: &mut [Chunk], text: &str, words: &mut Words<'_>, max: usize) {
    let mut at = 0;
    while let Some(first) = chunks.get(at) {
        let rest = chunks.get(at..).unwrap_or_default();
        let count = rest.iter().take_while(|chunk| chunk.headings == first.headings).count().max(1);
        if let Some(section) = chunks.get_mut(at..at + count) {
            plan_section(section, text, words, max);
        }
        at += count;
    }
}

fn plan_section(chunks: &mut [Chunk], text: &str, words: &mut Words<'_>, max: usize) {
    let start = chunks.first().map_or(0, |chunk| chunk.span.start);
    let section = start..chunks.last().map_or(start, |chunk| chunk.span.end);
    let body = text.get(section.clone()).unwrap_or_default();
    let index = words.index(body);
    let mut at = 0;
    while let Some(first) = chunks.get(at) {
        let lead = lead(first, text).to_owned();
        let room = max.saturating_sub(words.special() + words.size(&lead));
        // Half of a window is for what stands around the core, unless the whole section fits.
        let core = if index.tokens(0, body.len()) <= room { room } else { room / 2 };
        let from = first.span.start - start;
        let fits = |chunk: &&Chunk| {
            index.tokens(from, chunk.span.end - start) <= core && self::lead(chunk, text) == lead
        };
        let count = chunks.get(at..).unwrap_or_default().iter().take_while(fits).count().max(1);
        let to = chunks.get(at + count - 1).map_or(from, |chunk| chunk.span.end - start);
        let span = widened(from..to, &index, body, &lead, words, (room, max));
        let window = Arc::new(Window { lead, span: start + span.start..start + span.end });
        for chunk in chunks.iter_mut().skip(at).take(count) {
            chunk.content_hash = hash(&window, chunk, text);
            chunk.window = Some(Arc::clone(&window));
        }
        at += count;
    }
}

/// The core with as much of `body` on both sides as fits the room; what one side does not need goes to the other.
fn widened(
    core: Range<usize>,
    index: &TokenIndex<'_>,
    body: &str,
    lead: &str,
    words: &Words<'_>,
    (room, max): (usize, usize),
) -> Range<usize> {
    let mut spare = room.saturating_sub(index.tokens(core.start, core.end));
    while spare > 0 {
        let before = index.tokens(index.back(core.start, spare / 2), core.start);
        let end = index.forward(core.end, spare - before);
        let start = index.back(core.start, spare.saturating_sub(index.tokens(core.end, end)));
        let read = format!("{lead}{}", body.get(start..end).unwrap_or_default());
        let over = words.exact(&read).saturating_sub(max);
        if over == 0 {
            return start..end;
        }
        // The estimate was too low.
        spare = spare.saturating_sub(over.max(spare / 8));
    }
    core
}

/// What stands in front of a chunk's own text in what is embedded.
pub(crate) fn lead<'a>(chunk: &'a Chunk, text: &str) -> &'a str {
    let own = text.get(chunk.span.clone()).unwrap_or_default();
    chunk.embedded_text.strip_suffix(own).unwrap_or_default()
}

/// Of the window and of the chunk's place in it.
fn hash(window: &Window, chunk: &Chunk, text: &str) -> ContentHash {
    let read = text.get(window.span.clone()).unwrap_or_default();
    let (start, end) = (
        chunk.span.start.saturating_sub(window.span.start),
        chunk.span.end.saturating_sub(window.span.start),
    );
    let lead = &window.lead;
    // No embedded text begins so: the first byte is not one of a text.
    ContentHash::of(format!("\0late {} {start} {end}\n{lead}{read}", lead.len()).as_bytes())
}

impl Window {
    /// What the model is given.
    pub(crate) fn read(&self, text: &str) -> String {
        format!("{}{}", self.lead, text.get(self.span.clone()).unwrap_or_default())
    }

    /// The bytes of [`Self::read`] whose tokens make up the vector of a chunk at `span` of the text.
    pub(crate) fn pooled(&self, span: &Range<usize>) -> [Range<usize>; 2] {
        let place = |at: usize| self.lead.len() + at.saturating_sub(self.span.start);
        [0..self.lead.len(), place(span.start)..place(span.end)]
    }
}
