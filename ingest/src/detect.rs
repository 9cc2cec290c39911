//! Says what kind of document some bytes are: by content first, then by name, then by the declared media type.

use serde::{Deserialize, Serialize};

use crate::charset::{decode, is_binary};
use crate::extract::{Failure, Reason};

mod container;
mod language;
mod prose;

pub use language::Language;

/// The kinds of documents that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// Plain text.
    Text,
    /// Markdown.
    Markdown,
    /// HTML and XHTML.
    Html,
    /// PDF.
    Pdf,
    /// Word (Office Open XML).
    Docx,
    /// PowerPoint (Office Open XML).
    Pptx,
    /// Excel (Office Open XML, also the binary .xlsb).
    Xlsx,
    /// Excel 97–2003.
    Xls,
    /// OpenDocument spreadsheet.
    Ods,
    /// Values separated by comma, semicolon, tab or bar.
    Csv,
    /// EPUB.
    Epub,
    /// A mail message (RFC 5322).
    Email,
    /// One JSON value.
    Json,
    /// One JSON value per line.
    Jsonl,
    /// AsciiDoc.
    AsciiDoc,
    /// reStructuredText.
    ReStructuredText,
    /// TeX and LaTeX.
    Tex,
    /// JATS (journal article XML).
    Jats,
    /// Any other XML.
    Xml,
    /// Source code.
    Code(Language),
}

impl Format {
    /// The media type, without parameters.
    pub fn media_type(&self) -> &'static str {
        match self {
            Self::Text | Self::Code(_) => "text/plain",
            Self::Markdown => "text/markdown",
            Self::Html => "text/html",
            Self::Pdf => "application/pdf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Xls => "application/vnd.ms-excel",
            Self::Ods => "application/vnd.oasis.opendocument.spreadsheet",
            Self::Csv => "text/csv",
            Self::Epub => "application/epub+zip",
            Self::Email => "message/rfc822",
            Self::Json => "application/json",
            Self::Jsonl => "application/jsonl",
            Self::AsciiDoc => "text/asciidoc",
            Self::ReStructuredText => "text/x-rst",
            Self::Tex => "text/x-tex",
            Self::Jats | Self::Xml => "application/xml",
        }
    }

    /// A short name for people and statistics; for source code that of the language.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Pptx => "pptx",
            Self::Xlsx => "xlsx",
            Self::Xls => "xls",
            Self::Ods => "ods",
            Self::Csv => "csv",
            Self::Epub => "epub",
            Self::Email => "email",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::AsciiDoc => "asciidoc",
            Self::ReStructuredText => "rst",
            Self::Tex => "tex",
            Self::Jats => "jats",
            Self::Xml => "xml",
            Self::Code(language) => language.name(),
        }
    }

    /// Whether the stored text is the file as it was written (its structure is Markdown or none).
    pub fn is_verbatim(&self) -> bool {
        matches!(
            self,
            Self::Text | Self::Markdown | Self::Code(_) | Self::AsciiDoc | Self::ReStructuredText | Self::Tex
        )
    }
}

/// Finds the format of a document.
///
/// Signatures and the inside of containers decide first; for text, an unmistakable start (HTML, XML, mail headers),
/// then the extension of `name`, then `declared` (a media type), then the shape of the text.
///
/// # Errors
/// `Empty` for no bytes (or only white space), `Encrypted` for a password-protected Office file, `Unsupported` naming
/// what was seen, `Corrupt` for a container that cannot be opened.
pub fn detect(bytes: &[u8], name: Option<&str>, declared: Option<&str>) -> Result<Format, Failure> {
    if bytes.is_empty() {
        return Err(Failure::new(Reason::Empty, "the file has no bytes"));
    }
    if let Some(format) = container::by_signature(bytes, name)? {
        return Ok(format);
    }
    if is_binary(bytes) {
        return Err(Failure::unsupported(binary_kind(bytes, name)));
    }
    let head = prose::head(bytes);
    let text = decode(head, None).text;
    if text.trim().is_empty() && bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::new(Reason::Empty, "the file holds only white space"));
    }
    let extension = name.and_then(extension);
    if let Some(format) = prose::by_start(&text, extension.as_deref()) {
        return Ok(format);
    }
    if let Some(format) = name.and_then(by_name).or_else(|| declared.and_then(by_media_type)) {
        return Ok(prose::confirmed(format, &text, head.len() == bytes.len()));
    }
    Ok(prose::by_shape(&text, head.len() == bytes.len()))
}

/// The part of a name behind its last dot, in lower case.
fn extension(name: &str) -> Option<String> {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let (stem, extension) = file.rsplit_once('.')?;
    (!stem.is_empty() && extension.len() <= 12).then(|| extension.to_ascii_lowercase())
}

fn by_name(name: &str) -> Option<Format> {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let Some(extension) = extension(name) else { return Language::by_file_name(file).map(Format::Code) };
    Some(match extension.as_str() {
        "md" | "markdown" | "mdown" | "mkd" | "mdx" | "qmd" | "rmd" => Format::Markdown,
        "html" | "htm" | "xhtml" => Format::Html,
        "csv" | "tsv" | "psv" => Format::Csv,
        "eml" => Format::Email,
        "json" | "geojson" | "webmanifest" | "ipynb" => Format::Json,
        "jsonl" | "ndjson" => Format::Jsonl,
        "adoc" | "asciidoc" | "asc" => Format::AsciiDoc,
        "rst" | "rest" => Format::ReStructuredText,
        "tex" | "latex" | "ltx" | "sty" | "cls" => Format::Tex,
        "xml" | "nxml" | "xsd" | "rss" | "atom" | "svg" | "xsl" | "xslt" => Format::Xml,
        "txt" | "text" | "log" | "srt" | "vtt" => return None,
        other => {
            return Language::by_extension(other).or_else(|| Language::by_file_name(file)).map(Format::Code);
        }
    })
}

fn by_media_type(declared: &str) -> Option<Format> {
    let kind = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(match kind.as_str() {
        "text/markdown" | "text/x-markdown" => Format::Markdown,
        "text/html" | "application/xhtml+xml" => Format::Html,
        "text/csv" | "text/tab-separated-values" => Format::Csv,
        "message/rfc822" => Format::Email,
        "application/json" | "text/json" => Format::Json,
        "application/jsonl" | "application/x-ndjson" | "application/ndjson" => Format::Jsonl,
        "text/asciidoc" => Format::AsciiDoc,
        "text/x-rst" => Format::ReStructuredText,
        "text/x-tex" | "application/x-tex" | "application/x-latex" => Format::Tex,
        "text/xml" | "application/xml" => Format::Xml,
        _ if kind.ends_with("+xml") => Format::Xml,
        _ if kind.ends_with("+json") => Format::Json,
        _ => return None,
    })
}

fn binary_kind(bytes: &[u8], name: Option<&str>) -> String {
    let named = name.and_then(extension).map(|e| format!(" (named .{e})")).unwrap_or_default();
    match infer::get(bytes) {
        Some(kind) => format!("{} files are not read{named}", kind.mime_type()),
        None => format!("binary data of an unknown kind{named}"),
    }
}
