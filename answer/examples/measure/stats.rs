//! The area under the ROC curve with its interval, and a seeded order.

/// The chance that a `true` scores above a `false`, ties counting half (Mann–Whitney's U over the number of pairs).
pub(crate) fn auc(scores: &[f64], labels: &[bool]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut ranks, mut start) = (0.0, 0);
    while start < order.len() {
        let mut end = start;
        while end < order.len() && scores[order[end]] == scores[order[start]] {
            end += 1;
        }
        let rank = (start + end + 1) as f64 / 2.0;
        ranks += rank * order[start..end].iter().filter(|&&place| labels[place]).count() as f64;
        start = end;
    }
    let positive = labels.iter().filter(|label| **label).count() as f64;
    let negative = labels.len() as f64 - positive;
    (ranks - positive * (positive + 1.0) / 2.0) / (positive * negative)
}

/// The 95 % interval of an area: percentiles over 2 000 resamples with replacement.
pub(crate) fn interval(scores: &[f64], labels: &[bool]) -> (f64, f64) {
    let mut random = Random(7);
    let mut areas: Vec<f64> = (0..2_000)
        .map(|_| {
            let (scores, labels): (Vec<f64>, Vec<bool>) = (0..scores.len())
                .map(|_| random.below(labels.len()))
                .map(|place| (scores[place], labels[place]))
                .unzip();
            auc(&scores, &labels)
        })
        .filter(|area| area.is_finite())
        .collect();
    areas.sort_by(f64::total_cmp);
    (areas[areas.len() / 40], areas[areas.len() - 1 - areas.len() / 40])
}

/// Numbers that look random and are the same in every run (SplitMix64, Steele et al. 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    /// `count` fold numbers below `folds`, as even as can be, in random order.
    pub(crate) fn folds(&mut self, count: usize, folds: usize) -> Vec<usize> {
        let mut fold: Vec<usize> = (0..count).map(|place| place % folds).collect();
        for place in (1..count).rev() {
            fold.swap(place, self.below(place + 1));
        }
        fold
    }
}
