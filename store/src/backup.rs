//! Backups: everything that is not derived, of one moment, in files that either catalog can be restored from.
//!
//! A backup is a folder: `manifest.json`, `SHA256SUMS`, `rows/<table>.jsonl.zst` (see [`Manifest`]) and `blobs/<n>.tar`. Rows
//! are read in one transaction that shows one moment, beside whoever serves and writes; bytes of documents, which never
//! change, are copied after it and kept from being deleted for that time. A restore checks every byte before it touches
//! anything, and a target is not opened by anybody else before the last row is in. Indexes are built anew from the rows.

use std::path::Path;
use std::sync::Arc;

use crate::blobs::{LocalBlobs, PostgresBlobs};
use crate::catalog::postgres::copy::PostgresCut;
use crate::catalog::sqlite::copy::SqliteCut;
use crate::error::{ErrorKind, Result, StoreError};
use crate::folder::DataFolder;
use crate::{Blobs, StoreConfig};

pub(crate) mod copy;
mod deletions;
mod files;
pub(crate) mod hold;
mod manifest;
mod restore;
pub(crate) mod tables;
mod take;
pub(crate) mod value;

pub use deletions::Deletions;
pub use manifest::{BlobsEntry, FORMAT, FileEntry, Manifest, TableEntry};
pub use restore::{RestoreOptions, Restored, check, restore};
pub use take::take;

/// Told what goes on (`rows`, `originals`, `bytes checked`) and how many more of it are done; called often, so it must be
/// quick.
pub type Told = Arc<dyn Fn(&'static str, u64) + Send + Sync>;

/// A catalog that is read beside whoever serves from it.
struct Source {
    cut: Box<dyn copy::Cut>,
    blobs: Arc<dyn Blobs>,
    /// Keeps the bytes of a data folder.
    _hold: Option<std::fs::File>,
}

impl Source {
    async fn open(config: &StoreConfig) -> Result<Self> {
        if let Some(postgres) = &config.postgres {
            let cut = PostgresCut::begin(postgres, config.clock.as_ref()).await?;
            let blobs = PostgresBlobs::at(postgres).await?;
            return Ok(Self { cut: Box::new(cut), blobs: Arc::new(blobs), _hold: None });
        }
        let root = config.folder.clone();
        let (hold, catalog, blobs) = blocking(move || {
            let (catalog, blobs) = DataFolder::look(&root)?;
            Ok((hold::hold_folder(&root)?, catalog, blobs))
        })
        .await?;
        let cut = SqliteCut::begin(&catalog, config.clock.as_ref()).await?;
        Ok(Self { cut: Box::new(cut), blobs: Arc::new(LocalBlobs::at(blobs)), _hold: Some(hold) })
    }
}

/// Runs file work off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        StoreError::new(ErrorKind::Internal, "work on a backup stopped in the middle; see the log")
            .with_source(e)
    })?
}

/// Syncs the names in a folder.
fn sync_folder(folder: &Path) -> Result<()> {
    fs_err::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| crate::folder::unusable(folder, "sync", e))
}
