//! What was deleted since a backup was taken, told by the catalog that it was taken of as that is now.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use tokio::sync::mpsc;

use super::Source;
use super::files::read_rows;
use super::manifest::Manifest;
use super::tables::{Table, table};
use super::value::{Row, Value};
use crate::StoreConfig;
use crate::document::{CollectionName, ContentHash, DocumentId};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::TenantId;

/// Documents and collections of a backup that were deleted after it was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deletions {
    /// Whole collections.
    pub collections: Vec<(TenantId, CollectionName)>,
    /// Documents of other collections.
    pub documents: Vec<(TenantId, CollectionName, DocumentId)>,
}

/// Compares each document of the backup in `folder` with what the catalog of `from` knows of it. `Conflict` if that is not the
/// catalog that the backup was taken of, or is older than the backup.
pub(super) async fn since(manifest: &Manifest, folder: &Path, from: &StoreConfig) -> Result<Deletions> {
    let mut cut = Source::open(from).await?.cut;
    let now = cut.moment().counters.clone();
    let older = manifest.counters.iter().any(|(name, last)| now.get(name).copied().unwrap_or(0) < *last);
    if older {
        return Err(another("it is older than the backup, or another one"));
    }
    let living = cut.living_collections().await?;
    let purged = cut.purged(manifest.counters.get("purges").copied().unwrap_or(0)).await?;
    let mut deletions = Deletions::default();
    let mut collections = HashMap::new();
    let mut batches = batches(manifest, folder, "collections")?;
    while let Some(rows) = batches.rows.recv().await {
        for row in rows {
            let (key, tenant, name) = (
                integer(&row, batches.table, "key")?,
                text(&row, batches.table, "tenant")?,
                text(&row, batches.table, "name")?,
            );
            let named = (TenantId::new(tenant)?, CollectionName::new(name)?);
            if !living.contains(&key) {
                deletions.collections.push(named.clone());
            }
            collections.insert(key, named);
        }
    }
    batches.end().await?;
    let mut batches = self::batches(manifest, folder, "documents")?;
    while let Some(rows) = batches.rows.recv().await {
        let mut documents = Vec::with_capacity(rows.len());
        for row in rows {
            let key = integer(&row, batches.table, "key")?;
            let collection = integer(&row, batches.table, "collection_key")?;
            documents.push((key, collection, text(&row, batches.table, "id")?));
        }
        let keys: Vec<i64> = documents.iter().map(|(key, _, _)| *key).collect();
        let known = cut.known(&keys).await?;
        for (key, collection, id) in documents {
            let gone = match known.get(&key) {
                Some(known) if known.id == id => known.deleted,
                None if was_purged(&purged, key, &id) => true,
                // A purged collection leaves no trace of documents that were accepted only.
                None if !living.contains(&collection) => true,
                _ => return Err(another("it knows other documents")),
            };
            if gone && living.contains(&collection) {
                let (tenant, name) = collections
                    .get(&collection)
                    .cloned()
                    .ok_or_else(|| another("it knows other collections"))?;
                deletions.documents.push((tenant, name, DocumentId::new(id)?));
            }
        }
    }
    batches.end().await?;
    Ok(deletions)
}

fn was_purged(purged: &HashMap<i64, HashSet<Vec<u8>>>, key: i64, id: &str) -> bool {
    purged.get(&key).is_some_and(|hashes| hashes.contains(ContentHash::of(id.as_bytes()).0.as_slice()))
}

fn another(why: &str) -> StoreError {
    StoreError::new(
        ErrorKind::Conflict,
        format!(
            "the catalog that should tell the deletions is not the one that the backup was taken of: {why}"
        ),
    )
}

/// Rows of one table of the backup, as they are read.
struct Batches {
    table: &'static Table,
    rows: mpsc::Receiver<Vec<Row>>,
    reading: tokio::task::JoinHandle<Result<()>>,
}

impl Batches {
    async fn end(self) -> Result<()> {
        self.reading.await.map_err(|e| {
            StoreError::new(ErrorKind::Internal, "reading the backup stopped in the middle; see the log")
                .with_source(e)
        })?
    }
}

fn batches(manifest: &Manifest, folder: &Path, name: &str) -> Result<Batches> {
    let entry = manifest.tables.iter().find(|entry| entry.name == name).cloned();
    let (Some(table), Some(entry)) = (table(name), entry) else {
        return Err(StoreError::new(
            ErrorKind::Corrupt,
            format!("the backup has no table `{name}`: use another copy"),
        ));
    };
    let (send, rows) = mpsc::channel(2);
    let folder = folder.to_owned();
    let reading = tokio::task::spawn_blocking(move || read_rows(&folder, table, &entry, &send));
    Ok(Batches { table, rows, reading })
}

fn element<'r>(row: &'r Row, table: &Table, name: &str) -> Option<&'r Value> {
    row.get(table.columns.iter().position(|column| column.name == name)?)
}

fn integer(row: &Row, table: &Table, name: &str) -> Result<i64> {
    match element(row, table, name) {
        Some(Value::Integer(number)) => Ok(*number),
        _ => Err(unreadable(table, name)),
    }
}

fn text(row: &Row, table: &Table, name: &str) -> Result<String> {
    match element(row, table, name) {
        Some(Value::Text(text)) => Ok(text.clone()),
        _ => Err(unreadable(table, name)),
    }
}

fn unreadable(table: &Table, name: &str) -> StoreError {
    StoreError::new(
        ErrorKind::Corrupt,
        format!("a row of the backup has no `{}.{name}`: use another copy", table.name),
    )
}
