//! The links of a page with the places of their words in the markup.

use crate::extract::links::{Anchor, can_lead_elsewhere};

use super::flat;

/// Every link that can lead to another document, in the order of the markup. `shift` is added to every position.
pub(super) fn of(html: &str, shift: usize) -> Vec<Anchor> {
    let mut found = Vec::new();
    // Links do not nest: a second one ends the first.
    let mut open: Option<(usize, String)> = None;
    for tag in flat::tags(html).filter(|tag| tag.name == "a") {
        if let Some((from, target)) = open.take() {
            let words = flat::text(html.get(from..tag.start).unwrap_or_default()).replace('\n', " ");
            let content = (from + shift) as u64..(tag.start + shift) as u64;
            found.push(Anchor { content, words, target });
        }
        if !tag.end && !tag.whole {
            let target = html.get(tag.start..tag.stop).and_then(href).filter(|to| can_lead_elsewhere(to));
            open = target.map(|target| (tag.stop, target));
        }
    }
    found
}

/// The value of a start tag's `href`.
fn href(tag: &str) -> Option<String> {
    // The same bytes, so places in one are places in the other.
    let lower = tag.to_ascii_lowercase();
    for (at, name) in lower.match_indices("href") {
        let apart = tag.get(..at)?.ends_with(|c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\''));
        let rest = tag.get(at + name.len()..)?;
        let Some(value) = rest.trim_start().strip_prefix('=').filter(|_| apart) else { continue };
        let value = value.trim_start();
        let value = match value.chars().next()? {
            quote @ ('"' | '\'') => value.get(1..)?.split(quote).next()?,
            _ => value.split(|c: char| c.is_ascii_whitespace() || c == '>').next()?,
        };
        return Some(flat::plain(value.trim()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_however_they_are_written() {
        let html = "<p><a class=x HREF='a.html'>The <b>first</b>\n one</a> <a href=\"b.html?x=1&amp;y=2\">R&amp;D</a>\
            <a name=\"here\">no link</a> <a data-href=\"no.html\">none</a><a href=c.html>third<a href=\"#top\">top</a></p>";
        let found = of(html, 3);
        let told: Vec<_> = found.iter().map(|a| (a.words.as_str(), a.target.as_str())).collect();
        assert_eq!(told, [("The first one", "a.html"), ("R&D", "b.html?x=1&y=2"), ("third", "c.html")]);
        let content = &found[1].content;
        assert_eq!(&html[content.start as usize - 3..content.end as usize - 3], "R&amp;D");
    }

    #[test]
    fn broken_markup_gives_no_panic() {
        for html in
            ["<a href", "<a href=", "<a href='x", "<a href=x>", "<a", "<a href=\"é\">é", "<a href=>x</a>"]
        {
            of(html, 0);
        }
    }
}
