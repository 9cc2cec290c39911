//! Addresses in one form: ids, paths, file names and URLs of documents, and where the links of a text lead.

use super::forms::is_marked;

/// Longer ones are no addresses of ours: an id has at most 512 bytes.
const MAX_BYTES: usize = 1_024;

/// What a document at this address is linked by: the whole, without its query, its file name, and the file name's stem
/// where that could be nothing but a name.
pub(super) fn of_document(address: &str) -> Vec<String> {
    let whole = normal(address);
    let mut forms = vec![whole.clone()];
    if let Some((path, _)) = whole.split_once('?') {
        forms.push(path.to_owned());
    }
    let path = whole.split('?').next().unwrap_or(&whole);
    let file = path.rsplit('/').next().unwrap_or(path);
    forms.push(file.to_owned());
    if let Some((stem, _)) = file.rsplit_once('.')
        && (is_marked(stem) || stem.contains('-'))
    {
        forms.push(stem.to_owned());
    }
    forms.retain(|form| (1..=MAX_BYTES).contains(&form.len()));
    forms
}

/// Where a link leads that stands in a document from `source`: the address it resolves to, then its file name, for
/// documents that were taken out of their folder. Empty for a place within the same document and for what is no address
/// of a document (`mailto:`, `data:`).
pub(super) fn of_link(target: &str, source: &str) -> Vec<String> {
    let target = decoded(target.trim());
    let place = target.split('#').next().unwrap_or_default();
    if place.is_empty() || place.len() > MAX_BYTES {
        return Vec::new();
    }
    let absolute = place.contains("://");
    if !absolute && place.split('/').next().is_some_and(|first| first.contains(':')) {
        return Vec::new();
    }
    let resolved = if absolute {
        normal(place)
    } else if let Some(from_root) = place.strip_prefix('/') {
        match source.split_once("://") {
            Some((scheme, rest)) => {
                normal(&format!("{scheme}://{}/{from_root}", rest.split('/').next().unwrap_or_default()))
            }
            None => normal(from_root),
        }
    } else {
        let folder = source.split(['?', '#']).next().unwrap_or(source).replace('\\', "/");
        let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
        normal(&format!("{folder}/{place}"))
    };
    let mut forms = vec![resolved];
    if let Some((path, _)) = forms[0].split_once('?') {
        forms.push(path.to_owned());
    }
    // A page of a site is not known by its last part alone.
    if !absolute && let Some(file) = place.split('?').next().and_then(|path| path.rsplit('/').next()) {
        forms.push(normal(file));
    }
    forms.retain(|form| !form.is_empty());
    forms.dedup();
    forms
}

/// Lower case, `/` between parts, without scheme, `www.`, fragment, `.` and `..`, and slashes at the ends.
pub(super) fn normal(address: &str) -> String {
    let lower = address.trim().replace('\\', "/").to_lowercase();
    let plain = lower.split('#').next().unwrap_or_default();
    let plain = match plain.split_once("://") {
        Some((_, rest)) => rest.strip_prefix("www.").unwrap_or(rest),
        None => plain,
    };
    let (path, query) = match plain.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (plain, None),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    match query.filter(|query| !query.is_empty()) {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

/// `%20` and the like as characters, where that gives UTF-8.
fn decoded(address: &str) -> String {
    let bytes = address.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = address.get(at + 1..at + 3).filter(|_| byte == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(value) => {
                plain.push(value);
                at += 3;
            }
            None => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).unwrap_or_else(|_| address.to_owned())
}

/// The targets of a text's links, in order: Markdown's inline, reference and bracketed ones, `href`s, and bare URLs.
pub(super) fn links(text: &str) -> Vec<&str> {
    let mut found: Vec<(usize, &str)> = Vec::new();
    for (at, opening) in text.match_indices("](") {
        let rest = &text[at + opening.len()..];
        let target = match rest.strip_prefix('<') {
            Some(bracketed) => bracketed.split(['>', '\n']).next(),
            // The title behind the target is set off by a blank; brackets within a target come in pairs.
            None => rest.split([' ', '\n', '"']).next().map(until_closed),
        };
        found.extend(target.map(|target| (at, target)));
    }
    for (at, _) in text.match_indices("]: ") {
        let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        if text[line..at].trim_start().starts_with('[') {
            found.extend(text[at + 3..].split_whitespace().next().map(|target| (at, target)));
        }
    }
    for (at, opening) in text.match_indices("href=") {
        let rest = &text[at + opening.len()..];
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            found.extend(rest[1..].split(quote).next().map(|target| (at, target)));
        }
    }
    for scheme in ["https://", "http://"] {
        for (at, _) in text.match_indices(scheme) {
            let end = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\'' | '`' | ')' | ']');
            let target = text[at..].split(end).next().unwrap_or_default();
            found.push((at, target.trim_end_matches(['.', ',', ';', ':', '!', '?'])));
        }
    }
    found.sort_unstable();
    found.dedup_by_key(|(_, target)| *target);
    found.into_iter().map(|(_, target)| target).filter(|target| !target.is_empty()).collect()
}

fn until_closed(target: &str) -> &str {
    let mut open = 0_usize;
    for (at, c) in target.char_indices() {
        match c {
            '(' => open += 1,
            ')' if open == 0 => return &target[..at],
            ')' => open -= 1,
            _ => {}
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_in_every_spelling() {
        let text = "[a](b.md) [c](<d e.md>) [f](g_(h).md \"Title\")\n[i]: ../j.md\n<a href='k.html'>l</a> see \
                    https://m.example/n. (http://o.example/p?q=1)";
        assert_eq!(
            links(text),
            [
                "b.md",
                "d e.md",
                "g_(h).md",
                "../j.md",
                "k.html",
                "https://m.example/n",
                "http://o.example/p?q=1"
            ]
        );
        assert!(
            links("no [link] here ]( nor\nthere").is_empty(),
            "{:?}",
            links("no [link] here ]( nor\nthere")
        );
    }

    #[test]
    fn links_resolve_against_where_they_stand() {
        for (target, source, first) in [
            ("../policies/Travel%202026.md#cost", "handbook/welcome.md", Some("policies/travel 2026.md")),
            ("./x.md", "x/y.md", Some("x/x.md")),
            ("/docs/a", "https://www.Example.org/docs/b?c", Some("example.org/docs/a")),
            ("a?b=1", "https://example.org/docs/b", Some("example.org/docs/a?b=1")),
            ("https://example.org/docs/", "x.md", Some("example.org/docs")),
            ("/a.md", "b/c.md", Some("a.md")),
            ("#here", "x.md", None),
            ("mailto:a@b.c", "x.md", None),
            ("", "x.md", None),
        ] {
            assert_eq!(of_link(target, source).first().map(String::as_str), first, "{target} in {source}");
        }
        assert_eq!(of_link("a.md?x", "b/c.md"), ["b/a.md?x", "b/a.md", "a.md"]);
    }

    #[test]
    fn a_document_is_known_by_path_file_and_telling_stem() {
        assert_eq!(
            of_document("policies\\Travel-policy.md"),
            ["policies/travel-policy.md", "travel-policy.md", "travel-policy"]
        );
        assert_eq!(of_document("notes.md"), ["notes.md", "notes.md"]);
        assert_eq!(of_document("https://a.example/b?c=d"), ["a.example/b?c=d", "a.example/b", "b"]);
    }
}
