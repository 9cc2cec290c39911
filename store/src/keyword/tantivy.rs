//! The keyword index on tantivy: BM25 over words, in a folder or in memory.
//!
//! One document per chunk. `text` holds the stemmed words of title, headings and body and is what a score is made of; `title`
//! and `headings` hold theirs alone and count as far as the search's scoring says; `verbatim` holds every token unstemmed
//! with its place, for what must be found letter by letter. A commit carries the watermark in its payload, so both become
//! durable in one rename. Statistics (document frequency, average length) count removed chunks
//! until their segment is merged: scores may differ by a little from those of a fresh index, never which chunks match.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use roaring::RoaringTreemap;
use tantivy::directory::MmapDirectory;
use tantivy::indexer::{IndexWriterOptions, NoMergePolicy};
use tantivy::schema::{IndexRecordOption, TantivyDocument, Value};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher, Term};

use super::analyzer::{Analysis, verbatim_terms};
use super::{Correction, Exact, KeywordEntry, KeywordHit, KeywordIndex, KeywordQuery};
use crate::document::{ChunkKey, Seq};
use crate::error::{ErrorKind, Result, StoreError};

mod fields;
mod holding;
mod score;
mod search;
mod unknown;

use fields::Fields;

/// Places between title, headings and body: no phrase reaches from one into the next.
const GAP: usize = 100;

/// What tantivy may keep in memory before it writes a segment; with less, small segments pile up.
const WRITER_BYTES: usize = 50_000_000;

/// See the module's description.
#[derive(Clone)]
pub struct TantivyIndex(Arc<Inner>);

struct Inner {
    index: Index,
    fields: Fields,
    reader: IndexReader,
    folder: Option<PathBuf>,
    /// Taken only while writing; there from the first write until [`KeywordIndex::rest`].
    writer: Mutex<Option<IndexWriter>>,
}

impl std::fmt::Debug for TantivyIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TantivyIndex").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

impl TantivyIndex {
    /// Opens the index in `folder`, or makes an empty one if the folder holds none. `Corrupt` if it can't be read or has
    /// another schema: build a new one then. Blocks.
    pub fn open(folder: &Path) -> Result<Self> {
        fs_err::create_dir_all(folder).map_err(|e| unusable(folder, e))?;
        let directory = MmapDirectory::open(folder).map_err(|e| unusable(folder, e))?;
        let (schema, fields) = Fields::schema();
        let index = Index::open_or_create(directory, schema).map_err(|e| unusable(folder, e))?;
        Self::new(index, fields, Some(folder.to_owned()))
    }

    /// An empty index in memory.
    pub fn in_memory() -> Result<Self> {
        let (schema, fields) = Fields::schema();
        let index = Index::builder()
            .schema(schema)
            .settings(IndexSettings::default())
            .create_in_ram()
            .map_err(|e| failed("make a keyword index in memory", e))?;
        Self::new(index, fields, None)
    }

    fn new(index: Index, fields: Fields, folder: Option<PathBuf>) -> Result<Self> {
        fields::register(&index);
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()
            .map_err(|e| failed("read a keyword index", e))?;
        Ok(Self(Arc::new(Inner { index, fields, reader, folder, writer: Mutex::new(None) })))
    }

    /// Runs blocking work on tokio's blocking threads.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(|e| {
            StoreError::new(
                ErrorKind::Internal,
                "the keyword index stopped in the middle of a call; see the log",
            )
            .with_source(e)
        })?
    }
}

