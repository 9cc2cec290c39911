//! Sees to it that what holds an identifier or a quoted phrase of the query is not lost by fusion, thresholds or
//! reranking.
//!
//! Of each identifier the best chunk that holds it is *pinned*; all of them, where no more than [`PLACES`] do, since any may
//! be the one that is meant. Of a quoted phrase, [`PLACES`] are: whoever quotes wants the words. Pins take turns until
//! [`PLACES`] are given. Pins that stand further down than that after any stage are lifted to the last of the first
//! [`PLACES`] places, and the last hits there that are no pins move down behind them.

use roaring::RoaringTreemap;
use wellspring_store::keyword::{ExactKind, exacts};
use wellspring_store::{ChunkKey, CollectionScope, Store};

use crate::error::Result;
use crate::fuse::{Fused, LegScore};
use crate::passage::Passage;
use crate::query::Query;

/// Hits at the top among which every pin is.
const PLACES: usize = 3;
/// Chunks looked at for one identifier or phrase: most of them invisible would be a strange collection.
const HOLDERS: usize = 64;
/// Identifiers and phrases looked up.
const LOOKED_UP: usize = 8;

/// The chunks that must stay at the top, the first one first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pins(Vec<ChunkKey>);

impl Pins {
    /// What the query names exactly and which visible chunks hold it. `fused` is the ranking so far: of several holders
    /// the one that it has higher comes first, then the one that BM25 does.
    ///
    /// `among` gives the candidates, `None` for all; it is not asked where the query names nothing.
    pub(crate) async fn find<'a>(
        store: &Store,
        scope: &CollectionScope,
        query: &Query,
        among: impl AsyncFnOnce() -> Result<&'a Option<RoaringTreemap>>,
        fused: &[Fused],
    ) -> Result<Self> {
        let exacts = exacts(&query.text);
        if exacts.is_empty() {
            return Ok(Self::default());
        }
        let index = store.indexes.keyword(scope).await?;
        let among = among().await?.as_ref();
        let mut wanted: Vec<Vec<ChunkKey>> = Vec::new();
        for exact in exacts.iter().take(LOOKED_UP) {
            let held = index.holding(std::slice::from_ref(exact), HOLDERS, among).await?;
            let keys: Vec<ChunkKey> = held.iter().map(|hit| hit.key).collect();
            let visible = store.catalog.visible_chunks(scope, &keys, query.filter.as_ref()).await?;
            let visible = keys.into_iter().filter(|&key| visible.iter().any(|chunk| chunk.key == key));
            wanted.push(deserving(exact.kind, visible.collect(), fused));
        }
        Ok(Self(in_turns(wanted)))
    }

    /// Puts pins that were passed over into a choice of `keys`, in the place of its last members that are no pins.
    pub(crate) fn keep_picked(&self, keys: &[ChunkKey], picked: &mut [usize]) {
        for pin in &self.0 {
            let Some(at) = keys.iter().position(|key| key == pin).filter(|at| !picked.contains(at)) else {
                continue;
            };
            if let Some(place) = picked.iter().rposition(|&index| !self.0.contains(&keys[index])) {
                picked[place] = at;
            }
        }
    }

    /// Lifts pins in a fused ranking, and adds those that are not in it. Scores stay in descending order.
    pub(crate) fn lift_fused(&self, fused: &mut Vec<Fused>) {
        for &key in &self.0 {
            if !fused.iter().any(|hit| hit.key == key) {
                let score = fused.last().map_or(0.0, |last| last.score.next_down());
                let standing =
                    |ran: bool| ran.then_some(LegScore { rank: None, score: None, normalized: None });
                let (dense, keyword) = fused
                    .first()
                    .map_or((false, true), |first| (first.dense.is_some(), first.keyword.is_some()));
                fused.push(Fused { key, score, dense: standing(dense), keyword: standing(keyword) });
            }
        }
        self.lift(fused, |hit| hit.key, |hit| &mut hit.score);
    }

    /// Lifts pins among passages that a later stage has reordered.
    pub(crate) fn lift_passages(&self, passages: &mut Vec<Passage>) {
        self.lift(passages, |hit| hit.place.key, |hit| &mut hit.score);
    }

    fn lift<T>(&self, hits: &mut Vec<T>, key: impl Fn(&T) -> ChunkKey, score: impl Fn(&mut T) -> &mut f32) {
        let is_pin = |hit: &T| self.0.contains(&key(hit));
        let below = |hits: &[T], pin: ChunkKey| {
            hits.iter().position(|hit| key(hit) == pin).filter(|&at| at >= PLACES)
        };
        let mut lifted = Vec::new();
        for &pin in &self.0 {
            if let Some(at) = below(hits, pin) {
                lifted.push(hits.remove(at));
            }
        }
        if lifted.is_empty() {
            return;
        }
        // Who gives way, from the last of the top places upwards. There are at most as many pins as places.
        let mut way = Vec::new();
        for at in (0..PLACES.min(hits.len())).rev() {
            if way.len() < lifted.len() && !is_pin(&hits[at]) {
                way.push(hits.remove(at));
            }
        }
        let to = PLACES.saturating_sub(lifted.len()).min(hits.len());
        hits.splice(to..to, lifted.into_iter().chain(way.into_iter().rev()));
        for place in (0..PLACES.min(hits.len().saturating_sub(1))).rev() {
            let below = *score(&mut hits[place + 1]);
            let own = score(&mut hits[place]);
            if *own <= below {
                *own = below.next_up();
            }
        }
    }
}

