//! Lays out paragraphs, lists, quotes and code as Markdown lines with the right indentation.

/// A container that is open around the current position.
enum Frame {
    /// The number of the next item, `None` for bullets.
    List(Option<u64>),
    /// Marker of the item until its first line is written, then its width in blanks.
    Item {
        marker: Option<String>,
        width: usize,
    },
    Quote,
}

/// Output under construction: finished blocks and the text of the current paragraph.
#[derive(Default)]
pub(super) struct Blocks {
    out: String,
    line: String,
    frames: Vec<Frame>,
    code: String,
    /// The last block was (part of) a list item, so the next item follows without a blank line.
    in_items: bool,
}

/// Lists nested deeper than this are not indented further.
const MAX_INDENT: usize = 12;

impl Blocks {
    /// Appends running text; white space collapses.
    pub(super) fn inline(&mut self, text: &str) {
        let mut words = text.split_whitespace();
        if text.starts_with(char::is_whitespace) {
            self.space();
        }
        if let Some(first) = words.next() {
            self.line.push_str(first);
        }
        for word in words {
            self.line.push(' ');
            self.line.push_str(word);
        }
        if text.ends_with(char::is_whitespace) {
            self.space();
        }
    }

    fn space(&mut self) {
        if !self.line.is_empty() && !self.line.ends_with([' ', '\n']) {
            self.line.push(' ');
        }
    }

    /// A line break inside the paragraph.
    pub(super) fn line_break(&mut self) {
        while self.line.ends_with(' ') {
            self.line.pop();
        }
        if !self.line.is_empty() {
            self.line.push('\n');
        }
    }

    /// Appends text of a code block as it is.
    pub(super) fn verbatim(&mut self, text: &str) {
        self.code.push_str(text);
    }

    /// Ends the current paragraph.
    pub(super) fn paragraph(&mut self) {
        let text = self.take_inline();
        self.block(&text);
    }

    /// The text of the current paragraph, which is given up.
    pub(super) fn take_inline(&mut self) -> String {
        let line = std::mem::take(&mut self.line);
        let text = line.trim();
        if text.contains("``") { text.replace("``", "") } else { text.to_owned() }
    }

    pub(super) fn heading(&mut self, level: usize, title: &str) {
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        self.block(&format!("{} {title}", "#".repeat(level.clamp(1, 6))));
    }

    /// Writes the collected code between fences that it cannot close itself.
    pub(super) fn code(&mut self, language: &str) {
        let code = std::mem::take(&mut self.code);
        let body = code.trim_matches(['\n', '\r']).trim_end();
        if body.is_empty() {
            return;
        }
        let mut fence = String::from("```");
        while body.contains(&fence) {
            fence.push('`');
        }
        self.block(&format!("{fence}{language}\n{body}\n{fence}"));
    }

    pub(super) fn open_list(&mut self, start: Option<u64>) {
        self.paragraph();
        self.frames.push(Frame::List(start));
    }

    pub(super) fn close_list(&mut self) {
        self.paragraph();
        while let Some(frame) = self.frames.pop() {
            if matches!(frame, Frame::List(_)) {
                break;
            }
        }
        self.in_items &= self.frames.iter().any(|f| matches!(f, Frame::List(_)));
    }

    pub(super) fn open_item(&mut self) {
        self.paragraph();
        let marker = match self.frames.last_mut() {
            Some(Frame::List(Some(number))) => {
                let marker = format!("{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            _ => "- ".to_owned(),
        };
        self.frames.push(Frame::Item { width: marker.len(), marker: Some(marker) });
    }

    pub(super) fn close_item(&mut self) {
        self.paragraph();
        if matches!(self.frames.last(), Some(Frame::Item { .. })) {
            self.frames.pop();
        }
        if !self.frames.iter().any(|f| matches!(f, Frame::List(_) | Frame::Item { .. })) {
            self.in_items = false;
        }
    }

    pub(super) fn open_quote(&mut self) {
        self.paragraph();
        self.frames.push(Frame::Quote);
    }

    pub(super) fn close_quote(&mut self) {
        self.paragraph();
        if matches!(self.frames.last(), Some(Frame::Quote)) {
            self.frames.pop();
        }
    }

    /// Writes a finished block of one or more lines inside the open containers.
    pub(super) fn block(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let starts_item = self.frames.iter().any(|f| matches!(f, Frame::Item { marker: Some(_), .. }));
        let tight = starts_item && self.in_items;
        if !self.out.is_empty() {
            self.out.push_str(if tight { "\n" } else { "\n\n" });
        }
        let mut first = String::new();
        let mut rest = String::new();
        for frame in &mut self.frames {
            let indent = rest.len() < MAX_INDENT * 2;
            match frame {
                Frame::List(_) => {}
                Frame::Quote => {
                    first.push_str("> ");
                    rest.push_str("> ");
                }
                Frame::Item { marker, width } => {
                    match marker.take() {
                        Some(marker) => first.push_str(&marker),
                        None if indent => first.push_str(&" ".repeat(*width)),
                        None => {}
                    }
                    if indent {
                        rest.push_str(&" ".repeat(*width));
                    }
                }
            }
        }
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.out.push('\n');
            }
            let prefix = if index == 0 { first.as_str() } else { rest.as_str() };
            self.out.push_str(if line.is_empty() { prefix.trim_end() } else { prefix });
            self.out.push_str(line);
        }
        self.in_items = self.frames.iter().any(|f| matches!(f, Frame::Item { .. }));
    }

    /// The finished text.
    pub(super) fn finish(mut self) -> String {
        self.paragraph();
        self.out
    }
}
