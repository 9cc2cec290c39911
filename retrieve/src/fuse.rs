//! Makes one ranking out of the dense and the keyword leg's lists, by scores or by ranks.
//!
//! *Convex* adds the legs' scores after each was made comparable by a [`Normalization`]:
//! `w · n(dense) + (1 − w) · n(keyword)`. Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval",
//! TOIS 42(1), 2023, show that a convex combination beats rank fusion in and out of domain and hardly depends on the
//! normalisation. *RRF* is `2w / (k + rank in dense) + 2(1 − w) / (k + rank in keyword)`, ranks from 1; with `w = ½` that
//! is the sum of Cormack, Clarke and Büttcher, SIGIR 2009.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use wellspring_store::ChunkKey;

/// Fewest scores the keyword leg's mean and deviation are taken over: a list that ended earlier is filled up with
/// zeros, the true score of every chunk it does not name. Without it the only chunk that holds a rare identifier would
/// have z = 0, no better than one that lacks it.
const FEWEST_SCORES: usize = 10;

/// How the legs' lists become one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fusion {
    /// Convex combination of normalised scores.
    Convex {
        /// Weight of the dense leg, 0 to 1; the keyword leg has the rest.
        #[serde(default = "half")]
        weight: f64,
        /// How scores of the legs are made comparable.
        #[serde(default)]
        normalization: Normalization,
    },
    /// Reciprocal rank fusion.
    Rrf {
        /// Damping, 1 to 1000: 60 in the paper; 10 does better on most sets measured.
        k: u32,
        /// Weight of the dense leg, 0 to 1; the keyword leg has the rest.
        #[serde(default = "half")]
        weight: f64,
    },
}

fn half() -> f64 {
    0.5
}

/// Brings a leg's scores to a scale that another leg's can be added to. All are of the leg's own list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// `(s − mean) / deviation`, population deviation.
    #[default]
    ZScore,
    /// `(s − least) / (greatest − least)`: 0 to 1.
    MinMax,
    /// As min-max, with the least score that the leg could give in theory: −1 for cosines, 0 for BM25.
    TheoreticalMinMax,
    /// `(s − (mean − 3 deviations)) / 6 deviations`, cut to 0 to 1; a chunk that the leg did not list has 0. Qdrant's
    /// distribution-based score fusion.
    Distribution,
}

impl Default for Fusion {
    fn default() -> Self {
        Self::Convex { weight: half(), normalization: Normalization::default() }
    }
}

impl Fusion {
    /// The same with another share of the dense leg.
    #[must_use]
    pub fn with_weight(self, weight: f64) -> Self {
        match self {
            Self::Convex { normalization, .. } => Self::Convex { weight, normalization },
            Self::Rrf { k, .. } => Self::Rrf { k, weight },
        }
    }

    /// Share of the dense leg.
    pub fn weight(self) -> f64 {
        match self {
            Self::Convex { weight, .. } | Self::Rrf { weight, .. } => weight,
        }
    }
}

/// The score that convex fusion gives a chunk in a leg that did not list it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The lowest score of that leg's list: an upper bound of the true one, for nothing.
    #[default]
    LegMinimum,
    /// The true score, asked from the index for just those chunks: one more restricted search per leg.
    Exact,
}

/// A chunk as one leg scored it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LegHit {
    /// The chunk.
    pub key: ChunkKey,
    /// Cosine or BM25.
    pub score: f32,
}

/// One leg's answer.
#[derive(Debug, Clone, Default)]
pub struct LegList {
    /// Score descending, then key ascending, keys distinct.
    pub hits: Vec<LegHit>,
    /// True scores of chunks that the leg did not list, where they were asked for.
    pub completed: HashMap<ChunkKey, f32>,
    /// The leg has no further hit: whatever it does not list, it does not match.
    pub exhausted: bool,
    /// A chunk that does not match scores exactly 0 (true of BM25, not of cosines).
    pub zero_when_absent: bool,
}

