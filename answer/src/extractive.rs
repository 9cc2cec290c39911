//! Answers without a model: quotes the sentences that best cover what the question asks for.

use std::collections::HashSet;
use std::ops::Range;

use wellspring_models::text::sentences;
use wellspring_retrieve::Passage;

use crate::ground::{Claim, citation};
use crate::markdown;
use crate::safe;
use crate::terms::{Rarity, terms};

/// What a question term found only in the title or headings above a sentence counts, beside one in the sentence.
const HEADING_SHARE: f64 = 0.5;
/// What the best passage adds to its sentences' scores beside the worst one's. Of 416 questions of SQuAD 2.0 the one best
/// sentence holds the answer for 73 % with 0.4, 70 % with 0, 73 % with 0.8 and 1.2.
const PASSAGE_SHARE: f64 = 0.4;
/// A further sentence must bring at least this share of the question's weight that no earlier one covered …
const LEAST_GAIN: f64 = 0.1;
/// … and score at least this part of the best.
const LEAST_OF_BEST: f64 = 0.3;

/// One sentence that may be quoted.
struct Candidate {
    passage: usize,
    range: Range<usize>,
    score: f64,
    covers: HashSet<String>,
}

/// At most `most` sentences, in the order of passages and of their text; empty only if no passage holds a sentence.
/// Each passage comes with its place among all found.
pub(crate) fn answer(question: &str, passages: &[(usize, &Passage)], most: usize) -> Vec<Claim> {
    let rarity = Rarity::among(passages.iter().map(|(_, passage)| passage.reading().0));
    let wanted = terms(question);
    let mut candidates: Vec<Candidate> = passages
        .iter()
        .enumerate()
        .flat_map(|(index, (_, passage))| {
            of_passage(index, passage, &standing(passages, index), &wanted, &rarity)
        })
        .collect();
    candidates.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then(a.passage.cmp(&b.passage)).then(a.range.start.cmp(&b.range.start))
    });
    let mut picked = pick(candidates, &wanted, &rarity, most);
    picked.sort_by_key(|candidate| (candidate.passage, candidate.range.start));
    picked.iter().enumerate().map(|(place, candidate)| claim(candidate, passages, place)).collect()
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
    standing: &f64,
    wanted: &HashSet<String>,
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
                + PASSAGE_SHARE * standing;
            Candidate { passage: index, range, score, covers }
        })
        .collect()
}

/// The best sentence, then those that add most of what is not covered yet.
fn pick(mut left: Vec<Candidate>, wanted: &HashSet<String>, rarity: &Rarity, most: usize) -> Vec<Candidate> {
    if left.is_empty() {
        return Vec::new();
    }
    let whole = rarity.sum(wanted.iter());
    let first = left.remove(0);
    let floor = first.score * LEAST_OF_BEST;
    let mut covered = first.covers.clone();
    let mut picked = vec![first];
    left.retain(|candidate| candidate.score >= floor);
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
        picked.push(chosen);
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
