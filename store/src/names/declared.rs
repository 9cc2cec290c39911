//! What a text declares by name: terms that it defines, and functions, types and tables of source code.

use super::forms::is_marked;

/// Longer ones are no terms but emphasised sentences.
const MAX_TERM_BYTES: usize = 80;

/// Extensions of files in which a declaration is one.
const CODE: &[&str] = &[
    "c", "cc", "cpp", "cs", "cxx", "go", "h", "hpp", "java", "js", "jsx", "kt", "lua", "mjs", "php", "proto",
    "py", "rb", "rs", "scala", "sql", "swift", "ts", "tsx", "vue", "zig",
];

/// Words that may stand before a declaring word.
const BEFORE: &[&str] = &[
    "abstract",
    "async",
    "const",
    "create",
    "data",
    "declare",
    "default",
    "export",
    "extern",
    "final",
    "inline",
    "internal",
    "open",
    "or",
    "override",
    "partial",
    "private",
    "protected",
    "pub",
    "public",
    "replace",
    "sealed",
    "static",
    "temp",
    "temporary",
    "unsafe",
    "virtual",
];

/// Words that declare what follows.
const DECLARING: &[&str] = &[
    "class",
    "def",
    "enum",
    "fn",
    "fun",
    "func",
    "function",
    "interface",
    "macro_rules!",
    "message",
    "object",
    "procedure",
    "protocol",
    "record",
    "service",
    "struct",
    "table",
    "trait",
    "type",
    "union",
    "view",
];

/// Whether the file's extension is that of a programming language.
pub(super) fn is_code(address: &str) -> bool {
    address
        .rsplit_once('.')
        .is_some_and(|(_, extension)| CODE.iter().any(|code| extension.eq_ignore_ascii_case(code)))
}

/// Terms in bold at the beginning of a line, followed by a dash or colon, each with the first byte of its line:
/// `**DQF** – data quality flag`, `- **Night rate:** from ten to five`.
pub(super) fn terms(text: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(text).filter_map(|(at, line)| {
        let line = line.trim_start_matches([' ', '\t', '-', '+', '>']);
        let line = line.strip_prefix("* ").unwrap_or(line);
        let (term, rest) = line.strip_prefix("**")?.split_once("**")?;
        let name = term.trim().trim_end_matches(':').trim_end();
        let defines = term.trim_end().ends_with(':') || rest.trim_start().starts_with([':', '–', '—', '-']);
        (defines && (1..=MAX_TERM_BYTES).contains(&name.len())).then_some((at, name))
    })
}

/// Identifiers that lines of source code declare, each with its line's first byte. Works on words, for every language
/// alike: a declaration within a comment or string counts too. Short plain names (`new`, `main`, `parse`) are left out:
/// every program has them.
pub(super) fn symbols(text: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(text).filter_map(|(at, line)| Some((at, declared(line)?)))
}

fn declared(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    loop {
        let (word, after) = rest.split_once([' ', '\t'])?;
        rest = after.trim_start();
        let lower = word.to_ascii_lowercase();
        if DECLARING.contains(&lower.as_str()) {
            break;
        }
        if !BEFORE.contains(&lower.as_str()) && !word.starts_with("pub(") {
            return None;
        }
    }
    let lower = rest.get(..14).unwrap_or_default().to_ascii_lowercase();
    if lower == "if not exists " {
        rest = &rest[14..];
    }
    if rest.starts_with('(') {
        // The receiver of a method in Go.
        rest = rest.split_once(')')?.1;
    }
    let rest = rest.trim_start_matches([' ', '"', '`', '[']);
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let name = &rest[..end];
    let telling = is_marked(name) || name.len() > 5;
    (telling && name.len() > 2 && !name.starts_with(char::is_numeric)).then_some(name)
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line.trim_end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_of_many_languages() {
        for (line, name) in [
            ("pub(crate) async fn replay_log(&self) {", Some("replay_log")),
            ("export default class GatewayClient extends Base {", Some("GatewayClient")),
            ("    def poll_rate(self):", Some("poll_rate")),
            ("func (r *Reader) ReadAll(n int) error {", Some("ReadAll")),
            ("CREATE TABLE IF NOT EXISTS \"readings\" (", Some("readings")),
            ("struct Otter3<'a> {", Some("Otter3")),
            ("def main():", None),
            ("let table = make();", None),
            ("return function", None),
            ("type = 3", None),
        ] {
            assert_eq!(declared(line), name, "{line}");
        }
        assert!(is_code("a/b.RS") && !is_code("a/b.md") && !is_code("rs"));
    }

    #[test]
    fn places_are_those_of_the_lines() {
        assert_eq!(symbols("x\n\nfn take_all() {}\n").collect::<Vec<_>>(), [(3, "take_all")]);
        let text = "- **A b:** c\n* **D** — e\n**f** g\n**h\n";
        assert_eq!(terms(text).collect::<Vec<_>>(), [(0, "A b"), (13, "D")]);
    }
}
