//! Gives each chunk its vector: the known ones from the catalog, the rest from the embedder in batches.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use wellspring_models::{Embedder, Embedding, TextKind};
use wellspring_store::ContentHash;

use super::late;
use crate::chunk::Chunk;
use crate::dedup::Plan;
use crate::error::{ErrorKind, IngestError, Result};

/// Vectors for all of a document's chunks.
pub(super) struct Vectors {
    /// By content hash; every chunk has one.
    pub(super) by_hash: HashMap<ContentHash, Vec<f32>>,
    /// Texts embedded.
    pub(super) embedded: u64,
    /// Tokens that the model did not see of them.
    pub(super) truncated: u64,
}

/// Embeds what the plan misses of the chunks of `text`, `batch` texts a call and `calls` calls at a time, and tells `progress` the number of
/// texts done after each call. Dropping the future stops the calls.
pub(super) async fn embed(
    embedder: &Arc<dyn Embedder>,
    chunks: &[Chunk],
    text: &str,
    plan: Plan,
    batch: usize,
    calls: usize,
    progress: impl Fn(u64),
) -> Result<Vectors> {
    let mut vectors = Vectors { by_hash: plan.known, embedded: 0, truncated: 0 };
    let missing: Vec<&Chunk> = plan.missing.iter().filter_map(|&i| chunks.get(i)).collect();
    let pending: Vec<BoxFuture<'_, _>> =
        missing.chunks(batch.max(1)).map(|part| call(embedder, part, text)).collect();
    let mut results = stream::iter(pending).buffered(calls.max(1));
    while let Some(result) = results.next().await {
        for (hash, embedding) in result? {
            vectors.embedded += 1;
            vectors.truncated += embedding.truncated as u64;
            vectors.by_hash.insert(hash, embedding.vector);
        }
        progress(vectors.embedded);
    }
    Ok(vectors)
}

fn call<'a>(
    embedder: &'a Arc<dyn Embedder>,
    part: &'a [&'a Chunk],
    text: &'a str,
) -> BoxFuture<'a, Result<Vec<(ContentHash, Embedding)>>> {
    Box::pin(async move {
        // Either all chunks of a document have a window or none.
        let windows: Option<Vec<_>> =
            part.iter().map(|&chunk| Some((chunk, chunk.window.as_ref()?))).collect();
        if let Some(windows) = windows {
            return late::embed(embedder, &windows, text).await;
        }
        let texts: Vec<&str> = part.iter().map(|chunk| chunk.embedded_text.as_str()).collect();
        let embeddings = embedder.embed(TextKind::Passage, &texts).await?;
        let info = embedder.info();
        if embeddings.len() != part.len() || embeddings.iter().any(|e| e.vector.len() != info.dimension) {
            return Err(IngestError::new(
                ErrorKind::Internal,
                format!(
                    "the embedder {} gave {} vectors for {} texts, or of another size than {}",
                    info.name,
                    embeddings.len(),
                    part.len(),
                    info.dimension
                ),
            ));
        }
        Ok(part.iter().map(|chunk| chunk.content_hash).zip(embeddings).collect())
    })
}
