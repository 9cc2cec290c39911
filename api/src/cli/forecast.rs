//! `wellspring ingest --dry-run`: what taking files in would make and cost, before anything is stored or spent.

use std::path::PathBuf;

use futures::StreamExt;
use serde_json::json;
use wellspring_ingest::{Chunker, CollectionSettings, Forecast, ForecastSummary, Ingestor, Planned, Target};
use wellspring_models::chat::Usage;
use wellspring_models::{Embedder, Money};
use wellspring_store::{CollectionName, ErrorKind};

use super::local_scope;
use crate::app::App;
use crate::output::{Outcome, Printer, note};

/// Prints a line per file and the sum; `No` if a file could not be read.
pub(super) async fn run(
    app: App,
    name: &CollectionName,
    paths: Vec<PathBuf>,
    printer: Printer,
) -> anyhow::Result<Outcome> {
    let (target, model) = target(&app, name).await?;
    let bar = printer.progress(None, "files");
    let mut summary = ForecastSummary::default();
    let entries = Ingestor::find(paths).await?;
    let mut forecasts = std::pin::pin!(app.ingestor.forecast(target, entries));
    while let Some(forecast) = forecasts.next().await {
        bar.inc(1);
        summary.add(&forecast);
        printer.record(&json!({ "file": forecast, "cost": cost(&app, &model, forecast.tokens) }))?;
        if let Some(line) = line(&forecast) {
            bar.suspend(|| printer.line(line))?;
        }
    }
    bar.finish_and_clear();
    app.close().await?;
    let cost = cost(&app, &model, summary.tokens);
    let currency = cost.map(|_| app.config.budget.currency.clone());
    let remote = app.registry.is_remote_embedder(&model);
    printer.record(
        &json!({ "summary": summary, "model": model, "remote": remote, "cost": cost, "currency": currency }),
    )?;
    if !printer.json {
        note(sum(&summary, &model, remote, cost, &app.config.budget.currency));
    }
    Ok(if summary.failed > 0 { Outcome::No } else { Outcome::Good })
}

/// The collection as it is, or as it would be made, and its embedder's name.
async fn target(app: &App, name: &CollectionName) -> anyhow::Result<(Target, String)> {
    let (collection, model, settings) = match app.store.catalog.collection(&local_scope(), name).await {
        Ok((scope, collection)) => {
            let settings = CollectionSettings::read(&collection.settings)?.chunk;
            (Some(scope), collection.model, settings)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let model = app.registry.embedder("default").await?.info().name.clone();
            (None, model, app.config.chunk.clone())
        }
        Err(error) => return Err(error.into()),
    };
    let embedder: std::sync::Arc<dyn Embedder> = app.registry.embedder(&model).await?;
    let info = embedder.info();
    let chunker = Chunker::new(settings, embedder.counter(), info.max_tokens)?;
    Ok((Target { collection, chunker, dimension: info.dimension }, model))
}

/// What embedding so many tokens costs; `None` without a price.
fn cost(app: &App, model: &str, tokens: u64) -> Option<Money> {
    let (price, _) = app.registry.price(model)?;
    Some(price.cost(&Usage { input_tokens: tokens, ..Usage::default() }))
}

/// What a person is told about a file; nothing about one that would not change.
fn line(forecast: &Forecast) -> Option<String> {
    let because = || {
        let reason = forecast.reason.as_deref().unwrap_or("no reason given");
        forecast.message.as_ref().map_or_else(|| reason.to_owned(), |message| format!("{reason}: {message}"))
    };
    let (mark, rest) = match forecast.planned {
        Planned::Unchanged => return None,
        Planned::Index => {
            let Forecast { chunks, embedded, tokens, .. } = forecast;
            ("\u{1b}[32m+\u{1b}[0m", format!("{chunks} chunks, {embedded} to embed, {tokens} tokens"))
        }
        Planned::Skip => ("\u{1b}[33m–\u{1b}[0m", format!("would be skipped, {}", because())),
        Planned::Fail => ("\u{1b}[31m✗\u{1b}[0m", format!("would fail, {}", because())),
    };
    Some(format!("{mark} {}  \u{1b}[2m{rest}\u{1b}[0m", forecast.path))
}

/// The last line.
fn sum(summary: &ForecastSummary, model: &str, remote: bool, cost: Option<Money>, currency: &str) -> String {
    let ForecastSummary { files, index, chunks, embedded, tokens, .. } = summary;
    let costs = match (cost, remote) {
        (Some(cost), _) => format!("at most about {cost} {currency}"),
        (None, true) => format!("at a cost that is not known: `budget.prices` has none for {model}"),
        (None, false) => "on this machine, at no cost".to_owned(),
    };
    format!(
        "{files} files, {index} to index: {chunks} chunks, {embedded} to embed with {model}, {tokens} tokens, {costs}"
    )
}
