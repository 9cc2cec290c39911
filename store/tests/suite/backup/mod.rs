//! Backups: what comes back is what was there, from either catalog into either, and never from damaged files.

mod damage;
mod load;
#[cfg(target_os = "linux")]
mod moved;
mod restored;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use wellspring_store::backup::{Manifest, RestoreOptions, Restored, restore, take};
use wellspring_store::catalog::IndexKind;
use wellspring_store::keyword::KeywordQuery;
use wellspring_store::vector::VectorQuery;
use wellspring_store::verify::{VerifyOptions, verify};
use wellspring_store::{ChunkKey, CollectionScope, Result, Store, StoreConfig};

use crate::world::{self, embed};

/// Everything is looked at, whatever its age.
pub(crate) const LOOK: VerifyOptions =
    VerifyOptions { repair: false, orphan_grace: std::time::Duration::ZERO };

pub(crate) fn config(folder: &Path) -> StoreConfig {
    StoreConfig::new(folder, "test")
}

pub(crate) async fn taken(from: &StoreConfig, to: &Path) -> Manifest {
    take(from, to, "wellspring test", None).await.unwrap()
}

pub(crate) async fn restored(into: &StoreConfig, from: &Path) -> Result<Restored> {
    restore(into, from, RestoreOptions::default()).await
}

/// A data folder with documents, some updated and some deleted, and a row or two in every other table.
pub(crate) async fn filled(folder: &Path) {
    let store = world::open(folder).await;
    let scope = world::collection(&store, "docs").await;
    world::fill(&store, &scope).await;
    world::collection(&store, "empty").await;
    while store.purge_once(100).await.unwrap().versions > 0 {}
    world::close(store).await;
    let mut connection =
        SqliteConnectOptions::new().filename(folder.join("catalog.db")).connect().await.unwrap();
    sqlx::raw_sql(include_str!("rows.sql")).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// What searches in both indexes find, with scores. The keyword index is built anew first: until deleted chunks are merged
/// away they count in the statistics behind its scores.
pub(crate) async fn found(store: &Store, scope: &CollectionScope) -> Vec<Vec<(ChunkKey, f32)>> {
    store.indexes.rebuild(scope, IndexKind::Keyword, None).await.unwrap();
    let mut found: Vec<Vec<(ChunkKey, f32)>> = Vec::new();
    for number in 0..40 {
        let text =
            format!("{} {number}", ["valve", "compressor", "serial S-52", "pump replaced"][number % 4]);
        let vector = embed(&text);
        let query = VectorQuery { vector: &vector, k: 8, among: None };
        let hits = store.indexes.vector(scope).await.unwrap().search(query).await.unwrap();
        found.push(hits.iter().map(|hit| (hit.key, hit.score)).collect());
        let query = KeywordQuery::new(&text, 20);
        let hits = store.indexes.keyword(scope).await.unwrap().search(query).await.unwrap();
        found.push(hits.iter().map(|hit| (hit.key, hit.score)).collect());
    }
    assert!(found.iter().any(|hits| hits.len() > 5));
    found
}

/// Opens what was restored and finds nothing wrong with it.
pub(crate) async fn clean(config: StoreConfig) -> Store {
    let store = Store::open(config).await.unwrap();
    let report = verify(&store, None, LOOK, None).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert!(report.blobs > 0 && report.entries > 0, "{report:?}");
    store
}

/// The lines of every table of a backup, by name; the first one names the columns.
pub(crate) fn tables(backup: &Path) -> BTreeMap<String, Vec<String>> {
    fs_err::read_dir(backup.join("rows"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().trim_end_matches(".jsonl.zst").to_owned();
            let mut text = String::new();
            zstd::Decoder::new(fs_err::File::open(&path).unwrap())
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            // Filters' fields have no order of their own.
            if name == "fields" {
                lines[1..].sort_unstable();
            }
            (name, lines)
        })
        .collect()
}
