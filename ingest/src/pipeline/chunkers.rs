//! Keeps the chunkers in use, so that what they learned about a tokenizer serves the next document.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use wellspring_models::Embedder;

use crate::chunk::{ChunkConfig, Chunker};
use crate::error::Result;

/// Chunkers kept at most; beyond, all are let go and made again when they are needed.
const KEPT: usize = 16;

/// Chunkers by configuration and model.
#[derive(Default)]
pub(crate) struct Chunkers {
    kept: Mutex<HashMap<(String, String), Chunker>>,
}

impl Chunkers {
    /// The chunker of this configuration for this model. `Invalid` where the configuration can't be met.
    pub(super) fn get(&self, config: &ChunkConfig, embedder: &Arc<dyn Embedder>) -> Result<Chunker> {
        let info = embedder.info();
        let name = (config.fingerprint(), info.fingerprint.0.clone());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chunker) = kept.get(&name) {
            return Ok(chunker.clone());
        }
        let chunker = Chunker::new(config.clone(), embedder.counter(), info.max_tokens)?;
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(name, chunker.clone());
        Ok(chunker)
    }
}
