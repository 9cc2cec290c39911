//! Joins the lines of a page to headings, paragraphs, list items, code and tables.

use crate::offsets::Builder;

use super::grid;
use super::headings::Ranks;
use super::lines::Line;

/// Writes a page. Each line keeps its place in the source.
pub(super) fn write(lines: &[Line], ranks: &Ranks, part: u32, out: &mut Builder) {
    let right = lines.iter().map(|l| l.right).fold(f32::MIN, f32::max);
    let mut at = 0;
    let mut item_before = false;
    while let Some(rest) = lines.get(at..).filter(|r| !r.is_empty()) {
        let extent = grid::extent(rest);
        if let Some(found) = rest.get(..extent).filter(|t| !t.is_empty()).and_then(grid::layout) {
            out.block();
            for (span, line) in found.lines() {
                match span {
                    Some((from, to)) => out.push(&line, part, u64::from(from), u64::from(to)),
                    None => out.glue(&line),
                }
                out.glue("\n");
            }
            at += extent;
            item_before = false;
            continue;
        }
        let count = block(rest, right, ranks);
        let lines = rest.get(..count).unwrap_or(rest);
        let item = lines
            .first()
            .is_some_and(|l| marker(&l.text()).is_some() || l.cells.iter().any(|c| c.text.contains(" … ")));
        if !(item && item_before) {
            out.block();
        }
        item_before = item;
        let above_table = || {
            let after = rest.get(count..).unwrap_or_default();
            after.get(..grid::extent(after)).filter(|t| !t.is_empty()).and_then(grid::layout).is_some()
        };
        match ranks.level(lines).or_else(|| ranks.caption_level(lines).filter(|_| above_table())) {
            Some(level) => {
                out.glue(&"#".repeat(level));
                out.glue(" ");
                flow(lines, part, out);
            }
            None if lines.first().is_some_and(|l| l.mono) && count > 1 => code(lines, part, out),
            None => flow(lines, part, out),
        }
        out.glue("\n");
        at += count;
    }
}

/// How many lines from the first on belong to one block.
fn block(lines: &[Line], right: f32, ranks: &Ranks) -> usize {
    let mut count = 1;
    for pair in lines.windows(2) {
        let [a, b] = pair else { break };
        if a.mono && b.mono {
            if b.bottom > a.bottom || a.bottom - b.top > 2.0 * a.size {
                break;
            }
            count += 1;
            continue;
        }
        let heading = |l: &Line| ranks.level(std::slice::from_ref(l));
        let spaced = a.bottom - b.top > 0.55 * a.size.max(b.size);
        // Up the page: the next column, where a sentence may go on.
        let up = b.bottom > a.bottom + b.size;
        let goes_on = up && !ends_sentence(&a.text()) && b.text().starts_with(char::is_lowercase);
        let resized = (a.size - b.size).abs() > 0.08 * a.size.max(b.size);
        let reweighted = a.bold != b.bold && (heading(a).is_some() || heading(b).is_some());
        let other = a.mono != b.mono;
        let listed = marker(&b.text()).is_some();
        // A line that ends well before the margin ends its paragraph.
        let width = (right - a.left).max(1.0);
        let short = right - a.right > 0.15 * width
            && (ends_sentence(&a.text()) || b.text().starts_with(char::is_uppercase))
            && heading(a).is_none();
        let indented =
            b.left - a.left > 0.9 * b.size && ends_sentence(&a.text()) && marker(&a.text()).is_none();
        let entry = a.cells.iter().any(|c| c.text.contains(" … "));
        let cells = (b.cells.len() > 2) != (a.cells.len() > 2) || (a.cells.len() > 2 && b.cells.len() > 2);
        if (spaced && !up)
            || (up && !goes_on)
            || resized
            || reweighted
            || other
            || listed
            || short
            || indented
            || entry
            || cells
        {
            break;
        }
        count += 1;
    }
    count
}

fn ends_sentence(text: &str) -> bool {
    text.trim_end().ends_with(['.', '!', '?', ':', ';', '”', '"', ')', '。'])
}

