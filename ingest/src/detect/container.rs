//! Recognises documents by their signature and by what lies inside ZIP and OLE containers.

use std::io::Cursor;

use crate::extract::{Failure, Reason};

use super::Format;

const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// The format of a file with a signature; `None` when it may be text or is some other binary.
pub(super) fn by_signature(bytes: &[u8], name: Option<&str>) -> Result<Option<Format>, Failure> {
    let head = bytes.get(..1024).unwrap_or(bytes);
    if bytes.starts_with(b"%PDF-")
        || (head.windows(5).any(|w| w == b"%PDF-") && !looks_like_mail_or_markup(head))
    {
        return Ok(Some(Format::Pdf));
    }
    if bytes.starts_with(b"PK\x03\x04")
        || bytes.starts_with(b"PK\x05\x06")
        || bytes.starts_with(b"PK\x07\x08")
    {
        return zip_kind(bytes, name).map(Some);
    }
    if bytes.starts_with(OLE) {
        return ole_kind(bytes).map(Some);
    }
    if bytes.starts_with(b"{\\rtf") {
        return Err(Failure::unsupported("RTF is not read; save it as .docx"));
    }
    if bytes.starts_with(b"%!PS") {
        return Err(Failure::unsupported("PostScript is not read; convert it to PDF"));
    }
    // Magic numbers of media and archives that would pass as text in some charset; textual ones are decided elsewhere.
    if let Some(kind) = infer::get(bytes)
        && !matches!(
            kind.matcher_type(),
            infer::MatcherType::Text | infer::MatcherType::Doc | infer::MatcherType::Book
        )
        && !matches!(kind.mime_type(), "text/x-shellscript" | "application/x-mobipocket-ebook")
        && !is_clean_text(head)
    {
        return Err(Failure::unsupported(format!("{} files are not read", kind.mime_type())));
    }
    Ok(None)
}

/// Valid UTF-8 (perhaps cut within a character at the end) without control characters: text, whatever its first letters
/// have in common with a magic number ("BCL-2 was isolated …" starts like LLVM bitcode).
fn is_clean_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() => {
            std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}'))
}

/// Text that quotes `%PDF-` early (a mail, a page about PDF) is no PDF.
fn looks_like_mail_or_markup(head: &[u8]) -> bool {
    let start = head.trim_ascii_start();
    let letters = start.iter().take(64).filter(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()).count();
    start.starts_with(b"<") || (letters == start.len().min(64) && !start.starts_with(b"%"))
}

fn zip_kind(bytes: &[u8], name: Option<&str>) -> Result<Format, Failure> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))
        .map_err(|e| Failure::corrupt(format!("a ZIP container that cannot be opened: {e}")))?;
    let mut kind = None;
    for index in 0..archive.len().min(20_000) {
        let Some(Ok(member)) = archive.name_for_index(index) else { continue };
        kind = match member.as_ref() {
            "word/document.xml" | "word/document2.xml" => Some(Format::Docx),
            "ppt/presentation.xml" => Some(Format::Pptx),
            "xl/workbook.xml" | "xl/workbook.bin" => Some(Format::Xlsx),
            "META-INF/container.xml" => Some(Format::Epub),
            _ => continue,
        };
        break;
    }
    if let Some(format) = kind {
        return Ok(format);
    }
    let declared = open_document_kind(&mut archive);
    match declared.as_deref() {
        Some("application/vnd.oasis.opendocument.spreadsheet") => Ok(Format::Ods),
        Some("application/epub+zip") => Ok(Format::Epub),
        Some(other) if other.contains("opendocument.text") => {
            Err(Failure::unsupported("OpenDocument text (.odt) is not read; save it as .docx"))
        }
        Some(other) if other.contains("opendocument.presentation") => {
            Err(Failure::unsupported("OpenDocument slides (.odp) are not read; save them as .pptx"))
        }
        Some(other) => {
            Err(Failure::unsupported(format!("a ZIP container of type {} is not read", other.escape_debug())))
        }
        None if name.is_some_and(|n| n.ends_with("docx") || n.ends_with("pptx") || n.ends_with("xlsx")) => {
            Err(Failure::corrupt("a ZIP container named like an Office document but without its main part"))
        }
        None => Err(Failure::unsupported("ZIP archives are not read; unpack it and add the files")),
    }
}

/// The content of the `mimetype` member that OpenDocument and EPUB start with.
fn open_document_kind(archive: &mut zip::ZipArchive<Cursor<&[u8]>>) -> Option<String> {
    use std::io::Read as _;
    let member = archive.by_name("mimetype").ok()?;
    let mut text = String::new();
    member.take(256).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|t| !t.is_empty())
}

/// Names of streams in an OLE file are UTF-16; they stand in its directory sectors.
fn ole_kind(bytes: &[u8]) -> Result<Format, Failure> {
    let has = |name: &str| {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes.windows(wide.len()).step_by(2).any(|w| w == wide)
    };
    if has("EncryptedPackage") {
        return Err(Failure::new(Reason::Encrypted, "the Office document needs a password"));
    }
    if has("WordDocument") {
        return Err(Failure::unsupported("the old Word format (.doc) is not read; save it as .docx"));
    }
    if has("PowerPoint Document") {
        return Err(Failure::unsupported("the old PowerPoint format (.ppt) is not read; save it as .pptx"));
    }
    if has("__properties_version1.0") {
        return Err(Failure::unsupported("Outlook messages (.msg) are not read; save it as .eml"));
    }
    if has("Workbook") || has("Book") {
        return Ok(Format::Xls);
    }
    Err(Failure::unsupported("an OLE container of an unknown kind is not read"))
}
