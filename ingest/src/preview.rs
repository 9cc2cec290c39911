//! Shows how a document would be cut, without storing anything; with semantic boundaries its sentences are embedded for that.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use wellspring_models::Embedder;

use crate::chunk::{ChunkConfig, Chunker};
use crate::error::{ErrorKind, IngestError, Result};
use crate::extract::{Failure, Reason};
use crate::pipeline::Extract;
use crate::pipeline::cut::{Cut, Uncut};
use crate::pipeline::drift::drift;

/// A document as it would be cut. Offsets are bytes of the text that would be stored, ends exclusive.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// What the file was read as.
    pub format: String,
    /// The title that people would see.
    pub title: Option<String>,
    /// Bytes of the text.
    pub bytes: usize,
    /// The number of the last page; 0 where the format has none.
    pub pages: u32,
    /// Over all chunks.
    pub totals: Totals,
    /// The settings it was cut with.
    pub settings: ChunkConfig,
    /// The limit on embedded text, tokens.
    pub max_tokens: usize,
    /// In order.
    pub chunks: Vec<PreviewChunk>,
    /// What could not be read.
    pub warnings: Vec<String>,
}

/// Sums and extremes over the chunks; 0 where there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Chunks.
    pub chunks: usize,
    /// Tokens that would be embedded.
    pub tokens: usize,
    /// Tokens of the smallest chunk.
    pub least_tokens: usize,
    /// Tokens of half of the chunks are at most this.
    pub median_tokens: usize,
    /// Tokens of the largest chunk.
    pub most_tokens: usize,
    /// Bytes that stand in two chunks.
    pub overlap_bytes: usize,
    /// Tokens that the model would not see: above 0 only where documents are not cut.
    pub truncated_tokens: usize,
}

/// A chunk as it would be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviewChunk {
    /// From 0.
    pub ordinal: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Bytes at its beginning that the chunk before holds too.
    pub overlap: usize,
    /// First page it touches.
    pub page: Option<u32>,
    /// Headings above it, outermost first.
    pub headings: Vec<String>,
    /// The section it lies in: `start` and `end`.
    pub section: Option<(usize, usize)>,
    /// ISO 639-1, where detected.
    pub language: Option<&'static str>,
    /// Tokens of `embedded_text`, special ones included.
    pub tokens: usize,
    /// The text from `start` to `end`.
    pub text: String,
    /// What would be embedded: title and headings, a repeated table header, then `text`.
    pub embedded_text: String,
    /// With late chunking the bytes that `text` would be read in, the same things in front.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_in: Option<(usize, usize)>,
}

/// Sentences embedded at a time.
const BATCH: usize = 32;

/// Reads and cuts one document. `source` is its path or URL, whose last part helps where the content does not say what it is;
/// `title` is one given by a person. `embedder` is asked with semantic boundaries only.
///
/// # Errors
/// `Invalid` where the document cannot be read, `Unavailable` where a library for its format is missing, and the embedder's.
pub async fn preview(
    extractor: &dyn Extract,
    chunker: &Chunker,
    embedder: &Arc<dyn Embedder>,
    bytes: Bytes,
    source: &str,
    title: Option<&str>,
) -> Result<Preview> {
    let name = source.rsplit(['/', '\\']).next().filter(|name| !name.is_empty());
    let extracted = extractor.extract(bytes, name, None).await.map_err(unread)?;
    let (reading, source, title) = (chunker.clone(), source.to_owned(), title.map(str::to_owned));
    let (uncut, runs) = blocking(move || {
        let uncut = Uncut::new(&reading, extracted, title.as_deref(), &source);
        let runs = uncut.runs(&reading);
        (uncut, runs)
    })
    .await?;
    let drift = drift(embedder, &uncut.extracted.text, &runs, BATCH).await?;
    let chunker = chunker.clone();
    blocking(move || shown(uncut.cut(&chunker, &drift), &chunker)).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| IngestError::new(ErrorKind::Internal, "the document could not be cut").with_source(e))
}

fn unread(failure: Failure) -> IngestError {
    let kind = match failure.reason {
        Reason::Unavailable => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    };
    IngestError::new(kind, format!("{} ({})", failure.message, failure.reason.code()))
}

