//! Reads PDF files through PDFium: text in reading order per page, with headings, paragraphs, lists and tables.

use std::sync::{Mutex, OnceLock};

use pdfium_render::prelude::{
    PdfDocument, PdfDocumentMetadataTagType as Tag, PdfPageObjectsCommon as _, Pdfium, PdfiumError,
    PdfiumInternalError,
};

use crate::offsets::Basis;

use super::{Draft, Failure, Reason, Source};

mod furniture;
mod glyphs;
mod grid;
mod headings;
mod lines;
mod paragraphs;

use headings::Ranks;
use lines::Line;

/// PDFium is bound once per process and serves one document at a time.
static PDFIUM: OnceLock<Pdfium> = OnceLock::new();
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The text of all pages. Source positions are character indices on the page, as PDFium counts them.
///
/// Running headers and footers are left out, lines are joined to paragraphs and words divided at line ends are joined.
/// A file without any text on its pages ends as `image_only`; single pages without text are counted in a warning.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, Failure> {
    let _turn = ONE_AT_A_TIME.lock();
    let pdfium = library(source)?;
    let document = pdfium.load_pdf_from_byte_slice(source.bytes, None).map_err(|e| failure(&e))?;
    let count = document.pages().len();
    let limit = source.limits.max_pages;
    if u32::try_from(count).is_ok_and(|n| n > limit) {
        return Err(Failure::too_large(format!("{count} pages, the limit is {limit} (max_pages)")));
    }
    let mut draft = Draft::new(Basis::PageChars);
    describe(&document, &mut draft);
    let mut pages: Vec<Vec<Line>> = Vec::new();
    let (mut bare, mut damaged, mut characters) = (0_usize, 0_usize, 0_usize);
    for index in 0..count {
        let Ok(page) = document.pages().get(index) else {
            damaged += 1;
            pages.push(Vec::new());
            continue;
        };
        let glyphs = glyphs::of_page(&page);
        characters += glyphs.len();
        if characters > source.limits.max_output_bytes {
            return Err(Failure::too_large(format!(
                "the pages hold more than {} characters (max_output_bytes)",
                source.limits.max_output_bytes
            )));
        }
        let lines = lines::assemble(&glyphs);
        bare += usize::from(lines.is_empty() && !page.objects().is_empty());
        pages.push(lines);
    }
    if pages.iter().all(Vec::is_empty) {
        let (reason, message) = match (bare, damaged) {
            (0, 0) => (Reason::Empty, "the pages of the PDF are blank".to_owned()),
            (0, _) => (Reason::Corrupt, format!("{damaged} of {count} pages cannot be read")),
            _ => (
                Reason::ImageOnly,
                format!("none of {count} pages has a text layer (a scan); run text recognition first"),
            ),
        };
        return Err(Failure::new(reason, message));
    }
    if bare > 0 {
        draft.warnings.push(format!("{bare} of {count} pages have no text layer"));
    }
    if damaged > 0 {
        draft.warnings.push(format!("{damaged} of {count} pages cannot be read"));
    }
    furniture::remove(&mut pages);
    write(&pages, &mut draft);
    Ok(draft)
}

fn write(pages: &[Vec<Line>], draft: &mut Draft) {
    let ranks = Ranks::of(pages);
    for (index, lines) in pages.iter().enumerate() {
        let number = index as u32 + 1;
        let start = draft.body.text.len();
        let part = draft.body.map.part(&number.to_string());
        paragraphs::write(lines, &ranks, part, &mut draft.body);
        draft.page(number, start);
    }
    if draft.title.is_none() {
        draft.title = pages.first().and_then(|lines| ranks.title(lines));
    }
}

fn library(source: &Source<'_>) -> Result<&'static Pdfium, Failure> {
    if let Some(bound) = PDFIUM.get() {
        return Ok(bound);
    }
    let unavailable =
        |why: String| Failure::new(Reason::Unavailable, format!("PDF needs the PDFium library: {why}"));
    let path = source.libs.pdfium.as_ref().ok_or_else(|| unavailable("none is configured".to_owned()))?;
    let bindings =
        Pdfium::bind_to_library(path).map_err(|e| unavailable(format!("it cannot be loaded: {e}")))?;
    Ok(PDFIUM.get_or_init(|| Pdfium::new(bindings)))
}

fn failure(error: &PdfiumError) -> Failure {
    match error {
        PdfiumError::PdfiumLibraryInternalError(PdfiumInternalError::PasswordError) => {
            Failure::new(Reason::Encrypted, "the PDF needs a password")
        }
        PdfiumError::PdfiumLibraryInternalError(PdfiumInternalError::SecurityError) => {
            Failure::new(Reason::Encrypted, "the PDF is protected in a way that is not supported")
        }
        PdfiumError::PdfiumLibraryInternalError(PdfiumInternalError::FormatError) => {
            Failure::corrupt("the PDF is damaged")
        }
        other => Failure::corrupt(format!("the PDF cannot be opened: {other}")),
    }
}

fn describe(document: &PdfDocument<'_>, draft: &mut Draft) {
    let metadata = document.metadata();
    let value = |tag| metadata.get(tag).map(|t| t.value().trim().to_owned()).filter(|v| !v.is_empty());
    draft.title = value(Tag::Title).filter(|t| is_title(t));
    for (tag, key) in [
        (Tag::Author, "author"),
        (Tag::Subject, "subject"),
        (Tag::Keywords, "keywords"),
        (Tag::CreationDate, "created"),
        (Tag::ModificationDate, "modified"),
        (Tag::Producer, "producer"),
    ] {
        if let Some(value) = value(tag) {
            draft.note(key, &value);
        }
    }
}

/// Many programs put a file name or a default there.
fn is_title(title: &str) -> bool {
    let lower = title.to_lowercase();
    let file = [
        ".doc", ".docx", ".pdf", ".indd", ".qxd", ".xls", ".xlsx", ".ppt", ".pptx", ".tex", ".dvi", ".htm",
        ".html",
    ]
    .iter()
    .any(|e| lower.ends_with(e));
    let default = lower.starts_with("microsoft word")
        || lower.starts_with("untitled")
        || lower.starts_with("document")
        || lower == "title";
    !file && !default && title.chars().filter(|c| c.is_alphabetic()).count() >= 3
}
