//! Collects the text of a Word paragraph: runs, links, fields, notes, formulas; deleted and hidden text left out.

use super::super::math;
use super::super::xmltree::{Id, Tree};
use super::is_on;

/// A paragraph's text and what hangs on it.
#[derive(Debug, Default)]
pub(super) struct Runs {
    pub(super) text: String,
    /// Contents of text boxes, to be walked behind the paragraph.
    pub(super) boxes: Vec<Id>,
    /// Relationship ids of charts.
    pub(super) charts: Vec<String>,
    /// Depth of fields whose instruction is being read.
    instruction: usize,
}

/// Reads everything a reader sees below a paragraph.
pub(super) fn collect(tree: &Tree, paragraph: Id) -> Runs {
    let mut runs = Runs::default();
    walk(tree, paragraph, &mut runs);
    runs
}

fn walk(tree: &Tree, node: Id, runs: &mut Runs) {
    for &child in tree.children(node) {
        match tree.name(child) {
            "r" if !is_on(tree, tree.child(child, "rPr"), "vanish") => run(tree, child, runs),
            // Deleted and moved-away text is no longer part of the document; properties hold no text.
            "del" | "moveFrom" | "pPr" | "rPr" | "r" | "commentRangeStart" | "commentRangeEnd" => {}
            "oMath" => runs.text.push_str(&format!("${}$", math::linear(tree, child))),
            "oMathPara" => runs.text.push_str(&format!(" ${}$ ", math::linear(tree, child))),
            "AlternateContent" => {
                if let Some(choice) = tree.child(child, "Choice").or_else(|| tree.child(child, "Fallback")) {
                    walk(tree, choice, runs);
                }
            }
            "p" | "tbl" => {}
            _ => walk(tree, child, runs),
        }
    }
}

fn run(tree: &Tree, node: Id, runs: &mut Runs) {
    for &child in tree.children(node) {
        match tree.name(child) {
            "t" if runs.instruction == 0 => runs.text.push_str(&tree.text(child)),
            "tab" | "ptab" => runs.text.push('\t'),
            "br" | "cr" => runs.text.push('\n'),
            "noBreakHyphen" => runs.text.push('-'),
            "sym" => runs.text.push_str(symbol(tree.attribute(child, "char"))),
            "fldChar" => match tree.attribute(child, "fldCharType") {
                Some("begin") => runs.instruction += 1,
                Some("separate" | "end") => runs.instruction = runs.instruction.saturating_sub(1),
                _ => {}
            },
            "footnoteReference" => note(tree, child, "", runs),
            "endnoteReference" => note(tree, child, "e", runs),
            "drawing" | "pict" | "object" => graphic(tree, child, runs),
            "AlternateContent" => {
                if let Some(choice) = tree.child(child, "Choice").or_else(|| tree.child(child, "Fallback")) {
                    run(tree, choice, runs);
                }
            }
            _ => {}
        }
    }
}

fn note(tree: &Tree, node: Id, mark: &str, runs: &mut Runs) {
    if let Some(id) = tree.attribute(node, "id") {
        runs.text.push_str(&format!("[^{mark}{id}]"));
    }
}

/// Text boxes and charts of a drawing.
fn graphic(tree: &Tree, node: Id, runs: &mut Runs) {
    runs.boxes.extend(tree.all(node, "txbxContent"));
    runs.charts
        .extend(tree.all(node, "chart").iter().filter_map(|&c| tree.attribute(c, "r:id")).map(str::to_owned));
}

/// Common signs of the symbol fonts; the code points are private and mean nothing elsewhere.
fn symbol(code: Option<&str>) -> &'static str {
    match code.map(str::to_ascii_uppercase).as_deref() {
        Some("F0B7" | "F0A7" | "F076" | "F0A8") => "•",
        Some("F0E0" | "F0AE") => "→",
        Some("F0DF" | "F0AC") => "←",
        Some("F0FE" | "F0FC" | "F052") => "✓",
        Some("F0FB") => "✗",
        Some("F061") => "α",
        Some("F062") => "β",
        Some("F067") => "γ",
        Some("F064") => "δ",
        Some("F06D") => "μ",
        Some("F070") => "π",
        Some("F073") => "σ",
        Some("F057") => "Ω",
        Some("F0B0") => "°",
        Some("F0B1") => "±",
        Some("F0B4") => "×",
        Some("F0A3") => "≤",
        Some("F0B3") => "≥",
        _ => "",
    }
}
