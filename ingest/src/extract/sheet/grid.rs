//! Holds the filled cells of a sheet and cuts them into tables at blank rows.

use std::collections::BTreeMap;

use crate::offsets::Builder;

use super::super::table::Table;

/// Merged regions larger than this keep their text in one cell.
const MAX_SPREAD: u64 = 2_000;

/// Filled cells by row and column.
#[derive(Debug, Default)]
pub(super) struct Grid {
    rows: BTreeMap<u32, BTreeMap<u32, String>>,
    filled: usize,
    /// Cells were left out because of the limit.
    pub(super) cut: bool,
}

impl Grid {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Puts a cell in unless it is blank; false when `limit` cells are there.
    pub(super) fn put(&mut self, (row, column): (u32, u32), text: String, limit: usize) -> bool {
        if text.trim().is_empty() {
            return true;
        }
        if self.filled >= limit {
            self.cut = true;
            return false;
        }
        self.filled += 1;
        self.rows.entry(row).or_default().insert(column, text);
        true
    }

    /// Repeats the text of a merged region down its rows and, where it has neighbours in its row, across its columns.
    pub(super) fn spread(&mut self, start: (u32, u32), end: (u32, u32)) {
        let Some(text) = self.rows.get(&start.0).and_then(|r| r.get(&start.1)).cloned() else { return };
        let cells =
            u64::from(end.0.saturating_sub(start.0) + 1) * u64::from(end.1.saturating_sub(start.1) + 1);
        if cells > MAX_SPREAD {
            return;
        }
        for row in start.0..=end.0 {
            // A region that is alone in its row is a title or a note: said once.
            let alone = self.rows.get(&row).is_none_or(|r| r.keys().all(|c| (start.1..=end.1).contains(c)));
            if alone {
                continue;
            }
            for column in start.1..=end.1 {
                self.rows.entry(row).or_default().entry(column).or_insert_with(|| text.clone());
            }
        }
    }

    /// Writes the sheet: cells between blank rows (or blank columns) form a table, a lone cell a line of text.
    pub(super) fn write(&mut self, out: &mut Builder, part: u32) {
        let rows = std::mem::take(&mut self.rows);
        let mut region: Vec<(u32, BTreeMap<u32, String>)> = Vec::new();
        for (row, cells) in rows {
            if region.last().is_some_and(|(last, _)| row > last + 1) {
                flush(std::mem::take(&mut region), out, part);
            }
            region.push((row, cells));
        }
        flush(region, out, part);
    }
}

/// Splits a block of rows at columns that are blank throughout, when both sides are tables of their own.
fn flush(region: Vec<(u32, BTreeMap<u32, String>)>, out: &mut Builder, part: u32) {
    if region.is_empty() {
        return;
    }
    let mut used: Vec<u32> = region.iter().flat_map(|(_, cells)| cells.keys().copied()).collect();
    used.sort_unstable();
    used.dedup();
    let mut bands: Vec<(u32, u32)> = Vec::new();
    for column in used {
        match bands.last_mut() {
            Some(band) if column <= band.1 + 1 => band.1 = column,
            _ => bands.push((column, column)),
        }
    }
    // A blank spacer column inside one table is common; two header cells and more on each side speak for two tables.
    let separate = bands.len() > 1 && region.len() > 1 && bands.iter().all(|b| b.1 > b.0);
    let bands = if separate {
        bands
    } else {
        bands.first().zip(bands.last()).map(|(a, b)| (a.0, b.1)).into_iter().collect()
    };
    for (first, last) in bands {
        let slice: Vec<(u32, Vec<String>)> = region
            .iter()
            .map(|(row, cells)| {
                (*row, (first..=last).map(|c| cells.get(&c).cloned().unwrap_or_default()).collect::<Vec<_>>())
            })
            .filter(|(_, cells)| cells.iter().any(|c| !c.is_empty()))
            .collect();
        write_table(slice, out, part);
    }
}

/// Leading rows with a single cell are titles of the table and go before it as text.
fn write_table(mut rows: Vec<(u32, Vec<String>)>, out: &mut Builder, part: u32) {
    let single = |cells: &[String]| cells.iter().filter(|c| !c.is_empty()).count() == 1;
    let wide = rows.iter().any(|(_, cells)| !single(cells));
    while wide && rows.first().is_some_and(|(_, cells)| single(cells)) {
        let (row, cells) = rows.remove(0);
        let text = cells.into_iter().find(|c| !c.is_empty()).unwrap_or_default();
        out.block();
        out.push(text.trim(), part, u64::from(row), u64::from(row) + 1);
        out.glue("\n");
    }
    out.block();
    if !wide {
        // One column is a list of lines, not a table.
        for (row, cells) in rows {
            let text = cells.into_iter().find(|c| !c.is_empty()).unwrap_or_default();
            out.push(text.trim(), part, u64::from(row), u64::from(row) + 1);
            out.glue("\n");
        }
        return;
    }
    let numbers: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
    let table = Table::new(rows.into_iter().map(|(_, cells)| cells).collect());
    for (index, line) in table.lines() {
        match index.and_then(|i| numbers.get(i)) {
            Some(&row) => out.push(&line, part, u64::from(row), u64::from(row) + 1),
            None => out.glue(&line),
        }
        out.glue("\n");
    }
}
