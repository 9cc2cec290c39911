//! Decides between the main content that was found and the whole page, and trims the whole page of its furniture.

use std::collections::HashSet;

use dom_query::{Document, NodeRef};

use super::visible::{is_furniture, is_hidden, is_skipped};

/// A copy of the page without navigation, banners, footers and asides, unless hardly anything would be left.
pub(super) fn trimmed(page: &Document) -> Document {
    let all = words_below(page.root());
    let copy = page.clone();
    let furniture: Vec<_> = copy.root().descendants_it().filter(is_furniture).map(|n| n.id).collect();
    for id in furniture {
        if let Some(node) = copy.tree.get(&id) {
            node.remove_from_parent();
        }
    }
    if words_below(copy.root()) * 3 < all { page.clone() } else { copy }
}

/// The Markdown to keep of a page: `whole`, its main element, or what the search for the article found.
///
/// The page is kept whole when it has no furniture to speak of (hand-written pages, exported documents) or the search
/// found next to nothing. Its main element is kept when it documents something (code blocks) or the search found nearly
/// all of its words: the search's own markup loses tables, lists and code on such pages. Otherwise it is `article`, the
/// markup that the search found, less the blocks that are missing in its plain text `found`.
pub(super) fn best(
    page: &Document,
    trimmed: &Document,
    whole: String,
    article: String,
    found: &str,
) -> String {
    if is_plain(page) {
        return whole;
    }
    let (found_words, whole_words) = (count(found), count(&whole));
    if let Some(main) = main_element(trimmed) {
        let words = words_below(main);
        let manual = documents(&main) && words * 2 >= whole_words;
        let close = words * 10 >= found_words * 9 && words <= found_words * 21 / 20 + 5;
        if manual || close {
            let text = super::writer::markdown(main);
            if manual || covers(&text, found) {
                return text;
            }
        }
    }
    if article.is_empty() || (found_words < 60 && found_words * 4 < whole_words) {
        return whole;
    }
    confirmed(&article, found).unwrap_or(article)
}

/// The one element that the page marks as its content, the furniture inside it left out.
fn main_element(page: &Document) -> Option<NodeRef<'_>> {
    let marked = page.select("main, [role=main], article, .markdown-body, .document, #content");
    let nodes = marked.nodes().iter().copied();
    let largest = nodes.max_by_key(|n| words_below(*n))?;
    (words_below(largest) > 0).then_some(largest)
}

/// Code blocks are what manuals have and news do not.
fn documents(main: &NodeRef<'_>) -> bool {
    main.descendants_it().any(|n| n.has_name("pre") && n.text().trim().len() > 10)
}

fn count(text: &str) -> usize {
    text.split_whitespace().count()
}

/// Spans above this are nonsense or an attack: the search allocates a cell for each column and row they claim.
const MAX_SPAN: usize = 1000;

/// Whether a table claims cells over more columns or rows than any table has.
pub(super) fn has_wild_spans(page: &Document) -> bool {
    let wild = |node: &NodeRef<'_>, key: &str| {
        node.attr(key).is_some_and(|v| v.trim().parse::<usize>().map_or(v.trim().len() > 3, |n| n > MAX_SPAN))
    };
    page.root().descendants_it().any(|n| wild(&n, "colspan") || wild(&n, "rowspan"))
}

/// Words a reader sees below a node.
fn words_below(root: NodeRef<'_>) -> usize {
    let mut words = 0;
    let mut stack = vec![root];
    while let Some(node) = stack.pop() {
        if node.is_text() {
            words += count(&node.text());
            continue;
        }
        if node.is_element() && (node.node_name().is_some_and(|n| is_skipped(&n)) || is_hidden(&node)) {
            continue;
        }
        stack.extend(node.children_it(false));
    }
    words
}

/// A page that is all content: no furniture, no scripts to speak of, few links for its words.
fn is_plain(page: &Document) -> bool {
    let (mut links, mut scripts, mut furniture) = (0_usize, 0_usize, 0_usize);
    for node in page.root().descendants_it() {
        match node.node_name().as_deref() {
            Some("a") => links += 1,
            Some("script" | "iframe" | "form" | "input" | "button") => scripts += 1,
            Some(_) if is_furniture(&node) => furniture += 1,
            _ => {}
        }
    }
    furniture == 0 && scripts <= 2 && links <= 10 + words_below(page.root()) / 20
}

/// Whether nearly all of `found` is said in `text` too.
fn covers(text: &str, found: &str) -> bool {
    let (own, other) = (words(text), words(found));
    let known: HashSet<&[String]> = own.windows(3).collect();
    let hits = other.windows(3).filter(|w| known.contains(w)).count();
    hits * 20 >= other.len().saturating_sub(2) * 19
}

/// The blocks of `article` whose words mostly occur in `found`; `None` when that would drop half of it.
fn confirmed(article: &str, found: &str) -> Option<String> {
    let words: Vec<String> = words(found);
    let known: HashSet<&[String]> = words.windows(3).collect();
    let hit = |block: &str| {
        let own = self::words(block);
        match own.len() {
            0 => false,
            n @ (1 | 2) => block.starts_with('#') || words.windows(n).any(|w| w == own),
            n => own.windows(3).filter(|w| known.contains(w)).count() * 2 >= n - 2,
        }
    };
    let kept: Vec<&str> = article.split("\n\n").filter(|block| hit(block)).collect();
    let kept = kept.join("\n\n");
    (count(&kept) * 2 >= count(article)).then_some(kept)
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}
