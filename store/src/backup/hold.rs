//! Keeps bytes of documents from being deleted while a backup may still copy them.
//!
//! A backup shows one moment and copies bytes for as long as that takes; a document that is deleted meanwhile would take its
//! bytes with it. So a backup holds a lock, shared, and whoever deletes bytes takes it alone, or lets it be for this time.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use crate::catalog::postgres::{Database, During, copy::BLOBS_WANTED};
use crate::error::{ErrorKind, Result, StoreError};
use crate::folder::unusable;

/// How long a backup waits for whoever is deleting.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the lock is.
#[derive(Debug, Clone)]
pub(crate) enum Hold {
    /// Nobody else can see the store.
    None,
    /// A file in the data folder.
    File(PathBuf),
    /// An advisory lock of the database.
    Postgres(Box<Database>),
}

impl Hold {
    /// Of a data folder.
    pub(crate) fn of_folder(root: &Path) -> Self {
        Self::File(root.join("blobs.lock"))
    }

    /// Runs `delete` unless a backup is under way; gives what it gives, `false` if it did not run.
    pub(crate) async fn unless_held(
        &self,
        delete: impl Future<Output = Result<bool>> + Send,
    ) -> Result<bool> {
        match self {
            Self::None => delete.await,
            Self::File(path) => {
                let Some(_alone) = lock(path, false)? else { return Ok(false) };
                delete.await
            }
            Self::Postgres(database) => {
                let mut transaction = database.pool().begin().await.during("look for backups")?;
                let alone: bool = sqlx::query_scalar(AssertSqlSafe(format!(
                    "SELECT pg_try_advisory_xact_lock({BLOBS_WANTED})"
                )))
                .fetch_one(&mut *transaction)
                .await
                .during("look for backups")?;
                let deleted = alone && delete.await?;
                transaction.rollback().await.during("look for backups")?;
                Ok(deleted)
            }
        }
    }
}

/// Keeps the bytes of a data folder until it is dropped. `Timeout` if somebody deletes all the while. Blocks.
pub(super) fn hold_folder(root: &Path) -> Result<File> {
    let Hold::File(path) = Hold::of_folder(root) else {
        return Err(StoreError::new(ErrorKind::Internal, "a data folder has no lock"));
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(held) = lock(&path, true)? {
            return Ok(held);
        }
        if Instant::now() > deadline {
            return Err(StoreError::new(
                ErrorKind::Timeout,
                "bytes of deleted documents were being removed all the while: try again later",
            ));
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// The lock, if nobody is in the way.
fn lock(path: &Path, shared: bool) -> Result<Option<File>> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(|e| unusable(path, "open", e))?;
    match if shared { file.try_lock_shared() } else { file.try_lock() } {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(unusable(path, "lock", e)),
    }
}
