//! Answers without a model: quotes the sentences that best cover what the question asks for.

use std::collections::HashSet;
use std::ops::Range;

use wellspring_models::text::sentences;
use wellspring_retrieve::Passage;

use crate::answer_type::Wanted;
use crate::ground::{Claim, citation};
use crate::markdown;
use crate::reply::ShortAnswer;
use crate::safe;
use crate::terms::{Rarity, terms};

/// What a question term found only in the title or headings above a sentence counts, beside one in the sentence.
const HEADING_SHARE: f64 = 0.5;
/// What the best passage adds to its sentences' scores beside the worst one's. Of 416 questions of SQuAD 2.0 the one best
/// sentence holds the answer for 73 % with 0.4, 70 % with 0, 73 % with 0.8 and 1.2.
const PASSAGE_SHARE: f64 = 0.4;
/// What a sentence gains by holding the kind of thing the question asks for: a number, a date, a name.
const TYPE_SHARE: f64 = 0.15;
/// A further sentence must bring at least this share of the question's weight that no earlier one covered …
const LEAST_GAIN: f64 = 0.1;
/// … and score at least this part of the best.
const LEAST_OF_BEST: f64 = 0.3;
/// Where room is left, a sentence that brings nothing new must score at least this part of the best.
const CLOSE_TO_BEST: f64 = 0.6;
/// Two sentences are the same if they share at least this part of their words.
const SAME: f64 = 0.8;

/// One sentence that may be quoted.
struct Candidate {
    passage: usize,
    range: Range<usize>,
    score: f64,
    covers: HashSet<String>,
    /// All its content words.
    present: HashSet<String>,
}

/// Quoted sentences, and the few words among them that answer the question.
pub(crate) struct Quoted {
    pub(crate) claims: Vec<Claim>,
    pub(crate) short: Option<ShortAnswer>,
}

/// At most `most` sentences, in the order of passages and of their text; empty only if no passage holds a sentence.
/// Each passage comes with its place among all found.
pub(crate) fn answer(question: &str, passages: &[(usize, &Passage)], most: usize) -> Quoted {
    let kind = Wanted::by(question);
    let rarity = Rarity::among(passages.iter().map(|(_, passage)| passage.reading().0));
    let wanted = terms(question);
    let mut candidates: Vec<Candidate> = passages
        .iter()
        .enumerate()
        .flat_map(|(index, (_, passage))| {
            of_passage(index, passage, standing(passages, index), (&wanted, &kind), &rarity)
        })
        .collect();
    candidates.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then(a.passage.cmp(&b.passage)).then(a.range.start.cmp(&b.range.start))
    });
    let mut picked = pick(candidates, &wanted, &rarity, most);
    let short = picked.iter().find_map(|candidate| short(candidate, passages, &kind));
    picked.sort_by_key(|candidate| (candidate.passage, candidate.range.start));
    let claims = picked.iter().enumerate().map(|(place, candidate)| claim(candidate, passages, place));
    Quoted { claims: claims.collect(), short }
}

fn short(candidate: &Candidate, passages: &[(usize, &Passage)], kind: &Wanted) -> Option<ShortAnswer> {
    let (found, passage) = passages[candidate.passage];
    let (text, offset) = passage.reading();
    let span = kind.find(&text[candidate.range.clone()])?;
    let span = candidate.range.start + span.start..candidate.range.start + span.end;
    Some(ShortAnswer {
        n: found + 1,
        start: offset + span.start,
        end: offset + span.end,
        text: text[span].to_owned(),
    })
}

/// How good a passage is among those found: 1 for the best score, 0 for the worst.
fn standing(passages: &[(usize, &Passage)], index: usize) -> f64 {
    let scores = || passages.iter().map(|(_, passage)| f64::from(passage.score));
    let (low, high) = (scores().fold(f64::INFINITY, f64::min), scores().fold(f64::NEG_INFINITY, f64::max));
    if high > low { (f64::from(passages[index].1.score) - low) / (high - low) } else { 1.0 }
}

fn of_passage(
    index: usize,
    passage: &Passage,
    standing: f64,
    (wanted, kind): (&HashSet<String>, &Wanted),
    rarity: &Rarity,
) -> Vec<Candidate> {
    let text = passage.reading().0;
    let above: HashSet<String> =
        passage.title.iter().chain(&passage.headings).flat_map(|heading| terms(heading)).collect();
    sentences(text)
        .into_iter()
        .filter(|range| markdown::says_something(text, range))
        .map(|range| {
            // As shown: a row of a table with the names of its columns.
            let present = terms(&markdown::plain(text, &range));
            let covers: HashSet<String> = wanted.intersection(&present).cloned().collect();
            let inherited: HashSet<String> = above.difference(&present).cloned().collect();
            let score = rarity.coverage(wanted, &present)
                + HEADING_SHARE * rarity.coverage(wanted, &inherited)
                + PASSAGE_SHARE * standing
                + if kind.is_in(&text[range.clone()]) { TYPE_SHARE } else { 0.0 };
            Candidate { passage: index, range, score, covers, present }
        })
        .collect()
}

/// Whether one says what another does, in nearly the same words.
fn same(a: &Candidate, b: &Candidate) -> bool {
    let common = a.present.intersection(&b.present).count() as f64;
    common >= SAME * a.present.union(&b.present).count() as f64
}

/// The best sentence, then those that add most of what is not covered yet, then those that are about as good.
fn pick(mut left: Vec<Candidate>, wanted: &HashSet<String>, rarity: &Rarity, most: usize) -> Vec<Candidate> {
    if left.is_empty() {
        return Vec::new();
    }
    let whole = rarity.sum(wanted.iter());
    let first = left.remove(0);
    let floor = first.score * LEAST_OF_BEST;
    let mut covered = first.covers.clone();
    let mut picked = vec![first];
    left.retain(|candidate| candidate.score >= floor && !same(candidate, &picked[0]));
    while picked.len() < most {
        let gain = |candidate: &Candidate| rarity.sum(candidate.covers.difference(&covered));
        let mut best: Option<(f64, usize)> = None;
        for (place, candidate) in left.iter().enumerate() {
            let gain = gain(candidate);
            if gain >= LEAST_GAIN * whole && best.is_none_or(|(most, _)| gain > most) {
                best = Some((gain, place));
            }
        }
        let Some((gain, place)) = best else { break };
        if gain <= 0.0 {
            break;
        }
        let chosen = left.remove(place);
        covered.extend(chosen.covers.iter().cloned());
        left.retain(|candidate| !same(candidate, &chosen));
        picked.push(chosen);
    }
    let close = floor / LEAST_OF_BEST * CLOSE_TO_BEST;
    for candidate in left.into_iter().filter(|candidate| candidate.score >= close) {
        if picked.len() < most && !picked.iter().any(|earlier| same(earlier, &candidate)) {
            picked.push(candidate);
        }
    }
    picked
}

fn claim(candidate: &Candidate, passages: &[(usize, &Passage)], place: usize) -> Claim {
    let (found, passage) = passages[candidate.passage];
    let text = passage.reading().0;
    let shown = safe::render(&markdown::plain(text, &candidate.range));
    Claim {
        before: if place == 0 { String::new() } else { " ".to_owned() },
        citations: vec![citation(found + 1, passage, candidate.range.clone(), 1.0, &shown)],
        text: shown,
        support: 1.0,
        findings: Vec::new(),
    }
}
