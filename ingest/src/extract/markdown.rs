//! Keeps Markdown as it was written, with its front matter taken out into metadata.

use serde_json::Value;

use crate::charset::decode;
use crate::clean::clean_line;
use crate::offsets::Builder;

use super::{Draft, Failure, Source};

/// The text behind the front matter, unchanged. `title` of the front matter becomes the title.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, Failure> {
    let decoded = decode(source.bytes, source.charset());
    let mut draft = Draft::new(decoded.basis());
    if decoded.damaged {
        draft.warnings.push(format!("some bytes are not valid {} and were replaced", decoded.charset));
    }
    let start = match front_matter(&decoded.text) {
        Some((matter, end)) => {
            read_front_matter(matter, &mut draft);
            end
        }
        None => 0,
    };
    let body = decoded.text.get(start..).unwrap_or_default();
    let from = decoded.shift() + start;
    let mut out = Builder::new(decoded.basis());
    let part = out.map.part("");
    out.push(body, part, from as u64, (from + body.len()) as u64);
    draft.body = out;
    Ok(draft)
}

/// The lines between a leading `---` (YAML) or `+++` (TOML) and its end, and where the body starts.
fn front_matter(text: &str) -> Option<(&str, usize)> {
    let fence = text.get(..3).filter(|f| *f == "---" || *f == "+++")?;
    let first_end = text.find('\n')? + 1;
    if text.get(3..first_end)?.trim() != "" {
        return None;
    }
    let mut at = first_end;
    for line in text.get(first_end..)?.split_inclusive('\n').take(500) {
        let bare = line.trim_end();
        if bare == fence || (fence == "---" && bare == "...") {
            let matter = text.get(first_end..at)?;
            // A horizontal rule at the start of a page is no front matter: every line must look like one.
            let like = |l: &str| {
                l.trim().is_empty()
                    || l.starts_with([' ', '\t', '#', '-', '[', ']'])
                    || l.contains([':', '='])
            };
            return matter.lines().all(like).then_some((matter, at + line.len()));
        }
        at += line.len();
    }
    None
}

/// `key: value` and `key = value` lines, `[a, b]` and `- a` lists of plain values; deeper structure is left out.
fn read_front_matter(matter: &str, draft: &mut Draft) {
    let mut list_key: Option<String> = None;
    for line in matter.lines() {
        let bare = line.trim();
        if let (Some(item), Some(key)) = (bare.strip_prefix("- "), &list_key) {
            if let Value::Array(items) =
                draft.metadata.entry(key.clone()).or_insert_with(|| Value::Array(Vec::new()))
            {
                items.push(scalar(item));
            }
            continue;
        }
        if line.starts_with([' ', '\t', '#', '[']) {
            continue;
        }
        let Some((key, value)) =
            bare.split_once(": ").or_else(|| bare.split_once('=')).or_else(|| bare.split_once(':'))
        else {
            continue;
        };
        let key = clean_line(key.trim().trim_matches('"')).to_lowercase();
        let value = value.trim();
        if key.is_empty() || key.len() > 64 || draft.metadata.len() >= 100 {
            continue;
        }
        if value.is_empty() {
            list_key = Some(key);
            continue;
        }
        list_key = None;
        let parsed = match value.strip_prefix('[').and_then(|v| v.strip_suffix(']')) {
            Some(items) => {
                Value::Array(items.split(',').filter(|i| !i.trim().is_empty()).map(scalar).collect())
            }
            None => scalar(value),
        };
        if key == "title"
            && let Value::String(title) = &parsed
        {
            draft.title = Some(title.clone());
        }
        draft.metadata.insert(key, parsed);
    }
}

/// A plain value: quoted text, true/false, a whole or decimal number, else text.
fn scalar(raw: &str) -> Value {
    let raw = raw.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = raw.strip_prefix(quote).and_then(|r| r.strip_suffix(quote)) {
            return Value::String(clean_line(inner));
        }
    }
    match raw {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let numeric = raw.len() < 16
        && raw.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-')
        && !(raw.len() > 1 && raw.starts_with('0') && !raw.starts_with("0."));
    if numeric && let Ok(number) = raw.parse::<serde_json::Number>() {
        return Value::Number(number);
    }
    Value::String(clean_line(raw))
}
