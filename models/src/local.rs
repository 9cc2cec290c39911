//! Models that run in this process: ONNX files in the model folder, through fastembed and ONNX Runtime.

mod counter;
mod embedder;
mod fingerprint;
mod folder;
mod pool;
mod reranker;
mod runtime;
mod tokenizer;

pub use embedder::LocalEmbedder;
pub use folder::{FileEntry, Manifest, ModelFolder, ModelKind, PoolingKind};
pub use reranker::LocalReranker;
pub use runtime::{Runtime, library_file_name};

pub(crate) use fingerprint::int8_is_sound;
pub(crate) use folder::{MANIFEST, TOKENIZER_FILES, sha256_file};
