//! `wellspring eval score`: a run file that any system wrote.

use std::path::PathBuf;

use clap::Args;
use wellspring_eval::dataset::{Accepted, read_qrels};
use wellspring_eval::metrics::{exclude_own_ids, score};
use wellspring_eval::run;
use wellspring_eval::stats::DEFAULT_SEED;

use super::input::measures;
use super::show;
use crate::output::{Outcome, Printer, note};

/// Score a run file that any system wrote
#[derive(Debug, Args)]
pub(crate) struct Score {
    /// A TREC run file
    run: PathBuf,
    /// TREC or BEIR judgements
    #[arg(long, value_name = "FILE")]
    qrels: PathBuf,
    /// Measures
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    measures: Vec<String>,
    /// Leave the document whose id is the query's out of its ranking, as BEIR does
    #[arg(long)]
    exclude_own_ids: bool,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = DEFAULT_SEED)]
    seed: u64,
    /// Print JSON, with values per query
    #[arg(long)]
    json: bool,
}

impl Score {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let mut accepted = Accepted::default();
        let qrels = read_qrels(&self.qrels, &mut accepted)?;
        let mut run = run::read(&self.run)?;
        if self.exclude_own_ids {
            accepted.count("documents left out because their id was the query's", exclude_own_ids(&mut run));
        }
        let unjudged = run.keys().filter(|query| !qrels.contains_key(*query)).count();
        accepted.count("queries of the run without judgements, left out", unjudged);
        if !accepted.0.is_empty() {
            note(format_args!("accepted: {accepted}"));
        }
        let scores = score(&qrels, &run, &measures(&self.measures)?)?.with_intervals(self.seed);
        printer.document(&scores)?;
        printer.line(show::means(&[("", &scores)]))?;
        printer.line(format_args!(
            "{} queries, {} missing from the run",
            scores.queries,
            scores.missing.len()
        ))?;
        Ok(Outcome::Good)
    }
}
