//! `wellspring eval report`: several datasets in every mode, as an HTML page, JSON beside it, and Markdown.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use wellspring_eval::dataset::Dataset;
use wellspring_eval::engine::Switches;
use wellspring_eval::failure::analyse;
use wellspring_eval::report::{Evaluation, SetReport, VERSION, html, markdown};
use wellspring_eval::retrieval::{RetrievalOptions, evaluate};
use wellspring_retrieve::Mode;

use super::bench::Bench;
use super::input::{Configuration, How, live_latency, prepare, sampled};
use crate::cli::{Global, InCollection};
use crate::output::{Outcome, Printer, note};

/// Evaluate datasets in every mode and write a report: HTML, JSON beside it, Markdown
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Dataset folders or files; with --from, none
    #[arg(value_name = "DIR|FILE", required_unless_present = "from")]
    datasets: Vec<PathBuf>,
    /// The JSON of an earlier report: its pages are made again, nothing is measured
    #[arg(long, value_name = "FILE", conflicts_with = "datasets")]
    from: Option<PathBuf>,
    /// Write the page here, and the JSON beside it with the ending .json
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
    /// Write the figures here as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Most queries of a dataset; of a larger one that many are drawn by the seed, which the report says
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Ranks within which a relevant document counts as found in the failure analysis
    #[arg(long, default_value_t = 10)]
    found_within: usize,
    #[command(flatten)]
    configuration: Configuration,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    collection: InCollection,
}

impl Report {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<Outcome> {
        let evaluation = match &self.from {
            Some(path) => {
                let text = fs_err::read_to_string(path)?;
                let evaluation: Evaluation = serde_json::from_str(&text)
                    .with_context(|| format!("{} is not the JSON of a report", path.display()))?;
                if evaluation.version != VERSION {
                    bail!(
                        "{} is of version {}, this program reads {VERSION}",
                        path.display(),
                        evaluation.version
                    );
                }
                evaluation
            }
            None => self.measure(global).await?,
        };
        fs_err::write(&self.html, html(&evaluation)?)?;
        if self.from.is_none() {
            fs_err::write(self.html.with_extension("json"), serde_json::to_vec_pretty(&evaluation)?)?;
        }
        if let Some(path) = &self.markdown {
            let preface = format!("Made by `{}`; nothing here is written by hand.", evaluation.command);
            fs_err::write(path, markdown(&evaluation, &preface))?;
        }
        note(format_args!("report in {}", self.html.display()));
        Ok(Outcome::Good)
    }

    async fn measure(&self, global: &Global) -> anyhow::Result<Evaluation> {
        let printer = Printer { json: false };
        let options = self.how.options()?;
        let mut sets = Vec::new();
        for path in &self.datasets {
            let (dataset, cut) = sampled(Dataset::open(path, None)?, self.sample, options.seed);
            note(format_args!("{}: {} queries", dataset.name, dataset.queries.len()));
            let bench = self.how.bench(global, &dataset, &self.collection)?;
            let set = Box::pin(self.of_dataset(&bench, &dataset, &options, cut, printer)).await?;
            bench.close().await?;
            sets.push(set);
        }
        Ok(Evaluation {
            version: VERSION,
            tool: format!("wellspring {}", env!("CARGO_PKG_VERSION")),
            command: command(std::env::args_os().map(|word| word.to_string_lossy().into_owned())),
            made_at: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
            machine: machine(),
            seed: options.seed,
            sets,
        })
    }

    async fn of_dataset(
        &self,
        bench: &Bench,
        dataset: &Dataset,
        options: &RetrievalOptions,
        cut: Option<String>,
        printer: Printer,
    ) -> anyhow::Result<SetReport> {
        let base = self.configuration.switches()?;
        let config = bench.configuration(&base)?;
        let (engine, indexed) = prepare(bench, dataset, &base, printer).await?;
        let (mut evaluated, mut failures) = (Vec::new(), None);
        for mode in [Mode::Keyword, Mode::Dense, Mode::Hybrid] {
            let switches = Switches { mode, ..base.clone() };
            let (mut report, run) =
                evaluate(&engine, dataset, &switches, options, indexed.clone(), &|_| {}).await?;
            let timed = self.how.latency_queries;
            report.latency_ms = live_latency(bench, &engine, dataset, &switches, timed).await?;
            if mode == Mode::Hybrid {
                let within = self.found_within;
                failures = Some({
                    let found = (&run, &report.asked);
                    analyse(&engine, dataset, &switches, &config.retrieve, found, within).await?
                });
            }
            evaluated.push((report, run));
        }
        Ok(SetReport::of(dataset, evaluated, failures, cut)?)
    }
}

/// The command line as it was given, absolute paths without their folders: a report is read on other machines.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let word = |word: String| {
        let path = Path::new(&word);
        let short = match path.file_name().filter(|_| path.is_absolute()) {
            Some(name) => name.to_string_lossy().into_owned(),
            None => word,
        };
        if short.contains(char::is_whitespace) { format!("'{short}'") } else { short }
    };
    std::iter::once("wellspring".to_owned()).chain(arguments.skip(1).map(word)).collect::<Vec<_>>().join(" ")
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = fs_err::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split(':').nth(1)?.trim().to_owned())
    });
    format!("{cores} cores of {}", model.unwrap_or_else(|| std::env::consts::ARCH.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_told_whole_and_without_folders_of_this_machine() {
        let words =
            ["/bin/wellspring", "eval", "report", "/data/scifact", "own/set", "--set", "a = 1", "-k", "50"];
        assert_eq!(
            command(words.into_iter().map(str::to_owned)),
            "wellspring eval report scifact own/set --set 'a = 1' -k 50"
        );
    }
}
