//! Walks JSON text without recursion and says where each scalar stands.

/// One step of the walk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    OpenObject,
    OpenArray,
    Close,
    Key(String),
    /// A string without quotes and escapes, or a number, boolean or null as written; `start..end` are its bytes.
    Scalar {
        text: String,
        start: usize,
        end: usize,
    },
}

/// What may come next inside a container.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    Array {
        first: bool,
    },
    Object {
        first: bool,
    },
    /// Behind a key.
    Value,
}

/// A pull parser. Errors are sentences with the byte position.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    frames: Vec<Frame>,
    max_depth: usize,
    done: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, max_depth: usize) -> Self {
        Self { text, at: 0, frames: Vec::new(), max_depth, done: false }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn blank(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what} at byte {}", self.at)
    }

    /// The next event, `None` behind the one value of the text.
    pub(super) fn next(&mut self) -> Result<Option<Event>, String> {
        self.blank();
        if self.done {
            return if self.rest().is_empty() { Ok(None) } else { Err(self.wrong("text behind the value")) };
        }
        let next = self.rest().bytes().next();
        match self.frames.last().copied() {
            Some(Frame::Array { .. }) if next == Some(b']') => return self.close(),
            Some(Frame::Object { .. }) if next == Some(b'}') => return self.close(),
            Some(Frame::Array { first: true }) => self.seen_first(),
            Some(Frame::Array { first: false }) => self.comma()?,
            Some(Frame::Object { first }) => {
                if first {
                    self.seen_first();
                } else {
                    self.comma()?;
                }
                let (key, ..) = self.string()?;
                self.blank();
                if !self.rest().starts_with(':') {
                    return Err(self.wrong("missing colon"));
                }
                self.at += 1;
                self.frames.push(Frame::Value);
                return Ok(Some(Event::Key(key)));
            }
            Some(Frame::Value) | None => {}
        }
        self.value().map(Some)
    }

    fn seen_first(&mut self) {
        if let Some(Frame::Array { first } | Frame::Object { first }) = self.frames.last_mut() {
            *first = false;
        }
    }

    fn comma(&mut self) -> Result<(), String> {
        if !self.rest().starts_with(',') {
            return Err(self.wrong("missing comma"));
        }
        self.at += 1;
        self.blank();
        Ok(())
    }

    fn close(&mut self) -> Result<Option<Event>, String> {
        self.at += 1;
        self.frames.pop();
        self.end_value();
        Ok(Some(Event::Close))
    }

    /// A finished value ends the wait behind a key, and the text when nothing is open.
    fn end_value(&mut self) {
        if self.frames.last() == Some(&Frame::Value) {
            self.frames.pop();
        }
        self.done = self.frames.is_empty();
    }

    fn value(&mut self) -> Result<Event, String> {
        match self.rest().bytes().next() {
            Some(b'{') => self.open(Frame::Object { first: true }, Event::OpenObject),
            Some(b'[') => self.open(Frame::Array { first: true }, Event::OpenArray),
            Some(b'"') => {
                let (text, start, end) = self.string()?;
                self.end_value();
                Ok(Event::Scalar { text, start, end })
            }
            Some(_) => {
                let rest = self.rest();
                let len = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')))
                    .unwrap_or(rest.len());
                let text = rest.get(..len).unwrap_or_default().to_owned();
                let sound = matches!(text.as_str(), "true" | "false" | "null")
                    || text.parse::<f64>().is_ok_and(|n| n.is_finite());
                if !sound {
                    return Err(self.wrong("no value"));
                }
                let start = self.at;
                self.at += len;
                self.end_value();
                Ok(Event::Scalar { text, start, end: self.at })
            }
            None => Err(self.wrong("the text ends early")),
        }
    }

    fn open(&mut self, frame: Frame, event: Event) -> Result<Event, String> {
        if self.frames.len() >= self.max_depth * 2 {
            return Err(self.wrong("nested too deep"));
        }
        self.at += 1;
        self.frames.push(frame);
        Ok(event)
    }

    /// A quoted string: its text and its bytes including the quotes.
    fn string(&mut self) -> Result<(String, usize, usize), String> {
        let start = self.at;
        let rest = self.rest();
        if !rest.starts_with('"') {
            return Err(self.wrong("missing quote"));
        }
        let mut escaped = false;
        let mut len = None;
        for (index, byte) in rest.bytes().enumerate().skip(1) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    len = Some(index + 1);
                    break;
                }
                _ => {}
            }
        }
        let len = len.ok_or_else(|| self.wrong("open string"))?;
        let raw = rest.get(..len).unwrap_or_default();
        self.at += len;
        let inner = raw.get(1..len - 1).unwrap_or_default();
        let text = if inner.contains('\\') {
            serde_json::from_str(raw).map_err(|e| format!("bad string at byte {start}: {e}"))?
        } else {
            inner.to_owned()
        };
        Ok((text, start, self.at))
    }
}
