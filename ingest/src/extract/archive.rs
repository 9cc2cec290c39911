//! Reads members of ZIP containers within limits on count, unpacked size and ratio; names are keys, never paths.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{Failure, Limits, Reason};

/// Members above this size must not be packed tighter than [`Limits::max_ratio`].
const RATIO_FLOOR: u64 = 1024 * 1024;

/// An opened container that counts what has been unpacked from it.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    limits: &'a Limits,
    unpacked: u64,
}

impl<'a> Archive<'a> {
    /// Opens a container.
    ///
    /// # Errors
    /// `Corrupt` when it has no readable directory, `LimitExceeded` when it has too many members or declares more
    /// unpacked bytes than allowed.
    pub(super) fn open(bytes: &'a [u8], limits: &'a Limits) -> Result<Self, Failure> {
        let zip = ZipArchive::new(Cursor::new(bytes))
            .map_err(|e| Failure::corrupt(format!("the container cannot be opened: {e}")))?;
        if zip.len() > limits.max_archive_entries {
            return Err(Failure::limit(format!(
                "the container has {} members, the limit is {} (max_archive_entries)",
                zip.len(),
                limits.max_archive_entries
            )));
        }
        Ok(Self { zip, limits, unpacked: 0 })
    }

    /// Names of all members, in the order of the directory.
    pub(super) fn names(&self) -> Vec<String> {
        (0..self.zip.len()).filter_map(|i| self.zip.name_for_index(i)?.ok().map(|n| n.into_owned())).collect()
    }

    /// The bytes of a member, `None` when there is none of that name.
    ///
    /// # Errors
    /// `LimitExceeded` when it unpacks to too much, `Encrypted`, or `Corrupt` when it cannot be unpacked.
    pub(super) fn member(&mut self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let budget = self.limits.max_archive_bytes.saturating_sub(self.unpacked);
        let file = match self.zip.by_name(name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(ZipError::UnsupportedArchive(why)) if why.contains("assword") => {
                return Err(Failure::new(Reason::Encrypted, "the container needs a password"));
            }
            Err(error) => {
                return Err(Failure::corrupt(format!("a member of the container cannot be read: {error}")));
            }
        };
        let packed = file.compressed_size().max(1);
        let allowed = budget.min(RATIO_FLOOR.max(packed.saturating_mul(self.limits.max_ratio)));
        let mut bytes = Vec::with_capacity(file.size().min(allowed).min(16 * RATIO_FLOOR) as usize);
        let read = file.take(allowed + 1).read_to_end(&mut bytes);
        if bytes.len() as u64 > allowed {
            let limit = if allowed == budget { "max_archive_bytes" } else { "max_ratio" };
            return Err(Failure::limit(format!(
                "a member of the container unpacks to more than {allowed} bytes ({limit})"
            )));
        }
        read.map_err(|e| Failure::corrupt(format!("a member of the container is damaged: {e}")))?;
        self.unpacked += bytes.len() as u64;
        Ok(Some(bytes))
    }

    /// Checks the declared sizes of all members, for readers that unpack on their own.
    ///
    /// # Errors
    /// `LimitExceeded` naming the limit.
    pub(super) fn check_declared(&mut self) -> Result<(), Failure> {
        let mut total = 0_u64;
        for index in 0..self.zip.len() {
            let Ok(file) = self.zip.by_index_raw(index) else { continue };
            let (size, packed) = (file.size(), file.compressed_size().max(1));
            total = total.saturating_add(size);
            if size > RATIO_FLOOR && size / packed > self.limits.max_ratio {
                return Err(Failure::limit(format!(
                    "a member of the container unpacks to {} times its size, the limit is {} (max_ratio)",
                    size / packed,
                    self.limits.max_ratio
                )));
            }
        }
        if total > self.limits.max_archive_bytes {
            return Err(Failure::limit(format!(
                "the container unpacks to {total} bytes, the limit is {} (max_archive_bytes)",
                self.limits.max_archive_bytes
            )));
        }
        Ok(())
    }
}

/// Resolves a relationship or link target against the folder of the part that names it: `../media/a.xml`, `/word/b.xml`.
pub(super) fn resolve(base: &str, target: &str) -> String {
    let target = target.split(['#', '?']).next().unwrap_or_default();
    let mut parts: Vec<&str> = Vec::new();
    if !target.starts_with('/')
        && let Some((folder, _)) = base.rsplit_once('/')
    {
        parts.extend(folder.split('/'));
    }
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}
