//! `wellspring eval ablate`: what each switch is worth and what it costs.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use wellspring_eval::ablate::{Ablation, Row, Variant, ablation, matrix, variant};
use wellspring_eval::compare::{ALPHA, System};
use wellspring_eval::dataset::Dataset;
use wellspring_eval::measure::ir_name;
use wellspring_eval::overall::{Overall, overall};
use wellspring_eval::retrieval::{RetrievalOptions, evaluate};
use wellspring_eval::stats::shown_p;

use super::bench::Bench;
use super::input::{How, TestSet, live_latency, prepare};
use crate::cli::Global;
use crate::output::{Outcome, Printer, table};

/// Evaluate a matrix of switches: quality and cost of each against the default
#[derive(Debug, Args)]
pub(crate) struct Ablate {
    #[command(flatten)]
    set: TestSet,
    /// Further dataset folders
    #[arg(long, value_name = "DIR")]
    also: Vec<PathBuf>,
    /// Only switches whose name contains one of these
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    only: Vec<String>,
    /// A switch of your own: NAME=TOML, e.g. 'deep=retrieve.depth = 2000'; may be repeated
    #[arg(long, value_name = "NAME=TOML")]
    variant: Vec<String>,
    #[command(flatten)]
    how: How,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is compared; the table shows both.
const COMPARED: &[&str] = &["ndcg@10", "recall@100"];

impl Ablate {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let options = self.how.options()?;
        let mut variants = matrix(&self.only)?;
        for own in &self.variant {
            let (name, toml) = own.split_once('=').context("a switch of your own is NAME=TOML")?;
            variants.push(variant(name.trim(), toml.trim())?);
        }
        let mut datasets = vec![self.set.open()?];
        for folder in &self.also {
            datasets.push(Dataset::open(folder, self.set.split.as_deref())?);
        }
        let (mut ablations, mut sets) = (Vec::new(), Vec::new());
        for dataset in &datasets {
            let bench = self.how.bench(global, dataset, &self.set.collection)?;
            let (ablation, systems) =
                Box::pin(of_dataset(&bench, dataset, &variants, &options, self.how.latency_queries, printer))
                    .await?;
            bench.close().await?;
            print(printer, &ablation)?;
            ablations.push(ablation);
            sets.push(systems);
        }
        let compared: Vec<String> = COMPARED.iter().map(|name| (*name).to_owned()).collect();
        let together = if sets.len() > 1 { overall(&sets, &compared, options.seed)? } else { Vec::new() };
        print_overall(printer, &together, sets.len())?;
        printer.document(&json!({ "datasets": ablations, "overall": together }))?;
        Ok(Outcome::Good)
    }
}

/// Evaluates every variant on one dataset.
pub(super) async fn of_dataset(
    bench: &Bench,
    dataset: &Dataset,
    variants: &[Variant],
    options: &RetrievalOptions,
    latency_queries: usize,
    printer: Printer,
) -> anyhow::Result<(Ablation, Vec<System>)> {
    let (mut rows, mut systems) = (Vec::new(), Vec::new());
    let bar = printer.progress(Some(variants.len() as u64), "variants");
    for Variant { name, switches } in variants {
        bar.set_message(name.clone());
        let (engine, indexed) = prepare(bench, dataset, switches, printer).await?;
        let (report, _) = evaluate(&engine, dataset, switches, options, indexed.clone(), &|_| {}).await?;
        let live = live_latency(bench, &engine, dataset, switches, latency_queries).await?;
        let (_, kept) =
            engine.catalog.collection(engine.collection.scope(), engine.collection.name()).await?;
        rows.push(Row {
            name: name.clone(),
            switches: switches.clone(),
            metrics: report.scores.metrics.clone(),
            latency_ms: live,
            cost: report.cost,
            chunks: kept.chunks,
            indexing_seconds: indexed.seconds,
        });
        systems.push(System { name: name.clone(), scores: report.scores, run: None });
        bar.inc(1);
    }
    bar.finish_and_clear();
    let measured =
        |name: &&&str| systems.first().is_some_and(|system| system.scores.metrics.contains_key(**name));
    let mut measures: Vec<String> = COMPARED.iter().filter(measured).map(|name| (*name).to_owned()).collect();
    if !dataset.spans.is_empty() {
        measures.push(wellspring_eval::spans::name(5));
    }
    let ablation = ablation(dataset, rows, &systems, &measures, options.seed)?;
    Ok((ablation, systems))
}

/// Every dataset counting the same.
fn print_overall(printer: Printer, overall: &[Overall], sets: usize) -> anyhow::Result<()> {
    if overall.is_empty() {
        return Ok(());
    }
    let mut rows =
        table(["all together", "measure", "default", "variant", "difference", "p (Holm)", "worst set"]);
    for variant in overall {
        for (measure, together) in &variant.measures {
            rows.add_row([
                variant.name.clone(),
                ir_name(measure),
                format!("{:.4}", together.baseline),
                format!("{:.4}", together.system),
                format!("{:+.4}{}", together.difference, if together.p_holm < ALPHA { " *" } else { "" }),
                shown_p(together.p_holm),
                format!("{:+.4}", together.worst),
            ]);
        }
    }
    printer.line(rows)?;
    Ok(printer.line(format_args!(
        "means over {sets} datasets, each counting the same; stratified paired randomisation, Holm's correction; \
         * significant at {ALPHA}"
    ))?)
}

fn print(printer: Printer, ablation: &Ablation) -> anyhow::Result<()> {
    let measures: Vec<String> = match &ablation.comparison {
        Some(comparison) => comparison.systems.iter().flat_map(|s| s.measures.keys().cloned()).collect(),
        None => COMPARED.iter().map(|name| (*name).to_owned()).collect(),
    };
    let measures: std::collections::BTreeSet<String> = measures.into_iter().collect();
    let mut header = vec![ablation.dataset.clone()];
    for measure in &measures {
        header.extend([ir_name(measure), "difference".to_owned(), "p (Holm)".to_owned()]);
    }
    header.extend(["p50 ms".to_owned(), "tokens/query".to_owned(), "chunks".to_owned()]);
    let mut table = table(header);
    for (at, row) in ablation.rows.iter().enumerate() {
        let compared = ablation
            .comparison
            .as_ref()
            .filter(|_| at > 0)
            .and_then(|comparison| comparison.systems.get(at - 1));
        let mut cells = vec![row.name.clone()];
        for measure in &measures {
            cells.push(format!("{:.4}", row.metrics.get(measure).copied().unwrap_or(0.0)));
            match compared.and_then(|system| system.measures.get(measure)) {
                Some(pair) => {
                    let d = &pair.difference;
                    let mark = if d.is_significant(ALPHA) { " *" } else { "" };
                    cells.extend([format!("{:+.4}", d.mean), format!("{}{mark}", shown_p(d.p_holm))]);
                }
                None => cells.extend([String::new(), String::new()]),
            }
        }
        cells.push(format!("{:.1}", row.latency_ms.p50));
        cells.push(format!("{:.1}", row.cost.tokens_per_query));
        cells.push(row.chunks.to_string());
        table.add_row(cells);
    }
    printer.line(table)?;
    let tests = ablation.comparison.as_ref().map_or(0, |comparison| comparison.family);
    Ok(printer.line(format_args!(
        "* significant at {ALPHA} after Holm's correction over {tests} tests; tokens embedded by a local model cost no money, and no stage calls a chat model"
    ))?)
}
