//! Reads JSON and JSON lines as `path: value` lines, one block per record; without the brackets they search better.

use crate::charset::{Decoded, decode};
use crate::offsets::{Builder, OffsetMap};

use super::{Draft, Failure, Source};

mod scan;

use scan::{Event, Scanner};

/// One JSON value. A text that is not JSON throughout is kept as it is, with a warning.
///
/// Source positions are those of each value.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, Failure> {
    let (decoded, mut draft) = start(source);
    let part = draft.body.map.part("");
    let sound = value(&decoded.text, decoded.shift() as u64, part, source.limits.max_depth, &mut draft.body);
    if sound.is_err() {
        verbatim(decoded, &mut draft);
        draft.warnings.push("not well-formed JSON; kept as text".to_owned());
        return Ok(draft);
    }
    draft.title = title(&decoded.text);
    Ok(draft)
}

/// One JSON value per line, each a block. Lines that are not JSON are kept as they are and counted in a warning.
pub(super) fn read_lines(source: &Source<'_>) -> Result<Draft, Failure> {
    let (decoded, mut draft) = start(source);
    let part = draft.body.map.part("");
    let mut at = decoded.shift();
    let mut broken: Vec<String> = Vec::new();
    for (number, line) in decoded.text.split_inclusive('\n').enumerate() {
        let body = line.trim_end();
        if !body.trim().is_empty() {
            draft.body.block();
            let before = (draft.body.text.len(), draft.body.map.clone());
            if value(body, at as u64, part, source.limits.max_depth, &mut draft.body).is_err() {
                broken.push((number + 1).to_string());
                draft.body.text.truncate(before.0);
                draft.body.map = before.1;
                draft.body.push(body, part, at as u64, (at + body.len()) as u64);
                draft.body.glue("\n");
            }
        }
        at += line.len();
        if draft.body.text.len() > source.limits.max_output_bytes {
            break;
        }
    }
    if !broken.is_empty() {
        let (count, more) = (broken.len(), if broken.len() > 5 { ", …" } else { "" });
        broken.truncate(5);
        let lines = broken.join(", ");
        draft
            .warnings
            .push(format!("{count} lines are not well-formed JSON; kept as text (line {lines}{more})"));
    }
    Ok(draft)
}

fn start(source: &Source<'_>) -> (Decoded, Draft) {
    let decoded = decode(source.bytes, source.charset());
    let draft = Draft::new(decoded.basis());
    (decoded, draft)
}

fn verbatim(decoded: Decoded, draft: &mut Draft) {
    let map = OffsetMap::identity(decoded.basis(), decoded.text.len(), decoded.shift());
    draft.body = Builder { text: decoded.text, map };
}

/// The `title` or `name` of a top-level object.
fn title(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text.get(..200_000).map_or(text, |_| text)).ok()?;
    ["title", "name"].iter().find_map(|k| value.get(k)?.as_str().map(str::to_owned))
}

/// A step from the root to the current value.
enum Step {
    Key(String),
    Index(usize),
    /// Inside an object, before its first key.
    Open,
}

/// Writes the scalars of a value. Records (objects in an array) start a new block.
fn value(text: &str, shift: u64, part: u32, max_depth: usize, out: &mut Builder) -> Result<(), String> {
    let mut scanner = Scanner::new(text, max_depth);
    let mut path: Vec<Step> = Vec::new();
    while let Some(event) = scanner.next()? {
        match event {
            Event::OpenObject => {
                if matches!(path.last(), Some(Step::Index(_))) {
                    out.block();
                }
                path.push(Step::Open);
            }
            Event::OpenArray => path.push(Step::Index(0)),
            Event::Close => {
                path.pop();
                advance(&mut path);
            }
            Event::Key(key) => {
                if let Some(step) = path.last_mut() {
                    *step = Step::Key(key);
                }
            }
            Event::Scalar { text, start, end } => {
                let name = label(&path);
                // Values without words, like null, say nothing; false and 0 do.
                if !text.is_empty() && text != "null" {
                    if !name.is_empty() {
                        out.glue(&name);
                        out.glue(": ");
                    }
                    out.push(&text, part, shift + start as u64, shift + end as u64);
                    out.glue("\n");
                }
                advance(&mut path);
            }
        }
    }
    Ok(())
}

fn advance(path: &mut [Step]) {
    if let Some(Step::Index(index)) = path.last_mut() {
        *index += 1;
    }
}

/// Keys joined by dots. Numbers of array items carry no meaning and are left out.
fn label(path: &[Step]) -> String {
    let keys: Vec<&str> =
        path.iter().filter_map(|s| if let Step::Key(key) = s { Some(key.as_str()) } else { None }).collect();
    keys.join(".")
}
