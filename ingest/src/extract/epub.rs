//! Reads EPUB books: chapters in spine order, each under its heading, as Markdown.

use crate::charset::decode;

use super::archive::{Archive, resolve};
use super::xmltree::{Id, ROOT, Tree};
use super::{Draft, Failure, Reason, Source, html};

/// The book without its navigation page. Source positions count blocks of each chapter file.
///
/// An own reader of the few parts needed: a general EPUB library would unpack members beyond our limits.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, Failure> {
    let mut archive = Archive::open(source.bytes, source.limits)?;
    if archive.names().iter().any(|n| n == "META-INF/rights.xml") {
        return Err(Failure::new(Reason::Encrypted, "the book is protected by rights management"));
    }
    let mut draft = Draft::new(html::CHAPTERS);
    let package_name = package_name(&mut archive, source)?;
    let package =
        archive.member(&package_name)?.ok_or_else(|| Failure::corrupt("the book has no package file"))?;
    let package = Tree::parse(&package, source.limits)?;
    describe(&package, &mut draft);
    let chapters = spine(&package, &package_name);
    if chapters.is_empty() {
        return Err(Failure::corrupt("the book lists no chapters"));
    }
    let mut missing = 0;
    for name in &chapters {
        let bytes = match archive.member(name) {
            Ok(Some(bytes)) => bytes,
            Err(failure) if failure.reason == Reason::LimitExceeded => return Err(failure),
            _ => {
                missing += 1;
                continue;
            }
        };
        let markup = decode(&bytes, None).text;
        let text = html::to_markdown(&markup);
        if text.trim().is_empty() {
            continue;
        }
        draft.body.block();
        if !text.starts_with('#')
            && !text.contains("\n# ")
            && let Some(title) = html::title_of(&markup).filter(|t| Some(t) != draft.title.as_ref())
        {
            draft.body.glue(&format!("# {title}\n\n"));
        }
        super::xml::push_blocks(&text, name, &mut draft);
        if draft.body.text.len() > source.limits.max_output_bytes {
            break;
        }
    }
    if missing > 0 {
        draft.warnings.push(format!("{missing} of {} chapters could not be read", chapters.len()));
    }
    Ok(draft)
}

fn package_name(archive: &mut Archive<'_>, source: &Source<'_>) -> Result<String, Failure> {
    if let Some(container) = archive.member("META-INF/container.xml")? {
        let tree = Tree::parse(&container, source.limits)?;
        if let Some(path) = tree.all(ROOT, "rootfile").first().and_then(|&r| tree.attribute(r, "full-path")) {
            return Ok(resolve("", path));
        }
    }
    archive
        .names()
        .into_iter()
        .find(|n| n.ends_with(".opf"))
        .ok_or_else(|| Failure::corrupt("the book has no package file"))
}

fn describe(package: &Tree, draft: &mut Draft) {
    let Some(metadata) = package.all(ROOT, "metadata").first().copied() else { return };
    let texts = |name: &str| -> Vec<String> {
        package
            .all(metadata, name)
            .into_iter()
            .map(|n| package.text(n).trim().to_owned())
            .filter(|t| !t.is_empty())
            .collect()
    };
    draft.title = texts("title").into_iter().next();
    draft.note("author", &texts("creator").join(", "));
    for key in ["language", "publisher", "date", "description", "subject"] {
        draft.note(key, &texts(key).join(", "));
    }
}

/// Files of the spine in order; the navigation document is left out.
fn spine(package: &Tree, package_name: &str) -> Vec<String> {
    let items: Vec<Id> = package.all(ROOT, "item");
    let by_id = |id: &str| items.iter().copied().find(|&i| package.attribute(i, "id") == Some(id));
    let references = package.all(ROOT, "itemref");
    let files = references.iter().filter_map(|&r| {
        let item = by_id(package.attribute(r, "idref")?)?;
        let navigation =
            package.attribute(item, "properties").is_some_and(|p| p.split_whitespace().any(|w| w == "nav"));
        let file = package.attribute(item, "href")?;
        (!navigation).then(|| resolve(package_name, &percent_decoded(file)))
    });
    files.take(20_000).collect()
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| byte == b'%').and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(value) => {
                out.push(value);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
