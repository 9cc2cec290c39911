//! `wellspring verify`: every index and blob compared with the catalog, and mended if asked.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use wellspring_store::sync::Progress;
use wellspring_store::verify::{VerifyOptions, verify};

use super::InCollection;
use crate::app::App;
use crate::output::{Outcome, Printer};

/// Compare every index and blob with the catalog
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Only this collection [default: all]
    #[arg(short, long)]
    collection: Option<String>,
    /// Mend what differs: indexes from the catalog, without embedding anything
    #[arg(long)]
    repair: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    /// Looks at everything; `No` if damage is left.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let only = match self.collection {
            Some(collection) => Some(InCollection { collection }.open(&app).await?),
            None => None,
        };
        let bar = printer.progress(Some(0), "collections");
        let shown = bar.clone();
        let progress: Progress = Arc::new(move |done, total| {
            shown.set_length(total);
            shown.set_position(done);
        });
        // The folder is ours alone, so a blob without a document is nobody's upload in progress.
        let options = VerifyOptions { repair: self.repair, orphan_grace: Duration::ZERO };
        let report = verify(&app.store, only.as_ref(), options, Some(progress)).await?;
        bar.finish_and_clear();
        app.close().await?;
        printer.document(&report)?;
        printer.line(format_args!(
            "{} collections, {} index entries, {} blobs",
            report.collections, report.entries, report.blobs
        ))?;
        for finding in &report.findings {
            let place = finding.collection.as_ref().map(|name| format!(" of `{name}`")).unwrap_or_default();
            let state = if finding.mended { "mended" } else { "not mended" };
            printer.line(format_args!(
                "{:?} in {}{place}: {} ({state})",
                finding.kind, finding.part, finding.count
            ))?;
            for example in &finding.examples {
                printer.line(format_args!("    {example}"))?;
            }
        }
        if report.is_clean() {
            printer.line("everything is as it should be")?;
        } else if !report.is_mended() && !self.repair {
            printer.line("fix: `wellspring verify --repair` builds damaged indexes anew from the catalog")?;
        }
        Ok(if report.is_mended() { Outcome::Good } else { Outcome::No })
    }
}
