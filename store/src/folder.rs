//! The data folder: one owner at a time, a format version, and where everything in it lies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Result, StoreError};

/// The version of the folder's layout that this build reads and writes.
pub const FORMAT: u32 = 1;

const LOCK: &str = "lock";
const FORMAT_FILE: &str = "format";
const REPLICA_FILE: &str = "replica";

/// Who holds the folder: written into the lock file for the message that others get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// What it is, in words: `server`, `ingest`.
    pub role: String,
    /// Where a server listens, once it does.
    pub listening: Option<String>,
}

/// An open data folder. It is locked for this process until the value is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    lock: File,
    role: String,
}

impl DataFolder {
    /// Opens the folder for one process, making it (readable by its owner only) if it is not there. `role` is what
    /// others are told about this process. A folder held by another process is `Conflict` and names the holder; one of
    /// a newer format is `Conflict` and is left untouched. Blocks on the file system.
    pub fn open(root: impl Into<PathBuf>, role: &str) -> Result<Self> {
        let root = root.into();
        create_private(&root)?;
        let lock =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(root.join(LOCK));
        let mut lock = lock.map_err(|e| unusable(&root, "open the lock file of", e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&root, &mut lock)),
            Err(TryLockError::Error(e)) => return Err(unusable(&root, "lock", e)),
        }
        let folder = Self { root, lock, role: role.to_owned() };
        folder.check_format()?;
        folder.announce(None)?;
        for part in [folder.blobs(), folder.indexes()] {
            create_private(&part)?;
        }
        Ok(folder)
    }

    /// Tells others, through the lock file, where this process listens.
    pub fn announce(&self, listening: Option<&str>) -> Result<()> {
        let holder = Holder {
            pid: std::process::id(),
            role: self.role.clone(),
            listening: listening.map(str::to_owned),
        };
        let text = serde_json::to_vec(&holder).map_err(|e| {
            StoreError::new(ErrorKind::Internal, "the lock file's content cannot be written as JSON")
                .with_source(e)
        })?;
        let mut lock = &self.lock;
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| lock.write_all(&text))
            .map_err(|e| unusable(&self.root, "write the lock file of", e))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The catalog's database file.
    pub fn catalog(&self) -> PathBuf {
        self.root.join("catalog.db")
    }

    /// The folder of blobs.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// The folder of indexes.
    pub fn indexes(&self) -> PathBuf {
        self.root.join("indexes")
    }

    /// A name for the indexes in this folder that those in no other folder have, made with the folder.
    pub fn replica(&self) -> Result<String> {
        let path = self.root.join(REPLICA_FILE);
        match fs_err::read_to_string(&path) {
            // What was cut short by a power cut names nothing.
            Ok(text) if uuid::Uuid::parse_str(text.trim()).is_ok() => return Ok(text.trim().to_owned()),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(unusable(&self.root, "read the replica's name in", e)),
        }
        let name = uuid::Uuid::now_v7().to_string();
        self.write_small(&path, &name)?;
        Ok(name)
    }

    fn check_format(&self) -> Result<()> {
        let path = self.root.join(FORMAT_FILE);
        let text = match fs_err::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return self.write_format(&path),
            Err(e) => return Err(unusable(&self.root, "read the format of", e)),
        };
        match text.trim().parse::<u32>() {
            Ok(FORMAT) => Ok(()),
            Ok(newer) if newer > FORMAT => Err(StoreError::new(
                ErrorKind::Conflict,
                format!(
                    "the data folder {} has format {newer} and this build reads up to {FORMAT}: it was written by a \
                     newer release; use that release, or another data folder",
                    self.root.display()
                ),
            )),
            _ => Err(StoreError::new(
                ErrorKind::Corrupt,
                format!(
                    "the file {} should hold the number {FORMAT} and holds something else: restore it, or use another \
                     data folder",
                    path.display()
                ),
            )),
        }
    }

    fn write_format(&self, path: &Path) -> Result<()> {
        self.write_small(path, &FORMAT.to_string())
    }

    /// One line, whole or not at all.
    fn write_small(&self, path: &Path, line: &str) -> Result<()> {
        let temporary = path.with_extension("new");
        fs_err::File::create(&temporary)
            .and_then(|mut file| {
                file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_all())
            })
            .and_then(|()| fs_err::rename(&temporary, path))
            .and_then(|()| fs_err::File::open(&self.root)?.sync_all())
            .map_err(|e| unusable(&self.root, "write a file of", e))
    }
}

