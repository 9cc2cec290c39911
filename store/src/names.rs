//! The names a document can be mentioned by, and the mentions in a text: two sides that must agree to the letter.
//!
//! A document bears its title, its id, source and file name, its distinctive headings, the terms it defines and, for
//! source code, what it declares. The catalog keeps a hash of each beside the version ([`of_document`]); a text's
//! mentions ([`mentions::in_text`]) are hashed the same way when somebody wants to know where the text leads. Nothing
//! is ever resolved at writing time, so the order in which documents arrive does not matter and nothing goes stale.

use std::collections::HashSet;
use std::ops::Range;

use serde::Serialize;

use crate::document::{ChunkKey, DocumentKey};

mod addresses;
mod declared;
mod forms;
pub mod mentions;

pub use mentions::Mention;

/// The rules below as a number: versions named by smaller ones are named anew when a catalog is opened.
pub const RULES: i64 = 1;

/// Most names of a document; titles and addresses come first, then headings, terms and declarations as they stand.
const MAX_NAMES: usize = 300;

/// A name: the first eight bytes of the BLAKE3 hash of its kind of spelling (words, address, symbol) and its normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameHash(pub i64);

/// What a name is to the document that bears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NameKind {
    /// The title.
    Title,
    /// A part of the title that stands for it: without a bracketed explanation, or the number it begins with.
    ShortTitle,
    /// The id, the source, or the file name of either.
    Address,
    /// A heading of at least two words.
    Heading,
    /// A term that the text defines: `**DQF** – data quality flag`.
    Term,
    /// A function, type or table that the source code declares.
    Symbol,
}

impl NameKind {
    const ALL: [Self; 6] =
        [Self::Title, Self::ShortTitle, Self::Address, Self::Heading, Self::Term, Self::Symbol];

    /// The number that catalogs keep, from 0.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The kind of a number; `None` for one that is not in use.
    pub fn of_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Whether it names the document as a whole.
    pub fn is_of_document(self) -> bool {
        matches!(self, Self::Title | Self::ShortTitle | Self::Address)
    }
}

/// A name that a document bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// Which.
    pub hash: NameHash,
    /// What it is to the document.
    pub kind: NameKind,
    /// The chunk it stands for, by position; `None` for the document as a whole.
    pub ordinal: Option<u32>,
}

/// A visible document that bears a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The name.
    pub name: NameHash,
    /// What it is to the document.
    pub kind: NameKind,
    /// The document.
    pub document: DocumentKey,
    /// Keys of its chunks, as positive numbers, end exclusive.
    pub chunks: Range<i64>,
    /// The chunk that the name stands for, where it is one.
    pub chunk: Option<ChunkKey>,
}

/// What names are derived from: all of it is in the catalog.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    /// The document's id.
    pub id: &'a str,
    /// Where it came from.
    pub source: &'a str,
    /// Its title.
    pub title: Option<&'a str>,
    /// The stored text.
    pub text: &'a str,
    /// Of each chunk, in order: first byte, one past the last, headings above it, outermost first.
    pub chunks: &'a [(usize, usize, &'a [String])],
}

/// The names of a document, each once, at most 300.
pub fn of_document(document: &Described<'_>) -> Vec<Name> {
    let mut names = Names::default();
    if let Some(title) = document.title {
        names.add_words(title, NameKind::Title, None, 1);
        for short in short_titles(title) {
            names.add_words(short, NameKind::ShortTitle, None, 1);
        }
    }
    for address in [document.source, document.id] {
        for form in addresses::of_document(address) {
            names.add(forms::address_hash(&form), NameKind::Address, None);
        }
    }
    for (ordinal, (_, _, headings)) in (0_u32..).zip(document.chunks) {
        for heading in *headings {
            let least = if forms::is_marked(heading.trim()) { 1 } else { 2 };
            names.add_words(forms::without_number(heading), NameKind::Heading, Some(ordinal), least);
        }
    }
    let ordinal = |at: usize| {
        let after = document.chunks.partition_point(|(start, _, _)| *start <= at);
        after.checked_sub(1).and_then(|index| u32::try_from(index).ok())
    };
    for (at, term) in declared::terms(document.text) {
        names.add_words(term, NameKind::Term, ordinal(at), 1);
    }
    if declared::is_code(document.source) || declared::is_code(document.id) {
        for (at, symbol) in declared::symbols(document.text) {
            names.add(forms::symbol_hash(symbol), NameKind::Symbol, ordinal(at));
        }
    }
    names.found
}

/// `Sinister` of `Sinister (film)`, `INC-2026-007` of `INC-2026-007: battery packs`. Other words before a colon are a topic
/// more often than a name: following them costs SciFact 0.3 points of nDCG@10.
fn short_titles(title: &str) -> impl Iterator<Item = &str> {
    let bracketed =
        title.trim_end().strip_suffix(')').and_then(|t| t.rsplit_once(" (")).map(|(short, _)| short.trim());
    let digits = |word: &str| word.chars().filter(|c| c.is_numeric()).count();
    let number = title
        .split_whitespace()
        .next()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| digits(word) >= 3 && word.chars().any(char::is_alphabetic));
    bracketed.into_iter().chain(number).filter(|short| !short.is_empty())
}

#[derive(Default)]
struct Names {
    found: Vec<Name>,
    seen: HashSet<NameHash>,
}

impl Names {
    fn add(&mut self, hash: NameHash, kind: NameKind, ordinal: Option<u32>) {
        if self.found.len() < MAX_NAMES && self.seen.insert(hash) {
            self.found.push(Name { hash, kind, ordinal });
        }
    }

