//! Asks the vector and the keyword index, side by side and under one deadline, and says which of them failed.

use std::borrow::Cow;
use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use roaring::RoaringTreemap;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::Instrument;
use wellspring_models::{Refusal, TextKind};
use wellspring_store::keyword::{Correction, KeywordQuery};
use wellspring_store::vector::VectorQuery;
use wellspring_store::{ChunkKey, CollectionScope, Store};

use crate::error::{ErrorKind, Result, RetrieveError};
use crate::exact::Pins;
use crate::expand;
use crate::explain::{Degraded, Timings, VectorEngine, milliseconds};
use crate::fuse::{Fused, LegHit, LegList, Missing};
use crate::memory::{KeywordAsk, LegAsk, LegMemory};
use crate::models::CollectionModels;
use crate::query::Query;
use crate::spans;

pub(crate) const DENSE: &str = "dense";
pub(crate) const KEYWORD: &str = "keyword";
const EXACT: &str = "exact";

/// Both legs of one search. What was paid for once (the query's vector, the candidates) is kept between rounds, and a
/// leg that failed is not asked again.
pub(crate) struct Legs<'a> {
    store: &'a Store,
    models: &'a CollectionModels,
    scope: &'a CollectionScope,
    query: Cow<'a, Query>,
    /// Passages that could answer; see [`Self::with_passages`].
    passages: Vec<String>,
    memory: Option<&'a dyn LegMemory>,
    deadline: Instant,
    budget: Duration,
    among: OnceCell<Option<RoaringTreemap>>,
    vector: OnceCell<Vec<f32>>,
    correction: OnceCell<Option<Correction>>,
    passages_failed: std::sync::OnceLock<String>,
    dense_failed: Option<RetrieveError>,
    keyword_failed: Option<RetrieveError>,
    exact_failed: Option<RetrieveError>,
}

/// One round's lists; `None` for a leg that was not wanted or failed.
#[derive(Debug, Default)]
pub(crate) struct Recalled {
    pub(crate) dense: Option<LegList>,
    pub(crate) keyword: Option<LegList>,
}

impl Recalled {
    /// No leg has anything left that a deeper round could bring.
    pub(crate) fn exhausted(&self) -> bool {
        [&self.dense, &self.keyword].into_iter().flatten().all(|list| list.exhausted)
    }
}

impl<'a> Legs<'a> {
    /// The deadline starts to run here.
    pub(crate) fn new(
        store: &'a Store,
        models: &'a CollectionModels,
        scope: &'a CollectionScope,
        query: Cow<'a, Query>,
        memory: Option<&'a dyn LegMemory>,
        budget: Duration,
    ) -> Self {
        Self {
            store,
            models,
            scope,
            // A filtered list is of that filter only.
            memory: memory.filter(|_| query.filter.is_none()),
            query,
            passages: Vec::new(),
            deadline: Instant::now() + budget,
            budget,
            among: OnceCell::new(),
            vector: OnceCell::new(),
            correction: OnceCell::new(),
            passages_failed: std::sync::OnceLock::new(),
            dense_failed: None,
            keyword_failed: None,
            exact_failed: None,
        }
    }

    /// Lets the vector leg look for the mean of the query's vector and the passages', as HyDE does. Passages that can't be
    /// embedded leave the query's own.
    pub(crate) fn with_passages(self, passages: Vec<String>) -> Self {
        Self { passages, ..self }
    }

    /// Chunks that scope and filter let through, once known; `None` when everything.
    pub(crate) fn candidates(&self) -> Option<u64> {
        self.among.get().and_then(Option::as_ref).map(RoaringTreemap::len)
    }

    /// The query as it was probably meant, if the keyword leg was asked and says so, and the caller may see every word of it.
    pub(crate) async fn did_you_mean(&self) -> Result<Option<String>> {
        let Some(Some(correction)) = self.correction.get() else { return Ok(None) };
        let keys: Vec<ChunkKey> = correction.held_by.iter().flatten().copied().collect();
        let visible =
            self.store.catalog.visible_chunks(self.scope, &keys, self.query.filter.as_ref()).await?;
        let visible: HashSet<ChunkKey> = visible.into_iter().map(|chunk| chunk.key).collect();
        let seen = correction.held_by.iter().all(|holders| holders.iter().any(|key| visible.contains(key)));
        Ok(seen.then(|| correction.text.clone()))
    }

