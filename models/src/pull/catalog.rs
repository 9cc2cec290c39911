//! The models that can be fetched: fastembed's own list, with the prefixes and limits their authors give.

use fastembed::{EmbeddingModel, ModelInfo, OutputKey, Pooling, QuantizationMode, TextEmbedding, TextRerank};

use super::base_name;
use crate::error::{ErrorKind, ModelError, Result};
use crate::local::{ModelKind, PoolingKind, TOKENIZER_FILES};

/// A model that `models pull` can fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pullable {
    /// Its name, which is its folder's: the repository's last part, with the precision unless that is `fp32`.
    pub name: String,
    /// One line about it.
    pub description: String,
    /// What it is for.
    pub kind: ModelKind,
    /// The hub's repository.
    pub repository: String,
    /// Components per vector; 0 for a reranker.
    pub dimension: usize,
    /// Tokens it reads, as its authors recommend.
    pub max_tokens: usize,
    /// `fp32`, `int8` or `q4`.
    pub precision: String,
    pub(super) onnx_file: String,
    pub(super) additional_files: Vec<String>,
    pub(super) output: Option<String>,
    pub(super) pooling: PoolingKind,
    pub(super) query_prefix: String,
    pub(super) passage_prefix: String,
}

impl Pullable {
    /// Paths in the repository of all files it needs.
    pub(super) fn files(&self) -> Vec<String> {
        let tokenizer = TOKENIZER_FILES.iter().map(|file| (*file).to_owned());
        std::iter::once(self.onnx_file.clone())
            .chain(self.additional_files.clone())
            .chain(tokenizer)
            .collect()
    }

    /// Names of the files that hold weights beside the ONNX file.
    pub(super) fn external_files(&self) -> Vec<String> {
        self.additional_files.iter().map(|file| base_name(file).to_owned()).collect()
    }
}

/// What a family of models wants before its texts, and how much it reads.
struct Family {
    /// Part of the repository's name, in lower case.
    part: &'static str,
    query: &'static str,
    passage: &'static str,
    max_tokens: usize,
}

const SEARCH: &str = "Represent this sentence for searching relevant passages: ";

/// From the models' own pages; the first that fits counts.
const FAMILIES: &[Family] = &[
    Family { part: "all-minilm-l6", query: "", passage: "", max_tokens: 256 },
    Family { part: "all-minilm-l12", query: "", passage: "", max_tokens: 128 },
    Family { part: "all-mpnet-base", query: "", passage: "", max_tokens: 384 },
    Family { part: "paraphrase-multilingual", query: "", passage: "", max_tokens: 128 },
    Family {
        part: "-zh-v1.5",
        query: "为这个句子生成表示以用于检索相关文章：",
        passage: "",
        max_tokens: 512,
    },
    Family { part: "bge-m3", query: "", passage: "", max_tokens: 8192 },
    Family { part: "bge-reranker", query: "", passage: "", max_tokens: 512 },
    Family { part: "bge-", query: SEARCH, passage: "", max_tokens: 512 },
    Family { part: "-e5-", query: "query: ", passage: "passage: ", max_tokens: 512 },
    Family { part: "mxbai-embed", query: SEARCH, passage: "", max_tokens: 512 },
    Family { part: "arctic-embed-m-long", query: SEARCH, passage: "", max_tokens: 2048 },
    Family { part: "arctic-embed", query: SEARCH, passage: "", max_tokens: 512 },
    Family { part: "nomic-embed", query: "search_query: ", passage: "search_document: ", max_tokens: 8192 },
    Family {
        part: "modernbert-embed",
        query: "search_query: ",
        passage: "search_document: ",
        max_tokens: 8192,
    },
    Family {
        part: "embeddinggemma",
        query: "task: search result | query: ",
        passage: "title: none | text: ",
        max_tokens: 2048,
    },
    Family { part: "gte-", query: "", passage: "", max_tokens: 8192 },
    Family { part: "jina-embeddings", query: "", passage: "", max_tokens: 8192 },
    Family { part: "jina-reranker-v1", query: "", passage: "", max_tokens: 8192 },
    Family { part: "jina-reranker-v2", query: "", passage: "", max_tokens: 1024 },
];

/// A model of no known family: no prefixes, and a length every encoder reads.
const UNKNOWN: Family = Family { part: "", query: "", passage: "", max_tokens: 512 };

