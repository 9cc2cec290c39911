//! What PostgreSQL's and sqlx's failures mean to a caller, and which of them another try may mend.

use sqlx::migrate::MigrateError;

use crate::error::{ErrorKind, StoreError};

/// A failure during `doing` (`"accept the document"`).
pub(crate) fn failed(doing: &str, error: sqlx::Error) -> StoreError {
    let (kind, why) = match &error {
        sqlx::Error::Database(database) => classify(database.code().as_deref().unwrap_or("")),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => (
            ErrorKind::Unavailable,
            "the connection to PostgreSQL failed: check that the server runs and can be reached",
        ),
        sqlx::Error::PoolTimedOut => (
            ErrorKind::Unavailable,
            "PostgreSQL gave no connection in time: check that it runs, try again, or send fewer requests at once",
        ),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            (ErrorKind::Unavailable, "the catalog is closed: restart the process")
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            (ErrorKind::Corrupt, "the catalog holds a value of the wrong type: run verify")
        }
        sqlx::Error::Configuration(_) => (ErrorKind::Invalid, "the database URL is wrong"),
        _ => (ErrorKind::Internal, "the catalog refused a statement"),
    };
    StoreError::new(kind, format!("cannot {doing}: {why}")).with_source(error)
}

/// By SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn classify(code: &str) -> (ErrorKind, &'static str) {
    match code {
        "40001" | "40P01" => {
            (ErrorKind::Unavailable, "too many writers were in each other's way: try again later")
        }
        "55P03" => (ErrorKind::Unavailable, "another transaction held what it needs for too long: try again"),
        "57014" => (ErrorKind::Timeout, "the statement took longer than `statement_timeout_seconds` allows"),
        "53100" => (ErrorKind::Unavailable, "PostgreSQL's disk is full: free space and try again"),
        "25006" => (ErrorKind::Unavailable, "this PostgreSQL server is read-only: name the primary"),
        "28000" | "28P01" => (ErrorKind::Unauthorized, "PostgreSQL refused the user or the password"),
        "3D000" => (ErrorKind::NotFound, "the database is not there: create it, or name another one"),
        "42501" => (
            ErrorKind::Unauthorized,
            "the database user lacks a right; for the schema it has to own the database, for daily work to be a member \
             of the role `wellspring_app`",
        ),
        "22021" => (ErrorKind::Invalid, "PostgreSQL's text holds no NUL: leave it out"),
        "XX001" | "XX002" => (ErrorKind::Corrupt, "PostgreSQL found damage: restore a backup"),
        _ => match code.get(..2).unwrap_or("") {
            "08" | "57" => {
                (ErrorKind::Unavailable, "the connection to PostgreSQL failed: check that the server runs")
            }
            "53" => (ErrorKind::Unavailable, "PostgreSQL is out of memory or connections: try again later"),
            "23" => (ErrorKind::Internal, "the catalog refused rows that contradict each other"),
            _ => (ErrorKind::Internal, "the catalog refused a statement"),
        },
    }
}

/// What a failed transaction, of which nothing was kept, may still come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It collided with another one: at once.
    Collided,
    /// The connection is gone: on another one, once the server is back.
    Disconnected,
    /// It would fail again.
    Never,
}

/// Whether a transaction that ended in `error` before its commit is worth another try.
pub(super) fn again(error: &StoreError) -> Again {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<sqlx::Error>());
    match cause {
        Some(sqlx::Error::Database(database)) => match database.code().as_deref() {
            Some("40001" | "40P01") => Again::Collided,
            // Shutting down, crashed, or not yet up.
            Some("57P01" | "57P02" | "57P03") => Again::Disconnected,
            Some(code) if code.starts_with("08") => Again::Disconnected,
            _ => Again::Never,
        },
        Some(sqlx::Error::Io(_)) => Again::Disconnected,
        _ => Again::Never,
    }
}

/// Whether there was no connection to be had in time.
pub(super) fn timed_out(error: &StoreError) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<sqlx::Error>());
    matches!(cause, Some(sqlx::Error::PoolTimedOut))
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
                 newer release; use that release, or another database"
            ),
        ),
        MigrateError::VersionMismatch(version) => (
            ErrorKind::Conflict,
            format!(
                "the catalog was made with another schema version {version} than this build's: it was written by an \
                 unreleased build; use that build, or another database"
            ),
        ),
        _ => (ErrorKind::Internal, "the catalog's schema cannot be brought up to date".to_owned()),
    };
    StoreError::new(kind, message).with_source(error)
}

/// Turns sqlx's result into the store's.
pub(crate) trait During<T> {
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
    fn what_another_try_may_mend_is_told_apart() {
        let gone = failed("write", std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
        assert_eq!((gone.kind(), again(&gone)), (ErrorKind::Unavailable, Again::Disconnected));
        let busy = failed("write", sqlx::Error::PoolTimedOut);
        assert_eq!((busy.kind(), again(&busy)), (ErrorKind::Unavailable, Again::Never));
        assert_eq!(again(&StoreError::new(ErrorKind::Conflict, "the lease is lost")), Again::Never);
        assert_eq!(classify("22021").0, ErrorKind::Invalid);
        assert_eq!(classify("53100").0, ErrorKind::Unavailable);
        assert_eq!(classify("23505").0, ErrorKind::Internal);
        assert_eq!(classify("57014").0, ErrorKind::Timeout);
    }
}
