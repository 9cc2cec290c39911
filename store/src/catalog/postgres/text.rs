//! Stored text in pieces: how it is cut, and which pieces a chunk needs.

use sqlx::PgConnection;

use super::failure::During;
use crate::catalog::rows::chunk::utf8;
use crate::catalog::rows::values::signed;
use crate::error::Result;

/// Bytes of a piece. The schema and the statements below know the number; it is part of the format.
pub(super) const PIECE: usize = 8192;

/// The part of a piece `s` that lies within a chunk `c`, and the join that finds the pieces of a chunk.
macro_rules! pieces {
    () => {
        "substr(s.bytes, (1 + greatest(0, c.start - 8192 * s.number))::int, \
            greatest(0, least(c.stop, 8192 * (s.number + 1)) - greatest(c.start, 8192 * s.number))::int)"
    };
    (join) => {
        " LEFT JOIN segments s ON s.version_key = c.version_key AND s.number BETWEEN c.start / 8192 AND (c.stop - 1) / 8192 "
    };
}
pub(super) use pieces;

/// Puts a version's text in place of what it had.
pub(super) async fn store(connection: &mut PgConnection, version: i64, text: &str) -> Result<()> {
    sqlx::query("DELETE FROM segments WHERE version_key = $1")
        .bind(version)
        .execute(&mut *connection)
        .await
        .during("store the text")?;
    let pieces = signed(text.len().div_ceil(PIECE))?;
    sqlx::query(
        "INSERT INTO segments (version_key, number, bytes) \
         SELECT $1, number, substr($2, (1 + 8192 * number)::int, 8192) FROM generate_series(0, $3 - 1) number",
    )
    .bind(version)
    .bind(text.as_bytes())
    .bind(pieces)
    .execute(connection)
    .await
    .during("store the text")?;
    Ok(())
}

/// A version's bytes `start..end`, fewer where the text ends earlier.
pub(super) async fn span(
    connection: &mut PgConnection,
    version: i64,
    start: usize,
    end: usize,
) -> Result<Vec<u8>> {
    if start >= end {
        return Ok(Vec::new());
    }
    let first = start / PIECE;
    let pieces: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT bytes FROM segments WHERE version_key = $1 AND number BETWEEN $2 AND $3 ORDER BY number",
    )
    .bind(version)
    .bind(signed(first)?)
    .bind(signed((end - 1) / PIECE)?)
    .fetch_all(connection)
    .await
    .during("read the text")?;
    let mut bytes = pieces.concat();
    bytes.truncate(end - first * PIECE);
    bytes.drain(..(start - first * PIECE).min(bytes.len()));
    Ok(bytes)
}

/// Like [`whole`], and `None` where it can't be read. An error of the database would end the transaction, so this is tried
/// within a savepoint.
pub(super) async fn whole_if_readable(connection: &mut PgConnection, version: i64) -> Result<Option<String>> {
    let mut attempt = sqlx::Connection::begin(connection).await.during("read the text")?;
    let text = whole(&mut attempt, version).await.ok();
    attempt.rollback().await.during("read the text")?;
    Ok(text)
}

/// A version's whole text.
pub(super) async fn whole(connection: &mut PgConnection, version: i64) -> Result<String> {
    let pieces: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT bytes FROM segments WHERE version_key = $1 ORDER BY number")
            .bind(version)
            .fetch_all(connection)
            .await
            .during("read the text")?;
    utf8(pieces.concat())
}
