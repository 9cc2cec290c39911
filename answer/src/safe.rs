//! Makes generated and quoted text harmless to render: no link, image or HTML but our own citation markers.
//!
//! What is left is Markdown without links: emphasis, lists, code, tables. Every construct is taken apart by a space at
//! one fixed place inside it, so a piece that is safe stays safe next to any other piece.

use wellspring_models::prompt::visible;

/// The text without invisible characters, and with every link, image, HTML tag and web address taken apart. Doing it
/// twice changes nothing more. Line breaks stay.
pub(crate) fn render(text: &str) -> String {
    let visible = visible(text);
    let mut safe = String::with_capacity(visible.len() + 8);
    let mut rest = visible.as_str();
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        safe.push(c);
        if splits(&safe, c, after) {
            safe.push(' ');
        }
        rest = after;
    }
    safe
}

/// Whether a space must follow what was written so far, which ends with `c`.
fn splits(written: &str, c: char, after: &str) -> bool {
    let next = after.chars().next();
    match c {
        // A tag, a comment, a declaration, an autolink.
        '<' => next.is_some_and(|next| next.is_alphabetic() || matches!(next, '/' | '!' | '?')),
        // An inline link or image, a reference, a definition; also our own marker in front of a sentence's parenthesis.
        ']' => matches!(next, Some('(' | '[' | ':')),
        '!' => next == Some('['),
        '/' => written.ends_with("://") && next.is_some_and(|next| !next.is_whitespace()),
        '.' => ends_with_word(written, "www.") && next.is_some_and(|next| !next.is_whitespace()),
        // An escape or an entity could hide any of the above from here and show it to a renderer.
        '\\' => next.is_some_and(|next| next.is_ascii_punctuation()),
        '&' => is_entity(after),
        // An address that renderers turn into a link by themselves.
        '@' => next.is_some_and(char::is_alphanumeric) && !written.ends_with(" @"),
        ':' => {
            next.is_some_and(|next| !next.is_whitespace())
                && ["javascript:", "data:", "vbscript:", "mailto:", "xmpp:"]
                    .iter()
                    .any(|scheme| ends_with_word(written, scheme))
        }
        _ => false,
    }
}

/// Whether what follows an ampersand makes it a character reference: `#47;`, `sol;`.
fn is_entity(after: &str) -> bool {
    let name = after.split(';').next().unwrap_or_default();
    name.len() < after.len()
        && name.len() <= 32
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '#')
}

/// Whether the text ends with `word` in any letter case, at the beginning of a word.
fn ends_with_word(text: &str, word: &str) -> bool {
    let Some(start) = text.len().checked_sub(word.len()).filter(|start| text.is_char_boundary(*start)) else {
        return false;
    };
    text[start..].eq_ignore_ascii_case(word) && !text[..start].ends_with(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    use super::*;

    /// Whether a Markdown renderer would make a link, an image or HTML of it.
    fn reaches_out(text: &str) -> bool {
        let addresses = ["http://", "https://", "ftp://", "www."];
        // As it is shown: escapes and entities are resolved.
        let shown: String = Parser::new_ext(text, Options::all())
            .map(|event| match event {
                Event::Text(text) | Event::Code(text) => text.to_string(),
                _ => " ".to_owned(),
            })
            .collect();
        let lower = format!("{} {}", text, shown).to_lowercase();
        let address = addresses.iter().any(|address| {
            lower.match_indices(address).any(|(at, _)| {
                lower[at + address.len()..].starts_with(|c: char| c.is_alphanumeric())
                    && !lower[..at].ends_with(char::is_alphanumeric)
            })
        });
        address
            || Parser::new_ext(text, Options::all()).any(|event| {
                matches!(
                    event,
                    Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock)
                        | Event::Html(_)
                        | Event::InlineHtml(_)
                )
            })
    }

    #[test]
    fn what_needs_no_change_is_not_changed() {
        for text in [
            "a < b and c > d",
            "**bold** `code` [1][2]".replace("][", "] [").as_str(),
            "1. item\n- item",
            "ratio 3:4",
            "می\u{200c}خواهم",
        ] {
            assert_eq!(render(text), text);
        }
    }

    #[test]
    fn links_images_and_tags_are_taken_apart() {
        for (text, expected) in [
            ("![x](https://e.example/?q=1)", "! [x] (https:// e.example/?q=1)"),
            ("[x][y]\n\n[y]: //e", "[x] [y]\n\n[y] : //e"),
            ("<img src=x> <https://e>", "< img src=x> < https:// e>"),
            ("see www.e.example www._x", "see www. e.example www. _x"),
            (r"https:\/\/e.example", r"https:\ /\ /e.example"),
            ("https:&#47;/e.example &amp; &sol;", "https:& #47;/e.example & amp; & sol;"),
            ("write to a@b.example", "write to a@ b.example"),
            ("JavaScript:alert(1)", "JavaScript: alert(1)"),
            ("ab\u{202e}c\u{e0041}\u{200b}d", "abcd"),
        ] {
            assert_eq!(render(text), expected);
            assert!(!reaches_out(&render(text)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_reaches_out_however_the_pieces_are_put_together(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just("!"), Just("["), Just("]"), Just("("), Just(")"), Just("<"), Just(">"), Just("http"), Just("https:"),
                    Just("//"), Just("/"), Just("www."), Just("e.example"), Just("\n"), Just(" "), Just("x"), Just(":"),
                    Just("\u{200b}"), Just("`"), Just("img src="), Just("data:"), Just("\\"), Just("!--"), Just("&lt;"),
                    Just("\u{e0041}"), Just("1"), Just("\r"), Just("\""), Just("a@b.example"), Just("&#47;"), Just("&sol;"), Just("\\/"), Just("&colon;"),
                ],
                0..24,
            ),
            split in 0_usize..24,
        ) {
            let text = pieces.concat();
            let whole = render(&text);
            prop_assert!(!reaches_out(&whole), "{whole:?}");
            prop_assert_eq!(render(&whole), whole.clone());
            // Two sentences are parted by a marker and a blank.
            let split = split.min(pieces.len());
            let (first, second) = (pieces[..split].concat(), pieces[split..].concat());
            let joined = format!("{} [1] {}", render(&first), render(&second));
            prop_assert!(!reaches_out(&joined), "{joined:?}");
        }
    }
}
