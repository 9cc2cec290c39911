//! `wellspring query`: searches that were kept, and what other settings would make of them.

use std::collections::BTreeMap;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;
use wellspring_retrieve::Replayed;
use wellspring_store::Access;

use super::search::excerpt;
use super::{Global, InCollection, variables};
use crate::app::{App, Role};
use crate::config;
use crate::output::{Outcome, Printer, note, table};

/// Searches that were kept (`retrieve.record.enabled`)
#[derive(Debug, Subcommand)]
pub(crate) enum Query {
    /// List them, newest first
    List(List),
    /// Ask them again under the configuration in force (`--config`, `--set`) and say what changes
    Replay(Replay),
}

/// Which of them.
#[derive(Debug, Args)]
pub(crate) struct Which {
    #[command(flatten)]
    collection: InCollection,
    /// The newest so many (1-1000)
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `query list`
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    which: Which,
}

/// `query replay`
#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    which: Which,
    /// A setting for this run, e.g. 'retrieve.links.enabled = false'; may be given several times
    #[arg(long, value_name = "TOML")]
    set: Vec<String>,
}

impl Query {
    /// Opens the data folder under the settings asked for.
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<Outcome> {
        match self {
            Self::List(list) => list.run(open(global, &[]).await?).await,
            Self::Replay(replay) => {
                let app = open(global, &replay.set).await?;
                replay.run(app).await
            }
        }
    }
}

async fn open(global: &Global, set: &[String]) -> anyhow::Result<App> {
    let mut settings = config::table(global.config.as_deref(), variables())?;
    for text in set {
        let over = text.parse().with_context(|| format!("`--set {text}` is not TOML"))?;
        config::overlay(&mut settings, &over);
    }
    App::open(global, config::checked(settings)?, Role::Command).await
}

impl List {
    async fn run(self, app: App) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.which.json };
        let scope = self.which.collection.open(&app).await?;
        let kept = app.store.catalog.recorded_queries(&scope, self.which.limit).await?;
        let rows: Vec<_> = kept
            .iter()
            .map(|kept| {
                let principals = match &kept.access {
                    Access::Everything => None,
                    Access::Principals(own) => Some(own),
                };
                json!({
                    "key": kept.key,
                    "at": kept.at,
                    "request": kept.query.request,
                    "principals": principals,
                    "settings": kept.query.settings,
                    "chunks": kept.query.chunks,
                })
            })
            .collect();
        printer.document(&json!({ "queries": rows }))?;
        let mut lines = table(["key", "at", "query", "hits", "settings"]);
        for kept in &kept {
            let query = kept.query.request["query"].as_str().unwrap_or_default();
            lines.add_row([
                kept.key.to_string(),
                kept.at.clone(),
                excerpt(query, 60),
                kept.query.chunks.len().to_string(),
                kept.query.settings.clone(),
            ]);
        }
        printer.line(lines)?;
        none_kept(kept.is_empty())
    }
}

impl Replay {
    async fn run(self, app: App) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.which.json };
        let scope = self.which.collection.open(&app).await?;
        let kept = app.store.catalog.recorded_queries(&scope, self.which.limit).await?;
        let mut replayed = Vec::with_capacity(kept.len());
        for kept in &kept {
            replayed.push(app.retriever.replay(&scope, kept).await?);
        }
        let sum = Sum::of(&replayed);
        printer.document(&json!({ "queries": replayed, "sum": sum.fields() }))?;
        let mut lines = table(["key", "query", "overlap@10", "moved", "new", "lost", "gone"]);
        for replayed in replayed.iter().filter(|replayed| replayed.is_changed()) {
            lines.add_row([
                replayed.key.to_string(),
                excerpt(&replayed.query, 50),
                format!("{:.2}", replayed.overlap_at_10),
                replayed.moved.len().to_string(),
                replayed.new.len().to_string(),
                replayed.lost.len().to_string(),
                replayed.gone.to_string(),
            ]);
        }
        if sum.changed > 0 {
            printer.line(lines)?;
        }
        printer.line(format_args!(
            "{} of {} queries change; mean overlap@10 {:.3}; {} hits moved, {} new, {} lost, {} gone with their documents",
            sum.changed, sum.queries, sum.overlap, sum.moved, sum.new, sum.lost, sum.gone
        ))?;
        none_kept(kept.is_empty())
    }
}

fn none_kept(none: bool) -> anyhow::Result<Outcome> {
    if none {
        note("no searches were kept; `retrieve.record.enabled = true` keeps them");
        return Ok(Outcome::No);
    }
    Ok(Outcome::Good)
}

/// All of them together.
#[derive(Debug, Default, PartialEq)]
struct Sum {
    queries: usize,
    changed: usize,
    /// Mean; 1 for none.
    overlap: f64,
    moved: usize,
    new: usize,
    lost: usize,
    gone: usize,
}

impl Sum {
    fn of(replayed: &[Replayed]) -> Self {
        let count = |of: fn(&Replayed) -> usize| replayed.iter().map(of).sum();
        let overlaps: f64 = replayed.iter().map(|replayed| replayed.overlap_at_10).sum();
        Self {
            queries: replayed.len(),
            changed: count(|replayed| usize::from(replayed.is_changed())),
            overlap: if replayed.is_empty() { 1.0 } else { overlaps / replayed.len() as f64 },
            moved: count(|replayed| replayed.moved.len()),
            new: count(|replayed| replayed.new.len()),
            lost: count(|replayed| replayed.lost.len()),
            gone: count(|replayed| replayed.gone),
        }
    }

    fn fields(&self) -> BTreeMap<&'static str, serde_json::Value> {
        BTreeMap::from([
            ("queries", json!(self.queries)),
            ("changed", json!(self.changed)),
            ("overlap_at_10", json!(self.overlap)),
            ("moved", json!(self.moved)),
            ("new", json!(self.new)),
            ("lost", json!(self.lost)),
            ("gone", json!(self.gone)),
        ])
    }
}
