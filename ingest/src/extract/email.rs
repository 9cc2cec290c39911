//! Reads a mail message: its header fields, its body, and the attachments that are documents themselves.

use mail_parser::{Address, Message, MessageParser, MimeHeaders as _, PartType};

use crate::detect::detect;
use crate::offsets::Basis;

use super::{Draft, Failure, Source, html, read as read_document, xml};

/// Attachments that are read, at most; the rest is only named.
const MAX_ATTACHMENTS: usize = 50;

/// `From`, `To`, `Cc`, `Date` and `Subject` as lines and metadata, then the body: the plain text if there is one, else
/// the HTML as Markdown.
///
/// Attachments follow as sections under their names, one level deep (a mail in a mail is read, its attachments are
/// named); pictures and unknown kinds are named only. Source positions count blocks of each part.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, Failure> {
    let message =
        MessageParser::default().parse(source.bytes).ok_or_else(|| Failure::corrupt("no mail message"))?;
    let mut draft = Draft::new(Basis::PartUnits);
    headers(&message, &mut draft);
    let body = body(&message);
    if !body.trim().is_empty() {
        xml::push_blocks(&body, "body", &mut draft);
    }
    let mut named = Vec::new();
    for (index, part) in message.attachments().enumerate() {
        let name = part.attachment_name().map_or_else(|| format!("attachment {}", index + 1), str::to_owned);
        if index >= MAX_ATTACHMENTS || source.depth > 0 || !attachment(source, &name, part, &mut draft) {
            named.push(name);
        }
    }
    if !named.is_empty() {
        draft.body.block();
        draft.body.glue(&format!("Attachments not read: {}\n", named.join(", ")));
    }
    Ok(draft)
}

fn headers(message: &Message<'_>, draft: &mut Draft) {
    let date = message.date().map(mail_parser::DateTime::to_rfc3339);
    let fields = [
        ("From", message.from().map(addresses)),
        ("To", message.to().map(addresses)),
        ("Cc", message.cc().map(addresses)),
        ("Date", date),
        ("Subject", message.subject().map(str::to_owned)),
    ];
    let part = draft.body.map.part("headers");
    for (index, (name, value)) in fields.into_iter().enumerate() {
        let Some(value) =
            value.map(|v| v.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|v| !v.is_empty())
        else {
            continue;
        };
        draft.body.push(&format!("{name}: {value}"), part, index as u64, index as u64 + 1);
        draft.body.glue("\n");
        draft.note(&name.to_lowercase(), &value);
    }
    draft.title = message.subject().map(str::to_owned);
    if let Some(id) = message.message_id() {
        draft.note("message_id", id);
    }
}

fn addresses(address: &Address<'_>) -> String {
    let all = address.iter().map(|a| match (a.name(), a.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => String::new(),
    });
    all.collect::<Vec<_>>().join(", ")
}

/// All text parts in order. A text part that was made from HTML by the parser is made again, with its structure.
fn body(message: &Message<'_>) -> String {
    let mut blocks = Vec::new();
    for part in message.text_bodies() {
        match &part.body {
            PartType::Text(text) => blocks.push(text.trim().replace("\r\n", "\n")),
            PartType::Html(markup) => blocks.push(html::to_markdown(markup)),
            _ => {}
        }
    }
    blocks.retain(|b| !b.trim().is_empty());
    blocks.join("\n\n")
}

/// Reads an attachment as a section; false when it is nothing that can be read.
fn attachment(
    source: &Source<'_>,
    name: &str,
    part: &mail_parser::MessagePart<'_>,
    draft: &mut Draft,
) -> bool {
    let bytes: &[u8] = match &part.body {
        PartType::Message(inner) => inner.raw_message(),
        _ => part.contents(),
    };
    let declared = part.content_type().map(|t| format!("{}/{}", t.ctype(), t.subtype().unwrap_or_default()));
    let Ok(format) = detect(bytes, Some(name), declared.as_deref()) else { return false };
    let inner =
        Source { bytes, name: Some(name), declared: declared.as_deref(), depth: source.depth + 1, ..*source };
    match read_document(format, &inner) {
        Ok(found) if !found.body.text.trim().is_empty() => {
            draft.body.block();
            draft.body.glue(&format!("## Attachment: {name}\n\n"));
            xml::push_blocks(found.body.text.trim(), name, draft);
            draft.warnings.extend(found.warnings.into_iter().map(|w| format!("{name}: {w}")));
            true
        }
        Ok(_) => false,
        Err(failure) => {
            draft.warnings.push(format!("{name}: {failure}"));
            false
        }
    }
}
