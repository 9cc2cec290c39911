//! `wellspring collection`: list, make, show, rebuild and delete collections.

use std::sync::Arc;

use anyhow::bail;
use clap::{Subcommand, ValueEnum};
use serde_json::json;
use wellspring_retrieve::Tuning;
use wellspring_store::catalog::IndexKind;
use wellspring_store::{CollectionName, CollectionScope, sync};

use super::local_scope;
use crate::app::App;
use crate::output::{Outcome, Printer, note, table};

/// `collection …`
#[derive(Debug, Subcommand)]
pub(crate) enum Collection {
    /// List collections
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a collection with an embedding model of its own
    Create {
        /// 1-64 characters of a-z, 0-9, _ and -
        name: String,
        /// The embedder [default: the configured one]
        #[arg(long)]
        model: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a collection, its model and its indexes
    Show {
        /// The collection
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Learn from the documents how far the collection's vectors can be trusted, as happens by itself when it doubles
    Tune {
        /// The collection
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Build an index anew from the catalog, without embedding anything
    Rebuild {
        /// The collection
        name: String,
        /// Which index
        #[arg(long, value_enum, default_value_t = IndexFlag::All)]
        index: IndexFlag,
    },
    /// Delete a collection with all its documents
    Delete {
        /// The collection
        name: String,
        /// Really
        #[arg(long)]
        yes: bool,
    },
}

/// Which index, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IndexFlag {
    /// Vectors
    Vector,
    /// Words
    Keyword,
    /// Both
    All,
}

impl Collection {
    /// Carries it out.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        match self {
            Self::List { json } => list(&app, Printer { json }).await,
            Self::Create { name, model, json } => {
                let collection =
                    app.create_collection(&local_scope(), &CollectionName::new(name)?, model).await?;
                Printer { json }.document(&collection)?;
                Printer { json }.line(format_args!(
                    "made collection {} with {} ({} dimensions)",
                    collection.name, collection.model, collection.dimension
                ))?;
                Ok(Outcome::Good)
            }
            Self::Show { name, json } => show(&app, &name, Printer { json }).await,
            Self::Tune { name, json } => tune(&app, &name, Printer { json }).await,
            Self::Rebuild { name, index } => rebuild(&app, &name, index).await,
            Self::Delete { name, yes } => {
                let scope = open(&app, &name).await?;
                if !yes {
                    bail!("deleting `{name}` removes all its documents; say --yes to do it");
                }
                app.delete_collection(&scope).await?;
                note(format_args!("deleted collection {name}"));
                Ok(Outcome::Good)
            }
        }
    }
}

async fn open(app: &App, name: &str) -> anyhow::Result<CollectionScope> {
    super::InCollection { collection: name.to_owned() }.open(app).await
}

async fn list(app: &App, printer: Printer) -> anyhow::Result<Outcome> {
    let collections = app.store.catalog.collections(&local_scope()).await?;
    printer.document(&json!({ "collections": collections }))?;
    let mut table = table(["collection", "documents", "chunks", "model", "made"]);
    for c in &collections {
        table.add_row([
            c.name.to_string(),
            c.documents.to_string(),
            c.chunks.to_string(),
            c.model.clone(),
            c.created_at.clone(),
        ]);
    }
    printer.line(table)?;
    Ok(if collections.is_empty() { Outcome::No } else { Outcome::Good })
}

async fn show(app: &App, name: &str, printer: Printer) -> anyhow::Result<Outcome> {
    let scope = open(app, name).await?;
    let (_, collection) = app.store.catalog.collection(scope.scope(), scope.name()).await?;
    let stats = app.store.indexes.stats(&scope).await?;
    let tuning = app.retriever.tuning(&scope).await?;
    printer.document(&json!({ "collection": collection, "indexes": stats, "tuning": tuning }))?;
    printer.line(format_args!(
        "{}: {} documents, {} chunks, made {}",
        collection.name, collection.documents, collection.chunks, collection.created_at
    ))?;
    printer.line(format_args!("model: {} ({} dimensions)", collection.model, collection.dimension))?;
    printer.line(format_args!("fingerprint: {}", collection.fingerprint))?;
    printer.line(format_args!(
        "vector index: {} ({}), {} entries, {} bytes: {}",
        stats.vector.engine,
        stats.vector.quantization,
        stats.vector.entries,
        stats.vector.bytes,
        stats.vector.reason
    ))?;
    printer.line(format_args!("keyword index: {} entries", stats.keyword_entries))?;
    match tuning {
        Some(tuning) => learned(&tuning, &printer)?,
        None => printer.line("nothing was learned about it yet")?,
    }
    Ok(Outcome::Good)
}

async fn tune(app: &App, name: &str, printer: Printer) -> anyhow::Result<Outcome> {
    let scope = open(app, name).await?;
    let tuning = app.retriever.learn(&scope).await?;
    app.close().await?;
    printer.document(&*tuning)?;
    learned(&tuning, &printer)?;
    Ok(Outcome::Good)
}

/// What was learned, a line per language.
fn learned(tuning: &Tuning, printer: &Printer) -> anyhow::Result<()> {
    if tuning.languages.is_empty() {
        printer.line("too few chunks to learn from")?;
    }
    for of in &tuning.languages {
        printer.line(format_args!(
            "{}: vectors agree with words on {:.0} % of {} chunks looked at; their weight is multiplied with {:.2}",
            of.language.as_deref().unwrap_or("unknown language"),
            of.agreement * 100.0,
            of.sampled,
            of.trust
        ))?;
    }
    Ok(())
}

async fn rebuild(app: &App, name: &str, index: IndexFlag) -> anyhow::Result<Outcome> {
    let scope = open(app, name).await?;
    let kinds: &[IndexKind] = match index {
        IndexFlag::Vector => &[IndexKind::Vector],
        IndexFlag::Keyword => &[IndexKind::Keyword],
        IndexFlag::All => &[IndexKind::Vector, IndexKind::Keyword],
    };
    for kind in kinds {
        let bar = Printer { json: false }.progress(Some(0), "chunks");
        let shown = bar.clone();
        let progress: sync::Progress = Arc::new(move |done, total| {
            shown.set_length(total);
            shown.set_position(done);
        });
        app.store.indexes.rebuild(&scope, *kind, Some(progress)).await?;
        bar.finish_and_clear();
        note(format_args!("rebuilt the {} index from the catalog", format!("{kind:?}").to_lowercase()));
    }
    Ok(Outcome::Good)
}
