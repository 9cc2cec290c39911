//! Walks the blocks of a Word document and writes them as Markdown.

use super::super::Draft;
use super::super::table::Table;
use super::super::xmltree::{Id, Tree};
use super::numbering::{Marker, Numbering};
use super::runs::collect;
use super::styles::{Role, Styles};

/// A finished block and the source blocks it was made of.
struct Block {
    text: String,
    /// First source block and how many.
    unit: u64,
    /// Rows of a table have their own units: index of the row per line, relative to `unit`.
    rows: Vec<(Option<usize>, String)>,
    item: bool,
    code: bool,
}

/// The walk and what it has collected.
pub(super) struct Body<'a> {
    tree: &'a Tree,
    styles: &'a Styles,
    numbering: Numbering,
    charts: Vec<(String, String)>,
    blocks: Vec<Block>,
    units: u64,
    titled: Option<String>,
    /// Text boxes that have been walked: drawings repeat them for old programs.
    seen: Vec<String>,
}

impl<'a> Body<'a> {
    pub(super) fn new(
        tree: &'a Tree,
        styles: &'a Styles,
        numbering: Numbering,
        charts: Vec<(String, String)>,
    ) -> Self {
        Self { tree, styles, numbering, charts, blocks: Vec::new(), units: 0, titled: None, seen: Vec::new() }
    }

    /// Collects the blocks below a body, cell, note or text box. The depth is that of the XML, which is limited.
    pub(super) fn walk(&mut self, node: Id) {
        for &child in self.tree.children(node) {
            match self.tree.name(child) {
                "p" => self.paragraph(child),
                "tbl" => self.table(child),
                "sdt" | "sdtContent" | "ins" | "moveTo" | "customXml" | "smartTag" => self.walk(child),
                "AlternateContent" => {
                    if let Some(choice) =
                        self.tree.child(child, "Choice").or_else(|| self.tree.child(child, "Fallback"))
                    {
                        self.walk(choice);
                    }
                }
                _ => {}
            }
        }
    }

    fn paragraph(&mut self, node: Id) {
        let unit = self.units;
        self.units += 1;
        let properties = self.tree.child(node, "pPr");
        let runs = collect(self.tree, node);
        let role = self.styles.role(self.tree, properties);
        let text = if role == Role::Code { runs.text.trim_end().to_owned() } else { tidy(&runs.text) };
        if !text.trim().is_empty() {
            let marker = self
                .styles
                .list(self.tree, properties)
                .map(|(list, level)| (self.numbering.next(&list, level), level));
            self.push_text(text, role, marker, unit);
        }
        for frame in runs.boxes {
            let content = self.tree.text(frame);
            if !content.trim().is_empty() && !self.seen.contains(&content) {
                self.seen.push(content);
                self.walk(frame);
            }
        }
        for id in runs.charts {
            if let Some((_, chart)) = self.charts.iter().find(|(i, _)| *i == id) {
                let text = chart.clone();
                self.push(text, unit, false, false);
            }
        }
    }

    fn push_text(&mut self, text: String, role: Role, marker: Option<(Marker, usize)>, unit: u64) {
        match role {
            Role::Title => {
                let line = text.replace('\n', " ");
                self.titled.get_or_insert(line.clone());
                self.push(format!("# {line}"), unit, false, false);
            }
            Role::Heading(level) => {
                let level = (level + usize::from(self.titled.is_some())).min(6);
                let number = match marker {
                    Some((Marker::Number(number), _)) => format!("{number} "),
                    _ => String::new(),
                };
                self.push(
                    format!("{} {number}{}", "#".repeat(level), text.replace('\n', " ")),
                    unit,
                    false,
                    false,
                );
            }
            Role::Code => self.push(text, unit, false, true),
            Role::Plain => match marker {
                Some((marker, level)) => {
                    let indent = "  ".repeat(level.min(8));
                    let mark = match marker {
                        Marker::Bullet | Marker::None => "-".to_owned(),
                        Marker::Number(number) => format!("{number}."),
                    };
                    let text = text.replace('\n', &format!("\n{indent}  "));
                    self.push(format!("{indent}{mark} {text}"), unit, true, false);
                }
                None => self.push(text, unit, false, false),
            },
        }
    }

    fn push(&mut self, text: String, unit: u64, item: bool, code: bool) {
        self.blocks.push(Block { text, unit, rows: Vec::new(), item, code });
    }

