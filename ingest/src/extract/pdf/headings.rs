//! Tells headings from text by size and weight, relative to what most of the document is set in.

use std::collections::BTreeMap;

use super::lines::Line;

/// Sizes of the document: that of its text and those of its headings, largest first.
#[derive(Debug)]
pub(super) struct Ranks {
    body: f32,
    sizes: Vec<i32>,
}

/// Longest text taken for a heading, characters.
const MAX_HEADING: usize = 160;

/// Most lines of the name of a table.
const MAX_CAPTION_LINES: usize = 5;

/// Sizes in half points.
fn step(size: f32) -> i32 {
    (size * 2.0).round() as i32
}

impl Ranks {
    /// Weighs all lines by their characters.
    pub(super) fn of(pages: &[Vec<Line>]) -> Self {
        let mut weight: BTreeMap<i32, usize> = BTreeMap::new();
        for line in pages.iter().flatten() {
            *weight.entry(step(line.size)).or_default() += line.chars();
        }
        let body = weight.iter().max_by_key(|(size, chars)| (**chars, **size)).map_or(20, |(size, _)| *size);
        let total: usize = weight.values().sum();
        // A size that makes up a lot of the text is another kind of text, not a heading.
        let large = weight.iter().rev().filter(|(size, chars)| {
            f64::from(**size) >= f64::from(body) * 1.12 && **chars * 5 < total.max(1)
        });
        let mut sizes: Vec<i32> = Vec::new();
        for (size, _) in large {
            // Sizes half a point apart are one level.
            if sizes.last().is_none_or(|last| last - size > 1) {
                sizes.push(*size);
            }
        }
        // Many sizes: posters and slides. Only the largest few are levels of their own.
        Self { body: body as f32 / 2.0, sizes }
    }

    /// The heading level (from 1) of a block of lines that stands by itself, `None` for text.
    pub(super) fn level(&self, lines: &[Line]) -> Option<usize> {
        let first = lines.first()?;
        let text: String = lines.iter().map(Line::text).collect::<Vec<_>>().join(" ");
        let letters = text.chars().filter(|c| c.is_alphabetic()).count();
        if lines.len() > 3
            || text.chars().count() > MAX_HEADING
            || letters < 2
            || letters * 3 < text.chars().filter(|c| !c.is_whitespace()).count()
            || first.mono
        {
            return None;
        }
        if lines.iter().any(|l| l.cells.len() > 3)
            || text.ends_with([',', ';'])
            || text.starts_with(['•', '☐', '☒'])
        {
            return None;
        }
        let size = step(first.size);
        if let Some(rank) = self.sizes.iter().position(|s| (s - size).abs() <= 1) {
            return Some((rank + 1).min(4));
        }
        let sentence = text.ends_with('.') && text.split_whitespace().count() > 8;
        let bold = lines.iter().all(|l| l.bold) && f64::from(first.size) >= f64::from(self.body) * 0.95;
        (bold && !sentence && lines.len() <= 2).then(|| (self.sizes.len() + 1).clamp(2, 5))
    }

    /// The heading level of what stands right above a table and is bold throughout: the name of a statement, with lines for
    /// its unit and period. `None` for other text.
    pub(super) fn caption_level(&self, lines: &[Line]) -> Option<usize> {
        let text: Vec<String> = lines.iter().map(Line::text).collect();
        let text = text.join(" ");
        let letters = text.chars().filter(|c| c.is_alphabetic()).count();
        let heading = lines.iter().all(|l| l.bold && !l.mono && l.cells.len() <= 2)
            && (2..=MAX_CAPTION_LINES).contains(&lines.len())
            && text.chars().count() <= MAX_HEADING
            && letters * 2 > text.chars().filter(|c| !c.is_whitespace()).count()
            && !text.ends_with('.');
        heading.then(|| (self.sizes.len() + 1).clamp(2, 5))
    }

    /// The largest heading of a page's upper half, as the title of a document that declares none.
    pub(super) fn title(&self, lines: &[Line]) -> Option<String> {
        let largest = lines
            .iter()
            .take(40)
            .filter(|l| self.level(std::slice::from_ref(l)).is_some() && l.chars() > 3)
            .max_by(|a, b| a.size.total_cmp(&b.size))?;
        let run: Vec<String> = lines
            .iter()
            .skip_while(|l| *l != largest)
            .take_while(|l| step(l.size) == step(largest.size))
            .take(3)
            .map(Line::text)
            .collect();
        Some(run.join(" "))
    }
}
