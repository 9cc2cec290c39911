//! How sure a figure is: intervals, paired tests, corrections and effect sizes over per-query values.

use serde::{Deserialize, Serialize};

mod bootstrap;
mod randomisation;
mod rank;
mod seeded;

pub use bootstrap::Interval;
pub use randomisation::{Tested, paired_randomisation};
pub use rank::kendall_tau;
pub use seeded::Seeded;

/// The seed of every resampling unless another one is given: figures are the same each time.
pub const DEFAULT_SEED: u64 = 42;

/// How the values of two systems differ over the same queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Mean of the second system's values minus the first's.
    pub mean: f64,
    /// 95 % bootstrap interval of that mean.
    pub interval: Interval,
    /// Standardised effect size: mean difference over the standard deviation of the differences (Cohen's d_z, 1988); 0 where
    /// no query differs, `None` where all differ by the same: it has no spread to be measured in.
    pub effect: Option<f64>,
    /// Of the paired randomisation test, two-sided.
    pub p: f64,
    /// How that p was found.
    pub tested: Tested,
    /// The same after Holm's correction over the family it was tested with; equal to `p` for a family of one.
    pub p_holm: f64,
    /// Queries on which the second is better, equal, worse.
    pub wins: usize,
    /// See `wins`.
    pub ties: usize,
    /// See `wins`.
    pub losses: usize,
    /// See [`detectable`]; `None` where the differences have no spread to judge by.
    pub detectable: Option<f64>,
}

/// Values closer than this are equal: rounding in sums of fractions.
const EQUAL: f64 = 1e-9;

impl Difference {
    /// Compares paired values, `b` against `a`, of equal length; `None` for none.
    pub fn of(a: &[f64], b: &[f64], seed: u64) -> Option<Self> {
        // A value that went through a file may differ in its last digit: that is no difference.
        let exact = |d: f64| if d.abs() <= EQUAL { 0.0 } else { d };
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| exact(b - a)).collect();
        let interval = Interval::of_mean(&differences, seed)?;
        let (p, tested) = paired_randomisation(&differences, seed);
        let (mean, deviation) = (mean(&differences), deviation(&differences));
        let count = |is: fn(f64) -> bool| differences.iter().filter(|d| is(**d)).count();
        Some(Self {
            mean,
            interval,
            effect: match (deviation > EQUAL, mean.abs() > EQUAL) {
                (true, _) => Some(mean / deviation),
                (false, false) => Some(0.0),
                (false, true) => None,
            },
            p,
            tested,
            p_holm: p,
            wins: count(|d| d > EQUAL),
            ties: count(|d| d.abs() <= EQUAL),
            losses: count(|d| d < -EQUAL),
            detectable: (deviation > EQUAL).then(|| detectable(deviation, differences.len())),
        })
    }

    /// Whether the difference is beyond chance at `alpha` after correction.
    pub fn is_significant(&self, alpha: f64) -> bool {
        self.p_holm < alpha
    }
}

/// A figure for people that may not be known.
pub fn shown(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.digits$}"))
}

/// A p-value for people: four digits, and no zero for what is only small.
pub fn shown_p(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { format!("{p:.4}") }
}

/// The arithmetic mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The sample standard deviation (divided by n − 1); 0 of fewer than two.
pub fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

/// The smallest true mean difference that a two-sided paired test at 5 % finds with a probability of 80 %, given the
/// standard deviation of the differences: `(z₀.₉₇₅ + z₀.₈) · s / √n` (the normal approximation; Sakai, "Laboratory
/// Experiments in Information Retrieval", 2018, chapter 6). 0 for no query.
pub fn detectable(deviation: f64, queries: usize) -> f64 {
    const Z: f64 = 1.959_964 + 0.841_621;
    if queries == 0 { 0.0 } else { Z * deviation / (queries as f64).sqrt() }
}

/// The standard deviation of differences to expect between two systems whose values correlate by `correlation`, each with
/// this deviation.
pub fn deviation_of_differences(deviation: f64, correlation: f64) -> f64 {
    deviation * (2.0 * (1.0 - correlation)).sqrt()
}

/// Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979): adjusted p-values in the order given, each
/// at most 1 and in the same order as the raw ones.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]).then(a.cmp(b)));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (at, index) in order.into_iter().enumerate() {
        largest = largest.max(p_values[index] * (p_values.len() - at) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

/// Corrects a family of differences with [`holm`], in place.
pub fn correct<'a>(family: impl Iterator<Item = &'a mut Difference>) {
    let mut family: Vec<&mut Difference> = family.collect();
    let adjusted = holm(&family.iter().map(|difference| difference.p).collect::<Vec<_>>());
    for (difference, p) in family.iter_mut().zip(adjusted) {
        difference.p_holm = p;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_by_hand() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.5]);
        for (value, expected) in adjusted.iter().zip([0.04, 0.09, 0.09, 0.5]) {
            assert!((value - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(holm(&[]).is_empty());
        assert_eq!(holm(&[0.9, 0.9]), [1.0, 1.0]);
    }

    #[test]
    fn a_difference_counts_both_ways() {
        let (a, b) = ([0.1, 0.5, 0.5, 0.9], [0.3, 0.5, 0.7, 0.8]);
        let there = Difference::of(&a, &b, 1).unwrap();
        let back = Difference::of(&b, &a, 1).unwrap();
        assert!((there.mean - 0.075).abs() < 1e-12 && (back.mean + 0.075).abs() < 1e-12);
        assert_eq!((there.wins, there.ties, there.losses), (2, 1, 1));
        assert_eq!((there.p, there.tested), (back.p, back.tested));
        assert!(Difference::of(&[], &[], 1).is_none());
        let shifted = Difference::of(&[0.1, 0.2], &[0.3, 0.4], 1).unwrap();
        assert_eq!((shifted.effect, shifted.detectable), (None, None), "no spread to measure in");
        let same = Difference::of(&a, &a, 1).unwrap();
        assert_eq!((same.effect, same.detectable), (Some(0.0), None));
    }

    #[test]
    fn a_last_digit_is_no_difference() {
        let a: Vec<f64> = (0..50).map(|i| f64::from(i) / 50.0).collect();
        let b: Vec<f64> = a.iter().map(|value| value - 1e-16).collect();
        let difference = Difference::of(&a, &b, 1).unwrap();
        assert_eq!((difference.p, difference.ties, difference.mean), (1.0, 50, 0.0));
    }

    #[test]
    fn more_queries_detect_less() {
        assert!((detectable(0.12, 100) - 0.0336).abs() < 1e-3, "a hundred queries see about three points");
        assert!((detectable(0.12, 400) * 2.0 - detectable(0.12, 100)).abs() < 1e-12);
        assert!((deviation_of_differences(0.4, 0.5) - 0.4).abs() < 1e-12);
    }
}
