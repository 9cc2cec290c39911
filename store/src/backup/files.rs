//! Files of a backup: hashed as they are written, rows compressed, original bytes in archives. All of it blocks.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::manifest::{FileEntry, TableEntry, damaged, hex};
use super::tables::Table;
use super::value::{Kind, Row, Value, read_row, write_row};
use crate::document::ContentHash;
use crate::error::{ErrorKind, Result, StoreError};
use crate::folder::unusable;
use crate::scope::TenantId;

/// Zstandard's own default: above it, files get a few per cent smaller and much slower.
const LEVEL: i32 = 3;
/// An archive is closed once it is this large.
const ARCHIVE: u64 = 1 << 30;
/// Rows are handed on once they weigh this much.
const BATCH_BYTES: usize = 4 << 20;
/// Rows are handed on at this number.
const BATCH_ROWS: usize = 1_000;

/// A file that is being written, with its hash and length so far.
struct Hashed {
    file: BufWriter<File>,
    hasher: Sha256,
    bytes: u64,
}

impl Hashed {
    fn create(path: &Path) -> Result<Self> {
        let file = File::options().write(true).create_new(true).open(path);
        let file = file.map_err(|e| unusable(path, "write", e))?;
        Ok(Self { file: BufWriter::new(file), hasher: Sha256::new(), bytes: 0 })
    }

    /// Syncs the file and says what it came to.
    fn end(self, file: String, path: &Path) -> Result<FileEntry> {
        let written = self.file.into_inner().map_err(std::io::IntoInnerError::into_error);
        written.and_then(|file| file.sync_all()).map_err(|e| unusable(path, "write", e))?;
        Ok(FileEntry { file, bytes: self.bytes, sha256: hex(&self.hasher.finalize()) })
    }
}

