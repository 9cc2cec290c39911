//! Reads Word documents: headings, lists, tables, notes, text boxes and charts in document order.

use crate::offsets::Basis;

use super::opc::{Package, Relations};
use super::xmltree::{Id, ROOT, Tree};
use super::{Draft, Failure, Source};

mod body;
mod numbering;
mod runs;
mod styles;

use body::Body;
use numbering::Numbering;
use styles::Styles;

/// The text of the main part, footnotes and endnotes behind it; page headers, comments and deleted text are left out.
///
/// Source positions count blocks of `word/document.xml`: paragraphs and table rows, from 0.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, Failure> {
    let mut package = Package::open(source)?;
    let mut draft = Draft::new(Basis::PartUnits);
    package.properties(&mut draft);
    let roots = package.relations("")?;
    let main = roots
        .values()
        .find(|(kind, _)| kind == "officeDocument")
        .map_or_else(|| "word/document.xml".to_owned(), |(_, part)| part.clone());
    let tree = package.part(&main)?.ok_or_else(|| Failure::corrupt("the Word document has no main part"))?;
    let relations = package.relations(&main)?;
    let styles = Styles::read(related(&mut package, &relations, "styles")?.as_ref());
    let numbering = Numbering::read(related(&mut package, &relations, "numbering")?.as_ref());
    let charts = charts(&mut package, &relations, &tree);
    let part = draft.body.map.part(&main);
    let mut body = Body::new(&tree, &styles, numbering, charts);
    let start = tree
        .path(ROOT, &["document", "body"])
        .ok_or_else(|| Failure::corrupt("the Word document has no body"))?;
    body.walk(start);
    body.write(&mut draft, part);
    for (kind, element, mark) in [("footnotes", "footnote", ""), ("endnotes", "endnote", "e")] {
        if let Some(notes) = related(&mut package, &relations, kind)? {
            write_notes(&notes, element, mark, &styles, kind, &mut draft);
        }
    }
    Ok(draft)
}

/// The part that a relationship of a kind leads to; a damaged one is as good as none.
fn related(package: &mut Package<'_>, relations: &Relations, kind: &str) -> Result<Option<Tree>, Failure> {
    let Some((_, part)) = relations.values().find(|(k, _)| k == kind) else { return Ok(None) };
    Ok(package.part(part).unwrap_or_default())
}

/// Charts by the relationship that places them, already as Markdown.
fn charts(package: &mut Package<'_>, relations: &Relations, tree: &Tree) -> Vec<(String, String)> {
    let used = tree.all(ROOT, "chart");
    let ids = used.iter().filter_map(|&c| tree.attribute(c, "r:id"));
    let found = ids.filter_map(|id| {
        let (_, part) = relations.get(id)?;
        let chart = package.part(part).ok()??;
        Some((id.to_owned(), super::chart::markdown(&chart)))
    });
    found.collect()
}

fn write_notes(tree: &Tree, element: &str, mark: &str, styles: &Styles, part: &str, draft: &mut Draft) {
    let part = draft.body.map.part(&format!("word/{part}.xml"));
    for (index, note) in tree.all(ROOT, element).into_iter().enumerate() {
        // Separators are notes too, with a type of their own.
        if tree.attribute(note, "type").is_some_and(|t| t != "normal") {
            continue;
        }
        let mut body = Body::new(tree, styles, Numbering::default(), Vec::new());
        body.walk(note);
        let text = body.plain();
        if !text.is_empty() {
            let id = tree.attribute(note, "id").unwrap_or_default();
            draft.body.block();
            draft.body.push(&format!("[^{mark}{id}]: {text}\n"), part, index as u64, index as u64 + 1);
        }
    }
}

/// Whether an element is switched on: present and not `0`, `false` or `off`.
fn is_on(tree: &Tree, properties: Option<Id>, name: &str) -> bool {
    let Some(found) = properties.and_then(|p| tree.child(p, name)) else { return false };
    !matches!(tree.attribute(found, "val"), Some("0" | "false" | "off" | "none"))
}
