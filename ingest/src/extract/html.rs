//! Reads a web page: finds its main content, writes it as Markdown and keeps what the page says about itself.

use dom_query::{Document, NodeRef};
use rs_trafilatura::{Options, extract_with_options};

use crate::charset::decode;
use crate::offsets::Basis;

use super::{Draft, Failure, Source};

mod align;
mod anchors;
mod blocks;
mod choose;
mod flat;
mod tables;
mod visible;
mod writer;

/// Above this depth of elements, or this many bytes, the page is written whole: the main-content search recurses and
/// its time grows faster than the page.
const MAX_SEARCH_DEPTH: usize = 200;
const MAX_SEARCH_BYTES: usize = 4 * 1024 * 1024;

/// The main content of the page; the whole visible page where there is no clear main content.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, Failure> {
    let head = source.bytes.get(..2048).unwrap_or(source.bytes);
    let label = source.charset().map(str::to_owned).or_else(|| meta_charset(head));
    let decoded = decode(source.bytes, label.as_deref());
    let mut draft = Draft::new(decoded.basis());
    if flat::nesting(&decoded.text) > flat::MAX_NESTING {
        align::push(&mut draft.body, &flat::text(&decoded.text), &decoded.text, decoded.shift());
        draft.warnings.push("elements are nested too deep; read as plain text without structure".to_owned());
        return Ok(draft);
    }
    let page = Document::from(decoded.text.as_str());
    describe(&page, &mut draft);
    let text = content(&page, &decoded.text);
    align::push(&mut draft.body, &text, &decoded.text, decoded.shift());
    draft.anchors = anchors::of(&decoded.text, decoded.shift());
    Ok(draft)
}

/// The Markdown of a whole HTML document or fragment (a mail body, a chapter), hidden parts left out.
pub(super) fn to_markdown(html: &str) -> String {
    if flat::nesting(html) > flat::MAX_NESTING {
        return flat::text(html);
    }
    writer::markdown(Document::from(html).root())
}

/// The text of the first `title` element, for documents made of several pages.
pub(super) fn title_of(html: &str) -> Option<String> {
    if flat::nesting(html) > flat::MAX_NESTING {
        return None;
    }
    let page = Document::from(html);
    Some(page.select_single("title").text().trim().to_owned()).filter(|t| !t.is_empty())
}

fn content(page: &Document, html: &str) -> String {
    let trimmed = choose::trimmed(page);
    let whole = writer::markdown(trimmed.root());
    if html.len() > MAX_SEARCH_BYTES || depth(page.root()) > MAX_SEARCH_DEPTH || choose::has_wild_spans(page)
    {
        return whole;
    }
    let options = Options { include_formatting: true, max_extracted_len: usize::MAX, ..Options::default() };
    let Ok(found) = extract_with_options(html, &options) else { return whole };
    let article = found.content_html.as_deref().map(to_markdown).unwrap_or_default();
    choose::best(page, &trimmed, whole, article, &found.content_text)
}

/// Depth of the deepest node, counted without recursion.
fn depth(root: NodeRef<'_>) -> usize {
    let (mut deepest, mut level) = (0, 0_usize);
    let mut node = root;
    loop {
        if let Some(child) = node.first_child() {
            level += 1;
            deepest = deepest.max(level);
            node = child;
            continue;
        }
        while node.next_sibling().is_none() {
            match node.parent() {
                Some(parent) if level > 0 => {
                    level -= 1;
                    node = parent;
                }
                _ => return deepest,
            }
        }
        match node.next_sibling() {
            Some(next) if level > 0 => node = next,
            _ => return deepest,
        }
    }
}

/// Title, language and the common `meta` fields.
fn describe(page: &Document, draft: &mut Draft) {
    let meta = |names: &[&str]| {
        names.iter().find_map(|name| {
            let found = page.select_single(&format!("meta[name=\"{name}\"], meta[property=\"{name}\"]"));
            found.attr("content").map(|c| c.to_string()).filter(|c| !c.trim().is_empty())
        })
    };
    let heading = page.select_single("h1").text().trim().to_owned();
    let title = page.select_single("head title").text().trim().to_owned();
    // The shorter of heading and title names the page; titles carry the name of the site behind it.
    let named = !heading.is_empty() && (title.is_empty() || title.contains(heading.as_str()));
    draft.title = Some(if named { heading } else { title })
        .filter(|t| !t.is_empty())
        .or_else(|| meta(&["og:title", "twitter:title"]));
    for (key, names) in [
        ("author", ["author", "article:author"]),
        ("description", ["description", "og:description"]),
        ("site", ["og:site_name", "application-name"]),
        ("date", ["article:published_time", "date"]),
        ("keywords", ["keywords", "news_keywords"]),
    ] {
        if let Some(value) = meta(&names) {
            draft.note(key, &value);
        }
    }
    if let Some(language) = page.select_single("html").attr("lang") {
        draft.note("language", &language);
    }
    if let Some(url) = page.select_single("link[rel=canonical]").attr("href") {
        draft.note("url", &url);
    }
}

/// The charset that a `meta` element near the start declares.
fn meta_charset(head: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let rest = text.split_once("charset=")?.1.trim_start_matches(['"', '\'', ' ']);
    let label: String =
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':')).collect();
    Some(label).filter(|l| !l.is_empty())
}

/// The basis of text whose source is parts of a container.
pub(super) const CHAPTERS: Basis = Basis::PartUnits;
