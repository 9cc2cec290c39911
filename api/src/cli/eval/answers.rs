//! `wellspring eval answers`: are quoted answers right, and are questions refused that the documents do not answer?

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use wellspring_answer::RefusalConfig;
use wellspring_answer::confidence::{Logistic, Weights};
use wellspring_answer::config::WORDS;
use wellspring_eval::answers::{
    AnswersReport, AskOptions, Asked, Half, Question, VERSION, ask, figures, fit, never_refuses, questions,
    snippets,
};
use wellspring_eval::dataset::{Dataset, Documents};
use wellspring_eval::engine::{Engine, EngineFactory, Switches};
use wellspring_eval::report::answers_html;
use wellspring_eval::stats::{DEFAULT_SEED, Seeded};

use super::bench::Bench;
use super::input::{Configuration, prepare};
use crate::cli::Global;
use crate::output::{Outcome, Printer, note, table};

/// Ask a dataset's questions: do quoted answers hold the answer, are unanswerable questions refused?
#[derive(Debug, Args)]
pub(crate) struct Answers {
    /// A folder in BEIR layout whose queries say what is answerable (SQuAD 2.0), or one of RGB's snippets (en_fact.json)
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    #[command(flatten)]
    configuration: Configuration,
    /// At most so many questions, drawn by the seed
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Questions asked at the same time
    #[arg(long, default_value_t = 2)]
    concurrency: usize,
    /// Fit the weights of the confidence on half of the articles, write them here, and report with them on the other half
    #[arg(long, value_name = "FILE")]
    fit: Option<PathBuf>,
    /// Write a page with the risk-coverage plot
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Seed of sample and bootstrap
    #[arg(long, default_value_t = DEFAULT_SEED)]
    seed: u64,
    /// Where indexed datasets are kept for the next time [default: `eval` in the cache folder]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Print JSON, with every question
    #[arg(long)]
    json: bool,
}

impl Answers {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let [mode] = self.configuration.mode.modes() else {
            bail!("answers are measured in one mode at a time")
        };
        let switches = Switches { mode: *mode, ..self.configuration.switches()? };
        let bench = Bench::new(global, self.work.clone(), None, false)?;
        let outcome = if self.dataset.join(snippets::FILE).is_file() {
            self.snippets(&bench, &switches, printer).await
        } else {
            Box::pin(self.questions(&bench, &switches, printer)).await
        };
        bench.close().await?;
        outcome
    }

    async fn questions(
        &self,
        bench: &Bench,
        switches: &Switches,
        printer: Printer,
    ) -> anyhow::Result<Outcome> {
        let dataset = Dataset::open(&self.dataset, None)?;
        let mut asked_for = questions(&self.dataset)?;
        let all = asked_for.len();
        if let Some(most) = self.sample.filter(|most| *most < all) {
            Seeded::new(self.seed).shuffle(&mut asked_for);
            asked_for.truncate(most);
            note(format_args!("{most} of {all} questions, drawn with seed {}", self.seed));
        }
        let (engine, _) = prepare(bench, &dataset, switches, printer).await?;
        let config = bench.configuration(switches)?.answer;
        let weights = match &config.confidence_weights {
            Some(path) => Weights::read(path)?,
            None => Weights::shipped()?,
        };
        let limits = RefusalConfig {
            min_confidence: Some(config.refusal.min_confidence.unwrap_or(weights.with_model.threshold)),
            ..config.refusal
        };
        let run = Asking { bench, engine: &engine, switches, limits, concurrency: self.concurrency, printer };
        let mut asked = run.ask(&asked_for, None).await?;
        let (mut said, mut threshold) = (weights.fitted_on.clone(), limits.min_confidence.unwrap_or(0.0));
        if let Some(path) = &self.fit {
            let by_words = run.ask(&asked_for, Some(WORDS)).await?;
            let fitted_on = format!(
                "{}: {} questions of every other article (`wellspring eval answers --fit`)",
                dataset.name,
                asked.iter().filter(|asked| asked.half == Half::Fit).count()
            );
            let fitted = fit::weights(&asked, &by_words, &weights.model, &fitted_on)?;
            let least = config.refusal.min_confidence.unwrap_or(fitted.with_model.threshold);
            rescore(&mut asked, &fitted.with_model, RefusalConfig { min_confidence: Some(least), ..limits });
            fs_err::write(path, serde_json::to_string_pretty(&fitted)? + "\n")?;
            note(format_args!("weights in {}", path.display()));
            (said, threshold) = (fitted_on, least);
        }
        let extra = BTreeMap::from([("retrieval".to_owned(), by_retrieval(&asked)?)]);
        let of = |half| {
            figures(&asked, half, &extra, self.seed)
                .context("each half needs answerable and unanswerable questions: raise --sample")
        };
        let report = AnswersReport {
            version: VERSION,
            dataset: dataset.name.clone(),
            seed: self.seed,
            mode: switches.mode,
            weights: said,
            threshold,
            fit: of(Half::Fit)?,
            report: of(Half::Report)?,
            questions: asked,
            configuration: engine.configuration.clone(),
        };
        if let Some(path) = &self.html {
            fs_err::write(path, answers_html(&report))?;
            note(format_args!("report in {}", path.display()));
        }
        printer.document(&report)?;
        print(printer, &report)?;
        Ok(Outcome::Good)
    }

    async fn snippets(
        &self,
        bench: &Bench,
        switches: &Switches,
        printer: Printer,
    ) -> anyhow::Result<Outcome> {
        let mut questions = snippets::read(&self.dataset)?;
        if let Some(most) = self.sample {
            questions.truncate(most);
        }
        // The file decides which collection it is, so that another one never mixes in.
        let dataset = Dataset::unasked(Documents::Corpus(self.dataset.join(snippets::FILE)));
        let name = dataset.documents.name();
        let engine = bench.engine(&dataset, switches).await?;
        snippets::index(&engine, &questions).await?;
        let answerer =
            bench.answerer(&engine, switches, |config| config.support_deadline_ms = 600_000).await?;
        let report = snippets::evaluate(&answerer, &engine, &questions, &name, self.seed).await?;
        printer.document(&report)?;
        let mut shown =
            table(["asked over", "questions", "refused", "right answer quoted", "conflict shown"]);
        for (over, rates) in &report.over {
            let share = |share: &wellspring_eval::answers::Share| {
                format!("{:.3} ({:.3} to {:.3})", share.value, share.interval.low, share.interval.high)
            };
            let named = serde_json::to_value(over)?.as_str().unwrap_or_default().replace('_', " ");
            shown.add_row([
                named,
                rates.questions.to_string(),
                share(&rates.refused),
                share(&rates.right),
                share(&rates.conflict),
            ]);
        }
        printer.line(shown)?;
        Ok(Outcome::Good)
    }
}

