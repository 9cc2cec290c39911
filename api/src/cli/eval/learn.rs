//! `wellspring eval learn`: a ranker trained on one's own judged queries, if it is significantly better.

use std::path::PathBuf;

use clap::Args;
use wellspring_eval::engine::Switches;
use wellspring_eval::learn::{collect, learn};

use super::input::{How, TestSet, prepare};
use crate::cli::Global;
use crate::output::{Outcome, Printer};

/// Train a model that orders hits, and say by nested cross-validation what it is worth
#[derive(Debug, Args)]
pub(crate) struct Learn {
    #[command(flatten)]
    set: TestSet,
    /// Write the model here, to be given as `retrieve.ranker`; nothing is written unless it is significantly better
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    how: How,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Learn {
    /// `No` if the model is not significantly better than the order without it.
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let dataset = self.set.open()?;
        let bench = self.how.bench(global, &dataset, &self.set.collection)?;
        let switches = Switches::default();
        let (engine, _) = prepare(&bench, &dataset, &switches, printer).await?;
        let concurrency = self.how.options()?.concurrency;
        let hits = collect(&engine, &dataset, switches.mode, concurrency).await?;
        drop(engine);
        bench.close().await?;
        let learned = learn(&hits, &dataset.qrels, &dataset.name, self.how.seed)?;
        printer.document(&learned)?;
        printer.line(format_args!(
            "{}, {} queries: nDCG@10 {:.4} without, {:.4} with a model that had not seen the query",
            dataset.name, learned.queries, learned.before, learned.after
        ))?;
        printer.line(format_args!(
            "difference {:+.4}, 95 % interval {:+.4} to {:+.4}, p = {:.4}",
            learned.difference.mean,
            learned.difference.interval.low,
            learned.difference.interval.high,
            learned.difference.p
        ))?;
        for (feature, weight) in learned.model.features.iter().zip(&learned.model.weights) {
            printer.line(format_args!("  {feature:<20} {weight:+.3}"))?;
        }
        if !learned.is_better() {
            printer.line("nothing is recommended: the model is not better beyond chance")?;
            return Ok(Outcome::No);
        }
        if let Some(path) = &self.out {
            fs_err::write(path, format!("{}\n", serde_json::to_string_pretty(&learned.model)?))?;
        }
        Ok(Outcome::Good)
    }
}
