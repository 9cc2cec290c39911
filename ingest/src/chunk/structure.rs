//! Finds the structure of stored text: sections by headings, and the tables and code blocks inside them.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use wellspring_models::text::sentences;

use crate::extract::outline::Item;

mod parts;

/// How the stored text is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    /// As Markdown: what extraction makes of formats with structure.
    Markdown,
    /// As it stands (plain text, source code, other markup): a `#` is no heading.
    Plain,
}

/// A heading longer than this is a paragraph that happens to look like one (bytes).
const LONGEST_HEADING: usize = 300;

/// What stands before a table and is longer than this does not say what the table shows (bytes).
const LONGEST_CAPTION: usize = 320;

/// A heading with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heading {
    pub(super) start: usize,
    pub(super) text: String,
}

/// A heading and what follows up to the next heading of any level; or what stands before the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) span: Range<usize>,
    /// Indices of the headings above, outermost first, its own last; empty before the first heading.
    pub(super) path: Vec<usize>,
    /// Where what follows the heading begins.
    pub(super) body: usize,
    /// Whether nothing but the heading is in it.
    pub(super) bare: bool,
}

/// A table: its bytes, and those of the header with the line below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) span: Range<usize>,
    pub(super) header: Range<usize>,
    /// What its rows are told when they stand apart from it: its header, or that of the table before where a page or a line of
    /// text cut one table in two. None where its first row holds amounts and so is no header.
    pub(super) names: Option<Range<usize>>,
    /// Where the short paragraph, or the last sentence of a longer one, begins that stands right before the table and says
    /// what it shows; the table's own start where there is none.
    pub(super) lead: usize,
}

/// What was found; everything ascending and not overlapping.
#[derive(Debug, Default)]
pub(super) struct Structure {
    pub(super) headings: Vec<Heading>,
    /// Tiles the whole text.
    pub(super) sections: Vec<Section>,
    pub(super) tables: Vec<Table>,
    pub(super) code: Vec<Range<usize>>,
}

impl Structure {
    pub(super) fn of(text: &str, markup: Markup) -> Self {
        let mut structure = Self::default();
        let mut levels = Vec::new();
        let mut ends = Vec::new();
        if markup == Markup::Markdown {
            structure.scan(text, &mut levels, &mut ends);
        }
        structure.make_sections(text, &levels, &ends);
        structure.find_leads(text);
        structure
    }

    /// Sections along the named parts of source code, whose names are the headings.
    pub(super) fn of_outline(text: &str, outline: &[Item]) -> Self {
        let (headings, sections) = parts::sections(text, outline);
        Self { headings, sections, ..Self::default() }
    }