/// A chunk's standing in one leg.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LegScore {
    /// From 1; `None` when the leg did not list the chunk.
    pub rank: Option<usize>,
    /// As the leg gave it; `None` when the leg did not list it and its score was not asked for.
    pub score: Option<f32>,
    /// What convex fusion used; `None` under other methods.
    pub normalized: Option<f64>,
}

/// A chunk in the fused ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    /// The chunk.
    pub key: ChunkKey,
    /// The fused score; of a single leg, that leg's own score.
    pub score: f32,
    /// Its standing in the dense leg, where that leg ran.
    pub dense: Option<LegScore>,
    /// Its standing in the keyword leg, where that leg ran.
    pub keyword: Option<LegScore>,
}

/// Fuses what the legs found; `None` for a leg that was not wanted or failed. One leg alone keeps its order and its raw
/// scores. Each chunk occurs once; score descending, then key ascending. Two empty lists give an empty ranking.
pub fn fuse(dense: Option<&LegList>, keyword: Option<&LegList>, fusion: Fusion) -> Vec<Fused> {
    let mut fused = match (dense, keyword) {
        (None, None) => Vec::new(),
        (Some(list), None) => {
            alone(list, |key, score, leg| Fused { key, score, dense: Some(leg), keyword: None })
        }
        (None, Some(list)) => {
            alone(list, |key, score, leg| Fused { key, score, dense: None, keyword: Some(leg) })
        }
        (Some(dense), Some(keyword)) => match fusion {
            Fusion::Convex { weight, normalization } => convex(dense, keyword, weight, normalization),
            Fusion::Rrf { k, weight } => reciprocal(dense, keyword, k, weight),
        },
    };
    // Sorted by the 32-bit score that is shown, so that the order can be made again from what a caller sees.
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.key.cmp(&b.key)));
    fused
}

fn alone(list: &LegList, make: impl Fn(ChunkKey, f32, LegScore) -> Fused) -> Vec<Fused> {
    let listed = list.hits.iter().enumerate().map(|(index, hit)| (hit.key, hit.score, Some(index + 1)));
    let known: HashSet<ChunkKey> = list.hits.iter().map(|hit| hit.key).collect();
    let asked = list.completed.iter().filter(|(key, _)| !known.contains(key));
    listed
        .chain(asked.map(|(key, score)| (*key, *score, None)))
        .map(|(key, score, rank)| make(key, score, LegScore { rank, score: Some(score), normalized: None }))
        .collect()
}

fn convex(dense: &LegList, keyword: &LegList, weight: f64, normalization: Normalization) -> Vec<Fused> {
    let (dense, keyword) = (Standings::of(dense), Standings::of(keyword));
    let (dense_scale, keyword_scale) =
        (Scale::of(dense.list, normalization), Scale::of(keyword.list, normalization));
    union(&dense, &keyword)
        .map(|key| {
            let (d, w) = (dense.normalized(key, &dense_scale), keyword.normalized(key, &keyword_scale));
            let part = |leg: &LegScore| leg.normalized.unwrap_or(0.0);
            let score = weight * part(&d) + (1.0 - weight) * part(&w);
            Fused { key, score: score as f32, dense: Some(d), keyword: Some(w) }
        })
        .collect()
}

fn reciprocal(dense: &LegList, keyword: &LegList, k: u32, weight: f64) -> Vec<Fused> {
    let (dense, keyword) = (Standings::of(dense), Standings::of(keyword));
    union(&dense, &keyword)
        .map(|key| {
            let (d, w) = (dense.standing(key), keyword.standing(key));
            let part = |leg: &LegScore| leg.rank.map_or(0.0, |rank| 1.0 / (f64::from(k) + rank as f64));
            let score = 2.0 * weight * part(&d) + 2.0 * (1.0 - weight) * part(&w);
            Fused { key, score: score as f32, dense: Some(d), keyword: Some(w) }
        })
        .collect()
}

