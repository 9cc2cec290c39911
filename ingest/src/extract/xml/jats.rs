//! Turns a JATS article into plain HTML, so that one writer lays out all structured text.

use super::super::Draft;
use super::super::xmltree::{Id, Tree};

/// Front matter becomes metadata, title, authors and abstract; then body, appendices and references.
pub(super) fn to_html(tree: &Tree, article: Id, draft: &mut Draft) -> String {
    let mut out = String::new();
    let meta = tree.path(article, &["front", "article-meta"]).or_else(|| tree.path(article, &["front-stub"]));
    if let Some(meta) = meta {
        if let Some(title) = tree.path(meta, &["title-group", "article-title"]) {
            let text = squeezed(&tree.text(title));
            out.push_str(&format!("<h1>{}</h1>", escaped(&text)));
            draft.title = Some(text);
        }
        let authors = authors(tree, meta);
        if !authors.is_empty() {
            let line = authors.join(", ");
            draft.note("author", &line);
            out.push_str(&format!("<p>{}</p>", escaped(&line)));
        }
        let places: Vec<String> =
            tree.all(meta, "aff").into_iter().map(|a| place(tree, a)).filter(|a| !a.is_empty()).collect();
        if !places.is_empty() {
            out.push_str(&format!("<p>{}</p>", escaped(&places.join("; "))));
        }
        for id in tree.all(meta, "article-id") {
            if tree.attribute(id, "pub-id-type") == Some("doi") {
                draft.note("doi", &tree.text(id));
            }
        }
        for part in tree.children(meta).iter().filter(|&&c| tree.name(c) == "abstract") {
            if tree.child(*part, "title").is_none() {
                out.push_str("<h2>Abstract</h2>");
            }
            children(tree, *part, 2, &mut out);
        }
    }
    for part in ["body", "back", "floats-group"] {
        if let Some(node) = tree.child(article, part) {
            children(tree, node, 2, &mut out);
        }
    }
    out
}

fn authors(tree: &Tree, meta: Id) -> Vec<String> {
    let all = tree
        .all(meta, "contrib")
        .into_iter()
        .filter(|&c| tree.attribute(c, "contrib-type").is_none_or(|t| t == "author"));
    let names = all.filter_map(|c| {
        let name = tree.child(c, "name").or_else(|| tree.path(c, &["name-alternatives", "name"]))?;
        let part = |key| tree.child(name, key).map(|n| squeezed(&tree.text(n))).unwrap_or_default();
        Some(format!("{} {}", part("given-names"), part("surname")).trim().to_owned())
    });
    names.take(200).collect()
}

fn place(tree: &Tree, node: Id) -> String {
    let parts = tree.children(node).iter().filter(|&&c| !matches!(tree.name(c), "label" | "sup"));
    let texts: Vec<String> = parts
        .map(|&c| squeezed(tree.own_text(c).map_or_else(|| tree.text(c), str::to_owned).as_str()))
        .filter(|t| !t.is_empty() && t != ",")
        .collect();
    texts.join(", ").replace(", ,", ",").replace(",,", ",")
}

/// Writes the children of a node; `level` is that of the headings of its sections. The depth is that of the XML.
fn children(tree: &Tree, node: Id, level: usize, out: &mut String) {
    for &child in tree.children(node) {
        element(tree, child, level, out);
    }
}

fn element(tree: &Tree, node: Id, level: usize, out: &mut String) {
    if let Some(text) = tree.own_text(node) {
        out.push_str(&escaped(text));
        return;
    }
    let name = tree.name(node);
    let (open, close, deeper) = match name {
        "sec" | "app" | "ack" | "notes" | "glossary" | "fn-group" => ("<section>", "</section>", 1),
        "ref-list" => {
            if tree.child(node, "title").is_none() {
                out.push_str(&format!("<h{level}>References</h{level}>"));
            }
            ("<section>", "</section>", 1)
        }
        "title" => {
            let label = tree.text(node);
            if !label.trim().is_empty() {
                let level = level.saturating_sub(1).clamp(2, 6);
                out.push_str(&format!("<h{level}>{}</h{level}>", escaped(&squeezed(&label))));
            }
            return;
        }
        "p"
        | "disp-formula"
        | "fig"
        | "caption"
        | "table-wrap"
        | "boxed-text"
        | "supplementary-material"
        | "disp-quote"
        | "fn" => ("<p>", "</p>", 0),
        "table" => ("<table>", "</table>", 0),
        "tr" => ("<tr>", "</tr>", 0),
        "td" | "th" => {
            cell(tree, node, level, out);
            return;
        }
        "list" if tree.attribute(node, "list-type") == Some("order") => ("<ol>", "</ol>", 0),
        "list" => ("<ul>", "</ul>", 0),
        "list-item" => ("<li>", "</li>", 0),
        "ref" => {
            out.push_str(&format!("<p>{}</p>", escaped(&reference(tree, node))));
            return;
        }
        "label" | "object-id" | "tex-math" | "xref-group" | "graphic" | "media" | "permissions"
        | "alt-text"
            if name != "label" =>
        {
            return;
        }
        _ => ("", "", 0),
    };
    out.push_str(open);
    children(tree, node, level + deeper, out);
    if name == "label" {
        out.push(' ');
    }
    out.push_str(close);
}

fn cell(tree: &Tree, node: Id, level: usize, out: &mut String) {
    out.push_str("<td");
    for key in ["colspan", "rowspan"] {
        if let Some(value) = tree.attribute(node, key).and_then(|v| v.parse::<u32>().ok()) {
            out.push_str(&format!(" {key}=\"{value}\""));
        }
    }
    out.push('>');
    children(tree, node, level, out);
    out.push_str("</td>");
}

/// Authors, title, source and year of a reference in reading order.
fn reference(tree: &Tree, node: Id) -> String {
    let mut words = Vec::new();
    let mut stack: Vec<Id> = tree.children(node).iter().rev().copied().collect();
    while let Some(at) = stack.pop() {
        match tree.name(at) {
            "label" => {}
            "name" => {
                let part = |key| tree.child(at, key).map(|n| squeezed(&tree.text(n))).unwrap_or_default();
                words.push(format!("{} {}", part("given-names"), part("surname")).trim().to_owned());
            }
            _ => match tree.own_text(at) {
                Some(text) => words.push(squeezed(text)),
                None => stack.extend(tree.children(at).iter().rev()),
            },
        }
    }
    words.retain(|w| !w.is_empty());
    words.join(" ")
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
