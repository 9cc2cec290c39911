//! Takes an upload apart, within limits, into files that never get a name on this machine.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc::Sender;
use wellspring_store::ContentHash;
use zip::ZipArchive;

use super::directory;
use crate::problem::{Code, Problem};

/// Bytes copied at a time.
const COPY: usize = 64 << 10;
/// Entries of a directory for each file that may be in it: folders, and what is left out, are entries too.
const FOLDERS: u64 = 4;

/// What an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Zip,
    Tar,
    /// One JSON document per line.
    Lines,
}

/// Bounds on what comes out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Entries.
    pub(super) entries: usize,
    /// Bytes of all entries.
    pub(super) bytes: u64,
    /// Bytes of one.
    pub(super) entry: u64,
}

/// One entry, or why it is none.
pub(super) struct Entry {
    /// Its path in the archive, or `line 7`.
    pub(super) name: String,
    pub(super) member: Result<Member, Problem>,
}

/// An entry's content.
pub(super) enum Member {
    /// An unnamed file at its beginning, and the hash of its bytes.
    File {
        file: File,
        hash: ContentHash,
    },
    Line(Bytes),
}

/// Sends one entry after the other; the receiver's absence ends it. An error is about the upload as a whole. Blocking.
pub(super) fn unpack(
    kind: Kind,
    file: File,
    scratch: &Path,
    limits: Limits,
    entries: &Sender<Entry>,
) -> Result<(), Problem> {
    let mut unpacker = Unpacker { scratch, limits, entries, count: 0, bytes: 0 };
    match kind {
        Kind::Zip => unpacker.zip(file),
        Kind::Tar => unpacker.tar(file),
        Kind::Lines => unpacker.lines(file),
    }
}

struct Unpacker<'a> {
    scratch: &'a Path,
    limits: Limits,
    entries: &'a Sender<Entry>,
    count: usize,
    bytes: u64,
}