impl Inner {
    /// The writer's place, filled.
    fn writer(&self) -> Result<MutexGuard<'_, Option<IndexWriter>>> {
        let mut place = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if place.is_none() {
            let options = IndexWriterOptions::builder()
                .num_worker_threads(1)
                .num_merge_threads(1)
                .memory_budget_per_thread(WRITER_BYTES)
                .build();
            *place = Some(
                self.index
                    .writer_with_options(options)
                    .map_err(|e| failed("open a keyword index for writing", e))?,
            );
        }
        Ok(place)
    }

    /// A writer that failed (a full disk) accepts nothing any more. It is let go with what it had not committed, which
    /// `sync` applies again from the watermark.
    fn or_start_over(&self, result: Result<()>) -> Result<()> {
        if result.as_ref().is_err_and(|e| e.kind() != ErrorKind::Invalid) {
            *self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        }
        result
    }

    fn upsert(&self, entries: &[KeywordEntry]) -> Result<()> {
        let keys = entries.iter().map(|entry| super::checked_key(entry.key)).collect::<Result<Vec<u64>>>()?;
        let place = self.writer()?;
        let Some(writer) = place.as_ref() else { return Ok(()) };
        for (entry, key) in entries.iter().zip(keys) {
            writer.delete_term(Term::from_field_u64(self.fields.key, key));
            writer
                .add_document(self.document(key, entry))
                .map_err(|e| failed("add to a keyword index", e))?;
        }
        Ok(())
    }

    fn document(&self, key: u64, entry: &KeywordEntry) -> TantivyDocument {
        let analysis = Analysis::of(entry.language.as_deref());
        let (title, headings) = (analysis.terms(&entry.title), analysis.terms(&entry.headings));
        let body = analysis.terms(&entry.body);
        let text = title.iter().chain(&headings).cloned().chain(body).collect();
        let mut document = TantivyDocument::default();
        document.add_u64(self.fields.key, key);
        document.add_i64(self.fields.document, entry.document.0);
        document.add_i64(self.fields.version, entry.version);
        document.add_text(self.fields.language, analysis.name());
        document.add_bytes(self.fields.hash, &entry.content_hash());
        document.add_pre_tokenized_text(self.fields.title, in_order(title));
        document.add_pre_tokenized_text(self.fields.headings, in_order(headings));
        document.add_pre_tokenized_text(self.fields.text, in_order(text));
        document.add_pre_tokenized_text(self.fields.verbatim, verbatim(entry));
        document
    }

    fn remove(&self, keys: &[ChunkKey]) -> Result<()> {
        let place = self.writer()?;
        let Some(writer) = place.as_ref() else { return Ok(()) };
        for key in keys {
            writer.delete_term(Term::from_field_u64(self.fields.key, super::checked_key(*key)?));
        }
        Ok(())
    }

    fn flush(&self, seq: Seq) -> Result<()> {
        let mut place = self.writer()?;
        let Some(writer) = place.as_mut() else { return Ok(()) };
        let mut commit = writer.prepare_commit().map_err(|e| failed("write a keyword index", e))?;
        commit.set_payload(&seq.0.to_string());
        commit.commit().map_err(|e| failed("commit a keyword index", e))?;
        if let Some(folder) = &self.folder {
            // tantivy syncs its files and then renames `meta.json` without syncing the folder: a power cut could take the
            // commit back after the watermark was recorded.
            let synced = fs_err::File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|e| {
                StoreError::new(ErrorKind::Unavailable, "can't sync a keyword index to disk").with_source(e)
            })?;
        }
        self.reader.reload().map_err(|e| failed("read a keyword index again", e))
    }

    fn watermark(&self) -> Result<Seq> {
        let metas = self.index.load_metas().map_err(|e| failed("read a keyword index's state", e))?;
        let Some(payload) = metas.payload else { return Ok(Seq(0)) };
        payload.parse().map(Seq).map_err(|e| {
            StoreError::new(ErrorKind::Corrupt, "a keyword index's watermark is not a number").with_source(e)
        })
    }

    fn keys(&self) -> Result<RoaringTreemap> {
        let mut keys = RoaringTreemap::new();
        for segment in self.reader.searcher().segment_readers() {
            let column = segment.fast_fields().u64("key").map_err(|e| failed("list a keyword index", e))?;
            keys.extend(segment.doc_ids_alive().filter_map(|doc| column.first(doc)));
        }
        Ok(keys)
    }

    fn content_hash(&self, key: ChunkKey) -> Result<Option<[u8; 32]>> {
        let searcher = self.reader.searcher();
        let Some(address) = self.address(&searcher, super::checked_key(key)?)? else { return Ok(None) };
        let document: TantivyDocument =
            searcher.doc(address).map_err(|e| failed("read a keyword index entry", e))?;
        let stored = document.get_first(self.fields.hash).and_then(|value| value.as_bytes());
        let hash = stored.and_then(|bytes| bytes.try_into().ok());
        hash.map(Some).ok_or_else(|| {
            StoreError::new(ErrorKind::Corrupt, "a keyword index entry has lost its hash; rebuild the index")
        })
    }

    fn address(&self, searcher: &Searcher, key: u64) -> Result<Option<tantivy::DocAddress>> {
        let term = Term::from_field_u64(self.fields.key, key);
        for (ordinal, segment) in (0..).zip(searcher.segment_readers()) {
            let postings = segment
                .inverted_index(self.fields.key)
                .and_then(|index| Ok(index.read_postings(&term, IndexRecordOption::Basic)?))
                .map_err(|e| failed("look up a keyword index entry", e))?;
            let Some(mut postings) = postings else { continue };
            let mut doc = tantivy::DocSet::doc(&postings);
            while doc != tantivy::TERMINATED {
                if segment.alive_bitset().is_none_or(|alive| alive.is_alive(doc)) {
                    return Ok(Some(tantivy::DocAddress::new(ordinal, doc)));
                }
                doc = tantivy::DocSet::advance(&mut postings);
            }
        }
        Ok(None)
    }

    /// Merges everything into one segment: removed chunks leave the statistics and the disk.
    fn optimize(&self) -> Result<()> {
        // Merges that the writer started on its own take segments away from under this one: let them end first, and let
        // it start no other.
        self.rest()?;
        let segments =
            self.index.searchable_segment_ids().map_err(|e| failed("list a keyword index's segments", e))?;
        self.reader.reload().map_err(|e| failed("read a keyword index again", e))?;
        let removed =
            self.reader.searcher().segment_readers().iter().any(|segment| segment.num_deleted_docs() > 0);
        if segments.is_empty() || (segments.len() == 1 && !removed) {
            return Ok(());
        }
        let mut place = self.writer()?;
        let Some(writer) = place.as_mut() else { return Ok(()) };
        writer.set_merge_policy(Box::new(NoMergePolicy));
        writer.merge(&segments).wait().map_err(|e| failed("merge a keyword index", e))?;
        writer.garbage_collect_files().wait().map_err(|e| failed("clean up a keyword index", e))?;
        // The next write opens a writer with the usual policy.
        *place = None;
        self.reader.reload().map_err(|e| failed("read a keyword index again", e))
    }

    /// Reads every file anew: the open reader's view of a file is the one from when it was opened. A merge may remove a
    /// file between listing and reading it, so only what fails three times counts.
    fn check(&self) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let look = || -> Result<()> {
            let directory = MmapDirectory::open(folder).map_err(|e| unusable(folder, e))?;
            let index = Index::open(directory).map_err(|e| unusable(folder, e))?;
            let damaged = index.validate_checksum().map_err(|e| unusable(folder, e))?;
            if damaged.is_empty() {
                return Ok(());
            }
            let mut files: Vec<String> = damaged.iter().map(|path| path.display().to_string()).collect();
            files.sort();
            Err(StoreError::new(
                ErrorKind::Corrupt,
                format!("keyword index files changed on disk: {}", files.join(", ")),
            ))
        };
        look().or_else(|_| look()).or_else(|_| look())
    }

    fn rest(&self) -> Result<()> {
        let writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        match writer {
            Some(writer) => {
                writer.wait_merging_threads().map_err(|e| failed("end the merges of a keyword index", e))
            }
            None => Ok(()),
        }
    }
}

