//! Late chunking: reads windows of a document and pools the tokens of each chunk in them.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use wellspring_models::{Embedder, Embedding, TextKind};
use wellspring_store::ContentHash;

use crate::chunk::{Chunk, Window};
use crate::error::{ErrorKind, IngestError, Result};

/// Windows read at a time: their token vectors are hundreds of times larger than what is kept of them.
const IN_FLIGHT: usize = 4;

/// Vectors of chunks that have a window each, neighbours with a common one read at once; those of chunks without tokens of
/// their own are those of their embedded text. `Invalid` where the model gives no token vectors.
pub(super) async fn embed(
    embedder: &Arc<dyn Embedder>,
    chunks: &[(&Chunk, &Arc<Window>)],
    text: &str,
) -> Result<Vec<(ContentHash, Embedding)>> {
    let reading: Vec<BoxFuture<'_, _>> =
        chunks.chunk_by(|(_, a), (_, b)| Arc::ptr_eq(a, b)).map(|of| read(embedder, of, text)).collect();
    let mut found = stream::iter(reading).buffered(IN_FLIGHT);
    let mut embedded = Vec::with_capacity(chunks.len());
    while let Some(vectors) = found.next().await {
        embedded.extend(vectors?);
    }
    Ok(embedded)
}

/// Reads one window and pools the chunks of it.
fn read<'a>(
    embedder: &'a Arc<dyn Embedder>,
    chunks: &'a [(&'a Chunk, &'a Arc<Window>)],
    text: &'a str,
) -> BoxFuture<'a, Result<Vec<(ContentHash, Embedding)>>> {
    Box::pin(async move {
        let Some((_, window)) = chunks.first() else { return Ok(Vec::new()) };
        let name = &embedder.info().name;
        let tokens = embedder.tokens().ok_or_else(|| unable(name))?;
        let found = tokens.embed_tokens(&[&window.read(text)]).await?;
        let Some(tokens) = found.first() else {
            let message = format!("the embedder {name} gave no token vectors for a window");
            return Err(IngestError::new(ErrorKind::Internal, message));
        };
        let mut vectors = Vec::with_capacity(chunks.len());
        for (chunk, window) in chunks {
            let embedding = match tokens.pooled(window.pooled(&chunk.span)) {
                Some(vector) => Embedding { vector, tokens: chunk.tokens, truncated: 0 },
                None => by_itself(embedder, chunk).await?,
            };
            vectors.push((chunk.content_hash, embedding));
        }
        Ok(vectors)
    })
}

/// Why a model can't be used.
pub(crate) fn unable(model: &str) -> IngestError {
    IngestError::new(
        ErrorKind::Invalid,
        format!(
            "the model {model} gives one vector per text, and `chunk.pooling = \"late\"` needs one per token; take a local model, or set it to \"chunk\""
        ),
    )
}

async fn by_itself(embedder: &Arc<dyn Embedder>, chunk: &Chunk) -> Result<Embedding> {
    let found = embedder.embed(TextKind::Passage, &[&chunk.embedded_text]).await?;
    found.into_iter().next().ok_or_else(|| {
        IngestError::new(ErrorKind::Internal, "the embedder gave no vector for a chunk by itself")
    })
}