    fn add_words(&mut self, text: &str, kind: NameKind, ordinal: Option<u32>, least: usize) {
        if let Some(phrase) = forms::phrase(text)
            && (least..=mentions::MAX_WORDS).contains(&phrase.words)
        {
            self.add(forms::words_hash(&phrase.form), kind, ordinal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(document: &Described<'_>) -> Vec<(NameKind, Option<u32>)> {
        of_document(document).into_iter().map(|name| (name.kind, name.ordinal)).collect()
    }

    /// Whether `text`, standing in the document `from`, mentions `document`, and as what.
    fn leads(document: &Described<'_>, text: &str) -> Vec<NameKind> {
        let mentioned = mentions::in_text(text, "notes/today.md", &[]);
        of_document(document)
            .into_iter()
            .filter(|name| mentioned.iter().any(|mention| mention.hash == name.hash))
            .map(|name| name.kind)
            .collect()
    }

    fn titled(title: &str) -> Described<'_> {
        Described { id: "x", source: "x.txt", title: Some(title), text: "", chunks: &[] }
    }

    #[test]
    fn titles_are_found_in_prose_however_they_are_spelled() {
        for (title, text) in [
            ("The Wall Street Journal", "as the Wall Street Journal wrote"),
            ("Washington, D.C.", "moved to Washington, D.C. in 1901"),
            ("Sinister (film)", "stars of the horror film Sinister were"),
            ("Shirley Temple", "Shirley Temple's first film"),
            ("INC-2026-007: Battery packs", "see INC-2026-007 for the cause"),
            ("INC-2026-012 EU region outage", "see INC-2026-012 for the cause"),
            ("iPhone 4", "sold the iPhone 4 until"),
            ("The old wall", "The old wall is eight metres high"),
            ("相対性理論", "アインシュタインの相対性理論は"),
            ("Ｆｕｌｌ Width", "called Full Width there"),
        ] {
            assert!(!leads(&titled(title), text).is_empty(), "{title}: {text}");
        }
        for (title, text) in [
            ("Film", "Film is what it was called. Film again. A film."),
            ("Leave policy", "they leave policy to others"),
            ("Kiss and Tell", "a kiss. And tell nobody"),
            ("Protein kinases: a review", "the role of Protein Kinases"),
            ("Blue Note", "the sky is Blue.\n\nNote that"),
        ] {
            assert!(leads(&titled(title), text).is_empty(), "{title}: {text}");
        }
    }

    #[test]
    fn a_document_bears_its_addresses_headings_terms_and_declarations() {
        let headings = ["Data retention".to_owned(), "2.1 Backup copies".to_owned(), "Scope".to_owned()];
        let code = "pub async fn replay_log() {}\n\nclass Rill_Client:\n";
        let document = Described {
            id: "code/quality_flags.rs",
            source: "code/quality_flags.rs",
            title: None,
            text: code,
            chunks: &[(0, 30, &headings[..1]), (30, code.len(), &headings)],
        };
        use NameKind::{Address, Heading, Symbol};
        let found = names(&document);
        let of = |kind: NameKind| {
            let mine = found.iter().filter(|(found, _)| *found == kind);
            mine.map(|(_, ordinal)| *ordinal).collect::<Vec<_>>()
        };
        // Path, file name, and the stem, which looks like an identifier.
        assert_eq!(of(Address), [None, None, None]);
        assert_eq!(of(Heading), [Some(0), Some(1)], "a heading of one plain word is none");
        assert_eq!(of(Symbol), [Some(0), Some(1)]);
        for (text, kinds) in [
            ("call `replay_log` first", vec![Symbol]),
            ("a Rill_Client is made", vec![Symbol]),
            ("[flags](../code/quality_flags.rs#L3)", vec![Address, Address]),
            ("see quality_flags.rs for it", vec![Address]),
            ("see Backup copies there", vec![Heading]),
        ] {
            assert_eq!(leads(&document, text), kinds, "{text}");
        }
    }

    #[test]
    fn terms_lead_to_the_chunk_that_defines_them() {
        let text =
            "Terms.\n\n**DQF** – data quality flag.\n\n**Night rate**: cheap hours.\n\n**Really** bold.";
        let empty: &[String] = &[];
        let document = Described {
            id: "g",
            source: "g.md",
            title: None,
            text,
            chunks: &[(0, 8, empty), (8, 40, empty), (40, text.len(), empty)],
        };
        let terms: Vec<_> =
            names(&document).into_iter().filter(|(kind, _)| *kind == NameKind::Term).collect();
        assert_eq!(terms, [(NameKind::Term, Some(1)), (NameKind::Term, Some(2))]);
        assert_eq!(leads(&document, "each reading has a DQF"), [NameKind::Term]);
    }

    #[test]
    fn names_are_bounded_and_distinct() {
        let headings: Vec<String> = (0..400).map(|i| format!("Part number{i}")).collect();
        let chunks: Vec<(usize, usize, &[String])> =
            headings.iter().map(|h| (0, 0, std::slice::from_ref(h))).collect();
        let document =
            Described { id: "same", source: "same", title: Some("Same"), text: "", chunks: &chunks };
        let found = of_document(&document);
        assert_eq!(found.len(), MAX_NAMES);
        let distinct: HashSet<_> = found.iter().map(|name| name.hash).collect();
        assert_eq!(distinct.len(), found.len());
        let long = "one two three four five six seven eight nine ten eleven twelve thirteen";
        assert_eq!(names(&titled(long)).iter().filter(|(kind, _)| *kind == NameKind::Title).count(), 0);
    }

    #[test]
    fn kinds_keep_their_numbers() {
        for (number, kind) in (0_i64..).zip(NameKind::ALL) {
            assert_eq!((kind.number(), NameKind::of_number(number)), (number, Some(kind)));
        }
        assert_eq!(NameKind::of_number(6), None);
    }
}