/// Every chunk of either leg, once, and those that no leg listed but whose scores were asked for.
fn union<'a>(dense: &'a Standings<'_>, keyword: &'a Standings<'_>) -> impl Iterator<Item = ChunkKey> + 'a {
    let only_keyword = keyword.list.hits.iter().filter(|hit| !dense.ranks.contains_key(&hit.key));
    let asked: BTreeSet<ChunkKey> =
        dense.list.completed.keys().chain(keyword.list.completed.keys()).copied().collect();
    let unlisted =
        asked.into_iter().filter(|key| !dense.ranks.contains_key(key) && !keyword.ranks.contains_key(key));
    dense.list.hits.iter().chain(only_keyword).map(|hit| hit.key).chain(unlisted)
}

/// One leg's list with what fusion asks of it.
struct Standings<'a> {
    list: &'a LegList,
    ranks: HashMap<ChunkKey, (usize, f32)>,
}

impl<'a> Standings<'a> {
    fn of(list: &'a LegList) -> Self {
        let ranks =
            list.hits.iter().enumerate().map(|(index, hit)| (hit.key, (index + 1, hit.score))).collect();
        Self { list, ranks }
    }

    fn standing(&self, key: ChunkKey) -> LegScore {
        match self.ranks.get(&key) {
            Some(&(rank, score)) => LegScore { rank: Some(rank), score: Some(score), normalized: None },
            None => LegScore { rank: None, score: self.list.completed.get(&key).copied(), normalized: None },
        }
    }

    fn normalized(&self, key: ChunkKey, scale: &Scale) -> LegScore {
        let standing = self.standing(key);
        let normalized = match standing.score {
            Some(score) => scale.apply(f64::from(score)),
            None => scale.missing,
        };
        LegScore { normalized: Some(normalized), ..standing }
    }
}

/// Mean, deviation and extremes of a leg's scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
    minimum: f64,
    maximum: f64,
}

impl Spread {
    pub(crate) fn of(list: &LegList) -> Self {
        let listed = list.hits.len();
        let zeros =
            if list.zero_when_absent && list.exhausted { FEWEST_SCORES.saturating_sub(listed) } else { 0 };
        let count = (listed + zeros) as f64;
        if count == 0.0 {
            return Self { mean: 0.0, deviation: 0.0, minimum: 0.0, maximum: 0.0 };
        }
        let scores = || list.hits.iter().map(|hit| f64::from(hit.score));
        let mean = scores().sum::<f64>() / count;
        let squares = scores().map(|s| (s - mean).powi(2)).sum::<f64>() + zeros as f64 * mean * mean;
        let filled = (zeros > 0).then_some(0.0);
        Self {
            mean,
            deviation: (squares / count).sqrt(),
            minimum: scores().chain(filled).fold(f64::INFINITY, f64::min),
            maximum: scores().chain(filled).fold(f64::NEG_INFINITY, f64::max),
        }
    }

    fn is_flat(&self) -> bool {
        self.deviation <= 1e-9 * self.mean.abs().max(1.0)
    }
}

/// `(s − zero) / unit`, cut to `within`, for every score that a leg gave.
#[derive(Debug)]
struct Scale {
    zero: f64,
    unit: f64,
    within: (f64, f64),
    /// For a chunk that was not listed.
    missing: f64,
}

impl Scale {
    fn of(list: &LegList, normalization: Normalization) -> Self {
        let spread = Spread::of(list);
        let Spread { mean, deviation, minimum, maximum } = spread;
        let endless = (f64::NEG_INFINITY, f64::INFINITY);
        if spread.is_flat() {
            // Scores that are all the same (but for rounding) say nothing about order; but being listed must count for
            // something even then.
            return Self { zero: mean, unit: f64::INFINITY, within: endless, missing: -1.0 };
        }
        let (zero, unit, within) = match normalization {
            Normalization::ZScore => (mean, deviation, endless),
            Normalization::MinMax => (minimum, maximum - minimum, endless),
            Normalization::TheoreticalMinMax => {
                let least = if list.zero_when_absent { 0.0 } else { -1.0 };
                (least, maximum - least, endless)
            }
            Normalization::Distribution => (mean - 3.0 * deviation, 6.0 * deviation, (0.0, 1.0)),
        };
        let mut scale = Self { zero, unit, within, missing: 0.0 };
        if normalization != Normalization::Distribution {
            scale.missing = scale.apply(minimum);
        }
        scale
    }

