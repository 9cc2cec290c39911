//! The cross-encoder over a model folder: one pair per call, one model instance per worker thread.

use std::sync::Arc;

use async_trait::async_trait;
use fastembed::{RerankInitOptionsUserDefined, TextRerank, UserDefinedRerankingModel};

use super::folder::{ModelFolder, ModelKind};
use super::pool::{Engine, Factory, Lane, Pool};
use super::runtime::Runtime;
use super::tokenizer;
use crate::error::{ErrorKind, ModelError, Result};
use crate::rerank::Reranker;

/// A local cross-encoder with one output, whose scores are logits. Each pair runs alone, so a score does not depend on the
/// other passages.
pub struct LocalReranker {
    name: String,
    pool: Pool<CrossEncoder>,
}

impl LocalReranker {
    /// Checks the files of `precision` and starts `threads` workers, as [`super::LocalEmbedder::open`] does.
    ///
    /// # Errors
    ///
    /// `NotFound` for a missing file or precision, `Corrupt` for a damaged one, `Invalid` if the folder holds no
    /// reranker.
    pub fn open(runtime: &Runtime, folder: &ModelFolder, precision: &str, threads: usize) -> Result<Self> {
        let manifest = folder.manifest();
        if manifest.kind != ModelKind::Reranker {
            return Err(ModelError::new(
                ErrorKind::Invalid,
                format!("the model {} is no reranker; choose another", manifest.name),
            ));
        }
        for file in folder.needed(precision)? {
            folder.verify(file)?;
        }
        tokenizers::parallelism::set_parallelism(false);
        let name = format!("{}/{precision}", manifest.name);
        let factory: Factory<CrossEncoder> = {
            let (runtime, folder, precision) = (runtime.clone(), folder.clone(), precision.to_owned());
            Arc::new(move || CrossEncoder::load(&runtime, &folder, &precision))
        };
        let pool = Pool::start(&name, threads, factory)?;
        Ok(Self { name, pool })
    }
}

#[async_trait]
impl Reranker for LocalReranker {
    fn name(&self) -> &str {
        &self.name
    }

    async fn rerank(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>> {
        // Bulk: a reranking of a hundred passages must not keep the next one's from its first.
        let pairs = passages.iter().map(|passage| [query.to_owned(), (*passage).to_owned()]).collect();
        self.pool.run(Lane::Bulk, pairs).await
    }

    /// The logistic function: cross-encoders with one output are trained with binary cross-entropy on it.
    fn probability(&self, score: f32) -> Option<f32> {
        Some(1.0 / (1.0 + (-score).exp()))
    }
}

/// One loaded model, owned by one thread.
struct CrossEncoder {
    model: TextRerank,
    name: String,
}

impl CrossEncoder {
    fn load(runtime: &Runtime, folder: &ModelFolder, precision: &str) -> Result<Self> {
        let manifest = folder.manifest();
        let (file, _) = folder.onnx(precision)?;
        // From its path rather than from memory: weights in a second file are found beside it.
        let model = UserDefinedRerankingModel::new(folder.path().join(file), tokenizer::files(folder)?);
        let options = RerankInitOptionsUserDefined::new()
            .with_environment(runtime.environment())
            .with_max_length(manifest.max_tokens)
            .with_intra_threads(1);
        let model = TextRerank::try_new_from_user_defined(model, options).map_err(|error| {
            ModelError::new(
                ErrorKind::Unavailable,
                format!(
                    "the model {}/{precision} can't be loaded; `wellspring doctor` checks its files",
                    manifest.name
                ),
            )
            .with_source(error)
        })?;
        Ok(Self { model, name: manifest.name.clone() })
    }
}

impl Engine for CrossEncoder {
    type Input = [String; 2];
    type Output = f32;

    fn run(&mut self, [query, passage]: &[String; 2]) -> Result<f32> {
        let failed =
            |why: &str| ModelError::new(ErrorKind::Internal, format!("the model {} {why}", self.name));
        let scores = self
            .model
            .rerank(query.as_str(), [passage.as_str()], false, Some(1))
            .map_err(|error| failed("failed on a passage").with_source(error))?;
        let score = scores.first().map(|result| result.score).filter(|score| score.is_finite());
        score.ok_or_else(|| failed("gave no finite score"))
    }
}