    fn scan(&mut self, text: &str, levels: &mut Vec<HeadingLevel>, ends: &mut Vec<usize>) {
        let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
        let mut depth = 0_usize;
        let mut heading: Option<String> = None;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            match event {
                Event::Start(Tag::Heading { .. }) if depth == 0 => heading = Some(String::new()),
                Event::End(TagEnd::Heading(level)) => {
                    let title = heading.take().map(|t| t.split_whitespace().collect::<Vec<_>>().join(" "));
                    if let Some(title) = title.filter(|t| (1..=LONGEST_HEADING).contains(&t.len())) {
                        self.headings.push(Heading { start: range.start, text: title });
                        levels.push(level);
                        ends.push(range.end);
                    }
                }
                Event::Text(part) | Event::Code(part) => {
                    if let Some(title) = &mut heading {
                        title.push_str(&part);
                    }
                }
                Event::SoftBreak | Event::HardBreak => {
                    if let Some(title) = &mut heading {
                        title.push(' ');
                    }
                }
                Event::Start(Tag::Table(_)) if depth == 0 => {
                    self.tables.push(Table {
                        header: header_of(text, &range),
                        names: None,
                        lead: range.start,
                        span: range,
                    });
                }
                Event::Start(Tag::CodeBlock(_)) if depth == 0 => self.code.push(range),
                Event::Start(Tag::BlockQuote(_) | Tag::List(_) | Tag::FootnoteDefinition(_)) => depth += 1,
                Event::End(TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::FootnoteDefinition) => {
                    depth = depth.saturating_sub(1);
                }
                _ => {}
            }
        }
    }

    fn make_sections(&mut self, text: &str, levels: &[HeadingLevel], ends: &[usize]) {
        let first = self.headings.first().map_or(text.len(), |heading| heading.start);
        if first > 0 {
            self.sections.push(Section {
                span: 0..first,
                path: Vec::new(),
                body: 0,
                bare: is_blank(text, 0..first),
            });
        }
        let mut path: Vec<usize> = Vec::new();
        for (index, heading) in self.headings.iter().enumerate() {
            let end = self.headings.get(index + 1).map_or(text.len(), |next| next.start);
            while path.last().is_some_and(|&above| levels.get(above) >= levels.get(index)) {
                path.pop();
            }
            path.push(index);
            let body = ends.get(index).copied().unwrap_or(end).min(end);
            let bare = is_blank(text, body..end);
            self.sections.push(Section { span: heading.start..end, path: path.clone(), body, bare });
        }
    }

    fn find_leads(&mut self, text: &str) {
        let mut tables = std::mem::take(&mut self.tables);
        let mut before = 0;
        // Section, columns and header of the table before.
        let mut last: Option<(usize, usize, Range<usize>)> = None;
        for table in &mut tables {
            let start = table.span.start;
            let section = self.section_at(start);
            let header = text.get(table.header.clone()).unwrap_or_default();
            let columns = cells(header).count();
            if names_columns(header) {
                last = Some((section, columns, table.header.clone()));
            }
            table.names = last
                .as_ref()
                .filter(|(in_section, of, _)| *in_section == section && *of == columns)
                .map(|(_, _, header)| header.clone());
            let code = self.code.partition_point(|c| c.start < start).checked_sub(1);
            let from = before
                .max(self.sections.get(section).map_or(0, |section| section.body))
                .max(code.and_then(|i| self.code.get(i)).map_or(0, |code| code.end));
            table.lead = lead(text, from.min(start)..start);
            before = table.span.end;
        }
        self.tables = tables;
    }

    /// The table around a position, if any.
    pub(super) fn tables_in(&self, span: &Range<usize>) -> &[Table] {
        let first = self.tables.partition_point(|table| table.span.end <= span.start);
        let last = self.tables.partition_point(|table| table.span.start < span.end);
        self.tables.get(first..last.max(first)).unwrap_or_default()
    }

    /// Where the prose before a position begins: the end of the last table, code block or heading line before it.
    pub(super) fn prose_start(&self, at: usize) -> usize {
        let table = self
            .tables
            .partition_point(|t| t.span.start < at)
            .checked_sub(1)
            .and_then(|i| self.tables.get(i));
        let code = self.code.partition_point(|c| c.start < at).checked_sub(1).and_then(|i| self.code.get(i));
        table.map_or(0, |t| t.span.end).max(code.map_or(0, |c| c.end))
    }

    /// The section that holds a position.
    pub(super) fn section_at(&self, at: usize) -> usize {
        self.sections
            .partition_point(|section| section.span.end <= at)
            .min(self.sections.len().saturating_sub(1))
    }
}

/// The first two lines of a table.
fn header_of(text: &str, table: &Range<usize>) -> Range<usize> {
    let lines = text.get(table.clone()).unwrap_or_default().split_inclusive('\n').take(2);
    table.start..table.start + lines.map(str::len).sum::<usize>()
}

/// The cells of the first row.
fn cells(header: &str) -> impl Iterator<Item = &str> {
    let row = header.lines().next().unwrap_or_default().trim();
    let row = row.strip_prefix('|').unwrap_or(row);
    row.strip_suffix('|').unwrap_or(row).split('|').map(str::trim)
}

/// Whether a table's first row names its columns: not most of it are amounts (a year is none).
fn names_columns(header: &str) -> bool {
    let amount = |cell: &&str| {
        let year = cell.len() == 4 && (cell.starts_with("19") || cell.starts_with("20"));
        !year && cell.chars().any(|c| c.is_ascii_digit()) && cell.chars().all(|c| !c.is_alphabetic())
    };
    let (named, amounts) = (
        cells(header).skip(1).filter(|c| !c.is_empty()).count(),
        cells(header).skip(1).filter(amount).count(),
    );
    amounts * 2 <= named
}

