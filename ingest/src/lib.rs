//! Bytes in, chunks with vectors out: reads documents, cuts them, embeds what is new, and makes versions searchable.

pub mod chunk;
pub mod config;
pub mod dedup;
pub mod detect;
pub mod enrich;
pub mod error;
pub mod extract;
pub mod offsets;
pub mod pipeline;
pub mod preview;
pub mod report;
pub mod sandbox;
pub mod source;
pub mod worker;

mod charset;
mod clean;
mod spans;

pub use chunk::{Boundaries, ChunkConfig, ChunkMode, Chunker, FileName, Pooling};
pub use config::{CollectionSettings, IngestConfig};
pub use error::{ErrorKind, IngestError, Result};
pub use pipeline::{Embedders, Extract, InProcess};
pub use preview::{Preview, preview};
pub use report::{FileReport, JobReport, Outcome, Summary};
pub use source::{Content, Submission};
pub use worker::{Forecast, ForecastSummary, Ingestor, Planned, Target, WorkerPool};
