//! Compares a claim with the sentences that fit it best: the features of its score, and what those sentences do not hold.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use wellspring_models::text::word_places;

use super::{Finding, Prepared, Support};
use crate::ground::facts::{Facts, holds_date, holds_number};
use crate::ground::negation::denied;
use crate::terms::{is_function_word, stem, terms};

/// Sentences a claim is compared with: the [`BEST`] that fit it best, and as many again that add words to those.
const MOST: usize = 10;
const BEST: usize = 5;
/// What a sentence's cosine counts beside the words it adds.
const COSINE_SHARE: f64 = 0.05;
/// A name whose own spelling is nowhere counts as held when a word of the evidence is at least this similar
/// (`American` for `U.S.`).
const SAME_NAME: f64 = 0.6;

/// A logistic model: score = 1 / (1 + exp(−(intercept + Σ weight · feature))).
struct Weights {
    intercept: f64,
    /// Of the match, 0–1.
    matched: f64,
    /// Of the square root of the number of missing numbers and dates.
    numbers: f64,
    /// Of the square root of the number of missing names.
    names: f64,
}

/// With token vectors of all-MiniLM-L6-v2: the match is the mean similarity of content words.
const ALIGNED: Weights = Weights { intercept: -6.925, matched: 9.451, numbers: -2.174, names: -1.392 };
/// With words alone: the match is the weighted coverage.
const COVERED: Weights = Weights { intercept: -1.853, matched: 3.056, numbers: -1.848, names: -1.269 };

/// The places by coverage plus cosine, best first, the earlier of equals.
pub(super) fn fit(
    claim: &str,
    vector: Option<&[f32]>,
    evidence: &Prepared,
    among: Option<&[usize]>,
) -> Vec<(usize, f64)> {
    let wanted = terms(claim);
    let score = |place: usize| {
        let sentence = &evidence.sentences[place];
        let cosine = match (vector, &sentence.vector) {
            (Some(a), Some(b)) => f64::from(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>()),
            _ => 0.0,
        };
        (place, evidence.rarity.coverage(&wanted, &sentence.terms) + cosine)
    };
    let mut ranked: Vec<(usize, f64)> = match among {
        Some(among) => among
            .iter()
            .filter(|place| **place < evidence.sentences.len())
            .map(|&place| score(place))
            .collect(),
        None => (0..evidence.sentences.len()).map(score).collect(),
    };
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked
}

/// A claim and the sentences it is compared with.
pub(super) struct Compared {
    pub(super) chosen: Vec<usize>,
    /// Stems of all words of the chosen sentences.
    held: HashSet<String>,
    coverage: f64,
    /// The claim's content words: where they stand, and their stems.
    pub(super) words: Vec<(Range<usize>, String)>,
}

impl Compared {
    pub(super) fn new(claim: &str, evidence: &Prepared, ranked: &[(usize, f64)]) -> Self {
        let wanted = terms(claim);
        let chosen = choose(ranked, &wanted, evidence);
        let held: HashSet<String> =
            chosen.iter().flat_map(|&place| &evidence.sentences[place].terms).cloned().collect();
        let words = word_places(claim)
            .map(|(start, word)| (start..start + word.len(), word.to_lowercase()))
            .filter(|(_, word)| !is_function_word(word))
            .map(|(span, word)| (span, stem(&word)));
        Self { coverage: evidence.rarity.coverage(&wanted, &held), words: words.collect(), chosen, held }
    }

