//! Finds out how the meaning of a document drifts, for chunks that are to end where it does.

use std::ops::Range;
use std::sync::Arc;

use wellspring_models::{Embedder, TextKind};

use crate::chunk::Drift;
use crate::error::{ErrorKind, IngestError, Result};

/// Embeds every sentence of the runs, `batch` a call. No call where there are none.
pub(crate) async fn drift(
    embedder: &Arc<dyn Embedder>,
    text: &str,
    runs: &[Vec<Range<usize>>],
    batch: usize,
) -> Result<Drift> {
    let sentences: Vec<&str> =
        runs.iter().flatten().map(|unit| text.get(unit.clone()).unwrap_or_default().trim()).collect();
    let mut vectors = Vec::with_capacity(sentences.len());
    for part in sentences.chunks(batch.max(1)) {
        let embedded = embedder.embed(TextKind::Passage, part).await?;
        if embedded.len() != part.len() {
            return Err(IngestError::new(
                ErrorKind::Internal,
                format!(
                    "the embedder {} gave {} vectors for {} texts",
                    embedder.info().name,
                    embedded.len(),
                    part.len()
                ),
            ));
        }
        vectors.extend(embedded.into_iter().map(|embedding| embedding.vector));
    }
    let mut vectors = vectors.into_iter();
    let by_run: Vec<Vec<Vec<f32>>> =
        runs.iter().map(|run| vectors.by_ref().take(run.len()).collect()).collect();
    Ok(Drift::between(runs, &by_run))
}
