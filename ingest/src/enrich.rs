//! What a chunk is told besides its own words: a title, the headings above it, its language.

use wellspring_store::Metadata;

/// Between headings of a path, in embedded text and where paths are shown.
pub const HEADING_SEPARATOR: &str = " > ";

/// Titles a document has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Titles {
    /// For people: what the client gave, else what the document says, else its first heading, else the file's stem.
    pub shown: Option<String>,
    /// For embedding: the same without the file's stem, which is as often noise as not.
    pub embedded: Option<String>,
}

/// Chooses the titles. Blank ones count as missing.
pub fn titles(
    given: Option<&str>,
    extracted: Option<&str>,
    first_heading: Option<&str>,
    source: &str,
) -> Titles {
    let kept = |title: Option<&str>| title.map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
    let embedded = kept(given).or_else(|| kept(extracted)).or_else(|| kept(first_heading));
    let shown = embedded.clone().or_else(|| kept(stem(source)));
    Titles { shown, embedded }
}

/// The last part of a path or URL without its extension.
fn stem(source: &str) -> Option<&str> {
    let path = source.split(['?', '#']).next().unwrap_or(source);
    let name = path.trim_end_matches('/').rsplit(['/', '\\']).next()?;
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => Some(stem),
        _ => Some(name),
    }
}

/// The client's metadata over the extractor's.
pub fn merged(given: &Metadata, extracted: Metadata) -> Metadata {
    let mut all = extracted;
    all.extend(given.iter().map(|(key, value)| (key.clone(), value.clone())));
    all
}

/// What stands in front of a chunk's body in its embedded text, ending in a blank line; empty if there is nothing.
///
/// First the title, then the headings, outermost first. A title that is also the first heading (of `all`) is not said
/// twice. Where `size` of it is above `limit`, headings go from the outside, then the title, then words from the end.
pub fn prefix(
    title: Option<&str>,
    above: &[&str],
    all: &[&str],
    limit: usize,
    size: impl Fn(&str) -> usize,
) -> String {
    let said = |t: &&str| !all.first().is_some_and(|first| first.trim().eq_ignore_ascii_case(t.trim()));
    let title = title.filter(said);
    let compose = |title: Option<&str>, above: &[&str]| {
        let path = above.join(HEADING_SEPARATOR);
        let lines: Vec<&str> =
            title.into_iter().chain(Some(path.as_str()).filter(|p| !p.is_empty())).collect();
        lines.join("\n")
    };
    let inner = above.get(above.len().saturating_sub(1)..).unwrap_or_default();
    let shorter = (0..above.len()).map(|skip| (title, above.get(skip..).unwrap_or_default()));
    for (title, above) in shorter.chain([(None, inner), (title, &[])]) {
        let text = compose(title, above);
        if !text.is_empty() && size(&text) <= limit {
            return ended(text);
        }
    }
    let text = inner.first().copied().or(title).unwrap_or_default();
    let mut words: Vec<&str> = text.split_whitespace().collect();
    while !words.is_empty() && size(&words.join(" ")) > limit {
        words.truncate(words.len() * 3 / 4);
    }
    ended(words.join(" "))
}

fn ended(text: String) -> String {
    if text.is_empty() { text } else { text + "\n\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_found_somewhere() {
        let found = titles(Some(" "), None, Some("First"), "a/b.md");
        assert_eq!((found.shown.as_deref(), found.embedded.as_deref()), (Some("First"), Some("First")));
        let found = titles(None, None, None, "https://example.org/x/report.2026.pdf?a=b");
        assert_eq!((found.shown.as_deref(), found.embedded.as_deref()), (Some("report.2026"), None));
        assert_eq!(titles(None, None, None, ".env").shown.as_deref(), Some(".env"));
        assert_eq!(titles(None, None, None, "").shown, None);
    }

    #[test]
    fn a_prefix_keeps_to_its_limit_and_says_nothing_twice() {
        let size = |text: &str| text.split_whitespace().count();
        assert_eq!(prefix(Some("T"), &["A", "B"], &["A", "B"], 9, size), "T\nA > B\n\n");
        assert_eq!(prefix(Some("a"), &["A", "B"], &["A", "B"], 9, size), "A > B\n\n");
        assert_eq!(prefix(Some("a"), &[], &["A"], 9, size), "");
        assert_eq!(prefix(Some("T"), &["A", "B"], &["A", "B"], 2, size), "T\nB\n\n");
        assert_eq!(prefix(Some("T U"), &["A", "B"], &["A", "B"], 1, size), "B\n\n");
        assert_eq!(
            prefix(None, &["one two three four five six seven eight"], &[], 4, size),
            "one two three four\n\n"
        );
        assert_eq!(prefix(Some("T"), &[], &[], 0, size), "");
        assert_eq!(prefix(None, &[], &[], 9, size), "");
    }

    #[test]
    fn the_client_wins_over_the_document() {
        let given = Metadata::from([("a".to_owned(), 1.into())]);
        let extracted = Metadata::from([("a".to_owned(), 2.into()), ("b".to_owned(), 3.into())]);
        assert_eq!(
            merged(&given, extracted),
            Metadata::from([("a".to_owned(), 1.into()), ("b".to_owned(), 3.into())])
        );
    }
}
