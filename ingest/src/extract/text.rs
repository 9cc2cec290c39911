//! Keeps plain text, source code and light markup (AsciiDoc, reStructuredText, TeX) as it was written.

use crate::charset::decode;
use crate::detect::Format;
use crate::offsets::{Builder, OffsetMap};

use super::{Draft, Failure, Source};

/// The text unchanged, mapped to itself. The title is that of the markup, or for source code the file name.
pub(super) fn read(source: &Source<'_>, format: Format) -> Result<Draft, Failure> {
    let decoded = decode(source.bytes, source.charset());
    let mut draft = Draft::new(decoded.basis());
    if decoded.damaged {
        draft.warnings.push(format!("some bytes are not valid {} and were replaced", decoded.charset));
    }
    draft.title = match format {
        Format::Code(_) => source.name.map(str::to_owned),
        Format::AsciiDoc => decoded.text.lines().find_map(|l| l.strip_prefix("= ")).map(str::to_owned),
        Format::ReStructuredText => underlined_title(&decoded.text),
        Format::Tex => tex_title(&decoded.text),
        _ => None,
    };
    if let Format::Code(language) = format {
        draft.note("language", language.name());
    }
    let map = OffsetMap::identity(decoded.basis(), decoded.text.len(), decoded.shift());
    draft.body = Builder { text: decoded.text, map };
    Ok(draft)
}

/// reStructuredText: the first line that is underlined (and perhaps overlined) with punctuation of its length.
fn underlined_title(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().take(60).collect();
    let rule = |l: &str| {
        let l = l.trim_end();
        l.len() >= 3
            && l.chars().next().is_some_and(|c| c.is_ascii_punctuation() && l.chars().all(|d| d == c))
    };
    lines.windows(2).find_map(|pair| match pair {
        [title, under] if rule(under) && !rule(title) && !title.trim().is_empty() => {
            Some((*title).to_owned())
        }
        _ => None,
    })
}

fn tex_title(text: &str) -> Option<String> {
    let rest = text.split_once("\\title{")?.1;
    let end = rest.find('}')?;
    rest.get(..end).map(|t| t.replace("\\\\", " "))
}
