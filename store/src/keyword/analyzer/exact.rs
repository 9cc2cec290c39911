//! What of a query must be found letter by letter: the identifiers in it and the phrases it quotes.

use super::verbatim::{self, Token};
use super::{normalize, pieces};

/// A query with more is cut: each costs posting lists with positions.
const MAX_EXACTS: usize = 16;

/// A longer phrase is found by its first words.
const MAX_TOKENS: usize = 64;

/// Quotation marks that open and close a phrase. The plain ones also measure inches, so they need air around them.
const QUOTES: [(char, &[char], bool); 6] = [
    ('"', &['"'], true),
    ('\u{201C}', &['\u{201D}', '\u{201C}'], false),
    ('\u{201E}', &['\u{201C}', '\u{201D}'], false),
    ('\u{AB}', &['\u{BB}'], false),
    ('\u{300C}', &['\u{300D}'], false),
    ('\u{300E}', &['\u{300F}'], false),
];

/// Words before a short number that make it the number of something: `error 404`, `RFC 793`, `ticket 512`.
const CUES: &[&str] = &[
    "error",
    "errors",
    "code",
    "codes",
    "status",
    "exception",
    "errno",
    "event",
    "fault",
    "signal",
    "port",
    "ticket",
    "issue",
    "bug",
    "case",
    "order",
    "invoice",
    "part",
    "model",
    "article",
    "no",
    "nr",
    "fehler",
    "fehlercode",
    "störung",
    "meldung",
    "erreur",
    "código",
    "codigo",
    "errore",
    "codice",
    "erro",
    "kod",
    "hata",
    "fout",
    "fel",
    "ошибка",
    "код",
    "номер",
];

/// Which kind of text an [`Exact`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExactKind {
    /// A name of something: a code, version, path, address, hash or number.
    Identifier,
    /// Words in quotation marks.
    Phrase,
}

/// A part of a query that a text holds or does not hold; nothing between.
///
/// Both sides are normalised alike: NFKC, every dash between letters or digits as a hyphen, no soft hyphens, lower case.
/// Words are runs of letters and digits; nothing is stemmed or left out. A *phrase* is held where its words stand one
/// after another, whatever punctuation is between them (`"well known"` by `well-known`), within one of title, headings
/// and body. An *identifier* is held where its words stand one after another joined by the very same signs, between
/// characters that are no letters or digits: `foo_bar` by `a.foo_bar()` but not by `foo bar` or `foo_bars`; `1.2.3` also by
/// `v1.2.3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exact {
    /// What it is.
    pub kind: ExactKind,
    /// As the query has it, normalised, without the quotation marks.
    pub text: String,
    /// What must stand at consecutive positions.
    pub(in crate::keyword) terms: Vec<String>,
    /// The term of an identifier that stands by itself; one inside a longer name lacks it and is worth less.
    pub(in crate::keyword) whole: Option<String>,
}

/// The quoted phrases of a query and then its identifiers, each in the order of the text and once; at most 16.
///
/// Identifiers are codes (`INC-2025-031`, `E1234`, `WX-200/B`), versions of three numbers, paths, URLs, mail addresses,
/// hashes and UUIDs, `snake_case`, `camelCase` and `qualified::names`, and numbers: long ones, ones with a leading zero, ones
/// of three digits where the words around say what they number (`error 404`, `HTTP 503`, `#512`). Ordinary words,
/// hyphenated or not, quantities, years and plain short numbers are none.
pub fn exacts(query: &str) -> Vec<Exact> {
    let text = normalize(query);
    let mut found: Vec<Exact> = Vec::new();
    let mut keep = |exact: Exact| {
        let known = found.iter().any(|other| other.kind == exact.kind && other.terms == exact.terms);
        if !known && found.len() < MAX_EXACTS {
            found.push(exact);
        }
    };
    let (phrases, rest) = quoted(&text);
    for phrase in phrases {
        let tokens = verbatim::tokens(phrase);
        let mut runs = verbatim::runs(&tokens);
        match (runs.next(), runs.next()) {
            (None, _) => {}
            (Some(run), None) if run.len() > 1 => keep(identifier(phrase, run)),
            _ => keep(Exact {
                kind: ExactKind::Phrase,
                text: phrase.trim().to_owned(),
                terms: tokens.iter().take(MAX_TOKENS).map(Token::term).collect(),
                whole: None,
            }),
        }
    }
    let tokens = verbatim::tokens(&rest);
    let mut before = None;
    for run in verbatim::runs(&tokens) {
        for name in names(run, cue(&rest, before, run)) {
            keep(identifier(&rest, name));
        }
        before = run.last().copied();
    }
    found
}

