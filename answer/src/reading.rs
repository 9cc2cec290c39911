//! Reads the passages for a question: which sentences fit it best, and what speaks for and against an answer in them.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use wellspring_models::text::{word_places, words};
use wellspring_models::{ModelError, TokenVectors};
use wellspring_retrieve::Passage;

use crate::confidence::Signals;
use crate::conflict::{self, Pair};
use crate::extractive::{Candidate, Candidates, Placed};
use crate::ground::align;
use crate::ground::budget::Budget;
use crate::ground::facts::{Facts, holds_date, holds_number};
use crate::ground::negation::denies;
use crate::ground::support::{SupportChecker, blocking};
use crate::opposites::opposed;
use crate::strength::Strength;
use crate::terms::{Rarity, is_function_word, stem, terms};

/// Sentences that the local model reads, best by words first: an answer's time must not grow with its passages.
const READ: usize = 12;
/// More missing names, numbers or opposites than this say no more.
const MOST: usize = 3;

/// What reading found.
pub(crate) struct Reading {
    pub(crate) candidates: Candidates,
    /// Two sentences that give different answers.
    pub(crate) conflict: Option<Pair>,
    pub(crate) signals: Signals,
    /// Whether a local model took part.
    pub(crate) by_model: bool,
}

/// What the local model says of the question and its sentences.
struct Meaning {
    /// Of the best by words, in their order.
    cosines: Vec<f64>,
    question: TokenVectors,
}

/// Reads `passages` with the checker's model, for as long as `budget` allows; then, or without a model, by words alone.
/// `Internal` only if comparing words fails.
pub(crate) async fn read(
    question: &str,
    passages: &Arc<Vec<Placed>>,
    checker: &SupportChecker,
    budget: &Budget,
    strength: Strength,
) -> Result<Reading, ModelError> {
    let (asked, among) = (question.to_owned(), Arc::clone(passages));
    let mut candidates = blocking(move || Candidates::of(&asked, &among)).await?;
    let texts: Vec<String> = candidates.list.iter().take(READ).map(|c| c.text.clone()).collect();
    let meaning = match budget.spend(meaning(checker, question, &texts)).await {
        Ok(meaning) => meaning,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "passages are read by their words alone"
            );
            None
        }
    };
    let similarity = meaning.as_ref().and_then(|m| m.cosines.iter().copied().reduce(f64::max));
    if let Some(meaning) = &meaning {
        candidates.weigh(&meaning.cosines);
    }
    let best = candidates.list.first().map(|best| best.text.clone());
    let tokens = match (&meaning, best) {
        (Some(_), Some(best)) => budget.spend(checker.token_vectors(&best)).await.ok().flatten(),
        _ => None,
    };
    let (asked, among) = (question.to_owned(), Arc::clone(passages));
    blocking(move || {
        let words = content_words(&asked);
        let alignment = meaning.zip(tokens).map(|(meaning, tokens)| {
            let spans: Vec<Range<usize>> = words.iter().map(|(span, _)| span.clone()).collect();
            align::words(&meaning.question, &spans, &[Arc::new(tokens)])
        });
        let mut signals = signals(&asked, &candidates, &among, strength);
        if let Some(similarities) = alignment.as_deref().filter(|similarities| !similarities.is_empty()) {
            signals.alignment = Some(similarities.iter().sum::<f64>() / similarities.len() as f64);
            signals.weakest = similarities.iter().copied().reduce(f64::min);
        }
        signals.similarity = similarity;
        let by_model = alignment.is_some() && similarity.is_some();
        let conflict = conflict::find(&asked, &candidates, &among);
        Reading { candidates, conflict, signals, by_model }
    })
    .await
}

async fn meaning(
    checker: &SupportChecker,
    question: &str,
    texts: &[String],
) -> Result<Option<Meaning>, ModelError> {
    let Some(tokens) = checker.token_vectors(question).await? else { return Ok(None) };
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Ok(checker.cosines(question, &texts).await?.map(|cosines| Meaning { cosines, question: tokens }))
}

/// Content words: where they stand, and their stems.
fn content_words(text: &str) -> Vec<(Range<usize>, String)> {
    let lower = word_places(text).map(|(start, word)| (start..start + word.len(), word.to_lowercase()));
    lower.filter(|(_, word)| !is_function_word(word)).map(|(span, word)| (span, stem(&word))).collect()
}