    /// What did not work so far.
    pub(crate) fn degraded(&self) -> Vec<Degraded> {
        [(DENSE, &self.dense_failed), (KEYWORD, &self.keyword_failed), (EXACT, &self.exact_failed)]
            .into_iter()
            .filter_map(|(leg, failed)| {
                Some(Degraded { leg: leg.to_owned(), reason: failed.as_ref()?.to_string() })
            })
            .chain(self.passages_failed.get().map(|reason| expand::failed(reason.clone())))
            .collect()
    }

    /// Asks each living leg for `depth` hits. A fault of the request or a foreign fingerprint is an error at once; any
    /// other failure costs its leg; with no leg left the error is `Unavailable`, or `Timeout` if that was all.
    pub(crate) async fn round(&mut self, depth: usize, timings: &mut Timings) -> Result<Recalled> {
        let wants_dense = self.query.mode.wants_dense() && self.dense_failed.is_none();
        let wants_keyword = self.query.mode.wants_keyword() && self.keyword_failed.is_none();
        let this = &*self;
        let (dense, keyword) = futures::join!(
            async {
                if !wants_dense {
                    return None;
                }
                Some(spans::leg(spans::dense(depth), Box::pin(this.timed(this.dense(depth, None)))).await)
            },
            async {
                if !wants_keyword {
                    return None;
                }
                Some(spans::leg(spans::keyword(depth), Box::pin(this.timed(this.keyword(depth, None)))).await)
            },
        );
        let mut recalled = Recalled::default();
        if let Some((list, ms)) = dense {
            timings.add_ms(DENSE, ms);
            recalled.dense = keep(list, &mut self.dense_failed)?;
        }
        if let Some((list, ms)) = keyword {
            timings.add_ms(KEYWORD, ms);
            recalled.keyword = keep(list, &mut self.keyword_failed)?;
        }
        if recalled.dense.is_none() && recalled.keyword.is_none() {
            return Err(self.nothing_left());
        }
        if self.query.missing == Missing::Exact {
            let start = std::time::Instant::now();
            self.complete(&mut recalled).await?;
            timings.add("complete", start);
        }
        Ok(recalled)
    }

    /// Asks each leg for the scores of chunks that only the other one listed.
    async fn complete(&mut self, recalled: &mut Recalled) -> Result<()> {
        let Recalled { dense: Some(dense), keyword: Some(keyword) } = recalled else { return Ok(()) };
        let (only_dense, only_keyword) = (difference(dense, keyword), difference(keyword, dense));
        let this = &*self;
        let (of_keyword, of_dense) = futures::join!(
            this.timed(this.dense(only_keyword.len() as usize, Some(&only_keyword))),
            this.timed(this.keyword(only_dense.len() as usize, Some(&only_dense))),
        );
        // A leg that gave its list but not these few scores is still worth its list.
        if let Some(list) = keep(of_keyword.0, &mut self.dense_failed)? {
            dense.completed = list.hits.into_iter().map(|hit| (hit.key, hit.score)).collect();
        }
        if let Some(list) = keep(of_dense.0, &mut self.keyword_failed)? {
            // Words are exact: a chunk asked about and not returned holds none of them.
            keyword.completed = only_dense.iter().map(|key| (ChunkKey(key as i64), 0.0)).collect();
            keyword.completed.extend(list.hits.into_iter().map(|hit| (hit.key, hit.score)));
        }
        Ok(())
    }

    /// These chunks by the vector leg, best first; by the keyword leg where that one is not wanted or failed. Empty if
    /// neither can say in time.
    pub(crate) async fn order(&self, only: &RoaringTreemap) -> Vec<ChunkKey> {
        let depth = only.len() as usize;
        let list = match self.query.mode.wants_dense() && self.dense_failed.is_none() {
            true => self.timed(self.dense(depth, Some(only))).await.0,
            false => self.timed(self.keyword(depth, Some(only))).await.0,
        };
        list.map(|list| list.hits.into_iter().map(|hit| hit.key).collect()).unwrap_or_default()
    }

