//! Cuts normalised text into what is compared letter by letter: the tokens of identifiers and quoted phrases, with what
//! joins them.
//!
//! A token is the longest run of letters, digits and combining marks, or one character of a script without spaces. So where
//! a token begins and ends depends on nothing but its own edges: whatever an identifier is wrapped in (brackets, quotes,
//! Markdown, a longer path), its tokens come out the same, one after another. What stands between two tokens is kept with
//! the first: `INC-2025-031` is `inc-` `2025-` `031`.

use unicode_normalization::char::is_combining_mark;

use super::pieces::has_no_spaces;
use super::{MAX_TERM_BYTES, cut};

/// Longer joints are no part of a name.
const MAX_JOINT_BYTES: usize = 4;

/// Longer names are found by their tokens, but are not also kept as one term.
const MAX_NAME_BYTES: usize = 96;

/// One token of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// In its own case.
    pub(super) text: &'a str,
    /// What joins it to the next token without a space; empty where nothing does.
    pub(super) joint: &'a str,
    /// Byte offset in the text.
    pub(super) start: usize,
}

impl Token<'_> {
    /// As it is indexed.
    pub(super) fn term(&self) -> String {
        cut(self.text.to_lowercase())
    }

    /// As it is indexed together with its joint.
    pub(super) fn joined(&self) -> String {
        self.term() + self.joint
    }
}

/// Every token, in order.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let (mut start, mut end, mut was_alone) = (None, 0, false);
    let mut close = |from: usize, to: usize| {
        if let Some(last) = tokens.last_mut() {
            let gap = &text[last.start + last.text.len()..from];
            let digits = last.text.ends_with(char::is_numeric) && text[from..].starts_with(char::is_numeric);
            if gap.len() <= MAX_JOINT_BYTES && (gap.bytes().all(joins) || (digits && gap == ",")) {
                last.joint = gap;
            }
        }
        tokens.push(Token { text: &text[from..to], joint: "", start: from });
    };
    for (at, c) in text.char_indices() {
        let letter = c.is_alphanumeric();
        let mark = is_combining_mark(c) || matches!(c, '\u{200C}' | '\u{200D}');
        let alone = letter && has_no_spaces(c);
        let goes_on = mark || (letter && !alone && !was_alone);
        if !goes_on && let Some(from) = start.take() {
            close(from, end);
        }
        // A mark without a letter before it is no word.
        if letter && start.is_none() {
            (start, was_alone) = (Some(at), alone);
        }
        end = at + c.len_utf8();
    }
    if let Some(from) = start {
        close(from, end);
    }
    tokens
}

/// Signs that hold the parts of a name together.
fn joins(byte: u8) -> bool {
    b"-_./:\\@#+~%&=?$".contains(&byte)
}

/// The runs of tokens that are joined without a space.
pub(super) fn runs<'t, 'a>(tokens: &'t [Token<'a>]) -> impl Iterator<Item = &'t [Token<'a>]> {
    tokens.chunk_by(|token, _| !token.joint.is_empty())
}

/// The text of a run, from its first token to its last.
pub(super) fn text_of<'a>(text: &'a str, run: &[Token<'_>]) -> &'a str {
    match (run.first(), run.last()) {
        (Some(first), Some(last)) => &text[first.start..last.start + last.text.len()],
        _ => "",
    }
}

/// Terms and their positions, as an index keeps them: each token at a position of its own; on the same position the token
/// with its joint, so that a name can be told from the same words apart; and where a run begins, the whole run, if it is
/// more than hyphenated prose.
pub(super) fn terms(text: &str) -> Vec<(usize, String)> {
    let tokens = tokens(text);
    let mut terms = Vec::with_capacity(tokens.len() + tokens.len() / 4);
    let mut position = 0;
    for run in runs(&tokens) {
        terms.extend(whole_term(text, run).map(|whole| (position, whole)));
        for token in run {
            terms.push((position, token.term()));
            if !token.joint.is_empty() {
                terms.push((position, token.joined()));
                // `1.2.3` finds `v1.2.3`.
                if let Some(number) = version_number(token) {
                    terms.push((position, format!("{number}{}", token.joint)));
                }
            }
            position += 1;
        }
    }
    terms
}

/// The whole of a name as [`terms`] keeps it beside its tokens, if it does.
pub(super) fn whole_term(text: &str, run: &[Token<'_>]) -> Option<String> {
    let whole = text_of(text, run);
    (run.len() > 1 && whole.len() <= MAX_NAME_BYTES && !is_prose(run)).then(|| whole.to_lowercase())
}

/// Letters joined by signs that prose has as well.
fn is_prose(run: &[Token<'_>]) -> bool {
    let signs = run.iter().rev().skip(1).all(|token| matches!(token.joint, "-" | "." | "/" | "&"));
    signs && run.iter().all(|token| token.text.chars().all(char::is_alphabetic))
}

fn version_number<'a>(token: &Token<'a>) -> Option<&'a str> {
    let number = token.text.strip_prefix(['v', 'V'])?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_number && token.joint == "." && number.len() < MAX_TERM_BYTES).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &str) -> Vec<String> {
        tokens(text).iter().map(Token::joined).collect()
    }

    #[test]
    fn a_name_comes_out_the_same_whatever_it_is_wrapped_in() {
        let name = joined("INC-2025-031");
        assert_eq!(name, ["inc-", "2025-", "031"]);
        for wrapped in ["(INC-2025-031),", "`INC-2025-031`|", "[INC-2025-031](x)", "\"INC-2025-031\"."] {
            assert_eq!(joined(wrapped)[..3], name[..], "{wrapped}");
        }
        assert_eq!(joined("a.foo_bar()"), ["a.", "foo_", "bar"]);
        assert_eq!(joined("https://x.org/a?b=1"), ["https://", "x.", "org/", "a?", "b=", "1"]);
    }

    #[test]
    fn scripts_without_spaces_stand_by_character_and_marks_stay_with_their_letter() {
        assert_eq!(joined("第WX-2型"), ["第", "wx-", "2", "型"]);
        assert_eq!(joined("हिन्दी भाषा"), ["हिन्दी", "भाषा"]);
        assert_eq!(joined("\u{301}a"), ["a"]);
    }

    #[test]
    fn names_are_kept_whole_and_prose_is_not() {
        let whole = |text: &str| terms(text).into_iter().map(|(_, term)| term).collect::<Vec<_>>();
        assert_eq!(whole("E-12 on"), ["e-12", "e", "e-", "12", "on"]);
        assert_eq!(whole("well-known"), ["well", "well-", "known"]);
        assert_eq!(whole("v1.2"), ["v1.2", "v1", "v1.", "1.", "2"]);
        let places: Vec<usize> = terms("E-12 on").into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, [0, 0, 0, 1, 2]);
    }
}
