//! Logistic regression by Newton's method, and its scores on folds it was not fitted on.

/// Weights, the intercept first.
pub(crate) type Weights = Vec<f64>;

/// A weak pull towards zero, so that the fit exists where classes can be parted perfectly.
const RIDGE: f64 = 0.01;

/// The probability of `true` for one row of features.
pub(crate) fn probability(weights: &[f64], row: &[f64]) -> f64 {
    let sum = weights[0] + weights[1..].iter().zip(row).map(|(weight, value)| weight * value).sum::<f64>();
    1.0 / (1.0 + (-sum).exp())
}

/// The most likely weights (iteratively reweighted least squares, at most 50 steps).
pub(crate) fn fit(rows: &[Vec<f64>], labels: &[bool]) -> Weights {
    let size = rows.first().map_or(0, Vec::len) + 1;
    let mut weights = vec![0.0; size];
    for _ in 0..50 {
        let mut gradient: Vec<f64> = weights.iter().map(|weight| -RIDGE * weight).collect();
        let mut curvature = vec![vec![0.0; size]; size];
        for (place, row) in curvature.iter_mut().enumerate() {
            row[place] = RIDGE;
        }
        for (row, label) in rows.iter().zip(labels) {
            let p = probability(&weights, row);
            let error = f64::from(u8::from(*label)) - p;
            let extended: Vec<f64> = std::iter::once(1.0).chain(row.iter().copied()).collect();
            for i in 0..size {
                gradient[i] += error * extended[i];
                for j in 0..size {
                    curvature[i][j] += p * (1.0 - p) * extended[i] * extended[j];
                }
            }
        }
        let step = solve(curvature, gradient);
        weights.iter_mut().zip(&step).for_each(|(weight, step)| *weight += step);
        if step.iter().all(|step| step.abs() < 1e-9) {
            break;
        }
    }
    weights
}

/// Each row's probability by weights fitted on the other folds; `fold` says which fold a row is in.
pub(crate) fn held_out(rows: &[Vec<f64>], labels: &[bool], fold: &[usize]) -> Vec<f64> {
    let folds = fold.iter().max().map_or(0, |most| most + 1);
    let mut scores = vec![0.0; rows.len()];
    for held in 0..folds {
        let others = || (0..rows.len()).filter(|&row| fold[row] != held);
        let (train, truth): (Vec<Vec<f64>>, Vec<bool>) =
            others().map(|row| (rows[row].clone(), labels[row])).unzip();
        let weights = fit(&train, &truth);
        for row in (0..rows.len()).filter(|&row| fold[row] == held) {
            scores[row] = probability(&weights, &rows[row]);
        }
    }
    scores
}

/// Gaussian elimination with row exchange.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let size = b.len();
    for column in 0..size {
        let pivot = (column..size).max_by(|&i, &j| a[i][column].abs().total_cmp(&a[j][column].abs()));
        let pivot = pivot.unwrap_or(column);
        a.swap(column, pivot);
        b.swap(column, pivot);
        let top = a[column].clone();
        for row in column + 1..size {
            let factor = a[row][column] / top[column];
            for (value, above) in a[row].iter_mut().zip(&top).skip(column) {
                *value -= factor * above;
            }
            b[row] -= factor * b[column];
        }
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|column| a[row][column] * b[column]).sum();
        b[row] = (b[row] - known) / a[row][row];
    }
    b
}
