//! How many entries a ZIP archive says that it has, read before anything is made for each of them.

use std::io::{Read, Seek, SeekFrom};

/// The record at the end without its comment, and the longest comment.
const END: usize = 22;
const COMMENT: usize = u16::MAX as usize;
/// What leads to the record of an archive beyond the old limits, and how much of that record is read.
const LOCATOR: usize = 20;
const END_64: usize = 40;

/// The entries of the central directory (PKWARE's APPNOTE 4.3.14 and 4.3.16), folders included; `None` where the file does
/// not end as an archive does. Leaves the position anywhere.
pub(super) fn entries(file: &mut (impl Read + Seek)) -> std::io::Result<Option<u64>> {
    let length = file.seek(SeekFrom::End(0))?;
    let tail = length.min((LOCATOR + END + COMMENT) as u64);
    file.seek(SeekFrom::Start(length - tail))?;
    let mut bytes = Vec::new();
    file.take(tail).read_to_end(&mut bytes)?;
    let ends = |at: &usize| {
        bytes[*at..].starts_with(b"PK\x05\x06")
            && number(&bytes, at + 20, 2).is_some_and(|comment| comment <= (bytes.len() - at - END) as u64)
    };
    let Some(end) = (0..(bytes.len() + 1).saturating_sub(END)).rev().find(ends) else { return Ok(None) };
    let entries = number(&bytes, end + 10, 2);
    // Either of the three may send a reader to the larger record.
    let full = |at| number(&bytes, at, 4) == Some(u64::from(u32::MAX));
    if entries != Some(u64::from(u16::MAX)) && !full(end + 12) && !full(end + 16) {
        return Ok(entries);
    }
    let locator = end.checked_sub(LOCATOR).filter(|at| bytes[*at..].starts_with(b"PK\x06\x07"));
    let Some(at) = locator.and_then(|at| number(&bytes, at + 8, 8)) else { return Ok(entries) };
    file.seek(SeekFrom::Start(at))?;
    let mut record = Vec::new();
    file.take(END_64 as u64).read_to_end(&mut record)?;
    Ok(number(&record, 32, 8).filter(|_| record.starts_with(b"PK\x06\x06")))
}

/// The little-endian number of `size` bytes.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + size)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    fn archive(entries: usize, comment: &str) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for number in 0..entries {
            writer.start_file(format!("{number}"), SimpleFileOptions::default()).unwrap();
            writer.write_all(b"x").unwrap();
        }
        writer.set_comment(comment).unwrap();
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn entries_are_counted_as_the_archive_says() {
        for (count, comment) in [(0, ""), (3, ""), (7, "PK\u{5}\u{6} in a comment"), (70_000, "many")] {
            let found = entries(&mut Cursor::new(archive(count, comment))).unwrap();
            assert_eq!(found, Some(count as u64), "{comment}");
        }
        for broken in [Vec::new(), b"PK".to_vec(), vec![0; 100], archive(3, "")[..60].to_vec()] {
            assert_eq!(entries(&mut Cursor::new(broken)).unwrap(), None);
        }
    }
}
