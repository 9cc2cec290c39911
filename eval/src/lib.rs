//! Are retrieval and answers good, and are they better than before: measured through the same ingest and retrieve code that users run.

pub mod ablate;
pub mod agreement;
pub mod answers;
pub mod compare;
pub mod dataset;
pub mod engine;
pub mod error;
pub mod failure;
pub mod feedback;
pub mod gate;
pub mod index;
pub mod kinds;
pub mod label;
pub mod learn;
pub mod legs;
mod linear;
pub mod measure;
pub mod metrics;
pub mod overall;
pub mod report;
pub mod retrieval;
pub mod run;
pub mod spans;
pub mod stats;
pub mod synth;
pub mod tune;

pub use dataset::Dataset;
pub use error::{ErrorKind, EvalError, Result};
pub use measure::Measure;
pub use metrics::Scores;
