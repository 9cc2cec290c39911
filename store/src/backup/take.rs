//! Takes a backup: every table in one transaction, then the bytes that its rows refer to.

use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::files::{write_blobs, write_rows};
use super::manifest::{BlobsEntry, FORMAT, Manifest};
use super::tables::{BLOBS, TABLES};
use super::value::{Row, Value};
use super::{Source, Told, blocking, sync_folder};
use crate::StoreConfig;
use crate::catalog::rows::values::hash;
use crate::clock::rfc3339;
use crate::document::ContentHash;
use crate::error::{ErrorKind, Result, StoreError};
use crate::folder::{create_private, unusable};
use crate::scope::TenantId;

/// Rows between the catalog and the file: they may be large.
const ROWS_AHEAD: usize = 64;
/// Originals between the blob store and the archive: each may be as large as an upload.
const BLOBS_AHEAD: usize = 2;

/// Backs up the catalog and the blobs of `config` into the folder `to`, which is made here, beside whoever uses them; its
/// name is there when all of it is on the disk. `software` is what is written into the manifest (`wellspring 0.1.0`).
///
/// `Conflict` if there is something at `to`, or for a catalog of another schema than this build's; `NotFound` if there is no
/// catalog. Bytes that the blob store lost do not keep the rest from being backed up: they are listed in the manifest.
pub async fn take(config: &StoreConfig, to: &Path, software: &str, told: Option<Told>) -> Result<Manifest> {
    let told = told.unwrap_or_else(|| std::sync::Arc::new(|_, _| ()));
    let mut source = Source::open(config).await?;
    let place = Place::make(to.to_owned()).await?;
    let folder = place.folder.clone();
    let mut tables = Vec::new();
    for table in TABLES {
        let (send, rows) = mpsc::channel(ROWS_AHEAD);
        let into = folder.clone();
        let writing = tokio::task::spawn_blocking(move || write_rows(&into, table, rows));
        let read = source.cut.rows(table, send).await;
        let entry = finished(writing.await)?;
        read?;
        told("rows", entry.rows);
        tables.push(entry);
    }
    let blobs = originals(&mut source, &folder, &told).await?;
    let moment = source.cut.moment().clone();
    let manifest = Manifest {
        format: FORMAT,
        software: software.to_owned(),
        cut_at: rfc3339(moment.at),
        cut_at_micros: moment.at,
        taken_of: moment.engine.to_owned(),
        sequence: moment.counters.get("changes").copied().unwrap_or(0),
        counters: moment.counters,
        tables,
        blobs,
    };
    drop(source);
    let written = manifest.clone();
    place.finish(move |folder| written.write(folder)).await?;
    Ok(manifest)
}

/// Copies the bytes that rows of the backup refer to.
async fn originals(source: &mut Source, folder: &Path, told: &Told) -> Result<BlobsEntry> {
    let (send, mut wanted) = mpsc::channel::<Row>(ROWS_AHEAD);
    let (pack, packed) = mpsc::channel(BLOBS_AHEAD);
    let into = folder.to_owned();
    let writing = tokio::task::spawn_blocking(move || write_blobs(&into, packed));
    let Source { cut, blobs, .. } = source;
    let copying = async {
        // Dropped at the end, so that the archive ends.
        let pack = pack;
        let mut missing = Vec::new();
        while let Some(row) = wanted.recv().await {
            let (tenant, hash) = named(&row)?;
            match blobs.get(&tenant, &hash).await {
                Ok(bytes) => {
                    if pack.send((tenant, hash, bytes)).await.is_err() {
                        break;
                    }
                    told("originals", 1);
                }
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {
                    tracing::warn!(tenant = tenant.as_str(), blob = hash.to_hex(), "not in the backup: {e}");
                    missing.push(format!("{}/{}", tenant.as_str(), hash.to_hex()));
                }
                Err(e) => return Err(e),
            }
        }
        Ok(missing)
    };
    let (listed, copied) = tokio::join!(cut.rows(&BLOBS, send), copying);
    let (stored, count) = finished(writing.await)?;
    let missing = copied?;
    listed?;
    Ok(BlobsEntry { count, stored, missing })
}

fn named(row: &Row) -> Result<(TenantId, ContentHash)> {
    match row.as_slice() {
        [Value::Text(tenant), Value::Bytes(blob)] => Ok((TenantId::new(tenant.as_str())?, hash(blob)?)),
        _ => Err(StoreError::new(ErrorKind::Corrupt, "the catalog names bytes of nobody: run verify")),
    }
}

/// What a writing thread came to.
fn finished<T>(result: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    result.map_err(|e| {
        StoreError::new(ErrorKind::Internal, "writing the backup stopped in the middle; see the log")
            .with_source(e)
    })?
}

/// Where a backup is written: under another name until it is whole, and gone if it never is.
struct Place {
    folder: PathBuf,
    to: PathBuf,
    whole: bool,
}

impl Place {
    async fn make(to: PathBuf) -> Result<Self> {
        blocking(move || {
            match fs_err::read_dir(&to).map(|mut entries| entries.next().is_none()) {
                Ok(true) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Ok(false) | Err(_) => {
                    return Err(StoreError::new(
                        ErrorKind::Conflict,
                        format!("{} is there already: name a folder that is not", to.display()),
                    ));
                }
            }
            let mut name = to.file_name().unwrap_or_default().to_owned();
            name.push(".incomplete");
            let folder = to.with_file_name(name);
            if folder.exists() {
                return Err(StoreError::new(
                    ErrorKind::Conflict,
                    format!(
                        "{} is there: another backup is being written, or one was interrupted; remove it if so",
                        folder.display()
                    ),
                ));
            }
            for part in ["rows", "blobs"] {
                create_private(&folder.join(part))?;
            }
            Ok(Self { folder, to, whole: false })
        })
        .await
    }

    /// Writes the last file, and gives the folder its name.
    async fn finish(mut self, last: impl FnOnce(&Path) -> Result<()> + Send + 'static) -> Result<()> {
        blocking(move || {
            last(&self.folder)?;
            for folder in [self.folder.join("rows"), self.folder.join("blobs"), self.folder.clone()] {
                sync_folder(&folder)?;
            }
            fs_err::rename(&self.folder, &self.to).map_err(|e| unusable(&self.to, "make", e))?;
            self.whole = true;
            match self.to.parent().filter(|above| !above.as_os_str().is_empty()) {
                Some(above) => sync_folder(above),
                None => Ok(()),
            }
        })
        .await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.whole
            && let Err(error) = fs_err::remove_dir_all(&self.folder)
        {
            tracing::warn!(%error, "an unfinished backup could not be removed");
        }
    }
}
