//! The parts of configuration files, line by line: tables in brackets, or keys without indentation.

use super::Item;

/// `[name]` and `[[name]]`, each up to the next: TOML and INI files.
pub(super) fn bracketed(text: &str) -> Vec<Item> {
    parts(text, |line| {
        let inner = line.strip_prefix('[')?;
        let inner = inner.strip_prefix('[').unwrap_or(inner);
        let (name, _) = inner.split_once(']')?;
        // An element of a list that goes on over several lines is no table.
        (!name.contains([',', '=', '[', '{'])).then(|| name.trim())
    })
}

/// `key:` at the beginning of a line, each up to the next: YAML files.
pub(super) fn keyed(text: &str) -> Vec<Item> {
    parts(text, |line| {
        let (key, rest) = line.split_once(':')?;
        let plain = !key.is_empty()
            && !key.starts_with([' ', '\t', '#', '-', '[', '{', '%', '?', '|', '>', ']', '}']);
        (plain && (rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r'])))
            .then(|| key.trim_matches(['"', '\'']))
    })
}

/// A part begins with each line that `name` finds one in, comment lines right above included.
fn parts<'t>(text: &'t str, name: impl Fn(&'t str) -> Option<&'t str>) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let (mut at, mut comment) = (0, None);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if line.starts_with(['#', ';']) {
            comment = comment.or(Some(start));
            continue;
        }
        let above = comment.take();
        if let Some(name) = name(line).filter(|name| !name.is_empty()) {
            let start = above.unwrap_or(start);
            if let Some(open) = items.last_mut() {
                open.end = start;
            }
            let name = name.chars().take(super::LONGEST_NAME).collect();
            items.push(Item { start, end: text.len(), name });
        }
        if items.len() >= super::MOST {
            break;
        }
    }
    items
}
