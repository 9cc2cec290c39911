//! Drawing: a plot area with axes, as SVG text without scripts, styles or links.

use std::fmt::Write as _;

/// Escapes text for HTML and SVG, in content and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A plot area in user units. `x` and `y` map data to places; y grows upwards in data, downwards on the page.
pub(super) struct Plot {
    body: String,
    size: (f64, f64),
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: (f64, f64),
    y: (f64, f64),
}

impl Plot {
    /// `left` is the room for labels beside the vertical axis.
    pub(super) fn new(size: (f64, f64), left: f64, x: (f64, f64), y: (f64, f64)) -> Self {
        let (width, height) = size;
        Self { body: String::new(), size, left, right: width - 18.0, top: 14.0, bottom: height - 42.0, x, y }
    }

    pub(super) fn at_x(&self, value: f64) -> f64 {
        self.left + share(value, self.x) * (self.right - self.left)
    }

    pub(super) fn at_y(&self, value: f64) -> f64 {
        self.bottom - share(value, self.y) * (self.bottom - self.top)
    }

    /// Ticks below, with a line through the area at each, and what is measured.
    pub(super) fn horizontal_axis(&mut self, label: &str, digits: usize) {
        for tick in ticks(self.x) {
            let x = self.at_x(tick);
            self.line((x, self.top), (x, self.bottom), "grid");
            self.text((x, self.bottom + 16.0), &format!("{tick:.digits$}"), "tick middle");
        }
        let middle = (self.left + self.right) / 2.0;
        let below = self.bottom + 34.0;
        self.text((middle, below), label, "label middle");
    }

    /// Ticks at the left, and what is measured above them.
    pub(super) fn vertical_axis(&mut self, label: &str, digits: usize) {
        for tick in ticks(self.y) {
            let y = self.at_y(tick);
            self.line((self.left, y), (self.right, y), "grid");
            self.text((self.left - 6.0, y + 4.0), &format!("{tick:.digits$}"), "tick end");
        }
        let (x, y) = (13.0, (self.top + self.bottom) / 2.0);
        let _ = write!(
            self.body,
            "<text x=\"{x}\" y=\"{y:.1}\" class=\"label middle\" transform=\"rotate(-90 {x} {y:.1})\">{}</text>",
            escape(label)
        );
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        // Writing to a string can't fail.
        let _ = write!(
            self.body,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" class=\"{class}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    /// `title` is shown where the pointer rests.
    pub(super) fn bar(&mut self, corner: (f64, f64), size: (f64, f64), class: &str, title: &str) {
        let _ = write!(
            self.body,
            "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" class=\"{class}\"><title>{}</title></rect>",
            corner.0,
            corner.1,
            size.0.max(0.5),
            size.1.max(0.0),
            escape(title)
        );
    }

    pub(super) fn dot(&mut self, at: (f64, f64), class: &str, title: &str) {
        let _ = write!(
            self.body,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4.5\" class=\"{class}\"><title>{}</title></circle>",
            at.0,
            at.1,
            escape(title)
        );
    }

    pub(super) fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let places: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = write!(self.body, "<polyline points=\"{}\" class=\"{class}\"/>", places.join(" "));
    }

    pub(super) fn text(&mut self, at: (f64, f64), text: &str, class: &str) {
        let _ = write!(
            self.body,
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"{class}\">{}</text>",
            at.0,
            at.1,
            escape(text)
        );
    }

    /// The height of the area, and where it begins.
    pub(super) fn vertical(&self) -> (f64, f64) {
        (self.top, self.bottom)
    }

    /// `label` is read out in place of the picture.
    pub(super) fn finish(self, label: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">{}</svg>",
            self.size.0,
            self.size.1,
            escape(label),
            self.body
        )
    }
}

fn share(value: f64, (low, high): (f64, f64)) -> f64 {
    if high > low { (value - low) / (high - low) } else { 0.5 }
}

/// Four to seven round values within a range.
pub(super) fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    if !(high > low && low.is_finite() && high.is_finite()) {
        return vec![low];
    }
    let rough = (high - low) / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(power * 10.0);
    let mut ticks = Vec::new();
    let mut at = (low / step - 1e-9).ceil();
    while at * step <= high + step * 1e-9 {
        // Adding zero turns −0 into 0.
        ticks.push(at * step + 0.0);
        at += 1.0;
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks((0.0, 1.0)).len(), 6);
        let close =
            |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-9);
        assert!(close(&ticks((-1.0, 1.0)), &[-1.0, -0.5, 0.0, 0.5, 1.0]));
        assert!(close(&ticks((0.0, 37.0)), &[0.0, 10.0, 20.0, 30.0]));
        assert_eq!(ticks((2.0, 2.0)), [2.0]);
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("<a href='x'>\"&\u{7}"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;\u{fffd}");
    }
}
