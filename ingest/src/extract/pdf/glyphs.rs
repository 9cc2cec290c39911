//! Takes the characters of a page out of PDFium with their place, size and weight.

use pdfium_render::prelude::PdfPage;

/// One visible character or a space. Coordinates are points from the bottom left of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glyph {
    pub(super) c: char,
    /// Index on the page as PDFium counts.
    pub(super) index: u32,
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
    pub(super) top: f32,
    /// Font size as rendered, points.
    pub(super) size: f32,
    pub(super) bold: bool,
    pub(super) mono: bool,
    /// A line break that PDFium saw behind this character.
    pub(super) ends_line: bool,
    /// A hyphen that divides a word at a line end.
    pub(super) divides: bool,
}

/// Characters beyond this many on one page are left out: no page that is read holds so many.
const MAX_GLYPHS: usize = 200_000;

/// All characters in the order of the page's content.
pub(super) fn of_page(page: &PdfPage<'_>) -> Vec<Glyph> {
    let Ok(text) = page.text() else { return Vec::new() };
    let chars = text.chars();
    let mut glyphs: Vec<Glyph> = Vec::with_capacity(chars.len().min(MAX_GLYPHS));
    let (mut size, mut bold, mut mono, mut fresh) = (0.0_f32, false, false, true);
    let mut height = 0.0_f32;
    for one in chars.iter().take(MAX_GLYPHS) {
        let value = one.unicode_value();
        let Some(c) = char::from_u32(value) else { continue };
        match c {
            '\r' | '\n' => {
                if let Some(last) = glyphs.last_mut() {
                    last.ends_line = true;
                }
                fresh = true;
                continue;
            }
            // PDFium's marks for a hyphen that it takes for a divided word.
            '\u{2}' | '\u{fffe}' => {
                if let Some(last) = glyphs.last().copied() {
                    glyphs.push(Glyph {
                        c: '-',
                        index: one.index() as u32,
                        left: last.right,
                        divides: true,
                        ends_line: false,
                        ..last
                    });
                }
                continue;
            }
            _ => {}
        }
        let space = c.is_whitespace();
        let Ok(bounds) = one.loose_bounds() else { continue };
        let (left, right, bottom, top) =
            (bounds.left().value, bounds.right().value, bounds.bottom().value, bounds.top().value);
        if space {
            if let Some(last) = glyphs.last().copied()
                && last.c != ' '
            {
                glyphs.push(Glyph {
                    c: ' ',
                    index: one.index() as u32,
                    left: left.max(last.right),
                    right: right.max(last.right),
                    ends_line: false,
                    divides: false,
                    ..last
                });
            }
            fresh = true;
            continue;
        }
        // Fonts are asked for once per word, sizes also when the height of the characters changes.
        if fresh || (top - bottom - height).abs() > height * 0.02 {
            height = top - bottom;
            size = one.scaled_font_size().value.abs();
            if size < 0.5 {
                size = height / 1.2;
            }
        }
        if fresh {
            let name = one.font_name().to_lowercase();
            bold = ["bold", "black", "heavy", "semibd", "demi"].iter().any(|w| name.contains(w));
            mono =
                ["mono", "courier", "consol", "cmtt", "typewriter", "menlo"].iter().any(|w| name.contains(w));
            fresh = false;
        }
        for c in readable(c).chars() {
            glyphs.push(Glyph {
                c,
                index: one.index() as u32,
                left,
                right,
                bottom,
                top,
                size,
                bold,
                mono,
                ends_line: false,
                divides: false,
            });
        }
    }
    glyphs
}

/// Ligatures spelled out, bullets of symbol fonts as bullets, anything else as it is.
fn readable(c: char) -> String {
    let text = match c {
        '\u{fb00}' => "ff",
        '\u{fb01}' => "fi",
        '\u{fb02}' => "fl",
        '\u{fb03}' => "ffi",
        '\u{fb04}' => "ffl",
        '\u{fb05}' | '\u{fb06}' => "st",
        '\u{f0b7}' | '\u{f0a7}' | '\u{f06e}' | '\u{f076}' | '\u{f0d8}' | '\u{25cf}' | '\u{25aa}'
        | '\u{25a0}' | '\u{2023}' | '\u{f0a8}' => "•",
        '\u{f0fc}' | '\u{f0fe}' => "✓",
        '\u{0}'..='\u{1f}' => "",
        other => return other.to_string(),
    };
    text.to_owned()
}
