//! Bootstrap intervals of a mean over queries.

use serde::{Deserialize, Serialize};

use super::{Seeded, mean};

/// Resamples: the ends of an interval then move by well under a tenth of its width from seed to seed.
const RESAMPLES: usize = 4_000;

/// Share of resamples outside on each side.
const TAIL: f64 = 0.025;

/// Where a mean lies with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// The percentile bootstrap over queries (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13;
    /// for retrieval measures Sakai, SIGIR 2006): 4 000 resamples, quantiles with linear interpolation between order
    /// statistics. `None` for no values.
    pub fn of_mean(values: &[f64], seed: u64) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        if values.iter().all(|value| *value == values[0]) {
            return Some(Self { low: values[0], high: values[0] });
        }
        let mut seeded = Seeded::new(seed);
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let sum: f64 = (0..values.len()).map(|_| values[seeded.below(values.len())]).sum();
                sum / values.len() as f64
            })
            .collect();
        means.sort_by(f64::total_cmp);
        // Rounding in sums must not put an end beyond the value that every resample has.
        let whole = mean(values);
        Some(Self { low: quantile(&means, TAIL).min(whole), high: quantile(&means, 1.0 - TAIL).max(whole) })
    }

    /// The percentile interval of a figure's resamples, which are sorted; `None` for none.
    pub fn of_resamples(resamples: &mut [f64]) -> Option<Self> {
        resamples.sort_by(f64::total_cmp);
        let some = !resamples.is_empty();
        some.then(|| Self { low: quantile(resamples, TAIL), high: quantile(resamples, 1.0 - TAIL) })
    }

    /// Whether a value lies within, ends included.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Of sorted values, not empty.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_its_mean_and_narrows_with_more_queries() {
        let few: Vec<f64> = (0..20).map(|i| f64::from(i % 5) / 4.0).collect();
        let many: Vec<f64> = (0..2_000).map(|i| f64::from(i % 5) / 4.0).collect();
        let (wide, narrow) = (Interval::of_mean(&few, 1).unwrap(), Interval::of_mean(&many, 1).unwrap());
        assert!(wide.contains(0.5) && narrow.contains(0.5));
        let ratio = (wide.high - wide.low) / (narrow.high - narrow.low);
        assert!((8.0..12.0).contains(&ratio), "ten times as wide with a hundredth of the queries: {ratio}");
        assert_eq!(Interval::of_mean(&few, 1), Interval::of_mean(&few, 1));
    }

    #[test]
    fn equal_values_have_no_width() {
        assert_eq!(Interval::of_mean(&[0.3; 7], 9), Some(Interval { low: 0.3, high: 0.3 }));
        assert_eq!(Interval::of_mean(&[], 9), None);
    }
}