impl Unpacker<'_> {
    fn zip(&mut self, mut file: File) -> Result<(), Problem> {
        // The whole directory is read at once; what it says of itself bounds that.
        let told = directory::entries(&mut file).map_err(unreadable)?;
        let Some(told) = told else {
            let detail = "the ZIP archive can't be read: it ends without its directory";
            return Err(Problem::new(Code::BadRequest, detail));
        };
        let most = (self.limits.entries as u64).saturating_mul(FOLDERS);
        if told > most {
            let detail = format!(
                "the archive has {told} entries, the limit here is {most} with folders (`bulk.max_entries`)"
            );
            return Err(Problem::new(Code::TooLarge, detail));
        }
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| {
            Problem::new(Code::BadRequest, format!("the ZIP archive can't be read: {error}"))
        })?;
        for index in 0..archive.len() {
            let mut member = match archive.by_index(index) {
                Ok(member) => member,
                Err(error) => {
                    let problem = Problem::new(Code::Invalid, format!("it can't be unpacked: {error}"));
                    if !self.send(format!("entry {}", index + 1), Err(problem))? {
                        return Ok(());
                    }
                    continue;
                }
            };
            let Ok(name) = member.name().map(|name| name.into_owned()) else { continue };
            if member.is_dir() || member.is_symlink() || is_hidden(&name) {
                continue;
            }
            let content = self.member(&name, &mut member)?;
            if !self.send(name, content)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn tar(&mut self, file: File) -> Result<(), Problem> {
        let broken = |error: std::io::Error| {
            Problem::new(Code::BadRequest, format!("the tar archive can't be read: {error}"))
        };
        let mut archive = tar::Archive::new(BufReader::new(file));
        for member in archive.entries().map_err(broken)? {
            let mut member = member.map_err(broken)?;
            if !member.header().entry_type().is_file() {
                continue;
            }
            let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
            if is_hidden(&name) {
                continue;
            }
            let content = self.member(&name, &mut member)?;
            if !self.send(name, content)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn lines(&mut self, file: File) -> Result<(), Problem> {
        let mut reader = BufReader::new(file);
        for number in 1.. {
            let mut line = Vec::new();
            let limit = self.limits.entry;
            let read = reader.by_ref().take(limit + 1).read_until(b'\n', &mut line).map_err(unreadable)?;
            if read == 0 {
                return Ok(());
            }
            let name = format!("line {number}");
            if line.len() as u64 > limit {
                // The rest of the line is no line of its own.
                if line.last() != Some(&b'\n') {
                    reader.skip_until(b'\n').map_err(unreadable)?;
                }
                let detail = format!(
                    "the line is longer than {limit} bytes, the limit here (`server.max_json_bytes`)"
                );
                if !self.send(name, Err(Problem::new(Code::TooLarge, detail)))? {
                    return Ok(());
                }
                continue;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            self.spend(line.len() as u64)?;
            if !self.send(name, Ok(Member::Line(line.into())))? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The member's bytes in a file of their own. The outer error ends the upload, the inner one the entry.
    fn member(&mut self, name: &str, content: &mut impl Read) -> Result<Result<Member, Problem>, Problem> {
        if !is_plain(name) {
            let detail = "its path is absolute, leads upwards or holds a backslash: it can't be an id";
            return Ok(Err(Problem::new(Code::Invalid, detail)));
        }
        let mut file = tempfile::tempfile_in(self.scratch).map_err(unreadable)?;
        let mut hasher = blake3::Hasher::new();
        let (mut buffer, mut size) = (vec![0; COPY], 0);
        loop {
            let read = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => {
                    return Ok(Err(Problem::new(Code::Invalid, format!("it can't be unpacked: {error}"))));
                }
            };
            size += read as u64;
            if size > self.limits.entry {
                let detail = format!(
                    "it is larger than {} bytes, the limit here (`ingest.max_upload_bytes`)",
                    self.limits.entry
                );
                return Ok(Err(Problem::new(Code::TooLarge, detail)));
            }
            self.spend(read as u64)?;
            hasher.update(&buffer[..read]);
            file.write_all(&buffer[..read]).map_err(unreadable)?;
        }
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        Ok(Ok(Member::File { file, hash: ContentHash(*hasher.finalize().as_bytes()) }))
    }

    fn spend(&mut self, bytes: u64) -> Result<(), Problem> {
        self.bytes += bytes;
        if self.bytes <= self.limits.bytes {
            return Ok(());
        }
        let detail = format!(
            "the upload unpacks to more than {} bytes, the limit here (`bulk.max_unpacked_bytes`); what came before \
             was accepted",
            self.limits.bytes
        );
        Err(Problem::new(Code::TooLarge, detail))
    }

    /// Whether somebody still listens.
    fn send(&mut self, name: String, member: Result<Member, Problem>) -> Result<bool, Problem> {
        self.count += 1;
        if self.count > self.limits.entries {
            let detail = format!(
                "the upload has more than {} entries, the limit here (`bulk.max_entries`); what came before was accepted",
                self.limits.entries
            );
            return Err(Problem::new(Code::TooLarge, detail));
        }
        Ok(self.entries.blocking_send(Entry { name, member }).is_ok())
    }
}

/// Whether a path is one of names below the root, as an id is.
fn is_plain(name: &str) -> bool {
    !name.contains('\\') && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// What file managers and editors leave behind.
fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part == "__MACOSX" || part.starts_with('.') && !matches!(part, "." | ".."))
}

fn unreadable(error: std::io::Error) -> Problem {
    let message = format!("the upload can't be unpacked into the data folder: {error}");
    wellspring_store::StoreError::new(wellspring_store::ErrorKind::Unavailable, message)
        .with_source(error)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { entries: 3, bytes: 100, entry: 50 };

    fn taken(kind: Kind, bytes: &[u8], limits: Limits) -> (Vec<(String, String)>, Option<&'static str>) {
        let folder = tempfile::tempdir().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let (sender, mut entries) = tokio::sync::mpsc::channel(100);
        let whole = unpack(kind, file, folder.path(), limits, &sender);
        drop(sender);
        let mut found = Vec::new();
        while let Some(entry) = entries.blocking_recv() {
            let content = match entry.member {
                Ok(Member::File { mut file, hash }) => {
                    let mut text = String::new();
                    file.read_to_string(&mut text).unwrap();
                    assert_eq!(hash, ContentHash::of(text.as_bytes()));
                    text
                }
                Ok(Member::Line(line)) => String::from_utf8_lossy(&line).trim_end().to_owned(),
                Err(problem) => problem.code().to_owned(),
            };
            found.push((entry.name, content));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        (found, whole.err().map(|problem| problem.code()))
    }

    fn tar(members: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, text) in members {
            let mut header = tar::Header::new_gnu();
            // `set_path` refuses what an attacker would write.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn files_come_out_and_paths_that_lead_away_do_not() {
        let bytes =
            tar(&[("a/b.md", "one"), ("../../etc/passwd", "two"), (".git/config", "three"), ("/x", "four")]);
        let (found, whole) = taken(Kind::Tar, &bytes, LIMITS);
        assert_eq!(found, pairs(&[("a/b.md", "one"), ("../../etc/passwd", "invalid"), ("/x", "invalid")]));
        assert_eq!(whole, None);
    }

    #[test]
    fn limits_are_kept() {
        let long = "x".repeat(51);
        let bytes = tar(&[("a", &long), ("b", "ok")]);
        assert_eq!(taken(Kind::Tar, &bytes, LIMITS).0, pairs(&[("a", "too-large"), ("b", "ok")]));
        let bytes = tar(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
        assert_eq!(taken(Kind::Tar, &bytes, LIMITS).1, Some("too-large"));
        let half = "x".repeat(40);
        let bytes = tar(&[("a", &half), ("b", &half), ("c", &half)]);
        let (found, whole) = taken(Kind::Tar, &bytes, LIMITS);
        assert_eq!((found.len(), whole), (2, Some("too-large")));
    }

    #[test]
    fn lines_are_counted_from_one_and_long_ones_are_told() {
        let text = format!("{{\"a\":1}}\n\n{}\nlast", "y".repeat(80));
        let (found, whole) = taken(Kind::Lines, text.as_bytes(), LIMITS);
        assert_eq!(found, pairs(&[("line 1", "{\"a\":1}"), ("line 3", "too-large"), ("line 4", "last")]));
        assert_eq!(whole, None);
    }

    #[test]
    fn what_is_no_archive_is_a_bad_request() {
        assert_eq!(taken(Kind::Zip, b"PK no", LIMITS).1, Some("bad-request"));
        assert_eq!(taken(Kind::Tar, &[b'x'; 600], LIMITS).1, Some("bad-request"));
    }
}
