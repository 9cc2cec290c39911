//! Says what taking files in would make and need, without storing or embedding anything.

use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use wellspring_store::CollectionScope;

use super::Ingestor;
use crate::chunk::{Chunk, Chunker, Drift};
use crate::dedup;
use crate::error::{ErrorKind, IngestError, Result};
use crate::extract::{Failure, Reason};
use crate::pipeline::cut::Uncut;
use crate::source::{Entry, Found};

/// What the files would be taken into.
#[derive(Clone)]
pub struct Target {
    /// The collection; `None` where it would be made first.
    pub collection: Option<CollectionScope>,
    /// How it cuts.
    pub chunker: Chunker,
    /// Components of its vectors.
    pub dimension: usize,
}

/// What would become of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Planned {
    /// It would be indexed.
    Index,
    /// It is searchable just like this.
    Unchanged,
    /// Not a kind of document that is read.
    Skip,
    /// It could not be made searchable.
    Fail,
}

/// One file's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// The file as it was found.
    pub path: String,
    /// The document it would be.
    pub document_id: Option<String>,
    /// What would become of it.
    pub planned: Planned,
    /// A stable code, where it would be skipped or fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The reason in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Chunks that it would be cut into.
    pub chunks: u64,
    /// Of those, how many would have to be embedded.
    pub embedded: u64,
    /// Tokens of those, as counted here: for a model behind an endpoint an estimate from above. A text that stands in two of
    /// the files is counted in both.
    pub tokens: u64,
    /// Pages, 0 where the format has none.
    pub pages: u32,
}

/// Sums over many files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ForecastSummary {
    /// Files.
    pub files: u64,
    /// Files that would be indexed.
    pub index: u64,
    /// Chunks of them.
    pub chunks: u64,
    /// Chunks that would have to be embedded.
    pub embedded: u64,
    /// Tokens of those.
    pub tokens: u64,
    /// Files that could not be read.
    pub failed: u64,
}

impl ForecastSummary {
    /// Adds one file.
    pub fn add(&mut self, file: &Forecast) {
        self.files += 1;
        self.index += u64::from(file.planned == Planned::Index);
        self.failed += u64::from(file.planned == Planned::Fail);
        self.chunks += file.chunks;
        self.embedded += file.embedded;
        self.tokens += file.tokens;
    }
}

impl Forecast {
    fn of(path: String, document_id: Option<String>, planned: Planned) -> Self {
        Self {
            path,
            document_id,
            planned,
            reason: None,
            message: None,
            chunks: 0,
            embedded: 0,
            tokens: 0,
            pages: 0,
        }
    }

    fn because(self, reason: &str, message: String) -> Self {
        Self { reason: Some(reason.to_owned()), message: Some(message), ..self }
    }
}

impl Ingestor {
    /// What [`Ingestor::ingest_entries`] would do with each entry, in no order. Nothing is stored, no model is called and
    /// no worker is needed.
    pub fn forecast(
        &self,
        target: Target,
        entries: Vec<Entry>,
    ) -> impl Stream<Item = Forecast> + Send + 'static {
        let (this, width) = (self.clone(), self.config().files_in_flight.max(1));
        stream::iter(entries)
            .map(move |entry| {
                let (this, target) = (this.clone(), target.clone());
                async move { this.forecast_entry(&target, entry).await }
            })
            .buffer_unordered(width)
    }

    async fn forecast_entry(&self, target: &Target, entry: Entry) -> Forecast {
        match entry {
            Entry::Problem { path, reason, message } => {
                Forecast::of(path.display().to_string(), None, Planned::Fail).because(reason, message)
            }
            Entry::File(found) => {
                let (path, id) = (found.path.display().to_string(), found.id.as_str().to_owned());
                self.forecast_file(target, found).await.unwrap_or_else(|error| {
                    Forecast::of(path, Some(id), Planned::Fail).because("unreadable", error.to_string())
                })
            }
        }
    }

    async fn forecast_file(&self, target: &Target, found: Found) -> Result<Forecast> {
        let line = |planned| {
            Forecast::of(found.path.display().to_string(), Some(found.id.as_str().to_owned()), planned)
        };
        let unreadable =
            |e: std::io::Error| IngestError::new(ErrorKind::Unavailable, e.to_string()).with_source(e);
        let size = fs_err::tokio::metadata(&found.path).await.map_err(unreadable)?.len();
        let limit = self.config().max_upload_bytes;
        if size > limit {
            let message = format!("the file has {size} bytes, the limit is {limit} (max_upload_bytes)");
            return Ok(line(Planned::Fail).because(Reason::TooLarge.code(), message));
        }
        if let Some(collection) = &target.collection
            && self.is_unchanged(collection, &found, size).await?
        {
            return Ok(line(Planned::Unchanged));
        }
        let _room = self.inner.memory.share(size).await;
        let bytes = fs_err::tokio::read(&found.path).await.map_err(unreadable)?;
        let source = found.id.as_str().to_owned();
        let name = source.rsplit(['/', '\\']).next().filter(|name| !name.is_empty());
        let extracted = match self.inner.extractor.extract(bytes.into(), name, None).await {
            Ok(extracted) => extracted,
            Err(Failure { reason, message }) => {
                let planned = if reason.is_skip() { Planned::Skip } else { Planned::Fail };
                return Ok(line(planned).because(reason.code(), message));
            }
        };
        let chunker = target.chunker.clone();
        // No model is called: semantic boundaries are left out, so that there the numbers are an estimate.
        let cut = move || Uncut::new(&chunker, extracted, None, &source).cut(&chunker, &Drift::default());
        let cut = tokio::task::spawn_blocking(cut).await.map_err(|e| {
            IngestError::new(ErrorKind::Internal, "the document could not be cut").with_source(e)
        })?;
        if cut.chunks.is_empty() {
            let message = "the document holds no text to be found by".to_owned();
            return Ok(line(Planned::Fail).because(Reason::Empty.code(), message));
        }
        let missing = self.missing(target, &cut.chunks).await?;
        Ok(Forecast {
            chunks: cut.chunks.len() as u64,
            embedded: missing.len() as u64,
            tokens: missing.iter().map(|chunk| chunk.tokens as u64).sum(),
            pages: cut.pages.last().map_or(0, |page| page.page),
            ..line(Planned::Index)
        })
    }

    /// The chunks without a vector, each text once.
    async fn missing<'c>(&self, target: &Target, chunks: &'c [Chunk]) -> Result<Vec<&'c Chunk>> {
        let Some(collection) = &target.collection else {
            let mut seen = std::collections::HashSet::new();
            return Ok(chunks.iter().filter(|chunk| seen.insert(chunk.content_hash)).collect());
        };
        let catalog = self.inner.store.catalog.as_ref();
        let plan = dedup::plan(catalog, collection, chunks, target.dimension).await?;
        Ok(plan.missing.iter().filter_map(|&place| chunks.get(place)).collect())
    }
}
