//! The file of remembered legs: a cache that may be deleted at any time; one of another format or damaged is ignored.
//!
//! Little-endian: 8 bytes `WSLEGS1\n`; per list 32 bytes of key, depth (u32), flags (u8: 1 exhausted, 2 zero when absent),
//! number of hits (u32), and per hit its chunk key (i64) and score (f32); at the end the BLAKE3 hash of all before it.

use std::collections::HashMap;
use std::path::Path;

use wellspring_retrieve::fuse::{LegHit, LegList};
use wellspring_store::ChunkKey;

use super::{Asked, Kept};
use crate::error::{ErrorKind, EvalError, Result};

const MAGIC: &[u8; 8] = b"WSLEGS1\n";

const EXHAUSTED: u8 = 1;
const ZERO_WHEN_ABSENT: u8 = 2;

pub(super) fn write(path: &Path, lists: &HashMap<Asked, Kept>) -> Result<()> {
    let mut bytes = MAGIC.to_vec();
    for (key, Kept { depth, list }) in lists {
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&length(*depth)?.to_le_bytes());
        let exhausted = if list.exhausted { EXHAUSTED } else { 0 };
        bytes.push(exhausted | if list.zero_when_absent { ZERO_WHEN_ABSENT } else { 0 });
        bytes.extend_from_slice(&length(list.hits.len())?.to_le_bytes());
        for hit in &list.hits {
            bytes.extend_from_slice(&hit.key.0.to_le_bytes());
            bytes.extend_from_slice(&hit.score.to_le_bytes());
        }
    }
    let hash = blake3::hash(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let partial = path.with_extension("partial");
    fs_err::write(&partial, bytes)?;
    fs_err::rename(&partial, path)?;
    Ok(())
}

fn length(count: usize) -> Result<u32> {
    u32::try_from(count)
        .map_err(|e| EvalError::new(ErrorKind::Invalid, "a list is too long to be remembered").with_source(e))
}

pub(super) fn read(path: &Path) -> Result<HashMap<Asked, Kept>> {
    let bytes = fs_err::read(path)?;
    Ok(checked(&bytes).and_then(parse).unwrap_or_default())
}

/// What stands between magic and hash.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (body, hash) = bytes.split_last_chunk::<32>()?;
    (blake3::hash(body).as_bytes() == hash).then_some(())?;
    body.strip_prefix(MAGIC.as_slice())
}

fn parse(mut rest: &[u8]) -> Option<HashMap<Asked, Kept>> {
    let mut lists = HashMap::new();
    while !rest.is_empty() {
        let key: Asked = take(&mut rest)?;
        let depth = u32::from_le_bytes(take(&mut rest)?) as usize;
        let [flags] = take(&mut rest)?;
        let count = u32::from_le_bytes(take(&mut rest)?) as usize;
        let mut hits = Vec::with_capacity(count.min(rest.len() / 12));
        for _ in 0..count {
            let key = ChunkKey(i64::from_le_bytes(take(&mut rest)?));
            hits.push(LegHit { key, score: f32::from_le_bytes(take(&mut rest)?) });
        }
        let list = LegList {
            hits,
            exhausted: flags & EXHAUSTED != 0,
            zero_when_absent: flags & ZERO_WHEN_ABSENT != 0,
            ..LegList::default()
        };
        lists.insert(key, Kept { depth, list });
    }
    Some(lists)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}
