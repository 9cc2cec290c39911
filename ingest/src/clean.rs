//! Brings text into its stored form (NFC, LF line ends, nothing invisible) and keeps its offset map and pages true.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, is_nfc_quick};

use crate::extract::PageSpan;
use crate::offsets::{Edit, OffsetMap, moved};

/// What becomes of one character on its way into stored text.
enum Fate {
    Keep,
    Drop,
    Become(&'static str),
}

/// Cleans `text` and moves `map` and `pages` along with it.
///
/// Line ends become LF; no-break and typographic spaces become plain ones; control, zero-width, bidirectional-override
/// and tag characters, soft hyphens and byte order marks go away, since readers do not see them and they carry hidden
/// instructions or break words; the rest is normalised to NFC. Joiners stay where a script or an emoji needs them.
/// Clean text comes back untouched.
pub(crate) fn clean(
    text: String,
    map: OffsetMap,
    pages: Vec<PageSpan>,
) -> (String, OffsetMap, Vec<PageSpan>) {
    let (text, edits) = visible(text);
    let (map, pages) = carry(&edits, map, pages);
    let (text, edits) = compose(text);
    let (map, pages) = carry(&edits, map, pages);
    (text, map, pages)
}

/// The same for a title or a metadata value: one line, trimmed, white space collapsed.
pub(crate) fn clean_line(text: &str) -> String {
    let (text, _) = visible(text.to_owned());
    let (text, _) = compose(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn carry(edits: &[Edit], map: OffsetMap, pages: Vec<PageSpan>) -> (OffsetMap, Vec<PageSpan>) {
    if edits.is_empty() {
        return (map, pages);
    }
    let pages = pages
        .into_iter()
        .map(|p| PageSpan {
            page: p.page,
            start: moved(edits, p.start, false),
            end: moved(edits, p.end, true),
        })
        .collect();
    (map.rewrite(edits), pages)
}

/// Collects kept, dropped and replaced stretches; adjacent edits are joined only if both drop.
struct Rewriter {
    out: String,
    edits: Vec<Edit>,
}

impl Rewriter {
    fn replace(&mut self, from: usize, until: usize, new: &str) {
        let start = self.out.len();
        self.out.push_str(new);
        if let Some(last) = self.edits.last_mut()
            && last.from.end == from
            && last.to.is_empty()
            && new.is_empty()
        {
            last.from.end = until;
            return;
        }
        self.edits.push(Edit { from: from..until, to: start..self.out.len() });
    }
}

fn visible(text: String) -> (String, Vec<Edit>) {
    let plain = |b: u8| (b' '..0x7f).contains(&b) || b == b'\n' || b == b'\t';
    if text.bytes().all(plain) {
        return (text, Vec::new());
    }
    let mut work = Rewriter { out: String::with_capacity(text.len()), edits: Vec::new() };
    let mut before = '\n';
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let after = chars.peek().map(|&(_, next)| next);
        match fate(c, before, after) {
            Fate::Keep => {
                work.out.push(c);
                before = c;
            }
            Fate::Drop => work.replace(at, at + c.len_utf8(), ""),
            Fate::Become(new) => {
                work.replace(at, at + c.len_utf8(), new);
                before = new.chars().next_back().unwrap_or(before);
            }
        }
    }
    (work.out, work.edits)
}

fn fate(c: char, before: char, after: Option<char>) -> Fate {
    match c {
        '\n' | '\t' | ' '..='~' => Fate::Keep,
        '\r' if after == Some('\n') => Fate::Drop,
        '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' => Fate::Become("\n"),
        '\u{2029}' => Fate::Become("\n\n"),
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            Fate::Become(" ")
        }
        // Joiners spell words in Arabic and Indic scripts and build emoji; between other letters they only hide.
        '\u{200c}' | '\u{200d}' if joins(before) && after.is_some_and(joins) => Fate::Keep,
        // One variation selector chooses a glyph; a run of them is a hidden message.
        '\u{fe00}'..='\u{fe0f}' if !before.is_whitespace() && !matches!(before, '\u{fe00}'..='\u{fe0f}') => {
            Fate::Keep
        }
        _ if invisible(c) || c.is_control() => Fate::Drop,
        _ => Fate::Keep,
    }
}

fn joins(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{10ff}' | '\u{1780}'..='\u{18af}' | '\u{a8e0}'..='\u{abff}' | '\u{fb50}'..='\u{fdff}'
        | '\u{2190}'..='\u{2bff}' | '\u{fe0e}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
}

/// Characters that show nothing: format characters, fillers, tags, selectors, noncharacters.
fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
        || (u32::from(c) & 0xfffe) == 0xfffe
}

/// Normalises to NFC, cluster by cluster so that the edits stay small.
fn compose(text: String) -> (String, Vec<Edit>) {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return (text, Vec::new());
    }
    let mut work = Rewriter { out: String::with_capacity(text.len()), edits: Vec::new() };
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if at > start && starts_cluster(c) {
            compose_cluster(&text, start, at, &mut work);
            start = at;
        }
    }
    compose_cluster(&text, start, text.len(), &mut work);
    (work.out, work.edits)
}

/// Nothing before such a character can compose with it or move past it.
fn starts_cluster(c: char) -> bool {
    c.is_ascii()
        || (canonical_combining_class(c) == 0 && is_nfc_quick(std::iter::once(c)) != IsNormalized::Maybe)
}

fn compose_cluster(text: &str, start: usize, end: usize, work: &mut Rewriter) {
    let old = text.get(start..end).unwrap_or_default();
    let new: Cow<'_, str> = if old.is_ascii() { old.into() } else { old.nfc().collect::<String>().into() };
    if old == new { work.out.push_str(old) } else { work.replace(start, end, &new) }
}
