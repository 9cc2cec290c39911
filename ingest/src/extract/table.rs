//! Writes tables as Markdown so that every piece of a long one still carries its header.

/// After this many rows of one table the header is written again, so that a chunk cut from the middle explains itself.
pub(super) const ROWS_PER_HEADER: usize = 40;

/// Widest table written as a grid; wider ones keep their cells but lose nothing, they are just long lines.
const MAX_COLUMNS: usize = 512;

/// A table as rows of cells. The first row is the header. Rows may differ in length.
#[derive(Debug, Default, Clone)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(rows: Vec<Vec<String>>) -> Self {
        let mut table = Self::default();
        for row in rows {
            table.push(row);
        }
        table
    }

    pub(super) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row.into_iter().take(MAX_COLUMNS).map(|c| cell(&c)).collect());
    }

    /// Adds a row of cells with the number of columns each spans. The text of a spanning cell is repeated in every
    /// column, so that a header over several columns names each of them; a row that is one cell says it once.
    pub(super) fn push_spanned(&mut self, row: Vec<(String, usize)>) {
        let single = row.iter().filter(|(text, _)| !text.trim().is_empty()).count() <= 1;
        let mut cells = Vec::new();
        for (text, span) in row {
            let copies = if single { 0 } else { span.saturating_sub(1).min(MAX_COLUMNS) };
            let blanks = if single { span.saturating_sub(1).min(MAX_COLUMNS) } else { 0 };
            cells.extend(std::iter::repeat_n(text.clone(), copies));
            cells.push(text);
            cells.extend(std::iter::repeat_n(String::new(), blanks));
        }
        self.push(cells);
    }

    /// The lines of the table with the index of the row each came from; `None` for rules and repeated headers.
    ///
    /// Blank rows and columns that are blank throughout are left out. No lines when nothing is left.
    pub(super) fn lines(&self) -> Vec<(Option<usize>, String)> {
        let width = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let used: Vec<usize> = (0..width)
            .filter(|&c| self.rows.iter().any(|r| r.get(c).is_some_and(|t| !t.is_empty())))
            .collect();
        let mut filled = self.rows.iter().enumerate().filter(|(_, r)| r.iter().any(|c| !c.is_empty()));
        let Some((first, header)) = filled.next() else { return Vec::new() };
        let line = |row: &[String]| {
            let mut out = String::from("|");
            for &column in &used {
                out.push(' ');
                out.push_str(row.get(column).map_or("", String::as_str));
                out.push_str(if out.ends_with(' ') { "|" } else { " |" });
            }
            out
        };
        let rule = format!("|{}", " --- |".repeat(used.len()));
        let head = line(header);
        let mut lines = vec![(Some(first), head.clone()), (None, rule.clone())];
        for (count, (index, row)) in filled.enumerate() {
            if count > 0 && count % ROWS_PER_HEADER == 0 {
                lines.extend([(None, String::new()), (None, head.clone()), (None, rule.clone())]);
            }
            lines.push((Some(index), line(row)));
        }
        lines
    }

    /// The whole table as text without a final line end; empty when it has no text.
    ///
    /// A single cell is no table and comes back as plain text.
    pub(super) fn markdown(&self) -> String {
        let mut cells = self.rows.iter().flatten().filter(|c| !c.is_empty());
        if let (Some(only), None) = (cells.next(), cells.next()) {
            return only.clone();
        }
        let lines: Vec<String> = self.lines().into_iter().map(|(_, l)| l).collect();
        lines.join("\n")
    }
}

/// One line, bars escaped.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    if out.contains('|') { out.replace('|', "\\|") } else { out }
}
