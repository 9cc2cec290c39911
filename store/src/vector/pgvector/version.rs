//! Which pgvector will do.

use sqlx::PgConnection;

use crate::catalog::postgres::During;
use crate::error::{ErrorKind, Result, StoreError};

/// Before 0.8.3 vacuuming could corrupt a graph, and before 0.8.4 it could leave one unrepaired or fail inserts beside it
/// (pgvector's change log).
const OLDEST: (u32, u32, u32) = (0, 8, 4);

/// Makes the extension if the server has it, and refuses one that is too old.
pub(super) async fn require(owner: &mut PgConnection) -> Result<()> {
    let offered: Option<String> =
        sqlx::query_scalar("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'")
            .fetch_optional(&mut *owner)
            .await
            .during("look for pgvector")?;
    if offered.is_none() {
        return Err(StoreError::new(
            ErrorKind::Invalid,
            "this PostgreSQL server has no pgvector: install 0.8.4 or newer, or keep vectors in another engine",
        ));
    }
    let made: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'vector')")
            .fetch_one(&mut *owner)
            .await
            .during("look for pgvector")?;
    if !made {
        make(owner).await?;
    }
    let version: String = sqlx::query_scalar("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        .fetch_one(owner)
        .await
        .during("look for pgvector")?;
    check(&version)
}

/// Where the server does not count it among the trusted ones, only a superuser may.
async fn make(owner: &mut PgConnection) -> Result<()> {
    sqlx::raw_sql(
        "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('wellspring pgvector', 0)); \
         CREATE EXTENSION IF NOT EXISTS vector; COMMIT",
    )
    .execute(&mut *owner)
    .await
    .during("make the extension pgvector (a superuser can, with `CREATE EXTENSION vector`)")?;
    Ok(())
}

fn check(version: &str) -> Result<()> {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    if (next(), next(), next()) >= OLDEST {
        return Ok(());
    }
    Err(StoreError::new(
        ErrorKind::Invalid,
        format!(
            "pgvector {version} is too old: before 0.8.4 vacuuming can damage a graph or fail inserts beside it; install 0.8.4 or \
             newer, then `ALTER EXTENSION vector UPDATE`"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_refused_with_the_reason() {
        for version in ["0.8.4", "0.8.5", "0.9.0", "1.0"] {
            check(version).unwrap();
        }
        for version in ["0.8.3", "0.7.9", "0.8", ""] {
            let refused = check(version).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid);
            assert!(refused.to_string().contains("0.8.4"), "{refused}");
        }
    }
}
