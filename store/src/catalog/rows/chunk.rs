//! Rows of chunks with pieces of their text: as searches and as indexes want them.

use sqlx::FromRow;

use super::values::{floats, parsed, unsigned};
use crate::catalog::{ChangeKind, IndexEntry, IndexKind};
use crate::document::{ChunkId, ChunkKey, DocumentId, DocumentKey, StoredChunk, Version};
use crate::error::{ErrorKind, Result, StoreError};
use crate::keyword::KeywordEntry;
use crate::vector::VectorEntry;

#[derive(FromRow)]
pub(crate) struct ChunkRow {
    pub(crate) key: i64,
    pub(crate) id: String,
    pub(crate) document_key: i64,
    pub(crate) document_id: String,
    pub(crate) version: Version,
    pub(crate) ordinal: i64,
    pub(crate) start: i64,
    pub(crate) stop: i64,
    pub(crate) page: Option<i64>,
    pub(crate) headings: String,
    pub(crate) section_start: Option<i64>,
    pub(crate) section_end: Option<i64>,
    pub(crate) title: Option<String>,
    pub(crate) source: String,
    pub(crate) metadata: String,
    pub(crate) language: Option<String>,
    pub(crate) links: Option<String>,
    pub(crate) piece: Option<Vec<u8>>,
}

impl ChunkRow {
    fn chunk(self, text: String) -> Result<StoredChunk> {
        let section = match (self.section_start, self.section_end) {
            (Some(start), Some(end)) => Some((unsigned(start)?, unsigned(end)?)),
            _ => None,
        };
        Ok(StoredChunk {
            key: ChunkKey(self.key),
            id: ChunkId(self.id),
            document_key: DocumentKey(self.document_key),
            document_id: DocumentId::new(self.document_id)?,
            version: self.version,
            ordinal: unsigned(self.ordinal)?,
            start: unsigned(self.start)?,
            end: unsigned(self.stop)?,
            text,
            page: self.page.map(unsigned).transpose()?,
            headings: parsed(&self.headings)?,
            section,
            title: self.title,
            source: self.source,
            metadata: parsed(&self.metadata)?,
            language: self.language,
            links: self.links.as_deref().map(parsed).transpose()?.unwrap_or_default(),
        })
    }
}

#[derive(FromRow)]
pub(crate) struct EntryRow {
    pub(crate) key: i64,
    pub(crate) document_key: i64,
    pub(crate) version: Version,
    pub(crate) title: Option<String>,
    pub(crate) headings: String,
    pub(crate) language: Option<String>,
    pub(crate) start: i64,
    pub(crate) stop: i64,
    pub(crate) vector: Option<Vec<u8>>,
    pub(crate) piece: Option<Vec<u8>>,
}

/// Chunks from rows whose pieces follow each other.
pub(crate) fn chunks(rows: Vec<ChunkRow>) -> Result<Vec<StoredChunk>> {
    let mut chunks = Vec::new();
    let mut stitch = Stitch::default();
    for mut row in rows {
        let piece = row.piece.take();
        if let Some((done, text)) = stitch.push(row.key, piece, row.start, row.stop, row)? {
            chunks.push(done.chunk(text)?);
        }
    }
    if let Some((done, text)) = stitch.finish()? {
        chunks.push(done.chunk(text)?);
    }
    Ok(chunks)
}

impl EntryRow {
    fn entry(self, body: String) -> Result<IndexEntry> {
        let (key, document, version) = (ChunkKey(self.key), DocumentKey(self.document_key), self.version);
        let vector = self.vector.ok_or_else(|| {
            StoreError::new(ErrorKind::Corrupt, format!("chunk {} has no vector: run verify", self.key))
        })?;
        let headings: Vec<String> = parsed(&self.headings)?;
        Ok(IndexEntry {
            vector: VectorEntry { key, document, version, vector: floats(&vector) },
            keyword: KeywordEntry {
                key,
                document,
                version,
                title: self.title.unwrap_or_default(),
                headings: headings.join(" "),
                body,
                language: self.language,
            },
        })
    }
}

/// Index entries from rows whose pieces follow each other.
pub(crate) fn entries(rows: Vec<EntryRow>) -> Result<Vec<IndexEntry>> {
    let mut entries = Vec::new();
    let mut stitch = Stitch::default();
    for mut row in rows {
        let piece = row.piece.take();
        if let Some((done, body)) = stitch.push(row.key, piece, row.start, row.stop, row)? {
            entries.push(done.entry(body)?);
        }
    }
    if let Some((done, body)) = stitch.finish()? {
        entries.push(done.entry(body)?);
    }
    Ok(entries)
}

/// The name by which an index's state is kept.
pub(crate) fn index_name(index: IndexKind) -> &'static str {
    match index {
        IndexKind::Vector => "vector",
        IndexKind::Keyword => "keyword",
    }
}

/// Collects the pieces of consecutive rows of one chunk.
struct Stitch<R> {
    open: Option<(i64, R, i64, Vec<u8>)>,
}

impl<R> Default for Stitch<R> {
    fn default() -> Self {
        Self { open: None }
    }
}

impl<R> Stitch<R> {
    /// Takes a row of chunk `key` with its piece of `start..end`; returns the chunk before it, once complete.
    fn push(
        &mut self,
        key: i64,
        piece: Option<Vec<u8>>,
        start: i64,
        end: i64,
        row: R,
    ) -> Result<Option<(R, String)>> {
        let piece = piece.unwrap_or_default();
        match &mut self.open {
            Some((open, _, _, bytes)) if *open == key => {
                bytes.extend_from_slice(&piece);
                Ok(None)
            }
            _ => {
                let done = self.finish();
                self.open = Some((key, row, end - start, piece));
                done
            }
        }
    }

    /// The last chunk.
    fn finish(&mut self) -> Result<Option<(R, String)>> {
        let Some((key, row, length, bytes)) = self.open.take() else {
            return Ok(None);
        };
        if i64::try_from(bytes.len()) != Ok(length) {
            let message = format!("the text of chunk {key} is not whole in the catalog: run verify");
            return Err(StoreError::new(ErrorKind::Corrupt, message));
        }
        Ok(Some((row, utf8(bytes)?)))
    }
}

/// A change's kind from its stored name.
pub(crate) fn change_kind(name: &str) -> Result<ChangeKind> {
    match name {
        "stored" => Ok(ChangeKind::Stored),
        "removed" => Ok(ChangeKind::Removed),
        _ => Err(StoreError::new(
            ErrorKind::Corrupt,
            "the catalog holds a change of no known kind: run verify",
        )),
    }
}

/// The stored name of a change's kind.
pub(crate) fn change_name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Stored => "stored",
        ChangeKind::Removed => "removed",
    }
}

/// Bytes of a text as text, without what its ends cut of a character.
pub(crate) fn cut(bytes: &[u8]) -> Result<String> {
    let skip = bytes.iter().take_while(|byte| (0x80..0xc0).contains(*byte)).count();
    let kept = &bytes[skip..];
    match std::str::from_utf8(kept) {
        Ok(text) => Ok(text.to_owned()),
        Err(cut) if cut.error_len().is_none() => {
            Ok(String::from_utf8_lossy(&kept[..cut.valid_up_to()]).into_owned())
        }
        Err(damage) => {
            Err(StoreError::new(ErrorKind::Corrupt, "the catalog holds text that is not UTF-8: run verify")
                .with_source(damage))
        }
    }
}

/// Whole stored bytes as text.
pub(crate) fn utf8(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|e| {
        StoreError::new(ErrorKind::Corrupt, "the catalog holds text that is not UTF-8: run verify")
            .with_source(e)
    })
}
