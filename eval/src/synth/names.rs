//! Abbreviations and identifiers in a text.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;

use super::Corpus;
use super::reword::is_stop_word;

/// `Long Form (LF)`: the abbreviation and the words before it whose initials spell it, in order of appearance.
pub(super) fn spelt_out(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (open, _) in text.match_indices('(') {
        let rest = &text[open + 1..];
        let Some(short) = rest.split(')').next().filter(|short| is_abbreviation(short)) else { continue };
        let before = text[..open].trim_end();
        let words: Vec<(usize, &str)> =
            before.split_word_bound_indices().filter(|(_, w)| w.chars().all(char::is_alphabetic)).collect();
        let letters: Vec<char> =
            short.chars().filter(|c| c.is_uppercase()).flat_map(char::to_lowercase).collect();
        let Some(first) = words.len().checked_sub(letters.len()) else { continue };
        let initials: Vec<char> = words[first..]
            .iter()
            .filter_map(|(_, word)| word.chars().next())
            .flat_map(char::to_lowercase)
            .collect();
        if initials == letters {
            let end = words.last().map_or(before.len(), |(at, word)| at + word.len());
            found.push((short, &before[words[first].0..end]));
        }
    }
    found
}

fn is_abbreviation(text: &str) -> bool {
    (2..=6).contains(&text.chars().count())
        && text.chars().all(char::is_alphabetic)
        && text.chars().filter(|c| c.is_uppercase()).count() >= 2
        && text.chars().next().is_some_and(char::is_uppercase)
}

/// Words of two to six capitals, each once.
pub(super) fn capitals(text: &str) -> BTreeSet<&str> {
    text.unicode_words().filter(|word| is_abbreviation(word)).collect()
}

/// Words that begin with a letter and hold a digit, parts joined by `-` and `_`, each once, in order of names: `E-4312`,
/// `OTR-3`, `MCF10A`. What begins with a digit is mostly a figure with its unit.
pub(super) fn identifiers(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_')))
        .map(|word| word.trim_matches(['-', '_']))
        .filter(|word| {
            (4..=24).contains(&word.chars().count())
                && word.chars().any(|c| c.is_ascii_digit())
                && word.starts_with(|c: char| c.is_ascii_alphabetic())
                && word.is_ascii()
        })
        .collect()
}

/// The rarest ordinary word within the sentence of a name's first occurrence.
pub(super) fn beside<'a>(corpus: &Corpus, text: &'a str, name: &str) -> Option<&'a str> {
    let at = text.find(name)?;
    let from = text[..at].rfind(['.', '\n']).map_or(0, |end| end + 1);
    let to = text[at..].find(['.', '\n']).map_or(text.len(), |end| at + end);
    text[from..to]
        .unicode_words()
        .filter(|word| {
            word.chars().all(char::is_alphabetic) && word.chars().count() > 3 && !name.contains(word)
        })
        .filter(|word| !is_stop_word(&word.to_lowercase()))
        .max_by(|a, b| {
            let rarity = |word: &str| corpus.rarity(&word.to_lowercase());
            rarity(a).total_cmp(&rarity(b)).then_with(|| b.cmp(a))
        })
}
