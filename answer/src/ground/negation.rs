//! Finds words that one text denies and another affirms.

use std::collections::BTreeSet;

use wellspring_models::text::word_places;

use crate::terms::{is_function_word, stem};

/// Content words after a negator that it is taken to deny: the reach used by NegEx's simplest form (Chapman et al. 2001, "A
/// simple algorithm for identifying negated findings and diseases in discharge summaries") is 5 words; function words
/// are not counted here.
const REACH: usize = 2;

const NEGATORS: &[&str] = &[
    "not", "no", "never", "neither", "nor", "without", "cannot", "nobody", "none", "nothing", "hardly",
    "barely", "nicht", "kein", "keine", "keinen", "keinem", "keiner", "nie", "ohne",
];

/// Stems of the words that `text` denies.
pub(crate) fn denied(text: &str) -> BTreeSet<String> {
    let mut denied = BTreeSet::new();
    let mut left = 0;
    let mut end = 0;
    for (start, word) in word_places(text) {
        if text[end..start].contains([',', ';', '.', ':', '!', '?', '\n']) {
            left = 0;
        }
        end = start + word.len();
        let lower = word.to_lowercase();
        if is_negator(&lower) {
            left = REACH;
        } else if left > 0 && !is_function_word(&lower) {
            denied.insert(stem(&lower));
            left -= 1;
        }
    }
    denied
}

/// Whether `text` holds a word that denies.
pub(crate) fn denies(text: &str) -> bool {
    word_places(text).any(|(_, word)| is_negator(&word.to_lowercase()))
}

fn is_negator(lower: &str) -> bool {
    NEGATORS.contains(&lower) || lower.ends_with("n't") || lower.ends_with("n’t")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        denied(text).into_iter().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_negator_reaches_the_next_words_and_stops_at_a_comma() {
        assert_eq!(words("Travel costs are not paid back."), "back paid");
        assert_eq!(words("It isn't covered, and meals are"), "cover");
        assert_eq!(words("Costs are paid"), "");
        assert_eq!(words("No, costs are paid"), "");
    }
}