/// Those of the holders (the best by BM25 first) that deserve a pin, the best in the ranking so far first.
fn deserving(kind: ExactKind, mut holders: Vec<ChunkKey>, fused: &[Fused]) -> Vec<ChunkKey> {
    let deserve = match kind {
        ExactKind::Identifier if holders.len() > PLACES => 1,
        ExactKind::Identifier | ExactKind::Phrase => PLACES,
    };
    // Stable: those that are not in the ranking keep the order of BM25.
    holders.sort_by_key(|&key| fused.iter().position(|hit| hit.key == key).unwrap_or(usize::MAX));
    holders.truncate(deserve);
    holders
}

/// The first of each, then the second of each, … each once, [`PLACES`] in all.
fn in_turns(wanted: Vec<Vec<ChunkKey>>) -> Vec<ChunkKey> {
    let mut pins: Vec<ChunkKey> = Vec::new();
    for turn in 0..PLACES {
        for key in wanted.iter().filter_map(|keys| keys.get(turn)) {
            if pins.len() < PLACES && !pins.contains(key) {
                pins.push(*key);
            }
        }
    }
    pins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(keys: &[i64]) -> Vec<Fused> {
        let score = |place: usize| 1.0 - 0.1 * place as f32;
        let fused = |(place, &key): (usize, &i64)| Fused {
            key: ChunkKey(key),
            score: score(place),
            dense: None,
            keyword: None,
        };
        keys.iter().enumerate().map(fused).collect()
    }

    fn lifted(pins: &[i64], hits: &[i64]) -> Vec<i64> {
        let mut fused = ranking(hits);
        Pins(pins.iter().copied().map(ChunkKey).collect()).lift_fused(&mut fused);
        assert!(fused.windows(2).all(|pair| pair[0].score > pair[1].score), "{fused:?}");
        fused.iter().map(|hit| hit.key.0).collect()
    }

    #[test]
    fn a_pin_below_is_lifted_and_the_others_keep_their_order() {
        assert_eq!(lifted(&[5], &[1, 2, 3, 4, 5]), [1, 2, 5, 3, 4]);
        assert_eq!(lifted(&[2], &[1, 2, 3, 4, 5]), [1, 2, 3, 4, 5]);
        assert_eq!(lifted(&[5, 3], &[1, 2, 3, 4, 5]), [1, 3, 5, 2, 4]);
        assert_eq!(lifted(&[4, 5, 6], &[1, 2, 3, 4, 5, 6]), [4, 5, 6, 1, 2, 3]);
        assert_eq!(lifted(&[], &[1, 2]), [1, 2]);
    }

    #[test]
    fn a_pin_that_no_leg_listed_is_added() {
        assert_eq!(lifted(&[9], &[1, 2, 3, 4]), [1, 2, 9, 3, 4]);
        assert_eq!(lifted(&[9], &[]), [9]);
        assert_eq!(lifted(&[9], &[1]), [1, 9]);
    }

    #[test]
    fn a_choice_keeps_the_pins() {
        let keys = [7, 8, 9, 10].map(ChunkKey);
        let mut picked = [0, 1];
        Pins(vec![ChunkKey(10), ChunkKey(7), ChunkKey(99)]).keep_picked(&keys, &mut picked);
        assert_eq!(picked, [0, 3]);
    }

    #[test]
    fn of_a_frequent_identifier_one_holder_is_pinned_of_a_phrase_three() {
        let holders = [4, 3, 2, 1].map(ChunkKey).to_vec();
        let fused = ranking(&[9, 2, 4]);
        let keys =
            |kind| deserving(kind, holders.clone(), &fused).iter().map(|key| key.0).collect::<Vec<_>>();
        assert_eq!(keys(ExactKind::Identifier), [2]);
        assert_eq!(keys(ExactKind::Phrase), [2, 4, 3]);
        assert_eq!(deserving(ExactKind::Identifier, holders[..3].to_vec(), &fused).len(), 3);
    }

    #[test]
    fn pins_take_turns() {
        let keys = |keys: &[i64]| keys.iter().copied().map(ChunkKey).collect::<Vec<_>>();
        let wanted = vec![keys(&[1, 2, 3]), keys(&[2, 4])];
        assert_eq!(in_turns(wanted), keys(&[1, 2, 4]));
        assert_eq!(in_turns(vec![Vec::new(), keys(&[7])]), keys(&[7]));
    }
}