/// Asks all questions in one way or another.
struct Asking<'a> {
    bench: &'a Bench,
    engine: &'a Engine,
    switches: &'a Switches,
    limits: RefusalConfig,
    concurrency: usize,
    printer: Printer,
}

impl Asking<'_> {
    /// Every question, refusing none; `model` reads in place of the configured one.
    async fn ask(&self, questions: &[Question], model: Option<&str>) -> anyhow::Result<Vec<Asked>> {
        let answerer = self
            .bench
            .answerer(self.engine, self.switches, |config| {
                config.refusal = never_refuses();
                // A busy machine must not decide what is read.
                config.support_deadline_ms = 600_000;
                if let Some(model) = model {
                    config.support_model = Some(model.to_owned());
                }
            })
            .await?;
        let bar = self.printer.progress(Some(questions.len() as u64), "questions");
        let options = AskOptions { mode: self.switches.mode, concurrency: self.concurrency };
        let progress = |done| bar.set_position(done);
        let collection = &self.engine.collection;
        let asked = ask(&answerer, collection, questions, self.limits, options, &progress).await?;
        bar.finish_and_clear();
        Ok(asked)
    }
}

/// Scores and refusals under other weights.
fn rescore(asked: &mut [Asked], weights: &Logistic, limits: RefusalConfig) {
    for question in asked {
        question.confidence = weights.score(&question.signals);
        let signals = &question.signals;
        question.refused = limits.is_off_topic(signals.retrieved_coverage, signals.retrieved_similarity)
            || limits.min_confidence.is_some_and(|least| question.confidence < least);
    }
}

/// What can be told from the retrieval alone: a model of the same kind over its signals, fitted on the same half.
fn by_retrieval(asked: &[Asked]) -> anyhow::Result<Vec<f64>> {
    let logistic = fit::logistic(asked, &fit::RETRIEVAL)?;
    Ok(asked.iter().map(|asked| logistic.score(&asked.signals)).collect())
}

fn print(printer: Printer, report: &AnswersReport) -> anyhow::Result<()> {
    let figures = &report.report;
    printer.line(format_args!(
        "{}, {} search: {} answerable and {} unanswerable questions of articles that weights were not fitted on",
        report.dataset, report.mode, figures.answerable, figures.unanswerable
    ))?;
    printer.line(format_args!("weights: {}; threshold {:.3}", report.weights, report.threshold))?;
    let mut shown = table(["figure", "value", "95 % interval", "on the fitted half"]);
    let interval = |low: f64, high: f64| format!("{low:.3} to {high:.3}");
    for (name, share) in &figures.shares {
        let other =
            report.fit.shares.get(name).map_or_else(String::new, |share| format!("{:.3}", share.value));
        shown.add_row([
            name.replace('_', " "),
            format!("{:.3}", share.value),
            interval(share.interval.low, share.interval.high),
            other,
        ]);
    }
    for (name, area) in &figures.auroc {
        let other = report.fit.auroc.get(name).map_or_else(String::new, |area| format!("{:.3}", area.value));
        shown.add_row([
            format!("area under the ROC, {name}"),
            format!("{:.3}", area.value),
            interval(area.interval.low, area.interval.high),
            other,
        ]);
    }
    for (name, curve) in &figures.risk_coverage {
        let other = report.fit.risk_coverage.get(name).map_or_else(String::new, |c| format!("{:.3}", c.area));
        shown.add_row([
            format!("area under risk-coverage, {name}"),
            format!("{:.3}", curve.area),
            String::new(),
            other,
        ]);
    }
    Ok(printer.line(shown)?)
}
