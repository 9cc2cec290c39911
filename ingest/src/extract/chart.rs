//! Writes the data of an Office chart as a Markdown table under its title.

use super::table::Table;
use super::xmltree::{Id, ROOT, Tree};

/// Most points of one series; charts of more are plots of raw data.
const MAX_POINTS: usize = 500;

/// Title, then categories and series as a table; empty when the chart holds neither.
pub(super) fn markdown(tree: &Tree) -> String {
    let title =
        tree.path(ROOT, &["chartSpace", "chart", "title"]).map(|t| text_runs(tree, t)).unwrap_or_default();
    let series = tree.all(ROOT, "ser");
    let mut header = vec![String::new()];
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (column, &one) in series.iter().enumerate().take(50) {
        let name = tree
            .child(one, "tx")
            .map(|t| cached(tree, t).into_iter().map(|(_, v)| v).collect::<Vec<_>>().join(" "));
        header.push(name.unwrap_or_default());
        let categories = tree
            .child(one, "cat")
            .or_else(|| tree.child(one, "xVal"))
            .map(|c| cached(tree, c))
            .unwrap_or_default();
        let values = tree
            .child(one, "val")
            .or_else(|| tree.child(one, "yVal"))
            .map(|c| cached(tree, c))
            .unwrap_or_default();
        for (index, value) in categories {
            row(&mut rows, index, 0, value);
        }
        for (index, value) in values {
            row(&mut rows, index, column + 1, value);
        }
    }
    let mut all = vec![header];
    all.append(&mut rows);
    let table = Table::new(all).markdown();
    match (title.is_empty(), table.is_empty()) {
        (true, _) => table,
        (false, true) => title,
        (false, false) => format!("{title}\n\n{table}"),
    }
}

fn row(rows: &mut Vec<Vec<String>>, index: usize, column: usize, value: String) {
    while rows.len() <= index {
        rows.push(Vec::new());
    }
    if let Some(row) = rows.get_mut(index) {
        while row.len() <= column {
            row.push(String::new());
        }
        if let Some(cell) = row.get_mut(column) {
            *cell = value;
        }
    }
}

/// The values a chart keeps of the cells it was drawn from, with their index.
fn cached(tree: &Tree, node: Id) -> Vec<(usize, String)> {
    let points = tree.all(node, "pt").into_iter().filter_map(|p| {
        let index = tree.attribute(p, "idx")?.parse().ok().filter(|i| *i < MAX_POINTS)?;
        Some((index, tree.child(p, "v").map(|v| tree.text(v)).unwrap_or_default()))
    });
    points.collect()
}

fn text_runs(tree: &Tree, node: Id) -> String {
    let runs: Vec<String> = tree.all(node, "t").into_iter().map(|t| tree.text(t)).collect();
    runs.concat().split_whitespace().collect::<Vec<_>>().join(" ")
}
