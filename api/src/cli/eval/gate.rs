//! `wellspring eval gate`: exit 1 when retrieval got worse.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;
use wellspring_eval::compare::{ALPHA, System};
use wellspring_eval::dataset::{Accepted, read_qrels};
use wellspring_eval::gate::{Conditions, Verdict, comparable, gate, junit, markdown};
use wellspring_eval::measure::Measure;
use wellspring_eval::metrics::Qrels;
use wellspring_eval::retrieval::RetrievalReport;

use super::input::{Configuration, How, TestSet, measures};
use super::{compare, retrieval, show};
use crate::cli::Global;
use crate::output::{Outcome, Printer, note};

/// Fail (exit 1) when retrieval is significantly worse than a baseline, or below a floor
#[derive(Debug, Args)]
pub(crate) struct Gate {
    /// What `eval retrieval --json` printed when retrieval was good, or a TREC run file (with --qrels)
    #[arg(long, value_name = "FILE", required_unless_present = "floor")]
    baseline: Option<PathBuf>,
    /// The same of what is to be judged [default: --dataset is evaluated now]
    #[arg(long, value_name = "FILE")]
    candidate: Option<PathBuf>,
    #[command(flatten)]
    set: TestSet,
    #[command(flatten)]
    configuration: Configuration,
    #[command(flatten)]
    how: How,
    /// Measures that must not be worse
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "ndcg@10,recall@100")]
    not_worse: Vec<String>,
    /// A mean that must be reached, e.g. ndcg@10=0.70; may be repeated
    #[arg(long, value_name = "MEASURE=VALUE")]
    floor: Vec<String>,
    /// Largest drop allowed even if it may be chance, 0 to 1
    #[arg(long, value_name = "DROP", value_parser = drop_allowed)]
    max_drop: Option<f64>,
    /// Chance of a false alarm over all measures together, between 0 and 1
    #[arg(long, default_value_t = ALPHA, value_parser = chance)]
    alpha: f64,
    /// Write the verdict as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the verdict as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn drop_allowed(text: &str) -> Result<f64, String> {
    let fits = |drop: &f64| (0.0..=1.0).contains(drop);
    text.parse().ok().filter(fits).ok_or_else(|| "a number from 0 to 1".to_owned())
}

/// 0 or what is no number would let everything pass.
fn chance(text: &str) -> Result<f64, String> {
    let fits = |chance: &f64| *chance > 0.0 && *chance < 1.0;
    text.parse().ok().filter(fits).ok_or_else(|| "a number between 0 and 1, both left out".to_owned())
}

/// What a file of figures holds of a report.
#[derive(Deserialize)]
#[serde(untagged)]
enum Figures {
    One(Box<RetrievalReport>),
    Several { reports: Vec<RetrievalReport> },
}

