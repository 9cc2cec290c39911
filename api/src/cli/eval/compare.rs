//! `wellspring eval compare`: run files against each other.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use wellspring_eval::compare::{Shown, System, compare};
use wellspring_eval::dataset::{Accepted, read_qrels};
use wellspring_eval::measure::{Kind, Measure};
use wellspring_eval::metrics::{Qrels, score};
use wellspring_eval::run;
use wellspring_eval::stats::DEFAULT_SEED;

use super::{input, show};
use crate::output::{Outcome, Printer, note};

/// Compare run files with each other: tests, intervals, effect sizes, and the queries that moved
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// TREC run files; the others are compared with the first
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// TREC or BEIR judgements
    #[arg(long, value_name = "FILE")]
    qrels: PathBuf,
    /// Measures, the first of which decides which queries moved most; ndcg@10,recall@100,mrr@10,map if absent
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    measures: Vec<String>,
    /// Queries shown per system, both rankings side by side
    #[arg(long, default_value_t = 5)]
    moved: usize,
    /// Ranks shown of each
    #[arg(long, default_value_t = 5)]
    ranks: usize,
    /// Seed of bootstrap and tests
    #[arg(long, default_value_t = DEFAULT_SEED)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const DEFAULT: &[Measure] = &[
    Measure::at(Kind::Ndcg, 10),
    Measure::at(Kind::Recall, 100),
    Measure::at(Kind::ReciprocalRank, 10),
    Measure::whole(Kind::AveragePrecision),
];

impl Compare {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let mut accepted = Accepted::default();
        let qrels = read_qrels(&self.qrels, &mut accepted)?;
        let measures =
            if self.measures.is_empty() { DEFAULT.to_vec() } else { input::measures(&self.measures)? };
        let mut systems = Vec::new();
        for path in &self.runs {
            systems.push(system(path, &qrels, &measures, &mut accepted)?);
        }
        if !accepted.0.is_empty() {
            note(format_args!("accepted: {accepted}"));
        }
        let names: Vec<String> = measures.iter().map(ToString::to_string).collect();
        let shown = Shown { queries: self.moved, ranks: self.ranks };
        let comparison = compare(&systems, &names, Some(&qrels), self.seed, shown)?;
        printer.document(&comparison)?;
        printer.line(show::comparison(&comparison))?;
        printer.line(format_args!(
            "{} queries; paired randomisation tests, Holm's correction over {}; grades in brackets",
            comparison.queries, comparison.family
        ))?;
        for system in &comparison.systems {
            for moved in &system.moved {
                printer.line(format_args!("\n{} · {}", system.name, show::moved(moved)))?;
            }
        }
        Ok(Outcome::Good)
    }
}

/// A run file as a system, named after the file; queries that the judgements lack are counted.
pub(super) fn system(
    path: &Path,
    qrels: &Qrels,
    measures: &[Measure],
    accepted: &mut Accepted,
) -> anyhow::Result<System> {
    let run = run::read(path)?;
    let Some(name) = path.file_name() else { bail!("{} is no file", path.display()) };
    let unjudged = run.keys().filter(|query| !qrels.contains_key(*query)).count();
    accepted.count("queries of a run without judgements, left out", unjudged);
    let scores = score(qrels, &run, measures)?;
    accepted.count("judged queries missing from a run, counted as 0", scores.missing.len());
    Ok(System { name: name.to_string_lossy().into_owned(), scores, run: Some(run) })
}