fn identifier(text: &str, run: &[Token<'_>]) -> Exact {
    let run = &run[..run.len().min(MAX_TOKENS)];
    let (last, first) = run.split_last().map_or((None, run), |(last, first)| (Some(last), first));
    Exact {
        kind: ExactKind::Identifier,
        text: verbatim::text_of(text, run).to_owned(),
        terms: first.iter().map(Token::joined).chain(last.map(Token::term)).collect(),
        whole: verbatim::whole_term(text, run),
    }
}

/// The quoted parts, and the text with them blanked out.
fn quoted(text: &str) -> (Vec<&str>, String) {
    let mut phrases = Vec::new();
    let mut rest = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(open) = text[at..].chars().next() {
        let inside = at + open.len_utf8();
        match closing(text, at, open) {
            Some(end) => {
                phrases.push(&text[inside..end]);
                rest.push(' ');
                at = end + text[end..].chars().next().map_or(0, char::len_utf8);
            }
            None => {
                rest.push(open);
                at = inside;
            }
        }
    }
    (phrases, rest)
}

/// Where the mark stands that closes what `open` at `at` opened; `None` if it opens nothing.
fn closing(text: &str, at: usize, open: char) -> Option<usize> {
    let &(_, closers, needs_air) = QUOTES.iter().find(|(mark, ..)| *mark == open)?;
    let inside = at + open.len_utf8();
    let end = inside + text[inside..].find(closers)?;
    let phrase = &text[inside..end];
    let after = text[end..].chars().nth(1);
    let airy = !text[..at].ends_with(char::is_alphanumeric)
        && !after.is_some_and(char::is_alphanumeric)
        && phrase.trim() == phrase;
    (phrase.contains(char::is_alphanumeric) && (airy || !needs_air)).then_some(end)
}

/// Whether what stands before a run says that a number there is a name.
fn cue(text: &str, before: Option<Token<'_>>, run: &[Token<'_>]) -> bool {
    let Some(first) = run.first() else { return false };
    let head = text[..first.start].trim_end();
    if head.ends_with(['#', '\u{2116}']) {
        return true;
    }
    before.is_some_and(|word| {
        let acronym = word.text.len() >= 2 && word.text.chars().all(char::is_uppercase);
        acronym || CUES.contains(&word.text.to_lowercase().as_str())
    })
}

/// The identifiers in a run: the whole, and what it consists of where it only attaches something to them
/// (`id=INC-31`, `E1234-Fehler`).
fn names<'t, 'a>(run: &'t [Token<'a>], cue: bool) -> Vec<&'t [Token<'a>]> {
    let mut names = Vec::new();
    if is_name(run, cue) {
        names.push(run);
    }
    let is_url = run.iter().any(|token| token.joint == "://");
    for part in run.chunk_by(|token, _| is_url || !token.joint.contains(['=', '&', '?'])) {
        let core = without_words(part);
        if core.len() < run.len() && is_name(core, false) {
            names.push(core);
        }
    }
    names
}

/// Without the ordinary words that hyphens attach in front and behind.
fn without_words<'t, 'a>(run: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let word = |token: &Token<'_>| {
        token.text.chars().count() >= 3
            && token.text.chars().all(char::is_alphabetic)
            && token.text.chars().any(char::is_lowercase)
    };
    let mut run = run;
    while let [before, last] | [.., before, last] = run {
        if before.joint != "-" || !word(last) {
            break;
        }
        run = &run[..run.len() - 1];
    }
    while let [first, _, ..] = run {
        if first.joint != "-" || !word(first) {
            break;
        }
        run = &run[1..];
    }
    run
}

