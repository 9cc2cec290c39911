//! Learns from a collection's own documents how far its vectors can be trusted, without any judgement.
//!
//! A fixed share of the dense leg is wrong wherever the encoder does not know the language: there its scores are noise
//! that fusion takes at face value. What is measured is whether the encoder agrees with words: sentences of sampled
//! chunks are asked as queries, and the best chunks by BM25 within the sample are looked up in the order of the vectors.
//! The *agreement* is the share of the sample that stands below them, the mean over those chunks and over the sentences:
//! about ½ when the vectors know nothing, near 1 when both legs see the same. It needs no relevance, and since it is taken
//! in a sample of fixed size, it does not change as the collection grows.
//!
//! Below `DISTRUSTED` the dense leg has no weight, from `TRUSTED` on all that the configuration gives it, linearly in
//! between. The two figures were set on nine sets of four languages (docs/measurements.md).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wellspring_models::text::sentences;
use wellspring_models::{Account, TextKind};
use wellspring_store::keyword::KeywordQuery;
use wellspring_store::{Catalog, ChunkKey, CollectionKey, CollectionScope, Store, StoredChunk};

use crate::blocking::blocking;
use crate::error::Result;
use crate::models::CollectionModels;

/// Version of the report.
const VERSION: u32 = 1;
/// Chunks looked at per language.
const SAMPLE: u32 = 240;
/// With fewer chunks of a language nothing is said about it.
const FEWEST: usize = 40;
/// Best chunks by words that are looked up in the order of the vectors.
const LOOKED_UP: usize = 5;
/// Agreement at which the dense leg has no weight.
const DISTRUSTED: f64 = 0.62;
/// Agreement from which on it has its whole weight.
const TRUSTED: f64 = 0.84;
/// Characters that a sentence asked as a query should have: some sixteen words.
const USUAL: usize = 96;
/// How long a report read from the catalog is used before it is read again.
const REMEMBERED_FOR: Duration = Duration::from_secs(10);
/// Collections remembered before all are forgotten.
const REMEMBERED: usize = 10_000;

/// What was learned about a collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// `VERSION`; a report of another one is made anew.
    pub version: u32,
    /// Visible chunks when it was made.
    pub chunks: u64,
    /// Per language with enough chunks, most chunks first.
    pub languages: Vec<LanguageTuning>,
}

/// What was learned about the chunks of one language.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LanguageTuning {
    /// ISO 639-1; `None` for chunks whose language is not known.
    pub language: Option<String>,
    /// Visible chunks in it.
    pub chunks: u64,
    /// Chunks looked at.
    pub sampled: usize,
    /// See the module; 0 to 1.
    pub agreement: f64,
    /// What the dense leg's configured weight is multiplied with, 0 to 1.
    pub trust: f64,
}

impl Tuning {
    /// What the dense leg's weight is multiplied with for this query: its language's trust, or the mean over the chunks of
    /// known languages where the query is too short to tell its own or nothing is known about that one. (Chunks of unknown
    /// language are mostly short ones of the others; they count where there are no others.)
    pub fn trust(&self, query: &str) -> f64 {
        let language = wellspring_models::text::language(query);
        let known = self.languages.iter().find(|of| language.is_some() && of.language.as_deref() == language);
        match known {
            Some(of) => of.trust,
            None => self.mean_trust(),
        }
    }

    fn mean_trust(&self) -> f64 {
        let any_known = self.languages.iter().any(|of| of.language.is_some());
        let counted = || self.languages.iter().filter(|of| of.language.is_some() == any_known);
        let chunks: u64 = counted().map(|of| of.chunks).sum();
        if chunks == 0 {
            return 1.0;
        }
        counted().map(|of| of.trust * of.chunks as f64).sum::<f64>() / chunks as f64
    }

    /// Whether the collection has doubled or halved since.
    pub fn is_stale(&self, chunks: u64) -> bool {
        self.version != VERSION
            || chunks >= self.chunks.saturating_mul(2).max(1)
            || chunks.saturating_mul(2) <= self.chunks
    }
}

/// Reads reports and remembers them for a while.
#[derive(Default)]
pub(crate) struct Tunings {
    known: Mutex<HashMap<CollectionKey, Known>>,
}