/// Terms as tantivy wants them; offsets are not indexed and stay 0.
fn pre_tokenized(terms: impl Iterator<Item = (usize, String)>) -> PreTokenizedString {
    let tokens = terms.map(|(position, text)| Token { position, text, ..Token::default() }).collect();
    PreTokenizedString { text: String::new(), tokens }
}

fn in_order(terms: Vec<String>) -> PreTokenizedString {
    pre_tokenized(terms.into_iter().enumerate())
}

fn verbatim(entry: &KeywordEntry) -> PreTokenizedString {
    let mut terms: Vec<(usize, String)> = Vec::new();
    for part in [&entry.title, &entry.headings, &entry.body] {
        let from = terms.last().map_or(0, |(last, _)| last + GAP);
        terms.extend(verbatim_terms(part).into_iter().map(|(place, term)| (from + place, term)));
    }
    pre_tokenized(terms.into_iter())
}

/// What keeps an index from being opened or read: the machine's fault, or else the index's.
fn unusable(folder: &Path, error: impl Into<tantivy::TantivyError>) -> StoreError {
    let (folder, error) = (folder.file_name().unwrap_or_default().to_string_lossy(), error.into());
    let (kind, then) = match is_the_machine(&error) {
        true => (
            ErrorKind::Unavailable,
            "check the disk, the permissions of the data folder and the limit of open files",
        ),
        false => (ErrorKind::Corrupt, "it is rebuilt from the catalog"),
    };
    StoreError::new(kind, format!("the keyword index {folder} can't be opened; {then}")).with_source(error)
}

