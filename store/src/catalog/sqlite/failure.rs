//! What SQLite's and sqlx's failures mean to a caller.

use sqlx::migrate::MigrateError;

use crate::error::{ErrorKind, StoreError};

// Primary result codes, https://www.sqlite.org/rescode.html
const PERM: i64 = 3;
const BUSY: i64 = 5;
const LOCKED: i64 = 6;
const NOMEM: i64 = 7;
const READONLY: i64 = 8;
const INTERRUPT: i64 = 9;
const IOERR: i64 = 10;
const CORRUPT: i64 = 11;
const FULL: i64 = 13;
const CANTOPEN: i64 = 14;
const CONSTRAINT: i64 = 19;
const NOTADB: i64 = 26;

/// A failure during `doing` (`"accept the document"`).
pub(super) fn failed(doing: &str, error: sqlx::Error) -> StoreError {
    let (kind, why) = match &error {
        sqlx::Error::Database(database) => {
            classify(database.code().and_then(|code| code.parse::<i64>().ok()).unwrap_or(0) & 0xff)
        }
        sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => classify(FULL),
        sqlx::Error::Io(_) => classify(IOERR),
        sqlx::Error::PoolTimedOut => (
            ErrorKind::Unavailable,
            "every connection to the catalog is busy: try again, or send fewer requests at once",
        ),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            (ErrorKind::Unavailable, "the catalog is closed: restart the process")
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            (ErrorKind::Corrupt, "the catalog holds a value of the wrong type: run verify")
        }
        _ => (ErrorKind::Internal, "the catalog refused a statement"),
    };
    StoreError::new(kind, format!("cannot {doing}: {why}")).with_source(error)
}

fn classify(code: i64) -> (ErrorKind, &'static str) {
    match code {
        FULL => (ErrorKind::Unavailable, "the disk that holds the catalog is full: free space and try again"),
        BUSY | LOCKED => (
            ErrorKind::Unavailable,
            "another process has locked the catalog: stop what else uses the data folder",
        ),
        CORRUPT | NOTADB => (
            ErrorKind::Corrupt,
            "the catalog's file is damaged: run verify, and restore a backup if it cannot be read",
        ),
        PERM | READONLY | CANTOPEN => (
            ErrorKind::Unavailable,
            "the catalog's file cannot be opened for writing: check the data folder's owner and permissions",
        ),
        IOERR => (ErrorKind::Unavailable, "the disk that holds the catalog failed: check it and try again"),
        NOMEM => (ErrorKind::Unavailable, "there is not enough memory: try again later"),
        INTERRUPT => (ErrorKind::Unavailable, "the catalog is closing: try again"),
        CONSTRAINT => (ErrorKind::Internal, "the catalog refused rows that contradict each other"),
        _ => (ErrorKind::Internal, "the catalog refused a statement"),
    }
}

/// A failure while the schema was brought up to date; `newest` is the newest version this build knows.
pub(super) fn migration(error: MigrateError, newest: i64) -> StoreError {
    let (kind, message) = match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            return failed("bring the catalog's schema up to date", error);
        }
        MigrateError::VersionMissing(found) => (
            ErrorKind::Conflict,
            format!(
                "the catalog has schema version {found} and this build knows versions up to {newest}: it was written by a \
                 newer release; use that release, or another data folder"
            ),
        ),
        MigrateError::VersionMismatch(version) => (
            ErrorKind::Conflict,
            format!(
                "the catalog was made with another schema version {version} than this build's: it was written by an \
                 unreleased build; use that build, or another data folder"
            ),
        ),
        _ => (ErrorKind::Internal, "the catalog's schema cannot be brought up to date".to_owned()),
    };
    StoreError::new(kind, message).with_source(error)
}

/// Turns sqlx's result into the store's.
pub(super) trait During<T> {
    /// `doing` completes "cannot …".
    fn during(self, doing: &str) -> crate::Result<T>;
}

impl<T> During<T> for Result<T, sqlx::Error> {
    fn during(self, doing: &str) -> crate::Result<T> {
        self.map_err(|error| failed(doing, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_damaged_file_are_told_apart() {
        let full = failed("write", std::io::Error::from(std::io::ErrorKind::StorageFull).into());
        assert_eq!((full.kind(), full.is_transient()), (ErrorKind::Unavailable, true));
        assert!(full.to_string().contains("full"), "{full}");
        assert_eq!(classify(CORRUPT).0, ErrorKind::Corrupt);
        assert_eq!(classify(LOCKED).0, ErrorKind::Unavailable);
    }
}
