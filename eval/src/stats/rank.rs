//! Agreement of two orders of the same systems.

/// Kendall's τ-b (Biometrika 33, 1945) of paired values: 1 for the same order, −1 for the reverse, ties accounted for.
/// `None` with fewer than two pairs or where one side is all ties.
pub fn kendall_tau(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mut concordant, mut discordant, mut tied_a, mut tied_b) = (0_i64, 0_i64, 0_i64, 0_i64);
    for first in 0..a.len().min(b.len()) {
        for second in 0..first {
            let (x, y) = (a[first].total_cmp(&a[second]), b[first].total_cmp(&b[second]));
            match (x.is_eq(), y.is_eq()) {
                (true, true) => {}
                (true, false) => tied_a += 1,
                (false, true) => tied_b += 1,
                (false, false) if x == y => concordant += 1,
                (false, false) => discordant += 1,
            }
        }
    }
    let both = concordant + discordant;
    let scale = (((both + tied_a) * (both + tied_b)) as f64).sqrt();
    (scale > 0.0).then(|| (concordant - discordant) as f64 / scale)
}

#[cfg(test)]
mod tests {
    use super::kendall_tau;

    #[test]
    fn orders_agree_disagree_or_tie() {
        assert_eq!(kendall_tau(&[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0]), Some(1.0));
        assert_eq!(kendall_tau(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        // scipy.stats.kendalltau([1, 2, 2, 3], [1, 2, 3, 3]) = 0.8
        assert!((kendall_tau(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 3.0]).unwrap() - 0.8).abs() < 1e-12);
        assert_eq!(kendall_tau(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(kendall_tau(&[], &[]), None);
    }
}
