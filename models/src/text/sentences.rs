//! Where the sentences of a text begin and end.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::abbreviations;

/// The sentences of `text` as byte ranges: in order, disjoint, never empty, without white space at their ends; all
/// that lies outside them is white space. Plain text and Markdown alike: a blank line, a heading, a list item, a table
/// row, a quoted line and every line of a fenced code block is a bound; any other line break is a space. Inside, bounds
/// are those of UAX #29 (which knows `。` and decimals), less those after abbreviations, initials and ordinals.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for block in blocks(text) {
        if block.whole {
            found.extend(trimmed(text, block.lines));
        } else {
            split_block(text, block.lines, &mut found);
        }
    }
    found
}

/// Lines that are read together.
struct Block {
    /// Their bytes, line ends included.
    lines: Range<usize>,
    /// One unit whatever it holds: a heading, a table row, a line of code.
    whole: bool,
}

/// `range` without the white space at its ends; `None` if nothing is left.
fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let body = text[range.clone()].trim();
    let start = range.start + text[range.clone()].find(body)?;
    (!body.is_empty()).then(|| start..start + body.len())
}

/// The blocks of `text`, in order.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    let mut fenced = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let range = start..start + line.len();
        start = range.end;
        let shape = Shape::of(line.trim());
        if shape == Shape::Fence {
            fenced = !fenced;
        }
        let shape = if fenced && shape != Shape::Blank { Shape::Alone } else { shape };
        match (shape, blocks.last_mut()) {
            (Shape::Blank, _) => open = false,
            (Shape::Prose, Some(block)) if open => block.lines.end = range.end,
            (Shape::Prose | Shape::Opens, _) => {
                blocks.push(Block { lines: range, whole: false });
                open = true;
            }
            (Shape::Alone | Shape::Fence, _) => {
                blocks.push(Block { lines: range, whole: true });
                open = false;
            }
        }
    }
    blocks
}

/// What a line means for the block it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Ends the block.
    Blank,
    /// Goes on with the block before.
    Prose,
    /// Starts a block that the next line may go on with: a list item, a quotation.
    Opens,
    /// A block of its own: a heading, a table row, a rule, code.
    Alone,
    /// Opens or closes fenced code.
    Fence,
}

impl Shape {
    fn of(line: &str) -> Self {
        if line.is_empty() {
            return Self::Blank;
        }
        if line.starts_with("```") || line.starts_with("~~~") {
            return Self::Fence;
        }
        let rule = line.len() >= 3 && line.chars().all(|c| matches!(c, '-' | '=' | '*' | '_' | ' '));
        if line.starts_with('|') || rule || is_heading(line) {
            return Self::Alone;
        }
        if line.starts_with('>') || is_item(line) { Self::Opens } else { Self::Prose }
    }
}

/// An ATX heading: one to six `#` and a space.
fn is_heading(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    let marks = line.len() - rest.len();
    (1..=6).contains(&marks) && (rest.is_empty() || rest.starts_with(' '))
}

/// A bullet, or a number or letter followed by `.` or `)`, then a space.
fn is_item(line: &str) -> bool {
    let Some((marker, _)) = line.split_once(char::is_whitespace) else {
        return false;
    };
    if matches!(marker, "-" | "*" | "+" | "•" | "–" | "◦" | "▪") {
        return true;
    }
    let Some(label) = marker.strip_suffix(['.', ')']) else {
        return false;
    };
    let label = label.trim_start_matches('(');
    let number = !label.is_empty() && label.len() <= 3 && label.chars().all(|c| c.is_ascii_digit());
    let letter = label.len() == 1 && label.chars().all(|c| c.is_ascii_lowercase()) && marker.ends_with(')');
    number || letter
}

/// Adds the sentences of one block.
fn split_block(text: &str, block: Range<usize>, found: &mut Vec<Range<usize>>) {
    // UAX #29 breaks at every line end; here a line end is a space. Both are one byte, so offsets stay.
    let joined: String =
        text[block.clone()].chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }).collect();
    let first = found.len();
    for (offset, piece) in joined.split_sentence_bound_indices() {
        let trimmed = piece.trim();
        if trimmed.is_empty() {
            continue;
        }
        let start = block.start + offset + (piece.len() - piece.trim_start().len());
        let end = start + trimmed.len();
        match found[first..].last_mut() {
            Some(before) if abbreviations::continues(&text[before.clone()], trimmed) => before.end = end,
            _ => found.push(start..end),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn prose_is_split_at_ends_and_nowhere_else() {
        assert_eq!(
            split(
                "Dr. Smith paid $3.50 for v1.2. It failed (cf. Fig. 3)! Why? J. Doe knows, e.g. from U.S. law."
            ),
            [
                "Dr. Smith paid $3.50 for v1.2.",
                "It failed (cf. Fig. 3)!",
                "Why?",
                "J. Doe knows, e.g. from U.S. law."
            ]
        );
        assert_eq!(
            split("Am 3. Oktober gilt Nr. 5. Danach nicht."),
            ["Am 3. Oktober gilt Nr. 5.", "Danach nicht."]
        );
    }

    #[test]
    fn wrapped_lines_are_one_sentence() {
        assert_eq!(split("one line\r\nand the next.\nNew one"), ["one line\r\nand the next.", "New one"]);
    }

    #[test]
    fn markdown_structure_bounds_sentences() {
        let text = "# Leave\nStaff get 30 days\n\n- first item\n  goes on\n- second\n1. third\n\n| a | b. C |\n|---|---|\n| 1 | 2 |\n> quoted\n```\nlet x = 1.0;\nlet y\n```\nEnd";
        assert_eq!(
            split(text),
            [
                "# Leave",
                "Staff get 30 days",
                "- first item\n  goes on",
                "- second",
                "1. third",
                "| a | b. C |",
                "|---|---|",
                "| 1 | 2 |",
                "> quoted",
                "```",
                "let x = 1.0;",
                "let y",
                "```",
                "End"
            ]
        );
    }

    #[test]
    fn ideographic_full_stops_end_sentences() {
        assert_eq!(
            split("休暇は三十日です。詳細はこちら！次へ"),
            ["休暇は三十日です。", "詳細はこちら！", "次へ"]
        );
    }

    #[test]
    fn empty_and_blank_text_have_none() {
        assert!(split("").is_empty());
        assert!(split(" \n\t\n ").is_empty());
    }

    proptest! {
        #[test]
        fn ranges_cover_everything_but_white_space(
            text in "\\PC*|([A-Za-z]{1,3}|Dr\\.|[0-9]|[.!?。|#\\-> \\n\\r\\t]|\u{2028}|```){0,60}"
        ) {
            let mut end = 0;
            for range in sentences(&text) {
                prop_assert!(text[end..range.start].trim().is_empty());
                prop_assert!(!range.is_empty());
                prop_assert_eq!(text[range.clone()].trim(), &text[range.clone()]);
                end = range.end;
            }
            prop_assert!(text[end..].trim().is_empty());
        }
    }
}