impl Gate {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let conditions = Conditions {
            measures: measures(&self.not_worse)?.iter().map(ToString::to_string).collect(),
            floors: self.floor.iter().map(|floor| floor.parse()).collect::<Result<_, _>>()?,
            max_drop: self.max_drop,
            alpha: self.alpha,
            seed: self.how.seed,
        };
        let mut wanted = measures(&self.not_worse)?;
        for floor in &conditions.floors {
            wanted.push(floor.measure.parse()?);
        }
        let qrels = match (&self.set.qrels, &self.set.topics) {
            (Some(path), None) => Some(read_qrels(path, &mut Accepted::default())?),
            _ => None,
        };
        let baseline = match &self.baseline {
            Some(path) => Some(self.read(path, qrels.as_ref(), &wanted)?),
            None => None,
        };
        let (candidate, qrels, report) = match &self.candidate {
            Some(path) => {
                let (candidate, report) = self.read(path, qrels.as_ref(), &wanted)?;
                (candidate, qrels, report)
            }
            None => self.evaluate(global, printer, &wanted).await?,
        };
        match (baseline.as_ref().map(|(_, report)| report), &report) {
            (Some(Some(before)), Some(now)) => comparable(before, now)?,
            (Some(Some(_)), None) | (Some(None), Some(_)) => bail!(
                "one side is a run file, the other is figures: nothing says that both were judged alike; give two run \
                 files with --qrels, or two files of `wellspring eval retrieval --json`"
            ),
            _ => {}
        }
        let baseline = baseline.map(|(baseline, _)| baseline);
        let verdict = gate(baseline.as_ref(), &candidate, &conditions, qrels.as_ref())?;
        self.write(&verdict, &candidate.name)?;
        printer.document(&verdict)?;
        print(printer, &verdict)?;
        Ok(if verdict.passed { Outcome::Good } else { Outcome::No })
    }

    /// Figures out of a file, and the report that they stand in.
    fn read(
        &self,
        path: &Path,
        qrels: Option<&Qrels>,
        wanted: &[Measure],
    ) -> anyhow::Result<(System, Option<Box<RetrievalReport>>)> {
        let text = fs_err::read_to_string(path)?;
        if !text.trim_start().starts_with('{') {
            let qrels = qrels.context("a run file needs judgements: name them with --qrels")?;
            return Ok((compare::system(path, qrels, wanted, &mut Accepted::default())?, None));
        }
        let figures: Figures = serde_json::from_str(&text).with_context(|| {
            format!("{} is not what `wellspring eval retrieval --json` prints", path.display())
        })?;
        let report = match figures {
            Figures::One(report) => report,
            Figures::Several { reports } => {
                let [mode] = self.configuration.mode.modes() else {
                    bail!("the gate judges one mode: hybrid, dense or keyword");
                };
                let found = reports.into_iter().find(|report| report.mode == *mode);
                Box::new(
                    found.with_context(|| format!("{} has no figures of the mode {mode}", path.display()))?,
                )
            }
        };
        let name = format!("{} {}", report.dataset, report.mode);
        Ok((System { name, scores: report.scores.clone(), run: None }, Some(report)))
    }

    async fn evaluate(
        &self,
        global: &Global,
        printer: Printer,
        wanted: &[Measure],
    ) -> anyhow::Result<(System, Option<Qrels>, Option<Box<RetrievalReport>>)> {
        let [mode] = self.configuration.mode.modes() else {
            bail!("the gate judges one mode: hybrid, dense or keyword");
        };
        let dataset = self.set.open()?;
        let mut options = self.how.options()?;
        options.measures.extend(wanted);
        let bench = self.how.bench(global, &dataset, &self.set.collection)?;
        let switches = self.configuration.switches()?;
        let evaluated =
            retrieval::modes_of(&bench, &dataset, &switches, &[*mode], &options, 0, printer).await?;
        bench.close().await?;
        let Some((report, run)) = evaluated.into_iter().next() else { bail!("nothing was evaluated") };
        if !report.degraded.is_empty() {
            note(format_args!("warning: {} queries were degraded", report.degraded.len()));
        }
        let name = format!("{} {}", report.dataset, report.mode);
        let system = System { name, scores: report.scores.clone(), run: Some(run) };
        Ok((system, Some(dataset.qrels), Some(Box::new(report))))
    }

    fn write(&self, verdict: &Verdict, name: &str) -> anyhow::Result<()> {
        if let Some(path) = &self.junit {
            fs_err::write(path, junit(verdict, name))?;
        }
        if let Some(path) = &self.markdown {
            fs_err::write(path, markdown(verdict, name))?;
        }
        Ok(())
    }
}

fn print(printer: Printer, verdict: &Verdict) -> anyhow::Result<()> {
    for check in &verdict.checks {
        printer.line(format_args!(
            "{}  {}: {}",
            if check.passed { "pass" } else { "FAIL" },
            check.name,
            check.detail
        ))?;
        for moved in &check.worst {
            printer.line(show::moved(moved))?;
        }
    }
    Ok(printer.line(if verdict.passed { "gate passed" } else { "gate failed" })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_would_let_everything_pass_are_refused() {
        assert_eq!((chance("0.05"), drop_allowed("0"), drop_allowed("1")), (Ok(0.05), Ok(0.0), Ok(1.0)));
        for wrong in ["nan", "0", "-1", "1", "x"] {
            assert!(chance(wrong).is_err(), "{wrong}");
        }
        for wrong in ["nan", "-0.1", "1.1", "inf"] {
            assert!(drop_allowed(wrong).is_err(), "{wrong}");
        }
    }
}
