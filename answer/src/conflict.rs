//! Finds two sentences that give different answers to the same question, so that the reader sees both.
//!
//! Two sentences of different passages contradict each other where they say the same but for the thing asked for: their
//! other words agree (Jaccard), and each has a number, date or name that the other has not. Where the question asks for a
//! number or a date, two sentences that both hold nearly all of its words and one such value each are enough.

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;
use wellspring_retrieve::ChunkId;

use crate::answer_type::Kind;
use crate::extractive::{Candidate, Candidates, Placed};
use crate::ground::facts::Facts;
use crate::terms::{stem, terms};

/// Only sentences that score at least this part of the best one's answer the question.
const CLOSE: f64 = 0.7;
/// Sentences looked at, best first.
const LOOKED_AT: usize = 8;
/// Two sentences say the same but for their values if they share this part of their other words.
const ALIKE: f64 = 0.6;
/// Share of the question's words that both hold where the rest need not be alike.
const WHOLE: f64 = 0.8;

/// Two places in the list of candidates, and what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) places: [usize; 2],
    /// In words, of each side.
    pub(crate) values: [String; 2],
}

/// One side of a contradiction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The passage's number.
    pub n: usize,
    /// Its chunk.
    pub chunk_id: ChunkId,
    /// First byte of the sentence in the stored text.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// The stored text from `start` to `end`.
    pub quote: String,
    /// What it says that the other side does not.
    pub value: String,
}

impl Side {
    pub(crate) fn of(candidate: &Candidate, value: &str, passages: &[Placed]) -> Self {
        let (found, passage) = &passages[candidate.passage];
        let (text, offset) = passage.reading();
        Self {
            n: found + 1,
            chunk_id: passage.chunk_id.clone(),
            start: offset + candidate.range.start,
            end: offset + candidate.range.end,
            quote: text[candidate.range.clone()].to_owned(),
            value: value.to_owned(),
        }
    }
}

/// What a sentence says that may differ from another one.
struct Stated<'c> {
    candidate: &'c Candidate,
    coverage: f64,
    /// Stems or values of the kind that is asked for, without what the question itself has.
    values: BTreeSet<String>,
    /// Its other content words.
    rest: HashSet<String>,
    /// Words of the question that it holds.
    covers: &'c HashSet<String>,
}

/// Two sentences that give different answers to the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Two, the one that fits the question better first.
    pub sides: Vec<Side>,
}

/// The best pair of sentences that contradict each other: the first in the order of the candidates.
pub(crate) fn find(question: &str, candidates: &Candidates, passages: &[Placed]) -> Option<Pair> {
    let kind = candidates.kind.kind();
    // A few words to look up ask for nothing that two sentences could disagree on.
    if kind.is_none() && !question.contains(['?', '？', '؟']) {
        return None;
    }
    let best = candidates.list.first()?.score;
    let asked = Facts::of(question);
    let asked_stems = terms(question);
    let near = candidates.list.iter().take(LOOKED_AT).take_while(|candidate| candidate.score >= CLOSE * best);
    let stated: Vec<Stated<'_>> = near
        .map(|candidate| {
            let facts = Facts::of(&candidate.text);
            let values = values(&facts, kind, &asked, &asked_stems);
            let stems: HashSet<String> = values.iter().map(|value| stem(value)).collect();
            let rest = candidate.present.difference(&stems).cloned().collect();
            let coverage = candidates.rarity.coverage(&candidates.wanted, &candidate.present);
            Stated { candidate, coverage, values, rest, covers: &candidate.covers }
        })
        .collect();
    for (second, b) in stated.iter().enumerate() {
        for (first, a) in stated[..second].iter().enumerate() {
            let apart = passages[a.candidate.passage].1.chunk_id != passages[b.candidate.passage].1.chunk_id;
            if apart && contradict(a, b, kind) {
                return Some(Pair { places: [first, second], values: [only(a, b), only(b, a)] });
            }
        }
    }
    None
}

/// What a sentence states of the kind; of everything, for a question of no kind.
fn values(
    facts: &Facts,
    kind: Option<Kind>,
    asked: &Facts,
    asked_stems: &HashSet<String>,
) -> BTreeSet<String> {
    let mut values = BTreeSet::new();
    if matches!(kind, Some(Kind::Number) | None) {
        let new = facts.numbers.iter().filter(|number| !asked.numbers.contains(number));
        values.extend(new.map(ToString::to_string));
    }
    if matches!(kind, Some(Kind::Date) | None) {
        values.extend(facts.dates.iter().filter(|date| !asked.dates.contains(date)).map(ToString::to_string));
    }
    if kind == Some(Kind::Date) {
        let years = facts.numbers.iter().filter(|number| !asked.numbers.contains(number));
        let is_year = |text: &String| text.len() == 4 && text.starts_with(['1', '2']);
        values.extend(years.map(ToString::to_string).filter(is_year));
    }
    if matches!(kind, Some(Kind::Name) | None) {
        let names = facts.names.iter().chain(&facts.openings);
        values.extend(names.filter(|name| !asked_stems.contains(*name)).cloned());
    }
    values
}

fn contradict(a: &Stated<'_>, b: &Stated<'_>, kind: Option<Kind>) -> bool {
    let differ =
        a.values.difference(&b.values).next().is_some() && b.values.difference(&a.values).next().is_some();
    if !differ {
        return false;
    }
    let common = a.rest.intersection(&b.rest).count() as f64;
    // Where one holds a word of the question that the other lacks, they may speak of different things.
    let alike =
        common >= ALIKE * a.rest.union(&b.rest).count() as f64 && common > 0.0 && a.covers == b.covers;
    let one_each = a.values.len() == 1 && b.values.len() == 1;
    let whole = a.coverage >= WHOLE && b.coverage >= WHOLE;
    alike || (matches!(kind, Some(Kind::Number | Kind::Date)) && one_each && whole)
}

/// What `of` says and `other` does not, as its text has it where it has it in words.
fn only(of: &Stated<'_>, other: &Stated<'_>) -> String {
    let stems: HashSet<&String> = of.values.difference(&other.values).collect();
    let text = &of.candidate.text;
    let own: Vec<&str> = wellspring_models::text::word_places(text)
        .map(|(_, word)| word)
        .filter(|word| stems.contains(&stem(&word.to_lowercase())))
        .collect();
    match own.is_empty() {
        false => own.join(" "),
        true => {
            stems.into_iter().cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
        }
    }
}
