//! Widens a passage by the chunks around it or to its section, as one stretch of the stored text: small chunks are found
//! best, and read best with what stands around them.

use std::ops::Range;

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use wellspring_store::{Catalog, CollectionScope};

use crate::config::within;
use crate::error::{ErrorKind, Result, RetrieveError};
use crate::passage::{Context, Passage};

/// Catalog reads under way at a time.
const CONCURRENT: usize = 4;

/// How far a passage is widened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeighbourConfig {
    /// Chunks before it, 0 to 10.
    #[serde(default)]
    pub before: u32,
    /// Chunks after it, 0 to 10.
    #[serde(default)]
    pub after: u32,
    /// Most bytes of the sections that it stands in, from their headings to the next ones, 200 to 100 000; of longer ones
    /// the part around it. Unset: off, and nothing where the document has no headings. With `before` or `after`, whichever
    /// reaches further counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<u32>,
}

impl NeighbourConfig {
    pub(crate) fn check(self) -> Result<()> {
        within("neighbours.before", u64::from(self.before), 0, 10)?;
        within("neighbours.after", u64::from(self.after), 0, 10)?;
        self.section.map_or(Ok(()), |bytes| within("neighbours.section", u64::from(bytes), 200, 100_000))
    }
}

/// Each passage's context, in order; `None` for one whose document changed since it was found: its neighbours would be
/// of another version.
pub(crate) async fn contexts(
    catalog: &dyn Catalog,
    scope: &CollectionScope,
    passages: &[Passage],
    neighbours: NeighbourConfig,
) -> Result<Vec<Option<Context>>> {
    let reads: Vec<_> = passages.iter().map(|passage| context(catalog, scope, passage, neighbours)).collect();
    futures::stream::iter(reads).buffered(CONCURRENT).try_collect().await
}

async fn context(
    catalog: &dyn Catalog,
    scope: &CollectionScope,
    passage: &Passage,
    neighbours: NeighbourConfig,
) -> Result<Option<Context>> {
    let place = passage.place;
    let own = passage.start..passage.end;
    let mut span = own.clone();
    if neighbours.before + neighbours.after > 0 {
        let (before, after) = (neighbours.before, neighbours.after);
        let chunks =
            catalog.neighbours(scope, place.document, passage.version, place.ordinal, before, after).await;
        let Some(chunks) = found(chunks)?.filter(|chunks| !chunks.is_empty()) else { return Ok(None) };
        // Chunks overlap and may leave gaps of white space: the stretch is read whole rather than glued together.
        span.start = chunks.iter().map(|chunk| chunk.start).fold(span.start, usize::min);
        span.end = chunks.iter().map(|chunk| chunk.end).fold(span.end, usize::max);
    }
    let (mut cut_start, mut cut_end) = (false, false);
    if let (Some(bytes), Some(section)) = (neighbours.section, place.section) {
        let section = section.0.min(own.start)..section.1.max(own.end);
        let part = around(&own, &section, bytes as usize);
        (cut_start, cut_end) = (
            part.start > section.start && part.start < span.start,
            part.end < section.end && part.end > span.end,
        );
        span = span.start.min(part.start)..span.end.max(part.end);
    }
    let read = |start, end| catalog.text_span(scope, &passage.document_id, passage.version, start, end);
    // A part of a section may begin and end inside a character. The passage does not, so what is read up to it and from it on
    // has a known place.
    let Some(mut before) = found(read(span.start, own.start).await)? else { return Ok(None) };
    let Some(mut after) = found(read(own.end, span.end).await)? else { return Ok(None) };
    if cut_start && let Some(newline) = before.find('\n') {
        before.drain(..=newline);
    }
    if cut_end && let Some(newline) = after.rfind('\n') {
        after.truncate(newline);
    }
    let (start, end) = (own.start - before.len(), own.end + after.len());
    Ok(Some(Context { text: format!("{before}{}{after}", passage.text), start, end }))
}

/// The whole section if it has at most `bytes`, else so many of it around the passage: as much before as behind, and what one
/// side does not have for the other. Never less than the passage.
fn around(own: &Range<usize>, section: &Range<usize>, bytes: usize) -> Range<usize> {
    let (before, after) = (own.start - section.start, section.end - own.end);
    let room = bytes.saturating_sub(own.len());
    let back = before.min((room / 2).max(room.saturating_sub(after)));
    own.start - back..own.end + after.min(room - back)
}

/// `None` for what is no longer visible.
fn found<T>(result: wellspring_store::Result<T>) -> Result<Option<T>> {
    match result.map_err(RetrieveError::from) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_section_is_cut_around_the_passage() {
        for (own, section, bytes, expected) in [
            (40..60, 0..100, 100, 0..100),
            (40..60, 0..100, 40, 30..70),
            (0..20, 0..100, 40, 0..40),
            (85..95, 0..100, 40, 60..100),
            (40..60, 0..100, 10, 40..60),
            (40..60, 40..60, 500, 40..60),
        ] {
            assert_eq!(around(&own, &section, bytes), expected, "{own:?} {section:?} {bytes}");
        }
    }
}
