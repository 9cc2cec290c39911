//! Makes sections of the named parts of source code: each part up to the first one inside it, and what stands between.

use std::ops::Range;

use super::{Heading, Section, is_blank};
use crate::extract::outline::Item;

/// Headings and sections; the sections tile the text. Parts that do not lie in the text or are out of order (an outline comes
/// from another process) are left out.
pub(super) fn sections(text: &str, outline: &[Item]) -> (Vec<Heading>, Vec<Section>) {
    let mut maker =
        Maker { text, headings: Vec::new(), ends: Vec::new(), sections: Vec::new(), open: Vec::new(), at: 0 };
    for item in outline {
        maker.close(item.start);
        let end = item.end.min(maker.open_end());
        let last = maker.headings.last().map(|heading| heading.start);
        let sound = item.start >= maker.at && item.start < end && last.is_none_or(|last| last < item.start);
        if sound && text.get(item.start..end).is_some() {
            maker.emit(item.start);
            maker.open.push(maker.headings.len());
            maker.headings.push(Heading { start: item.start, text: item.name.clone() });
            maker.ends.push(line_end(text, end).min(maker.open_end()));
        }
    }
    maker.close(usize::MAX);
    maker.emit(text.len());
    (maker.headings, maker.sections)
}

struct Maker<'t> {
    text: &'t str,
    headings: Vec<Heading>,
    /// Where the part of each heading ends.
    ends: Vec<usize>,
    sections: Vec<Section>,
    /// Headings of the parts around the current position, outermost first.
    open: Vec<usize>,
    at: usize,
}

impl Maker<'_> {
    /// Where the innermost open part ends.
    fn open_end(&self) -> usize {
        self.open.last().and_then(|&part| self.ends.get(part)).copied().unwrap_or(self.text.len())
    }

    /// Ends the parts that end at or before a position.
    fn close(&mut self, before: usize) {
        while !self.open.is_empty() && self.open_end() <= before {
            self.emit(self.open_end());
            self.open.pop();
        }
    }

    /// Makes a section of everything up to a position. What holds no word (a closing brace) goes with the section before.
    fn emit(&mut self, end: usize) {
        if end <= self.at {
            return;
        }
        let span = self.at..end;
        self.at = end;
        let part = self.text.get(span.clone()).unwrap_or_default();
        if !part.chars().any(char::is_alphanumeric)
            && let Some(before) = self.sections.last_mut()
        {
            before.span.end = end;
            return;
        }
        let bare = is_blank(self.text, span.clone()) || self.opens(&span, part);
        self.sections.push(Section { body: span.start, path: self.open.clone(), span, bare });
    }

    /// Whether a section is one line that only opens a part which goes on behind it: a heading with nothing under it.
    fn opens(&self, span: &Range<usize>, part: &str) -> bool {
        let own = self.open.last().and_then(|&part| self.headings.get(part));
        own.is_some_and(|own| own.start == span.start)
            && self.open_end() > span.end
            && part.trim().lines().count() == 1
    }
}

/// The end of a line whose rest is blank or closes a statement; else the position itself.
fn line_end(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let line = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
    let closes =
        rest.get(..line).is_some_and(|rest| rest.trim().trim_matches([';', ',', ')', '}']).is_empty());
    if closes { at + line } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str, from: &str, to: &str, name: &str) -> Item {
        let start = text.find(from).unwrap();
        Item { start, end: start + text[start..].find(to).unwrap() + to.len(), name: name.to_owned() }
    }

    #[test]
    fn parts_tile_the_text_and_closing_braces_go_with_what_they_close() {
        let text = "use a;\n\nclass A {\n  f() {\n    1\n  }\n\n  x = 2;\n}\n\nfn g() {}\n";
        let outline = [
            item(text, "class", "2;\n}", "A"),
            item(text, "  f()", "1\n  }", "f"),
            item(text, "fn g", "{}", "g"),
        ];
        let (headings, sections) = sections(text, &outline);
        let shown: Vec<(String, &str, bool)> = sections
            .iter()
            .map(|s| {
                let path: Vec<&str> = s.path.iter().map(|&i| headings[i].text.as_str()).collect();
                (path.join("/"), &text[s.span.clone()], s.bare)
            })
            .collect();
        assert_eq!(
            shown,
            [
                (String::new(), "use a;\n\n", false),
                ("A".to_owned(), "class A {\n", true),
                ("A/f".to_owned(), "  f() {\n    1\n  }\n", false),
                ("A".to_owned(), "\n  x = 2;\n}\n\n", false),
                ("g".to_owned(), "fn g() {}\n", false),
            ]
        );
    }

    #[test]
    fn an_unsound_outline_does_no_harm() {
        let text = "é fn a() {}\nfn b() {}\n";
        let all = |start, end| Item { start, end, name: "n".to_owned() };
        for outline in [
            vec![all(1, 5)],
            vec![all(5, 2), all(3, 3)],
            vec![all(3, 900), all(3, 4), all(2, 9)],
            vec![all(13, 20), all(0, 4)],
            vec![all(usize::MAX - 1, usize::MAX)],
        ] {
            let (_, sections) = sections(text, &outline);
            let tiled: String = sections.iter().map(|s| &text[s.span.clone()]).collect();
            assert_eq!(tiled, text, "{outline:?}");
        }
    }
}
