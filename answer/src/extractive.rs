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

/// What the cosine of question and sentence counts, where a local model read them. Of 485 questions of SQuAD 2.0 the best
/// sentence held the answer for 78 % with 1.5 and for 76 % with 0, the best three for 91 % and 90 %.
const MEANING_SHARE: f64 = 1.5;

/// One sentence that may be quoted.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// Its place in the list of passages.
    pub(crate) passage: usize,
    /// Its bytes in what is read of the passage.
    pub(crate) range: Range<usize>,
    /// As a person would say it.
    pub(crate) text: String,
    pub(crate) score: f64,
    /// Words of the question that it holds.
    pub(crate) covers: HashSet<String>,
    /// All its content words.
    pub(crate) present: HashSet<String>,
}

/// The sentences that may be quoted, best first, and what they are compared with.
#[derive(Debug, Clone)]
pub(crate) struct Candidates {
    pub(crate) list: Vec<Candidate>,
    /// The question's content words.
    pub(crate) wanted: HashSet<String>,
    pub(crate) kind: Wanted,
    pub(crate) rarity: Rarity,
}

/// Quoted sentences, and the few words among them that answer the question.
pub(crate) struct Quoted {
    pub(crate) claims: Vec<Claim>,
    pub(crate) short: Option<ShortAnswer>,
}

/// Each passage with its place among all found.
pub(crate) type Placed = (usize, Passage);

impl Candidates {
    /// All sentences of the passages by how well their words fit; empty only if no passage holds a sentence.
    pub(crate) fn of(question: &str, passages: &[Placed]) -> Self {
        let kind = Wanted::by(question);
        let rarity = Rarity::among(passages.iter().map(|(_, passage)| passage.reading().0));
        let wanted = terms(question);
        let list = passages.iter().enumerate().flat_map(|(index, (_, passage))| {
            of_passage(index, passage, standing(passages, index), (&wanted, &kind), &rarity)
        });
        let mut candidates = Self { list: list.collect(), wanted, kind, rarity };
        candidates.sort();
        candidates
    }

    /// Keeps as many of the best as there are cosines with the question, in their order, and counts those, too.
    pub(crate) fn weigh(&mut self, cosines: &[f64]) {
        self.list.truncate(cosines.len());
        for (candidate, cosine) in self.list.iter_mut().zip(cosines) {
            candidate.score += MEANING_SHARE * cosine;
        }
        self.sort();
    }

    fn sort(&mut self) {
        self.list.sort_by(|a, b| {
            b.score
                .total_cmp(&a.score)
                .then(a.passage.cmp(&b.passage))
                .then(a.range.start.cmp(&b.range.start))
        });
    }

    /// At most `most` sentences, in the order of passages and of their text; `both` names two places in the list that are
    /// shown in any case, beside each other's contradiction.
    pub(crate) fn quote(self, passages: &[Placed], most: usize, both: Option<[usize; 2]>) -> Quoted {
        let Self { list, wanted, kind, rarity } = self;
        let fixed: Vec<Candidate> =
            both.into_iter().flatten().filter_map(|place| list.get(place).cloned()).collect();
        let mut picked = pick(list, &wanted, &rarity, most);
        let is = |a: &Candidate, b: &Candidate| a.passage == b.passage && a.range == b.range;
        for candidate in fixed.iter().rev() {
            picked.retain(|other| !is(candidate, other));
            picked.insert(0, candidate.clone());
        }
        picked.truncate(most.max(fixed.len()));
        let short = picked.iter().find_map(|candidate| short(candidate, passages, &kind));
        let mut ranks: Vec<usize> = (0..picked.len()).collect();
        ranks.sort_by(|&a, &b| picked[b].score.total_cmp(&picked[a].score).then(a.cmp(&b)));
        let mut ranked: Vec<(usize, Candidate)> =
            ranks.into_iter().enumerate().map(|(rank, place)| (rank + 1, picked[place].clone())).collect();
        ranked.sort_by_key(|(_, candidate)| (candidate.passage, candidate.range.start));
        let claims = ranked
            .iter()
            .enumerate()
            .map(|(place, (rank, candidate))| claim(candidate, passages, (place, *rank)));
        Quoted { claims: claims.collect(), short }
    }
}

fn short(candidate: &Candidate, passages: &[Placed], kind: &Wanted) -> Option<ShortAnswer> {
    let (found, passage) = &passages[candidate.passage];
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
fn standing(passages: &[Placed], index: usize) -> f64 {
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
            let plain = markdown::plain(text, &range);
            let present = terms(&plain);
            let covers: HashSet<String> = wanted.intersection(&present).cloned().collect();
            let inherited: HashSet<String> = above.difference(&present).cloned().collect();
            let score = rarity.coverage(wanted, &present)
                + HEADING_SHARE * rarity.coverage(wanted, &inherited)
                + PASSAGE_SHARE * standing
                + if kind.is_in(&text[range.clone()]) { TYPE_SHARE } else { 0.0 };
            Candidate { passage: index, range, text: plain, score, covers, present }
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

fn claim(candidate: &Candidate, passages: &[Placed], (place, rank): (usize, usize)) -> Claim {
    let (found, passage) = &passages[candidate.passage];
    let shown = safe::render(&candidate.text);
    Claim {
        before: if place == 0 { String::new() } else { " ".to_owned() },
        citations: vec![citation(found + 1, passage, candidate.range.clone(), 1.0, &shown)],
        text: shown,
        support: 1.0,
        findings: Vec::new(),
        judged: None,
        rank: Some(rank),
    }
}