fn family(repository: &str) -> &'static Family {
    let lower = repository.to_lowercase();
    FAMILIES.iter().find(|family| lower.contains(family.part)).unwrap_or(&UNKNOWN)
}

/// Every model that can be fetched, by name.
pub fn supported() -> Vec<Pullable> {
    // CLIP's text half is made for images, not for passages.
    let texts =
        TextEmbedding::list_supported_models().into_iter().filter(|m| m.model != EmbeddingModel::ClipVitB32);
    let mut found: Vec<Pullable> = texts.map(embedder).chain(rerankers()).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn embedder(info: ModelInfo<EmbeddingModel>) -> Pullable {
    let family = family(&info.model_code);
    let precision = match TextEmbedding::get_quantization_mode(&info.model) {
        _ if info.model == EmbeddingModel::EmbeddingGemma300MQ4 => "q4",
        QuantizationMode::None => "fp32",
        QuantizationMode::Static | QuantizationMode::Dynamic => "int8",
    };
    let last = base_name(&info.model_code);
    // Repositories that hold only a quantised model say so in their names.
    let name = if precision == "fp32" || last.ends_with("-Q") {
        last.to_owned()
    } else {
        format!("{last}-{precision}")
    };
    Pullable {
        name,
        description: info.description,
        kind: ModelKind::Embedder,
        dimension: info.dim,
        max_tokens: family.max_tokens,
        precision: precision.to_owned(),
        onnx_file: info.model_file,
        additional_files: info.additional_files,
        output: match info.output_key {
            Some(OutputKey::ByName(name)) => Some(name.to_owned()),
            _ => None,
        },
        pooling: match TextEmbedding::get_default_pooling_method(&info.model) {
            Some(Pooling::Mean) => PoolingKind::Mean,
            _ => PoolingKind::Cls,
        },
        query_prefix: family.query.to_owned(),
        passage_prefix: family.passage.to_owned(),
        repository: info.model_code,
    }
}

fn rerankers() -> impl Iterator<Item = Pullable> {
    TextRerank::list_supported_models().into_iter().map(|info| Pullable {
        name: base_name(&info.model_code).to_owned(),
        description: info.description,
        kind: ModelKind::Reranker,
        dimension: 0,
        max_tokens: family(&info.model_code).max_tokens,
        precision: "fp32".to_owned(),
        onnx_file: info.model_file,
        additional_files: info.additional_files,
        output: None,
        pooling: PoolingKind::Cls,
        query_prefix: String::new(),
        passage_prefix: String::new(),
        repository: info.model_code,
    })
}

/// The model of this name, or of this repository (the unquantised one where it holds both); case does not matter.
pub(super) fn find(name: &str) -> Result<Pullable> {
    let all = supported();
    let named = all.iter().find(|model| model.name.eq_ignore_ascii_case(name));
    let from = || {
        all.iter().filter(|model| model.repository.eq_ignore_ascii_case(name)).min_by_key(|m| m.name.len())
    };
    named.or_else(from).cloned().ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|model| model.name.as_str()).collect();
        ModelError::new(
            ErrorKind::NotFound,
            format!("no model called {name} can be fetched; those that can: {}", names.join(", ")),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_are_plain_folder_names() {
        let all = supported();
        assert!(all.len() > 40);
        for pair in all.windows(2) {
            assert_ne!(pair[0].name, pair[1].name);
        }
        for model in &all {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            assert!(model.name.chars().all(plain) && !model.name.starts_with('.'), "{}", model.name);
            assert!(model.dimension > 0 || model.kind == ModelKind::Reranker);
            assert_ne!(family(&model.repository).part, "", "{} has no family", model.repository);
        }
    }

    #[test]
    fn models_are_found_by_name_and_by_repository() {
        assert_eq!(find("Xenova/all-MiniLM-L12-v2").unwrap().precision, "fp32");
        assert_eq!(find("all-minilm-l12-v2-int8").unwrap().onnx_file, "onnx/model_quantized.onnx");
        assert_eq!(find("multilingual-e5-small").unwrap().query_prefix, "query: ");
        assert_eq!(find("bge-m3").unwrap().external_files()[0], "model.onnx_data");
        assert_eq!(find("../x").unwrap_err().kind(), ErrorKind::NotFound);
    }
}
