//! Span recall: how many words of the gold quotes stand in the first k passages, as a user gets them.
//!
//! Token-level recall as in Smith and Troynikov, "Evaluating Chunking Strategies for Retrieval" (Chroma, 2024), with the
//! words of UAX #29 as tokens, so that it does not depend on a model.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use futures::{StreamExt, TryStreamExt, stream};
use unicode_segmentation::UnicodeSegmentation;
use wellspring_retrieve::{Passage, SearchRequest};
use wellspring_store::{DocumentId, ErrorKind as StoreKind};

use crate::dataset::{Dataset, GoldSpan};
use crate::engine::{Engine, Switches};
use crate::error::{EvalError, Result};

/// Cut-offs that are reported, in passages.
pub const CUTS: &[usize] = &[5, 10];

/// The name in JSON and, capitalised, in reports.
pub fn name(k: usize) -> String {
    format!("span-recall@{k}")
}

/// Values by measure name, then by query; empty for a dataset without quotes. A query without quotes has no value.
pub async fn measure(
    engine: &Engine,
    dataset: &Dataset,
    switches: &Switches,
) -> Result<BTreeMap<String, BTreeMap<String, f64>>> {
    let mut texts = Texts::default();
    let mut gold: BTreeMap<&String, Vec<GoldWords>> = BTreeMap::new();
    for (query, spans) in &dataset.spans {
        for span in spans {
            let words = match texts.of(engine, &span.document).await? {
                // A quote that is not in the stored text can't be covered: its words count as missed.
                Some(text) => locate(text, &span.quote)
                    .map_or_else(|| vec![0..0; span.quote.unicode_words().count()], |at| words(text, at)),
                None => vec![0..0; span.quote.unicode_words().count()],
            };
            gold.entry(query).or_default().push(GoldWords { document: span.document.clone(), words });
        }
    }
    let deepest = CUTS.iter().copied().max().unwrap_or(0);
    let found: Vec<(&String, Vec<Passage>)> = stream::iter(gold.keys().copied().collect::<Vec<_>>())
        .map(|query| async move {
            let text = dataset.queries.get(query).cloned().unwrap_or_default();
            let request = SearchRequest {
                k: deepest,
                mode: switches.mode,
                neighbours: switches.widening(),
                ..SearchRequest::new(text)
            };
            let response = engine.retriever.search(&engine.collection, request).await;
            Ok::<_, EvalError>((query, response.map_err(|e| EvalError::engine("searching", e))?.hits))
        })
        .buffered(2)
        .try_collect()
        .await?;
    let mut values: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for (query, passages) in found {
        for &k in CUTS {
            let value = covered(&gold[query], &passages[..k.min(passages.len())]);
            values.entry(name(k)).or_default().insert(query.clone(), value);
        }
    }
    Ok(values)
}

/// The words of a quote, by where they stand in the document's stored text; empty ranges for a quote that is not there.
struct GoldWords {
    document: String,
    words: Vec<Range<usize>>,
}

/// Stored texts by document, each read once.
#[derive(Default)]
pub(crate) struct Texts(HashMap<String, Option<String>>);

impl Texts {
    /// `None` for a document that is not there.
    pub(crate) async fn of(&mut self, engine: &Engine, document: &str) -> Result<Option<&str>> {
        if !self.0.contains_key(document) {
            let id = DocumentId::new(document).map_err(|e| EvalError::engine("naming a document", e))?;
            let text = match engine.catalog.text(&engine.collection, &id).await {
                Ok((text, ..)) => Some(text),
                Err(error) if error.kind() == StoreKind::NotFound => None,
                Err(error) => return Err(EvalError::engine("reading a stored text", error)),
            };
            self.0.insert(document.to_owned(), text);
        }
        Ok(self.0.get(document).and_then(Option::as_deref))
    }
}

/// The bytes of the text that read like the quote: letters and digits compared without case, everything else skipped, so
/// that line ends, typographic quotes and Markdown signs between words do not matter.
pub(crate) fn locate(text: &str, quote: &str) -> Option<Range<usize>> {
    let (haystack, starts) = squeezed(text);
    let (needle, _) = squeezed(quote);
    if needle.is_empty() {
        return None;
    }
    let at = haystack.find(&needle)?;
    let first = starts[haystack[..at].chars().count()];
    let last = starts[haystack[..at + needle.len()].chars().count() - 1];
    let end = last + text[last..].chars().next().map_or(0, char::len_utf8);
    Some(first..end)
}

/// Letters and digits in lower case, and where each stood.
fn squeezed(text: &str) -> (String, Vec<usize>) {
    let (mut squeezed, mut starts) = (String::with_capacity(text.len()), Vec::new());
    for (at, c) in text.char_indices().filter(|(_, c)| c.is_alphanumeric()) {
        for lower in c.to_lowercase() {
            squeezed.push(lower);
            starts.push(at);
        }
    }
    (squeezed, starts)
}

/// The words within a range, as ranges of the text.
fn words(text: &str, at: Range<usize>) -> Vec<Range<usize>> {
    text[at.clone()]
        .unicode_word_indices()
        .map(|(offset, word)| at.start + offset..at.start + offset + word.len())
        .collect()
}

/// Share of the gold words that lie whole in one of the passages of their document.
fn covered(gold: &[GoldWords], passages: &[Passage]) -> f64 {
    let (mut all, mut found) = (0_usize, 0_usize);
    for GoldWords { document, words } in gold {
        let read: Vec<Range<usize>> = passages
            .iter()
            .filter(|passage| passage.document_id.as_str() == document)
            .map(|passage| {
                let (text, start) = passage.reading();
                start..start + text.len()
            })
            .collect();
        all += words.len();
        found += words
            .iter()
            .filter(|word| {
                !word.is_empty() && read.iter().any(|r| r.start <= word.start && word.end <= r.end)
            })
            .count();
    }
    if all == 0 { 0.0 } else { found as f64 / all as f64 }
}

/// Whether some chunk of the document holds the quote whole: `None` if the document or the quote is not there.
pub(crate) async fn is_whole(engine: &Engine, texts: &mut Texts, span: &GoldSpan) -> Result<Option<bool>> {
    let Some(at) = texts.of(engine, &span.document).await?.and_then(|text| locate(text, &span.quote)) else {
        return Ok(None);
    };
    let id =
        DocumentId::new(span.document.as_str()).map_err(|e| EvalError::engine("naming a document", e))?;
    let chunks = engine
        .catalog
        .chunks(&engine.collection, &id)
        .await
        .map_err(|e| EvalError::engine("reading chunks", e))?;
    Ok(Some(chunks.iter().any(|chunk| chunk.start <= at.start && at.end <= chunk.end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_found_through_line_ends_signs_and_case() {
        let text = "# Rules\n\nA *hotel* night costs\nat most 95,50 €. Straße!";
        let at = locate(text, "a hotel night costs at most 95,50").unwrap();
        assert_eq!(&text[at.clone()], "A *hotel* night costs\nat most 95,50");
        assert_eq!(words(text, at).len(), 7);
        assert_eq!(&text[locate(text, "STRASSE").unwrap_or(0..0)], "", "ß is not ss here");
        assert_eq!(&text[locate(text, "straße").unwrap()], "Straße");
        assert_eq!(locate(text, "no such thing"), None);
        assert_eq!(locate(text, "…"), None);
    }
}
