//! Weighs words by how rare they are among the passages found, and measures how much of one text another covers.

use std::collections::{HashMap, HashSet};

use wellspring_models::text;

/// Words that carry no content, and words that ask: a passage that answers "how many" seldom says "how". In English
/// and German; in other languages rarity alone does the work.
const FUNCTION_WORDS: &[&str] = &[
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did",
    "do", "does", "for", "from", "had", "has", "have", "he", "her", "his", "how", "i", "if", "in", "into",
    "is", "it", "its", "many", "may", "me", "much", "my", "no", "not", "of", "on", "or", "our", "she",
    "should", "so", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this",
    "those", "to", "us", "was", "we", "were", "what", "when", "where", "which", "who", "whom", "whose",
    "why", "will", "with", "would", "you", "your", "also", "after", "before", "being", "between", "both",
    "during", "each", "him", "himself", "itself", "just", "more", "most", "off", "only", "other", "out",
    "over", "own", "same", "some", "such", "through", "too", "under", "up", "very", "while", "aber", "als",
    "am", "an", "auf", "aus", "bei", "bin", "bis", "das", "dass", "dem", "den", "der", "des", "die", "du",
    "durch", "ein", "eine", "einem", "einen", "einer", "eines", "er", "es", "für", "hat", "haben", "ich",
    "ihr", "im", "in", "ist", "kann", "man", "mich", "mir", "mit", "nach", "nicht", "oder", "sich", "sie",
    "sind", "so", "um", "und", "von", "vom", "wann", "warum", "was", "welche", "welcher", "welches", "wem",
    "wen", "wer", "werden", "wie", "wieviel", "viele", "wir", "wird", "wo", "zu", "zum", "zur", "über",
];

/// The content words of a text, each once: lower case, plural and the commonest verb endings cut.
pub(crate) fn terms(text: &str) -> HashSet<String> {
    text::words(text).filter(|word| !is_function_word(word)).map(|word| stem(&word)).collect()
}

/// Whether a word in lower case carries no content.
pub(crate) fn is_function_word(word: &str) -> bool {
    FUNCTION_WORDS.contains(&word)
}

/// The number a word in lower case spells, except `one`, which mostly counts nothing.
pub(crate) fn number_word(word: &str) -> Option<u32> {
    const SMALL: [&str; 19] = [
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    const ORDINALS: [&str; 11] = [
        "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
        "twelfth",
    ];
    const TENS: [&str; 7] = ["thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let place = |list: &[&str]| list.iter().position(|name| *name == word).map(|place| place as u32);
    place(&SMALL).or(place(&ORDINALS)).map(|place| place + 2).or(place(&TENS).map(|place| place * 10 + 30))
}

/// A word without its English plural and verb endings (a subset of steps 1a and 1b of Porter, "An algorithm for suffix
/// stripping", Program 14(3), 1980). Only for comparing within this crate: the index has its own analyzers.
pub(crate) fn stem(word: &str) -> String {
    if let Some(number) = number_word(word) {
        return number.to_string();
    }
    let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
    if word.contains(|c: char| c.is_ascii_digit()) {
        // `1,000` and `1000` are one number.
        let plain = word.replace([',', '\''], "");
        let ordinal = ["st", "nd", "rd", "th"].iter().find_map(|suffix| plain.strip_suffix(suffix));
        let ordinal = ordinal.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())).map(str::to_owned);
        return ordinal.unwrap_or(plain);
    }
    let singular = match word {
        _ if word.len() < 4 || word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") => {
            word.to_owned()
        }
        _ => match word.strip_suffix("ies") {
            Some(stem) => format!("{stem}y"),
            None => word
                .strip_suffix("es")
                .filter(|stem| stem.ends_with("ss"))
                .or(word.strip_suffix('s'))
                .unwrap_or(word)
                .to_owned(),
        },
    };
    let verb = singular.strip_suffix("ing").or_else(|| singular.strip_suffix("ed"));
    let verb = verb.filter(|stem| {
        stem.len() >= 2 && stem.contains(['a', 'e', 'i', 'o', 'u', 'y']) && !stem.ends_with('e')
    });
    let stem = verb.map_or(singular.as_str(), undouble);
    stem.trim_end_matches('e').to_owned()
}

/// `plann` is `plan`; `fall`, `pass` and `buzz` keep both letters.
fn undouble(stem: &str) -> &str {
    let mut last = stem.chars().rev();
    match (last.next(), last.next()) {
        (Some(a), Some(b)) if a == b && !matches!(a, 'l' | 's' | 'z' | 'a' | 'e' | 'i' | 'o' | 'u') => {
            &stem[..stem.len() - a.len_utf8()]
        }
        _ => stem,
    }
}

/// How rare words are among some passages.
#[derive(Debug, Clone)]
pub(crate) struct Rarity {
    passages: usize,
    held_by: HashMap<String, usize>,
}

impl Rarity {
    pub(crate) fn among<'a>(passages: impl IntoIterator<Item = &'a str>) -> Self {
        let mut rarity = Self { passages: 0, held_by: HashMap::new() };
        for passage in passages {
            rarity.passages += 1;
            for term in terms(passage) {
                *rarity.held_by.entry(term).or_default() += 1;
            }
        }
        rarity
    }

    /// BM25's inverse document frequency over the passages, ln(1 + (N − n + ½) / (n + ½)): always above 0.
    pub(crate) fn weight(&self, term: &str) -> f64 {
        let held_by = self.held_by.get(term).copied().unwrap_or(0) as f64;
        (1.0 + (self.passages as f64 - held_by + 0.5) / (held_by + 0.5)).ln()
    }

    /// The share (0–1), by weight, of `wanted` that is in `present`. Nothing wanted is 0.
    pub(crate) fn coverage(&self, wanted: &HashSet<String>, present: &HashSet<String>) -> f64 {
        let whole = self.sum(wanted.iter());
        if whole == 0.0 { 0.0 } else { self.sum(wanted.intersection(present)) / whole }
    }

    /// Summed in a fixed order: the order of a hash set differs from run to run, and so would the last bits.
    pub(crate) fn sum<'a>(&self, terms: impl Iterator<Item = &'a String>) -> f64 {
        let mut weights: Vec<f64> = terms.map(|term| self.weight(term)).collect();
        weights.sort_by(f64::total_cmp);
        // An empty `sum()` of floats is -0.0.
        weights.iter().fold(0.0, |sum, weight| sum + weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_one_kind_are_one_term() {
        for (a, b) in [
            ("policies", "policy"),
            ("limits", "limit"),
            ("charged", "charges"),
            ("1,000", "1000"),
            ("use", "using"),
            ("needs", "need"),
            ("planned", "plan"),
            ("classes", "class"),
        ] {
            assert_eq!(terms(a), terms(b), "{a} {b}");
        }
        assert_ne!(terms("bus"), terms("bu"));
        assert!(terms("How many are the").is_empty());
    }

    #[test]
    fn a_rare_word_weighs_more_and_coverage_is_a_share() {
        let rarity = Rarity::among(["paid leave is long", "sick leave", "leave early"]);
        assert!(rarity.weight("paid") > rarity.weight("leav"));
        let wanted = terms("paid leave");
        assert_eq!(rarity.coverage(&wanted, &terms("Paid leave: 30 days")), 1.0);
        assert!(rarity.coverage(&wanted, &terms("paid")) > 0.5);
        assert_eq!(rarity.coverage(&wanted, &terms("tax")), 0.0);
        assert_eq!(rarity.coverage(&terms(""), &terms("tax")), 0.0);
    }
}
