//! `wellspring eval tune`: a configuration for one's own documents, if one is significantly better.

use std::path::PathBuf;

use clap::Args;
use wellspring_eval::ablate::Variant;
use wellspring_eval::compare::ALPHA;
use wellspring_eval::measure::ir_name;
use wellspring_eval::retrieval::evaluate;
use wellspring_eval::tune::{Param, candidates, check, fragment, grid, tune};

use super::input::{How, TestSet, measures, prepare};
use crate::cli::Global;
use crate::output::{Outcome, Printer};

/// Choose fusion, weights and depths by nested cross-validation
#[derive(Debug, Args)]
pub(crate) struct Tune {
    #[command(flatten)]
    set: TestSet,
    /// The measure to raise
    #[arg(long, default_value = "ndcg@10")]
    measure: String,
    /// Values of a numeric setting to try in place of the usual candidates, e.g. retrieve.keyword.k1=0.6,0.9,1.2; with
    /// several of them, every combination
    #[arg(long, value_name = "KEY=N,N,…")]
    param: Vec<Param>,
    /// Write the recommendation here, to be given as --config; nothing is written where nothing is recommended
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    how: How,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Tune {
    /// `No` if nothing is recommended.
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let dataset = self.set.open()?;
        let wanted = measures(std::slice::from_ref(&self.measure))?;
        let measure = wanted[0].to_string();
        let options =
            wellspring_eval::retrieval::RetrievalOptions { measures: wanted, ..self.how.options()? };
        check(dataset.queries.len())?;
        let variants = if self.param.is_empty() { candidates()? } else { grid(&self.param)? };
        let bench = self.how.bench(global, &dataset, &self.set.collection)?;
        let bar = printer.progress(Some(variants.len() as u64), "candidates");
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for Variant { name, switches } in &variants {
            bar.set_message(name.clone());
            let (engine, indexed) = prepare(&bench, &dataset, switches, printer).await?;
            let (report, _) = evaluate(&engine, &dataset, switches, &options, indexed, &|_| {}).await?;
            names.push(name.clone());
            values.push(report.scores.values(&measure).unwrap_or_default());
            bar.inc(1);
        }
        bar.finish_and_clear();
        bench.close().await?;
        let tuning = tune(&names, &values, &measure, ALPHA, self.how.seed)?;
        printer.document(&tuning)?;
        printer.line(format_args!(
            "{}, {} queries, {} candidates: best {} ({} {:.4}, default {:.4}, over the queries that chose it)",
            dataset.name,
            tuning.queries,
            tuning.candidates,
            tuning.best,
            ir_name(&measure),
            tuning.best_mean,
            tuning.default_mean
        ))?;
        let often: Vec<String> =
            tuning.chosen.iter().map(|(name, times)| format!("{name} {times}×")).collect();
        printer.line(format_args!("chosen by the folds: {}", often.join(", ")))?;
        printer.line(format_args!(
            "held out: {:+.4}, 95 % interval {:+.4} to {:+.4}, p = {:.4}",
            tuning.held_out.mean,
            tuning.held_out.interval.low,
            tuning.held_out.interval.high,
            tuning.held_out.p
        ))?;
        if !tuning.recommended {
            printer.line(format_args!("nothing is recommended: {}", tuning.reason))?;
            return Ok(Outcome::No);
        }
        printer.line(format_args!("recommended: {}", tuning.reason))?;
        if let Some(variant) = variants.iter().find(|variant| variant.name == tuning.best) {
            let text = fragment(&tuning, variant, &dataset.name)?;
            match &self.out {
                Some(path) => fs_err::write(path, text)?,
                None => printer.line(text)?,
            }
        }
        Ok(Outcome::Good)
    }
}
