//! `wellspring eval synth`: a first test set out of one's own documents.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use wellspring_eval::ablate::matrix;
use wellspring_eval::dataset::{Dataset, Documents};
use wellspring_eval::engine::{Engine, Switches};
use wellspring_eval::measure::ir_name;
use wellspring_eval::retrieval::{RetrievalOptions, evaluate};
use wellspring_eval::stats::kendall_tau;
use wellspring_eval::synth::{Source, synthesise};

use super::bench::Bench;
use super::input::{How, prepare};
use crate::cli::{Global, InCollection};
use crate::output::{Outcome, Printer, note, table};

/// Make a first test set from documents by rules, without a model
#[derive(Debug, Args)]
pub(crate) struct Synth {
    /// A folder of documents, or a corpus.jsonl [default: those in the collection]
    #[arg(long, value_name = "DIR|FILE")]
    documents: Option<PathBuf>,
    #[command(flatten)]
    collection: InCollection,
    /// Queries wanted
    #[arg(long, default_value_t = 200)]
    queries: usize,
    /// Write the questions here as JSONL, which --dataset reads
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A judged dataset over the same documents: say how far the order of configurations under the made questions agrees
    /// with the order under its judgements
    #[arg(long, value_name = "DIR", requires = "documents")]
    against: Option<PathBuf>,
    #[command(flatten)]
    how: How,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Agreement of two orders of the same configurations.
#[derive(Serialize)]
struct Agreement {
    measure: String,
    kendall_tau: Option<f64>,
    configurations: Vec<(String, f64, f64)>,
}

/// Measures whose orders are compared.
const COMPARED: &[&str] = &["ndcg@10", "mrr@10", "recall@100"];

impl Synth {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let documents = match &self.documents {
            Some(path) => Documents::at(path)?,
            None => Documents::Indexed,
        };
        let unasked = Dataset::unasked(documents.clone());
        let bench = self.how.bench(global, &unasked, &self.collection)?;
        let (engine, _) = prepare(&bench, &unasked, &Switches::default(), printer).await?;
        let sources = sources(&engine).await?;
        // The variants below open the data folder anew, which whoever still holds an engine would prevent.
        drop(engine);
        let rows = synthesise(&sources, self.queries, self.how.seed);
        if rows.is_empty() {
            bail!("no rule finds anything to ask about in {} documents", sources.len());
        }
        let mut file = std::io::BufWriter::new(fs_err::File::create(&self.out)?);
        for row in &rows {
            writeln!(file, "{}", serde_json::to_string(row)?)?;
        }
        file.into_inner().context("the questions can't be written")?.sync_all()?;
        let questions: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        note(format_args!(
            "{} questions over {} documents in {}; they are synthetic: use them to compare configurations",
            questions.len(),
            sources.len(),
            self.out.display()
        ));
        if let (Some(real), Some(over)) = (&self.against, &self.documents) {
            let real = Dataset::open(real, None)?;
            let made = Dataset::over(&self.out, over)?;
            let agreement = agreement(&bench, &real, &made, &self.how.options()?, printer).await?;
            printer.document(&agreement)?;
            print(printer, &agreement)?;
        } else {
            printer.document(&rows)?;
        }
        bench.close().await?;
        Ok(Outcome::Good)
    }
}

/// Every visible document's stored text.
async fn sources(engine: &Engine) -> anyhow::Result<Vec<Source>> {
    let (mut sources, mut cursor) = (Vec::new(), None);
    loop {
        let page = engine.catalog.documents(&engine.collection, None, cursor.as_deref(), 500).await?;
        for document in page.items {
            let (text, ..) = engine.catalog.text(&engine.collection, &document.id).await?;
            sources.push(Source {
                id: document.id.to_string(),
                title: document.title.unwrap_or_default(),
                text,
            });
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(sources);
        }
    }
}

/// Evaluates every variant under both test sets.
async fn agreement(
    bench: &Bench,
    real: &Dataset,
    made: &Dataset,
    options: &RetrievalOptions,
    printer: Printer,
) -> anyhow::Result<Vec<Agreement>> {
    let variants = matrix(&[])?;
    let mut means: Vec<(String, Vec<f64>, Vec<f64>)> = Vec::new();
    let bar = printer.progress(Some(variants.len() as u64), "variants");
    for variant in &variants {
        // It moves span recall only, and so would tie with the default.
        if variant.switches.neighbours > 0 {
            continue;
        }
        let mut of_both = Vec::new();
        for dataset in [real, made] {
            let (engine, indexed) = prepare(bench, dataset, &variant.switches, printer).await?;
            let (report, _) =
                evaluate(&engine, dataset, &variant.switches, options, indexed, &|_| {}).await?;
            of_both.push(
                COMPARED
                    .iter()
                    .map(|name| report.scores.metrics.get(*name).copied().unwrap_or(0.0))
                    .collect(),
            );
        }
        let (of_made, of_real) = (of_both.pop().unwrap_or_default(), of_both.pop().unwrap_or_default());
        means.push((variant.name.clone(), of_real, of_made));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let agreement = COMPARED.iter().enumerate().map(|(at, measure)| {
        let configurations: Vec<(String, f64, f64)> =
            means.iter().map(|(name, real, made)| (name.clone(), real[at], made[at])).collect();
        let (a, b): (Vec<f64>, Vec<f64>) =
            configurations.iter().map(|(_, real, made)| (*real, *made)).unzip();
        Agreement { measure: (*measure).to_owned(), kendall_tau: kendall_tau(&a, &b), configurations }
    });
    Ok(agreement.collect())
}

fn print(printer: Printer, agreement: &[Agreement]) -> anyhow::Result<()> {
    for of_measure in agreement {
        let mut table = table(vec![ir_name(&of_measure.measure), "judged".into(), "made".into()]);
        for (name, real, made) in &of_measure.configurations {
            table.add_row(vec![name.clone(), format!("{real:.4}"), format!("{made:.4}")]);
        }
        printer.line(table)?;
        let tau = of_measure.kendall_tau.map_or_else(|| "undefined".to_owned(), |tau| format!("{tau:.3}"));
        printer.line(format_args!(
            "Kendall's tau over {} configurations: {tau}\n",
            of_measure.configurations.len()
        ))?;
    }
    Ok(())
}