/// Where the caption begins that ends what stands before a table; the end of the span where there is none.
fn lead(text: &str, span: Range<usize>) -> usize {
    let before = text.get(span.clone()).unwrap_or_default().trim_end();
    let paragraph = before.rfind("\n\n").map_or(0, |blank| blank + 2);
    let sentence = || {
        let start = sentences(before).last()?.start;
        (before.len() - start <= LONGEST_CAPTION).then_some(start)
    };
    let start = if before.len() - paragraph <= LONGEST_CAPTION { Some(paragraph) } else { sentence() };
    let caption = start.and_then(|start| Some((start, before.get(start..)?)));
    let caption = caption.filter(|(_, caption)| caption.chars().any(char::is_alphabetic));
    caption
        .map_or(span.end, |(start, caption)| span.start + start + caption.len() - caption.trim_start().len())
}

fn is_blank(text: &str, range: Range<usize>) -> bool {
    text.get(range).is_none_or(|part| part.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(structure: &Structure) -> Vec<Vec<&str>> {
        let name = |i: &usize| structure.headings[*i].text.as_str();
        structure.sections.iter().map(|s| s.path.iter().map(name).collect()).collect()
    }

    #[test]
    fn sections_follow_headings_and_tile_the_text() {
        let text = "intro\n\n# A *b* `c`\n\n## One\ntext\n\n### Deep\n\n## Two\n> # quoted\n\n```\n# code\n```\n# Z\n";
        let structure = Structure::of(text, Markup::Markdown);
        let expected: Vec<Vec<&str>> = vec![
            vec![],
            vec!["A b c"],
            vec!["A b c", "One"],
            vec!["A b c", "One", "Deep"],
            vec!["A b c", "Two"],
            vec!["Z"],
        ];
        assert_eq!(paths(&structure), expected);
        let bare: Vec<bool> = structure.sections.iter().map(|s| s.bare).collect();
        assert_eq!(bare, [false, true, false, true, false, true]);
        let mut at = 0;
        for section in &structure.sections {
            assert_eq!(section.span.start, at);
            at = section.span.end;
        }
        assert_eq!(at, text.len());
        assert_eq!(structure.code.len(), 1);
    }

    #[test]
    fn tables_have_a_header_of_two_lines() {
        let text = "x\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\ny";
        let structure = Structure::of(text, Markup::Markdown);
        let table = &structure.tables[0];
        assert_eq!(&text[table.header.clone()], "| a | b |\n|---|---|\n");
        assert!(text[table.span.clone()].ends_with("| 3 | 4 |\n"));
        assert_eq!(structure.prose_start(text.len()), table.span.end);
    }

    #[test]
    fn a_table_without_a_header_has_that_of_the_table_it_goes_on_from() {
        let head = "| | 2015 | 2016 |\n|---|---|---|\n";
        let rest = "| Other | 6,281 | (8,116) |\n|---|---|---|\n| Net | 1 | 2 |\n";
        let text = format!(
            "# A\n\n{head}| Sales | 1 | 2 |\n\nDepreciation and\n\n{rest}\n# B\n\n{rest}\n| a |\n|---|\n| 5 |\n"
        );
        let structure = Structure::of(&text, Markup::Markdown);
        let names: Vec<_> = structure.tables.iter().map(|t| t.names.clone().map(|n| &text[n])).collect();
        assert_eq!(names, [Some(head), Some(head), None, Some("| a |\n|---|\n")]);
    }

    #[test]
    fn a_caption_is_the_short_paragraph_or_the_last_sentence_before_a_table() {
        let table = "| a |\n|---|\n| 1 |\n";
        let long = "A plain sentence that goes on and on. ".repeat(12);
        for (before, caption) in [
            ("# T\n\nSales by region\nin millions\n\n".to_owned(), "Sales by region\nin millions\n\n"),
            (format!("{long}\n\n  Sales:\n\n"), "Sales:\n\n"),
            (format!("{long}The table shows sales:\n\n"), "The table shows sales:\n\n"),
            ("# Heading alone\n\n".to_owned(), ""),
            (format!("x\n\n{table}\n"), ""),
            ("```\ncode\n```\n\n".to_owned(), ""),
            ("---\n\n".to_owned(), ""),
            (String::new(), ""),
        ] {
            let text = format!("{before}{table}");
            let structure = Structure::of(&text, Markup::Markdown);
            let last = structure.tables.last().unwrap();
            assert_eq!(&text[last.lead..last.span.start], caption, "{text}");
        }
    }

    #[test]
    fn plain_text_has_no_headings() {
        let structure = Structure::of("# comment\ncode()\n", Markup::Plain);
        assert!(structure.headings.is_empty());
        assert_eq!(structure.sections.len(), 1);
        assert!(Structure::of("", Markup::Markdown).sections.is_empty());
    }
}
