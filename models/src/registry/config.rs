//! The configuration of this crate, as a section of the program's.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::chats::{ChatEndpoint, Providers, Routes};
use super::rerankers::RerankerEndpoint;
use crate::secret::Secret;

/// The model a fresh installation embeds with.
pub const DEFAULT_EMBEDDER: &str = "all-MiniLM-L6-v2";

/// The precision that suits the processor.
pub(super) const AUTO: &str = "auto";

/// Which models there are and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelsConfig {
    /// The folder with `models/` and `lib/`; unset: `WELLSPRING_CACHE`, else `lib/wellspring`
    /// beside the program's `bin`, else `wellspring` in the XDG cache folder.
    pub cache_dir: Option<PathBuf>,
    /// The ONNX Runtime library; unset: `ORT_DYLIB_PATH`, else the one in the cache folder's `lib/`.
    pub onnxruntime: Option<PathBuf>,
    /// The embedder of new collections.
    pub default_embedder: String,
    /// The precision of a local model named without one: `fp32`, `int8`, …; `auto`: `int8` (a quarter of the bytes and
    /// clearly faster), but `fp32` on an x86-64 processor without VNNI, where 8-bit products lose precision.
    pub default_precision: String,
    /// The reranker used when none is named; unset: none.
    pub default_reranker: Option<String>,
    /// The chat model used when none is named; unset: the first of `chats`, or none.
    pub default_chat: Option<String>,
    /// Threads of a local model, each with its own copy of the weights; 0: one per core.
    pub threads: usize,
    /// Bytes of embeddings each model's cache keeps in memory; 0: no cache.
    pub embedding_cache_bytes: u64,
    /// Embedders behind an OpenAI-compatible `/v1/embeddings`.
    pub embedders: Vec<EmbedderEndpoint>,
    /// Rerankers behind an endpoint of Cohere's, Jina's or text-embeddings-inference's API.
    pub rerankers: Vec<RerankerEndpoint>,
    /// Chat models behind an endpoint of OpenAI's or Anthropic's API.
    pub chats: Vec<ChatEndpoint>,
    /// Which of the chat models each purpose uses, in what order.
    pub routes: Routes,
    /// What an endpoint without a URL or key of its own uses.
    pub providers: Providers,
}

impl Default for ModelsConfig {
    fn default() -> Self {
        Self {
            cache_dir: None,
            onnxruntime: None,
            default_embedder: DEFAULT_EMBEDDER.to_owned(),
            default_precision: AUTO.to_owned(),
            default_reranker: None,
            default_chat: None,
            threads: 0,
            embedding_cache_bytes: 64 << 20,
            embedders: Vec::new(),
            rerankers: Vec::new(),
            chats: Vec::new(),
            routes: Routes::default(),
            providers: Providers::default(),
        }
    }
}

/// An embedding model behind an OpenAI-compatible endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedderEndpoint {
    /// The name collections use.
    pub name: String,
    /// Up to and with the version, e.g. `https://api.openai.com/v1`.
    pub base_url: String,
    /// Sent as bearer token.
    #[serde(default)]
    pub api_key: Option<Secret>,
    /// The model as the endpoint names it.
    pub model: String,
    /// Components per vector; another number in a reply is an error.
    pub dimension: usize,
    /// Whether to ask for `dimension`, for models that can shorten their vectors.
    #[serde(default)]
    pub request_dimension: bool,
    /// Tokens the model reads; longer texts are cut here.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: usize,
    /// Put before a query.
    #[serde(default)]
    pub query_prefix: String,
    /// Put before a passage.
    #[serde(default)]
    pub passage_prefix: String,
    /// Most texts in one request.
    #[serde(default = "default_batch_texts")]
    pub batch_texts: usize,
    /// Most tokens in one request, as counted here.
    #[serde(default = "default_batch_tokens")]
    pub batch_tokens: usize,
    /// Requests in flight for one call.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// Limits on waiting.
    #[serde(default)]
    pub deadlines: Deadlines,
    /// Limits on trying again.
    #[serde(default)]
    pub retry: RetryPolicy,
}

/// How long to wait for an endpoint, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deadlines {
    /// For a connection.
    pub connect_ms: u64,
    /// For the first token of a stream, from sending the request.
    pub first_token_ms: u64,
    /// Between two pieces of a stream.
    pub idle_ms: u64,
    /// For everything, retries and waits included.
    pub total_ms: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect_ms: 5_000, first_token_ms: 60_000, idle_ms: 30_000, total_ms: 300_000 }
    }
}

/// When to try again what failed in passing: 429, 5xx, a lost connection. Waits double from `min_ms`, are drawn from
/// zero up to that (full jitter), and are at least what a `Retry-After` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// Tries after the first; 0: none.
    pub retries: usize,
    /// The first wait's upper bound, in milliseconds.
    pub min_ms: u64,
    /// The longest wait, in milliseconds; an endpoint that asks for more is not tried again.
    pub max_ms: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { retries: 4, min_ms: 500, max_ms: 30_000 }
    }
}

fn default_max_tokens() -> usize {
    8_191
}

fn default_batch_texts() -> usize {
    128
}

fn default_batch_tokens() -> usize {
    100_000
}

fn default_concurrency() -> usize {
    4
}

/// The folder with `models/` and `lib/` when none is configured: `WELLSPRING_CACHE`, else what a package installed beside
/// the program, else [`user_cache_dir`].
pub fn default_cache_dir() -> PathBuf {
    match set("WELLSPRING_CACHE") {
        Some(named) => named,
        None => installed_dir().unwrap_or_else(user_cache_dir),
    }
}

/// A folder of the user's own: `WELLSPRING_CACHE`, else `wellspring` in `XDG_CACHE_HOME` or `~/.cache`.
pub fn user_cache_dir() -> PathBuf {
    set("WELLSPRING_CACHE").unwrap_or_else(|| {
        set("XDG_CACHE_HOME")
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
            .unwrap_or_else(std::env::temp_dir)
            .join("wellspring")
    })
}

/// `PREFIX/lib/wellspring` of a program in `PREFIX/bin`, if models lie there.
fn installed_dir() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.canonicalize().ok()?;
    let folder = program.parent()?.parent()?.join("lib").join("wellspring");
    folder.join("models").is_dir().then_some(folder)
}

fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_needs_four_fields_and_no_others() {
        let text = r#"{"embedders":[{"name":"e","base_url":"http://x/v1","model":"m","dimension":3,"api_key":"sk-1"}]}"#;
        let config: ModelsConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.embedders[0].batch_texts, 128);
        assert!(!format!("{config:?}").contains("sk-1"));
        assert!(serde_json::from_str::<ModelsConfig>(r#"{"thread":1}"#).is_err());
        assert!(serde_json::from_str::<ModelsConfig>("{}").unwrap() == ModelsConfig::default());
    }
}