/// What words alone tell about the best sentence.
fn signals(question: &str, candidates: &Candidates, passages: &[Placed], strength: Strength) -> Signals {
    let mut signals = Signals {
        length: (1.0 + content_words(question).len() as f64).ln(),
        agreement: strength.agreement,
        retrieved_coverage: strength.coverage,
        retrieved_similarity: strength.cosine.map(f64::from),
        ..Signals::default()
    };
    let Some(best) = candidates.list.first() else { return signals };
    let (_, passage) = &passages[best.passage];
    let above = heading_terms(passage);
    let known: HashSet<String> = best.present.union(&above).cloned().collect();
    let around: HashSet<String> = terms(passage.reading().0).union(&above).cloned().collect();
    let (wanted, rarity) = (&candidates.wanted, &candidates.rarity);
    signals.coverage = rarity.coverage(wanted, &known);
    signals.missing_around = if wanted.is_empty() { 0.0 } else { 1.0 - rarity.coverage(wanted, &around) };
    signals.rarest_missing = rarest(wanted.difference(&known), rarity);
    let all: HashSet<String> = words(&best.text).map(|word| stem(&word)).collect();
    missing_facts(question, best, &known, passage, &mut signals);
    let asked: Vec<String> = words(question).map(|word| stem(&word)).collect();
    let stems_around: HashSet<String> = words(passage.reading().0).map(|word| stem(&word)).collect();
    let capped = |count: usize| count.min(MOST) as f64;
    signals.opposites = capped(opposed(asked.iter(), &all));
    signals.opposites_around = capped(opposed(asked.iter(), &stems_around));
    let (question_denies, sentence_denies) = (denies(question), denies(&best.text));
    signals.denied = f64::from(u8::from(question_denies && !sentence_denies));
    signals.denies = f64::from(u8::from(sentence_denies && !question_denies));
    let qualifiers = words(question).filter(|word| is_qualifier(word) && !all.contains(&stem(word)));
    signals.qualifiers = capped(qualifiers.count());
    signals.kind = match (candidates.kind.kind(), candidates.kind.is_in(&best.text)) {
        (None, _) => 0.0,
        (Some(_), true) => 1.0,
        (Some(_), false) => -1.0,
    };
    signals
}

/// Names, numbers and dates of the question that neither the sentence nor what stands above it has.
fn missing_facts(
    question: &str,
    best: &Candidate,
    known: &HashSet<String>,
    passage: &Passage,
    signals: &mut Signals,
) {
    let own = Facts::of(question);
    let above = passage.title.iter().chain(&passage.headings).map(|heading| Facts::of(heading));
    let held: Vec<Facts> = std::iter::once(Facts::of(&best.text)).chain(above).collect();
    let numbers = own.numbers.iter().filter(|number| !holds_number(&held, number)).count();
    let dates = own.dates.iter().filter(|date| !holds_date(&held, date)).count();
    let names = own.names.iter().filter(|name| !known.contains(*name)).count();
    signals.numbers = (numbers + dates).min(MOST) as f64;
    signals.names = names.min(MOST) as f64;
}

fn heading_terms(passage: &Passage) -> HashSet<String> {
    passage.title.iter().chain(&passage.headings).flat_map(|heading| terms(heading)).collect()
}

/// The weight of the heaviest term as a share of that of a term no passage holds; 0 for none.
fn rarest<'a>(terms: impl Iterator<Item = &'a String>, rarity: &Rarity) -> f64 {
    let heaviest = terms.map(|term| rarity.weight(term)).fold(0.0, f64::max);
    heaviest / rarity.weight("")
}

/// A word that picks one out of many, so that a sentence about another one is no answer.
fn is_qualifier(word: &str) -> bool {
    const PICKING: [&str; 14] = [
        "first", "last", "only", "original", "main", "primary", "final", "second", "third", "most", "least",
        "best", "worst", "former",
    ];
    PICKING.contains(&word) || (word.len() > 5 && word.ends_with("est") && !word.ends_with("rest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualifiers_and_content_words() {
        assert!(is_qualifier("largest") && is_qualifier("only") && !is_qualifier("forest"));
        let words: Vec<String> =
            content_words("Who is the largest owner?").into_iter().map(|(_, stem)| stem).collect();
        assert_eq!(words, ["largest", "owner"]);
    }
}
