//! What is evaluated: an engine made ready under some switches, and who makes it.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use wellspring_ingest::Ingestor;
use wellspring_models::Embedder;
use wellspring_retrieve::{Mode, NeighbourConfig, Retriever};
use wellspring_store::{Catalog, CollectionScope};

use crate::dataset::Dataset;
use crate::error::{ErrorKind, EvalError, Result};
use crate::legs::RememberedLegs;

/// What differs between engines under evaluation.
///
/// Written as TOML: `mode`, `model`, `chunking`, `chunk_tokens` and `neighbours` are ours; every other key is a section of
/// the product's configuration, so whatever can be configured can be switched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Switches {
    /// Which legs run.
    pub mode: Mode,
    /// The embedder's name; `None` for the configured one.
    pub model: Option<String>,
    /// One chunk per document, cut where the model stops reading: the setting of the literature. Otherwise the
    /// configured chunking.
    pub whole_documents: bool,
    /// Tokens that a chunk aims at; `None` for the usual number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_tokens: Option<usize>,
    /// Chunks before and after each passage that are read with it; moves span recall only.
    pub neighbours: u32,
    /// A fragment of the product's configuration.
    pub settings: toml::Table,
}

impl Switches {
    /// Reads the TOML form; `Invalid` names what is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |what: String| EvalError::new(ErrorKind::Invalid, what);
        let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            invalid(format!("the switches `{text}` are not TOML: {}", e.message()))
        })?;
        let mut switches = Self::default();
        if let Some(mode) = string(&mut table, "mode")? {
            switches.mode = mode.parse().map_err(|e| invalid(format!("`mode = {mode}`: {e}")))?;
        }
        switches.model = string(&mut table, "model")?;
        if let Some(chunking) = string(&mut table, "chunking")? {
            switches.whole_documents = match chunking.as_str() {
                "whole" => true,
                "default" => false,
                _ => {
                    return Err(invalid(format!("`chunking = {chunking}`: there are `default` and `whole`")));
                }
            };
        }
        match table.remove("chunk_tokens") {
            None => {}
            Some(toml::Value::Integer(tokens)) if (32..=8192).contains(&tokens) => {
                switches.chunk_tokens = usize::try_from(tokens).ok();
            }
            Some(other) => return Err(invalid(format!("`chunk_tokens = {other}`: 32 to 8192 tokens"))),
        }
        match table.remove("neighbours") {
            None => {}
            Some(toml::Value::Integer(count)) if (0..=10).contains(&count) => {
                switches.neighbours = count as u32
            }
            Some(other) => {
                return Err(invalid(format!("`neighbours = {other}`: 0 to 10 chunks on each side")));
            }
        }
        switches.settings = table;
        Ok(switches)
    }

    pub(crate) fn widening(&self) -> Option<NeighbourConfig> {
        (self.neighbours > 0).then_some(NeighbourConfig {
            before: self.neighbours,
            after: self.neighbours,
            section: None,
        })
    }
}

fn string(table: &mut toml::Table, key: &str) -> Result<Option<String>> {
    match table.remove(key) {
        None => Ok(None),
        Some(toml::Value::String(value)) => Ok(Some(value)),
        Some(other) => Err(EvalError::new(ErrorKind::Invalid, format!("`{key} = {other}` must be a string"))),
    }
}

/// A ready engine with a collection for this dataset.
#[derive(Clone)]
pub struct Engine {
    /// Reads documents; its workers run.
    pub ingestor: Ingestor,
    /// Answers queries.
    pub retriever: Arc<Retriever>,
    /// Where stored texts and chunks are looked up.
    pub catalog: Arc<dyn Catalog>,
    /// The collection's embedder, asked for the number of tokens of a query.
    pub embedder: Arc<dyn Embedder>,
    /// Where the dataset's documents go.
    pub collection: CollectionScope,
    /// What the legs found; the retriever uses it too.
    pub legs: Arc<RememberedLegs>,
    /// Where the legs are left for the next evaluation; `None` where they must not be.
    pub legs_file: Option<PathBuf>,
    /// Where it is noted that the documents are all there; `None` where they must be looked at each time.
    pub indexed_file: Option<PathBuf>,
    /// A hash of the dataset's documents, hexadecimal; empty for those that are in a collection already.
    pub documents_checksum: String,
    /// The configuration in force, secrets hidden.
    pub configuration: serde_json::Value,
}

/// Makes engines; the composition root implements it, so that nothing here reads a configuration.
#[async_trait]
pub trait EngineFactory: Send + Sync {
    /// An engine whose collection belongs to this dataset and these switches. It may hold documents of an earlier
    /// evaluation; what is unchanged is not embedded again. The engine made before may be closed by this call.
    async fn engine(&self, dataset: &Dataset, switches: &Switches) -> Result<Engine>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_read_as_toml_and_leave_the_rest_to_the_configuration() {
        let switches = Switches::parse(
            "mode = 'dense'\nchunking = 'whole'\nmodel = 'm/fp32'\nneighbours = 2\nretrieve.fusion = { method = 'rrf', k = 60 }",
        )
        .unwrap();
        assert_eq!((switches.mode, switches.whole_documents, switches.neighbours), (Mode::Dense, true, 2));
        assert_eq!(switches.model.as_deref(), Some("m/fp32"));
        assert_eq!(switches.settings["retrieve"]["fusion"]["k"].as_integer(), Some(60));
        assert_eq!(Switches::parse("").unwrap(), Switches::default());
        for (wrong, complaint) in [
            ("mode = 'both'", "hybrid, dense, keyword"),
            ("mode = 1", "must be a string"),
            ("chunking = 'small'", "`default` and `whole`"),
            ("neighbours = 11", "0 to 10"),
            ("chunk_tokens = 8", "32 to 8192"),
            ("mode", "not TOML"),
        ] {
            let error = Switches::parse(wrong).unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
    }
}
