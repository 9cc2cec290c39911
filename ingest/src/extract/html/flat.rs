//! Reads markup that is nested beyond reason in one pass: a parser's time grows with the square of the depth.

use super::visible::is_skipped;

/// Deepest nesting that is parsed; pages that people write stay below a hundred.
pub(super) const MAX_NESTING: usize = 2_000;

/// An estimate of the depth: the most start tags that are open at once. Elements that end by themselves do not count.
pub(super) fn nesting(html: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0_usize);
    for tag in tags(html) {
        if ends_itself(&tag.name) || tag.whole {
            continue;
        }
        if tag.end {
            open = open.saturating_sub(1);
        } else {
            open += 1;
            most = most.max(open);
        }
    }
    most
}

/// The text between tags, a line per element; scripts, styles and the like left out.
pub(super) fn text(html: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    let mut skipping: Option<String> = None;
    for tag in tags(html) {
        let between = html.get(at..tag.start).unwrap_or_default();
        at = tag.stop;
        if let Some(name) = &skipping {
            if tag.end && tag.name == *name {
                skipping = None;
            }
            continue;
        }
        push(between, &mut out);
        if !tag.end && !tag.whole && is_skipped(&tag.name) && !ends_itself(&tag.name) {
            skipping = Some(tag.name);
        }
    }
    if skipping.is_none() {
        push(html.get(at..).unwrap_or_default(), &mut out);
    }
    out
}

fn push(text: &str, out: &mut String) {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(&plain(&text));
}

/// The text with the entities that text can't do without decoded.
pub(super) fn plain(text: &str) -> String {
    let mut plain = text.to_owned();
    for (entity, sign) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")]
    {
        if plain.contains(entity) {
            plain = plain.replace(entity, sign);
        }
    }
    plain
}

/// A start or end tag.
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) end: bool,
    /// Closed in itself: `<br/>`.
    pub(super) whole: bool,
    /// Bytes in the markup, from `<` to behind `>`.
    pub(super) start: usize,
    pub(super) stop: usize,
}

/// Everything that looks like a tag.
pub(super) fn tags(html: &str) -> impl Iterator<Item = Tag> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + html.get(at..)?.find('<')?;
            let rest = html.get(start + 1..)?;
            let end = rest.starts_with('/');
            let body = rest.strip_prefix('/').unwrap_or(rest);
            let len = body.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(body.len());
            if len == 0 || !body.starts_with(|c: char| c.is_ascii_alphabetic()) {
                at = start + 1;
                continue;
            }
            let close = rest.find('>')?;
            at = start + 1 + close + 1;
            let name = body.get(..len)?.to_ascii_lowercase();
            let whole = rest.get(..close)?.ends_with('/');
            return Some(Tag { name, end, whole, start, stop: at });
        }
    })
}

/// Void elements and those whose end tag may be left out.
fn ends_itself(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
            | "p"
            | "li"
            | "dt"
            | "dd"
            | "tr"
            | "td"
            | "th"
            | "thead"
            | "tbody"
            | "tfoot"
            | "colgroup"
            | "option"
            | "optgroup"
            | "rt"
            | "rp"
            | "html"
            | "head"
            | "body"
    )
}
