//! What kind of query it is, by rules over its text: where a system fails is read off by kind.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wellspring_models::text::{language, words};

use crate::dataset::Dataset;
use crate::metrics::Scores;
use crate::stats::{self, Interval};

/// Words of a query from which on it is long; and up to which it is short.
const LONG_FROM: usize = 15;
/// See [`LONG_FROM`].
const SHORT_TO: usize = 4;

/// Words that negate, in the languages the text rules know.
const NEGATIONS: &[&str] = &[
    "not", "no", "never", "without", "neither", "nor", "cannot", "isn't", "aren't", "doesn't", "don't",
    "didn't", "can't", "won't", "none", "except", "lack", "lacks", "fails", "nicht", "kein", "keine",
    "keinen", "keiner", "ohne", "nie", "niemals", "außer", "不", "没", "未",
];

/// Every kind a query is of: `identifier`, `acronym`, `numeric`, `negation`, `long`, `short`, `other-language`; `plain` if
/// none. `usual` is the language of most queries.
pub fn kinds(text: &str, usual: Option<&str>) -> BTreeSet<&'static str> {
    let mut kinds = BTreeSet::new();
    let tokens: Vec<&str> =
        text.split_whitespace().map(|token| token.trim_matches(|c: char| !c.is_alphanumeric())).collect();
    if tokens.iter().any(|token| is_identifier(token)) {
        kinds.insert("identifier");
    }
    if tokens.iter().any(|token| is_acronym(token))
        && tokens.iter().any(|token| token.chars().any(char::is_lowercase))
    {
        kinds.insert("acronym");
    }
    if tokens.iter().any(|token| is_number(token)) {
        kinds.insert("numeric");
    }
    let lower: Vec<String> = words(text).collect();
    if lower.iter().any(|word| NEGATIONS.contains(&word.as_str())) {
        kinds.insert("negation");
    }
    if lower.len() >= LONG_FROM {
        kinds.insert("long");
    } else if lower.len() <= SHORT_TO {
        kinds.insert("short");
    }
    if let (Some(usual), Some(own)) = (usual, language(text))
        && usual != own
    {
        kinds.insert("other-language");
    }
    if kinds.is_empty() {
        kinds.insert("plain");
    }
    kinds
}

/// Letters and digits mixed, or letters joined by signs that names of things have: `E-4312`, `otter_3`, `a/b.rs`, `getName`.
fn is_identifier(token: &str) -> bool {
    let (letters, digits) =
        (token.chars().any(char::is_alphabetic), token.chars().any(|c| c.is_ascii_digit()));
    let joined = token.contains(['_', '/', '\\']) || token.contains("::");
    let hump = token.chars().zip(token.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    (letters && (digits || joined)) || (hump && token.is_ascii())
}

/// Two to six capitals, with a plural s or without.
fn is_acronym(token: &str) -> bool {
    let stem = token.strip_suffix('s').unwrap_or(token);
    (2..=6).contains(&stem.chars().count()) && stem.chars().all(char::is_uppercase)
}

fn is_number(token: &str) -> bool {
    token.chars().any(|c| c.is_ascii_digit()) && !token.chars().any(char::is_alphabetic)
}

/// The mean of one measure over the queries of a kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfKind {
    /// The kind; what the dataset itself says, as `dataset: fact`.
    pub kind: String,
    /// Queries of it. One query may be of several kinds.
    pub queries: usize,
    /// Mean of the measure.
    pub mean: f64,
    /// Its 95 % interval.
    pub interval: Interval,
}

/// The kinds of every query of a dataset, its own types included.
pub fn of_dataset(dataset: &Dataset) -> BTreeMap<String, BTreeSet<String>> {
    let usual = usual_language(dataset);
    let kinds_of = |(id, text): (&String, &String)| {
        let mut of: BTreeSet<String> = kinds(text, usual).into_iter().map(str::to_owned).collect();
        of.extend(dataset.types.get(id).map(|own| format!("dataset: {own}")));
        (id.clone(), of)
    };
    dataset.queries.iter().map(kinds_of).collect()
}

fn usual_language(dataset: &Dataset) -> Option<&'static str> {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for found in dataset.queries.values().filter_map(|text| language(text)) {
        *counts.entry(found).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(language, _)| language)
}

/// One measure by kind, kinds of the rules first, then the dataset's own; each in the order of names.
pub fn breakdown(dataset: &Dataset, scores: &Scores, measure: &str, seed: u64) -> Vec<OfKind> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (query, kinds) in of_dataset(dataset) {
        let value = scores.per_query.get(&query).and_then(|values| values.get(measure)).copied();
        for kind in kinds {
            values.entry(kind).or_default().extend(value);
        }
    }
    let mut rows: Vec<OfKind> = values
        .into_iter()
        .filter_map(|(kind, values)| {
            let interval = Interval::of_mean(&values, seed)?;
            Some(OfKind { kind, queries: values.len(), mean: stats::mean(&values), interval })
        })
        .collect();
    rows.sort_by_key(|row| (row.kind.starts_with("dataset: "), row.kind.clone()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_look() {
        let of = |text: &str| kinds(text, Some("en")).into_iter().collect::<Vec<_>>();
        assert_eq!(of("What does error E-4312 mean for the gateway?"), ["identifier"]);
        assert_eq!(of("where is rill_client documented in the repository"), ["identifier"]);
        assert_eq!(of("what does the RTU of a station measure"), ["acronym"]);
        assert_eq!(of("ALL CAPS QUERY HERE NOW"), ["plain"], "shouting is no acronym");
        assert_eq!(of("how many staff worked there in 1987, roughly"), ["numeric"]);
        assert_eq!(of("which sensors are not affected by the recall"), ["negation"]);
        assert_eq!(of("hotel costs"), ["short"]);
        assert_eq!(of("Wie viele Urlaubstage haben die Beschäftigten im Betrieb?"), ["other-language"]);
        assert_eq!(of("where are the gateways assembled today"), ["plain"]);
        assert_eq!(kinds("", None).into_iter().collect::<Vec<_>>(), ["short"]);
    }
}
