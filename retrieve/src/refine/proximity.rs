//! How near each other, and in which order, a passage has the words that follow each other in the query.
//!
//! The sequential dependence of Metzler and Croft ("A Markov random field model for term dependencies", SIGIR 2005)
//! without collection statistics: for each two neighbouring words of the query, `ordered` counts where the second follows
//! the first at once and `near` where both stand within [`WINDOW`] words; a pair is worth
//! `½ · ordered / (ordered + 1) + ½ · near / (near + 1)`, a passage the mean over the pairs.

use std::collections::HashMap;

use wellspring_store::keyword::analyzer::Analysis;

use crate::passage::Passage;

/// Words within which two are near each other.
const WINDOW: usize = 8;

/// One value (0 to 1) per passage, in order; 0 for a query of one word. Words are compared as the keyword index does,
/// in the passage's language. Blocking: takes milliseconds for fifty passages.
pub(crate) fn nearness(query: &str, passages: &[Passage]) -> Vec<f64> {
    let mut asked: HashMap<Analysis, Vec<String>> = HashMap::new();
    passages
        .iter()
        .map(|passage| {
            let analysis = Analysis::of(passage.language.as_deref());
            let query = asked.entry(analysis).or_insert_with(|| analysis.terms(query));
            of_terms(query, &analysis.terms(&passage.text))
        })
        .collect()
}

fn of_terms(query: &[String], text: &[String]) -> f64 {
    let pairs: Vec<&[String]> = query.windows(2).filter(|pair| pair[0] != pair[1]).collect();
    if pairs.is_empty() {
        return 0.0;
    }
    let saturated = |count: usize| count as f64 / (count as f64 + 1.0);
    let worth = |pair: &&[String]| {
        let places = |word: &String| (0..text.len()).filter(|&at| text[at] == *word).collect::<Vec<usize>>();
        let (first, second) = (places(&pair[0]), places(&pair[1]));
        let ordered = first.iter().filter(|&&at| second.binary_search(&(at + 1)).is_ok()).count();
        let near =
            first.iter().filter(|&&at| second.iter().any(|&other| at.abs_diff(other) < WINDOW)).count();
        0.5 * saturated(ordered) + 0.5 * saturated(near)
    };
    pairs.iter().map(worth).sum::<f64>() / pairs.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn order_and_nearness_count() {
        let query = words("annual leave");
        assert_eq!(of_terms(&query, &words("the annual leave")), 0.5 * 0.5 + 0.5 * 0.5);
        assert_eq!(of_terms(&query, &words("leave which is annual")), 0.25);
        assert_eq!(of_terms(&query, &words("annual a b c d e f g leave")), 0.0);
        assert_eq!(of_terms(&words("leave"), &words("leave leave")), 0.0);
        assert_eq!(of_terms(&words("leave leave"), &words("leave leave")), 0.0);
    }
}