fn shown(cut: Cut, chunker: &Chunker) -> Preview {
    let Cut { extracted, titles, pages, chunks, languages, .. } = cut;
    let totals = totals(
        chunks.iter().map(|c| c.tokens).collect(),
        chunks.iter().map(|c| c.overlap).sum(),
        chunker.max_tokens(),
    );
    let chunks =
        chunks.into_iter().zip(languages).enumerate().map(|(ordinal, (chunk, language))| PreviewChunk {
            ordinal,
            start: chunk.span.start,
            end: chunk.span.end,
            overlap: chunk.overlap,
            page: chunk.page,
            headings: chunk.headings,
            section: chunk.section,
            language,
            tokens: chunk.tokens,
            text: extracted.text.get(chunk.span).unwrap_or_default().to_owned(),
            embedded_text: chunk.embedded_text,
            read_in: chunk.window.map(|window| (window.span.start, window.span.end)),
        });
    Preview {
        format: extracted.format.name().to_owned(),
        title: titles.shown,
        bytes: extracted.text.len(),
        pages: pages.last().map_or(0, |page| page.page),
        totals,
        settings: chunker.config().clone(),
        max_tokens: chunker.max_tokens(),
        chunks: chunks.collect(),
        warnings: extracted.warnings,
    }
}

fn totals(mut tokens: Vec<usize>, overlap_bytes: usize, limit: usize) -> Totals {
    tokens.sort_unstable();
    let at = |index: usize| tokens.get(index).copied().unwrap_or(0);
    Totals {
        chunks: tokens.len(),
        tokens: tokens.iter().sum(),
        least_tokens: at(0),
        median_tokens: at(tokens.len().saturating_sub(1) / 2),
        most_tokens: at(tokens.len().saturating_sub(1)),
        overlap_bytes,
        truncated_tokens: tokens.iter().map(|&tokens| tokens.saturating_sub(limit)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use wellspring_models::TokenCounter;
    use wellspring_models::fake::HashEmbedder;

    use super::*;
    use crate::InProcess;

    struct Words;
    impl TokenCounter for Words {
        fn count(&self, text: &str) -> usize {
            2 + text.split_whitespace().count()
        }
    }

    #[tokio::test]
    async fn what_is_shown_is_what_would_be_stored() {
        let chunker =
            Chunker::new(ChunkConfig { target_tokens: 40, ..ChunkConfig::default() }, Arc::new(Words), 64)
                .unwrap();
        let text =
            format!("# Guide\n\n{}\n## Use\n\n{}\n", "one two three. ".repeat(20), "four five. ".repeat(20));
        let preview = |name: &'static str, text: String| {
            let chunker = chunker.clone();
            async move {
                let embedder: Arc<dyn Embedder> = Arc::new(HashEmbedder::default());
                let bytes = text.into_bytes().into();
                preview(&InProcess::default(), &chunker, &embedder, bytes, name, Some("T")).await
            }
        };
        let shown = preview("a/guide.md", text.clone()).await.unwrap();
        assert_eq!(
            (shown.format.as_str(), shown.title.as_deref(), shown.max_tokens),
            ("markdown", Some("T"), 64)
        );
        assert_eq!(shown.totals.chunks, shown.chunks.len());
        assert_eq!(shown.totals.tokens, shown.chunks.iter().map(|c| c.tokens).sum::<usize>());
        assert!(shown.totals.most_tokens <= 64 && shown.totals.least_tokens <= shown.totals.median_tokens);
        assert!(
            shown.chunks.iter().all(|c| text[c.start..c.end] == c.text && c.embedded_text.ends_with(&c.text))
        );
        assert_eq!(shown.chunks.last().unwrap().headings, ["Guide", "Use"]);
        let code = preview("a.rs", "/// Adds.\nfn add() {}\n".to_owned()).await.unwrap();
        assert_eq!(
            (code.format.as_str(), code.chunks[0].headings.as_slice()),
            ("rust", ["add".to_owned()].as_slice())
        );
        let refused = preview("a.bin", "\0\u{1}".to_owned()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}
