//! The regression gate: is a candidate significantly worse than its baseline, or below a floor?

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::compare::{ALPHA, Comparison, Moved, Pair, Shown, System, compare};
use crate::error::{ErrorKind, EvalError, Result};
use crate::measure::{Measure, ir_name};
use crate::metrics::Qrels;
use crate::retrieval::{RetrievalReport, VERSION};
use crate::stats::shown;

mod junit;
pub(crate) mod markdown;

pub use junit::junit;
pub use markdown::markdown;

/// What the gate asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    /// Measures that must not be significantly worse, by JSON name.
    pub measures: Vec<String>,
    /// Lowest means allowed.
    pub floors: Vec<Floor>,
    /// Largest drop of any of the measures allowed, significant or not; `None` for no bound.
    pub max_drop: Option<f64>,
    /// Chance of a false alarm over all measures together.
    pub alpha: f64,
    /// Of every resampling.
    pub seed: u64,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            measures: vec!["ndcg@10".to_owned(), "recall@100".to_owned()],
            floors: Vec::new(),
            max_drop: None,
            alpha: ALPHA,
            seed: crate::stats::DEFAULT_SEED,
        }
    }
}

/// A mean that must be reached: `ndcg@10=0.70`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// The measure's JSON name.
    pub measure: String,
    /// 0 to 1.
    pub least: f64,
}

impl FromStr for Floor {
    type Err = EvalError;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('=').and_then(|(measure, least)| {
            let least: f64 = least.trim().parse().ok().filter(|least| (0.0..=1.0).contains(least))?;
            Some((measure.trim().parse::<Measure>(), least))
        });
        match parsed {
            Some((measure, least)) => Ok(Self { measure: measure?.to_string(), least }),
            None => Err(EvalError::new(
                ErrorKind::Invalid,
                format!(
                    "`{text}` is not a floor; write MEASURE=VALUE with a value of 0 to 1, as in ndcg@10=0.70"
                ),
            )),
        }
    }
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether every check passed.
    pub passed: bool,
    /// Every check, in the order asked.
    pub checks: Vec<Check>,
    /// The figures behind them; `None` where there was no baseline to compare with.
    pub comparison: Option<Comparison>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What was asked, in words.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// The figures, in words.
    pub detail: String,
    /// Of a failed comparison: the queries that lost most, worst first.
    pub worst: Vec<Moved>,
}

/// `Invalid` where two reports can't be compared because something other than the system differs between them: queries or
/// judgements, depth, the rule for own ids, the cutting of documents; or where one is of a later version than this.
pub fn comparable(baseline: &RetrievalReport, candidate: &RetrievalReport) -> Result<()> {
    let invalid = |what: String| Err(EvalError::new(ErrorKind::Invalid, what));
    let newest = baseline.version.max(candidate.version);
    if newest > VERSION {
        return invalid(format!("a report of version {newest}: this program reads up to {VERSION}"));
    }
    if baseline.checksum != candidate.checksum {
        return invalid(format!(
            "the baseline is of other queries or judgements than the candidate: {AGAIN}"
        ));
    }
    let chunking =
        |report: &RetrievalReport| match (report.switches.whole_documents, report.switches.chunk_tokens) {
            (true, _) => "one chunk per document".to_owned(),
            (false, Some(tokens)) => format!("chunks of {tokens} tokens"),
            (false, None) => "the usual chunks".to_owned(),
        };
    let of = |report: &RetrievalReport| {
        [
            ("depth", report.depth.to_string()),
            ("exclude-own-ids", report.exclude_own_ids.to_string()),
            ("chunking", chunking(report)),
        ]
    };
    let different = of(baseline).into_iter().zip(of(candidate)).find(|(before, now)| before != now);
    match different {
        None => Ok(()),
        Some(((what, before), (_, now))) => {
            invalid(format!("{what} was {before} in the baseline and is {now} in the candidate: {AGAIN}"))
        }
    }
}

/// What to do about a baseline that does not fit.
const AGAIN: &str =
    "make a new baseline with `wellspring eval retrieval --json`, or run the gate as the baseline was run";

/// Queries named for each failed comparison.
const NAMED: usize = 10;

/// Judges a candidate; with a baseline by comparison and floors, without one by floors alone.
pub fn gate(
    baseline: Option<&System>,
    candidate: &System,
    conditions: &Conditions,
    qrels: Option<&Qrels>,
) -> Result<Verdict> {
    let mut checks = Vec::new();
    let mut comparison = None;
    if let Some(baseline) = baseline {
        let systems = [baseline.clone(), candidate.clone()];
        let whole = compare(&systems, &conditions.measures, qrels, conditions.seed, Shown::default())?;
        for measure in &conditions.measures {
            let pair = whole.systems.first().and_then(|system| system.measures.get(measure));
            if let Some(pair) = pair {
                checks.push(against_baseline(&systems, measure, pair, conditions, qrels)?);
            }
        }
        comparison = Some(whole);
    }
    for floor in &conditions.floors {
        checks.push(above(floor, &candidate.scores.metrics)?);
    }
    if checks.is_empty() {
        return Err(EvalError::new(
            ErrorKind::Invalid,
            "the gate has nothing to check: give a baseline or a floor",
        ));
    }
    Ok(Verdict { passed: checks.iter().all(|check| check.passed), checks, comparison })
}

fn against_baseline(
    systems: &[System; 2],
    measure: &str,
    pair: &Pair,
    conditions: &Conditions,
    qrels: Option<&Qrels>,
) -> Result<Check> {
    let difference = &pair.difference;
    let worse = difference.mean < 0.0 && difference.is_significant(conditions.alpha);
    let too_far = conditions.max_drop.is_some_and(|most| -difference.mean > most);
    let passed = !worse && !too_far;
    let mut detail = format!(
        "{:.4} → {:.4} ({:+.4}, 95 % interval {:+.4} to {:+.4}, p = {:.4} after Holm; {} better, {} equal, {} worse; \
         a difference of {} can be found)",
        pair.baseline,
        pair.system,
        difference.mean,
        difference.interval.low,
        difference.interval.high,
        difference.p_holm,
        difference.wins,
        difference.ties,
        difference.losses,
        shown(difference.detectable, 4),
    );
    if too_far {
        detail.push_str(&format!(
            "; the drop is beyond the bound of {:.4}",
            conditions.max_drop.unwrap_or(0.0)
        ));
    }
    let mut worst = Vec::new();
    if !passed {
        let all = Shown { queries: usize::MAX, ..Shown::default() };
        let alone = compare(systems, &[measure.to_owned()], qrels, conditions.seed, all)?;
        let moved = alone.systems.into_iter().flat_map(|system| system.moved);
        worst = moved.filter(|moved| moved.system < moved.baseline).take(NAMED).collect();
    }
    let name = format!("{} is not worse", ir_name(measure));
    Ok(Check { name, passed, detail, worst })
}

fn above(floor: &Floor, means: &BTreeMap<String, f64>) -> Result<Check> {
    let Some(mean) = means.get(&floor.measure) else {
        return Err(EvalError::new(
            ErrorKind::Invalid,
            format!("there is a floor for `{}`, which was not measured: add it to --measures", floor.measure),
        ));
    };
    Ok(Check {
        name: format!("{} is at least {}", ir_name(&floor.measure), floor.least),
        passed: *mean >= floor.least,
        detail: format!("{mean:.4}"),
        worst: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
