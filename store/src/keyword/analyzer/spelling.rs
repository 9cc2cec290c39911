//! Makes spellings of one word one: signs and letters that writers take for one another.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// NFKC, with the signs that writers take for one another made one: apostrophes, dashes between letters or digits, and
/// without the signs that make no other word.
pub(super) fn normalize(text: &str) -> String {
    let mut text = match is_nfkc_quick(text.chars()) {
        IsNormalized::Yes => text.to_owned(),
        _ => text.nfkc().collect(),
    };
    if text.contains('\u{2019}') {
        text = text.replace('\u{2019}', "'");
    }
    if text.contains(is_silent) {
        text.retain(|c| !is_silent(c));
    }
    if text.contains(is_dash) { hyphenated(&text) } else { text }
}

/// What is written or left out without making another word: soft hyphen, zero-width space, word joiner, byte-order mark;
/// the tatweel that stretches an Arabic word, and the vowel signs that few Arabic texts have (as Lucene's ArabicNormalizer).
fn is_silent(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{200B}' | '\u{2060}' | '\u{FEFF}' | '\u{640}' | '\u{64B}'..='\u{652}' | '\u{670}'
    )
}

fn is_dash(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Dashes between letters or digits as hyphens; a dash beside a space stays what it is.
fn hyphenated(text: &str) -> String {
    let mut before = false;
    let mut letters = text.chars().peekable();
    let mut plain = String::with_capacity(text.len());
    while let Some(c) = letters.next() {
        let between = before && letters.peek().is_some_and(|next| next.is_alphanumeric());
        plain.push(if is_dash(c) && between { '-' } else { c });
        before = c.is_alphanumeric();
    }
    plain
}

/// A stem with the forms of alef as one (as Lucene's ArabicNormalizer), and without the final heh that many write for a teh
/// marbuta, which the stemmer cuts off.
pub(super) fn arabic_stem(stem: &str) -> String {
    let mut folded = stem.replace(['آ', 'أ', 'إ', 'ٱ'], "ا");
    if folded.ends_with('ه') && folded.chars().count() >= 4 {
        folded.pop();
    }
    folded
}

/// Hindi spelling variants as one: without nukta, and candrabindu as anusvara (two rules of Lucene's HindiNormalizer).
pub(super) fn hindi_letter(letter: char) -> Option<char> {
    match letter {
        '\u{93C}' => None,
        '\u{901}' => Some('\u{902}'),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn dashes_join_only_what_they_touch() {
        assert_eq!(normalize("a \u{2013} b\u{2014}c"), "a \u{2013} b-c");
        assert_eq!(normalize("re\u{AD}fund\u{FEFF}"), "refund");
        assert_eq!(normalize("ＷＸ－２００"), "WX-200");
    }
}
