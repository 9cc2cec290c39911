//! Cuts normalised text into words, character pairs and identifiers, without knowing its language.

use unicode_segmentation::UnicodeSegmentation;

/// Longer runs without a space are never kept whole: nobody types them.
const MAX_IDENTIFIER_BYTES: usize = 96;

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A word, in its own case, for a language to treat.
    Word(&'a str),
    /// A word of a name: treated like any other, but it is a name's, so nobody guesses at it.
    Part(&'a str),
    /// To be indexed as it is, lower-cased: a pair of characters, or an identifier.
    Verbatim(&'a str),
}

/// Calls `emit` with every piece of `text`, in order.
pub(super) fn split<'a>(text: &'a str, emit: &mut impl FnMut(Piece<'a>)) {
    for run in text.split_whitespace() {
        let core = run.trim_matches(|c: char| !c.is_alphanumeric());
        if core.is_empty() {
            continue;
        }
        if let Some(name) = symbol_name(run, core) {
            emit(Piece::Verbatim(name));
            continue;
        }
        let is_name = is_identifier(core);
        if is_name && core.unicode_words().next() != Some(core) {
            emit(Piece::Verbatim(core));
        }
        split_scripts(core, if is_name { Piece::Part } else { Piece::Word }, emit);
    }
}

/// `C++`, `c#`: short names whose last characters are no letters.
fn symbol_name<'a>(run: &'a str, core: &str) -> Option<&'a str> {
    let short = core.len() <= 2 && core.bytes().all(|b| b.is_ascii_alphabetic());
    let from = run.find(core).filter(|_| short)?;
    let tail = &run[from + core.len()..];
    let signs = if tail.starts_with("++") { 2 } else { usize::from(tail.starts_with('#')) };
    (signs > 0).then(|| &run[from..from + core.len() + signs])
}

/// A name of something rather than prose: ASCII with an inner connector and a digit, or a path, a qualified name, a mail
/// address. `well-known` and `and/or` are prose.
fn is_identifier(core: &str) -> bool {
    let inner = |connector: &str| core.contains(connector);
    core.len() <= MAX_IDENTIFIER_BYTES
        && core.is_ascii()
        && core.bytes().any(|b| b"-_./:\\@#+".contains(&b))
        && (core.bytes().any(|b| b.is_ascii_digit())
            || inner("::")
            || inner("@")
            || inner("\\")
            || inner("_")
            || core.matches('/').count() >= 2
            || (inner("/") && inner(".")))
}

/// Parts a run where a script without spaces begins or ends.
fn split_scripts<'a>(run: &'a str, kind: fn(&'a str) -> Piece<'a>, emit: &mut impl FnMut(Piece<'a>)) {
    let mut rest = run;
    while let Some(first) = rest.chars().next() {
        let paired = has_no_spaces(first);
        let end = rest.find(|c| has_no_spaces(c) != paired).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        if paired {
            emit_pairs(part, emit);
        } else {
            part.unicode_words().for_each(|word| emit_word(word, kind, emit));
        }
        rest = after;
    }
}

/// Overlapping pairs of characters; a character alone stays alone.
fn emit_pairs<'a>(part: &'a str, emit: &mut impl FnMut(Piece<'a>)) {
    let mut starts = part.char_indices().map(|(at, _)| at).chain([part.len()]);
    let (Some(mut start), Some(mut middle)) = (starts.next(), starts.next()) else { return };
    if middle == part.len() {
        emit(Piece::Verbatim(part));
    }
    for end in starts {
        emit(Piece::Verbatim(&part[start..end]));
        (start, middle) = (middle, end);
    }
}

/// The word, and the parts of a compound name (`max_retry_count`, `getUserName`, `wellspring.store`).
fn emit_word<'a>(word: &'a str, kind: fn(&'a str) -> Piece<'a>, emit: &mut impl FnMut(Piece<'a>)) {
    emit(kind(word));
    if word.contains(['_', '.']) {
        word.split(['_', '.']).filter(|part| worth_a_term(part)).for_each(|part| emit(Piece::Part(part)));
    } else if word.is_ascii() {
        let parts = camel_parts(word);
        if parts.len() > 1 && parts.iter().all(|part| part.len() > 1) {
            parts.into_iter().for_each(|part| emit(Piece::Part(part)));
        }
    }
}

/// Initials and version digits alone would only be noise.
fn worth_a_term(part: &str) -> bool {
    let letters = part.chars().any(char::is_alphabetic);
    part.chars().count() >= if letters { 2 } else { 3 }
}

/// `getHTTPServer` → `get`, `HTTP`, `Server`. One part where there is no change of case.
pub(super) fn camel_parts(word: &str) -> Vec<&str> {
    let bytes = word.as_bytes();
    let mut parts = Vec::new();
    let mut start = 0;
    for i in 1..bytes.len() {
        let rises = bytes[i - 1].is_ascii_lowercase() && bytes[i].is_ascii_uppercase();
        let acronym_ends = bytes[i - 1].is_ascii_uppercase()
            && bytes[i].is_ascii_uppercase()
            && bytes.get(i + 1).is_some_and(u8::is_ascii_lowercase);
        if rises || acronym_ends {
            parts.push(&word[start..i]);
            start = i;
        }
    }
    parts.push(&word[start..]);
    parts
}

/// Scripts written without spaces between words, and Hangul, whose particles stick to the word: pairs find them all.
pub(super) fn has_no_spaces(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF // Thai, Lao
        | 0x1000..=0x109F // Myanmar
        | 0x1100..=0x11FF // Hangul Jamo
        | 0x1780..=0x17FF // Khmer
        | 0x3005..=0x3007 | 0x3040..=0x30FF | 0x3130..=0x318F | 0x31F0..=0x31FF // Kana, iteration marks
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF // Han
        | 0xAC00..=0xD7AF // Hangul
        | 0x20000..=0x3FFFF) // Han, supplementary
}