/// What the catalog said, and when.
#[derive(Clone)]
struct Known {
    read_at: Instant,
    tuning: Option<Arc<Tuning>>,
}

impl Tunings {
    /// What is known about the collection, if anything.
    pub(crate) async fn get(
        &self,
        catalog: &dyn Catalog,
        scope: &CollectionScope,
    ) -> Result<Option<Arc<Tuning>>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&scope.key()).cloned();
        if let Some(known) = known.filter(|known| known.read_at.elapsed() < REMEMBERED_FOR) {
            return Ok(known.tuning);
        }
        let kept = catalog.tuning(scope).await?;
        // A report of another version says nothing to this one.
        let tuning = kept.and_then(|report| serde_json::from_value::<Tuning>(report).ok());
        let tuning = tuning.filter(|tuning| tuning.version == VERSION).map(Arc::new);
        self.remember(scope.key(), tuning.clone());
        Ok(tuning)
    }

    pub(crate) fn remember(&self, key: CollectionKey, tuning: Option<Arc<Tuning>>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, Known { read_at: Instant::now(), tuning });
    }
}

/// Looks at samples of the collection. Takes seconds: each sampled chunk is asked for by one of its sentences.
pub(crate) async fn learn(
    store: &Store,
    models: &CollectionModels,
    scope: &CollectionScope,
    chunks: u64,
) -> Result<Tuning> {
    let mut languages = Vec::new();
    for sample in store.catalog.sample_chunks(scope, SAMPLE).await? {
        let read = store.catalog.visible_chunks(scope, &sample.keys, None).await?;
        if let Some((sampled, agreement)) = agreement(store, models, scope, read).await? {
            let trust = ((agreement - DISTRUSTED) / (TRUSTED - DISTRUSTED)).clamp(0.0, 1.0);
            languages.push(LanguageTuning {
                language: sample.language,
                chunks: sample.chunks,
                sampled,
                agreement: rounded(agreement),
                trust: rounded(trust),
            });
        }
    }
    Ok(Tuning { version: VERSION, chunks, languages })
}

/// Four digits: more would only be noise in what people read.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// How many chunks were looked at, and how far the legs agree on them; `None` for too few.
async fn agreement(
    store: &Store,
    models: &CollectionModels,
    scope: &CollectionScope,
    mut chunks: Vec<StoredChunk>,
) -> Result<Option<(usize, f64)>> {
    chunks.sort_by_key(|chunk| chunk.key);
    let index = store.indexes.vector(scope).await?;
    let mut keys = Vec::new();
    let mut vectors = Vec::new();
    let mut questions = Vec::new();
    for chunk in &chunks {
        if let (Some(vector), Some(question)) = (index.vector(chunk.key).await?, question(&chunk.text)) {
            keys.push(chunk.key);
            vectors.push(vector);
            questions.push(question);
        }
    }
    if keys.len() < FEWEST {
        return Ok(None);
    }
    let account = Account::of_tenant(scope.tenant().as_str());
    let embedder = models.embedder(store, scope, &account).await?;
    let asked = embedder.embed(TextKind::Query, &questions).await?;
    let among = keys.iter().map(|key| key.0 as u64).collect();
    let words = store.indexes.keyword(scope).await?;
    let mut found = Vec::with_capacity(questions.len());
    for question in &questions {
        let query = KeywordQuery { among: Some(&among), ..KeywordQuery::new(question, LOOKED_UP) };
        found.push(words.search(query).await?.into_iter().map(|hit| hit.key).collect::<Vec<_>>());
    }
    let compare = move || {
        let answered = asked.iter().zip(&found).filter(|(_, found)| !found.is_empty());
        let shares = answered.map(|(asked, found)| share_below(&asked.vector, &keys, &vectors, found));
        let (sum, count) = shares.fold((0.0, 0_usize), |(sum, count), share| (sum + share, count + 1));
        (count >= FEWEST).then(|| (count, sum / count as f64))
    };
    blocking("comparing the legs", compare).await
}

