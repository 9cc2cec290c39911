//! Bytes in, clean Markdown-like text with its structure, pages and source positions out; one document, no I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clean::{clean, clean_line};
use crate::detect::{Format, detect};
use crate::offsets::{Basis, Builder, OffsetMap};

mod archive;
mod chart;
mod csv;
mod docx;
mod email;
mod epub;
mod failure;
mod html;
mod json;
mod limits;
mod links;
mod markdown;
mod math;
mod opc;
pub mod outline;
mod pdf;
mod pptx;
mod sheet;
mod table;
mod text;
mod xml;
mod xmltree;

pub use failure::{Failure, Reason};
pub use limits::{Libraries, Limits};
pub use links::LinkSpan;

/// One page, slide or sheet: the bytes `start..end` of the stored text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageSpan {
    /// Number of the page, from 1.
    pub page: u32,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// What was read from a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extracted {
    /// The stored text: UTF-8 in NFC, LF line ends, Markdown structure, nothing invisible, not blank.
    pub text: String,
    /// The document's own title, else its first heading of level 1, else for source code the file name; one line.
    pub title: Option<String>,
    /// What the file was read as.
    pub format: Format,
    /// Pages ascending by number and position, not overlapping, inside the text; empty when the format has none.
    /// Slides and sheets count as pages. A page without text has no entry.
    pub pages: Vec<PageSpan>,
    /// Named parts of source code and configuration; empty for other formats and for code that does not parse.
    pub outline: Vec<outline::Item>,
    /// Where each stretch of `text` came from.
    pub offsets: OffsetMap,
    /// Links of web pages, ascending by position; formats whose text shows the targets (Markdown) have none here.
    pub links: Vec<LinkSpan>,
    /// What the document says about itself: `author`, `created` (as written), `subject`, `from`, `to`, `date`,
    /// `language`, `description`, keys of the front matter.
    pub metadata: BTreeMap<String, Value>,
    /// Sentences about what could not be read, for the report: "3 of 10 pages have no text layer".
    pub warnings: Vec<String>,
}

/// What a format's reader hands back before the common cleaning.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) body: Builder,
    /// Ascending by position in the source.
    pub(crate) anchors: Vec<links::Anchor>,
    pub(crate) title: Option<String>,
    pub(crate) pages: Vec<PageSpan>,
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) warnings: Vec<String>,
}

impl Draft {
    pub(crate) fn new(basis: Basis) -> Self {
        Self { body: Builder::new(basis), ..Self::default() }
    }

    /// Sets a metadata value if it says anything after cleaning; the first value of a key stays.
    pub(crate) fn note(&mut self, key: &str, value: &str) {
        let value = clean_line(value);
        if !value.is_empty() {
            self.metadata.entry(key.to_owned()).or_insert(Value::String(value));
        }
    }

    /// Records what was written since `start` as a page, unless it is blank.
    pub(crate) fn page(&mut self, page: u32, start: usize) {
        let written = self.body.text.get(start..).unwrap_or_default();
        let lead = written.len() - written.trim_start().len();
        let end = start + written.trim_end().len();
        if start + lead < end {
            self.pages.push(PageSpan { page, start: start + lead, end });
        }
    }
}

/// Reads one document. Blocking, deterministic, no I/O besides loading the PDF library.
///
/// `name` is the file name (or the last part of a URL), `declared` a media type with optional charset; both only help
/// where the content does not decide. Untrusted bytes belong into [`crate::sandbox::Sandbox`]: the limits checked here
/// are the ones on sizes, counts and depth, while time and memory need a process of their own.
///
/// # Errors
/// A [`Failure`] with the reason; text is never silently empty.
pub fn extract(
    bytes: &[u8],
    name: Option<&str>,
    declared: Option<&str>,
    limits: &Limits,
    libs: &Libraries,
) -> Result<Extracted, Failure> {
    if bytes.len() as u64 > limits.max_input_bytes {
        return Err(Failure::too_large(format!(
            "the file has {} bytes, the limit is {} (max_input_bytes)",
            bytes.len(),
            limits.max_input_bytes
        )));
    }
    let format = detect(bytes, name, declared)?;
    let source = Source { bytes, name, declared, limits, libs, depth: 0 };
    let draft = read(format, &source)?;
    finish(draft, format, name, limits)
}

/// Everything a reader may look at.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) name: Option<&'a str>,
    pub(crate) declared: Option<&'a str>,
    pub(crate) limits: &'a Limits,
    pub(crate) libs: &'a Libraries,
    /// How many containers (a mail) lie around this document.
    pub(crate) depth: usize,
}

impl Source<'_> {
    /// The charset parameter of the declared media type.
    pub(crate) fn charset(&self) -> Option<&str> {
        let (_, parameters) = self.declared?.split_once(';')?;
        let value = parameters.split(';').find_map(|p| p.trim().strip_prefix("charset="))?;
        Some(value.trim_matches('"'))
    }
}

pub(crate) fn read(format: Format, source: &Source<'_>) -> Result<Draft, Failure> {
    match format {
        Format::Markdown => markdown::read(source),
        Format::Html => html::read(source),
        Format::Pdf => pdf::read(source),
        Format::Docx => docx::read(source),
        Format::Pptx => pptx::read(source),
        Format::Xlsx | Format::Xls | Format::Ods => sheet::read(source, format),
        Format::Csv => csv::read(source),
        Format::Epub => epub::read(source),
        Format::Email => email::read(source),
        Format::Json => json::read(source),
        Format::Jsonl => json::read_lines(source),
        Format::Jats | Format::Xml => xml::read(source),
        Format::Text | Format::Code(_) | Format::AsciiDoc | Format::ReStructuredText | Format::Tex => {
            text::read(source, format)
        }
    }
}

fn finish(draft: Draft, format: Format, name: Option<&str>, limits: &Limits) -> Result<Extracted, Failure> {
    let Draft { body, anchors, title, pages, metadata, warnings } = draft;
    if body.text.len() > limits.max_output_bytes {
        let message = format!(
            "the text has {} bytes, the limit is {} (max_output_bytes)",
            body.text.len(),
            limits.max_output_bytes
        );
        return Err(Failure::too_large(message));
    }
    let (text, offsets, pages) = clean(body.text, body.map, pages);
    if text.trim().is_empty() {
        return Err(Failure::new(Reason::Empty, format!("the {} holds no text", format.name())));
    }
    let title = title.map(|t| clean_line(&t)).filter(|t| !t.is_empty());
    let title = title.or_else(|| first_heading(&text)).map(|t| shortened(&t, 300));
    let pages = pages.into_iter().filter(|p| p.start < p.end).collect();
    let outline = outline::of(&text, format, name);
    let links = links::in_text(anchors, &offsets, &text);
    Ok(Extracted { text, title, format, pages, outline, offsets, links, metadata, warnings })
}

/// The first heading of level 1 outside code, plain.
fn first_heading(text: &str) -> Option<String> {
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.starts_with("```") || line.starts_with("~~~");
        if let Some(title) = line.strip_prefix("# ")
            && !fenced
        {
            let plain = title.trim().trim_end_matches('#').replace(['*', '`'], "");
            return Some(clean_line(&plain)).filter(|t| !t.is_empty());
        }
    }
    None
}

/// At most `max` characters, cut at a word where possible.
fn shortened(text: &str, max: usize) -> String {
    let Some((cut, _)) = text.char_indices().nth(max) else { return text.to_owned() };
    let head = text.get(..cut).unwrap_or_default();
    let end = head.rfind(' ').filter(|&at| at > cut / 2).unwrap_or(cut);
    format!("{}…", head.get(..end).unwrap_or(head))
}
