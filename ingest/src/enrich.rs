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

/// Chooses the titles. Blank ones count as missing. `named` puts the words of the file's name in front of the embedded
/// title that nobody gave, where they say more than it.
pub fn titles(
    given: Option<&str>,
    extracted: Option<&str>,
    first_heading: Option<&str>,
    source: &str,
    named: bool,
) -> Titles {
    let kept = |title: Option<&str>| title.map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
    let given = kept(given);
    let found = given.clone().or_else(|| kept(extracted)).or_else(|| kept(first_heading));
    let shown = found.clone().or_else(|| kept(stem(source)));
    let name = file_words(source).filter(|_| named && given.is_none());
    let embedded = match (name, found) {
        (Some(name), Some(title)) if says_more(&name, &title) => Some(format!("{name}: {title}")),
        (Some(name), None) => Some(name),
        (_, title) => title,
    };
    Titles { shown, embedded }
}

/// Words of file names that say nothing about what is in the file.
const EMPTY_WORDS: [&str; 24] = [
    "attachment",
    "copy",
    "doc",
    "document",
    "download",
    "draft",
    "exhibit",
    "export",
    "file",
    "final",
    "image",
    "img",
    "index",
    "new",
    "old",
    "output",
    "page",
    "pdf",
    "print",
    "scan",
    "scanned",
    "temp",
    "tmp",
    "untitled",
];

/// The words of a file's name, `_` and the like read as blanks; `None` for names that programs give.
fn file_words(source: &str) -> Option<String> {
    let words: Vec<&str> =
        stem(source)?.split(|c: char| c.is_whitespace() || matches!(c, '_' | '-' | '+' | '.')).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    // Hexadecimal digits of a hash or UUID spell words only by chance.
    let hexadecimal = |word: &str| {
        word.len() >= 4
            && word.bytes().all(|b| b.is_ascii_hexdigit())
            && word.bytes().any(|b| b.is_ascii_digit())
            && word.bytes().any(|b| b.is_ascii_alphabetic())
    };
    let speaks = |word: &&str| {
        let letters = word.chars().filter(|c| c.is_alphabetic()).count();
        let few = letters < 3 && word.is_ascii();
        let bare = word.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase();
        !few && !hexadecimal(word) && !EMPTY_WORDS.contains(&bare.as_str())
    };
    words.iter().any(speaks).then(|| words.join(" "))
}

/// Whether a name has a word that the title does not have.
fn says_more(name: &str, title: &str) -> bool {
    let lower = title.to_lowercase();
    let said: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).collect();
    name.to_lowercase().split(' ').any(|word| !said.contains(&word))
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
        let titles = |given, extracted, heading, source| titles(given, extracted, heading, source, false);
        let found = titles(Some(" "), None, Some("First"), "a/b.md");
        assert_eq!((found.shown.as_deref(), found.embedded.as_deref()), (Some("First"), Some("First")));
        let found = titles(None, None, None, "https://example.org/x/report.2026.pdf?a=b");
        assert_eq!((found.shown.as_deref(), found.embedded.as_deref()), (Some("report.2026"), None));
        assert_eq!(titles(None, None, None, ".env").shown.as_deref(), Some(".env"));
        assert_eq!(titles(None, None, None, "").shown, None);
    }

    #[test]
    fn the_name_of_a_file_is_embedded_where_it_says_more_than_the_title() {
        let embedded = |given, title, source| titles(given, title, None, source, true).embedded;
        let of = |title: &'static str, source| embedded(None, Some(title), source).unwrap();
        assert_eq!(of("FORM 10-K", "x/ACME_2017_10K.pdf"), "ACME 2017 10K: FORM 10-K");
        assert_eq!(
            of("Annual Report 2017 of Acme", "acme-annual-report_2017.pdf"),
            "Annual Report 2017 of Acme"
        );
        for noise in
            ["scan0001.pdf", "Document (3).pdf", "3f2a9bc4-77aa-4a1b-9d10-aa0b1c2d3e4f.pdf", "2024-01-31.pdf"]
        {
            assert_eq!(of("T", noise), "T", "{noise}");
        }
        assert_eq!(embedded(Some("Given"), Some("T"), "ACME_2017.pdf").as_deref(), Some("Given"));
        assert_eq!(embedded(None, None, "ACME_2017.pdf").as_deref(), Some("ACME 2017"));
        assert_eq!(embedded(None, None, "2017.pdf"), None);
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
