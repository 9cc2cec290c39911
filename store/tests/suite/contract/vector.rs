//! What every vector index must do, whatever its engine.

use roaring::RoaringTreemap;
use wellspring_store::vector::flat::{FlatIndex, Form, ScanPool};
use wellspring_store::vector::{VectorEntry, VectorIndex, VectorQuery};
use wellspring_store::{ChunkKey, DocumentKey, ErrorKind, Seq};

/// Components of the vectors in this suite.
pub(crate) const DIMENSION: usize = 48;

/// Pseudo-random numbers, the same for the same seed (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Roughly normal.
    pub(crate) fn normal(&mut self) -> f32 {
        (0..4).map(|_| (self.next() >> 40) as f32 / (1_u64 << 24) as f32 - 0.5).sum()
    }
}

pub(crate) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= norm);
    vector
}

pub(crate) fn random_unit(random: &mut Random, dimension: usize) -> Vec<f32> {
    unit((0..dimension).map(|_| random.normal()).collect())
}

pub(crate) fn entry(key: i64, vector: Vec<f32>) -> VectorEntry {
    VectorEntry { key: ChunkKey(key), document: DocumentKey(key / 10 + 1), version: 1, vector }
}

pub(crate) fn entries(keys: impl IntoIterator<Item = i64>, seed: u64, dimension: usize) -> Vec<VectorEntry> {
    let mut random = Random(seed);
    keys.into_iter().map(|key| entry(key, random_unit(&mut random, dimension))).collect()
}

pub(crate) async fn keys_of(
    index: &dyn VectorIndex,
    vector: &[f32],
    k: usize,
    among: Option<&RoaringTreemap>,
) -> Vec<i64> {
    let hits = index.search(VectorQuery { vector, k, among }).await.unwrap();
    for pair in hits.windows(2) {
        let ordered =
            pair[0].score > pair[1].score || (pair[0].score == pair[1].score && pair[0].key < pair[1].key);
        assert!(ordered, "{pair:?} is not score descending, key ascending");
    }
    hits.iter().map(|hit| hit.key.0).collect()
}

/// Runs the suite on an empty index of [`DIMENSION`].
pub(crate) async fn check(index: &dyn VectorIndex) {
    starts_empty(index).await;
    finds_what_was_added(index).await;
    replaces_and_removes(index).await;
    respects_candidates(index).await;
    ties_go_to_the_smaller_key(index).await;
    refuses_what_does_not_fit(index).await;
    flushes(index).await;
    agrees_with_the_oracle(index).await;
}

async fn starts_empty(index: &dyn VectorIndex) {
    let query = random_unit(&mut Random(1), DIMENSION);
    assert_eq!(index.watermark().await.unwrap(), Seq(0));
    assert!(keys_of(index, &query, 10, None).await.is_empty());
    assert!(index.keys().await.unwrap().is_empty());
    assert_eq!(index.vector(ChunkKey(1)).await.unwrap(), None);
    index.remove(&[ChunkKey(7)]).await.unwrap();
    index.upsert(Vec::new()).await.unwrap();
    index.optimize().await.unwrap();
}

async fn finds_what_was_added(index: &dyn VectorIndex) {
    let all = entries(1..=200, 2, DIMENSION);
    index.upsert(all.clone()).await.unwrap();
    // Twice is harmless.
    index.upsert(all.clone()).await.unwrap();
    index.flush(Seq(1)).await.unwrap();
    assert_eq!(index.keys().await.unwrap(), (1..=200).collect());
    for entry in all.iter().step_by(17) {
        let hits = index.search(VectorQuery { vector: &entry.vector, k: 3, among: None }).await.unwrap();
        assert_eq!(hits[0].key, entry.key);
        assert!((hits[0].score - 1.0).abs() < 0.02, "{}", hits[0].score);
        let kept = index.vector(entry.key).await.unwrap().unwrap();
        let cosine: f32 = kept.iter().zip(&entry.vector).map(|(a, b)| a * b).sum();
        assert!((cosine - 1.0).abs() < 0.01, "{cosine}");
    }
    assert_eq!(keys_of(index, &all[0].vector, 1_000_000_000, None).await.len(), 200);
    assert!(keys_of(index, &all[0].vector, 0, None).await.is_empty());
}

async fn replaces_and_removes(index: &dyn VectorIndex) {
    let new = random_unit(&mut Random(3), DIMENSION);
    index.upsert(vec![entry(5, new.clone())]).await.unwrap();
    index.remove(&[ChunkKey(1), ChunkKey(200), ChunkKey(100), ChunkKey(100), ChunkKey(9_999)]).await.unwrap();
    index.flush(Seq(2)).await.unwrap();
    assert_eq!(keys_of(index, &new, 1, None).await, [5]);
    let left = index.keys().await.unwrap();
    assert_eq!(left.len(), 197);
    assert!(![1, 100, 200].iter().any(|&key| left.contains(key)));
    assert_eq!(index.vector(ChunkKey(100)).await.unwrap(), None);
    assert_eq!(keys_of(index, &new, 500, None).await.len(), 197);
    assert_eq!(index.stats().await.unwrap().entries, 197);
}