impl Write for Hashed {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.hasher.update(buffer.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Writes the rows that come, until nobody sends any more.
pub(super) fn write_rows(folder: &Path, table: &Table, mut rows: mpsc::Receiver<Row>) -> Result<TableEntry> {
    let file = format!("rows/{}.jsonl.zst", table.name);
    let path = folder.join(&file);
    let failed = |e| unusable(&path, "write", e);
    let mut out = zstd::Encoder::new(Hashed::create(&path)?, LEVEL).map_err(failed)?;
    let header: Vec<Value> = table.columns.iter().map(|column| Value::Text(column.name.to_owned())).collect();
    let mut line = Vec::new();
    write_row(&header, &mut line)?;
    let mut count = 0;
    while let Some(row) = rows.blocking_recv() {
        write_row(&row, &mut line)?;
        count += 1;
        if line.len() > 1 << 16 {
            out.write_all(&line).map_err(failed)?;
            line.clear();
        }
    }
    out.write_all(&line).map_err(failed)?;
    let stored = out.finish().map_err(failed)?.end(file, &path)?;
    Ok(TableEntry { name: table.name.to_owned(), rows: count, stored })
}

/// Reads a table's rows and sends them in batches; ends early where nobody listens. The file's checksum was compared before.
pub(super) fn read_rows(
    folder: &Path,
    table: &'static Table,
    entry: &TableEntry,
    to: &mpsc::Sender<Vec<Row>>,
) -> Result<()> {
    let path = folder.join(&entry.stored.file);
    let wrong = |what: &str| damaged(&path, what);
    let file = fs_err::File::open(&path).map_err(|e| unusable(&path, "read", e))?;
    let decoder = zstd::Decoder::new(file).map_err(|e| unusable(&path, "read", e))?;
    let mut lines = BufReader::with_capacity(1 << 18, decoder);
    let mut line = Vec::new();
    let mut next = |line: &mut Vec<u8>| {
        line.clear();
        lines.read_until(b'\n', line).map_err(|e| unusable(&path, "read", e))
    };
    next(&mut line)?;
    let names: Vec<String> =
        serde_json::from_slice(&line).map_err(|_| wrong("does not begin with its columns"))?;
    let mut columns: Vec<(usize, Kind)> = Vec::new();
    for name in &names {
        let place = table.columns.iter().position(|column| column.name == name);
        let found = place.and_then(|place| Some((place, table.columns.get(place)?.kind)));
        columns.push(found.ok_or_else(|| {
            let message = format!(
                "the backup has a column `{}.{name}` that this build does not know: use a newer release",
                table.name
            );
            StoreError::new(ErrorKind::Conflict, message)
        })?);
    }
    let (mut batch, mut weight, mut count) = (Vec::new(), 0, 0);
    while next(&mut line)? > 0 {
        let row = read_row(&line, &columns, table.columns.len())
            .ok_or_else(|| wrong("holds a line that is no row"))?;
        weight += row.iter().map(Value::weight).sum::<usize>();
        batch.push(row);
        count += 1;
        if (batch.len() >= BATCH_ROWS || weight >= BATCH_BYTES)
            && to.blocking_send(std::mem::take(&mut batch)).is_err()
        {
            return Ok(());
        }
        if batch.is_empty() {
            weight = 0;
        }
    }
    if count != entry.rows {
        return Err(wrong("has another number of rows than the manifest says"));
    }
    if !batch.is_empty() {
        // Nobody who listens: the failure is theirs to tell.
        let _ = to.blocking_send(batch);
    }
    Ok(())
}

/// One original.
pub(super) type Blob = (TenantId, ContentHash, Bytes);

/// Packs the blobs that come into archives, until nobody sends any more. Returns the archives and how many went in.
pub(super) fn write_blobs(folder: &Path, mut blobs: mpsc::Receiver<Blob>) -> Result<(Vec<FileEntry>, u64)> {
    let mut archives = Vec::new();
    let mut count = 0;
    let mut open: Option<(String, PathBuf, tar::Builder<Hashed>)> = None;
    while let Some((tenant, hash, bytes)) = blobs.blocking_recv() {
        let (file, path, mut archive) = match open.take() {
            Some(open) => open,
            None => {
                let file = format!("blobs/{:05}.tar", archives.len() + 1);
                let path = folder.join(&file);
                let archive = tar::Builder::new(Hashed::create(&path)?);
                (file, path, archive)
            }
        };
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        archive
            .append_data(&mut header, format!("{}/{}", tenant.as_str(), hash.to_hex()), bytes.as_ref())
            .map_err(|e| unusable(&path, "write", e))?;
        count += 1;
        if archive.get_ref().bytes >= ARCHIVE {
            archives.push(close(file, &path, archive)?);
        } else {
            open = Some((file, path, archive));
        }
    }
    if let Some((file, path, archive)) = open {
        archives.push(close(file, &path, archive)?);
    }
    Ok((archives, count))
}

fn close(file: String, path: &Path, archive: tar::Builder<Hashed>) -> Result<FileEntry> {
    archive.into_inner().map_err(|e| unusable(path, "write", e))?.end(file, path)
}

/// Reads an archive and sends what is in it; ends early where nobody listens.
pub(super) fn read_blobs(folder: &Path, entry: &FileEntry, to: &mpsc::Sender<Blob>) -> Result<()> {
    let path = folder.join(&entry.file);
    let failed = |e| unusable(&path, "read", e);
    let file = fs_err::File::open(&path).map_err(failed)?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    for member in archive.entries().map_err(failed)? {
        let mut member = member.map_err(failed)?;
        let name = member.path_bytes().into_owned();
        let named = std::str::from_utf8(&name).ok().and_then(|name| name.split_once('/')).and_then(
            |(tenant, hash)| Some((TenantId::new(tenant).ok()?, ContentHash::from_hex(hash).ok()?)),
        );
        let (tenant, hash) = named.ok_or_else(|| damaged(&path, "holds a member that is no blob"))?;
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).map_err(failed)?;
        if to.blocking_send((tenant, hash, Bytes::from(bytes))).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Compares a file with its length and checksum; `told` hears how many bytes were read.
pub(super) fn check_file(folder: &Path, entry: &FileEntry, mut told: impl FnMut(u64)) -> Result<()> {
    let path = folder.join(&entry.file);
    let mut file = match fs_err::File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(damaged(&path, "is missing")),
        Err(e) => return Err(unusable(&path, "read", e)),
    };
    let (mut hasher, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 18]);
    loop {
        let read = file.read(&mut buffer).map_err(|e| unusable(&path, "read", e))?;
        if read == 0 {
            break;
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
        told(read as u64);
    }
    if bytes != entry.bytes {
        return Err(damaged(&path, &format!("has {bytes} bytes instead of {}", entry.bytes)));
    }
    if hex(&hasher.finalize()) != entry.sha256 {
        return Err(damaged(&path, "is not what was written"));
    }
    Ok(())
}
