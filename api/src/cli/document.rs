//! `wellspring document`: list, show and delete documents, and change who may see them.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;
use wellspring_store::{DocumentId, Filter};

use super::{InCollection, audit};
use crate::app::App;
use crate::output::{Outcome, Printer, note};

/// `document …`
#[derive(Debug, Subcommand)]
pub(crate) enum Document {
    /// List documents
    List {
        #[command(flatten)]
        collection: InCollection,
        /// Only documents whose metadata passes
        #[arg(long, value_name = "EXPR")]
        filter: Option<String>,
        /// Print JSON, one document a line
        #[arg(long)]
        json: bool,
    },
    /// Show a document: what is known about it, its text, or its chunks
    Show(Show),
    /// Show or change who may see a document; in force at once
    Acl {
        #[command(flatten)]
        collection: InCollection,
        /// Its id
        id: String,
        /// These principals only, such as `user:ada` and `group:ops`
        #[arg(long, value_name = "PRINCIPAL", value_delimiter = ',', conflicts_with = "everybody")]
        set: Option<Vec<String>>,
        /// Everybody of the tenant
        #[arg(long)]
        everybody: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a document
    Delete {
        #[command(flatten)]
        collection: InCollection,
        /// Its id
        id: String,
        /// Really
        #[arg(long)]
        yes: bool,
    },
}

/// Show a document
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    collection: InCollection,
    /// Its id
    id: String,
    /// The stored text, as chunks and citations point into it
    #[arg(long, conflicts_with = "chunks")]
    text: bool,
    /// The chunks, with their spans
    #[arg(long)]
    chunks: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Document {
    /// Carries it out.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        match self {
            Self::List { collection, filter, json } => {
                let scope = collection.open(&app).await?;
                let filter = filter.as_deref().map(Filter::parse).transpose()?;
                let (mut cursor, mut any) = (None, false);
                loop {
                    let page =
                        app.store.catalog.documents(&scope, filter.as_ref(), cursor.as_deref(), 1000).await?;
                    for document in &page.items {
                        any = true;
                        Printer { json }.record(document)?;
                        Printer { json }.line(format_args!(
                            "{}  v{}  {} chunks  {}",
                            document.id,
                            document.version,
                            document.chunks,
                            document.title.as_deref().unwrap_or("")
                        ))?;
                    }
                    cursor = page.next;
                    if cursor.is_none() {
                        return Ok(if any { Outcome::Good } else { Outcome::No });
                    }
                }
            }
            Self::Show(show) => show.run(&app).await,
            Self::Acl { collection, id, set, everybody, json } => {
                let scope = collection.open(&app).await?;
                let id = DocumentId::new(id)?;
                if everybody || set.is_some() {
                    app.store.catalog.set_acl(&scope, &id, set).await?;
                    audit::record(&app, "setAccessList", Some(scope.name()), id.as_str()).await?;
                }
                let acl = app.store.catalog.document(&scope, &id).await?.acl;
                Printer { json }.document(&json!({ "acl": acl }))?;
                Printer { json }.line(acl.map_or_else(|| "everybody".to_owned(), |acl| acl.join("\n")))?;
                Ok(Outcome::Good)
            }
            Self::Delete { collection, id, yes } => {
                let scope = collection.open(&app).await?;
                if !yes {
                    bail!("deleting a document can't be undone; say --yes to do it");
                }
                app.store.catalog.delete_document(&scope, &DocumentId::new(id.as_str())?).await?;
                audit::record(&app, "deleteDocument", Some(scope.name()), &id).await?;
                app.ingestor.maintain().await?;
                note(format_args!("deleted {id}"));
                Ok(Outcome::Good)
            }
        }
    }
}

impl Show {
    async fn run(self, app: &App) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let scope = self.collection.open(app).await?;
        let id = DocumentId::new(self.id)?;
        if self.text {
            let (text, pages, _) = app.store.catalog.text(&scope, &id).await?;
            printer.document(&json!({ "text": text, "pages": pages }))?;
            printer.line(text)?;
        } else if self.chunks {
            for chunk in app.store.catalog.chunks(&scope, &id).await? {
                printer.record(&json!({
                    "chunk_id": chunk.id, "ordinal": chunk.ordinal, "start": chunk.start, "end": chunk.end,
                    "page": chunk.page, "headings": chunk.headings, "text": chunk.text,
                }))?;
                printer.line(format_args!(
                    "\u{1b}[1m#{} bytes {}-{}\u{1b}[0m {}\n{}\n",
                    chunk.ordinal,
                    chunk.start,
                    chunk.end,
                    chunk.headings.join(" › "),
                    chunk.text
                ))?;
            }
        } else {
            let document = app.store.catalog.document(&scope, &id).await?;
            printer.document(&document)?;
            printer.line(serde_json::to_string_pretty(&document)?)?;
        }
        Ok(Outcome::Good)
    }
}
