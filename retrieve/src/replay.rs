//! Asks kept searches again under other settings and says what changed.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use wellspring_store::queries::{KeptQueries, NewQuery, RecordedQuery};
use wellspring_store::{Access, ChunkId, CollectionScope, Collections, ContentHash, Scope};

use crate::config::RetrieveConfig;
use crate::error::{ErrorKind, Result, RetrieveError};
use crate::passage::SearchResponse;
use crate::pipeline::Retriever;
use crate::query::SearchRequest;

/// Ranks that the overlap is taken over.
const RANKS: usize = 10;

/// A hit at another place than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The chunk.
    pub chunk_id: ChunkId,
    /// Its rank before, from 1.
    pub from: usize,
    /// Its rank now.
    pub to: usize,
}

/// What became of one search. Chunks that are not visible any more are taken out of the old ranking first, so that what is
/// left to differ is the settings' doing (and that of documents that came since).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replayed {
    /// The kept search's number.
    pub key: i64,
    /// What was asked.
    pub query: String,
    /// Of the first ten before and now, those in both, over the larger of the two counts; 1 where both are empty.
    pub overlap_at_10: f64,
    /// Hits in both at different ranks, in the new order.
    pub moved: Vec<Moved>,
    /// Hits that were not there before, best first.
    pub new: Vec<ChunkId>,
    /// Hits that are not there now, best first.
    pub lost: Vec<ChunkId>,
    /// Hits of then that are not visible any more.
    pub gone: usize,
}

impl Replayed {
    fn of(key: i64, query: String, before: &[ChunkId], after: &[ChunkId], gone: usize) -> Self {
        let ranks = |list: &[ChunkId]| -> HashMap<ChunkId, usize> {
            list.iter().enumerate().map(|(index, id)| (id.clone(), index + 1)).collect()
        };
        let (then, now) = (ranks(before), ranks(after));
        let top = |list: &[ChunkId]| -> HashSet<ChunkId> { list.iter().take(RANKS).cloned().collect() };
        let (top_then, top_now) = (top(before), top(after));
        let most = top_then.len().max(top_now.len());
        let both = top_then.intersection(&top_now).count();
        let moved = after.iter().filter_map(|id| {
            let (from, to) = (*then.get(id)?, *now.get(id)?);
            (from != to).then(|| Moved { chunk_id: id.clone(), from, to })
        });
        Self {
            key,
            query,
            overlap_at_10: if most == 0 { 1.0 } else { both as f64 / most as f64 },
            moved: moved.collect(),
            new: after.iter().filter(|id| !then.contains_key(id)).cloned().collect(),
            lost: before.iter().filter(|id| !now.contains_key(id)).cloned().collect(),
            gone,
        }
    }

    /// Whether anything changed.
    pub fn is_changed(&self) -> bool {
        !(self.moved.is_empty() && self.new.is_empty() && self.lost.is_empty())
    }
}

/// What a search is kept with: 16 hexadecimal digits of the BLAKE3 of all settings that can change a ranking.
pub(crate) fn fingerprint(config: &RetrieveConfig) -> Result<String> {
    let plain = RetrieveConfig {
        record: RetrieveConfig::default().record,
        deadline_ms: RetrieveConfig::default().deadline_ms,
        ..config.clone()
    };
    let json = serde_json::to_vec(&plain).map_err(unwritten)?;
    let mut hex = ContentHash::of(&json).to_hex();
    hex.truncate(16);
    Ok(hex)
}

impl Retriever {
    /// Keeps a search, with ids only of what it found. That it could not be kept is logged, never the search's failure.
    pub(crate) async fn record(
        &self,
        scope: &CollectionScope,
        request: &SearchRequest,
        found: &SearchResponse,
    ) {
        let kept = async {
            let query = NewQuery {
                request: serde_json::to_value(request).map_err(unwritten)?,
                settings: fingerprint(self.config())?,
                chunks: found.hits.iter().map(|hit| hit.chunk_id.clone()).collect(),
            };
            let record = &self.config().record;
            let bounds = KeptQueries { most: record.most, days: record.days };
            Ok::<(), RetrieveError>(self.catalog().record_query(scope, query, bounds).await?)
        };
        if let Err(error) = kept.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a query could not be kept");
        }
    }

    /// Asks a kept search again, as whoever asked it then, under this retriever's settings. `Invalid` if it is of a release
    /// that asked otherwise; else as [`Retriever::search`].
    pub async fn replay(&self, scope: &CollectionScope, recorded: &RecordedQuery) -> Result<Replayed> {
        let request = SearchRequest::deserialize_kept(&recorded.query.request)?;
        let theirs = match &recorded.access {
            Access::Everything => scope.clone(),
            Access::Principals(own) => {
                let as_then = Scope::restricted(scope.tenant().clone(), own.clone(), Collections::All);
                self.catalog().collection(&as_then, scope.name()).await?.0
            }
        };
        let query = request.query.clone();
        let after: Vec<ChunkId> = self
            .search_unrecorded(&theirs, request)
            .await?
            .hits
            .into_iter()
            .map(|hit| hit.chunk_id)
            .collect();
        let visible = self.catalog().chunks_by_id(&theirs, &recorded.query.chunks).await?;
        let visible: HashSet<ChunkId> = visible.into_iter().map(|chunk| chunk.id).collect();
        let before: Vec<ChunkId> =
            recorded.query.chunks.iter().filter(|id| visible.contains(id)).cloned().collect();
        let gone = recorded.query.chunks.len() - before.len();
        Ok(Replayed::of(recorded.key, query, &before, &after, gone))
    }
}

impl SearchRequest {
    fn deserialize_kept(kept: &serde_json::Value) -> Result<Self> {
        serde::Deserialize::deserialize(kept).map_err(|e: serde_json::Error| {
            RetrieveError::new(ErrorKind::Invalid, format!("a kept query can't be asked again: {e}"))
                .with_source(e)
        })
    }
}

fn unwritten(error: serde_json::Error) -> RetrieveError {
    RetrieveError::new(ErrorKind::Internal, "a query can't be written down").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &str) -> Vec<ChunkId> {
        names.split_whitespace().map(|name| ChunkId(name.to_owned())).collect()
    }

    #[test]
    fn what_moved_came_and_went() {
        let replayed = Replayed::of(1, "q".to_owned(), &ids("a b c d"), &ids("b a d e"), 2);
        assert_eq!(replayed.overlap_at_10, 0.75);
        let moved: Vec<(&str, usize, usize)> =
            replayed.moved.iter().map(|m| (m.chunk_id.0.as_str(), m.from, m.to)).collect();
        assert_eq!(moved, [("b", 2, 1), ("a", 1, 2), ("d", 4, 3)]);
        assert_eq!((replayed.new.clone(), replayed.lost.clone(), replayed.gone), (ids("e"), ids("c"), 2));
        assert!(replayed.is_changed());
        let same = Replayed::of(1, "q".to_owned(), &ids("a b"), &ids("a b"), 0);
        assert!(!same.is_changed() && same.overlap_at_10 == 1.0);
        assert_eq!(Replayed::of(1, "q".to_owned(), &[], &[], 0).overlap_at_10, 1.0);
        assert_eq!(Replayed::of(1, "q".to_owned(), &ids("a"), &[], 0).overlap_at_10, 0.0);
    }
}
