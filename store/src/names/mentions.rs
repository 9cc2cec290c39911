//! What a text mentions that could be a document's name: links, file names, identifiers, and phrases that begin like a
//! name.
//!
//! In prose a name begins with a capital, a digit, or a letter of a script without case; phrases of up to ten words from
//! each such word on are candidates. In a query, where people seldom write capitals, every phrase is one.

use std::collections::HashSet;

use unicode_segmentation::UnicodeSegmentation;

use super::{NameHash, addresses, forms};

/// Words of the longest name that is looked for.
pub(super) const MAX_WORDS: usize = 10;
/// Mentions of one text at most.
const MAX_MENTIONS: usize = 4_096;
/// Bytes of the longest token that is taken for an address or identifier.
const MAX_TOKEN: usize = 256;

/// A place in a text that may name a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// As the text has it.
    pub text: String,
    /// What it would be as a name.
    pub hash: NameHash,
    /// Whether it is one word that looks like any other (`Film`, `parse`): a name only where it is rare.
    pub is_plain: bool,
}

/// The mentions in a passage of a document that came from `source`, each name once: links first, those that the text
/// shows and then the `hidden` ones, then addresses and identifiers, then phrases, in the order of the text.
pub fn in_text(text: &str, source: &str, hidden: &[String]) -> Vec<Mention> {
    let mut found = Found::default();
    for target in addresses::links(text).into_iter().chain(hidden.iter().map(String::as_str)) {
        for form in addresses::of_link(target, source) {
            found.add(target, forms::address_hash(&form), false);
        }
    }
    tokens(text, &mut found);
    symbols(text, &mut found);
    phrases(text, false, &mut found);
    found.mentions
}

/// The mentions in a query, each name once.
pub fn in_query(text: &str) -> Vec<Mention> {
    let mut found = Found::default();
    tokens(text, &mut found);
    symbols(text, &mut found);
    phrases(text, true, &mut found);
    found.mentions
}

#[derive(Default)]
struct Found {
    mentions: Vec<Mention>,
    seen: HashSet<NameHash>,
}

impl Found {
    fn add(&mut self, text: &str, hash: NameHash, is_plain: bool) {
        if self.mentions.len() < MAX_MENTIONS && self.seen.insert(hash) {
            self.mentions.push(Mention { text: text.to_owned(), hash, is_plain });
        }
    }
}

/// Words between blanks that look like a file name, a path or an id: with a dot, slash, dash, underscore or digit inside.
fn tokens(text: &str, found: &mut Found) {
    let edge = |c: char| !c.is_alphanumeric();
    for token in text.split_whitespace() {
        let token = token.trim_matches(edge);
        let telling = token.contains(['.', '/', '\\', '-', '_']) || token.chars().any(char::is_numeric);
        if !telling || !(3..=MAX_TOKEN).contains(&token.len()) || !token.chars().any(char::is_alphabetic) {
            continue;
        }
        let form = addresses::normal(token);
        found.add(token, forms::address_hash(&form), false);
        if let Some((_, file)) = form.rsplit_once('/') {
            found.add(token, forms::address_hash(file), false);
        }
    }
}

/// Identifiers: written like one, called, or set in code.
fn symbols(text: &str, found: &mut Found) {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    for token in text.split_inclusive(|c: char| !part(c)) {
        let start = at;
        at += token.len();
        let name = token.trim_end_matches(|c: char| !part(c));
        if !(3..=MAX_TOKEN).contains(&name.len()) || name.starts_with(char::is_numeric) {
            continue;
        }
        let written = is_identifier(name);
        let before = text[..start].chars().next_back();
        let after = text[start + name.len()..].chars().next();
        let used =
            after == Some('(') || (before == Some('`') && matches!(after, Some('`' | '(' | ':' | '.')));
        if written || used {
            found.add(name, forms::symbol_hash(name), !written);
        }
    }
}

/// `snake_case` or `camelCase`.
fn is_identifier(name: &str) -> bool {
    let inner = name.trim_matches('_');
    let mut cases = inner.chars().zip(inner.chars().skip(1));
    inner.contains('_') || cases.any(|(a, b)| a.is_lowercase() && b.is_uppercase())
}

/// A word of the text with what stands before it.
struct Word<'a> {
    start: usize,
    end: usize,
    written: &'a str,
    form: String,
    /// No name goes on from the word before it.
    is_apart: bool,
    /// A sentence, line of a list or cell begins with it, so that a capital says nothing.
    is_first: bool,
}

