//! Late interaction: compares every token of the query with every token of a passage.
//!
//! `MaxSim(q, p) = 1/|q| · Σᵢ maxⱼ cos(qᵢ, pⱼ)` (Khattab and Zaharia, "ColBERT", SIGIR 2020), with token vectors of the
//! collection's own local embedder, title in front. Passages' vectors are kept in memory as bytes (127 times the
//! component, error below 0.004 per component).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use wellspring_models::{Embedder, TokenEmbedder, TokenVectors};
use wellspring_store::ChunkKey;

use crate::blocking::blocking;
use crate::error::{ErrorKind, Result, RetrieveError};
use crate::passage::Passage;

/// Passages embedded at a time: what is ready when the budget ends is kept for the next query.
const BATCH: usize = 8;
/// Bytes an entry takes beside its vectors.
const ENTRY_OVERHEAD: usize = 120;

/// Token vectors of one text, a byte per component.
struct Tokens {
    dimension: usize,
    components: Vec<i8>,
}

impl Tokens {
    fn of(vectors: &TokenVectors) -> Self {
        // Norm 1: no component is beyond ±1.
        let byte = |component: &f32| (component * 127.0).round() as i8;
        Self { dimension: vectors.dimension.max(1), components: vectors.vectors.iter().map(byte).collect() }
    }

    fn each(&self) -> impl Iterator<Item = &[i8]> {
        self.components.chunks_exact(self.dimension)
    }

    fn bytes(&self) -> usize {
        self.components.len() + ENTRY_OVERHEAD
    }
}

/// Passages' token vectors, the least recently used making room. A chunk's key is never used for another text.
pub(crate) struct TokenMemory {
    capacity: usize,
    kept: Mutex<Kept>,
}

struct Kept {
    entries: LruCache<ChunkKey, Arc<Tokens>>,
    bytes: usize,
}

impl TokenMemory {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
            kept: Mutex::new(Kept { entries: LruCache::unbounded(), bytes: 0 }),
        }
    }

    fn get(&self, key: ChunkKey) -> Option<Arc<Tokens>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).entries.get(&key).cloned()
    }

    fn put(&self, key: ChunkKey, tokens: Arc<Tokens>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += tokens.bytes();
        if let Some(former) = kept.entries.put(key, tokens) {
            kept.bytes -= former.bytes();
        }
        while kept.bytes > self.capacity {
            let Some((_, oldest)) = kept.entries.pop_lru() else { break };
            kept.bytes -= oldest.bytes();
        }
    }
}

/// One similarity (−1 to 1) per passage, in order. Errors: `Invalid` for an embedder without token vectors, `Timeout`
/// past the budget, and whatever the embedder says.
pub(super) async fn similarities(
    embedder: Result<Arc<dyn Embedder>>,
    memory: &TokenMemory,
    query: &str,
    passages: &[Passage],
    budget: Duration,
) -> Result<Vec<f64>> {
    let embedder = embedder?;
    let Some(model) = embedder.tokens() else {
        return Err(RetrieveError::new(
            ErrorKind::Invalid,
            format!(
                "the embedder {} gives no vectors of tokens; set `refine.late` to 0",
                embedder.info().name
            ),
        ));
    };
    let work = async {
        let query = model.embed_tokens(&[query]).await?;
        let query = query.first().map(Tokens::of);
        let tokens = of_passages(model, memory, passages).await?;
        // Millions of multiplications: off the async threads.
        let compare = move || {
            tokens.iter().map(|p| query.as_ref().map_or(0.0, |q| max_sim(q, p))).collect::<Vec<f64>>()
        };
        blocking("comparing the tokens", compare).await
    };
    tokio::time::timeout(budget, work).await.unwrap_or_else(|_| {
        Err(RetrieveError::new(
            ErrorKind::Timeout,
            format!("token vectors were not ready within {} ms", budget.as_millis()),
        ))
    })
}

async fn of_passages(
    model: &dyn TokenEmbedder,
    memory: &TokenMemory,
    passages: &[Passage],
) -> Result<Vec<Arc<Tokens>>> {
    let mut found: Vec<Option<Arc<Tokens>>> = passages.iter().map(|p| memory.get(p.place.key)).collect();
    let missing: Vec<usize> = (0..passages.len()).filter(|&index| found[index].is_none()).collect();
    for batch in missing.chunks(BATCH) {
        let texts: Vec<String> = batch.iter().map(|&index| titled(&passages[index])).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = model.embed_tokens(&texts).await?;
        for (&index, vectors) in batch.iter().zip(&vectors) {
            let tokens = Arc::new(Tokens::of(vectors));
            memory.put(passages[index].place.key, Arc::clone(&tokens));
            found[index] = Some(tokens);
        }
    }
    let complete: Option<Vec<_>> = found.into_iter().collect();
    complete.ok_or_else(|| RetrieveError::new(ErrorKind::Internal, "the embedder left out a text"))
}

fn titled(passage: &Passage) -> String {
    match &passage.title {
        Some(title) if !passage.text.starts_with(title.as_str()) => format!("{title} {}", passage.text),
        _ => passage.text.clone(),
    }
}

/// 0 where either has no token.
fn max_sim(query: &Tokens, passage: &Tokens) -> f64 {
    let best = |token: &[i8]| passage.each().map(|other| dot(token, other)).max();
    let (sum, tokens) =
        query.each().filter_map(best).fold((0_i64, 0_u32), |(s, n), b| (s + i64::from(b), n + 1));
    if tokens == 0 { 0.0 } else { sum as f64 / (127.0 * 127.0) / f64::from(tokens) }
}

fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(vectors: &[[f32; 2]]) -> Tokens {
        let vectors = TokenVectors {
            spans: (0..vectors.len()).map(|i| i..i + 1).collect(),
            vectors: vectors.concat(),
            norms: vec![1.0; vectors.len()],
            dimension: 2,
        };
        Tokens::of(&vectors)
    }

    #[test]
    fn each_token_of_the_query_finds_its_best() {
        let passage = tokens(&[[1.0, 0.0], [0.6, 0.8]]);
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 0.01, "{found} {expected}");
        close(max_sim(&tokens(&[[1.0, 0.0], [0.0, 1.0]]), &passage), (1.0 + 0.8) / 2.0);
        close(max_sim(&tokens(&[[-1.0, 0.0]]), &passage), -0.6);
        assert_eq!(max_sim(&tokens(&[]), &passage), 0.0);
        assert_eq!(max_sim(&passage, &tokens(&[])), 0.0);
    }

    #[test]
    fn memory_keeps_to_its_bytes_and_forgets_the_oldest() {
        let memory = TokenMemory::new(2 * (ENTRY_OVERHEAD as u64 + 2));
        for key in 1..=3 {
            memory.put(ChunkKey(key), Arc::new(tokens(&[[1.0, 0.0]])));
            memory.put(ChunkKey(key), Arc::new(tokens(&[[1.0, 0.0]])));
        }
        assert!(memory.get(ChunkKey(1)).is_none());
        assert!(memory.get(ChunkKey(2)).is_some() && memory.get(ChunkKey(3)).is_some());
    }
}
