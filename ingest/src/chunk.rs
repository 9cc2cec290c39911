//! Cuts a document's stored text into chunks that an embedding model can read whole, along the text's own structure.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use wellspring_models::TokenCounter;
use wellspring_store::{ChunkId, CollectionKey, ContentHash, DocumentKey, PageSpan, Version};

use crate::error::{ErrorKind, IngestError, Result};
use crate::extract::outline::Item;

mod count;
mod emit;
mod group;
mod identity;
mod late;
mod semantic;
mod split;
mod structure;

pub use late::Window;
pub use semantic::Drift;
pub use structure::Markup;

use count::{Known, Words};
use identity::is_default;
use semantic::Meaning;

/// Memories of word counts kept for documents that are cut at the same time.
const COPIES: usize = 4;
/// Fewest tokens a model must read.
const LEAST: usize = 16;

/// What becomes one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChunkMode {
    /// Sections, paragraphs, tables and the like, up to the size.
    Structure,
    /// The whole document is one chunk, embedded as title + space + text and cut by the model where it is too long:
    /// how the literature indexes evaluation sets.
    Whole,
}

/// When the name of its file is embedded in front of a document's title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileName {
    /// Of PDF files, whose titles seldom say which of many alike documents it is.
    Auto,
    /// Of every file.
    Always,
    /// Never.
    Never,
}

/// Where prose is cut that is too long for one chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boundaries {
    /// Between paragraphs, else sentences, in parts of about the same size.
    #[default]
    Structure,
    /// Between the sentences where the meaning drifts most, sizes permitting: each sentence is embedded for that.
    Semantic,
}

/// What the vector of a chunk is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Of its own text alone, title and headings in front.
    #[default]
    Chunk,
    /// Of the same tokens, read with the text around them, as much of its section as the model reads at once (Günther et
    /// al., "Late Chunking", 2024). Needs a model that gives a vector per token, as local ones do.
    Late,
}

/// How documents are cut. Sizes are tokens of the collection's embedding model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChunkConfig {
    /// What becomes one chunk. `structure`.
    pub mode: ChunkMode,
    /// Tokens of embedded text to aim at. 200: MiniLM reads 256 and was trained on 128; the room between lets a
    /// paragraph, list or table that is a little longer stay whole. Cut to the limit for smaller models.
    pub target_tokens: usize,
    /// Tokens of embedded text that no chunk exceeds; unset (the default) or above the model's own limit: the model's.
    pub max_tokens: Option<usize>,
    /// Sections and pieces smaller than this are joined with a neighbour where both fit. 48.
    pub min_tokens: usize,
    /// Tokens repeated from the chunk before, only inside one section and only prose. 24, about 12 % of the target;
    /// 0 for none; at most half the target is used.
    pub overlap_tokens: usize,
    /// Most tokens of title and heading path in front of a chunk. 48; at most a third of the limit is used.
    pub prefix_tokens: usize,
    /// Whether the title is embedded with each chunk. Yes.
    pub title: bool,
    /// Whether the headings above a chunk are embedded with it. Yes.
    pub headings: bool,
    /// Whether the file's name is embedded with the title: only where `title` is on, nobody gave a title, and the name has
    /// words that the title does not have. `auto`.
    pub file_name: FileName,
    /// Whether the paragraph or sentence that introduces a table stays with it, and is embedded again, with the header,
    /// before rows that did not fit. Yes.
    pub captions: bool,
    /// Whether source code is cut along its functions, types and modules, whose names are then its headings. Yes.
    pub code: bool,
    /// Where prose is cut that is too long for one chunk. `structure`.
    #[serde(skip_serializing_if = "is_default")]
    pub boundaries: Boundaries,
    /// What a chunk's vector is made of, in mode `structure`. `chunk`.
    #[serde(skip_serializing_if = "is_default")]
    pub pooling: Pooling,
}

impl Default for ChunkConfig {
    fn default() -> Self {
        Self {
            mode: ChunkMode::Structure,
            target_tokens: 200,
            max_tokens: None,
            min_tokens: 48,
            overlap_tokens: 24,
            prefix_tokens: 48,
            title: true,
            headings: true,
            file_name: FileName::Auto,
            captions: true,
            code: true,
            boundaries: Boundaries::Structure,
            pooling: Pooling::Chunk,
        }
    }
}

impl ChunkConfig {
    /// `Invalid` where a size can't be met by any model.
    pub fn validate(&self) -> Result<()> {
        let least = |name: &str, tokens: usize| match tokens {
            LEAST.. => Ok(()),
            _ => Err(IngestError::new(
                ErrorKind::Invalid,
                format!("chunk.{name} is {tokens} tokens; set it to {LEAST} or more"),
            )),
        };
        least("target_tokens", self.target_tokens)?;
        least("max_tokens", self.max_tokens.unwrap_or(LEAST))
    }
}

/// A document to be cut.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The stored text.
    pub text: &'a str,
    /// How it is to be read.
    pub markup: Markup,
    /// The title to embed.
    pub title: Option<&'a str>,
    /// Pages, ascending.
    pub pages: &'a [PageSpan],
    /// Named parts of source code, ascending by start, outer ones first; empty for anything else.
    pub outline: &'a [Item],
}

/// A chunk without vector and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The bytes of the stored text: on character boundaries, not blank, without white space around (indentation of
    /// the first line stays).
    pub span: Range<usize>,
    /// Bytes at the beginning of the span that the chunk before holds too.
    pub overlap: usize,
    /// First page it touches.
    pub page: Option<u32>,
    /// Headings of the section it lies in, outermost first, its own last; those common to all where it spans several.
    pub headings: Vec<String>,
    /// The sections it touches; `None` where the document has no headings.
    pub section: Option<(usize, usize)>,
    /// What its vector is made of: title and headings, a repeated table header, then the text of the span.
    pub embedded_text: String,
    /// The text that it is read in; `None` where it is embedded by itself.
    pub window: Option<Arc<Window>>,
    /// BLAKE3 of what decides its vector: of `embedded_text` and, where there is one, the window.
    pub content_hash: ContentHash,
    /// Tokens of `embedded_text`, special ones included. Never above the limit in mode `structure`, unless a single character is.
    pub tokens: usize,
}

