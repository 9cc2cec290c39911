//! Fetches a model from a hub into the model folder: resumed when cut, verified, and put in place in one step.

mod catalog;
mod hub;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub use catalog::{Pullable, supported};
pub use hub::HubConfig;

use self::hub::{Hub, Snapshot};
use crate::error::{ErrorKind, ModelError, Result};
use crate::local::{FileEntry, MANIFEST, Manifest, ModelFolder, sha256_file};

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullProgress {
    /// The file on its way.
    pub file: String,
    /// Bytes of all files that are there.
    pub done: u64,
    /// Bytes of all files.
    pub total: u64,
}

/// How a pull ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulled {
    /// The model was there already, whole by its sizes; nothing was fetched.
    Present(PathBuf),
    /// The model was fetched.
    Fetched(PathBuf),
}

/// Fetches the model called `name` (see [`supported`]) into `models/` in `cache_dir`, calling `progress` as bytes
/// arrive. Files come from one revision of the hub's repository. What a cut download left is used by the next try. The
/// model's folder appears only when all of it is there and verified: sizes always, checksums where the hub names them
/// (it does for weights).
///
/// # Errors
///
/// `NotFound` for an unknown name or a file the hub lacks, `Unauthorized` for a model that needs a token, `Unavailable`
/// or `Timeout` when the hub can't be reached or offline mode is set, `Corrupt` for a wrong checksum.
pub async fn pull(
    name: &str,
    cache_dir: &Path,
    config: &HubConfig,
    progress: &mut (dyn FnMut(PullProgress) + Send),
) -> Result<Pulled> {
    let models = cache_dir.join("models");
    let wanted = catalog::find(name)?;
    let place = models.join(&wanted.name);
    if is_whole(&place) {
        return Ok(Pulled::Present(place));
    }
    let hub = Hub::new(config)?;
    let snapshot = hub.snapshot(&wanted.repository).await?;
    // Named by revision, so that what is left of one is never continued with another.
    let staging = models.join(format!("{}{}", staging_prefix(&wanted.name), short(&snapshot.revision)));
    fs_err::tokio::create_dir_all(&staging).await.map_err(|error| disk(&staging, error))?;

    let files = wanted.files();
    let total = files.iter().filter_map(|file| snapshot.file(file).ok()).map(|file| file.bytes).sum();
    let mut done = 0;
    let mut entries = BTreeMap::new();
    for file in &files {
        let promised = snapshot.file(file)?;
        let local = base_name(file);
        let path = staging.join(local);
        let mut report =
            |bytes: u64| progress(PullProgress { file: local.to_owned(), done: done + bytes, total });
        hub.download(&wanted.repository, &snapshot.revision, file, promised, &path, &mut report).await?;
        done += promised.bytes;
        let sha256 = checksum(path.clone()).await?;
        if let Some(expected) = promised.sha256.as_ref().filter(|expected| **expected != sha256) {
            fs_err::tokio::remove_file(&path).await.map_err(|error| disk(&path, error))?;
            return Err(ModelError::new(
                ErrorKind::Corrupt,
                format!(
                    "{local} of {name} came with the checksum {sha256} instead of {expected}; run the command again"
                ),
            ));
        }
        let onnx = *file == wanted.onnx_file;
        let entry = FileEntry {
            sha256,
            bytes: promised.bytes,
            quantization: onnx.then(|| wanted.precision.clone()),
            external: if onnx { wanted.external_files() } else { Vec::new() },
            output: wanted.output.clone().filter(|_| onnx),
        };
        entries.insert(local.to_owned(), entry);
    }
    let manifest = describe(&wanted, &snapshot, entries, &staging).await?;
    install(&staging, &place, &manifest).await?;
    remove_leftovers(&models, &wanted.name).await;
    Ok(Pulled::Fetched(place))
}

fn is_whole(place: &Path) -> bool {
    ModelFolder::open(place)
        .is_ok_and(|folder| folder.manifest().files.keys().all(|file| folder.check_size(file).is_ok()))
}

fn staging_prefix(name: &str) -> String {
    format!(".pull-{name}-")
}

/// Enough of a revision to tell two apart, in characters a file name may have.
fn short(revision: &str) -> String {
    revision.chars().filter(char::is_ascii_alphanumeric).take(8).collect()
}

/// A hub file's name in the model folder, which has no folders of its own.
fn base_name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

async fn checksum(path: PathBuf) -> Result<String> {
    let shown = path.clone();
    tokio::task::spawn_blocking(move || sha256_file(&path))
        .await
        .map_err(std::io::Error::other)
        .and_then(|read| read)
        .map_err(|error| disk(&shown, error))
}

/// The model's description, from the catalog, the hub and the tokenizer's own limit.
async fn describe(
    wanted: &Pullable,
    snapshot: &Snapshot,
    files: BTreeMap<String, FileEntry>,
    staging: &Path,
) -> Result<Manifest> {
    let path = staging.join("tokenizer_config.json");
    let text = fs_err::tokio::read(&path).await.map_err(|error| disk(&path, error))?;
    // Some configurations hold 1e30 for "no limit", which the catalog's own limit then replaces.
    let limit = serde_json::from_slice::<Value>(&text)
        .ok()
        .and_then(|config| config["model_max_length"].as_u64())
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    Ok(Manifest {
        name: wanted.name.clone(),
        license: snapshot.license.clone().unwrap_or_default(),
        kind: wanted.kind,
        dimension: wanted.dimension,
        max_tokens: wanted.max_tokens.min(limit),
        pooling: wanted.pooling,
        query_prefix: wanted.query_prefix.clone(),
        passage_prefix: wanted.passage_prefix.clone(),
        files,
    })
}

/// Writes the description and moves the folder into place. A damaged folder of the same name makes room.
async fn install(staging: &Path, place: &Path, manifest: &Manifest) -> Result<()> {
    let path = staging.join(MANIFEST);
    let text = serde_json::to_vec_pretty(manifest).map_err(|error| {
        ModelError::new(ErrorKind::Internal, "the model's description could not be written")
            .with_source(error)
    })?;
    fs_err::tokio::write(&path, text).await.map_err(|error| disk(&path, error))?;
    match fs_err::tokio::remove_dir_all(place).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(disk(place, error)),
        _ => {}
    }
    fs_err::tokio::rename(staging, place).await.map_err(|error| disk(place, error))
}

/// Removes what pulls of other revisions left. Failing to costs disk space only.
async fn remove_leftovers(models: &Path, name: &str) {
    let prefix = staging_prefix(name);
    let Ok(mut entries) = fs_err::tokio::read_dir(models).await else { return };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let left =
            entry.file_name().to_str().and_then(|name| name.strip_prefix(&prefix).map(str::len)) == Some(8);
        if left && let Err(error) = fs_err::tokio::remove_dir_all(entry.path()).await {
            tracing::warn!(%error, "what an earlier download left could not be removed");
        }
    }
}

fn disk(path: &Path, error: std::io::Error) -> ModelError {
    ModelError::new(
        ErrorKind::Unavailable,
        format!("{} can't be read or written; check space and rights of the cache folder", path.display()),
    )
    .with_source(error)
}

#[cfg(test)]
mod tests;
