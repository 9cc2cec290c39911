//! The normal forms that names and mentions are compared in, and how they become hashes.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};
use unicode_segmentation::UnicodeSegmentation;

use super::NameHash;

/// Spaces that keep a word form from meeting an address or an identifier of the same letters.
const WORDS: u8 = b'w';
const ADDRESS: u8 = b'a';
const SYMBOL: u8 = b's';

/// Words as they are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phrase {
    pub(super) form: String,
    pub(super) words: usize,
}

fn hash(space: u8, form: &str) -> NameHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[space]).update(form.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    NameHash(i64::from_le_bytes(first))
}

pub(super) fn words_hash(form: &str) -> NameHash {
    hash(WORDS, form)
}

pub(super) fn address_hash(form: &str) -> NameHash {
    hash(ADDRESS, form)
}

/// Identifiers are compared as they stand, case included.
pub(super) fn symbol_hash(identifier: &str) -> NameHash {
    hash(SYMBOL, identifier)
}

/// The words of a text, joined by blanks, without an article in front; `None` if there are none.
pub(super) fn phrase(text: &str) -> Option<Phrase> {
    let mut words: Vec<String> = text.unicode_words().map(word).collect();
    if words.len() > 1 && is_article(&words[0]) {
        words.remove(0);
    }
    match words.len() {
        0 => None,
        count => Some(Phrase { form: words.join(" "), words: count }),
    }
}

/// A word in NFKC and lower case, without an English genitive.
pub(super) fn word(word: &str) -> String {
    let lower = if is_nfkc_quick(word.chars()) == IsNormalized::Yes {
        word.to_lowercase()
    } else {
        word.nfkc().flat_map(char::to_lowercase).collect()
    };
    match lower.strip_suffix("'s").or_else(|| lower.strip_suffix("’s")) {
        Some(stem) if !stem.is_empty() => stem.to_owned(),
        _ => lower,
    }
}

/// English ones only: an article of another language stays part of the name.
pub(super) fn is_article(word: &str) -> bool {
    matches!(word, "the" | "a" | "an")
}

/// Whether a word is written as nobody writes a common word: with a digit, an underscore or a capital inside.
pub(super) fn is_marked(word: &str) -> bool {
    let inside = |c: char| c.is_uppercase() || c == '_';
    word.chars().any(|c| c.is_numeric()) || word.chars().skip(1).any(inside)
}

/// A heading without the number in front of it: `2.1 Backup copies`, `§ 4 Notice`, `IV` stays.
pub(super) fn without_number(heading: &str) -> &str {
    let rest = heading.trim_start_matches(|c: char| !c.is_alphabetic());
    if rest.is_empty() { heading } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_forget_case_articles_and_genitives() {
        let form = |text| phrase(text).map(|p| p.form);
        assert_eq!(form("The  Beatles' Film").as_deref(), Some("beatles film"));
        assert_eq!(form("Shirley Temple's").as_deref(), Some("shirley temple"));
        assert_eq!(form("Shirley Temple’s").as_deref(), Some("shirley temple"));
        assert_eq!(form("The").as_deref(), Some("the"), "a name of one word keeps it");
        assert_eq!(form("–?!"), None);
        assert_ne!(words_hash("x"), address_hash("x"));
    }

    #[test]
    fn marks_and_numbers() {
        assert!(["E4711", "DQF", "iPhone", "snake_case"].iter().all(|word| is_marked(word)));
        assert!(["Film", "film", ""].iter().all(|word| !is_marked(word)));
        assert_eq!(without_number("2.1  Backup copies"), "Backup copies");
        assert_eq!(without_number("2026"), "2026");
    }
}