    async fn dense(&self, depth: usize, only: Option<&RoaringTreemap>) -> Result<LegList> {
        let search = async { self.search_dense(self.vector().await?, depth, only).await };
        if !self.passages.is_empty() {
            // Not what the query's text alone would find.
            return search.await;
        }
        self.remembered(DENSE, depth, only, search).await
    }

    async fn keyword(&self, depth: usize, only: Option<&RoaringTreemap>) -> Result<LegList> {
        let search = self.search_keyword(&self.query.text, depth, only);
        self.remembered(KEYWORD, depth, only, search).await
    }

    async fn remembered(
        &self,
        leg: &'static str,
        depth: usize,
        only: Option<&RoaringTreemap>,
        search: impl Future<Output = Result<LegList>>,
    ) -> Result<LegList> {
        if only.is_some_and(RoaringTreemap::is_empty) {
            return Ok(LegList::default());
        }
        let Some(memory) = self.memory else { return search.await };
        let Query { keyword: scoring, keyword_fuzzy: fuzzy, text, .. } = self.query.as_ref();
        let keyword = (leg == KEYWORD).then_some(KeywordAsk { scoring: *scoring, fuzzy: *fuzzy });
        let ask = LegAsk { collection: self.scope.key(), leg, text, depth, only, keyword };
        if let Some(list) = memory.recall(&ask) {
            return Ok(list);
        }
        let list = search.await?;
        memory.keep(&ask, &list);
        Ok(list)
    }

    async fn vector(&self) -> Result<&[f32]> {
        Ok(self.vector.get_or_try_init(|| self.embed()).await?)
    }

    async fn search_dense(
        &self,
        vector: &[f32],
        depth: usize,
        only: Option<&RoaringTreemap>,
    ) -> Result<LegList> {
        let among = match only {
            Some(keys) => Some(keys),
            None => self.among().await?.as_ref(),
        };
        let index = self.store.indexes.vector(self.scope).await?;
        let hits = index.search(VectorQuery { vector, k: depth, among }).await?;
        let hits: Vec<_> = hits.into_iter().map(|hit| LegHit { key: hit.key, score: hit.score }).collect();
        Ok(LegList { exhausted: hits.len() < depth, hits, ..LegList::default() })
    }

    async fn search_keyword(
        &self,
        text: &str,
        depth: usize,
        only: Option<&RoaringTreemap>,
    ) -> Result<LegList> {
        let among = match only {
            Some(keys) => Some(keys),
            None => self.among().await?.as_ref(),
        };
        let index = self.store.indexes.keyword(self.scope).await?;
        let Query { keyword: scoring, keyword_fuzzy: fuzzy, .. } = self.query.as_ref();
        let query = KeywordQuery { text, k: depth, among, scoring: *scoring, fuzzy: *fuzzy };
        let hits = index.search(query).await?;
        if *fuzzy && only.is_none() {
            self.correction.get_or_try_init(|| index.did_you_mean(text, among)).await?;
        }
        let hits: Vec<_> = hits.into_iter().map(|hit| LegHit { key: hit.key, score: hit.score }).collect();
        Ok(LegList { exhausted: hits.len() < depth, hits, zero_when_absent: true, ..LegList::default() })
    }

