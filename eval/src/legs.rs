//! Remembers what the legs found for each query, so that a changed fusion weight asks no index again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use wellspring_retrieve::fuse::LegList;
use wellspring_retrieve::{KeywordAsk, LegAsk, LegMemory};

use crate::error::Result;

mod file;

/// Lists by what was asked. Of lists of one leg and query the deepest is kept: what a shallower search finds is its
/// beginning. (True of the exact scan and of BM25; of a graph up to its own approximation.)
#[derive(Default)]
pub struct RememberedLegs {
    lists: Mutex<HashMap<Asked, Kept>>,
    asked: std::sync::atomic::AtomicUsize,
}

/// A hash over leg, text, the chunks asked about and how words are weighed; the collection is that of the file.
type Asked = [u8; 32];

#[derive(Debug, Clone)]
struct Kept {
    depth: usize,
    list: LegList,
}

impl RememberedLegs {
    /// Reads what an earlier evaluation left; nothing where there is no such file or it is of another format.
    pub fn open(path: &Path) -> Result<Self> {
        let lists = if path.is_file() { file::read(path)? } else { HashMap::new() };
        Ok(Self { lists: Mutex::new(lists), ..Self::default() })
    }

    /// Leaves it for the next evaluation, if anything was added.
    pub fn save(&self, path: &Path) -> Result<()> {
        if self.asked() == 0 {
            return Ok(());
        }
        file::write(path, &self.lists.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lists that the legs had to be asked for since this was opened.
    pub fn asked(&self) -> usize {
        self.asked.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The first `depth` hits of a leg for a query's cleaned text; `None` if it was never asked that deep.
    pub fn list(&self, leg: &str, text: &str, depth: usize, keyword: Option<KeywordAsk>) -> Option<LegList> {
        self.find(key(leg, text, None, keyword), depth)
    }

    fn find(&self, key: Asked, depth: usize) -> Option<LegList> {
        let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = lists.get(&key)?;
        if kept.depth == depth {
            return Some(kept.list.clone());
        }
        let reaches = kept.depth > depth || kept.list.exhausted;
        reaches.then(|| {
            let mut list = kept.list.clone();
            list.hits.truncate(depth);
            list.exhausted = list.hits.len() < depth;
            list
        })
    }
}

impl LegMemory for RememberedLegs {
    fn recall(&self, ask: &LegAsk<'_>) -> Option<LegList> {
        self.find(key_of(ask), ask.depth)
    }

    fn keep(&self, ask: &LegAsk<'_>, list: &LegList) {
        self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = Kept { depth: ask.depth, list: list.clone() };
        let key = key_of(ask);
        if lists.get(&key).is_none_or(|before| before.depth <= kept.depth) {
            lists.insert(key, kept);
        }
    }
}

fn key_of(ask: &LegAsk<'_>) -> Asked {
    let only = ask.only.map(|keys| {
        let mut hasher = blake3::Hasher::new();
        for key in keys {
            hasher.update(&key.to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    });
    key(ask.leg, ask.text, only, ask.keyword)
}

fn key(leg: &str, text: &str, only: Option<[u8; 32]>, keyword: Option<KeywordAsk>) -> Asked {
    let mut hasher = blake3::Hasher::new();
    hasher.update(leg.as_bytes()).update(&[0]).update(&only.unwrap_or_default());
    if let Some(KeywordAsk { scoring, fuzzy }) = keyword {
        for constant in [scoring.k1, scoring.b, scoring.title, scoring.headings] {
            hasher.update(&constant.to_le_bytes());
        }
        hasher.update(&[u8::from(fuzzy)]);
    }
    hasher.update(text.as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use wellspring_retrieve::KeywordScoring;
    use wellspring_retrieve::fuse::LegHit;
    use wellspring_store::{ChunkKey, CollectionKey};

    use super::*;

    fn list(hits: usize, depth: usize) -> LegList {
        let hits: Vec<_> = (0..hits)
            .map(|at| LegHit { key: ChunkKey(at as i64 + 1), score: 1.0 / (at + 1) as f32 })
            .collect();
        LegList { exhausted: hits.len() < depth, hits, zero_when_absent: true, ..LegList::default() }
    }

    fn ask(text: &str, depth: usize) -> LegAsk<'_> {
        LegAsk { collection: CollectionKey(1), leg: "dense", text, depth, only: None, keyword: None }
    }

    #[test]
    fn a_shallower_list_is_the_beginning_of_a_deeper_one() {
        let legs = RememberedLegs::default();
        assert!(legs.recall(&ask("q", 5)).is_none());
        legs.keep(&ask("q", 10), &list(10, 10));
        let short = legs.recall(&ask("q", 4)).unwrap();
        assert_eq!((short.hits.len(), short.exhausted), (4, false));
        assert!(legs.recall(&ask("q", 11)).is_none(), "there may be more");
        legs.keep(&ask("q", 40), &list(12, 40));
        let all = legs.recall(&ask("q", 500)).unwrap();
        assert_eq!((all.hits.len(), all.exhausted), (12, true), "nothing is left beyond");
        assert!(!legs.recall(&ask("q", 12)).unwrap().exhausted, "as the index would say");
        let of_one = roaring::RoaringTreemap::from_iter([3_u64]);
        assert!(legs.recall(&LegAsk { only: Some(&of_one), ..ask("q", 4) }).is_none());
    }

    #[test]
    fn two_scorings_are_two_lists() {
        let legs = RememberedLegs::default();
        let asked = |k1, fuzzy| {
            let scoring = KeywordScoring { k1, ..KeywordScoring::default() };
            LegAsk { leg: "keyword", keyword: Some(KeywordAsk { scoring, fuzzy }), ..ask("q", 5) }
        };
        legs.keep(&asked(1.2, true), &list(5, 5));
        assert!(legs.recall(&asked(1.2, true)).is_some());
        assert!(legs.recall(&asked(0.9, true)).is_none());
        assert!(legs.recall(&asked(1.2, false)).is_none());
    }

    #[test]
    fn a_file_reads_back_and_a_foreign_one_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("legs");
        let legs = RememberedLegs::default();
        legs.keep(&ask("q", 10), &list(7, 10));
        legs.save(&path).unwrap();
        let back = RememberedLegs::open(&path).unwrap();
        let found = back.recall(&ask("q", 10)).unwrap();
        assert_eq!(found.hits, list(7, 10).hits);
        assert!(found.exhausted && found.zero_when_absent);
        assert_eq!(back.asked(), 0);
        let mut bytes = fs_err::read(&path).unwrap();
        bytes.pop();
        for wrong in [b"something else".to_vec(), Vec::new(), bytes] {
            fs_err::write(&path, wrong).unwrap();
            assert!(RememberedLegs::open(&path).unwrap().recall(&ask("q", 10)).is_none());
        }
    }
}