fn is_name(run: &[Token<'_>], cue: bool) -> bool {
    match run {
        [] => false,
        [one] => is_code(one.text) || is_camel(one.text) || is_number_of_something(one.text, cue),
        many => is_joined_name(many),
    }
}

/// Letters and digits in one word: `E1234`, `sha256`, a hash. Not quantities and ordinals (`10km`, `1990s`, `2nd`), nor
/// what has a single digit (`CO2`, `mp3`).
fn is_code(word: &str) -> bool {
    let digits = word.chars().filter(|c| c.is_numeric()).count();
    let length = word.chars().count();
    let letters = word.trim_start_matches(char::is_numeric);
    // Nobody measures to six digits; a hash that happens to end in letters looks like it.
    let quantity = letters.len() < word.len()
        && word.len() - letters.len() < 6
        && letters.chars().count() <= 4
        && letters.chars().all(|c| c.is_alphabetic() && c.is_lowercase());
    digits > 0 && digits < length && !quantity && ((length >= 3 && digits >= 2) || length >= 6)
}

fn is_camel(word: &str) -> bool {
    let parts = if word.is_ascii() { pieces::camel_parts(word) } else { Vec::new() };
    parts.len() > 1 && parts.iter().all(|part| part.len() > 1)
}

fn is_number(word: &str) -> bool {
    word.chars().all(char::is_numeric)
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && word.parse().is_ok_and(|year: u32| (1500..2100).contains(&year))
}

fn is_number_of_something(word: &str, cue: bool) -> bool {
    let length = word.chars().count();
    is_number(word)
        && length >= 3
        && (cue || word.starts_with('0') || (length >= 5 && !word.ends_with("000")))
        && (cue || !is_year(word))
}

/// Several words joined without a space.
fn is_joined_name(run: &[Token<'_>]) -> bool {
    let joints: Vec<&str> = run.iter().rev().skip(1).map(|token| token.joint).collect();
    let (has, only) = (
        |sign: &str| joints.iter().any(|joint| joint.contains(sign)),
        |sign: &str| joints.iter().all(|joint| *joint == sign),
    );
    let slashes: usize = joints.iter().map(|joint| joint.matches('/').count()).sum();
    if ["_", "\\", "@", "::"].into_iter().any(has) || slashes >= 2 || (has("/") && has(".")) {
        return true;
    }
    let long = |token: &Token<'_>| {
        let length = token.text.len();
        is_number(token.text) && (length >= 5 || (length >= 3 && token.text.starts_with('0')))
    };
    let numbers = run.iter().filter(|token| is_number(token.text)).count();
    if numbers == run.len() {
        let decimal = run.len() < 4 && (only(".") || only(","));
        let grouped = run.iter().skip(1).all(|token| token.text.len() == 3);
        return if decimal { run.len() == 3 && !grouped } else { run.len() >= 3 || run.iter().any(long) };
    }
    if let ([number], true) = (without_words(run), only("-"))
        && is_number(number.text)
    {
        return long(number);
    }
    if run.iter().any(|token| is_code(token.text)) {
        return true;
    }
    if numbers == 0 {
        return only(".") && is_dotted_name(run);
    }
    let upper = |token: &Token<'_>| token.text.chars().all(char::is_uppercase);
    let short = |token: &Token<'_>| token.text.chars().count() <= 2 && !is_number(token.text);
    let version = |token: &Token<'_>| matches!(token.text, "v" | "V") || is_version_head(token.text);
    if run.iter().any(upper) || (only("-") && run.iter().any(short)) || run.first().is_some_and(version) {
        return !matches!(run, [one, other] if only(".") && !version(one) && other.text.len() < 3);
    }
    run.iter().any(|token| is_number(token.text) && token.text.len() >= 3 && !is_year(token.text))
}

fn is_version_head(word: &str) -> bool {
    word.strip_prefix(['v', 'V']).is_some_and(|number| !number.is_empty() && is_number(number))
}

/// `config.toml`, `java.util.List`, `example.org`; not `U.S`, `e.g` or a full stop without its space (`end.Next`).
fn is_dotted_name(run: &[Token<'_>]) -> bool {
    let capital = |word: &str| word.chars().next().is_some_and(char::is_uppercase);
    let sentence_ends = matches!(run, [one, other] if !capital(one.text) && capital(other.text));
    run.iter().all(|token| token.text.is_ascii() && token.text.len() >= 2) && !sentence_ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifiers(query: &str) -> Vec<String> {
        let found = exacts(query).into_iter().filter(|exact| exact.kind == ExactKind::Identifier);
        found.map(|exact| exact.text).collect()
    }

    fn phrases(query: &str) -> Vec<String> {
        let found = exacts(query).into_iter().filter(|exact| exact.kind == ExactKind::Phrase);
        found.map(|exact| exact.text).collect()
    }

    #[test]
    fn names_of_things_are_identifiers() {
        for name in [
            "INC-2025-031",
            "inc-2025-031",
            "E1234",
            "e-4312",
            "CVE-2024-3094",
            "1.2.3",
            "v1.2.3",
            "10.0.0.1",
            "src/store/sync.rs",
            "/etc/hosts.d/x",
            "https://x.org/a?b=1&c=2",
            "C:\\Users\\me",
            "jo.doe@x.org",
            "d41d8cd98f00b204e9800998ecf8427e",
            "123e4567-e89b-12d3-a456-426614174000",
            "max_retry_count",
            "getUserName",
            "NullPointerException",
            "std::sync::Arc",
            "WX-200/B",
            "config.toml",
            "COVID-19",
            "GPT-4",
            "0x80070057",
            "00942",
            "1234567",
            "ГОСТ-12345",
            "0800-123456",
            "KB4312",
        ] {
            let wanted = name.trim_start_matches('/');
            for query in [name.to_owned(), format!("what is {name}?"), format!("({name}), please")] {
                assert!(
                    identifiers(&query).iter().any(|found| found == wanted),
                    "{query}: {:?}",
                    identifiers(&query)
                );
            }
        }
        assert_eq!(identifiers("error 404 or HTTP 503 and #512"), ["404", "503", "512"]);
        assert_eq!(identifiers("id=INC-2025-031"), ["id=INC-2025-031", "INC-2025-031"]);
        assert_eq!(identifiers("E1234-Fehler beheben"), ["E1234-Fehler", "E1234"]);
        assert_eq!(identifiers("INC\u{2011}2025\u{2013}031"), ["INC-2025-031"]);
        assert_eq!(identifiers("ＷＸ－２００"), ["WX-200"]);
        assert_eq!(identifiers("IN\u{AD}C-31 E1234's"), ["INC-31", "E1234"]);
        assert_eq!(identifiers("E1234のエラー"), ["E1234"]);
        assert_eq!(identifiers("98807740ebdb"), ["98807740ebdb"]);
    }

    #[test]
    fn prose_has_none() {
        for prose in [
            "how do I pay an invoice in 30 days",
            "a well-known and/or long-term U.S. state-of-the-art thing, e.g. this",
            "between 1990 and 2019-2020, in the 1990s and mid-1980s",
            "the 2nd of 10km at 5pm, 3.14 or 50% of 1,000",
            "300 people and 128 points in 12:30",
            "CO2 and H2O in an A4 mp3",
            "100-year-old 24-hour type-2 post-1945",
            "it ends.Then it goes on",
            "AT&T, R&D, TCP/IP, O'Brien, don't",
            "10000 people",
            "Wie viele 308 Punkte?",
            "Fig.3 and No.5",
            "",
        ] {
            assert_eq!(identifiers(prose), [""; 0], "{prose}");
        }
    }

    #[test]
    fn every_kind_of_quotation_mark_makes_a_phrase() {
        for query in [
            "who said \"to be or not\" first",
            "“to be or not”",
            "„to be or not“ sagte",
            "«to be or not»",
            "「to be or not」",
        ] {
            assert_eq!(phrases(query), ["to be or not"], "{query}");
            assert_eq!(exacts(query)[0].terms, ["to", "be", "or", "not"]);
        }
        assert_eq!(phrases("\"Warranty\""), ["Warranty"]);
        assert_eq!(phrases("「年度报告」在哪里"), ["年度报告"]);
        assert_eq!(identifiers("\"E-4312\""), ["E-4312"]);
        assert_eq!(phrases("a 5\" pipe and a 6\" pipe, \"\" and \" x\" and \"open"), [""; 0]);
    }

    #[test]
    fn there_is_a_limit() {
        let many: String = (0..200).map(|i| format!("E{i}{i}{i} ")).collect();
        assert_eq!(exacts(&many).len(), MAX_EXACTS);
        let long = format!("\"{}\"", "word ".repeat(500).trim());
        assert_eq!(exacts(&long)[0].terms.len(), MAX_TOKENS);
    }
}
