//! The embedder over a model folder: one text per call, one model instance per worker thread.

use std::sync::Arc;

use async_trait::async_trait;
use fastembed::{
    InitOptionsUserDefined, OutputKey, Pooling, QuantizationMode, TextEmbedding, UserDefinedEmbeddingModel,
};

use super::counter::ModelCounter;
use super::fingerprint::fingerprint;
use super::folder::{ModelFolder, ModelKind, PoolingKind};
use super::pool::{Engine, Factory, Lane, Pool};
use super::runtime::Runtime;
use super::tokenizer;
use crate::embed::{Embedder, EmbedderInfo, Embedding, TextKind, TokenEmbedder, TokenVectors};
use crate::error::{ErrorKind, ModelError, Result};
use crate::tokens::TokenCounter;

/// Where the encoder's result is looked for; as fastembed does for its own models.
const OUTPUTS: &[OutputKey] = &[
    OutputKey::OnlyOne,
    OutputKey::ByName("text_embeds"),
    OutputKey::ByName("last_hidden_state"),
    OutputKey::ByName("sentence_embedding"),
];

/// A local embedding model. The same text gives the same bits whatever else is embedded, in any order and with any
/// number of threads: each text runs alone, unpadded, on one thread.
pub struct LocalEmbedder {
    info: EmbedderInfo,
    counter: Arc<ModelCounter>,
    pool: Pool<Encoder>,
    prefixes: [String; 2],
}

impl LocalEmbedder {
    /// Checks the files of `precision` against their checksums and starts `threads` workers, each of which loads the
    /// model when its first text comes. Blocks for as long as reading the files once takes.
    ///
    /// # Errors
    ///
    /// `NotFound` for a missing file or precision, `Corrupt` for a damaged one, `Invalid` if the folder holds no
    /// embedder.
    pub fn open(runtime: &Runtime, folder: &ModelFolder, precision: &str, threads: usize) -> Result<Self> {
        let manifest = folder.manifest();
        if manifest.kind != ModelKind::Embedder || manifest.dimension == 0 {
            return Err(ModelError::new(
                ErrorKind::Invalid,
                format!("the model {} is no embedder; choose another", manifest.name),
            ));
        }
        for file in folder.needed(precision)? {
            folder.verify(file)?;
        }
        let prefix = manifest.passage_prefix.clone();
        let counter = Arc::new(ModelCounter::new(tokenizer::for_counting(folder)?, prefix));
        // Texts are tokenised one at a time in the worker; a pool of threads for that would only compete with it.
        tokenizers::parallelism::set_parallelism(false);
        let info = EmbedderInfo {
            name: format!("{}/{precision}", manifest.name),
            dimension: manifest.dimension,
            max_tokens: manifest.max_tokens,
            fingerprint: fingerprint(folder, precision)?,
        };
        let factory: Factory<Encoder> = {
            let (runtime, folder, counter) = (runtime.clone(), folder.clone(), Arc::clone(&counter));
            let precision = precision.to_owned();
            Arc::new(move || Encoder::load(&runtime, &folder, &precision, Arc::clone(&counter)))
        };
        let pool = Pool::start(&info.name, threads, factory)?;
        let prefixes = [manifest.query_prefix.clone(), manifest.passage_prefix.clone()];
        Ok(Self { info, counter, pool, prefixes })
    }
}

#[async_trait]
impl Embedder for LocalEmbedder {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn counter(&self) -> Arc<dyn TokenCounter> {
        Arc::clone(&self.counter) as Arc<dyn TokenCounter>
    }

    async fn embed(&self, kind: TextKind, texts: &[&str]) -> Result<Vec<Embedding>> {
        let [query, passage] = &self.prefixes;
        let (lane, prefix) = match kind {
            TextKind::Query => (Lane::Interactive, query),
            TextKind::Passage => (Lane::Bulk, passage),
        };
        let inputs = texts.iter().map(|text| Input::Text(format!("{prefix}{text}"))).collect();
        let outputs = self.pool.run(lane, inputs).await?;
        Ok(outputs.into_iter().filter_map(Output::text).collect())
    }

    fn tokens(&self) -> Option<&dyn TokenEmbedder> {
        Some(self)
    }
}

#[async_trait]
impl TokenEmbedder for LocalEmbedder {
    /// `Conflict` for a model whose output is pooled already.
    async fn embed_tokens(&self, texts: &[&str]) -> Result<Vec<TokenVectors>> {
        let [_, prefix] = &self.prefixes;
        let input = |text: &&str| Input::Tokens { text: format!("{prefix}{text}"), prefix: prefix.len() };
        let outputs = self.pool.run(Lane::Bulk, texts.iter().map(input).collect()).await?;
        Ok(outputs.into_iter().filter_map(Output::tokens).collect())
    }
}

/// What a worker is given: a text with its prefix.
enum Input {
    /// One vector is wanted.
    Text(String),
    /// A vector per token is wanted, without those of the first `prefix` bytes.
    Tokens { text: String, prefix: usize },
}

/// What a worker gives back, of the kind that was wanted.
enum Output {
    Text(Embedding),
    Tokens(TokenVectors),
}

impl Output {
    fn text(self) -> Option<Embedding> {
        match self {
            Self::Text(embedding) => Some(embedding),
            Self::Tokens(_) => None,
        }
    }

    fn tokens(self) -> Option<TokenVectors> {
        match self {
            Self::Tokens(tokens) => Some(tokens),
            Self::Text(_) => None,
        }
    }
}

/// One loaded model, owned by one thread.
struct Encoder {
    model: TextEmbedding,
    pooling: Pooling,
    output: Option<&'static str>,
    counter: Arc<ModelCounter>,
    dimension: usize,
    max_tokens: usize,
    name: String,
}

