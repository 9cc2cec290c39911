//! Cuts prose where its meaning drifts: between sentences whose neighbourhoods have little in common.
//!
//! Drift between two sentences is 1 − the cosine of the mean vectors of the two sentences before and the two after (as
//! Hearst's TextTiling, 1997, compares blocks of words). The cuts of a run are those that together cost least, found by
//! dynamic programming: each part costs `((tokens − target) / target)²`, and each cut gains a quarter of its drift in
//! standard deviations above the run's mean. So a drift of one deviation is worth a part that is half too long or short.

use std::ops::Range;

use wellspring_models::text::sentences;

use super::count::TokenIndex;
use super::split::{Budget, Piece, Splitter};

/// What a cut gains per standard deviation of drift.
const GAIN: f64 = 0.25;
/// Sentences compared on each side.
const SIDE: usize = 2;
/// Fewest sentences in which drift can be told from chance.
const FEWEST: usize = 4;

/// How far the meaning of a document moves, by position.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drift {
    /// Ascending positions of the boundaries between sentences, with 0 (the same) to 2 (opposite).
    at: Vec<(usize, f32)>,
}

impl Drift {
    /// From the sentences' vectors, all of norm 1, run by run in the order of [`super::Chunker::runs`]; a run whose number
    /// of vectors is another than that of its sentences is left out.
    pub fn between(runs: &[Vec<Range<usize>>], vectors: &[Vec<Vec<f32>>]) -> Self {
        let mut at = Vec::new();
        for (run, vectors) in runs.iter().zip(vectors).filter(|(run, vectors)| run.len() == vectors.len()) {
            for (number, unit) in run.iter().enumerate().skip(1) {
                let before = vectors.get(number.saturating_sub(SIDE)..number).unwrap_or_default();
                let after = vectors.get(number..vectors.len().min(number + SIDE)).unwrap_or_default();
                at.push((unit.start, 1.0 - cosine(&sum(before), &sum(after))));
            }
        }
        at.sort_by_key(|(position, _)| *position);
        Self { at }
    }

    fn get(&self, position: usize) -> Option<f32> {
        let found = self.at.binary_search_by_key(&position, |(position, _)| *position).ok()?;
        self.at.get(found).map(|(_, drift)| *drift)
    }
}

fn sum(vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut sum = vectors.first().cloned().unwrap_or_default();
    for vector in vectors.iter().skip(1) {
        sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
    }
    sum
}

/// 0 where a direction is missing.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > f32::MIN_POSITIVE { dot(a, b) / norms } else { 0.0 }
}

/// What is known of the meaning of a document that is being cut.
pub(super) enum Meaning<'a> {
    /// Nothing, and nothing is to be found out.
    Unknown,
    /// Where it would have decided.
    Asked(Vec<Vec<Range<usize>>>),
    /// How it drifts.
    Known(&'a Drift),
}

impl Splitter<'_, '_, '_, '_> {
    /// Cuts prose by meaning; false where that is not wanted, not known or without effect, and nothing was done.
    pub(super) fn by_meaning(
        &mut self,
        range: &Range<usize>,
        budget: Budget,
        pieces: &mut Vec<Piece>,
    ) -> bool {
        if matches!(&*self.meaning, Meaning::Unknown) {
            return false;
        }
        let part = self.text.get(range.clone()).unwrap_or_default();
        let index = self.words.index(part);
        let units = self.units(range);
        if index.tokens(0, part.len()) <= budget.target || units.len() < FEWEST {
            return false;
        }
        let drift = match &mut *self.meaning {
            Meaning::Unknown => return false,
            Meaning::Asked(runs) => {
                runs.push(units);
                return false;
            }
            Meaning::Known(drift) => *drift,
        };
        let known: Option<Vec<f32>> = units.iter().skip(1).map(|unit| drift.get(unit.start)).collect();
        let Some(drifts) = known else { return false };
        let local: Vec<Range<usize>> =
            units.iter().map(|unit| unit.start - range.start..unit.end - range.start).collect();
        for part in parts(&local, &standardised(&drifts), &index, budget) {
            let tokens = index.tokens(part.start, part.end);
            let span = range.start + part.start..range.start + part.end;
            if tokens > budget.max {
                self.in_windows(span, budget, pieces);
            } else {
                pieces.push(Piece::new(span, tokens));
            }
        }
        true
    }

    /// Sentences with the white space behind them, without gaps. Tables, code blocks and headings with what follows them
    /// are not taken apart.
    fn units(&self, range: &Range<usize>) -> Vec<Range<usize>> {
        let part = self.text.get(range.clone()).unwrap_or_default();
        let held =
            |spans: &[Range<usize>], at: usize| spans.iter().any(|span| span.start < at && at < span.end);
        let code = &self.structure.code;
        let first = code.partition_point(|span| span.end <= range.start);
        let last = code.partition_point(|span| span.start < range.end);
        let code = code.get(first..last.max(first)).unwrap_or_default();
        let tables: Vec<Range<usize>> =
            self.structure.tables_in(range).iter().map(|table| table.span.clone()).collect();
        let mut starts = vec![range.start];
        for sentence in sentences(part) {
            let at = range.start + sentence.start;
            let section = self.structure.sections.get(self.structure.section_at(at));
            let in_heading = section.is_some_and(|section| section.span.start < at && at <= section.body);
            let first_text = section.is_some_and(|section| {
                self.text.get(section.body..at).is_some_and(|between| between.trim().is_empty())
                    && section.body > section.span.start
            });
            if at > range.start && !in_heading && !first_text && !held(&tables, at) && !held(code, at) {
                starts.push(at);
            }
        }
        let ends = starts.iter().skip(1).copied().chain([range.end]).collect::<Vec<_>>();
        starts.into_iter().zip(ends).map(|(start, end)| start..end).collect()
    }
}

