//! The paired randomisation test: could the difference have come about by swapping the systems query by query?

use serde::{Deserialize, Serialize};

use super::Seeded;

/// Up to this many queries that differ, every assignment of signs is counted: 2²⁰ sums take milliseconds.
const EXACT_UP_TO: usize = 20;

/// Random assignments of signs where there are too many to count: a p of 0.05 is then known to ± 0.003 (95 %).
const DRAWS: u64 = 20_000;

/// How a p-value was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tested {
    /// By counting every assignment of signs.
    Exact,
    /// By drawing assignments at random.
    Drawn,
}

/// The two-sided p-value of the mean of paired differences under random signs (Fisher 1935; Smucker, Allan and Carterette,
/// CIKM 2007). Queries without a difference change no sum and are left out, so the test is exact for few queries that
/// differ. A drawn p is `(c + 1) / (draws + 1)` (Phipson and Smyth 2010), never 0. 1 where no query differs.
pub fn paired_randomisation(differences: &[f64], seed: u64) -> (f64, Tested) {
    let moved: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let observed = moved.iter().sum::<f64>().abs();
    // Sums in another order round differently; one that would be equal must count.
    let reached = observed - 1e-9 * observed.max(1e-6);
    if moved.len() <= EXACT_UP_TO {
        (exact(&moved, reached), Tested::Exact)
    } else {
        (drawn(&moved, reached, seed), Tested::Drawn)
    }
}

/// Walks over all assignments in Gray code, one sign changed at a time.
fn exact(moved: &[f64], reached: f64) -> f64 {
    let assignments = 1_u64 << moved.len();
    let mut signs = vec![1.0; moved.len()];
    let mut sum: f64 = moved.iter().sum();
    let mut extreme = u64::from(sum.abs() >= reached);
    for step in 1..assignments {
        let flipped = step.trailing_zeros() as usize;
        sum -= 2.0 * signs[flipped] * moved[flipped];
        signs[flipped] = -signs[flipped];
        extreme += u64::from(sum.abs() >= reached);
    }
    extreme as f64 / assignments as f64
}

fn drawn(moved: &[f64], reached: f64, seed: u64) -> f64 {
    let mut seeded = Seeded::new(seed);
    let mut extreme = 0_u64;
    for _ in 0..DRAWS {
        let mut sum = 0.0;
        for part in moved.chunks(64) {
            let mut bits = seeded.bits();
            for difference in part {
                sum += if bits & 1 == 0 { *difference } else { -*difference };
                bits >>= 1;
            }
        }
        extreme += u64::from(sum.abs() >= reached);
    }
    (extreme + 1) as f64 / (DRAWS + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_queries_are_counted() {
        // Of 2³ assignments only all-plus and all-minus reach the observed sum.
        assert_eq!(paired_randomisation(&[0.1, 0.2, 0.3], 1), (0.25, Tested::Exact));
        // |±0.1 ± 0.2| ≥ 0.1 always.
        assert_eq!(paired_randomisation(&[-0.1, 0.2, 0.0], 1), (1.0, Tested::Exact));
        assert_eq!(paired_randomisation(&[0.0; 40], 1), (1.0, Tested::Exact));
        assert_eq!(paired_randomisation(&[], 1), (1.0, Tested::Exact));
    }

    #[test]
    fn drawing_agrees_with_counting() {
        let differences: Vec<f64> = (0..20).map(|i| f64::from(i * 7 % 11) / 10.0 - 0.35).collect();
        let (counted, how) = paired_randomisation(&differences, 1);
        assert_eq!(how, Tested::Exact);
        let observed = differences.iter().sum::<f64>().abs();
        for seed in 0..5 {
            let p = drawn(&differences, observed - 1e-12, seed);
            let error = (counted * (1.0 - counted) / DRAWS as f64).sqrt();
            assert!((p - counted).abs() < 4.0 * error + 1e-4, "seed {seed}: {p} against {counted}");
        }
    }
}
