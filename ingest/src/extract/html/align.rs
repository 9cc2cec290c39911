//! Finds where the lines of converted text stand in the markup they came from, so that citations can point there.

use crate::offsets::Builder;

/// How far behind the last match the words of a line are looked for, in bytes of markup.
const REACH: usize = 200 * 1024;

/// Appends `text`, each line mapped to the stretch of `markup` between its first and last word.
///
/// A line is looked for behind the previous one; one whose words are not found in order (entities, generated text)
/// is left unmapped. `shift` is added to every position.
pub(super) fn push(body: &mut Builder, text: &str, markup: &str, shift: usize) {
    let part = body.map.part("");
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match locate(line, markup, at) {
            Some((from, to)) => {
                body.push(line, part, (from + shift) as u64, (to + shift) as u64);
                at = to;
            }
            None => body.glue(line),
        }
    }
}

/// The range of markup from the first to the last plain word of a line, words in order.
fn locate(line: &str, markup: &str, at: usize) -> Option<(usize, usize)> {
    let words: Vec<&str> =
        line.split(|c: char| c.is_whitespace() || c == '|').filter(|w| is_plain(w)).collect();
    let anchor = words.iter().take(4).copied().collect::<Vec<_>>();
    let first = *anchor.first()?;
    let mut search = at;
    for _ in 0..200 {
        let from = find(markup, first, search)?;
        // The next words must follow closely, else this is another place with the same first word.
        let mut end = from + first.len();
        let close = anchor.iter().skip(1).all(|word| match find(markup, word, end) {
            Some(found) if found < end + 400 => {
                end = found + word.len();
                true
            }
            _ => false,
        });
        if close {
            for word in words.iter().skip(anchor.len()) {
                if let Some(found) = find(markup, word, end).filter(|found| *found < end + 2000) {
                    end = found + word.len();
                }
            }
            return Some((from, end));
        }
        search = from + first.len();
    }
    None
}

fn is_plain(word: &str) -> bool {
    word.chars().any(char::is_alphanumeric) && !word.contains(['&', '<', '>', '`', '\\', '\u{a0}', '"', '\''])
}

fn find(markup: &str, word: &str, at: usize) -> Option<usize> {
    let mut end = (at + REACH).min(markup.len());
    while !markup.is_char_boundary(end) {
        end += 1;
    }
    markup.get(at..end)?.find(word).map(|found| at + found)
}
