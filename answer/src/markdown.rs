//! Shows a sentence of Markdown as a person would say it; the quote beside it keeps every byte.

use std::ops::Range;

/// Whether the sentence at `range` of `text` can stand in an answer: not a heading, a rule, a fence, a table's header or
/// dashes, and holding at least two words.
pub(crate) fn says_something(text: &str, range: &Range<usize>) -> bool {
    let line = text[range.clone()].trim();
    let structure = line.starts_with('#') || line.starts_with("```") || line.starts_with("~~~");
    let header = || {
        let below = text[range.end..].trim_start().lines().next();
        line.starts_with('|') && below.and_then(cells).is_some_and(|cells| is_rule(&cells))
    };
    let words = line
        .split(|c: char| c.is_whitespace() || c == '|')
        .filter(|word| word.contains(char::is_alphanumeric));
    !structure && words.take(2).count() == 2 && !header()
}

/// The sentence at `range` of `text` without list, quotation and emphasis markers, links as their words, on one line. A
/// table row is shown as `column: cell` pairs under the nearest header row above it in `text`.
pub(crate) fn plain(text: &str, range: &Range<usize>) -> String {
    let sentence = &text[range.clone()];
    let shown = match cells(sentence) {
        Some(cells) => row(&cells, header(&text[..range.start]).as_deref()),
        None => inline(unmark(sentence)),
    };
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cells(line: &str) -> Option<Vec<String>> {
    let line = line.trim();
    let inside = line.strip_prefix('|')?;
    let inside = inside.strip_suffix('|').unwrap_or(inside);
    Some(inside.split('|').map(|cell| inline(cell.trim())).collect())
}

/// The cells of the row above the nearest line of dashes, if nothing but rows stands in between.
fn header(above: &str) -> Option<Vec<String>> {
    let mut lines = above.lines().rev().skip_while(|line| line.trim().is_empty());
    while let Some(row) = lines.next().and_then(cells) {
        if is_rule(&row) {
            return lines.next().and_then(cells);
        }
    }
    None
}

/// Whether these are the dashes between a table's header and its rows.
fn is_rule(cells: &[String]) -> bool {
    cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':' | ' ')))
}

fn row(cells: &[String], header: Option<&[String]>) -> String {
    let shown = cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()).map(|(column, cell)| {
        match header.and_then(|names| names.get(column)).filter(|name| !name.is_empty() && *name != cell) {
            Some(name) => format!("{name}: {cell}"),
            None => cell.clone(),
        }
    });
    let joined = shown.collect::<Vec<_>>().join("; ");
    if joined.ends_with(['.', '!', '?']) { joined } else { format!("{joined}.") }
}

/// Without the list or quotation marker it begins with.
fn unmark(sentence: &str) -> &str {
    let mut rest = sentence.trim();
    loop {
        let shorter =
            ["- ", "* ", "+ ", "> "].iter().find_map(|marker| rest.strip_prefix(marker)).or_else(|| {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let after = rest[digits..].strip_prefix(". ").or_else(|| rest[digits..].strip_prefix(") "));
                after.filter(|_| (1..=3).contains(&digits))
            });
        match shorter {
            Some(shorter) => rest = shorter.trim_start(),
            None => return rest,
        }
    }
}

/// Without emphasis and code markers, and with a link's words in its place.
fn inline(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((words, after)) = link(rest) {
            shown.push_str(&inline(words));
            rest = after;
            continue;
        }
        let marker = ["**", "__", "`"].iter().find(|marker| rest.starts_with(**marker));
        match marker {
            Some(marker) => rest = &rest[marker.len()..],
            None => {
                shown.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    shown
}

/// The words of `[words](target)` or `![words](target)` at the very start, and what follows.
fn link(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('!').unwrap_or(text).strip_prefix('[')?;
    let close = inside.find("](")?;
    if inside[..close].contains(['[', '\n']) {
        return None;
    }
    let target = &inside[close + 2..];
    let end = target.find(')')?;
    Some((&inside[..close], &target[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, sentence: &str) -> String {
        let start = text.find(sentence).unwrap();
        plain(text, &(start..start + sentence.len()))
    }

    #[test]
    fn markers_are_taken_off() {
        for (sentence, expected) in [
            ("- **Paid leave** is\n  30 days.", "Paid leave is 30 days."),
            ("12. See [the `API` guide](https://example.org/a).", "See the API guide."),
            ("> - quoted", "quoted"),
            ("2026 was a year.", "2026 was a year."),
            ("a * b and snake_case [1]", "a * b and snake_case [1]"),
        ] {
            assert_eq!(shown(sentence, sentence), expected);
        }
    }

    #[test]
    fn a_row_is_read_under_its_header() {
        let table =
            "Prices\n\n| Plan | Price | |\n|------|:-----:|--|\n| Free | 0 | x |\n| Pro | 30 EUR | |\n";
        assert_eq!(shown(table, "| Pro | 30 EUR | |"), "Plan: Pro; Price: 30 EUR.");
        assert_eq!(shown(table, "| Free | 0 | x |"), "Plan: Free; Price: 0; x.");
        assert_eq!(shown("| a | b |", "| a | b |"), "a; b.");
        assert_eq!(shown("text\n\n| a | b |", "| a | b |"), "a; b.");
    }

    #[test]
    fn structure_says_nothing() {
        let says = |text: &str, sentence: &str| {
            let start = text.find(sentence).unwrap();
            says_something(text, &(start..start + sentence.len()))
        };
        for sentence in ["## Leave it", "|---|---|", "```", "---", "word", "| x | |"] {
            assert!(!says(sentence, sentence), "{sentence}");
        }
        let table = "| Plan | Price |\n|---|---|\n| Pro | 30 |";
        assert!(!says(table, "| Plan | Price |"));
        assert!(says(table, "| Pro | 30 |"));
        assert!(says("Two words", "Two words"));
    }
}