    async fn embed(&self) -> Result<Vec<f32>> {
        let embedder = self.models.embedder(self.store, self.scope, &self.query.account).await?;
        let span = spans::embed(&embedder.info().name);
        let embeddings = embedder.embed(TextKind::Query, &[&self.query.text]).instrument(span).await?;
        let Some(own) = embeddings.into_iter().next() else {
            return Err(RetrieveError::new(ErrorKind::Internal, "the embedder gave no vector for the query"));
        };
        if self.passages.is_empty() {
            return Ok(own.vector);
        }
        let passages: Vec<&str> = self.passages.iter().map(String::as_str).collect();
        match embedder.embed(TextKind::Passage, &passages).await {
            Ok(embedded) => {
                let others: Vec<Vec<f32>> = embedded.into_iter().map(|embedding| embedding.vector).collect();
                // Gao et al. give the query and each passage the same weight.
                Ok(mixed(&own.vector, &others, 1.0 / (others.len() + 1) as f64))
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "passages for a query were not embedded"
                );
                let _ = self.passages_failed.set(error.to_string());
                Ok(own.vector)
            }
        }
    }

    /// What the legs find by other words and by a vector between the query's and those of `keys`, where the query's own
    /// has the share `own`; `None` for a leg that does not run. Nothing is remembered.
    pub(crate) async fn like(
        &self,
        text: &str,
        keys: &[ChunkKey],
        own: f64,
        depth: usize,
    ) -> Result<Recalled> {
        let dense = async {
            if !self.query.mode.wants_dense() || self.dense_failed.is_some() {
                return Ok(None);
            }
            let index = self.store.indexes.vector(self.scope).await?;
            let mut others = Vec::with_capacity(keys.len());
            for key in keys {
                others.extend(index.vector(*key).await?);
            }
            let vector = mixed(self.vector().await?, &others, own);
            self.search_dense(&vector, depth, None).await.map(Some)
        };
        let keyword = async {
            if !self.query.mode.wants_keyword() || self.keyword_failed.is_some() {
                return Ok(None);
            }
            self.search_keyword(text, depth, None).await.map(Some)
        };
        let (dense, keyword) = futures::join!(self.timed(dense), self.timed(keyword));
        Ok(Recalled { dense: dense.0?, keyword: keyword.0? })
    }

    /// Adds to each list the query's own scores of those of the chunks that no leg listed.
    pub(crate) async fn score(&self, recalled: &mut Recalled, keys: &[ChunkKey]) -> Result<()> {
        let lists = || [&recalled.dense, &recalled.keyword].into_iter().flatten();
        let listed: RoaringTreemap =
            lists().flat_map(|list| &list.hits).map(|hit| hit.key.0 as u64).collect();
        let unlisted = keys.iter().map(|key| key.0 as u64).collect::<RoaringTreemap>() - listed;
        if unlisted.is_empty() {
            return Ok(());
        }
        let count = unlisted.len() as usize;
        if let Some(list) = &mut recalled.dense {
            let found = self.timed(self.dense(count, Some(&unlisted))).await.0?;
            list.completed.extend(found.hits.into_iter().map(|hit| (hit.key, hit.score)));
        }
        if let Some(list) = &mut recalled.keyword {
            let found = self.timed(self.keyword(count, Some(&unlisted))).await.0?;
            // As in `complete`: a chunk that is not returned holds no word of the query.
            list.completed.extend(unlisted.iter().map(|key| (ChunkKey(key as i64), 0.0)));
            list.completed.extend(found.hits.into_iter().map(|hit| (hit.key, hit.score)));
        }
        Ok(())
    }

    /// Whichever leg comes first computes it; the other waits for that.
    async fn among(&self) -> Result<&Option<RoaringTreemap>> {
        self.among
            .get_or_try_init(|| async {
                Ok(self.store.catalog.candidates(self.scope, self.query.filter.as_ref()).await?)
            })
            .await
    }

    /// What of the query must not be lost; see [`crate::exact`]. A failure costs only that.
    pub(crate) async fn pins(&mut self, fused: &[Fused], timings: &mut Timings) -> Pins {
        let this = &*self;
        let (found, ms) =
            this.timed(Pins::find(this.store, this.scope, &this.query, || this.among(), fused)).await;
        timings.add_ms(EXACT, ms);
        match found {
            Ok(pins) => pins,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "exact matches could not be looked up"
                );
                self.exact_failed = Some(error);
                Pins::default()
            }
        }
    }

    /// What answers the vector leg; `None` if it can't say.
    pub(crate) async fn vector_engine(&self) -> Option<VectorEngine> {
        let stats = async { self.store.indexes.vector(self.scope).await?.stats().await };
        let stats = tokio::time::timeout_at(self.deadline, stats).await.ok()?.ok()?;
        Some(VectorEngine { engine: stats.engine, reason: stats.reason, quantization: stats.quantization })
    }

    async fn timed<T>(&self, work: impl Future<Output = Result<T>>) -> (Result<T>, f64) {
        let start = std::time::Instant::now();
        let result = match tokio::time::timeout_at(self.deadline, work).await {
            Ok(result) => result,
            Err(_) => Err(RetrieveError::new(
                ErrorKind::Timeout,
                format!("no answer within the search deadline of {} ms", self.budget.as_millis()),
            )),
        };
        (result, milliseconds(start))
    }

    fn nothing_left(&mut self) -> RetrieveError {
        let mut failed: Vec<RetrieveError> =
            self.dense_failed.take().into_iter().chain(self.keyword_failed.take()).collect();
        // What a budget refused is said as it is: the caller can't mend it by trying again soon.
        if let Some(place) = failed.iter().position(|error| Refusal::within(error).is_some()) {
            return failed.swap_remove(place);
        }
        let kind = match failed.iter().all(|error| error.kind() == ErrorKind::Timeout) {
            true => ErrorKind::Timeout,
            false => ErrorKind::Unavailable,
        };
        let reasons = failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let wait = failed.iter().filter_map(RetrieveError::retry_after).max();
        let error = RetrieveError::new(kind, format!("no leg of the search could answer: {reasons}"))
            .with_retry_after(wait);
        match failed.into_iter().next() {
            Some(first) => error.with_source(first),
            None => error,
        }
    }
}

