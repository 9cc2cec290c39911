//! `wellspring export`: a collection's documents as lines of JSON.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use futures::{Stream, StreamExt};
use wellspring_store::Filter;
use wellspring_store::export::{ExportOptions, export};

use super::{InCollection, audit};
use crate::app::App;
use crate::output::{Outcome, note};

/// Write a collection's documents as lines of JSON
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    collection: InCollection,
    /// The file to make; `-` for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Their chunks as well, each after its document
    #[arg(long)]
    chunks: bool,
    /// The chunks with their vectors
    #[arg(long, requires = "chunks")]
    vectors: bool,
    /// Only documents whose metadata passes, such as `lang = "de" and year >= 2024`
    #[arg(long, value_name = "EXPR")]
    filter: Option<String>,
}

impl Export {
    /// Writes all of it; a file is there only when it is whole.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        let scope = self.collection.open(&app).await?;
        let filter = self.filter.as_deref().map(Filter::parse).transpose()?;
        let options = ExportOptions { chunks: self.chunks, vectors: self.vectors, filter };
        let pieces = export(app.store.catalog.clone(), scope.clone(), options);
        if self.out == Path::new("-") {
            let mut out = std::io::stdout().lock();
            write(pieces, &mut out).await?;
            out.flush()?;
        } else {
            let folder = self.out.parent().filter(|folder| !folder.as_os_str().is_empty());
            let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
                .with_context(|| format!("{} can't be written", self.out.display()))?;
            let mut out = std::io::BufWriter::new(file.as_file_mut());
            write(pieces, &mut out).await?;
            out.flush()?;
            drop(out);
            file.as_file().sync_all()?;
            file.persist_noclobber(&self.out).map_err(|error| error.error).with_context(|| {
                format!("{} can't be made; a file that is there is not replaced", self.out.display())
            })?;
            note(format_args!("exported `{}` to {}", scope.name(), self.out.display()));
        }
        audit::record(&app, "exportCollection", Some(scope.name()), scope.name().as_str()).await?;
        app.close().await?;
        Ok(Outcome::Good)
    }
}

async fn write(
    pieces: impl Stream<Item = wellspring_store::Result<Vec<u8>>>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut pieces = std::pin::pin!(pieces);
    while let Some(piece) = pieces.next().await {
        out.write_all(&piece?)?;
    }
    Ok(())
}
