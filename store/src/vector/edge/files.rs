//! The files beside a qdrant-edge shard: the watermark, which it has no place for, and the size of its log.

use std::io::Write;
use std::path::Path;

use crate::document::Seq;
use crate::error::{ErrorKind, Result, StoreError};

/// Bytes that the log may grow to whatever the size of the index.
pub(super) const LOG_ALLOWANCE: u64 = 256 << 20;

const WATERMARK: &str = "watermark";

/// Replaces the watermark: after this returns, it survives a power cut.
pub(super) fn write_watermark(folder: &Path, seq: Seq) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(file, "{}", seq.0)?;
        file.as_file().sync_all()?;
        file.persist(folder.join(WATERMARK))?;
        fs_err::File::open(folder)?.sync_all()
    };
    write().map_err(unusable)
}

/// `Corrupt` if there is none or it is no number.
pub(super) fn read_watermark(folder: &Path) -> Result<Seq> {
    let text = fs_err::read_to_string(folder.join(WATERMARK)).map_err(|e| {
        StoreError::new(ErrorKind::Corrupt, "a vector index has lost its watermark; it is rebuilt")
            .with_source(e)
    })?;
    text.trim().parse().map(Seq).map_err(|e| {
        StoreError::new(ErrorKind::Corrupt, "a vector index's watermark is not a number; it is rebuilt")
            .with_source(e)
    })
}

/// Bytes of the files in the log's folder; 0 if it can't be read.
pub(super) fn log_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs_err::read_dir(folder) else { return 0 };
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|file| file.len()).sum()
}

pub(super) fn unusable(source: std::io::Error) -> StoreError {
    StoreError::new(ErrorKind::Unavailable, "a vector index can't be written; check its disk and permissions")
        .with_source(source)
}
