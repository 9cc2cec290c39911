//! How well a score tells questions with an answer from those without: the area under the ROC curve, and risk over coverage.

use serde::{Deserialize, Serialize};

use crate::stats::{Interval, Seeded};

/// Resamples of an area.
const RESAMPLES: usize = 1_000;
/// Points that a curve is thinned to for a file or picture; the area is of all.
const POINTS: usize = 200;

/// An area with its 95 % interval over questions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Area {
    /// 0–1; ½ is chance.
    pub value: f64,
    /// Percentile bootstrap over questions.
    pub interval: Interval,
}

/// The chance that an answerable question scores above an unanswerable one, ties counting half (Mann–Whitney's U over the
/// number of pairs). `None` where one kind is missing.
pub fn area(scores: &[f64], labels: &[bool], seed: u64) -> Option<Area> {
    let value = under_curve(scores, labels)?;
    let mut seeded = Seeded::new(seed);
    let mut resamples: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let drawn = (0..scores.len()).map(|_| seeded.below(scores.len()));
            let (scores, labels): (Vec<f64>, Vec<bool>) =
                drawn.map(|place| (scores[place], labels[place])).unzip();
            under_curve(&scores, &labels)
        })
        .collect();
    Some(Area { value, interval: Interval::of_resamples(&mut resamples)? })
}

fn under_curve(scores: &[f64], labels: &[bool]) -> Option<f64> {
    let positive = labels.iter().filter(|label| **label).count() as f64;
    let negative = labels.len() as f64 - positive;
    if positive == 0.0 || negative == 0.0 {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let mut ranks = 0.0;
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        // `chunk_by` gives the ties in order, so their first rank follows from where they lie in `order`.
        let start = order.partition_point(|&place| scores[place].total_cmp(&scores[tied[0]]).is_lt());
        let middle = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        ranks += middle * tied.iter().filter(|&&place| labels[place]).count() as f64;
    }
    Some((ranks - positive * (positive + 1.0) / 2.0) / (positive * negative))
}

/// One point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Share of all questions that are answered: those with the highest scores.
    pub coverage: f64,
    /// Share of the answered ones whose answer is wrong: unanswerable, or no sentence holds a gold answer.
    pub risk: f64,
}

/// Risk over coverage with the area under it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Area, 0–1, lower is better: the mean risk over all coverages.
    pub area: f64,
    /// From the most confident question to all of them, at most 200.
    pub points: Vec<Point>,
}

/// The curve (El-Yaniv and Wiener, JMLR 11, 2010) of questions answered in the order of their scores; equal scores enter
/// together.
pub fn curve(scores: &[f64], right: &[bool]) -> Curve {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let mut points = Vec::new();
    let (mut answered, mut correct, mut area) = (0_usize, 0_usize, 0.0);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        answered += tied.len();
        correct += tied.iter().filter(|&&place| right[place]).count();
        let risk = 1.0 - correct as f64 / answered as f64;
        area += risk * tied.len() as f64 / scores.len() as f64;
        points.push(Point { coverage: answered as f64 / scores.len() as f64, risk });
    }
    let step = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let thin = points.iter().enumerate().filter(|(at, _)| at % step == step - 1 || *at == last);
    Curve { area, points: thin.map(|(_, point)| *point).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_by_hand() {
        let labels = [true, true, false, false];
        assert_eq!(area(&[0.9, 0.8, 0.2, 0.1], &labels, 1).unwrap().value, 1.0);
        assert_eq!(area(&[0.1, 0.2, 0.8, 0.9], &labels, 1).unwrap().value, 0.0);
        assert_eq!(area(&[0.5; 4], &labels, 1).unwrap().value, 0.5);
        assert_eq!(area(&[0.9, 0.3, 0.5, 0.1], &labels, 1).unwrap().value, 0.75);
        assert!(area(&[0.5; 2], &[true, true], 1).is_none());
    }

    #[test]
    fn a_curve_by_hand() {
        let curve = curve(&[0.9, 0.8, 0.8, 0.1], &[true, true, false, false]);
        let expected = [(0.25, 0.0), (0.75, 1.0 / 3.0), (1.0, 0.5)];
        let found: Vec<(f64, f64)> = curve.points.iter().map(|p| (p.coverage, p.risk)).collect();
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found.0 - expected.0).abs() < 1e-12 && (found.1 - expected.1).abs() < 1e-12,
                "{found:?}"
            );
        }
        assert!((curve.area - (0.5 / 3.0 + 0.25 * 0.5)).abs() < 1e-12);
    }
}
