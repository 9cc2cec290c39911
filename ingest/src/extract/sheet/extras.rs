//! Finds what an Excel sheet shows besides cells: charts and text boxes, and the properties of the workbook.

use std::collections::BTreeMap;

use super::super::opc::Package;
use super::super::xmltree::{ROOT, Tree};
use super::super::{Draft, Source};

/// Texts per sheet name; damage in any of these parts costs only them.
pub(super) fn of_workbook(source: &Source<'_>, draft: &mut Draft) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let Ok(mut package) = Package::open(source) else { return found };
    package.properties(draft);
    let main = "xl/workbook.xml";
    let Ok(Some(book)) = package.part(main) else { return found };
    let relations = package.relations(main).unwrap_or_default();
    for sheet in book.all(ROOT, "sheet") {
        let (Some(name), Some(id)) = (book.attribute(sheet, "name"), book.attribute(sheet, "r:id")) else {
            continue;
        };
        let Some((_, part)) = relations.get(id) else { continue };
        let texts = of_sheet(&mut package, part);
        if !texts.is_empty() {
            found.insert(name.to_owned(), texts);
        }
    }
    found
}

fn of_sheet(package: &mut Package<'_>, sheet: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let relations = package.relations(sheet).unwrap_or_default();
    for (_, drawing) in relations.values().filter(|(kind, _)| kind == "drawing") {
        let Ok(Some(tree)) = package.part(drawing) else { continue };
        for body in tree.all(ROOT, "txBody") {
            let lines: Vec<String> =
                tree.all(body, "p").into_iter().map(|p| runs(&tree, p)).filter(|l| !l.is_empty()).collect();
            if !lines.is_empty() {
                texts.push(lines.join("\n"));
            }
        }
        let charts = package.relations(drawing).unwrap_or_default();
        let mut parts: Vec<&String> =
            charts.values().filter(|(kind, _)| kind == "chart").map(|(_, part)| part).collect();
        parts.sort();
        for part in parts {
            if let Ok(Some(chart)) = package.part(part) {
                let text = super::super::chart::markdown(&chart);
                if !text.is_empty() {
                    texts.push(text);
                }
            }
        }
    }
    texts
}

fn runs(tree: &Tree, paragraph: u32) -> String {
    let texts: Vec<String> = tree.all(paragraph, "t").into_iter().map(|t| tree.text(t)).collect();
    texts.concat().split_whitespace().collect::<Vec<_>>().join(" ")
}
