//! Tells text formats apart by how a text starts and what shape its lines have.

use super::{Format, Language};

/// How much of a text is looked at.
const HEAD: usize = 64 * 1024;

/// The first 64 KiB, cut at a line end where there is one.
pub(super) fn head(bytes: &[u8]) -> &[u8] {
    let Some(head) = bytes.get(..HEAD).filter(|h| h.len() < bytes.len()) else { return bytes };
    match head.iter().rposition(|&b| b == b'\n') {
        Some(end) => head.get(..=end).unwrap_or(head),
        None => head,
    }
}

/// Formats that a start gives away whatever the file is called.
pub(super) fn by_start(text: &str, extension: Option<&str>) -> Option<Format> {
    let start = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let templated = extension
        .is_some_and(|e| matches!(e, "md" | "markdown" | "mdx" | "vue" | "svelte" | "php" | "adoc" | "rst"));
    if start.starts_with('<') && !templated {
        return by_root(start);
    }
    if let Some(line) = start.lines().next().filter(|l| l.starts_with("#!"))
        && let Some(language) = Language::by_shebang(line)
    {
        return Some(Format::Code(language));
    }
    let may_be_mail = extension.is_none_or(|e| matches!(e, "eml" | "txt" | "mht" | "mhtml" | "mbox"));
    (may_be_mail && is_mail(start)).then_some(Format::Email)
}

/// The format of markup by its first element, comments and declarations skipped.
fn by_root(text: &str) -> Option<Format> {
    let mut rest = text;
    let mut xml = false;
    for _ in 0..64 {
        rest = rest.trim_start();
        let (skip, end) = if rest.starts_with("<!--") {
            (4, "-->")
        } else if rest.starts_with("<?") {
            xml |= rest.starts_with("<?xml");
            (2, "?>")
        } else if rest.get(..9).is_some_and(|d| d.eq_ignore_ascii_case("<!doctype")) {
            let kind = rest.get(9..).unwrap_or_default().trim_start();
            if kind.get(..4).is_some_and(|k| k.eq_ignore_ascii_case("html")) {
                return Some(Format::Html);
            }
            // An internal subset may hold '>' in brackets.
            let open = rest.find('[').filter(|&at| rest.find('>').is_none_or(|gt| at < gt));
            if open.is_some() { (9, "]>") } else { (9, ">") }
        } else {
            break;
        };
        let at = rest.get(skip..)?.find(end)?;
        rest = rest.get(skip + at + end.len()..)?;
    }
    let name: String = rest
        .strip_prefix('<')?
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_'))
        .collect();
    let local = name.rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
    let jats = local == "pmc-articleset"
        || (local == "article"
            && (rest.contains("<front>") || rest.contains("<front ") || rest.contains("article-type")));
    if jats {
        return Some(Format::Jats);
    }
    if xml {
        return Some(if local == "html" { Format::Html } else { Format::Xml });
    }
    let html = [
        "html", "head", "body", "div", "p", "table", "section", "main", "h1", "h2", "ul", "ol", "span",
        "title", "meta", "article", "script", "style", "link", "header", "nav", "center", "font", "b",
    ];
    html.contains(&local.as_str()).then_some(Format::Html)
}

/// At least two well-known header fields before the first blank line, and nothing but fields.
fn is_mail(text: &str) -> bool {
    const KNOWN: [&str; 14] = [
        "from",
        "to",
        "subject",
        "date",
        "received",
        "return-path",
        "message-id",
        "mime-version",
        "delivered-to",
        "content-type",
        "cc",
        "reply-to",
        "x-mailer",
        "dkim-signature",
    ];
    let (mut known, mut strong, mut fields) = (0, false, 0);
    for line in text.lines().take(400) {
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            continue;
        }
        if fields == 0 && line.starts_with("From ") {
            continue;
        }
        let Some((name, _)) = line.split_once(':') else { return false };
        if name.is_empty() || name.len() > 76 || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return false;
        }
        fields += 1;
        let name = name.to_ascii_lowercase();
        known += usize::from(KNOWN.contains(&name.as_str()));
        strong |= matches!(name.as_str(), "message-id" | "mime-version" | "received" | "return-path");
    }
    known >= 2 && (strong || known >= 3)
}

/// A format claimed by name or header, unless the text cannot be it.
pub(super) fn confirmed(format: Format, text: &str, whole: bool) -> Format {
    match format {
        Format::Email if !text.lines().take(50).any(|l| l.contains(": ")) => Format::Text,
        // One value over several lines under the wrong name; a list of lines may well hold a broken one.
        Format::Jsonl if whole && is_json(text) && !is_json_lines(text) => Format::Json,
        Format::Json if is_json_lines(text) && text.lines().filter(|l| !l.trim().is_empty()).count() > 1 => {
            Format::Jsonl
        }
        other => other,
    }
}

/// The format of a text that nothing else names.
pub(super) fn by_shape(text: &str, whole: bool) -> Format {
    let start = text.trim_start();
    if start.starts_with(['{', '[']) {
        if is_json_lines(text) && text.lines().filter(|l| !l.trim().is_empty()).count() > 1 {
            return Format::Jsonl;
        }
        if whole && is_json(start) {
            return Format::Json;
        }
    }
    if is_markdown(text) { Format::Markdown } else { Format::Text }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// The first lines (the last may be cut) are JSON objects or arrays.
fn is_json_lines(text: &str) -> bool {
    let mut lines = text.lines().filter(|l| !l.trim().is_empty()).take(3).peekable();
    let sound = |l: &str| {
        l.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(l).is_ok()
    };
    lines.peek().is_some() && lines.all(sound)
}

/// Headings, fences, tables, links: two kinds of marks, or several headings.
fn is_markdown(text: &str) -> bool {
    let (mut headings, mut other) = (0_usize, 0_usize);
    for line in text.lines().take(500) {
        let hashes = line.bytes().take_while(|&b| b == b'#').count();
        headings +=
            usize::from((1..=6).contains(&hashes) && line.get(hashes..).is_some_and(|r| r.starts_with(' ')));
        let table = line.starts_with('|') && line.trim_end().ends_with('|');
        let mark = line.starts_with("```")
            || line.starts_with("- ")
            || line.starts_with("* ")
            || line.starts_with("> ")
            || table;
        other += usize::from(mark || line.contains("](") || line.contains("**"));
    }
    headings >= 2 || (headings >= 1 && other >= 1) || other >= 4
}
