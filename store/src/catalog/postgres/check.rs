//! Looks for damage within the catalog: rows that contradict each other, and texts that are not what was stored.

use sqlx::PgConnection;

use super::failure::During;
use super::text;
use crate::catalog::rows::values::hash;
use crate::document::ContentHash;
use crate::error::Result;

/// Lines reported per kind of damage; the rest is counted.
const SHOWN: usize = 20;

/// Each finds damaged rows and says what is wrong with them.
const CHECKS: &[&str] = &[
    "SELECT 'chunk ' || c.key || ' spans ' || c.start || '..' || c.stop || ' of a text of ' || v.text_bytes || ' bytes' \
     FROM chunks c JOIN versions v ON v.key = c.version_key \
     WHERE NOT c.replaced AND NOT (0 <= c.start AND c.start <= c.stop AND c.stop <= v.text_bytes)",
    "SELECT 'chunk ' || c.key || ' has no vector' FROM chunks c LEFT JOIN vectors x ON x.chunk_key = c.key \
     WHERE NOT c.replaced AND x.chunk_key IS NULL",
    "SELECT 'the vector of chunk ' || c.key || ' has ' || length(x.vector) || ' bytes instead of ' || (4 * l.dimension) \
     FROM vectors x JOIN chunks c ON c.key = x.chunk_key JOIN collections l ON l.key = c.collection_key \
     WHERE length(x.vector) <> 4 * l.dimension",
    "SELECT 'version ' || v.version || ' of document ' || v.document_key || ' has ' || count(c.key) || ' chunks from key ' \
        || coalesce(min(c.key)::text, 'none') || ' instead of ' || v.chunks || ' from ' || v.first_chunk \
     FROM versions v LEFT JOIN chunks c ON c.version_key = v.key AND NOT c.replaced WHERE v.state IN ('stored', 'visible') \
     GROUP BY v.key HAVING count(c.key) <> v.chunks \
        OR v.chunks > 0 AND (min(c.key) <> v.first_chunk OR max(c.key) <> v.first_chunk + v.chunks - 1)",
    "SELECT 'version ' || version || ' of document ' || document_key || ' is marked ' || state || ' and is not the one shown' \
     FROM versions v WHERE (state = 'visible') <> EXISTS (SELECT 1 FROM documents WHERE visible = v.key)",
    "SELECT 'collection ' || name || ' of tenant ' || tenant || ' counts ' || documents || ' documents and ' || chunks \
        || ' chunks and shows ' || d || ' and ' || n FROM ( \
        SELECT c.name, c.tenant, c.documents, c.chunks, count(v.key) AS d, coalesce(sum(v.chunks), 0) AS n \
        FROM collections c LEFT JOIN documents o ON o.collection_key = c.key LEFT JOIN versions v ON v.key = o.visible \
        WHERE c.deleted_at IS NULL GROUP BY c.key) \
     WHERE documents <> d OR chunks <> n",
    "SELECT 'version ' || v.version || ' of document ' || v.document_key || ' bears ' || count(n.hash) || ' names instead of ' \
        || CASE WHEN v.state IN ('stored', 'visible') THEN v.names ELSE 0 END \
     FROM versions v LEFT JOIN names n ON n.version_key = v.key AND n.kind BETWEEN 0 AND 5 \
     GROUP BY v.key HAVING count(n.hash) <> CASE WHEN v.state IN ('stored', 'visible') THEN v.names ELSE 0 END",
];

/// References are the database's to keep, and pages as well: ask `pg_amcheck`, and make clusters with data checksums.
pub(super) async fn check(connection: &mut PgConnection) -> Result<Vec<String>> {
    // Every row is read.
    sqlx::query("SET LOCAL statement_timeout = '1h'")
        .execute(&mut *connection)
        .await
        .during("check the catalog's rows")?;
    let mut damage = Vec::new();
    for check in CHECKS {
        let lines: Vec<String> = sqlx::query_scalar(*check)
            .fetch_all(&mut *connection)
            .await
            .during("check the catalog's rows")?;
        damage.extend(limited(lines.into_iter()));
    }
    let texts = texts(connection).await?;
    damage.extend(limited(texts.into_iter()));
    Ok(damage)
}

/// Reads every stored text again and compares it with its hash.
async fn texts(connection: &mut PgConnection) -> Result<Vec<String>> {
    let mut damage = Vec::new();
    let mut after = 0;
    loop {
        let next: Option<(i64, i64, i64, Vec<u8>)> = sqlx::query_as(
            "SELECT key, document_key, version, text_hash FROM versions \
             WHERE key > $1 AND state IN ('stored', 'visible') ORDER BY key LIMIT 1",
        )
        .bind(after)
        .fetch_optional(&mut *connection)
        .await
        .during("check the stored texts")?;
        let Some((key, document, version, expected)) = next else {
            return Ok(damage);
        };
        after = key;
        let whole = text::whole_if_readable(connection, key).await?.is_some_and(|text| {
            hash(&expected).is_ok_and(|expected| ContentHash::of(text.as_bytes()) == expected)
        });
        if !whole {
            damage
                .push(format!("the text of version {version} of document {document} is not what was stored"));
        }
    }
}

fn limited(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut shown: Vec<String> = lines.collect();
    if shown.len() > SHOWN {
        let more = shown.len() - SHOWN;
        shown.truncate(SHOWN);
        shown.push(format!("… and {more} more of this kind"));
    }
    shown
}
