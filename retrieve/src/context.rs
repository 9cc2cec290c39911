//! Widens a passage by the chunks before and after it, as one stretch of the stored text.

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
}

impl NeighbourConfig {
    pub(crate) fn check(self) -> Result<()> {
        within("neighbours.before", u64::from(self.before), 0, 10)?;
        within("neighbours.after", u64::from(self.after), 0, 10)
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
    let chunks = catalog
        .neighbours(
            scope,
            place.document,
            passage.version,
            place.ordinal,
            neighbours.before,
            neighbours.after,
        )
        .await;
    let Some(chunks) = found(chunks)?.filter(|chunks| !chunks.is_empty()) else { return Ok(None) };
    // Chunks overlap and may leave gaps of white space: the stretch is read whole rather than glued together.
    let start = chunks.iter().map(|chunk| chunk.start).fold(passage.start, usize::min);
    let end = chunks.iter().map(|chunk| chunk.end).fold(passage.end, usize::max);
    let text = catalog.text_span(scope, &passage.document_id, passage.version, start, end).await;
    Ok(found(text)?.map(|text| Context { end: start + text.len(), start, text }))
}

/// `None` for what is no longer visible.
fn found<T>(result: wellspring_store::Result<T>) -> Result<Option<T>> {
    match result.map_err(RetrieveError::from) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
