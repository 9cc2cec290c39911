//! A document between extraction and embedding: its titles, pages and chunks, and what the catalog keeps of them.

use std::ops::Range;

use wellspring_store::jobs::Lease;
use wellspring_store::{NewChunk, PageSpan, ProcessedDocument};

use super::{markup, vectors};
use crate::chunk::{Chunk, Chunker, Drift, FileName, Input, Markup, chunk_id, first_heading};
use crate::detect::Format;
use crate::enrich::{self, Titles};
use crate::error::{ErrorKind, IngestError};
use crate::extract::{Extracted, LinkSpan};

/// A document cut into chunks.
pub(crate) struct Cut {
    pub(crate) extracted: Extracted,
    pub(crate) titles: Titles,
    pub(crate) pages: Vec<PageSpan>,
    pub(crate) chunks: Vec<Chunk>,
    /// One per chunk.
    pub(crate) languages: Vec<Option<&'static str>>,
    pub(crate) characters: u64,
}

/// A document that is about to be cut.
pub(crate) struct Uncut {
    pub(crate) extracted: Extracted,
    markup: Markup,
    titles: Titles,
    pages: Vec<PageSpan>,
}

impl Uncut {
    /// `given` is the title the client gave, `source` where the document came from.
    pub(crate) fn new(chunker: &Chunker, extracted: Extracted, given: Option<&str>, source: &str) -> Self {
        let markup: Markup = markup(extracted.format);
        let heading = first_heading(&extracted.text, markup);
        let named = match chunker.config().file_name {
            FileName::Auto => extracted.format == Format::Pdf,
            FileName::Always => true,
            FileName::Never => false,
        };
        let titles = enrich::titles(given, extracted.title.as_deref(), heading.as_deref(), source, named);
        let pages =
            extracted.pages.iter().map(|p| PageSpan { page: p.page, start: p.start, end: p.end }).collect();
        Self { extracted, markup, titles, pages }
    }

    fn input(&self) -> Input<'_> {
        Input {
            text: &self.extracted.text,
            markup: self.markup,
            title: self.titles.embedded.as_deref(),
            pages: &self.pages,
            outline: &self.extracted.outline,
        }
    }

    /// Blocking: see [`Chunker::runs`].
    pub(crate) fn runs(&self, chunker: &Chunker) -> Vec<Vec<Range<usize>>> {
        chunker.runs(&self.input())
    }

    /// Blocking: cuts it.
    pub(crate) fn cut(self, chunker: &Chunker, drift: &Drift) -> Cut {
        let chunks = chunker.chunk_along(&self.input(), drift);
        let Self { extracted, titles, pages, .. } = self;
        let body = |chunk: &Chunk| extracted.text.get(chunk.span.clone()).unwrap_or_default();
        let languages = chunks.iter().map(|chunk| wellspring_models::text::language(body(chunk))).collect();
        let characters = extracted.text.chars().count() as u64;
        Cut { titles, pages, chunks, languages, characters, extracted }
    }
}

impl Cut {
    /// What the catalog keeps.
    pub(super) fn processed(
        self,
        found: &vectors::Vectors,
        lease: &Lease,
        pipeline: String,
        chunker: &str,
    ) -> Result<ProcessedDocument, IngestError> {
        let (collection, document, version) = (lease.collection.key(), lease.document_key, lease.version);
        let mut chunks = Vec::with_capacity(self.chunks.len());
        for (ordinal, (chunk, language)) in (0_u32..).zip(self.chunks.into_iter().zip(self.languages)) {
            let vector = found
                .by_hash
                .get(&chunk.content_hash)
                .ok_or_else(|| IngestError::new(ErrorKind::Internal, "a chunk was left without a vector"))?;
            let links = links_in(&self.extracted.links, &chunk.span);
            chunks.push(NewChunk {
                id: chunk_id(collection, document, version, ordinal, chunker),
                ordinal,
                start: chunk.span.start,
                end: chunk.span.end,
                page: chunk.page,
                headings: chunk.headings,
                section: chunk.section,
                links,
                embedded_text: chunk.embedded_text,
                content_hash: chunk.content_hash,
                tokens: u32::try_from(chunk.tokens).unwrap_or(u32::MAX),
                language: language.map(str::to_owned),
                vector: vector.clone(),
            });
        }
        let offsets = serde_json::to_value(&self.extracted.offsets).map_err(|e| {
            IngestError::new(ErrorKind::Internal, "the offset map can't be written").with_source(e)
        })?;
        Ok(ProcessedDocument {
            title: self.titles.shown,
            media_type: self.extracted.format.media_type().to_owned(),
            metadata: enrich::merged(&lease.document.metadata, self.extracted.metadata),
            pages: self.pages,
            offsets,
            warnings: self.extracted.warnings,
            pipeline,
            chunks,
            text: self.extracted.text,
        })
    }
}

/// Targets of one chunk that are kept: a chunk with more is a list, which search does not follow.
const MOST_LINKS: usize = 64;

/// Targets of the links that stand in the span, each once, in the order of the text, [`MOST_LINKS`] at most.
fn links_in(links: &[LinkSpan], span: &Range<usize>) -> Vec<String> {
    let from = links.partition_point(|link| link.at < span.start);
    let within = links.iter().skip(from).take_while(|link| link.at < span.end);
    let mut targets: Vec<String> = Vec::new();
    for link in within {
        if targets.len() == MOST_LINKS {
            break;
        }
        if !targets.contains(&link.target) {
            targets.push(link.target.clone());
        }
    }
    targets
}
