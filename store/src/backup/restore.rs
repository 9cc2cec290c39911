//! Restores a backup into an empty data folder or an empty database: checked whole before anything is touched, and in use only
//! when it is whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::copy::{Origin, Target};
use super::deletions::{Deletions, since};
use super::files::{check_file, read_blobs, read_rows};
use super::manifest::Manifest;
use super::tables::{TABLES, table};
use super::{Told, blocking};
use crate::blobs::{LocalBlobs, PostgresBlobs};
use crate::catalog::postgres::PostgresCatalog;
use crate::catalog::postgres::copy::{PostgresTarget, finished};
use crate::catalog::sqlite::SqliteCatalog;
use crate::catalog::sqlite::copy::SqliteTarget;
use crate::error::{ErrorKind, Result, StoreError};
use crate::folder::{DataFolder, unusable};
use crate::scope::Scope;
use crate::{Blobs, Catalog, StoreConfig};

/// Batches of rows, and originals, between the files and the catalog.
const AHEAD: usize = 2;

/// How a backup is restored.
#[derive(Default)]
pub struct RestoreOptions {
    /// The catalog that the backup was taken of, as it is now: what it knows to be deleted since is deleted again.
    pub deletions: Option<StoreConfig>,
    /// Told how it goes on.
    pub told: Option<Told>,
}

/// What was restored.
#[derive(Debug, Clone)]
pub struct Restored {
    /// What the backup held.
    pub manifest: Manifest,
    /// What was deleted again; `None` if nobody told.
    pub deleted: Option<Deletions>,
}

/// Reads every file of a backup and compares it with the manifest. `Corrupt` for damage, `NotFound` for what is no finished
/// backup, `Conflict` for a format or a table that this build does not know.
pub async fn check(folder: &Path, told: Option<Told>) -> Result<Manifest> {
    let folder = folder.to_owned();
    blocking(move || {
        let manifest = Manifest::read(&folder)?;
        if let Some(entry) = manifest.tables.iter().find(|entry| table(&entry.name).is_none()) {
            return Err(StoreError::new(
                ErrorKind::Conflict,
                format!(
                    "the backup has a table `{}` that this build does not know: use a newer release",
                    entry.name
                ),
            ));
        }
        for file in manifest.files() {
            check_file(&folder, file, |bytes| {
                if let Some(told) = &told {
                    told("bytes checked", bytes);
                }
            })?;
        }
        Ok(manifest)
    })
    .await
}

/// Restores the backup in the folder `from` into the catalog and blob store of `config`, which must be empty. Nothing is
/// touched before all of the backup is checked (see [`check`]); what is there after a restore that did not finish is never
/// opened. Indexes are built by whoever opens the store next, without an embedding call.
///
/// `Conflict` if the target is not empty or in use.
pub async fn restore(config: &StoreConfig, from: &Path, options: RestoreOptions) -> Result<Restored> {
    let told = options.told.clone().unwrap_or_else(|| Arc::new(|_, _| ()));
    let manifest = check(from, options.told).await?;
    let deleted = match &options.deletions {
        Some(known) => Some(since(&manifest, from, known).await?),
        None => None,
    };
    let origin = Origin {
        cut_at: manifest.cut_at_micros,
        software: manifest.software.clone(),
        begun_at: config.clock.now(),
    };
    let whole = Whole { manifest: &manifest, from, told: &told };
    match &config.postgres {
        Some(postgres) => {
            let target = PostgresTarget::begin(postgres, &origin).await?;
            let blobs = PostgresBlobs::at(postgres).await?;
            whole.load(Box::new(target), &blobs, &origin, config.clock.now()).await?;
            let catalog = PostgresCatalog::attach(postgres, Arc::clone(&config.clock)).await?;
            forget(&catalog, deleted.as_ref()).await?;
            drop(catalog);
            finished(postgres, config.clock.now()).await?;
        }
        None => {
            let root = config.folder.clone();
            let folder = blocking(move || DataFolder::open_empty(root, "restore")).await?;
            let target = SqliteTarget::create(&folder.catalog()).await?;
            let blobs = folder.blobs();
            let blobs = blocking(move || LocalBlobs::open(blobs)).await?;
            whole.load(Box::new(target), &blobs, &origin, config.clock.now()).await?;
            sync(folder.catalog()).await?;
            let catalog = SqliteCatalog::open(folder.catalog(), Arc::clone(&config.clock)).await?;
            forget(&catalog, deleted.as_ref()).await?;
            drop(catalog);
            blocking(move || folder.restored()).await?;
        }
    }
    Ok(Restored { manifest, deleted })
}

