//! A local folder of blobs.
//!
//! `<root>/<tenant>/<2 hexadecimal digits>/<62 more>`; what is being written lies in `<root>/.incoming` until it is whole.

use std::io::Write;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::Blobs;
use crate::document::ContentHash;
use crate::error::{ErrorKind, Result, StoreError};
use crate::fault;
use crate::folder::{create_private, unusable};
use crate::scope::TenantId;

/// No tenant is called this: their names begin with a letter or digit.
const INCOMING: &str = ".incoming";

/// See the module.
#[derive(Debug, Clone)]
pub struct LocalBlobs {
    root: PathBuf,
}

impl LocalBlobs {
    /// Opens the folder, making it if it is not there, and removes what an interrupted `put` left. Its owner is the only
    /// process that uses it (see [`crate::folder::DataFolder`]). Blocks on the file system.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let incoming = root.join(INCOMING);
        match fs_err::remove_dir_all(&incoming) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(unusable(&incoming, "clear", e)),
        }
        create_private(&incoming)?;
        Ok(Self { root })
    }

    /// The folder as another process has opened it: to be read only.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, tenant: &TenantId, hash: &ContentHash) -> PathBuf {
        let hex = hash.to_hex();
        let (head, tail) = hex.split_at(2);
        self.root.join(tenant.as_str()).join(head).join(tail)
    }
}

/// A blob on its way in: dropped, it leaves nothing behind.
struct Incoming {
    file: tempfile::NamedTempFile,
    hasher: blake3::Hasher,
    length: u64,
    max: u64,
}

impl Incoming {
    fn write(&mut self, bytes: &Bytes) -> Result<()> {
        self.length = self.length.saturating_add(bytes.len() as u64);
        if self.length > self.max {
            let message = format!(
                "the document has more than {} bytes: send a smaller one, or raise the limit",
                self.max
            );
            return Err(StoreError::new(ErrorKind::Invalid, message));
        }
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(|e| unusable(self.file.path(), "write", e))
    }

    fn keep(self, path: impl FnOnce(&ContentHash) -> PathBuf) -> Result<(ContentHash, u64)> {
        let hash = ContentHash(*self.hasher.finalize().as_bytes());
        let path = path(&hash);
        fault::point("blobs.put.before_sync");
        self.file.as_file().sync_data().map_err(|e| unusable(self.file.path(), "write", e))?;
        if let Some(folder) = path.parent() {
            create_durably(folder)?;
            self.file.persist(&path).map_err(|e| unusable(&path, "write", e.error))?;
            sync_folder(folder)?;
        }
        fault::point("blobs.put.after_rename");
        Ok((hash, self.length))
    }
}

/// Makes a folder and syncs the name of each that was made.
fn create_durably(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(above) = folder.parent() else {
        return Ok(());
    };
    create_durably(above)?;
    create_private(folder)?;
    sync_folder(above)
}

fn sync_folder(folder: &Path) -> Result<()> {
    fs_err::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| unusable(folder, "sync", e))
}

/// Runs file work off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| StoreError::new(ErrorKind::Internal, "work on a blob did not finish").with_source(e))?
}

#[async_trait]
impl Blobs for LocalBlobs {
    async fn put(
        &self,
        tenant: &TenantId,
        mut bytes: BoxStream<'static, std::io::Result<Bytes>>,
        max_bytes: u64,
    ) -> Result<(ContentHash, u64)> {
        let folder = self.root.join(INCOMING);
        let mut incoming = blocking(move || {
            let file =
                tempfile::NamedTempFile::new_in(&folder).map_err(|e| unusable(&folder, "write to", e))?;
            Ok(Incoming { file, hasher: blake3::Hasher::new(), length: 0, max: max_bytes })
        })
        .await?;
        while let Some(part) = bytes.next().await {
            let part = part.map_err(|e| {
                StoreError::new(ErrorKind::Invalid, "the document was not received whole: send it again")
                    .with_source(e)
            })?;
            incoming = blocking(move || incoming.write(&part).map(|()| incoming)).await?;
        }
        let (blobs, tenant) = (self.clone(), tenant.clone());
        blocking(move || incoming.keep(|hash| blobs.path(&tenant, hash))).await
    }

    async fn get(&self, tenant: &TenantId, hash: &ContentHash) -> Result<Bytes> {
        let (path, hash) = (self.path(tenant, hash), *hash);
        blocking(move || {
            let bytes = fs_err::read(&path).map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => {
                    StoreError::new(ErrorKind::NotFound, format!("there is no blob {}", hash.to_hex()))
                }
                _ => unusable(&path, "read", e),
            })?;
            if ContentHash::of(&bytes) == hash {
                Ok(Bytes::from(bytes))
            } else {
                let message =
                    format!("the file {} changed on disk: restore it from a backup", path.display());
                Err(StoreError::new(ErrorKind::Corrupt, message))
            }
        })
        .await
    }

    async fn delete(&self, tenant: &TenantId, hash: &ContentHash) -> Result<()> {
        let path = self.path(tenant, hash);
        blocking(move || match fs_err::remove_file(&path) {
            Ok(()) => path.parent().map_or(Ok(()), sync_folder),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(unusable(&path, "delete", e)),
        })
        .await
    }

    async fn list(&self, tenant: &TenantId) -> Result<Vec<ContentHash>> {
        let root = self.root.join(tenant.as_str());
        blocking(move || {
            let mut hashes = Vec::new();
            for head in names(&root)? {
                for tail in names(&root.join(&head))? {
                    // Anything else in the folder is not ours.
                    hashes.extend(ContentHash::from_hex(&format!("{head}{tail}")).ok());
                }
            }
            hashes.sort_unstable();
            Ok(hashes)
        })
        .await
    }
}

/// Names within a folder; none if it is not there or is none.
fn names(folder: &Path) -> Result<Vec<String>> {
    use std::io::ErrorKind as Io;
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), Io::NotFound | Io::NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(unusable(folder, "list", e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| unusable(folder, "list", e))?;
        names.extend(entry.file_name().into_string().ok());
    }
    Ok(names)
}