/// The list, or `None` with the reason noted if only this leg is lost.
fn keep(result: Result<LegList>, failed: &mut Option<RetrieveError>) -> Result<Option<LegList>> {
    match result {
        Ok(list) => Ok(Some(list)),
        Err(error) if concerns_the_request(error.kind()) => Err(error),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a leg of the search failed");
            *failed = Some(error);
            Ok(None)
        }
    }
}

/// Failures that the other leg can't make up for: the caller or the operator must mend them.
fn concerns_the_request(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Unauthorized)
}

/// `share · own + (1 − share) · mean(others)`, brought to length 1; `own` where there are no others or nothing is left.
fn mixed(own: &[f32], others: &[Vec<f32>], share: f64) -> Vec<f32> {
    let each = (1.0 - share) / others.len() as f64;
    let sum =
        |at: usize| -> f64 { others.iter().filter_map(|other| other.get(at)).map(|x| f64::from(*x)).sum() };
    let mixed: Vec<f64> = match others.is_empty() {
        true => return own.to_vec(),
        false => own.iter().enumerate().map(|(at, x)| share * f64::from(*x) + each * sum(at)).collect(),
    };
    let norm = mixed.iter().map(|x| x * x).sum::<f64>().sqrt();
    if norm < 1e-6 {
        return own.to_vec();
    }
    mixed.into_iter().map(|x| (x / norm) as f32).collect()
}

fn difference(list: &LegList, other: &LegList) -> RoaringTreemap {
    let keys = |list: &LegList| list.hits.iter().map(|hit| hit.key.0 as u64).collect::<RoaringTreemap>();
    keys(list) - keys(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_mixed_by_hand() {
        let mix = mixed(&[1.0, 0.0], &[vec![0.0, 1.0], vec![0.0, 1.0]], 0.8);
        let norm = (0.8_f32 * 0.8 + 0.2 * 0.2).sqrt();
        assert!((mix[0] - 0.8 / norm).abs() < 1e-6 && (mix[1] - 0.2 / norm).abs() < 1e-6, "{mix:?}");
        assert_eq!(mixed(&[1.0, 0.0], &[], 0.8), [1.0, 0.0]);
        assert_eq!(
            mixed(&[1.0, 0.0], &[vec![-1.0, 0.0]], 0.5),
            [1.0, 0.0],
            "nothing is left: the query stands"
        );
    }
}
