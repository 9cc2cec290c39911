//! What people are told about a finished document: the job's report, a file's line, and the sum of many.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wellspring_models::Money;
use wellspring_store::jobs::{Job, JobState};

/// What a finished job made: [`wellspring_store::jobs::Job::report`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobReport {
    /// Chunks of the version.
    pub chunks: u64,
    /// Of those, how many had to be embedded.
    pub embedded: u64,
    /// Of those, how many had a vector already.
    pub reused: u64,
    /// Tokens of all chunks as embedded, special ones included.
    pub tokens: u64,
    /// Tokens that the model did not see because a chunk was above its limit (mode `whole` only).
    pub truncated: u64,
    /// Pages, 0 where the format has none.
    pub pages: u32,
    /// Characters of the stored text.
    pub characters: u64,
    /// What the file was read as.
    pub format: String,
    /// Another document of the collection with the same bytes.
    pub duplicate_of: Option<String>,
    /// What extraction wants people to know.
    pub warnings: Vec<String>,
    /// What embedding cost, in `currency`; `None` where it has no price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// What `cost` is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Milliseconds per stage.
    pub timings: Timings,
}

/// Milliseconds spent in each stage of an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Bytes to text.
    pub extract_ms: u64,
    /// Text to chunks.
    pub chunk_ms: u64,
    /// Chunks to vectors.
    pub embed_ms: u64,
    /// Into the catalog.
    pub store_ms: u64,
    /// Into the indexes, flushed.
    pub index_ms: u64,
}

/// How a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is searchable.
    Indexed,
    /// It was searchable before, just like this.
    Unchanged,
    /// Not a kind of document that is read.
    Skipped,
    /// It could not be made searchable.
    Failed,
}

/// One file's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// The file as it was found.
    pub path: String,
    /// The document it is; `None` where no document was made of it.
    pub document_id: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// A stable code, unless indexed or unchanged.
    pub reason: Option<String>,
    /// The reason in words.
    pub message: Option<String>,
    /// Chunks of the version made.
    pub chunks: u64,
    /// Pages of it.
    pub pages: u32,
    /// Tokens of it.
    pub tokens: u64,
    /// Another document with the same bytes.
    pub duplicate_of: Option<String>,
    /// What extraction wants people to know.
    pub warnings: Vec<String>,
    /// What embedding it cost, in `currency`; absent where it has no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// What `cost` is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Milliseconds from being looked at to the end, waiting included.
    pub ms: u64,
}

impl FileReport {
    /// A line for a file that no job ran for.
    pub fn without_job(path: String, document_id: Option<String>, outcome: Outcome, ms: u64) -> Self {
        Self {
            path,
            document_id,
            outcome,
            reason: None,
            message: None,
            chunks: 0,
            pages: 0,
            tokens: 0,
            duplicate_of: None,
            warnings: Vec::new(),
            cost: None,
            currency: None,
            ms,
        }
    }

    /// The same with the reason.
    #[must_use]
    pub fn because(mut self, reason: &str, message: impl Into<String>) -> Self {
        self.reason = Some(reason.to_owned());
        self.message = Some(message.into());
        self
    }

    /// The line of a job. A cancelled or dead one counts as failed, its state being the reason if it names none; so does
    /// one that still waits for another attempt.
    pub fn of_job(path: String, job: Job, ms: u64) -> Self {
        let report: JobReport = serde_json::from_value(job.report).unwrap_or_default();
        let kept = match job.state {
            JobState::Queued => {
                "; accepted and kept: it is tried again while `wellspring serve` or `ingest` runs".to_owned()
            }
            JobState::Dead => {
                format!("; its bytes are kept: `wellspring job requeue {}` tries again", job.id)
            }
            _ => String::new(),
        };
        let (outcome, state) = match job.state {
            JobState::Indexed => (Outcome::Indexed, None),
            JobState::Unchanged => (Outcome::Unchanged, None),
            JobState::Skipped => (Outcome::Skipped, Some("skipped")),
            JobState::Cancelled => (Outcome::Failed, Some("cancelled")),
            JobState::Dead => (Outcome::Failed, Some("dead")),
            JobState::Failed | JobState::Queued | JobState::Running => (Outcome::Failed, Some("failed")),
        };
        Self {
            path,
            document_id: Some(job.document_id.as_str().to_owned()),
            outcome,
            reason: state.and(job.reason.or_else(|| state.map(str::to_owned))),
            message: job.message.map(|message| message + &kept),
            chunks: report.chunks,
            pages: report.pages,
            tokens: report.tokens,
            duplicate_of: report.duplicate_of,
            warnings: report.warnings,
            cost: report.cost,
            currency: report.currency,
            ms,
        }
    }
}

/// Counts over many files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Files.
    pub files: u64,
    /// Files by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Skipped and failed files by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Chunks made.
    pub chunks: u64,
    /// Tokens of them.
    pub tokens: u64,
    /// Pages read.
    pub pages: u64,
    /// Files with the same bytes as another document.
    pub duplicates: u64,
    /// What embedding cost, in `currency`; absent where nothing has a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// What `cost` is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

impl Summary {
    /// Adds one file.
    pub fn add(&mut self, file: &FileReport) {
        self.files += 1;
        *self.outcomes.entry(file.outcome).or_default() += 1;
        if let Some(reason) = &file.reason {
            *self.reasons.entry(reason.clone()).or_default() += 1;
        }
        self.chunks += file.chunks;
        self.tokens += file.tokens;
        self.pages += u64::from(file.pages);
        self.duplicates += u64::from(file.duplicate_of.is_some());
        self.cost = self.cost.into_iter().chain(file.cost).reduce(Money::plus);
        self.currency = self.currency.take().or_else(|| file.currency.clone());
    }

    /// Files that ended this way.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_by_outcome_and_reason() {
        let mut summary = Summary::default();
        let line = |outcome| FileReport::without_job("a".to_owned(), None, outcome, 1);
        summary.add(&line(Outcome::Indexed));
        summary.add(&line(Outcome::Failed).because("corrupt", "no"));
        summary.add(&line(Outcome::Skipped).because("unsupported", "no"));
        summary.add(&line(Outcome::Skipped).because("unsupported", "no"));
        assert_eq!(
            (summary.files, summary.count(Outcome::Skipped), summary.count(Outcome::Unchanged)),
            (4, 2, 0)
        );
        assert_eq!(
            summary.reasons,
            BTreeMap::from([("corrupt".to_owned(), 1), ("unsupported".to_owned(), 2)])
        );
    }
}
