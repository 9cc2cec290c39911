//! `wellspring eval retrieval`: index a dataset, ask its queries, score the rankings.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use serde_json::json;
use wellspring_eval::compare::{Shown, System, compare};
use wellspring_eval::dataset::Dataset;
use wellspring_eval::engine::Switches;
use wellspring_eval::metrics::Run;
use wellspring_eval::retrieval::{ASSUMED_CORRELATION, RetrievalOptions, RetrievalReport, evaluate};
use wellspring_eval::run;
use wellspring_retrieve::Mode;

use super::bench::Bench;
use super::input::{Configuration, How, TestSet, live_latency, prepare};
use super::show;
use crate::cli::Global;
use crate::output::{Outcome, Printer, note};

/// Index a dataset, ask its queries, and score the rankings
#[derive(Debug, Args)]
pub(crate) struct Retrieval {
    #[command(flatten)]
    set: TestSet,
    #[command(flatten)]
    configuration: Configuration,
    #[command(flatten)]
    how: How,
    /// Write the rankings as a TREC run file (with --mode all, the mode is put before the extension)
    #[arg(long, value_name = "FILE")]
    run_file: Option<PathBuf>,
    /// Print JSON, with values per query
    #[arg(long)]
    json: bool,
}

/// One mode's figures and rankings.
pub(super) type Evaluated = (RetrievalReport, Run);

impl Retrieval {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        if let Some(folder) = self.run_file.as_ref().and_then(|file| file.parent())
            && !folder.as_os_str().is_empty()
            && !folder.is_dir()
        {
            bail!("{} is no folder, so the run file can't be written there", folder.display());
        }
        let dataset = self.set.open()?;
        let options = self.how.options()?;
        let bench = self.how.bench(global, &dataset, &self.set.collection)?;
        let modes = self.configuration.mode.modes();
        let switches = self.configuration.switches()?;
        let timed = self.how.latency_queries;
        let evaluated = modes_of(&bench, &dataset, &switches, modes, &options, timed, printer).await?;
        bench.close().await?;
        for (report, rankings) in &evaluated {
            if let Some(path) = &self.run_file {
                let path = run_path(path, report.mode, modes.len() > 1);
                run::write(&path, rankings, &format!("wellspring-{}", report.mode))?;
            }
        }
        let reports: Vec<&RetrievalReport> = evaluated.iter().map(|(report, _)| report).collect();
        if let [report] = reports.as_slice() {
            printer.document(report)?;
        } else {
            printer.document(&json!({ "reports": reports }))?;
        }
        print(printer, &evaluated, &dataset)?;
        Ok(Outcome::Good)
    }
}

/// Indexes once and evaluates each mode, with the latency of `timed` queries.
pub(super) async fn modes_of(
    bench: &Bench,
    dataset: &Dataset,
    switches: &Switches,
    modes: &[Mode],
    options: &RetrievalOptions,
    timed: usize,
    printer: Printer,
) -> anyhow::Result<Vec<Evaluated>> {
    let (engine, indexed) = prepare(bench, dataset, switches, printer).await?;
    let mut evaluated = Vec::with_capacity(modes.len());
    for mode in modes {
        let switches = Switches { mode: *mode, ..switches.clone() };
        let bar = printer.progress(Some(dataset.queries.len() as u64), "queries");
        let progress = |n| bar.set_position(n);
        let (mut report, run) =
            evaluate(&engine, dataset, &switches, options, indexed.clone(), &progress).await?;
        bar.finish_and_clear();
        report.latency_ms = live_latency(bench, &engine, dataset, &switches, timed).await?;
        evaluated.push((report, run));
    }
    Ok(evaluated)
}

/// `run.trec` → `run.dense.trec` where several modes are written.
fn run_path(path: &Path, mode: Mode, several: bool) -> PathBuf {
    if !several {
        return path.to_owned();
    }
    let extension = path.extension().map_or_else(|| "trec".to_owned(), |e| e.to_string_lossy().into_owned());
    path.with_extension(format!("{mode}.{extension}"))
}

fn print(printer: Printer, evaluated: &[Evaluated], dataset: &Dataset) -> anyhow::Result<()> {
    let Some((first, _)) = evaluated.first() else { return Ok(()) };
    for (report, _) in evaluated {
        for (query, reasons) in &report.degraded {
            note(format_args!("warning: query {query} was degraded: {}", reasons.join("; ")));
        }
    }
    printer.line(format_args!(
        "{}: {} judged queries, {} documents {:?}, depth {}",
        first.dataset, first.scores.queries, first.indexed.documents, first.indexed.outcomes, first.depth
    ))?;
    let chunking = if first.switches.whole_documents { "one chunk per document" } else { "default chunking" };
    printer.line(format_args!("{}, {chunking}", first.fingerprint))?;
    if !first.accepted.0.is_empty() {
        printer.line(format_args!("accepted: {}", first.accepted))?;
    }
    let names: Vec<String> = evaluated.iter().map(|(report, _)| report.mode.to_string()).collect();
    let columns: Vec<_> =
        names.iter().map(String::as_str).zip(evaluated.iter().map(|(report, _)| &report.scores)).collect();
    printer.line(show::means(&columns))?;
    for (report, _) in evaluated {
        let latency = &report.latency_ms;
        if latency.queries > 0 {
            printer.line(format_args!(
                "{}: p50 {:.1} ms, p95 {:.1} ms over {} queries, one at a time",
                report.mode, latency.p50, latency.p95, latency.queries
            ))?;
        }
    }
    if let Some(detectable) = first.detectable.get("ndcg@10") {
        printer.line(format_args!(
            "{} queries can show a difference of {detectable:.3} in nDCG@10 (80 % power at 5 %, values correlated {ASSUMED_CORRELATION})",
            first.scores.queries
        ))?;
    }
    if evaluated.len() > 1 {
        printer.line(show::comparison(&between_modes(evaluated, dataset)?))?;
    }
    Ok(())
}

/// The last mode (hybrid of `all`) as the baseline, the others against it.
fn between_modes(
    evaluated: &[Evaluated],
    dataset: &Dataset,
) -> anyhow::Result<wellspring_eval::compare::Comparison> {
    let systems: Vec<System> = evaluated
        .iter()
        .rev()
        .map(|(report, _)| System { name: report.mode.to_string(), scores: report.scores.clone(), run: None })
        .collect();
    let measures: Vec<String> = ["ndcg@10", "recall@100"]
        .iter()
        .filter(|name| evaluated[0].0.scores.metrics.contains_key(**name))
        .map(|name| (*name).to_owned())
        .collect();
    let seed = evaluated[0].0.seed;
    Ok(compare(&systems, &measures, Some(&dataset.qrels), seed, Shown { queries: 0, ranks: 0 })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_goes_before_the_extension() {
        assert_eq!(run_path(Path::new("a/run.trec"), Mode::Dense, true), Path::new("a/run.dense.trec"));
        assert_eq!(run_path(Path::new("run"), Mode::Dense, true), Path::new("run.dense.trec"));
        assert_eq!(run_path(Path::new("run.trec"), Mode::Dense, false), Path::new("run.trec"));
    }
}
