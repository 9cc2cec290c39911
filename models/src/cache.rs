//! Keeps embeddings by content, so that the same text is not embedded twice.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lru::LruCache;

use crate::embed::{Embedder, EmbedderInfo, Embedding, TextKind, TokenEmbedder};
use crate::error::{ErrorKind, ModelError, Result};
use crate::tokens::TokenCounter;

/// Bytes an entry takes beside its components: key, list links, counts, allocation.
const ENTRY_OVERHEAD: usize = 160;

type Key = [u8; 32];

/// An embedder that remembers, in memory, what another one returned. The key is the content: fingerprint, text kind
/// and text. The least recently used entries make room; queries and passages have half of the bytes each, so that a
/// large ingest does not push out the queries that people repeat.
pub struct CachedEmbedder {
    inner: Arc<dyn Embedder>,
    memory: Arc<Memory>,
}

/// What is remembered, shared by all embedders of one model.
struct Memory {
    queries: Mutex<Store>,
    passages: Mutex<Store>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Entries in order of use, bounded by `capacity` entries (all are of one size).
struct Store {
    entries: LruCache<Key, Embedding>,
    capacity: usize,
}

impl Store {
    fn new(bytes: u64, dimension: usize) -> Self {
        let entry = dimension * size_of::<f32>() + ENTRY_OVERHEAD;
        let capacity = usize::try_from(bytes / entry as u64).unwrap_or(usize::MAX);
        Self { entries: LruCache::unbounded(), capacity }
    }

    fn insert(&mut self, key: Key, embedding: Embedding) {
        if self.capacity == 0 {
            return;
        }
        self.entries.put(key, embedding);
        while self.entries.len() > self.capacity {
            self.entries.pop_lru();
        }
    }
}

impl CachedEmbedder {
    /// Remembers at most `bytes` bytes of what `inner` returns; 0 remembers nothing.
    pub fn new(inner: Arc<dyn Embedder>, bytes: u64) -> Self {
        let dimension = inner.info().dimension;
        let memory = Memory {
            queries: Mutex::new(Store::new(bytes / 2, dimension)),
            passages: Mutex::new(Store::new(bytes / 2, dimension)),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        };
        Self { inner, memory: Arc::new(memory) }
    }

    /// The same memory before `inner`, which is the same model on other terms.
    pub(crate) fn over(&self, inner: Arc<dyn Embedder>) -> Self {
        Self { inner, memory: Arc::clone(&self.memory) }
    }

    /// Texts answered from memory.
    pub fn hits(&self) -> u64 {
        self.memory.hits.load(Ordering::Relaxed)
    }

    /// Texts that had to be embedded.
    pub fn misses(&self) -> u64 {
        self.memory.misses.load(Ordering::Relaxed)
    }

    fn key(&self, kind: TextKind, text: &str) -> Key {
        let kind: &[u8] = match kind {
            TextKind::Query => b"\0query\0",
            TextKind::Passage => b"\0passage\0",
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.inner.info().fingerprint.0.as_bytes()).update(kind).update(text.as_bytes());
        hasher.finalize().into()
    }
}

#[async_trait]
impl Embedder for CachedEmbedder {
    fn info(&self) -> &EmbedderInfo {
        self.inner.info()
    }

    fn counter(&self) -> Arc<dyn TokenCounter> {
        self.inner.counter()
    }

    /// Token vectors are not kept: they are hundreds of times larger than a text's one vector.
    fn tokens(&self) -> Option<&dyn TokenEmbedder> {
        self.inner.tokens()
    }

    async fn embed(&self, kind: TextKind, texts: &[&str]) -> Result<Vec<Embedding>> {
        let store = match kind {
            TextKind::Query => &self.memory.queries,
            TextKind::Passage => &self.memory.passages,
        };
        let keys: Vec<Key> = texts.iter().map(|text| self.key(kind, text)).collect();
        let mut found: Vec<Option<Embedding>> = {
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            keys.iter().map(|key| store.entries.get(key).cloned()).collect()
        };
        // The place of each missing text among those asked for; a text that comes twice is asked for once.
        let mut asked: HashMap<Key, usize> = HashMap::new();
        let mut missing: Vec<&str> = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            if found[index].is_none() && !asked.contains_key(key) {
                asked.insert(*key, missing.len());
                missing.push(texts[index]);
            }
        }
        self.memory.misses.fetch_add(missing.len() as u64, Ordering::Relaxed);
        self.memory.hits.fetch_add((texts.len() - missing.len()) as u64, Ordering::Relaxed);
        if missing.is_empty() {
            return Ok(found.into_iter().flatten().collect());
        }
        let fresh = self.inner.embed(kind, &missing).await?;
        if fresh.len() != missing.len() {
            return Err(ModelError::new(
                ErrorKind::Internal,
                format!(
                    "the model {} gave {} vectors for {} texts",
                    self.info().name,
                    fresh.len(),
                    missing.len()
                ),
            ));
        }
        {
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, place) in &asked {
                store.insert(*key, fresh[*place].clone());
            }
        }
        for (slot, key) in found.iter_mut().zip(&keys) {
            if slot.is_none() {
                *slot = asked.get(key).map(|place| fresh[*place].clone());
            }
        }
        Ok(found.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::HashEmbedder;

    #[tokio::test]
    async fn a_text_is_embedded_once_and_kinds_are_kept_apart() {
        let inner = HashEmbedder::default();
        let calls = inner.calls();
        let cached = CachedEmbedder::new(Arc::new(inner), 1 << 20);
        let first = cached.embed(TextKind::Passage, &["a", "b", "a"]).await.unwrap();
        assert_eq!((calls.calls(), calls.texts()), (1, 2));
        let second = cached.embed(TextKind::Passage, &["b", "c", "a"]).await.unwrap();
        assert_eq!((calls.calls(), calls.texts()), (2, 3));
        assert_eq!((&first[0], &first[1], &first[2]), (&second[2], &second[0], &second[2]));
        assert_eq!((cached.hits(), cached.misses()), (3, 3));
        cached.embed(TextKind::Query, &["a"]).await.unwrap();
        assert_eq!(calls.texts(), 4);
    }

    #[tokio::test]
    async fn the_least_recently_used_goes_first_and_queries_survive_passages() {
        let inner = HashEmbedder::new(10, 10);
        let calls = inner.calls();
        let cached = CachedEmbedder::new(Arc::new(inner), 2 * 2 * (10 * 4 + ENTRY_OVERHEAD as u64));
        cached.embed(TextKind::Query, &["q"]).await.unwrap();
        cached.embed(TextKind::Passage, &["a", "b"]).await.unwrap();
        cached.embed(TextKind::Passage, &["a"]).await.unwrap();
        cached.embed(TextKind::Passage, &["c"]).await.unwrap();
        let before = calls.texts();
        cached.embed(TextKind::Passage, &["a", "c"]).await.unwrap();
        cached.embed(TextKind::Query, &["q"]).await.unwrap();
        assert_eq!(calls.texts(), before);
        cached.embed(TextKind::Passage, &["b"]).await.unwrap();
        assert_eq!(calls.texts(), before + 1);
    }

    #[tokio::test]
    async fn without_room_nothing_is_kept() {
        let inner = HashEmbedder::default();
        let calls = inner.calls();
        let cached = CachedEmbedder::new(Arc::new(inner), 0);
        for _ in 0..2 {
            assert_eq!(cached.embed(TextKind::Query, &["a", "a"]).await.unwrap().len(), 2);
        }
        assert_eq!(calls.texts(), 2);
    }
}
