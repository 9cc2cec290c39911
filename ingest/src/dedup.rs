//! Keeps work from being done twice: vectors that are known already, and documents with the same bytes.

use std::collections::{BTreeSet, HashMap, HashSet};

use wellspring_store::{Catalog, CollectionScope, ContentHash};

use crate::chunk::Chunk;
use crate::error::Result;

/// Hashes looked up at a time.
const BATCH: usize = 500;

/// What of a document must be embedded.
#[derive(Debug)]
pub struct Plan {
    /// Vectors that the collection has for some of the texts.
    pub known: HashMap<ContentHash, Vec<f32>>,
    /// Positions of the chunks to embed: the first one of each text without a vector, ascending.
    pub missing: Vec<usize>,
}

/// Looks up vectors by the hash of the embedded text. All vectors of a collection come from one model, so an equal text
/// has an equal vector. Vectors that are not of `dimension` components are left aside.
pub async fn plan(
    catalog: &dyn Catalog,
    scope: &CollectionScope,
    chunks: &[Chunk],
    dimension: usize,
) -> Result<Plan> {
    let hashes: Vec<ContentHash> =
        chunks.iter().map(|c| c.content_hash).collect::<BTreeSet<_>>().into_iter().collect();
    let mut known = HashMap::new();
    for batch in hashes.chunks(BATCH) {
        known.extend(catalog.known_vectors(scope, batch).await?);
    }
    known.retain(|_, vector| vector.len() == dimension);
    let mut seen = HashSet::new();
    let fresh = |chunk: &Chunk| !known.contains_key(&chunk.content_hash);
    let missing = chunks
        .iter()
        .enumerate()
        .filter(|(_, c)| fresh(c) && seen.insert(c.content_hash))
        .map(|(i, _)| i)
        .collect();
    Ok(Plan { known, missing })
}
