//! Counts tokens without a model's tokenizer: too many rather than too few.

use crate::tokens::TokenCounter;

/// Letters that one token holds at most, in an estimate that errs upwards; English averages four to five.
const LETTERS: usize = 3;

/// An upper estimate of the tokens a byte-pair tokenizer makes of a text, for endpoints whose tokenizer is not known:
/// one token per three ASCII letters of a word, one per digit, per punctuation mark, per line end and per further
/// space in a run, and one less than its UTF-8 bytes for any other character (1 for é, 2 for 漢, 3 for 😀); and two
/// for the text as a whole. English prose comes out at about one and a half times the true count.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApproximateCounter;

/// Counted for every text.
const SPECIAL: usize = 2;

impl TokenCounter for ApproximateCounter {
    fn count(&self, text: &str) -> usize {
        let mut meter = Meter::default();
        text.chars().for_each(|c| meter.add(c));
        meter.tokens + SPECIAL
    }
}

impl ApproximateCounter {
    /// The longest start of `text` that counts at most `max` tokens.
    pub(crate) fn cut<'t>(&self, text: &'t str, max: usize) -> &'t str {
        let mut meter = Meter::default();
        for (offset, c) in text.char_indices() {
            meter.add(c);
            if meter.tokens + SPECIAL > max {
                return &text[..offset];
            }
        }
        text
    }
}

/// Counts as characters come.
#[derive(Default)]
struct Meter {
    tokens: usize,
    /// Letters of the current word.
    letters: usize,
    /// Whether the last character was a space.
    space: bool,
}

impl Meter {
    fn add(&mut self, c: char) {
        let letter = c.is_ascii_alphabetic();
        self.tokens += match c {
            _ if letter => usize::from(self.letters.is_multiple_of(LETTERS)),
            ' ' => usize::from(self.space),
            _ if c.is_ascii() => 1,
            _ => c.len_utf8() - 1,
        };
        self.letters = if letter { self.letters + 1 } else { 0 };
        self.space = c == ' ';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_err_upwards() {
        for (text, tokens) in
            [("", 0), ("the", 1), ("international", 5), ("a b", 2), ("1234", 4), ("é漢😀", 6), ("a  b\n", 4)]
        {
            assert_eq!(ApproximateCounter.count(text), tokens + SPECIAL, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_cut_text_fits_and_could_not_be_longer(text in "\\PC{0,60}", max in 2_usize..40) {
            let cut = ApproximateCounter.cut(&text, max);
            proptest::prop_assert!(ApproximateCounter.count(cut) <= max);
            if let Some(next) = text[cut.len()..].chars().next() {
                proptest::prop_assert!(ApproximateCounter.count(&text[..cut.len() + next.len_utf8()]) > max);
            }
        }
    }
}