/// The share of the sample that is less similar to the query than a chunk found by words, the mean over those.
fn share_below(query: &[f32], keys: &[ChunkKey], vectors: &[Vec<f32>], found: &[ChunkKey]) -> f64 {
    let cosines: Vec<f32> =
        vectors.iter().map(|v| v.iter().zip(query).map(|(a, b)| a * b).sum::<f32>()).collect();
    let others = (keys.len() - 1).max(1) as f64;
    let share = |key: &ChunkKey| {
        let own = keys.binary_search(key).ok().map(|at| cosines[at])?;
        let below = cosines.iter().filter(|&&cosine| cosine < own).count();
        let equal = cosines.iter().filter(|&&cosine| cosine == own).count().saturating_sub(1);
        Some((below as f64 + 0.5 * equal as f64) / others)
    };
    let shares: Vec<f64> = found.iter().filter_map(share).collect();
    shares.iter().sum::<f64>() / (shares.len().max(1)) as f64
}

/// The sentence whose length is nearest to a usual one; the first of equals. `None` for text without any.
fn question(text: &str) -> Option<&str> {
    let sentences = sentences(text);
    let best = sentences.into_iter().min_by_key(|span| {
        let sentence = &text[span.clone()];
        // Scripts without spaces say in a third of the letters what others do.
        let characters = sentence.chars().map(|c| if u32::from(c) >= 0x2E80 { 3 } else { 1 }).sum::<usize>();
        characters.abs_diff(USUAL)
    })?;
    let sentence = &text[best];
    Some(&sentence[..sentence.floor_char_boundary(USUAL * 6)]).filter(|s| s.chars().any(char::is_alphabetic))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(language: &str, chunks: u64, trust: f64) -> LanguageTuning {
        LanguageTuning { language: Some(language.to_owned()), chunks, sampled: 40, agreement: 0.7, trust }
    }

    #[test]
    fn a_query_has_the_trust_of_its_language() {
        let tuning = Tuning {
            version: VERSION,
            chunks: 400,
            languages: vec![
                language("en", 300, 1.0),
                LanguageTuning { language: None, ..language("", 500, 0.2) },
                language("ar", 100, 0.0),
            ],
        };
        assert_eq!(tuning.trust("what is the annual leave of the people who work on a part-time basis"), 1.0);
        assert_eq!(tuning.trust("ما هي مدة الإجازة السنوية للموظفين الذين يعملون بدوام جزئي"), 0.0);
        assert_eq!(tuning.trust("WX-200"), 0.75, "a code has no language");
        assert_eq!(Tuning { languages: Vec::new(), ..tuning }.trust("WX-200"), 1.0);
    }

    #[test]
    fn a_report_is_stale_when_the_collection_doubled_or_halved() {
        let tuning = Tuning { version: VERSION, chunks: 100, languages: Vec::new() };
        assert!(!tuning.is_stale(100) && !tuning.is_stale(199) && !tuning.is_stale(51));
        assert!(tuning.is_stale(200) && tuning.is_stale(50));
        assert!(Tuning { version: 0, ..tuning.clone() }.is_stale(100));
        assert!(
            !Tuning { chunks: 0, ..tuning.clone() }.is_stale(0) || Tuning { chunks: 0, ..tuning }.is_stale(1)
        );
    }

    #[test]
    fn shares_by_hand() {
        let keys = [1, 2, 3].map(ChunkKey);
        let vectors = [vec![1.0, 0.0], vec![0.8, 0.6], vec![0.0, 1.0]];
        assert_eq!(share_below(&[1.0, 0.0], &keys, &vectors, &[ChunkKey(1)]), 1.0);
        assert_eq!(share_below(&[1.0, 0.0], &keys, &vectors, &[ChunkKey(2), ChunkKey(3)]), 0.25);
        assert_eq!(share_below(&[0.0, 0.0], &keys, &vectors, &[ChunkKey(2)]), 0.5, "no signal is chance");
    }

    #[test]
    fn the_question_is_a_sentence_of_usual_length() {
        let long = "This is the sentence that has about as many words as people put into a question of theirs, or so.";
        let text = format!("Short. {long} Brief too.");
        assert_eq!(question(&text), Some(long));
        assert_eq!(question("   "), None);
        assert_eq!(question("123 456"), None);
    }
}
