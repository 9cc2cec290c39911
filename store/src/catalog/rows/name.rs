//! Rows of names, and of versions that still have to be named.

use std::collections::BTreeMap;

use sqlx::FromRow;

use crate::document::{ChunkKey, DocumentKey};
use crate::error::{ErrorKind, Result, StoreError};
use crate::names::{Bearer, NameHash, NameKind};

#[derive(FromRow)]
pub(crate) struct NameRow {
    pub(crate) hash: i64,
    pub(crate) kind: i64,
    pub(crate) ordinal: Option<i64>,
    pub(crate) document_key: i64,
    pub(crate) first_chunk: i64,
    pub(crate) chunks: i64,
}

#[derive(FromRow)]
pub(crate) struct Unnamed {
    pub(crate) key: i64,
    pub(crate) collection_key: i64,
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) title: Option<String>,
}

/// Bearers by name, in the order of the rows, without the names that more than `most` bear.
pub(crate) fn bearers(rows: Vec<NameRow>, most: usize) -> Result<Vec<Bearer>> {
    let mut by_name: BTreeMap<i64, Vec<Bearer>> = BTreeMap::new();
    for row in rows {
        let kind = NameKind::of_number(row.kind).ok_or_else(|| {
            StoreError::new(ErrorKind::Corrupt, "the catalog holds a name of no known kind: run verify")
        })?;
        let chunk = row.ordinal.filter(|ordinal| (0..row.chunks).contains(ordinal));
        by_name.entry(row.hash).or_default().push(Bearer {
            name: NameHash(row.hash),
            kind,
            document: DocumentKey(row.document_key),
            chunks: row.first_chunk..row.first_chunk + row.chunks,
            chunk: chunk.map(|ordinal| ChunkKey(row.first_chunk + ordinal)),
        });
    }
    Ok(by_name.into_values().filter(|bearers| bearers.len() <= most).flatten().collect())
}
