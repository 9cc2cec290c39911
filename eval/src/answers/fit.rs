//! Fits the weights of the confidence score: logistic regression over signals, and a threshold.

use std::collections::BTreeMap;

use wellspring_answer::Signals;
use wellspring_answer::confidence::{Logistic, WEIGHTS_VERSION, Weights};

use super::{Asked, Half};
use crate::error::{ErrorKind, EvalError, Result};
use crate::linear::solve;

/// Signals of the retrieval alone: what refusing could rest on without reading the passages.
pub const RETRIEVAL: [&str; 3] = ["retrieved_coverage", "retrieved_similarity", "agreement"];
/// Signals that need no model.
pub const WORDS: [&str; 13] = [
    "coverage",
    "missing_around",
    "rarest_missing",
    "names",
    "numbers",
    "opposites",
    "opposites_around",
    "denied",
    "denies",
    "qualifiers",
    "kind",
    "length",
    "agreement",
];
/// Signals that a local model adds to those.
pub const MODEL: [&str; 3] = ["similarity", "alignment", "weakest"];
/// Strength of the pull towards zero, of standardised signals.
const RIDGE: f64 = 10.0;
/// Share of the fitted half's answerable questions that the threshold refuses.
pub const REFUSED: f64 = 0.02;
/// Digits that are published.
const DIGITS: f64 = 1e4;

/// Both models, fitted on the fit half: of questions read by a model, and of the same read by words alone.
pub fn weights(by_model: &[Asked], by_words: &[Asked], model: &str, fitted_on: &str) -> Result<Weights> {
    let all: Vec<&str> = MODEL.iter().chain(&WORDS).copied().collect();
    Ok(Weights {
        version: WEIGHTS_VERSION,
        fitted_on: fitted_on.to_owned(),
        model: model.to_owned(),
        with_model: logistic(by_model, &all)?,
        words: logistic(by_words, &WORDS)?,
    })
}

/// The logistic model of these signals, fitted on the fit half of `asked`.
pub fn logistic(asked: &[Asked], signals: &[&str]) -> Result<Logistic> {
    let fitted: Vec<&Asked> = asked.iter().filter(|asked| asked.half == Half::Fit).collect();
    let labels: Vec<bool> = fitted.iter().map(|asked| asked.answerable).collect();
    if labels.iter().all(|label| *label) || labels.iter().all(|label| !label) {
        let message = "weights need answerable and unanswerable questions in the fitted half";
        return Err(EvalError::new(ErrorKind::Invalid, message));
    }
    let rows: Vec<Vec<f64>> = fitted.iter().map(|asked| row(&asked.signals, signals)).collect();
    let (means, deviations): (Vec<f64>, Vec<f64>) = (0..signals.len())
        .map(|column| {
            let values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
            (crate::stats::mean(&values), crate::stats::deviation(&values))
        })
        .unzip();
    let standard: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| {
            let scaled = row.iter().zip(&means).zip(&deviations);
            scaled.map(|((value, mean), by)| if *by > 0.0 { (value - mean) / by } else { 0.0 }).collect()
        })
        .collect();
    let fitted_weights = regress(&standard, &labels);
    let rounded = |value: f64| (value * DIGITS).round() / DIGITS;
    let mut intercept = fitted_weights[0];
    let mut weights = BTreeMap::new();
    for (column, name) in signals.iter().enumerate() {
        if deviations[column] > 0.0 {
            let weight = fitted_weights[column + 1] / deviations[column];
            intercept -= weight * means[column];
            weights.insert((*name).to_owned(), rounded(weight));
        }
    }
    let mut logistic = Logistic { intercept: rounded(intercept), threshold: 0.0, weights };
    let mut scores: Vec<f64> =
        fitted.iter().filter(|asked| asked.answerable).map(|asked| logistic.score(&asked.signals)).collect();
    scores.sort_by(f64::total_cmp);
    let at = (REFUSED * scores.len() as f64).floor() as usize;
    logistic.threshold = scores.get(at).map_or(0.0, |score| (score * 1e3).floor() / 1e3);
    Ok(logistic)
}

fn row(signals: &Signals, names: &[&str]) -> Vec<f64> {
    names.iter().map(|name| signals.value(name).unwrap_or(0.0)).collect()
}

/// Logistic regression by Newton's method (iteratively reweighted least squares, at most 50 steps) with a ridge on all but
/// the intercept, which comes first.
fn regress(rows: &[Vec<f64>], labels: &[bool]) -> Vec<f64> {
    let size = rows.first().map_or(0, Vec::len) + 1;
    let mut weights = vec![0.0; size];
    for _ in 0..50 {
        let ridge = |at: usize| if at == 0 { 1e-6 } else { RIDGE };
        let mut gradient: Vec<f64> =
            weights.iter().enumerate().map(|(at, weight)| -ridge(at) * weight).collect();
        let mut curvature = vec![vec![0.0; size]; size];
        for (at, row) in curvature.iter_mut().enumerate() {
            row[at] = ridge(at);
        }
        for (row, label) in rows.iter().zip(labels) {
            let extended: Vec<f64> = std::iter::once(1.0).chain(row.iter().copied()).collect();
            let sum: f64 = weights.iter().zip(&extended).map(|(weight, value)| weight * value).sum();
            let p = 1.0 / (1.0 + (-sum).exp());
            let error = f64::from(u8::from(*label)) - p;
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
