//! How far made questions put configurations into the order in which judgements put them.

use wellspring_eval::agreement::{Agreement, Both, agreement, configurations};
use wellspring_eval::dataset::Dataset;
use wellspring_eval::measure::ir_name;
use wellspring_eval::retrieval::{RetrievalOptions, evaluate};

use super::bench::Bench;
use super::input::{measures, prepare};
use crate::output::{Printer, table};

/// Measures whose orders are compared.
const COMPARED: &[&str] = &["ndcg@10", "mrr@10", "recall@100"];

/// Turned pairs that are printed.
const SHOWN: usize = 5;

/// Evaluates every configuration under both test sets.
pub(super) async fn of_both(
    bench: &Bench,
    judged: &Dataset,
    made: &Dataset,
    options: &RetrievalOptions,
    printer: Printer,
) -> anyhow::Result<Vec<Agreement>> {
    let names: Vec<String> = COMPARED.iter().map(|name| (*name).to_owned()).collect();
    let options = RetrievalOptions { measures: measures(&names)?, ..options.clone() };
    let variants = configurations()?;
    let bar = printer.progress(Some(variants.len() as u64), "configurations");
    let mut systems = Vec::with_capacity(variants.len());
    for variant in variants {
        bar.set_message(variant.name.clone());
        let mut scores = Vec::new();
        for dataset in [judged, made] {
            let (engine, indexed) = prepare(bench, dataset, &variant.switches, printer).await?;
            let (report, _) =
                evaluate(&engine, dataset, &variant.switches, &options, indexed, &|_| {}).await?;
            scores.push(report.scores);
        }
        if let (Some(made), Some(judged)) = (scores.pop(), scores.pop()) {
            systems.push(Both { name: variant.name, judged, made });
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(COMPARED.iter().filter_map(|measure| agreement(&systems, measure, options.seed)).collect())
}

pub(super) fn print(printer: Printer, found: &[Agreement]) -> anyhow::Result<()> {
    let Some(first) = found.first() else { return Ok(()) };
    let mut header = vec!["judged, made".to_owned()];
    header.extend(found.iter().map(|of| ir_name(&of.measure)));
    let mut rows = table(header);
    for (at, (name, ..)) in first.configurations.iter().enumerate() {
        let mut row = vec![name.clone()];
        row.extend(found.iter().map(|of| {
            let (_, judged, made) = &of.configurations[at];
            format!("{judged:.4}  {made:.4}")
        }));
        rows.add_row(row);
    }
    printer.line(rows)?;
    for of in found {
        let shown = |tau: Option<f64>| tau.map_or_else(|| "undefined".to_owned(), |tau| format!("{tau:.3}"));
        let interval = of.interval.map_or_else(String::new, |i| format!(" ({:.2} to {:.2})", i.low, i.high));
        printer.line(format_args!(
            "{}: Kendall's tau {}{interval} over {} configurations; {} over the {} pairs that differ significantly under judgements, {} of them in the same order",
            ir_name(&of.measure),
            shown(of.tau),
            of.configurations.len(),
            shown(of.tau_significant),
            of.significant,
            of.same,
        ))?;
        for (better, worse) in of.turned.iter().take(SHOWN) {
            printer.line(format_args!("  turned: {better} is better than {worse}"))?;
        }
        if of.turned.len() > SHOWN {
            printer
                .line(format_args!("  turned: {} more, all of them with --json", of.turned.len() - SHOWN))?;
        }
    }
    Ok(())
}