async fn respects_candidates(index: &dyn VectorIndex) {
    let query = random_unit(&mut Random(4), DIMENSION);
    // Some of them are not there.
    let few: RoaringTreemap = [3, 50, 100, 150, 5_000].into_iter().collect();
    let mut found = keys_of(index, &query, 10, Some(&few)).await;
    found.sort_unstable();
    assert_eq!(found, [3, 50, 150]);
    let many: RoaringTreemap = (10..=190).collect();
    let found = keys_of(index, &query, 300, Some(&many)).await;
    assert_eq!(found.len(), 180);
    assert!(found.iter().all(|&key| many.contains(key as u64)));
    assert!(keys_of(index, &query, 10, Some(&RoaringTreemap::new())).await.is_empty());
}

async fn ties_go_to_the_smaller_key(index: &dyn VectorIndex) {
    let same = random_unit(&mut Random(5), DIMENSION);
    let keys = [340, 310, 330, 320, 300];
    index.upsert(keys.iter().map(|&key| entry(key, same.clone())).collect()).await.unwrap();
    index.flush(Seq(3)).await.unwrap();
    assert_eq!(keys_of(index, &same, 3, None).await, [300, 310, 320]);
    let among: RoaringTreemap = [340, 320, 330].into_iter().collect();
    assert_eq!(keys_of(index, &same, 2, Some(&among)).await, [320, 330]);
    index.remove(&keys.map(ChunkKey)).await.unwrap();
}

async fn refuses_what_does_not_fit(index: &dyn VectorIndex) {
    let before = index.keys().await.unwrap();
    let mut poisoned = vec![0.0; DIMENSION];
    poisoned[3] = f32::NAN;
    for bad in [vec![1.0; DIMENSION + 1], Vec::new(), poisoned] {
        let refused =
            index.upsert(vec![entry(900, unit(vec![1.0; DIMENSION])), entry(901, bad.clone())]).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
        let refused = index.search(VectorQuery { vector: &bad, k: 1, among: None }).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    let refused = index.upsert(vec![entry(0, unit(vec![1.0; DIMENSION]))]).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(index.keys().await.unwrap(), before, "a refused batch is not applied in part");
}

async fn flushes(index: &dyn VectorIndex) {
    index.flush(Seq(41)).await.unwrap();
    assert_eq!(index.watermark().await.unwrap(), Seq(41));
    index.flush(Seq(42)).await.unwrap();
    assert_eq!(index.watermark().await.unwrap(), Seq(42));
    index.optimize().await.unwrap();
    assert_eq!(index.watermark().await.unwrap(), Seq(42));
}

/// A random history, then recall against an exact scan in f32. Candidate lists are exact: nothing outside is ever found.
async fn agrees_with_the_oracle(index: &dyn VectorIndex) {
    let oracle = FlatIndex::new(DIMENSION, Form::F32, ScanPool::new(1).unwrap(), "oracle").unwrap();
    let everything: Vec<ChunkKey> =
        index.keys().await.unwrap().iter().map(|key| ChunkKey(key as i64)).collect();
    index.remove(&everything).await.unwrap();
    let mut random = Random(6);
    for round in 0..12 {
        let added: Vec<_> = (0..60).map(|_| random.below(400) as i64 + 1).collect();
        let batch = entries(added, 100 + round, DIMENSION);
        let removed: Vec<_> = (0..15).map(|_| ChunkKey(random.below(400) as i64 + 1)).collect();
        for index in [index, &oracle as &dyn VectorIndex] {
            // One batch may name a key twice: the last one holds.
            index.upsert(batch.clone()).await.unwrap();
            index.remove(&removed).await.unwrap();
            index.flush(Seq(100 + round as i64)).await.unwrap();
        }
    }
    assert_eq!(index.keys().await.unwrap(), oracle.keys().await.unwrap());
    let (mut found, mut wanted) = (0, 0);
    for round in 0..60 {
        let query = random_unit(&mut random, DIMENSION);
        let among: Option<RoaringTreemap> = match round % 3 {
            0 => None,
            1 => Some((0..20).map(|_| random.below(450) + 1).collect()),
            _ => Some((0..200).map(|_| random.below(450) + 1).collect()),
        };
        let exact = keys_of(&oracle, &query, 10, among.as_ref()).await;
        let got = keys_of(index, &query, 10, among.as_ref()).await;
        assert_eq!(got.len(), exact.len());
        assert!(among.as_ref().is_none_or(|among| got.iter().all(|&key| among.contains(key as u64))));
        wanted += exact.len();
        found += exact.iter().filter(|key| got.contains(key)).count();
    }
    assert!(found as f64 >= 0.98 * wanted as f64, "recall {found} of {wanted}");
}