async fn sync(file: PathBuf) -> Result<()> {
    blocking(move || {
        fs_err::File::open(&file).and_then(|open| open.sync_all()).map_err(|e| unusable(&file, "sync", e))
    })
    .await
}

/// Deletes again what was deleted since.
async fn forget(catalog: &dyn Catalog, deleted: Option<&Deletions>) -> Result<()> {
    let Some(deleted) = deleted else { return Ok(()) };
    for (tenant, name) in &deleted.collections {
        let scope = Scope::administrator(tenant.clone());
        let (scope, _) = catalog.collection(&scope, name).await?;
        catalog.delete_collection(&scope).await?;
    }
    for (tenant, name, id) in &deleted.documents {
        let (scope, _) = catalog.collection(&Scope::administrator(tenant.clone()), name).await?;
        match catalog.delete_document(&scope, id).await {
            // Only the name of a document of which nothing was ever shown.
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            result => drop(result?),
        }
    }
    Ok(())
}

/// A backup whose files were checked.
struct Whole<'a> {
    manifest: &'a Manifest,
    from: &'a Path,
    told: &'a Told,
}

impl Whole<'_> {
    /// Bytes first: a row never refers to bytes that are not there.
    async fn load(
        &self,
        mut target: Box<dyn Target>,
        blobs: &dyn Blobs,
        origin: &Origin,
        now: i64,
    ) -> Result<()> {
        self.originals(blobs).await?;
        for table in TABLES {
            let Some(entry) = self.manifest.tables.iter().find(|entry| entry.name == table.name) else {
                continue;
            };
            let (send, mut batches) = mpsc::channel(AHEAD);
            let (from, entry) = (self.from.to_owned(), entry.clone());
            let reading = tokio::task::spawn_blocking(move || read_rows(&from, table, &entry, &send));
            while let Some(rows) = batches.recv().await {
                let count = rows.len() as u64;
                target.load(table, rows).await?;
                (self.told)("rows", count);
            }
            ended(reading.await)?;
        }
        target.finish(&self.manifest.counters, origin, now).await
    }

    async fn originals(&self, blobs: &dyn Blobs) -> Result<()> {
        for archive in &self.manifest.blobs.stored {
            let (send, mut members) = mpsc::channel(AHEAD);
            let (from, archive) = (self.from.to_owned(), archive.clone());
            let reading = tokio::task::spawn_blocking(move || read_blobs(&from, &archive, &send));
            while let Some((tenant, hash, bytes)) = members.recv().await {
                let length = bytes.len() as u64;
                let (kept, _) = blobs.put(&tenant, stream::iter([Ok(bytes)]).boxed(), length).await?;
                if kept != hash {
                    return Err(StoreError::new(
                        ErrorKind::Corrupt,
                        format!(
                            "the backup holds other bytes than it names as {}: use another copy",
                            hash.to_hex()
                        ),
                    ));
                }
                (self.told)("originals", 1);
            }
            ended(reading.await)?;
        }
        Ok(())
    }
}

fn ended(result: Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    result.map_err(|e| {
        StoreError::new(ErrorKind::Internal, "reading the backup stopped in the middle; see the log")
            .with_source(e)
    })?
}
