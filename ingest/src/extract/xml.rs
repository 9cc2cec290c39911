//! Reads XML: journal articles (JATS) with their structure, any other XML as the text of its elements.

use crate::offsets::Basis;

use super::html::to_markdown;
use super::xmltree::{Id, ROOT, Tree};
use super::{Draft, Failure, Source};

mod jats;

/// Article text with headings, abstract, tables and references, or for other XML one line per text-holding element.
///
/// Source positions count blocks, from 0.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, Failure> {
    let tree = Tree::parse(source.bytes, source.limits)?;
    let mut draft = Draft::new(Basis::PartUnits);
    if let Some(article) = tree
        .all(ROOT, "article")
        .first()
        .copied()
        .filter(|&a| tree.child(a, "front").is_some() || tree.child(a, "body").is_some())
    {
        let html = jats::to_html(&tree, article, &mut draft);
        let text = to_markdown(&html);
        push_blocks(&text, "article", &mut draft);
        return Ok(draft);
    }
    draft.title = tree.all(ROOT, "title").first().map(|&t| tree.text(t));
    let mut text = String::new();
    generic(&tree, &mut text);
    push_blocks(&text, "", &mut draft);
    Ok(draft)
}

/// Appends text whose blocks (between blank lines) are the units of a part.
pub(super) fn push_blocks(text: &str, part: &str, draft: &mut Draft) {
    let part = draft.body.map.part(part);
    for (index, block) in text.split("\n\n").enumerate() {
        draft.body.block();
        draft.body.push(block.trim_end(), part, index as u64, index as u64 + 1);
    }
    draft.body.glue("\n");
}

/// Elements that hold text directly give a line each: `name: text`, elements in between give their structure by blank lines.
fn generic(tree: &Tree, out: &mut String) {
    let mut stack: Vec<Id> = vec![ROOT];
    while let Some(node) = stack.pop() {
        let children = tree.children(node);
        let speaks = children.iter().any(|&c| tree.own_text(c).is_some_and(|t| !t.trim().is_empty()));
        if speaks {
            let text = tree.text(node).split_whitespace().collect::<Vec<_>>().join(" ");
            let name = tree.name(node);
            // Prose elements need no label; fields do.
            let labelled = text.len() < 200
                && !matches!(
                    name,
                    "" | "p" | "para" | "title" | "text" | "description" | "summary" | "content"
                );
            if labelled {
                out.push_str(name);
                out.push_str(": ");
            }
            out.push_str(&text);
            out.push('\n');
            continue;
        }
        let records = children.iter().filter(|&&c| !tree.name(c).is_empty()).count() > 1;
        if records && !out.is_empty() && !out.ends_with("\n\n") {
            out.push('\n');
        }
        stack.extend(children.iter().rev());
    }
}
