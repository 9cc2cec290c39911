//! The manifest of a backup: what is in it, and the checksum of every file, its own included.
//!
//! `SHA256SUMS` beside it lists all of them in the form that `sha256sum --check` reads; the two must agree to the letter.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{ErrorKind, Result, StoreError};
use crate::folder::unusable;

/// The version of the format that this build writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";
const SUMS: &str = "SHA256SUMS";

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its path within the backup.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// The rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableEntry {
    /// Which table.
    pub name: String,
    /// How many.
    pub rows: u64,
    /// Where they are: lines of JSON, compressed with Zstandard; the first line names the columns.
    pub stored: FileEntry,
}

/// Original bytes of documents, in tar archives: each is a member named `tenant/hash`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobsEntry {
    /// How many.
    pub count: u64,
    /// The archives.
    pub stored: Vec<FileEntry>,
    /// Bytes that documents refer to and that were lost or damaged where the backup was taken, as `tenant/hash`.
    pub missing: Vec<String>,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format.
    pub format: u32,
    /// What wrote it: `wellspring 0.1.0`.
    pub software: String,
    /// The moment that it shows, RFC 3339 in UTC.
    pub cut_at: String,
    /// The same in microseconds since 1970.
    pub cut_at_micros: i64,
    /// Which catalog it was taken of, `sqlite` or `postgres`; it can be restored into either.
    pub taken_of: String,
    /// The last change of the catalog's sequence that it holds.
    pub sequence: i64,
    /// The last key that each counter gave out, by table.
    pub counters: BTreeMap<String, i64>,
    /// Rows, in the order in which they are restored.
    pub tables: Vec<TableEntry>,
    /// Original bytes.
    pub blobs: BlobsEntry,
}

impl Manifest {
    /// Every file besides the manifest itself.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        self.tables.iter().map(|table| &table.stored).chain(&self.blobs.stored)
    }

    /// Rows of a table; 0 for one that is not in it.
    pub fn rows(&self, table: &str) -> u64 {
        self.tables.iter().find(|entry| entry.name == table).map_or(0, |entry| entry.rows)
    }

    /// Bytes of all files besides the manifest.
    pub fn bytes(&self) -> u64 {
        self.files().map(|file| file.bytes).sum()
    }

    /// Writes it, and the list of checksums, into a folder, and syncs both. Blocks on the file system.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).map_err(|e| {
            StoreError::new(ErrorKind::Internal, "the manifest cannot be written as JSON").with_source(e)
        })?;
        text.push('\n');
        let sums = self.sums(text.as_bytes());
        for (name, text) in [(MANIFEST, text), (SUMS, sums)] {
            let path = folder.join(name);
            fs_err::File::create(&path)
                .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
                .map_err(|e| unusable(&path, "write", e))?;
        }
        Ok(())
    }

    fn sums(&self, manifest: &[u8]) -> String {
        let mut sums = format!("{}  {MANIFEST}\n", hex(&Sha256::digest(manifest)));
        for file in self.files() {
            sums.push_str(&format!("{}  {}\n", file.sha256, file.file));
        }
        sums
    }

    /// Reads and checks it; the other files are not looked at. `NotFound` if it is not there, `Conflict` for a newer format,
    /// `Corrupt` if it is not what was written. Blocks on the file system.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let text = read(folder, MANIFEST)?;
        let format = serde_json::from_slice::<serde_json::Value>(&text)
            .ok()
            .and_then(|manifest| manifest.get("format").and_then(serde_json::Value::as_u64));
        if let Some(newer) = format.filter(|&format| format > u64::from(FORMAT)) {
            return Err(StoreError::new(
                ErrorKind::Conflict,
                format!(
                    "the backup has format {newer} and this build reads up to {FORMAT}: restore it with the release that \
                     wrote it, or a newer one"
                ),
            ));
        }
        let manifest: Self = serde_json::from_slice(&text)
            .map_err(|e| damaged(&folder.join(MANIFEST), "is not what was written").with_source(e))?;
        if read(folder, SUMS)? != manifest.sums(&text).as_bytes() {
            return Err(damaged(&folder.join(SUMS), "does not fit the manifest"));
        }
        if manifest.format == 0 || !manifest.files().all(|file| is_inside(&file.file)) {
            return Err(damaged(&folder.join(MANIFEST), "names files outside the backup"));
        }
        Ok(manifest)
    }
}

/// Names that this module gives out: two parts, no tricks.
fn is_inside(file: &str) -> bool {
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    matches!(file.split_once('/'), Some((folder, name)) if plain(folder) && plain(name))
}

fn read(folder: &Path, name: &str) -> Result<Vec<u8>> {
    let path = folder.join(name);
    fs_err::read(&path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => StoreError::new(
            ErrorKind::NotFound,
            format!(
                "{} is not a finished backup: {name} is missing; name the folder that `backup` made",
                folder.display()
            ),
        ),
        _ => unusable(&path, "read", e),
    })
}

/// A file of a backup is not what was written.
pub(super) fn damaged(path: &Path, what: &str) -> StoreError {
    StoreError::new(
        ErrorKind::Corrupt,
        format!("the backup is damaged: {} {what}; nothing was restored, use another copy", path.display()),
    )
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for good in ["rows/documents.jsonl.zst", "blobs/00001.tar"] {
            assert!(is_inside(good), "{good}");
        }
        for bad in
            ["", "/etc/passwd", "rows/../x", "../x", "rows/a/b", "rows", "rows/.x", "C:/x", "rows\\x/y"]
        {
            assert!(!is_inside(bad), "{bad}");
        }
    }
}
