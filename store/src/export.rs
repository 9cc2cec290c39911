//! Exports a collection's visible documents as lines of JSON, as one scope sees them.
//!
//! The first line is about the collection (`"type": "collection"`, with the format's number), then each document
//! (`"document"`) is followed by its chunks (`"chunk"`) where they are wanted, and the last line (`"end"`) counts both: without
//! it an export is not whole. A document is always of one version; one that is added, changed or deleted while the export goes
//! on is in it as it was before or after, or not at all.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures::stream::{self, Stream};
use serde::Serialize;

use crate::Catalog;
use crate::document::{Collection, Document, DocumentId, PageSpan, StoredChunk};
use crate::error::{ErrorKind, Result, StoreError};
use crate::filter::Filter;
use crate::scope::CollectionScope;

/// The version of the lines' format.
pub const FORMAT: u32 = 1;

/// Documents listed at a time.
const PAGE: u32 = 100;
/// How often a document is read again that changes while it is read.
const TRIES: u32 = 8;

/// What an export holds.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// Chunks, each after its document.
    pub chunks: bool,
    /// Their vectors.
    pub vectors: bool,
    /// Only documents that pass.
    pub filter: Option<Filter>,
}

/// A line.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    Collection {
        format: u32,
        #[serde(flatten)]
        collection: &'a Collection,
    },
    Document {
        #[serde(flatten)]
        document: &'a Document,
        text: &'a str,
        page_spans: &'a [PageSpan],
    },
    Chunk {
        document_id: &'a DocumentId,
        version: i64,
        chunk_id: &'a str,
        ordinal: u32,
        start: usize,
        end: usize,
        page: Option<u32>,
        headings: &'a [String],
        language: Option<&'a str>,
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        vector: Option<&'a [f32]>,
    },
    End {
        documents: u64,
        chunks: u64,
    },
}

/// How far an export is.
struct Export {
    catalog: Arc<dyn Catalog>,
    scope: CollectionScope,
    options: ExportOptions,
    stage: Stage,
    documents: u64,
    chunks: u64,
}

enum Stage {
    Begin,
    /// Ids that were listed, and where to list on.
    Documents(VecDeque<DocumentId>, Option<String>),
    Ended,
}

/// The export as pieces of text, each of whole lines: a document with its chunks is one. An error ends it.
pub fn export(
    catalog: Arc<dyn Catalog>,
    scope: CollectionScope,
    options: ExportOptions,
) -> impl Stream<Item = Result<Vec<u8>>> + Send {
    let export = Export { catalog, scope, options, stage: Stage::Begin, documents: 0, chunks: 0 };
    stream::try_unfold(export, |mut export| async move {
        let piece = export.next().await?;
        Ok(piece.map(|piece| (piece, export)))
    })
}

impl Export {
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            match &mut self.stage {
                Stage::Begin => {
                    let (_, collection) =
                        self.catalog.collection(self.scope.scope(), self.scope.name()).await?;
                    self.list(None).await?;
                    let mut piece = Vec::new();
                    write(&mut piece, &Line::Collection { format: FORMAT, collection: &collection })?;
                    return Ok(Some(piece));
                }
                Stage::Documents(listed, next) => {
                    if let Some(id) = listed.pop_front() {
                        if let Some(piece) = self.document(&id).await? {
                            return Ok(Some(piece));
                        }
                    } else if let Some(cursor) = next.take() {
                        self.list(Some(cursor)).await?;
                    } else {
                        let mut piece = Vec::new();
                        write(&mut piece, &Line::End { documents: self.documents, chunks: self.chunks })?;
                        self.stage = Stage::Ended;
                        return Ok(Some(piece));
                    }
                }
                Stage::Ended => return Ok(None),
            }
        }
    }

    async fn list(&mut self, cursor: Option<String>) -> Result<()> {
        let filter = self.options.filter.as_ref();
        let page = self.catalog.documents(&self.scope, filter, cursor.as_deref(), PAGE).await?;
        let ids = page.items.into_iter().map(|document| document.id).collect();
        self.stage = Stage::Documents(ids, page.next);
        Ok(())
    }

    /// A document and its chunks, of one version; `None` if it is gone.
    async fn document(&mut self, id: &DocumentId) -> Result<Option<Vec<u8>>> {
        for _ in 0..TRIES {
            match self.read(id).await {
                Ok(Some((piece, chunks))) => {
                    self.documents += 1;
                    self.chunks += chunks;
                    return Ok(Some(piece));
                }
                // Another version came to be seen in between.
                Ok(None) => {}
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(e),
            }
        }
        Err(StoreError::new(
            ErrorKind::Conflict,
            format!(
                "the document {id} was replaced each time that it was read: export again when it is left alone"
            ),
        ))
    }

    async fn read(&self, id: &DocumentId) -> Result<Option<(Vec<u8>, u64)>> {
        let (catalog, scope) = (&self.catalog, &self.scope);
        let document = catalog.document(scope, id).await?;
        let (text, page_spans, _) = catalog.text(scope, id).await?;
        let chunks = if self.options.chunks { catalog.chunks(scope, id).await? } else { Vec::new() };
        let mut vectors = HashMap::new();
        if self.options.chunks && self.options.vectors {
            for entry in catalog.index_entries(scope, document.key, document.version).await? {
                vectors.insert(entry.vector.key, entry.vector.vector);
            }
        }
        // Read last, so that nothing of what was read before it can be of a later version, or of a deleted document.
        let still = catalog.document(scope, id).await?;
        let whole = !self.options.vectors || chunks.iter().all(|chunk| vectors.contains_key(&chunk.key));
        if (still.key, still.version) != (document.key, document.version) || !whole {
            return Ok(None);
        }
        let mut piece = Vec::new();
        write(&mut piece, &Line::Document { document: &still, text: &text, page_spans: &page_spans })?;
        for chunk in &chunks {
            write(&mut piece, &line(chunk, vectors.get(&chunk.key).map(Vec::as_slice)))?;
        }
        Ok(Some((piece, chunks.len() as u64)))
    }
}

fn line<'a>(chunk: &'a StoredChunk, vector: Option<&'a [f32]>) -> Line<'a> {
    Line::Chunk {
        document_id: &chunk.document_id,
        version: chunk.version,
        chunk_id: &chunk.id.0,
        ordinal: chunk.ordinal,
        start: chunk.start,
        end: chunk.end,
        page: chunk.page,
        headings: &chunk.headings,
        language: chunk.language.as_deref(),
        text: &chunk.text,
        vector,
    }
}

fn write(piece: &mut Vec<u8>, line: &Line<'_>) -> Result<()> {
    serde_json::to_writer(&mut *piece, line).map_err(|e| {
        StoreError::new(ErrorKind::Internal, "a document cannot be written as JSON").with_source(e)
    })?;
    piece.push(b'\n');
    Ok(())
}
