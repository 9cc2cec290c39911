//! `wellspring eval synth`: a first test set out of one's own documents.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use wellspring_eval::dataset::{Dataset, Documents};
use wellspring_eval::engine::{Engine, Switches};
use wellspring_eval::synth::{Made, Source, model, synthesise};

use super::agreement;
use super::bench::Bench;
use super::input::{How, prepare, sampled};
use crate::cli::{Global, InCollection};
use crate::output::{Outcome, Printer, note};

/// Make a first test set from documents, by rules or with a chat model
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
    /// Let a chat model write the questions: a route (answer, expand, rerank, judge), a model's name, or the configured one;
    /// what it does not write is made by rules
    #[arg(long, value_name = "ROUTE|MODEL", num_args = 0..=1, default_missing_value = "default")]
    model_route: Option<String>,
    /// A judged dataset over the same documents: say how far the order of configurations under the made questions agrees
    /// with the order under its judgements
    #[arg(long, value_name = "DIR", requires = "documents")]
    against: Option<PathBuf>,
    /// Most queries of that dataset; of a larger one that many are drawn by the seed
    #[arg(long, value_name = "N", requires = "against")]
    sample: Option<usize>,
    #[command(flatten)]
    how: How,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

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
        let mut rows = match &self.model_route {
            Some(named) => self.written(&bench, named, &sources, printer).await?,
            None => Vec::new(),
        };
        rows.extend(synthesise(&sources, self.queries - rows.len(), self.how.seed));
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
            let (real, cut) = sampled(Dataset::open(real, None)?, self.sample, self.how.seed);
            if let Some(cut) = cut {
                note(cut);
            }
            let made = Dataset::over(&self.out, over)?;
            let options = self.how.options()?;
            let found = agreement::of_both(&bench, &real, &made, &options, printer).await?;
            printer.document(&found)?;
            agreement::print(printer, &found)?;
        } else {
            printer.document(&rows)?;
        }
        bench.close().await?;
        Ok(Outcome::Good)
    }
}

impl Synth {
    /// What a chat model writes; it says aloud what the model did not do.
    async fn written(
        &self,
        bench: &Bench,
        named: &str,
        sources: &[Source],
        printer: Printer,
    ) -> anyhow::Result<Vec<Made>> {
        let Some(chat) = bench.chat(named).await? else {
            note("no chat model is configured: every question is made by rules");
            return Ok(Vec::new());
        };
        let bar = printer.progress(Some(self.queries as u64), "questions");
        let written =
            model::write(chat.as_ref(), sources, self.queries, self.how.seed, &|n| bar.set_position(n))
                .await?;
        bar.finish_and_clear();
        note(format_args!(
            "{} questions by {} in {} calls ({} tokens read, {} written; prompt {})",
            written.rows.len(),
            chat.name(),
            written.calls,
            written.tokens.0,
            written.tokens.1,
            written.prompt
        ));
        for (why, times) in &written.dropped {
            note(format_args!("dropped {times}: {why}"));
        }
        if let Some(failed) = &written.failed {
            note(format_args!("warning: the model failed and was asked no more: {failed}"));
        }
        if written.rows.len() < self.queries {
            note(format_args!("{} questions are made by rules instead", self.queries - written.rows.len()));
        }
        Ok(written.rows)
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