impl Word<'_> {
    /// Whether a name can begin with it.
    fn begins(&self) -> bool {
        self.written.chars().next().is_some_and(|c| !c.is_lowercase()) || forms::is_marked(self.written)
    }

    /// Whether it can be a name by itself: written unlike a common word, or with a capital within a sentence.
    fn stands_alone(&self) -> bool {
        let mut chars = self.written.chars();
        let capital = chars.next().is_some_and(|c| !c.is_lowercase());
        chars.next().is_some() && (self.is_marked() || (capital && !self.is_first))
    }

    fn is_marked(&self) -> bool {
        forms::is_marked(self.written) && self.written.chars().any(char::is_alphabetic)
    }
}

fn phrases(text: &str, everywhere: bool, found: &mut Found) {
    let words = words(text);
    for (at, first) in words.iter().enumerate() {
        let next_follows = words.get(at + 1).is_some_and(|next| !next.is_apart);
        if forms::is_article(&first.form) && next_follows {
            // Names are kept without it; the next word begins in its stead.
            continue;
        }
        let after_article = at > 0
            && !first.is_apart
            && words.get(at - 1).is_some_and(|before| forms::is_article(&before.form) && before.begins());
        if !(everywhere || first.begins() || after_article) {
            continue;
        }
        if (everywhere && first.written.chars().nth(1).is_some()) || first.stands_alone() {
            found.add(first.written, forms::words_hash(&first.form), !first.is_marked());
        }
        let mut form = first.form.clone();
        for word in words.iter().skip(at + 1).take(MAX_WORDS - 1) {
            if word.is_apart {
                break;
            }
            form.push(' ');
            form.push_str(&word.form);
            found.add(&text[first.start..word.end], forms::words_hash(&form), false);
        }
    }
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut before: (usize, &str) = (0, "");
    for (start, written) in text.unicode_word_indices() {
        let gap = text.get(before.0..start).unwrap_or_default();
        let lines = gap.matches('\n').count();
        // `St. Louis`, `D.C. United`: a stop behind a short word ends no sentence.
        let stops = gap.contains(['.', '!', '?']) && gap.ends_with(char::is_whitespace);
        let item = lines > 0 && gap.contains(['-', '*', '+', '#', '>']);
        words.push(Word {
            start,
            end: start + written.len(),
            written,
            form: forms::word(written),
            is_apart: gap.contains(['|', ';', '•', '\t'])
                || lines > 1
                || item
                || (stops && before.1.chars().count() > 3),
            is_first: words.is_empty()
                || lines > 1
                || item
                || gap.contains(['.', '!', '?', ':', ';', '|', '•', '\t']),
        });
        before = (start + written.len(), written);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(mentions: &[Mention]) -> Vec<&str> {
        mentions.iter().map(|mention| mention.text.as_str()).collect()
    }

    #[test]
    fn phrases_begin_like_names_and_end_with_the_sentence() {
        let found = in_text("He met Ada King in London. She wrote.", "x", &[]);
        assert_eq!(
            texts(&found),
            [
                "He met",
                "He met Ada",
                "He met Ada King",
                "He met Ada King in",
                "He met Ada King in London",
                "Ada",
                "Ada King",
                "Ada King in",
                "Ada King in London",
                "King",
                "King in",
                "King in London",
                "London",
                "She wrote"
            ]
        );
        let plain: Vec<&str> =
            found.iter().filter(|mention| mention.is_plain).map(|mention| mention.text.as_str()).collect();
        assert_eq!(plain, ["Ada", "King", "London"]);
    }

    #[test]
    fn a_query_is_looked_at_from_every_word() {
        let found = in_query("the leave policy of 2026");
        assert!(["leave policy", "policy", "policy of", "leave"].iter().all(|t| texts(&found).contains(t)));
        assert!(!texts(&found).contains(&"the"));
    }

    #[test]
    fn identifiers_addresses_and_links_come_first() {
        let found =
            in_text("Run `parse` or load_all(x), see api/v2-notes.md and [there](y.md).", "d/x.md", &[]);
        assert_eq!(texts(&found)[..2], ["y.md", "y.md"], "as resolved, and by its file name");
        for text in ["parse", "load_all", "api/v2-notes.md"] {
            assert!(texts(&found).contains(&text), "{text}: {:?}", texts(&found));
        }
        assert!(found.iter().find(|m| m.text == "parse").is_some_and(|m| m.is_plain));
        assert!(!texts(&found).contains(&"load"));
    }

    #[test]
    fn mentions_are_bounded() {
        let text: String = (0..2_000).map(|i| format!("Name{i} ")).collect();
        assert_eq!(in_text(&text, "x", &[]).len(), MAX_MENTIONS);
        assert!(in_text("", "", &[]).is_empty() && in_query("").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,200}", source in "\\PC{0,40}") {
            for mention in in_text(&text, &source, &[]).into_iter().chain(in_query(&text)) {
                proptest::prop_assert!(!mention.text.is_empty());
            }
        }
    }
}