/// Whether an intact index would fail like this too: it must not be taken for damage.
fn is_the_machine(error: &tantivy::TantivyError) -> bool {
    use std::io::ErrorKind as Io;
    use tantivy::TantivyError as E;
    use tantivy::directory::error::{OpenDirectoryError, OpenReadError, OpenWriteError};
    let io = match error {
        E::IoError(io) => io,
        E::OpenReadError(OpenReadError::IoError { io_error, .. })
        | E::OpenWriteError(OpenWriteError::IoError { io_error, .. })
        | E::OpenDirectoryError(OpenDirectoryError::IoError { io_error, .. }) => io_error,
        _ => return false,
    };
    let out_of_files = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::IO];
    matches!(
        io.kind(),
        Io::PermissionDenied | Io::ReadOnlyFilesystem | Io::StorageFull | Io::QuotaExceeded | Io::OutOfMemory
    ) || out_of_files.iter().any(|errno| io.raw_os_error() == Some(errno.raw_os_error()))
}

/// What tantivy's errors mean to a caller.
fn failed(doing: &str, error: tantivy::TantivyError) -> StoreError {
    use tantivy::TantivyError as E;
    let kind = match &error {
        error if is_the_machine(error) => ErrorKind::Unavailable,
        E::DataCorruption(_) | E::OpenReadError(_) | E::IncompatibleIndex(_) | E::SchemaError(_) => {
            ErrorKind::Corrupt
        }
        E::IoError(_) | E::OpenWriteError(_) | E::LockFailure(..) => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    StoreError::new(kind, format!("could not {doing}")).with_source(error)
}

#[async_trait]
impl KeywordIndex for TantivyIndex {
    async fn upsert(&self, entries: Vec<KeywordEntry>) -> Result<()> {
        self.run(move |inner| inner.or_start_over(inner.upsert(&entries))).await
    }

    async fn remove(&self, keys: &[ChunkKey]) -> Result<()> {
        let keys = keys.to_vec();
        self.run(move |inner| inner.or_start_over(inner.remove(&keys))).await
    }

    async fn flush(&self, seq: Seq) -> Result<()> {
        self.run(move |inner| inner.or_start_over(inner.flush(seq))).await
    }

    async fn watermark(&self) -> Result<Seq> {
        self.run(Inner::watermark).await
    }

    async fn search(&self, query: KeywordQuery<'_>) -> Result<Vec<KeywordHit>> {
        query.scoring.check()?;
        let ask = search::Ask {
            text: query.text.to_owned(),
            k: query.k,
            among: query.among.cloned(),
            scoring: query.scoring,
            fuzzy: query.fuzzy,
        };
        self.run(move |inner| inner.search(ask)).await
    }

    async fn holding(
        &self,
        exacts: &[Exact],
        k: usize,
        among: Option<&RoaringTreemap>,
    ) -> Result<Vec<KeywordHit>> {
        let (exacts, among) = (exacts.to_vec(), among.cloned());
        self.run(move |inner| inner.holding(&exacts, k, among)).await
    }

    async fn did_you_mean(&self, text: &str, among: Option<&RoaringTreemap>) -> Result<Option<Correction>> {
        let (text, among) = (text.to_owned(), among.cloned());
        self.run(move |inner| inner.did_you_mean(&text, among.as_ref())).await
    }

    async fn keys(&self) -> Result<RoaringTreemap> {
        self.run(Inner::keys).await
    }

    async fn content_hash(&self, key: ChunkKey) -> Result<Option<[u8; 32]>> {
        self.run(move |inner| inner.content_hash(key)).await
    }

    async fn len(&self) -> Result<u64> {
        Ok(self.0.reader.searcher().num_docs())
    }

    async fn check(&self) -> Result<()> {
        self.run(Inner::check).await
    }

    async fn optimize(&self) -> Result<()> {
        self.run(Inner::optimize).await
    }

    async fn rest(&self) -> Result<()> {
        self.run(Inner::rest).await
    }
}
