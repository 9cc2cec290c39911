//! Is retrieval good, and is it better than before: measured through the same ingest and retrieve code that users run.

pub mod dataset;
pub mod error;
pub mod measure;
pub mod metrics;
pub mod retrieval;
pub mod run;
pub mod stats;

pub use dataset::Dataset;
pub use error::{ErrorKind, EvalError, Result};
pub use measure::Measure;
pub use metrics::Scores;