    fn table(&mut self, node: Id) {
        let unit = self.units;
        let mut table = Table::default();
        let mut above: Vec<(String, usize)> = Vec::new();
        for row in rows(self.tree, node) {
            self.units += 1;
            let mut cells: Vec<(String, usize)> = Vec::new();
            let before = self
                .tree
                .path(row, &["trPr", "gridBefore"])
                .and_then(|g| self.tree.attribute(g, "val"))
                .and_then(|g| g.parse().ok());
            cells.extend(std::iter::repeat_n((String::new(), 1), before.unwrap_or(0_usize).min(64)));
            for cell in self.tree.children(row).iter().copied().flat_map(|c| unwrapped(self.tree, c, "tc")) {
                let properties = self.tree.child(cell, "tcPr");
                let value = |name| {
                    properties
                        .and_then(|p| self.tree.child(p, name))
                        .map(|n| self.tree.attribute(n, "val").unwrap_or_default())
                };
                let span = value("gridSpan").and_then(|s| s.parse::<usize>().ok()).unwrap_or(1).clamp(1, 64);
                let column: usize = cells.iter().map(|c| c.1).sum();
                let continued = value("vMerge").is_some_and(|m| m != "restart");
                let text = if continued { at_column(&above, column) } else { self.cell(cell) };
                cells.push((text, span));
            }
            above.clone_from(&cells);
            table.push_spanned(cells);
        }
        let rows = table.lines();
        let text = table.markdown();
        if !text.is_empty() {
            let rows = if text.contains('\n') { rows } else { Vec::new() };
            self.blocks.push(Block { text, unit, rows, item: false, code: false });
        }
    }

    /// The text of a cell on one line; a table inside it loses its grid.
    fn cell(&mut self, cell: Id) -> String {
        let blocks = std::mem::take(&mut self.blocks);
        let units = self.units;
        self.walk(cell);
        self.units = units;
        let inner = std::mem::replace(&mut self.blocks, blocks);
        let mut out = String::new();
        for block in inner {
            let lines = if block.rows.is_empty() {
                vec![block.text]
            } else {
                block
                    .rows
                    .into_iter()
                    .filter(|(row, _)| row.is_some())
                    .map(|(_, line)| line.replace('|', " "))
                    .collect()
            };
            for line in lines {
                if !out.is_empty() {
                    out.push(' ');
                }
                out.push_str(line.trim());
            }
        }
        out
    }

    /// Everything as one line, for notes.
    pub(super) fn plain(self) -> String {
        let joined = self.blocks.into_iter().map(|b| b.text).collect::<Vec<_>>().join(" ");
        joined.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Appends the blocks to the document.
    pub(super) fn write(self, draft: &mut Draft, part: u32) {
        let mut before_item = false;
        let mut code: Option<()> = None;
        for block in self.blocks {
            let out = &mut draft.body;
            if block.code != code.is_some() {
                if code.take().is_some() {
                    out.glue("```\n");
                } else {
                    out.block();
                    out.glue("```\n");
                    code = Some(());
                }
            }
            let follows = block.code || (block.item && before_item);
            if !follows {
                out.block();
            }
            if block.rows.is_empty() {
                out.push(&block.text, part, block.unit, block.unit + 1);
                out.glue("\n");
            }
            for (row, line) in block.rows {
                match row {
                    Some(row) => out.push(&line, part, block.unit + row as u64, block.unit + row as u64 + 1),
                    None => out.glue(&line),
                }
                out.glue("\n");
            }
            before_item = block.item;
        }
        if code.is_some() {
            draft.body.glue("```\n");
        }
        if draft.title.is_none() {
            draft.title = self.titled;
        }
    }
}

/// Rows of a table, also those wrapped in content controls.
fn rows(tree: &Tree, table: Id) -> Vec<Id> {
    tree.children(table).iter().copied().flat_map(|c| unwrapped(tree, c, "tr")).collect()
}

/// The node itself if it has the name, else those of the name inside content controls and kept insertions.
fn unwrapped(tree: &Tree, node: Id, name: &str) -> Vec<Id> {
    match tree.name(node) {
        found if found == name => vec![node],
        "sdt" | "sdtContent" | "ins" | "customXml" => {
            tree.children(node).iter().copied().flat_map(|c| unwrapped(tree, c, name)).collect()
        }
        _ => Vec::new(),
    }
}

fn at_column(row: &[(String, usize)], column: usize) -> String {
    let mut at = 0;
    for (text, span) in row {
        if column < at + span {
            return text.clone();
        }
        at += span;
    }
    String::new()
}

/// Tabs to spaces, no white space at line ends, no blank lines.
fn tidy(text: &str) -> String {
    let lines = text
        .split('\n')
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|l| !l.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}
