//! Brings text into one form: for keeping, for comparing, and as words.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_segmentation::UnicodeSegmentation;

/// Text for keeping and for queries: Unicode NFC (UAX #15), line ends as `\n`, and without control characters other
/// than tab and line feed and without invisible ones (byte order mark, zero-width space, soft hyphen, word joiner).
/// Joiners that carry meaning in some scripts (U+200C, U+200D) stay. Borrows when nothing changes; normalising twice
/// is normalising once. Byte offsets of input and output differ.
pub fn normalize(text: &str) -> Cow<'_, str> {
    let kept: Cow<'_, str> = if text.chars().any(|c| c == '\r' || is_dropped(c)) {
        let mut kept = String::with_capacity(text.len());
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '\r' if rest.peek() == Some(&'\n') => {}
                '\r' => kept.push('\n'),
                c if is_dropped(c) => {}
                c => kept.push(c),
            }
        }
        Cow::Owned(kept)
    } else {
        Cow::Borrowed(text)
    };
    match is_nfc_quick(kept.chars()) {
        IsNormalized::Yes => kept,
        _ => Cow::Owned(kept.nfc().collect()),
    }
}

fn is_dropped(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t' | '\r'))
        || matches!(c, '\u{feff}' | '\u{200b}' | '\u{00ad}' | '\u{2060}')
}

/// Text for comparing only: NFKC, lower case, runs of white space as one space, none at the ends.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let compatible: String = normalize(text).nfkc().collect();
    for word in compatible.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.extend(word.chars().flat_map(char::to_lowercase));
    }
    folded
}

/// The words of a text in order (word bounds of UAX #29, so `3.5` and `don't` are one word), in lower case. Scripts
/// without spaces between words give one word per ideograph.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.unicode_words().map(str::to_lowercase)
}

/// The words of a text as they stand, each with its first byte: the same words as [`words`] gives.
pub fn word_places(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.unicode_word_indices()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalising_composes_and_drops_what_cannot_be_seen() {
        assert_eq!(normalize("\u{feff}e\u{301}te\u{ad}r\r\nx\ry\0z"), "éter\nx\nyz");
    }

    #[test]
    fn clean_text_is_borrowed_and_joiners_stay() {
        assert!(matches!(normalize("naïve\ttext\n"), Cow::Borrowed(_)));
        assert_eq!(normalize("می\u{200c}خواهم"), "می\u{200c}خواهم");
    }

    #[test]
    fn folding_makes_equal_what_reads_equal() {
        assert_eq!(fold("  Ｆｕｌｌ \n ﬁle\u{a0}X "), "full file x");
        assert_eq!(fold(""), "");
    }

    #[test]
    fn words_keep_decimals_and_apostrophes_together() {
        assert_eq!(words("It's 3.5 MB, OK?").collect::<Vec<_>>(), ["it's", "3.5", "mb", "ok"]);
        assert_eq!(word_places("Ü 3.5 MB").collect::<Vec<_>>(), [(0, "Ü"), (3, "3.5"), (7, "MB")]);
    }

    proptest::proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC*|[\\r\\n\u{ad}e\u{301}\u{200b}a-c]*") {
            let once = normalize(&text).into_owned();
            proptest::prop_assert_eq!(normalize(&once), once.as_str());
        }
    }
}
