//! What answers are compared with: the sentence with most words in common, and token F1.

use std::collections::HashSet;

use wellspring_models::text::{sentences, words};

/// The trivial baseline: the sentence of the text that shares most words with the question (the first of equals), and the
/// share of the question's words in it; `None` for a text without sentences.
pub(super) fn sentence<'t>(question: &str, text: &'t str) -> Option<(&'t str, f64)> {
    let asked: HashSet<String> = words(question).collect();
    let mut best: Option<(&str, usize)> = None;
    for range in sentences(text) {
        let sentence = &text[range];
        let held: HashSet<String> = words(sentence).collect();
        let common = asked.intersection(&held).count();
        if best.is_none_or(|(_, most)| common > most) {
            best = Some((sentence, common));
        }
    }
    best.map(|(sentence, common)| (sentence, common as f64 / asked.len().max(1) as f64))
}

/// Token F1 as in SQuAD's script: words without articles, each as often as it stands; 0 where nothing is in common.
pub(super) fn f1(found: &str, gold: &str) -> f64 {
    let tokens = |text: &str| -> Vec<String> {
        words(text).filter(|word| !matches!(word.as_str(), "a" | "an" | "the")).collect()
    };
    let (found, gold) = (tokens(found), tokens(gold));
    let mut left = gold.clone();
    let common = found
        .iter()
        .filter(|word| left.iter().position(|other| other == *word).map(|at| left.swap_remove(at)).is_some())
        .count() as f64;
    if common == 0.0 { 0.0 } else { 2.0 * common / (found.len() + gold.len()) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let text = "Fish is served. Everyone has thirty days of leave.";
        assert_eq!(
            sentence("How many days of leave?", text).unwrap().0,
            "Everyone has thirty days of leave."
        );
        assert_eq!(sentence("How many days of leave?", "").map(|found| found.1), None);
        assert_eq!(f1("the 30 days", "30 days"), 1.0);
        assert!((f1("30 days of leave", "30 days") - 2.0 * 2.0 / 6.0).abs() < 1e-12);
        assert_eq!(f1("x", "y"), 0.0);
    }
}