impl Encoder {
    fn load(
        runtime: &Runtime,
        folder: &ModelFolder,
        precision: &str,
        counter: Arc<ModelCounter>,
    ) -> Result<Self> {
        let manifest = folder.manifest();
        let (file, entry) = folder.onnx(precision)?;
        let pooling = match manifest.pooling {
            PoolingKind::Mean => Pooling::Mean,
            PoolingKind::Cls => Pooling::Cls,
        };
        // One text per call makes batches of one whatever the quantisation, so fastembed needs no rule for it.
        let mut model = UserDefinedEmbeddingModel::new(folder.read(file)?, tokenizer::files(folder)?)
            .with_pooling(pooling.clone())
            .with_quantization(QuantizationMode::None);
        for external in &entry.external {
            model = model.with_external_initializer(external.clone(), folder.read(external)?);
        }
        let options = InitOptionsUserDefined::new()
            .with_environment(runtime.environment())
            .with_max_length(manifest.max_tokens)
            .with_intra_threads(1);
        let model = TextEmbedding::try_new_from_user_defined(model, options).map_err(|error| {
            ModelError::new(
                ErrorKind::Unavailable,
                format!(
                    "the model {}/{precision} can't be loaded; `wellspring doctor` checks its files",
                    manifest.name
                ),
            )
            .with_source(error)
        })?;
        Ok(Self {
            model,
            pooling,
            output: entry.output.as_deref().map(known_output).transpose()?,
            counter,
            dimension: manifest.dimension,
            max_tokens: manifest.max_tokens,
            name: manifest.name.clone(),
        })
    }

    fn vector(&mut self, text: &str) -> Result<(Vec<f32>, usize), fastembed::Error> {
        let mut seen = 0;
        let mut vector = Vec::with_capacity(self.dimension);
        for batch in self.model.transform([text], Some(1))?.into_raw() {
            let pooled = match self.output {
                Some(name) => batch.select_and_pool_output(
                    &[OutputKey::ByName(name)].as_slice(),
                    Some(self.pooling.clone()),
                ),
                None => batch.select_and_pool_output(&OUTPUTS, Some(self.pooling.clone())),
            }?;
            seen += batch.attention_mask_array.iter().filter(|mask| **mask != 0).count();
            vector.extend(pooled.iter().copied());
        }
        Ok((vector, seen))
    }
}

/// Output names that some published models use; fastembed wants them known when the program is compiled.
fn known_output(name: &str) -> Result<&'static str> {
    ["sentence_embedding", "token_embeddings", "last_hidden_state", "text_embeds", "pooler_output"]
        .into_iter()
        .find(|known| *known == name)
        .ok_or_else(|| {
            ModelError::new(
                ErrorKind::Invalid,
                format!("the model names an unknown output {name}; correct its model.json"),
            )
        })
}

impl Engine for Encoder {
    type Input = Input;
    type Output = Output;

    fn run(&mut self, input: &Input) -> Result<Output> {
        match input {
            Input::Text(text) => self.embed(text).map(Output::Text),
            Input::Tokens { text, prefix } => self.embed_tokens(text, *prefix).map(Output::Tokens),
        }
    }
}

impl Encoder {
    fn embed(&mut self, text: &str) -> Result<Embedding> {
        let (mut vector, tokens) = self.vector(text).map_err(|error| self.failed(error))?;
        if vector.len() != self.dimension {
            return Err(self.mismatch(&format!("vectors of {} components", vector.len())));
        }
        crate::embed::normalize(&mut vector, &self.name)?;
        let truncated =
            if tokens < self.max_tokens { 0 } else { self.counter.count_whole(text).saturating_sub(tokens) };
        Ok(Embedding { vector, tokens, truncated })
    }

    fn embed_tokens(&mut self, text: &str, prefix: usize) -> Result<TokenVectors> {
        let mut found = TokenVectors {
            spans: Vec::new(),
            vectors: Vec::new(),
            norms: Vec::new(),
            dimension: self.dimension,
        };
        let spans = self.counter.spans(text);
        let raw = self.model.transform([text], Some(1)).map_err(|error| self.failed(error))?.into_raw();
        for batch in raw {
            let output = match self.output {
                Some(name) => batch.select_output(&[OutputKey::ByName(name)].as_slice()),
                None => batch.select_output(&OUTPUTS),
            }
            .map_err(|error| self.failed(error))?;
            let &[1, seen, dimension] = output.shape() else {
                return Err(self.mismatch("one vector per text and none per token"));
            };
            if dimension != self.dimension {
                return Err(self.mismatch(&format!("vectors of {dimension} components")));
            }
            let values: Vec<f32> = output.iter().copied().collect();
            // A text that was cut ends with a special token where the whole one goes on.
            let cut = if seen < spans.len() { seen.saturating_sub(1) } else { seen };
            let tokens = spans.iter().take(cut).zip(values.chunks_exact(dimension));
            for (span, vector) in tokens {
                let Some(span) = span.clone().filter(|span| span.start >= prefix && !span.is_empty()) else {
                    continue;
                };
                let mut vector = vector.to_vec();
                found.norms.push(crate::embed::normalize(&mut vector, &self.name)?);
                found.spans.push(span.start - prefix..span.end - prefix);
                found.vectors.extend(vector);
            }
        }
        Ok(found)
    }

    fn failed(&self, error: fastembed::Error) -> ModelError {
        ModelError::new(ErrorKind::Internal, format!("the model {} failed on a text", self.name))
            .with_source(error)
    }

    fn mismatch(&self, gives: &str) -> ModelError {
        let promised = self.dimension;
        ModelError::new(
            ErrorKind::Conflict,
            format!("the model {} gives {gives} where its model.json says {promised}; correct it", self.name),
        )
    }
}
