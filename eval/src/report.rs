//! An evaluation as a whole: what the JSON file, the HTML page and `RESULTS.md` are made of.
//!
//! The JSON is complete: switches, configuration, checksums, seed, values per query. A run can be made again from it alone.

use serde::{Deserialize, Serialize};

use crate::compare::{Comparison, Shown, System, compare};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::failure::FailureReport;
use crate::kinds::{OfKind, breakdown};
use crate::metrics::Run;
use crate::retrieval::RetrievalReport;

mod answers;
mod html;
mod markdown;
mod plots;
pub mod policy;
mod risk;
mod svg;
mod tables;

pub use answers::answers_html;
pub use html::html;
pub use markdown::markdown;
pub use risk::{Coverage, risk_coverage};

/// The version of the JSON file.
pub const VERSION: u32 = 1;

/// The measure that plots and breakdowns are over.
pub const MAIN: &str = "ndcg@10";

/// Everything that one command measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluation {
    /// [`VERSION`].
    pub version: u32,
    /// Program and version.
    pub tool: String,
    /// The command line.
    pub command: String,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// The machine, in words.
    pub machine: String,
    /// Of every resampling.
    pub seed: u64,
    /// One per dataset.
    pub sets: Vec<SetReport>,
}

/// One dataset.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetReport {
    /// Its name.
    pub dataset: String,
    /// Its checksum.
    pub checksum: String,
    /// Where it differs from the published set, in words: a part that fits the time.
    pub note: Option<String>,
    /// One per configuration; the last one is the one that plots and failures are about.
    pub reports: Vec<RetrievalReport>,
    /// The others against the last one.
    pub comparison: Option<Comparison>,
    /// [`MAIN`] of the last one by kind of query.
    pub kinds: Vec<OfKind>,
    /// What the last one misses, and where; `None` if it was not asked for.
    pub failures: Option<FailureReport>,
}

impl SetReport {
    /// Puts a dataset's evaluated configurations together. `evaluated` is not empty; the last one is the main one.
    pub fn of(
        dataset: &Dataset,
        evaluated: Vec<(RetrievalReport, Run)>,
        failures: Option<FailureReport>,
        note: Option<String>,
    ) -> Result<Self> {
        let seed = evaluated.last().map_or(crate::stats::DEFAULT_SEED, |(report, _)| report.seed);
        let kinds = evaluated
            .last()
            .map_or_else(Vec::new, |(report, _)| breakdown(dataset, &report.scores, MAIN, seed));
        let systems: Vec<System> = evaluated
            .iter()
            .rev()
            .map(|(report, run)| System {
                name: report.mode.to_string(),
                scores: report.scores.clone(),
                run: Some(run.clone()),
            })
            .collect();
        let comparison = match systems.as_slice() {
            [] | [_] => None,
            _ => {
                let measures: Vec<String> = [MAIN, "recall@100", "mrr@10"]
                    .iter()
                    .filter(|name| systems[0].scores.metrics.contains_key(**name))
                    .map(|name| (*name).to_owned())
                    .collect();
                Some(compare(
                    &systems,
                    &measures,
                    Some(&dataset.qrels),
                    seed,
                    Shown { queries: 5, ranks: 5 },
                )?)
            }
        };
        Ok(Self {
            dataset: dataset.name.clone(),
            checksum: dataset.checksum.clone(),
            note,
            reports: evaluated.into_iter().map(|(report, _)| report).collect(),
            comparison,
            kinds,
            failures,
        })
    }

    /// The configuration that plots and failures are about.
    pub fn main(&self) -> Option<&RetrievalReport> {
        self.reports.last()
    }
}

#[cfg(test)]
pub(crate) mod tests;