/// In standard deviations from the mean; all 0 where they are the same.
fn standardised(drifts: &[f32]) -> Vec<f64> {
    let count = drifts.len().max(1) as f64;
    let mean = drifts.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let deviation = (drifts.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count).sqrt();
    drifts.iter().map(|&x| if deviation > 1e-9 { (f64::from(x) - mean) / deviation } else { 0.0 }).collect()
}

/// The cheapest way to join neighbouring units into parts of at most `budget.max` tokens; a unit above that is a part of its
/// own. `gains[i]` belongs to the boundary before unit `i + 1`.
fn parts(units: &[Range<usize>], gains: &[f64], index: &TokenIndex<'_>, budget: Budget) -> Vec<Range<usize>> {
    let span = |from: usize, to: usize| {
        units.get(from).map_or(0, |unit| unit.start)..units.get(to - 1).map_or(0, |unit| unit.end)
    };
    let target = budget.target.max(1) as f64;
    // For the first n units: what they cost at least, and where their last part begins.
    let mut best: Vec<(f64, usize)> = vec![(0.0, 0)];
    for to in 1..=units.len() {
        let mut cheapest = (f64::INFINITY, to - 1);
        for from in (0..to).rev() {
            let part = span(from, to);
            let tokens = index.tokens(part.start, part.end);
            if tokens > budget.max && from + 1 < to {
                break;
            }
            let size = ((tokens as f64 - target) / target).powi(2);
            let gain = from.checked_sub(1).and_then(|before| gains.get(before)).copied().unwrap_or(0.0);
            let cost = best.get(from).map_or(f64::INFINITY, |(cost, _)| *cost) + size - GAIN * gain;
            if cost < cheapest.0 {
                cheapest = (cost, from);
            }
        }
        best.push(cheapest);
    }
    let mut parts = Vec::new();
    let mut to = units.len();
    while to > 0 {
        let from = best.get(to).map_or(0, |(_, from)| *from).min(to - 1);
        parts.push(span(from, to));
        to = from;
    }
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use wellspring_models::TokenCounter;

    use super::super::count::{Known, Words};
    use super::*;

    struct Letters;
    impl TokenCounter for Letters {
        fn count(&self, text: &str) -> usize {
            text.chars().filter(|c| !c.is_whitespace()).count()
        }
    }

    fn budget(target: usize, max: usize) -> Budget {
        Budget { target, max, min: 0, overlap: 0, captions: false }
    }

    fn lengths(drifts: &[f32], target: usize, max: usize) -> Vec<usize> {
        let text = "aaaaaaaaa ".repeat(drifts.len() + 1);
        let units: Vec<Range<usize>> = (0..=drifts.len()).map(|i| i * 10..(i + 1) * 10).collect();
        let mut words = Words::new(&Letters, Known::new());
        let index = words.index(&text);
        let parts = parts(&units, &standardised(drifts), &index, budget(target, max));
        assert_eq!((parts[0].start, parts.last().unwrap().end), (0, text.len()));
        assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        parts.iter().map(|part| part.len() / 10).collect()
    }

    #[test]
    fn cuts_go_where_the_drift_is_while_sizes_permit() {
        assert_eq!(lengths(&[0.1; 7], 36, 50), [4, 4], "no drift: parts of the size that is aimed at");
        let mut drifts = [0.1; 7];
        drifts[2] = 0.9;
        assert_eq!(lengths(&drifts, 36, 50), [3, 5]);
        drifts[2] = 0.1;
        drifts[0] = 0.9;
        assert!(lengths(&drifts, 36, 45).iter().all(|&units| units <= 5), "never above the limit");
        assert_eq!(lengths(&[0.5], 3, 5), [1, 1], "what is too long for any part stands alone");
    }

    #[test]
    fn drift_by_hand() {
        let runs = vec![vec![0..5, 5..9, 9..12], vec![20..22, 22..30]];
        let (x, y) = (vec![1.0, 0.0], vec![0.0, 1.0]);
        let drift =
            Drift::between(&runs, &[vec![x.clone(), x.clone(), y.clone()], vec![x.clone(), vec![-1.0, 0.0]]]);
        // Before 5: x against x + y. Before 9: x + x against y.
        assert!((drift.get(5).unwrap() - (1.0 - 0.5_f32.sqrt())).abs() < 1e-6);
        assert_eq!(drift.get(9), Some(1.0));
        assert_eq!(drift.get(22), Some(2.0));
        assert_eq!((drift.get(0), drift.get(20), drift.get(6)), (None, None, None));
        assert_eq!(Drift::between(&runs, &[vec![x], Vec::new()]), Drift::default());
    }
}
