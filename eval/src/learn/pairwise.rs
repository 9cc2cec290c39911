//! Pairwise logistic regression: of two hits of one query the one with the higher grade should score higher.
//!
//! Minimises `1/Q Σ_q 1/P_q Σ_pairs ln(1 + exp(−w · (x_better − x_worse))) + pull/2 · |w|²`, the linear case of RankNet
//! (Burges et al., ICML 2005), over features brought to mean 0 and deviation 1. Each query counts the same, however many
//! pairs it has. The sum is convex and strictly so with a pull, so Newton's method finds its one minimum.

use crate::linear::solve;

/// Steps at most; it is there after about ten.
const STEPS: usize = 50;
/// A step shorter than this ends the search.
const SHORT: f64 = 1e-9;

/// A hit as training sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Example<'a> {
    pub(super) row: &'a [f64],
    pub(super) gain: f64,
}

/// A fitted model.
#[derive(Debug, Clone)]
pub(super) struct Fitted {
    pub(super) center: Vec<f64>,
    pub(super) scale: Vec<f64>,
    pub(super) weights: Vec<f64>,
}

impl Fitted {
    pub(super) fn score(&self, row: &[f64]) -> f64 {
        let standard =
            row.iter().zip(&self.center).zip(&self.scale).map(|((x, center), scale)| (x - center) / scale);
        standard.zip(&self.weights).map(|(x, weight)| x * weight).sum()
    }
}

/// Fits to queries, each a slice of its hits, all with rows of one length. A feature that never varies gets the weight 0.
pub(super) fn fit(queries: &[&[Example<'_>]], pull: f64) -> Fitted {
    let size = queries.iter().flat_map(|hits| hits.iter()).map(|hit| hit.row.len()).next().unwrap_or(0);
    let (center, scale) = spread(queries, size);
    // The differences of all pairs, with the weight that makes each query count the same.
    let mut pairs: Vec<(f64, Vec<f64>)> = Vec::new();
    for hits in queries {
        let own = |better: &Example<'_>, worse: &Example<'_>| -> Vec<f64> {
            (0..size).map(|at| (better.row[at] - worse.row[at]) / scale[at]).collect()
        };
        let differences: Vec<Vec<f64>> = hits
            .iter()
            .flat_map(|better| {
                hits.iter().filter(|worse| better.gain > worse.gain).map(|worse| own(better, worse))
            })
            .collect();
        let share = 1.0 / (differences.len().max(1) * queries.len()) as f64;
        pairs.extend(differences.into_iter().map(|difference| (share, difference)));
    }
    let mut weights = vec![0.0; size];
    let mut loss = objective(&pairs, &weights, pull);
    for _ in 0..STEPS {
        let step = newton_step(&pairs, &weights, pull);
        // Halved until it lowers the sum: far from the minimum a whole step may overshoot.
        let mut length = 1.0;
        let moved = loop {
            let tried: Vec<f64> = weights.iter().zip(&step).map(|(w, s)| w + length * s).collect();
            let reached = objective(&pairs, &tried, pull);
            if reached <= loss || length < SHORT {
                break (tried, reached);
            }
            length /= 2.0;
        };
        (weights, loss) = moved;
        if step.iter().all(|s| (length * s).abs() < SHORT) {
            break;
        }
    }
    Fitted { center, scale, weights }
}

/// Mean and deviation of each feature over all hits; a deviation of 0 becomes 1.
fn spread(queries: &[&[Example<'_>]], size: usize) -> (Vec<f64>, Vec<f64>) {
    let hits = || queries.iter().flat_map(|hits| hits.iter());
    let count = hits().count().max(1) as f64;
    let mean = |at: usize| hits().map(|hit| hit.row[at]).sum::<f64>() / count;
    let center: Vec<f64> = (0..size).map(mean).collect();
    let deviation = |at: usize| {
        let deviation = (hits().map(|hit| (hit.row[at] - center[at]).powi(2)).sum::<f64>() / count).sqrt();
        if deviation > 1e-12 { deviation } else { 1.0 }
    };
    let scale = (0..size).map(deviation).collect();
    (center, scale)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn objective(pairs: &[(f64, Vec<f64>)], weights: &[f64], pull: f64) -> f64 {
    // ln(1 + e^−m) without overflow.
    let loss = |margin: f64| (-margin.abs()).exp().ln_1p() + (-margin).max(0.0);
    let sum: f64 = pairs.iter().map(|(share, difference)| share * loss(dot(weights, difference))).sum();
    sum + pull / 2.0 * dot(weights, weights)
}

fn newton_step(pairs: &[(f64, Vec<f64>)], weights: &[f64], pull: f64) -> Vec<f64> {
    let size = weights.len();
    let mut downhill: Vec<f64> = weights.iter().map(|weight| -pull * weight).collect();
    let mut curvature = vec![vec![0.0; size]; size];
    for (at, row) in curvature.iter_mut().enumerate() {
        row[at] = pull;
    }
    for (share, difference) in pairs {
        let wrong = 1.0 / (1.0 + dot(weights, difference).exp());
        let bend = share * wrong * (1.0 - wrong);
        for i in 0..size {
            downhill[i] += share * wrong * difference[i];
            for j in 0..=i {
                curvature[i][j] += bend * difference[i] * difference[j];
            }
        }
    }
    solve(curvature, downhill)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_is_where_the_slope_is_zero() {
        let rows = [[1.0, 5.0], [0.0, 5.0], [0.6, 5.0], [0.9, 5.0]];
        let hits: Vec<Example<'_>> =
            rows.iter().zip([1.0, 0.0, 0.0, 1.0]).map(|(row, gain)| Example { row, gain }).collect();
        let fitted = fit(&[&hits], 0.1);
        assert!(
            fitted.weights[0] > 0.0 && fitted.weights[1] == 0.0,
            "what never varies has no weight: {fitted:?}"
        );
        let slope = |w: f64| {
            let scale = fitted.scale[0];
            let pairs = [1.0, 0.4, 0.9, 0.9 - 0.6].map(|difference| difference / scale);
            0.1 * w - pairs.iter().map(|d| 0.25 * d / (1.0 + (w * d).exp())).sum::<f64>()
        };
        assert!(slope(fitted.weights[0]).abs() < 1e-9, "{}", slope(fitted.weights[0]));
        assert!(fitted.score(&rows[0]) > fitted.score(&rows[2]));
    }
}