/// Cuts documents for one model. Clones share what they learn about its tokenizer.
#[derive(Clone)]
pub struct Chunker {
    config: ChunkConfig,
    counter: Arc<dyn TokenCounter>,
    max_tokens: usize,
    /// Whether word counts add up to those of texts.
    additive: bool,
    /// What was learned, one for each that cuts at the same time, up to a few.
    known: Arc<Mutex<Vec<Known>>>,
}

impl Chunker {
    /// A chunker for a model that reads `model_tokens` tokens, special ones included. `Invalid` for impossible sizes.
    pub fn new(config: ChunkConfig, counter: Arc<dyn TokenCounter>, model_tokens: usize) -> Result<Self> {
        config.validate()?;
        let max_tokens = config.max_tokens.unwrap_or(model_tokens).min(model_tokens);
        if max_tokens < LEAST {
            return Err(IngestError::new(
                ErrorKind::Invalid,
                format!(
                    "the model reads {model_tokens} tokens, too few for chunks; use one that reads {LEAST} or more"
                ),
            ));
        }
        let additive = count::adds_up(counter.as_ref());
        Ok(Self { config, counter, max_tokens, additive, known: Arc::default() })
    }

    /// How it cuts.
    pub fn config(&self) -> &ChunkConfig {
        &self.config
    }

    /// The limit on embedded text, tokens.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Chunks in order: starts and ends ascend, and together they hold everything but white space. Blank text has none.
    /// Deterministic; takes time in proportion to the text, so long texts belong on a blocking thread.
    ///
    /// With semantic boundaries prose is cut as if there were none, unless [`Self::chunk_along`] is told how it drifts.
    pub fn chunk(&self, input: &Input<'_>) -> Vec<Chunk> {
        self.chunk_by(input, &mut Meaning::Unknown)
    }

    /// The same, prose cut where its meaning drifts.
    pub fn chunk_along(&self, input: &Input<'_>, drift: &Drift) -> Vec<Chunk> {
        self.chunk_by(input, &mut Meaning::Known(drift))
    }

    /// The runs of sentences whose drift decides where the document is cut, each run in order and without gaps: what
    /// [`Drift::between`] wants vectors of. None without semantic boundaries.
    pub fn runs(&self, input: &Input<'_>) -> Vec<Vec<Range<usize>>> {
        if self.config.boundaries != Boundaries::Semantic {
            return Vec::new();
        }
        let mut asked = Meaning::Asked(Vec::new());
        self.chunk_by(input, &mut asked);
        match asked {
            Meaning::Asked(runs) => runs,
            Meaning::Unknown | Meaning::Known(_) => Vec::new(),
        }
    }
}

impl Chunker {
    fn chunk_by(&self, input: &Input<'_>, meaning: &mut Meaning<'_>) -> Vec<Chunk> {
        match self.config.mode {
            ChunkMode::Structure => self.cut(input, meaning),
            ChunkMode::Whole => emit::whole(self.counter.as_ref(), input),
        }
    }

    fn cut(&self, input: &Input<'_>, meaning: &mut Meaning<'_>) -> Vec<Chunk> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out while in use, so that nobody waits.
        let mine = known().pop().unwrap_or_default();
        let mut words = Words::new(self.counter.as_ref(), mine);
        let mut chunks =
            group::chunks(&self.config, &mut words, self.additive, self.max_tokens, input, meaning);
        if self.config.pooling == Pooling::Late {
            late::plan(&mut chunks, input.text, &mut words, self.max_tokens);
        }
        let mut kept = known();
        if kept.len() < COPIES {
            kept.push(words.into_known());
        }
        chunks
    }
}

/// The id of the chunk at `ordinal` of a version cut with the configuration of this fingerprint.
pub fn chunk_id(
    collection: CollectionKey,
    document: DocumentKey,
    version: Version,
    ordinal: u32,
    fingerprint: &str,
) -> ChunkId {
    let name = format!("{}/{}/{version}/{ordinal}/{fingerprint}", collection.0, document.0);
    ChunkId(blake3::hash(name.as_bytes()).to_hex().chars().take(32).collect())
}

/// The first heading of a text, if it has one.
pub fn first_heading(text: &str, markup: Markup) -> Option<String> {
    // Headings stand at the top if anywhere: a title further down names something else.
    let head = text.get(..text.floor_char_boundary(4096)).unwrap_or(text);
    structure::Structure::of(head, markup).headings.into_iter().next().map(|heading| heading.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_document_version_and_position_not_text() {
        let id = |d, v, o| chunk_id(CollectionKey(1), DocumentKey(d), v, o, "f").0;
        let all = [id(1, 1, 0), id(2, 1, 0), id(1, 2, 0), id(1, 1, 1), id(11, 1, 0)];
        assert!(all.iter().all(|i| i.len() == 32 && i.bytes().all(|b| b.is_ascii_hexdigit())));
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert_eq!(id(1, 1, 0), id(1, 1, 0));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(ChunkConfig { target_tokens: 3, ..ChunkConfig::default() }.validate().is_err());
        assert!(ChunkConfig { max_tokens: Some(0), ..ChunkConfig::default() }.validate().is_err());
        assert!(serde_json::from_str::<ChunkConfig>(r#"{"tokens": 3}"#).is_err());
    }
}
