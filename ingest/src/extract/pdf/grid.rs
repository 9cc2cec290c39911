//! Recognises tables by aligned cells and lays them out in columns; what does not align stays lines.

use super::super::table::Table;
use super::lines::{Cell, Line};

/// A recognised table: rows of cells and, per row, the lines it came from.
pub(super) struct Found {
    pub(super) rows: Vec<Vec<String>>,
    /// Character indices on the page that each row covers.
    pub(super) spans: Vec<(u32, u32)>,
}

/// How many lines from `lines[0]` on form a table region: lines of several cells, with at most two single-cell lines
/// in a row between them (labels, broken descriptions). 0 when there are fewer than three lines of several cells.
pub(super) fn extent(lines: &[Line]) -> usize {
    if lines.first().is_none_or(|l| l.cells.len() < 2) {
        return 0;
    }
    let (mut end, mut rows, mut single) = (0, 0, 0);
    for (index, line) in lines.iter().enumerate() {
        if let Some(before) = index.checked_sub(1).and_then(|i| lines.get(i)) {
            let drop = before.bottom - line.top;
            // Up the page again, or far down: another column, another block.
            if line.bottom > before.bottom + line.size || drop > 3.0 * line.size.max(before.size) {
                break;
            }
        }
        if line.cells.len() >= 2 {
            rows += 1;
            single = 0;
            end = index + 1;
        } else {
            single += 1;
            if single > 2 || line.chars() > 90 {
                break;
            }
        }
    }
    if rows >= 3 && rows * 2 >= end { end } else { 0 }
}

/// Lays the lines of a region out in columns; `None` when they do not align.
pub(super) fn layout(lines: &[Line]) -> Option<Found> {
    let columns = columns(lines)?;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut spans: Vec<(u32, u32)> = Vec::new();
    let mut aligned = 0;
    for line in lines {
        let mut row = vec![String::new(); columns.len()];
        for cell in &line.cells {
            let place = place(cell, &columns);
            if let Some(slot) = row.get_mut(place) {
                if !slot.is_empty() {
                    slot.push(' ');
                }
                slot.push_str(&cell.text);
            }
        }
        aligned += usize::from(row.iter().filter(|c| !c.is_empty()).count() >= 2);
        let from = line.cells.iter().map(|c| c.from).min().unwrap_or(0);
        let to = line.cells.iter().map(|c| c.to).max().unwrap_or(from);
        rows.push(row);
        spans.push((from, to));
    }
    if aligned < 3 || aligned * 2 < rows.len() {
        return None;
    }
    merge_header(&mut rows, &mut spans);
    Some(Found { rows, spans })
}

/// Column intervals from the lines that have the most common number of cells among the fuller ones.
fn columns(lines: &[Line]) -> Option<Vec<(f32, f32)>> {
    let most = lines.iter().map(|l| l.cells.len()).max()?;
    for count in (2..=most).rev() {
        let full: Vec<&Line> = lines.iter().filter(|l| l.cells.len() == count).collect();
        if full.len() < 2 || full.len() * 4 < lines.len().min(12) {
            continue;
        }
        let mut columns: Vec<(f32, f32)> = Vec::new();
        for index in 0..count {
            let cells = || full.iter().filter_map(|l| l.cells.get(index));
            columns.push((
                cells().map(|c| c.left).fold(f32::MAX, f32::min),
                cells().map(|c| c.right).fold(f32::MIN, f32::max),
            ));
        }
        let apart = columns.windows(2).all(|pair| matches!(pair, [a, b] if a.1 <= b.0 + 1.0));
        if apart {
            return Some(columns);
        }
    }
    None
}

/// The column a cell overlaps most, or the nearest.
fn place(cell: &Cell, columns: &[(f32, f32)]) -> usize {
    let distance = |c: &(f32, f32)| {
        let overlap = cell.right.min(c.1) - cell.left.max(c.0);
        // Overlap counts as negative distance.
        -overlap
    };
    let best =
        columns.iter().enumerate().min_by(|a, b| distance(a.1).total_cmp(&distance(b.1)).then(a.0.cmp(&b.0)));
    best.map_or(0, |(index, _)| index)
}

/// Leading rows without a label and before the first number are one header over several lines.
fn merge_header(rows: &mut Vec<Vec<String>>, spans: &mut Vec<(u32, u32)>) {
    let unlabelled = rows.iter().take(5).take_while(|row| row.first().is_some_and(String::is_empty)).count();
    let upto = if rows.get(unlabelled).is_some_and(|row| row.iter().skip(1).all(|c| is_heading_cell(c)))
        && unlabelled > 0
    {
        unlabelled + 1
    } else {
        unlabelled
    };
    if upto < 2 || upto >= rows.len() {
        return;
    }
    let mut header = vec![String::new(); rows.first().map_or(0, Vec::len)];
    for row in rows.drain(..upto) {
        for (slot, cell) in header.iter_mut().zip(row) {
            if !slot.is_empty() && !cell.is_empty() {
                slot.push(' ');
            }
            slot.push_str(&cell);
        }
    }
    let covered: Vec<(u32, u32)> = spans.drain(..upto).collect();
    let from = covered.iter().map(|s| s.0).min().unwrap_or(0);
    let to = covered.iter().map(|s| s.1).max().unwrap_or(from);
    rows.insert(0, header);
    spans.insert(0, (from, to));
}

/// Words or a year, not an amount.
fn is_heading_cell(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let year = text.len() == 4 && digits == 4 && (text.starts_with("19") || text.starts_with("20"));
    text.is_empty() || year || (digits * 2 < text.len() && text.chars().any(char::is_alphabetic))
}

impl Found {
    /// The lines of Markdown with the span of page characters each came from.
    pub(super) fn lines(self) -> Vec<(Option<(u32, u32)>, String)> {
        let table = Table::new(self.rows);
        table
            .lines()
            .into_iter()
            .map(|(row, line)| (row.and_then(|r| self.spans.get(r).copied()), line))
            .collect()
    }
}
