//! `wellspring ingest`: files and folders into a collection, with a report line per file.

mod watch;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use futures::StreamExt;
use serde_json::json;
use wellspring_ingest::{FileReport, Outcome as FileOutcome, Summary};
use wellspring_store::CollectionName;

use super::{InCollection, local_scope};
use crate::app::App;
use crate::output::{Outcome, Printer, note};
use watch::Watch;

/// Looking more often would only keep the disk busy.
const LEAST_INTERVAL: f64 = 0.05;

/// Read files and folders into a collection; returns when they are searchable
#[derive(Debug, Args)]
pub(crate) struct Ingest {
    #[command(flatten)]
    collection: InCollection,
    /// Print one JSON record per file, then a summary
    #[arg(long)]
    json: bool,
    /// Say what would be read, cut and embedded and what that costs; nothing is stored and no model is called
    #[arg(long)]
    dry_run: bool,
    /// Go on following the folders: what changes is read again, what disappears is deleted
    #[arg(long)]
    watch: bool,
    /// Seconds between two looks, at least 0.05
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, requires = "watch")]
    interval: f64,
    /// Files and folders; a folder honours .gitignore
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl Ingest {
    /// Reads everything; `No` if a file failed.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let name = CollectionName::new(self.collection.collection)?;
        if self.dry_run {
            return super::forecast::run(app, &name, self.paths, printer).await;
        }
        let collection = app.ensure_collection(&local_scope(), &name).await?;
        let watch = match self.watch {
            true => Some(Watch::new(app.clone(), collection.clone(), self.paths.clone(), printer).await?),
            false => None,
        };
        let workers = app.ingestor.start(app.config.ingest.workers);
        let started = Instant::now();
        let bar = printer.progress(None, "files");
        let mut summary = Summary::default();
        let mut reports = std::pin::pin!(app.ingestor.ingest_paths(collection.clone(), self.paths).await?);
        while let Some(report) = reports.next().await {
            bar.inc(1);
            bar.set_message(report.path.clone());
            summary.add(&report);
            printer.record(&report)?;
            if let Some(line) = line(&report) {
                bar.suspend(|| printer.line(line))?;
            }
        }
        bar.finish_and_clear();
        // Not learning costs a little quality in some languages, never a document: it is no failure of the ingest.
        if let Err(error) = app.retriever.learn_if_stale(&collection).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "nothing was learned from the documents"
            );
        }
        if let Some(watch) = watch {
            printer.record(&json!({ "watching": true }))?;
            note(format_args!("watching; stop with an interrupt (Ctrl-C)"));
            let interval = Duration::try_from_secs_f64(self.interval.max(LEAST_INTERVAL))
                .context("`--interval` is no number of seconds")?;
            Box::pin(watch.run(interval, super::serve::stop_signal())).await?;
        }
        workers.shutdown(Duration::from_secs(10)).await;
        app.close().await?;
        printer.record(&json!({ "summary": summary, "seconds": started.elapsed().as_secs_f64() }))?;
        if let (Some(cost), Some(currency), false) = (summary.cost, &summary.currency, self.json) {
            note(format_args!("embedding cost {cost} {currency}"));
        }
        if !self.json {
            note(sum(&summary, name.as_str(), started.elapsed()));
        }
        Ok(if summary.count(FileOutcome::Failed) > 0 { Outcome::No } else { Outcome::Good })
    }
}

/// What a person is told about a file; nothing about one that did not change.
fn line(report: &FileReport) -> Option<String> {
    let (mark, rest) = match report.outcome {
        FileOutcome::Unchanged => return None,
        FileOutcome::Indexed => {
            let pages = if report.pages > 0 { format!(", {} pages", report.pages) } else { String::new() };
            let twin =
                report.duplicate_of.as_ref().map(|id| format!(", same bytes as {id}")).unwrap_or_default();
            ("\u{1b}[32m✓\u{1b}[0m", format!("{} chunks{pages}{twin}", report.chunks))
        }
        FileOutcome::Skipped => ("\u{1b}[33m–\u{1b}[0m", format!("skipped, {}", because(report))),
        FileOutcome::Failed => ("\u{1b}[31m✗\u{1b}[0m", format!("failed, {}", because(report))),
    };
    let mut text = format!("{mark} {}  \u{1b}[2m{rest}\u{1b}[0m", report.path);
    for warning in &report.warnings {
        text.push_str(&format!("\n    warning: {warning}"));
    }
    Some(text)
}

fn because(report: &FileReport) -> String {
    let reason = report.reason.as_deref().unwrap_or("no reason recorded");
    match &report.message {
        Some(message) => format!("{reason}: {message}"),
        None => reason.to_owned(),
    }
}

/// The last line.
fn sum(summary: &Summary, collection: &str, took: Duration) -> String {
    let outcomes = [
        (FileOutcome::Indexed, "indexed"),
        (FileOutcome::Unchanged, "unchanged"),
        (FileOutcome::Skipped, "skipped"),
        (FileOutcome::Failed, "failed"),
    ];
    let counts: Vec<String> = outcomes
        .iter()
        .map(|(outcome, word)| (summary.count(*outcome), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    format!(
        "{} files into `{collection}`: {} ({} chunks, {} tokens) in {:.1} s",
        summary.files,
        if counts.is_empty() { "nothing to do".to_owned() } else { counts.join(", ") },
        summary.chunks,
        summary.tokens,
        took.as_secs_f64()
    )
}
