//! Collects the cells of an HTML table, spans resolved, and tells tables of data from those that arrange a page.

use std::ops::Range;

use dom_query::NodeRef;

use super::super::table::Table;

/// Cells that reach down from above fill a row up to this many columns; a page with more is an attack, not a table.
const MAX_FILLED: usize = 200;

/// A table under construction.
#[derive(Default)]
pub(super) struct OpenTable {
    /// Cells with the number of columns they span.
    rows: Vec<Vec<(String, usize)>>,
    cell: Option<String>,
    span: usize,
    rowspan: usize,
    hanging: Vec<Hanging>,
}

/// A cell that reaches down into the rows (counted from 1) of a range.
struct Hanging {
    column: usize,
    rows: Range<usize>,
    text: String,
    span: usize,
}

impl OpenTable {
    /// Whether a cell or caption is open: whatever comes is its text.
    pub(super) fn in_cell(&self) -> bool {
        self.cell.is_some()
    }

    pub(super) fn open_row(&mut self) {
        self.rows.push(Vec::new());
        let current = self.rows.len();
        self.hanging.retain(|h| h.rows.end > current);
        self.fill();
    }

    pub(super) fn open_cell(&mut self, node: &NodeRef<'_>) {
        if self.rows.is_empty() {
            self.rows.push(Vec::new());
        }
        let number = |key: &str| node.attr(key).and_then(|v| v.trim().parse::<usize>().ok()).unwrap_or(1);
        self.span = number("colspan").clamp(1, 64);
        self.rowspan = number("rowspan").clamp(1, 1000);
        self.cell = Some(String::new());
    }

    pub(super) fn open_caption(&mut self) {
        self.cell = Some(String::new());
    }

    /// The text of the caption that is open.
    pub(super) fn take_caption(&mut self) -> String {
        self.cell.take().unwrap_or_default()
    }

    /// Adds text to the open cell; text between cells is lost, as in a browser's table.
    pub(super) fn push(&mut self, text: &str) {
        if let Some(cell) = &mut self.cell {
            cell.push_str(text);
        }
    }

    pub(super) fn close_cell(&mut self) {
        let Some(text) = self.cell.take() else { return };
        let (text, span) = (text.trim().to_owned(), self.span);
        let current = self.rows.len();
        let Some(row) = self.rows.last_mut() else { return };
        if self.rowspan > 1 {
            // A cell over several rows is repeated, so that each row stands alone.
            let rows = current + 1..current + self.rowspan;
            self.hanging.push(Hanging { column: columns(row), rows, text: text.clone(), span });
        }
        row.push((text, span));
        self.fill();
    }

    /// Puts cells of rows above in where the row has reached their column.
    fn fill(&mut self) {
        let current = self.rows.len();
        let Some(row) = self.rows.last_mut() else { return };
        let reaches = |h: &&Hanging, at: usize| h.column == at && h.rows.contains(&current);
        let mut at = columns(row);
        while let Some(above) = self.hanging.iter().find(|h| reaches(h, at)).filter(|_| at < MAX_FILLED) {
            row.push((above.text.clone(), above.span));
            at += above.span;
        }
    }

    /// The finished table.
    pub(super) fn markdown(self) -> String {
        let mut out = Table::default();
        for row in self.rows {
            out.push_spanned(row);
        }
        out.markdown()
    }
}

fn columns(row: &[(String, usize)]) -> usize {
    row.iter().map(|(_, span)| span).sum()
}

/// Tables that arrange a page: declared so, holding another table or headings, or with one column of long text.
pub(super) fn is_layout(table: &NodeRef<'_>) -> bool {
    if table.attr("role").is_some_and(|r| matches!(&*r, "presentation" | "none")) {
        return true;
    }
    let (mut cells, mut rows, mut blocks) = (0_usize, 0_usize, 0_usize);
    for node in table.descendants_it().take(5000) {
        match node.node_name().as_deref() {
            Some("table") => return node.id != table.id && cells <= 40,
            Some("th" | "caption") => return false,
            Some("td") => cells += 1,
            Some("tr") => rows += 1,
            Some("h1" | "h2" | "h3" | "form" | "iframe") => return true,
            Some("p" | "div" | "ul") => blocks += 1,
            _ => {}
        }
    }
    cells <= rows && blocks > cells
}
