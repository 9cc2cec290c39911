//! `wellspring restore`: a backup into an empty data folder or database, checked whole before anything is touched.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use wellspring_store::backup::{Deletions, RestoreOptions, Restored, Told, check, restore};
use wellspring_store::catalog::postgres::PostgresConfig;
use wellspring_store::{Store, StoreConfig};

use super::Global;
use super::backup::contents;
use crate::app;
use crate::config::Config;
use crate::output::{Outcome, Printer};

/// Put a backup into an empty data folder or an empty database
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The folder that `backup` made
    #[arg(value_name = "SRC")]
    from: PathBuf,
    /// The catalog that was backed up as it is now, a data folder or a postgres:// URL: what was deleted in it since is deleted
    /// again
    #[arg(long, value_name = "DIR|URL")]
    deletions: Option<String>,
    /// Only compare every byte of the backup with its manifest
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Restore {
    /// Checks, restores, and builds the indexes.
    pub(crate) async fn run(self, global: &Global, config: Config) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let bar = printer.progress(None, "bytes, rows and originals");
        let shown = bar.clone();
        let told: Told = Arc::new(move |_, more| shown.inc(more));
        if self.check {
            let manifest = check(&self.from, Some(told)).await?;
            bar.finish_and_clear();
            printer.document(&manifest)?;
            printer.line(format_args!("whole: {} as of {}", contents(&manifest), manifest.cut_at))?;
            return Ok(Outcome::Good);
        }
        let into = app::store_config(global, &config, "restore")?;
        let deletions = self.deletions.as_deref().map(|named| catalog(&into, named));
        let options = RestoreOptions { deletions, told: Some(told) };
        let restored = restore(&into, &self.from, options).await?;
        bar.finish_and_clear();
        let entries = index(into).await?;
        report(printer, &restored, entries)?;
        Ok(Outcome::Good)
    }
}

/// The catalog that `--deletions` names.
fn catalog(like: &StoreConfig, named: &str) -> StoreConfig {
    let database = named.starts_with("postgres://") || named.starts_with("postgresql://");
    StoreConfig {
        folder: named.into(),
        postgres: database.then(|| PostgresConfig::new(named)),
        ..like.clone()
    }
}

/// Opens what was restored, which builds the indexes from the catalog; returns how many chunks they hold.
async fn index(config: StoreConfig) -> anyhow::Result<u64> {
    let store = Store::open(config).await?;
    let mut entries = 0;
    for (scope, _) in store.catalog.all_collections().await? {
        store.indexes.catch_up(&scope, store.catalog.last_seq(&scope).await?).await?;
        entries += store.catalog.expected_keys(&scope).await?.len();
    }
    store.close().await?;
    Ok(entries)
}

fn report(printer: Printer, restored: &Restored, entries: u64) -> anyhow::Result<()> {
    let Restored { manifest, deleted } = restored;
    let counts = deleted.as_ref().map(|Deletions { collections, documents }| {
        json!({ "collections": collections.len(), "documents": documents.len() })
    });
    printer.document(&json!({
        "cut_at": manifest.cut_at,
        "collections": manifest.rows("collections"),
        "documents": manifest.rows("documents"),
        "chunks": manifest.rows("chunks"),
        "originals": manifest.blobs.count,
        "missing_originals": manifest.blobs.missing,
        "indexed_chunks": entries,
        "deleted_again": counts,
    }))?;
    printer.line(format_args!("restored {} as of {}", contents(manifest), manifest.cut_at))?;
    printer.line(format_args!("indexed {entries} chunks from their stored vectors"))?;
    match deleted {
        Some(Deletions { collections, documents }) => printer.line(format_args!(
            "deleted again what was deleted since: {} collections, {} documents",
            collections.len(),
            documents.len()
        ))?,
        None => printer.line(format_args!(
            "what was deleted after {} is not known here and is back: delete it again, or restore with --deletions",
            manifest.cut_at
        ))?,
    }
    if !manifest.blobs.missing.is_empty() {
        printer.line(format_args!(
            "{} originals were lost before the backup: `wellspring verify` names their documents",
            manifest.blobs.missing.len()
        ))?;
    }
    Ok(())
}