/// The list marker a line starts with, as Markdown, and how many bytes it takes.
fn marker(text: &str) -> Option<(String, usize)> {
    let first = text.chars().next()?;
    if matches!(first, '•' | '◦' | '▪' | '‣' | '–' | '-' | '*' | '○' | '●' | '■' | '►') {
        let rest = text.get(first.len_utf8()..)?;
        let blank = rest.len() - rest.trim_start().len();
        return (blank > 0 && rest.len() > blank).then(|| ("- ".to_owned(), first.len_utf8() + blank));
    }
    let end = text.find(' ')?;
    let word = text.get(..end)?;
    let inner = word.trim_start_matches('(').trim_end_matches([')', '.']);
    let numbered = word.len() > inner.len() && (1..=3).contains(&inner.len());
    let number = inner.chars().all(|c| c.is_ascii_digit())
        || (inner.len() == 1 && inner.chars().all(|c| c.is_ascii_lowercase()))
        || matches!(inner, "ii" | "iii" | "iv" | "vi" | "vii");
    (numbered && number).then(|| (String::new(), 0))
}

/// Writes lines as running text: divided words joined, bullets as Markdown.
fn flow(lines: &[Line], part: u32, out: &mut Builder) {
    let mut glue = "";
    for (index, line) in lines.iter().enumerate() {
        out.glue(glue);
        let last = index + 1 == lines.len();
        let next = lines.get(index + 1);
        for (place, cell) in line.cells.iter().enumerate() {
            let mut text = cell.text.as_str();
            if place > 0 {
                out.glue(" ");
            } else if index == 0
                && let Some((mark, skip)) = marker(text)
                && skip > 0
            {
                out.glue(&mark);
                text = text.get(skip..).unwrap_or(text);
            } else if index == 0 && line.cells.len() > 1 && matches!(text, "•" | "◦" | "▪" | "–" | "-")
            {
                text = "-";
            }
            let divided = place + 1 == line.cells.len() && !last && is_divided(line, text, next);
            if divided {
                text = text.strip_suffix(['-', '\u{ad}', '‐']).unwrap_or(text);
            }
            out.push(text, part, u64::from(cell.from), u64::from(cell.to));
            let hyphenated = text.ends_with(['-', '/', '–', '—'])
                && text.chars().nth_back(1).is_some_and(char::is_alphanumeric);
            glue = if divided || hyphenated { "" } else { " " };
        }
    }
}

/// A hyphen at a line end divides a word when letters stand on both sides and the rest starts small.
fn is_divided(line: &Line, text: &str, next: Option<&Line>) -> bool {
    let Some(stem) = text.strip_suffix(['-', '\u{ad}', '‐']) else { return false };
    let follows = next.and_then(|n| n.cells.first()).map(|c| c.text.as_str()).unwrap_or_default();
    let word: String = stem.chars().rev().take_while(|c| c.is_alphabetic() || *c == '-').collect();
    let small = follows.chars().next().is_some_and(char::is_lowercase);
    // `long-term` at a line end keeps its hyphen if the word already has one; PDFium's mark settles the rest.
    small && !word.contains('-') && word.chars().count() >= 2 && (line.divided || word.chars().count() >= 2)
}

/// Lines of fixed pitch between fences, indented as on the page.
fn code(lines: &[Line], part: u32, out: &mut Builder) {
    let left = lines.iter().map(|l| l.left).fold(f32::MAX, f32::min);
    out.glue("```\n");
    for line in lines {
        let indent = ((line.left - left) / (line.size * 0.6).max(1.0)).round().clamp(0.0, 40.0) as usize;
        out.glue(&" ".repeat(indent));
        for (place, cell) in line.cells.iter().enumerate() {
            if place > 0 {
                out.glue("  ");
            }
            out.push(&cell.text, part, u64::from(cell.from), u64::from(cell.to));
        }
        out.glue("\n");
    }
    out.glue("```");
}
