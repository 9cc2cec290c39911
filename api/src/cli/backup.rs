//! `wellspring backup`: everything that is not derived, of one moment, copied beside whoever serves.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use wellspring_store::backup::{Manifest, Told, take};

use super::Global;
use crate::app;
use crate::config::Config;
use crate::output::{Outcome, Printer, note};

/// What is written into a backup about who wrote it.
const SOFTWARE: &str = concat!("wellspring ", env!("CARGO_PKG_VERSION"));

/// Copy documents, keys, conversations and everything else that is kept into a folder; a server may be running
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The folder to make; it holds what the data folder and the database hold, so keep it as safe
    #[arg(value_name = "DEST")]
    to: PathBuf,
    /// Print the manifest as JSON
    #[arg(long)]
    json: bool,
}

impl Backup {
    /// Copies everything; `No` if bytes of documents were lost before, and so could not be copied.
    pub(crate) async fn run(self, global: &Global, config: Config) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let from = app::store_config(global, &config, "backup")?;
        let bar = printer.progress(None, "rows and originals");
        let shown = bar.clone();
        let told: Told = Arc::new(move |_, more| shown.inc(more));
        let manifest = take(&from, &self.to, SOFTWARE, Some(told)).await?;
        bar.finish_and_clear();
        printer.document(&manifest)?;
        printer.line(format_args!("backed up {} as of {}", contents(&manifest), manifest.cut_at))?;
        printer.line(format_args!(
            "{}: {:.1} MB; `wellspring restore {}` puts it into an empty data folder or database",
            self.to.display(),
            manifest.bytes() as f64 / 1e6,
            self.to.display()
        ))?;
        if manifest.blobs.missing.is_empty() {
            return Ok(Outcome::Good);
        }
        note(format_args!(
            "{} originals are lost or damaged and are not in it: `wellspring verify` names their documents",
            manifest.blobs.missing.len()
        ));
        Ok(Outcome::No)
    }
}

/// What a backup holds, in words.
pub(super) fn contents(manifest: &Manifest) -> String {
    format!(
        "{} collections, {} documents, {} chunks with their vectors, {} originals, {} keys, {} conversations",
        manifest.rows("collections"),
        manifest.rows("documents"),
        manifest.rows("chunks"),
        manifest.blobs.count,
        manifest.rows("api_keys"),
        manifest.rows("conversations")
    )
}
