//! `wellspring eval judgements`: a test set out of logged feedback.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use wellspring_eval::dataset::Accepted;
use wellspring_eval::feedback::{Rule, judge, read, write};

use crate::output::{Outcome, Printer, note};

/// Make judgements out of a log of what people clicked and rated
#[derive(Debug, Args)]
pub(crate) struct Judgements {
    /// Lines of JSON: query, shown, clicked, up, down, time, session (see docs/evaluation.md)
    #[arg(long, value_name = "FILE")]
    feedback: PathBuf,
    /// Write queries.jsonl, qrels/test.tsv and dataset.toml into this folder
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// What clicks of different sessions must weigh together before they make a document relevant
    #[arg(long, default_value_t = Rule::default().clicks, value_parser = clap::value_parser!(u32).range(1..=1000))]
    clicks: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Judgements {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let mut accepted = Accepted::default();
        let judgements = judge(&read(&self.feedback, &mut accepted)?, Rule { clicks: self.clicks });
        if !accepted.0.is_empty() {
            note(format_args!("accepted: {accepted}"));
        }
        printer.document(&judgements)?;
        for conflict in &judgements.conflicts {
            let outcome =
                conflict.grade.map_or_else(|| "left out".to_owned(), |grade| format!("graded {grade}"));
            printer.line(format_args!(
                "conflict: {} for `{}`: {}; {outcome}",
                conflict.document, conflict.query, conflict.why
            ))?;
        }
        let rows: usize = judgements.qrels.values().map(|judged| judged.len()).sum();
        printer.line(format_args!(
            "{} events: {} queries with {rows} judgements, {} conflicts, {} queries left out for want of a relevant document",
            judgements.events,
            judgements.queries.len(),
            judgements.conflicts.len(),
            judgements.without_relevant
        ))?;
        if judgements.queries.is_empty() {
            bail!("the feedback makes no document relevant for any query: nothing is written");
        }
        write(&judgements, &self.out)?;
        note(format_args!(
            "written to {}; evaluate it with --dataset over the collection that was asked",
            self.out.display()
        ));
        Ok(Outcome::Good)
    }
}
