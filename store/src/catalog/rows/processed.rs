//! What a worker made of a document, checked and turned into what is kept beside its text.

use serde_json::json as value;

use super::job::Held;
use crate::clock::rfc3339;
use crate::document::{Metadata, ProcessedDocument};
use crate::error::{ErrorKind, Result, StoreError};
use crate::jobs::Lease;
use crate::names::{Described, Name, of_document};

/// Refuses what would break spans or search later.
pub(crate) fn check(processed: &ProcessedDocument) -> Result<()> {
    let text = &processed.text;
    let fits =
        |start: usize, end: usize| start <= end && text.is_char_boundary(start) && text.is_char_boundary(end);
    let mut ordinals = 0..;
    for chunk in &processed.chunks {
        let problem = if ordinals.next() != Some(chunk.ordinal) {
            "is out of order"
        } else if !fits(chunk.start, chunk.end) || !chunk.section.is_none_or(|(start, end)| fits(start, end))
        {
            "has a span outside the text or within a character"
        } else if !chunk.vector.iter().all(|component| component.is_finite()) {
            "has a vector with a component that is not a number"
        } else {
            continue;
        };
        return Err(StoreError::new(ErrorKind::Invalid, format!("chunk {} {problem}", chunk.ordinal)));
    }
    if processed.pages.iter().any(|page| !fits(page.start, page.end)) {
        return Err(StoreError::new(
            ErrorKind::Invalid,
            "a page has a span outside the text or within a character",
        ));
    }
    Ok(())
}

pub(crate) fn names_of(lease: &Lease, processed: &ProcessedDocument) -> Vec<Name> {
    let chunks: Vec<(usize, usize, &[String])> =
        processed.chunks.iter().map(|chunk| (chunk.start, chunk.end, chunk.headings.as_slice())).collect();
    of_document(&Described {
        id: lease.document.id.as_str(),
        source: &lease.document.source,
        title: processed.title.as_deref(),
        text: &processed.text,
        chunks: &chunks,
    })
}

pub(crate) fn page_count(processed: &ProcessedDocument) -> i64 {
    processed.pages.iter().map(|page| i64::from(page.page)).max().unwrap_or(0)
}

/// The metadata that filters see: the document's, and its own fields in front of the client's names.
pub(crate) fn own_fields(held: &Held, lease: &Lease, processed: &ProcessedDocument) -> Metadata {
    let mut fields: Metadata = processed
        .metadata
        .iter()
        .filter(|(name, _)| !name.starts_with('_'))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    let mut languages: Vec<&str> =
        processed.chunks.iter().filter_map(|chunk| chunk.language.as_deref()).collect();
    languages.sort_unstable();
    languages.dedup();
    fields.insert("_id".to_owned(), value!(lease.document.id));
    fields.insert("_source".to_owned(), value!(lease.document.source));
    fields.insert("_media_type".to_owned(), value!(processed.media_type));
    fields.insert("_language".to_owned(), value!(languages));
    fields.insert("_pages".to_owned(), value!(page_count(processed)));
    fields.insert("_created_at".to_owned(), value!(rfc3339(held.document_created_at)));
    if let Some(title) = &processed.title {
        fields.insert("_title".to_owned(), value!(title));
    }
    fields
}
