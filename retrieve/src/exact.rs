//! Sees to it that what holds an identifier or a quoted phrase of the query is not lost by fusion, thresholds or
//! reranking.
//!
//! Of each identifier the best chunk that holds it is *pinned*; all of them, where no more than [`PLACES`] do, since any may
//! be the one that is meant. Of a quoted phrase, [`PLACES`] are: whoever quotes wants the words. Pins take turns until
//! [`PLACES`] are given. Pins that stand further down than that after any stage are lifted to the last of the first
//! [`PLACES`] places, and the last hits there that are no pins move down behind them.
//!
//! In a short query holders of what hardly any chunk holds then lead: it says more about what is meant than the few words
//! beside it. In a long one the other words say what is meant, too: an identifier or a phrase has one pin, which does not lead.
//! (With all holders leading, the claims of SciFact, which name genes and compounds by the way, lost 0.8 points of nDCG@10;
//! with three pins for the scare quotes of CACM's long questions those lost 0.7.)

use roaring::RoaringTreemap;
use wellspring_models::text::words;
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
/// Words of the longest query that is about what it names: beyond, an identifier is one detail among others.
const SHORT: usize = 8;

/// The chunks that must stay at the top, the first one first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pins(Vec<Pin>);

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pin {
    key: ChunkKey,
    /// It holds what hardly any other chunk does.
    leads: bool,
}

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
        let short = words(&query.text).take(SHORT + 1).count() <= SHORT;
        let mut wanted: Vec<Vec<Pin>> = Vec::new();
        for exact in exacts.iter().take(LOOKED_UP) {
            let held = index.holding(std::slice::from_ref(exact), HOLDERS, among).await?;
            let keys: Vec<ChunkKey> = held.iter().map(|hit| hit.key).collect();
            let visible = store.catalog.visible_chunks(scope, &keys, query.filter.as_ref()).await?;
            let visible = keys.into_iter().filter(|&key| visible.iter().any(|chunk| chunk.key == key));
            wanted.push(deserving(exact.kind, short, visible.collect(), fused));
        }
        Ok(Self(in_turns(wanted)))
    }

    /// Puts pins that were passed over into a choice of `keys`, in the place of its last members that are no pins.
    pub(crate) fn keep_picked(&self, keys: &[ChunkKey], picked: &mut [usize]) {
        for pin in &self.0 {
            let Some(at) = keys.iter().position(|key| *key == pin.key).filter(|at| !picked.contains(at))
            else {
                continue;
            };
            if let Some(place) = picked.iter().rposition(|&index| !self.holds(keys[index])) {
                picked[place] = at;
            }
        }
    }

    /// Whether the chunk is one of them.
    pub(crate) fn holds(&self, key: ChunkKey) -> bool {
        self.0.iter().any(|pin| pin.key == key)
    }

    /// Lifts pins in a fused ranking, and adds those that are not in it. Scores stay in descending order.
    pub(crate) fn lift_fused(&self, fused: &mut Vec<Fused>) {
        for &Pin { key, .. } in &self.0 {
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
        if self.0.is_empty() {
            return;
        }
        let is_pin = |hit: &T| self.holds(key(hit));
        let below = |hits: &[T], pin: ChunkKey| {
            hits.iter().position(|hit| key(hit) == pin).filter(|&at| at >= PLACES)
        };
        let mut lifted = Vec::new();
        for pin in &self.0 {
            if let Some(at) = below(hits, pin.key) {
                lifted.push(hits.remove(at));
            }
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
        let leads = |hit: &T| self.0.iter().any(|pin| pin.leads && pin.key == key(hit));
        let top = PLACES.min(hits.len());
        hits[..top].sort_by_key(|hit| !leads(hit));
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
fn deserving(kind: ExactKind, short: bool, mut holders: Vec<ChunkKey>, fused: &[Fused]) -> Vec<Pin> {
    let rare = holders.len() <= PLACES;
    let (deserve, leads) = match kind {
        ExactKind::Phrase if short => (PLACES, rare),
        ExactKind::Identifier if rare && short => (PLACES, true),
        ExactKind::Phrase => (1, false),
        ExactKind::Identifier => (1, false),
    };
    // Stable: those that are not in the ranking keep the order of BM25.
    holders.sort_by_key(|&key| fused.iter().position(|hit| hit.key == key).unwrap_or(usize::MAX));
    holders.into_iter().take(deserve).map(|key| Pin { key, leads }).collect()
}

/// The first of each, then the second of each, … each once, [`PLACES`] in all.
fn in_turns(wanted: Vec<Vec<Pin>>) -> Vec<Pin> {
    let mut pins: Vec<Pin> = Vec::new();
    for turn in 0..PLACES {
        for pin in wanted.iter().filter_map(|pins| pins.get(turn)) {
            if let Some(other) = pins.iter_mut().find(|other| other.key == pin.key) {
                other.leads |= pin.leads;
            } else if pins.len() < PLACES {
                pins.push(*pin);
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

    fn pins(keys: &[i64], leads: bool) -> Vec<Pin> {
        keys.iter().map(|&key| Pin { key: ChunkKey(key), leads }).collect()
    }

    fn lifted(keys: &[i64], hits: &[i64]) -> Vec<i64> {
        lifted_pins(pins(keys, false), hits)
    }

    fn lifted_pins(pins: Vec<Pin>, hits: &[i64]) -> Vec<i64> {
        let mut fused = ranking(hits);
        Pins(pins).lift_fused(&mut fused);
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
    fn holders_of_a_rare_identifier_lead() {
        assert_eq!(lifted_pins(pins(&[5], true), &[1, 2, 3, 4, 5]), [5, 1, 2, 3, 4]);
        assert_eq!(lifted_pins(pins(&[3, 1], true), &[1, 2, 3, 4]), [1, 3, 2, 4]);
        let both = [pins(&[4], false), pins(&[5], true)].concat();
        assert_eq!(lifted_pins(both, &[1, 2, 3, 4, 5]), [5, 1, 4, 2, 3]);
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
        Pins(pins(&[10, 7, 99], false)).keep_picked(&keys, &mut picked);
        assert_eq!(picked, [0, 3]);
    }

    #[test]
    fn of_a_frequent_identifier_one_holder_is_pinned_of_a_phrase_three() {
        let holders = [4, 3, 2, 1].map(ChunkKey).to_vec();
        let fused = ranking(&[9, 2, 4]);
        let keys = |kind| {
            deserving(kind, true, holders.clone(), &fused).iter().map(|pin| pin.key.0).collect::<Vec<_>>()
        };
        assert_eq!(keys(ExactKind::Identifier), [2]);
        assert_eq!(keys(ExactKind::Phrase), [2, 4, 3]);
        let rare = deserving(ExactKind::Identifier, true, holders[..3].to_vec(), &fused);
        assert!(rare.len() == 3 && rare.iter().all(|pin| pin.leads));
        let by_the_way = deserving(ExactKind::Identifier, false, holders[..3].to_vec(), &fused);
        assert_eq!(by_the_way, pins(&[2], false), "one detail of a long query");
        let by_the_way = deserving(ExactKind::Phrase, false, holders, &fused);
        assert_eq!(by_the_way, pins(&[2], false), "and so are words in scare quotes");
    }

    #[test]
    fn pins_take_turns() {
        let wanted = vec![pins(&[1, 2, 3], false), pins(&[2, 4], false)];
        assert_eq!(in_turns(wanted), pins(&[1, 2, 4], false));
        assert_eq!(in_turns(vec![Vec::new(), pins(&[7], true)]), pins(&[7], true));
        assert_eq!(in_turns(vec![pins(&[7], false), pins(&[7], true)]), pins(&[7], true));
    }
}