/// Makes a folder, and those above it, that only its owner may enter.
pub(crate) fn create_private(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|e| unusable(path, "make", e))
}

fn held(root: &Path, lock: &mut File) -> StoreError {
    let mut text = String::new();
    let holder = lock.read_to_string(&mut text).ok().and_then(|_| serde_json::from_str::<Holder>(&text).ok());
    let by = match holder {
        Some(Holder { pid, role, listening: Some(address) }) => {
            format!(
                "a running {role} (process {pid}, listening on {address}): use that one, or stop it first"
            )
        }
        Some(Holder { pid, role, listening: None }) => {
            format!("a running {role} (process {pid}): wait for it or stop it first")
        }
        None => "another process: wait for it or stop it first".to_owned(),
    };
    StoreError::new(ErrorKind::Conflict, format!("the data folder {} is held by {by}", root.display()))
}

/// A failure of the file system, with what to do about the common ones.
pub(crate) fn unusable(path: &Path, what: &str, error: std::io::Error) -> StoreError {
    use std::io::ErrorKind as Io;
    let (kind, fix) = match error.kind() {
        Io::StorageFull | Io::QuotaExceeded => {
            (ErrorKind::Unavailable, "the disk is full: free space and try again")
        }
        Io::PermissionDenied | Io::ReadOnlyFilesystem => {
            (ErrorKind::Unavailable, "this user may not: change its owner or permissions")
        }
        Io::NotADirectory | Io::AlreadyExists => {
            (ErrorKind::Invalid, "a file is in the way: choose another folder")
        }
        _ => (ErrorKind::Unavailable, "the file system refused"),
    };
    StoreError::new(kind, format!("cannot {what} {}: {fix} ({error})", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_twice_in_turn_but_not_at_once() {
        let root = tempfile::tempdir().unwrap();
        let first = DataFolder::open(root.path().join("data"), "server").unwrap();
        first.announce(Some("127.0.0.1:8080")).unwrap();
        let refused = DataFolder::open(root.path().join("data"), "ingest").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        let message = refused.to_string();
        assert!(
            message.contains("running server") && message.contains("listening on 127.0.0.1:8080"),
            "{message}"
        );
        assert!(message.contains(&std::process::id().to_string()), "{message}");
        drop(first);
        DataFolder::open(root.path().join("data"), "ingest").unwrap();
    }

    #[test]
    fn a_folder_keeps_the_name_of_its_replica_and_no_other_has_it() {
        let root = tempfile::tempdir().unwrap();
        let name =
            |folder: &str| DataFolder::open(root.path().join(folder), "test").unwrap().replica().unwrap();
        assert_eq!(name("one"), name("one"));
        assert_ne!(name("one"), name("two"));
        fs_err::write(root.path().join("two").join("replica"), "").unwrap();
        assert_eq!(name("two"), name("two"), "one that was cut short is made anew");
    }

    #[test]
    fn refuses_a_newer_format_and_leaves_it_alone() {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join("format"), "2\n").unwrap();
        let refused = DataFolder::open(root.path(), "server").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert!(refused.to_string().contains("newer release"), "{refused}");
        assert!(!root.path().join("blobs").exists());
        assert_eq!(fs_err::read_to_string(root.path().join("format")).unwrap(), "2\n");
    }

    #[test]
    fn refuses_a_format_that_is_no_number() {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join("format"), "").unwrap();
        assert_eq!(DataFolder::open(root.path(), "server").unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join("data"), "x").unwrap();
        let refused = DataFolder::open(root.path().join("data"), "server").unwrap_err();
        assert!(refused.to_string().contains("a file is in the way"), "{refused}");
    }
}