    pub(super) fn support(self, claim: &str, evidence: &Prepared, similarities: Option<Vec<f64>>) -> Support {
        let similar = |name: &str| {
            let Some(similarities) = &similarities else { return false };
            let mut words = self.words.iter().zip(similarities);
            words.any(|((_, word), similarity)| word == name && *similarity >= SAME_NAME)
        };
        let findings = findings(claim, evidence, &self.chosen, &self.held, similar);
        let count =
            |is: fn(&Finding) -> bool| (findings.iter().filter(|finding| is(finding)).count() as f64).sqrt();
        let alignment = similarities.as_deref().map(mean);
        let (weights, matched) = match alignment {
            Some(alignment) => (&ALIGNED, alignment),
            None => (&COVERED, self.coverage),
        };
        let sum = weights.intercept
            + weights.matched * matched
            + weights.numbers * count(|finding| matches!(finding, Finding::Number(_) | Finding::Date(_)))
            + weights.names * count(|finding| matches!(finding, Finding::Name(_)));
        let score = 1.0 / (1.0 + (-sum).exp());
        Support { score, alignment, coverage: self.coverage, findings, evidence: self.chosen }
    }
}

/// The [`BEST`] sentences by fit, then those that each add most of the claim's weight to what is covered.
fn choose(ranked: &[(usize, f64)], wanted: &HashSet<String>, evidence: &Prepared) -> Vec<usize> {
    let mut chosen: Vec<usize> = ranked.iter().take(BEST).map(|(place, _)| *place).collect();
    let mut covered: HashSet<String> = HashSet::new();
    for _ in 0..MOST - BEST {
        let gain = |place: usize, fit: f64| {
            let terms = &evidence.sentences[place].terms;
            let new: HashSet<String> =
                terms.iter().filter(|term| !covered.contains(*term)).cloned().collect();
            let alone = evidence.rarity.coverage(wanted, terms);
            evidence.rarity.coverage(wanted, &new) + COSINE_SHARE * (fit - alone)
        };
        let best = ranked
            .iter()
            .map(|&(place, fit)| (gain(place, fit), place))
            .filter(|(_, place)| !chosen[BEST.min(chosen.len())..].contains(place))
            .reduce(|best, other| if other.0 > best.0 { other } else { best });
        let Some((_, place)) = best else { break };
        covered.extend(evidence.sentences[place].terms.intersection(wanted).cloned());
        chosen.push(place);
    }
    let mut seen = HashSet::new();
    chosen.retain(|place| seen.insert(*place));
    chosen
}

fn findings(
    claim: &str,
    evidence: &Prepared,
    chosen: &[usize],
    held: &HashSet<String>,
    similar: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let own = Facts::of(claim);
    let facts: Vec<Facts> = chosen.iter().map(|&place| evidence.sentences[place].facts.clone()).collect();
    let mut found = Vec::new();
    let numbers = own.numbers.iter().filter(|number| !holds_number(&facts, number));
    found.extend(numbers.map(|number| Finding::Number(number.to_string())));
    let dates = own.dates.iter().filter(|date| !holds_date(&facts, date));
    found.extend(dates.map(|date| Finding::Date(date.to_string())));
    // What the documents write in lower case is no name, wherever in a sentence the claim puts it.
    let openings = own.openings.iter().filter(|name| !evidence.common.contains(*name));
    let named: BTreeSet<&String> = own.names.iter().chain(openings).collect();
    let names = named.into_iter().filter(|name| !held.contains(*name) && !similar(name));
    found.extend(names.map(|name| Finding::Name(name.clone())));
    if let Some(&best) = chosen.first() {
        let (claim, best) = ((terms(claim), denied(claim)), &evidence.sentences[best]);
        let both = claim.0.iter().filter(|term| best.terms.contains(*term));
        let flipped: BTreeSet<&String> =
            both.filter(|term| claim.1.contains(*term) != best.denied.contains(*term)).collect();
        found.extend(flipped.into_iter().map(|term| Finding::Negation(term.clone())));
        let affirmed = |place: &usize| evidence.sentences[*place].denied.is_empty();
        if found.iter().all(|finding| !matches!(finding, Finding::Negation(_)))
            && chosen.iter().take(BEST).all(affirmed)
        {
            // A paraphrase of what is denied still denies something.
            found.extend(claim.1.into_iter().next().map(Finding::Negation));
        }
    }
    found
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}