    fn apply(&self, score: f64) -> f64 {
        ((score - self.zero) / self.unit).clamp(self.within.0, self.within.1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(hits: &[(i64, f32)]) -> LegList {
        let hits = hits.iter().map(|&(key, score)| LegHit { key: ChunkKey(key), score }).collect();
        LegList { hits, ..LegList::default() }
    }

    fn keyword(hits: &[(i64, f32)]) -> LegList {
        LegList { exhausted: true, zero_when_absent: true, ..list(hits) }
    }

    fn order(fused: &[Fused]) -> Vec<i64> {
        fused.iter().map(|hit| hit.key.0).collect()
    }

    #[test]
    fn convex_fusion_by_hand() {
        // Dense: mean 0.5, deviation 0.2449…; z = 1.2247, 0, −1.2247. Keyword: mean 3, deviation 1; z = 1, −1; chunk 1
        // is missing there and gets the minimum.
        let dense = list(&[(1, 0.8), (2, 0.5), (3, 0.2)]);
        let words = list(&[(2, 4.0), (3, 2.0)]);
        let fused = fuse(Some(&dense), Some(&words), Fusion::default());
        assert_eq!(order(&fused), [2, 1, 3]);
        let expected = [0.5, 0.5 * 1.224_744_9 - 0.5, 0.5 * -1.224_744_9 - 0.5];
        for (hit, expected) in fused.iter().zip(expected) {
            assert!((f64::from(hit.score) - expected).abs() < 1e-6, "{hit:?}");
        }
        let of_one = fused[1].keyword.unwrap();
        assert_eq!((of_one.rank, of_one.score, of_one.normalized), (None, None, Some(-1.0)));
    }

    #[test]
    fn a_true_score_replaces_the_minimum() {
        let dense = LegList { completed: HashMap::from([(ChunkKey(9), 0.5)]), ..list(&[(1, 0.8), (3, 0.2)]) };
        let fused =
            fuse(Some(&dense), Some(&keyword(&[(9, 2.0), (1, 2.0)])), Fusion::default().with_weight(1.0));
        let nine = fused.iter().find(|hit| hit.key.0 == 9).unwrap().dense.unwrap();
        assert_eq!((nine.rank, nine.score), (None, Some(0.5)));
        assert!(nine.normalized.unwrap().abs() < 1e-6);
    }

    #[test]
    fn reciprocal_ranks_by_hand() {
        let fused = fuse(
            Some(&list(&[(1, 0.9), (2, 0.8)])),
            Some(&keyword(&[(2, 7.0)])),
            Fusion::Rrf { k: 60, weight: 0.5 },
        );
        assert_eq!(order(&fused), [2, 1]);
        assert!((fused[0].score - (1.0 / 61.0 + 1.0 / 62.0)).abs() < 1e-7);
        assert!((fused[1].score - 1.0 / 61.0).abs() < 1e-7);
    }

    #[test]
    fn weighted_reciprocal_ranks_by_hand() {
        let lists = (list(&[(1, 0.9), (2, 0.8)]), keyword(&[(2, 7.0)]));
        let fused = fuse(Some(&lists.0), Some(&lists.1), Fusion::Rrf { k: 60, weight: 0.9 });
        assert_eq!(order(&fused), [2, 1]);
        assert!((f64::from(fused[1].score) - 1.8 / 61.0).abs() < 1e-7);
        assert!((f64::from(fused[0].score) - 1.8 / 62.0 - 0.2 / 61.0).abs() < 1e-7);
    }

    #[test]
    fn each_normalisation_by_hand() {
        // Dense: mean 0.5, deviation 0.3, extremes 0.2 and 0.8. Keyword: 4 and 2, full list; mean 3, deviation 1.
        let dense = list(&[(1, 0.8), (3, 0.2)]);
        let words = LegList { zero_when_absent: true, ..list(&[(2, 4.0), (1, 2.0)]) };
        let normalized = |normalization| {
            let fused = fuse(Some(&dense), Some(&words), Fusion::Convex { weight: 0.5, normalization });
            let of = |key: i64| fused.iter().find(|hit| hit.key.0 == key).unwrap();
            [1, 2, 3].map(|key| {
                let leg = |leg: Option<LegScore>| leg.unwrap().normalized.unwrap();
                [leg(of(key).dense), leg(of(key).keyword)].map(|n| (n * 1e4).round() / 1e4)
            })
        };
        assert_eq!(normalized(Normalization::ZScore), [[1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]);
        assert_eq!(normalized(Normalization::MinMax), [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]);
        assert_eq!(normalized(Normalization::TheoreticalMinMax), [[1.0, 0.5], [0.6667, 1.0], [0.6667, 0.5]]);
        assert_eq!(normalized(Normalization::Distribution), [[0.6667, 0.3333], [0.0, 0.6667], [0.3333, 0.0]]);
    }

    #[test]
    fn the_only_holder_of_a_rare_word_stands_out() {
        let dense = list(&[(1, 0.32), (2, 0.31), (3, 0.30)]);
        let fused = fuse(Some(&dense), Some(&keyword(&[(3, 9.0)])), Fusion::default());
        assert_eq!(fused[0].key.0, 3, "one hit among nine zeros has z = 3");
        assert!((fused[0].keyword.unwrap().normalized.unwrap() - 3.0).abs() < 1e-6);
    }

    #[test]
    fn equal_scores_say_nothing_but_being_listed_does() {
        let flat = LegList { zero_when_absent: true, ..list(&[(1, 2.0), (2, 2.0)]) };
        let fused = fuse(Some(&list(&[(1, 0.5), (2, 0.5), (3, 0.5)])), Some(&flat), Fusion::default());
        assert_eq!(order(&fused), [1, 2, 3]);
        assert_eq!((fused[0].score, fused[1].score, fused[2].score), (0.0, 0.0, -0.5));
    }

    #[test]
    fn one_leg_keeps_its_scores_and_none_gives_nothing() {
        let fused = fuse(Some(&list(&[(7, 0.4), (2, 0.4)])), None, Fusion::default());
        assert_eq!((order(&fused), fused[0].score), (vec![2, 7], 0.4));
        assert!(fuse(None, None, Fusion::default()).is_empty());
        assert!(fuse(Some(&list(&[])), Some(&keyword(&[])), Fusion::default()).is_empty());
    }

    proptest! {
        #[test]
        fn every_chunk_once_finite_and_sorted(
            dense in prop::collection::btree_map(0_i64..40, -1.0_f32..1.0, 0..30),
            words in prop::collection::btree_map(0_i64..40, 0.001_f32..50.0, 0..30),
            weight in 0.0_f64..=1.0,
            rrf in prop::bool::ANY,
            normalization in prop::sample::select(vec![
                Normalization::ZScore,
                Normalization::MinMax,
                Normalization::TheoreticalMinMax,
                Normalization::Distribution,
            ]),
        ) {
            let ranked = |scores: &std::collections::BTreeMap<i64, f32>| {
                let mut hits: Vec<(i64, f32)> = scores.iter().map(|(k, s)| (*k, *s)).collect();
                hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                hits
            };
            let (d, w) = (list(&ranked(&dense)), keyword(&ranked(&words)));
            let fusion = if rrf { Fusion::Rrf { k: 10, weight } } else { Fusion::Convex { weight, normalization } };
            let fused = fuse(Some(&d), Some(&w), fusion);
            let mut keys: Vec<i64> = order(&fused);
            prop_assert!(fused.iter().all(|hit| hit.score.is_finite()));
            let ordered = |a: &Fused, b: &Fused| a.score > b.score || (a.score == b.score && a.key < b.key);
            prop_assert!(fused.windows(2).all(|pair| ordered(&pair[0], &pair[1])));
            keys.sort_unstable();
            let mut expected: Vec<i64> = dense.keys().chain(words.keys()).copied().collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(keys, expected);
        }
    }
}
