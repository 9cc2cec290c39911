//! Puts the characters of a page together to lines and the cells that wide gaps cut them into.

use super::glyphs::Glyph;

/// A stretch of a line without wide gaps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) left: f32,
    pub(super) right: f32,
    /// Character indices on the page, end exclusive.
    pub(super) from: u32,
    pub(super) to: u32,
}

/// One line of a page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) cells: Vec<Cell>,
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
    pub(super) top: f32,
    /// Size of most of its characters, points.
    pub(super) size: f32,
    /// All letters are bold.
    pub(super) bold: bool,
    pub(super) mono: bool,
    /// The last character is a hyphen that divides a word.
    pub(super) divided: bool,
}

impl Line {
    /// The cells joined by blanks.
    pub(super) fn text(&self) -> String {
        let texts: Vec<&str> = self.cells.iter().map(|c| c.text.as_str()).collect();
        texts.join(" ")
    }

    pub(super) fn chars(&self) -> usize {
        self.cells.iter().map(|c| c.text.len()).sum()
    }
}

/// A gap wider than this many times the font size separates cells; blanks of justified text stay below.
const CELL_GAP: f32 = 1.15;

/// Lines in the order of the page's content.
pub(super) fn assemble(glyphs: &[Glyph]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (index, glyph) in glyphs.iter().enumerate() {
        let next = glyphs.get(index + 1);
        if next.is_none_or(|n| glyph.ends_line && !continues(glyph, n) || breaks(glyph, n)) {
            lines.extend(glyphs.get(start..=index).and_then(line));
            start = index + 1;
        }
    }
    join_rows(lines)
}

/// PDFium breaks the line at a wide jump to the right; in a table that is the next cell of the same row.
fn continues(a: &Glyph, b: &Glyph) -> bool {
    let overlap = a.top.min(b.top) - a.bottom.max(b.bottom);
    overlap > 0.6 * (a.top - a.bottom).min(b.top - b.bottom) && b.left >= a.right - 0.5
}

/// A jump that PDFium did not mark: down by more than half a line and back to the left.
fn breaks(a: &Glyph, b: &Glyph) -> bool {
    if a.c == ' ' || b.c == ' ' {
        return false;
    }
    // Boxes of lines set close overlap a little.
    let overlap = a.top.min(b.top) - a.bottom.max(b.bottom);
    overlap < 0.4 * (a.top - a.bottom).min(b.top - b.bottom)
        && (b.left < a.left || b.left > a.right + a.size * 2.0)
}

fn line(glyphs: &[Glyph]) -> Option<Line> {
    let mut cells: Vec<Cell> = Vec::new();
    let mut before: Option<&Glyph> = None;
    let mut blank = false;
    for glyph in glyphs {
        if glyph.c == ' ' {
            blank = true;
            continue;
        }
        let gap = before.map_or(0.0, |b| glyph.left - b.right);
        match cells.last_mut() {
            Some(cell) if gap <= CELL_GAP * glyph.size && !(blank && opens_amount(&cell.text, glyph.c)) => {
                if blank {
                    cell.text.push(' ');
                }
                cell.text.push(glyph.c);
                cell.left = cell.left.min(glyph.left);
                cell.right = cell.right.max(glyph.right);
                cell.to = glyph.index + 1;
            }
            _ => cells.push(Cell {
                text: glyph.c.to_string(),
                left: glyph.left,
                right: glyph.right,
                from: glyph.index,
                to: glyph.index + 1,
            }),
        }
        before = Some(glyph);
        blank = false;
    }
    let seen = || glyphs.iter().filter(|g| g.c != ' ');
    let last = seen().next_back()?;
    let letters = || seen().filter(|g| g.c.is_alphanumeric());
    let (count, bold) = (letters().count(), letters().filter(|g| g.bold).count());
    let size = median(seen().map(|g| g.size).collect());
    Some(Line {
        left: seen().map(|g| g.left).fold(f32::MAX, f32::min),
        right: seen().map(|g| g.right).fold(f32::MIN, f32::max),
        bottom: median(seen().map(|g| g.bottom).collect()),
        top: median(seen().map(|g| g.top).collect()),
        size,
        bold: count > 0 && bold * 10 >= count * 9,
        mono: seen().filter(|g| g.mono).count() * 10 >= seen().count() * 9,
        divided: last.divides,
        cells: joined_signs(cells).into_iter().map(without_leaders).collect(),
    })
}

/// A currency sign behind a number opens the next amount: tables set amounts closer than other cells.
fn opens_amount(before: &str, c: char) -> bool {
    matches!(c, '$' | '€' | '£' | '¥')
        && before.ends_with(|b: char| b.is_ascii_digit() || matches!(b, ')' | '%' | '—' | '–'))
}

/// Dot leaders of tables of contents shrink to one sign.
fn without_leaders(mut cell: Cell) -> Cell {
    if cell.text.contains("....") || cell.text.contains(". . .") {
        let mut out = String::with_capacity(cell.text.len());
        let mut dots = String::new();
        for c in cell.text.chars().chain(std::iter::once('\n')) {
            if c == '.' || (c == ' ' && !dots.is_empty()) {
                dots.push(c);
                continue;
            }
            if dots.matches('.').count() >= 4 {
                out.push_str(" … ");
            } else {
                out.push_str(&dots);
            }
            dots.clear();
            out.push(c);
        }
        cell.text = out.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    cell
}

/// `$` and `(` belong to the number behind them, `)` and `%` to the one before.
fn joined_signs(cells: Vec<Cell>) -> Vec<Cell> {
    let mut out: Vec<Cell> = Vec::with_capacity(cells.len());
    for cell in cells {
        match out.last_mut() {
            Some(last)
                if matches!(last.text.as_str(), "$" | "€" | "£" | "(" | "$(" | "$ (")
                    || matches!(cell.text.as_str(), ")" | "%" | ")%" | "%)") =>
            {
                if !matches!(cell.text.as_str(), ")" | "%" | ")%" | "%)") {
                    last.text.push(' ');
                }
                last.text.push_str(&cell.text);
                last.right = cell.right;
                last.to = cell.to;
            }
            _ => out.push(cell),
        }
    }
    out
}

/// Joins neighbours in content order that stand side by side on one baseline: cells of a row drawn one by one.
fn join_rows(lines: Vec<Line>) -> Vec<Line> {
    let mut out: Vec<Line> = Vec::with_capacity(lines.len());
    for line in lines {
        if let Some(last) = out.last_mut() {
            let level = (line.bottom - last.bottom).abs() < 0.25 * line.size
                && (line.size - last.size).abs() < 0.2 * line.size;
            let right_of = line.left > last.right + 0.3 * line.size;
            // Prose of two columns stands side by side too; short pieces are cells.
            let short = line.chars() < 40 || last.cells.len() > 1;
            if level && right_of && short {
                last.right = line.right;
                last.bold &= line.bold;
                last.divided = line.divided;
                last.cells.extend(line.cells);
                last.cells = joined_signs(std::mem::take(&mut last.cells));
                continue;
            }
        }
        out.push(line);
    }
    out
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
