//! Finds the real data and models that some tests need, and says when they are absent.

use std::path::PathBuf;
use std::sync::Arc;

use wellspring_models::registry::{ModelsConfig, Registry, default_cache_dir};

/// The folder of shared data, from `WELLSPRING_TEST_SHARED`.
pub(crate) fn shared() -> Option<PathBuf> {
    std::env::var_os("WELLSPRING_TEST_SHARED").map(PathBuf::from).filter(|path| path.is_dir())
}

/// ONNX Runtime's library, if it was set up.
pub(crate) fn library() -> Option<PathBuf> {
    let library = default_cache_dir().join("lib/libonnxruntime.so");
    if !library.is_file() {
        println!("skipped: {} is not there; run `make setup`", library.display());
        return None;
    }
    Some(library)
}

/// A registry over the model cache, if the default model is in it, with this many threads per model.
pub(crate) fn registry(threads: usize) -> Option<Arc<Registry>> {
    let there = default_cache_dir().join("models/all-MiniLM-L6-v2/model.json").is_file();
    if !there {
        println!("skipped: the default model is not in {}; run `make setup`", default_cache_dir().display());
        return None;
    }
    let config = ModelsConfig { threads, embedding_cache_bytes: 0, ..ModelsConfig::default() };
    Some(Arc::new(Registry::new(config).unwrap()))
}

/// `count` passages of SciFact, or as many made-up ones of mixed lengths where the data is absent.
pub(crate) fn passages(count: usize) -> Vec<String> {
    let corpus =
        shared().map(|root| root.join("datasets/scifact/corpus.jsonl")).filter(|path| path.is_file());
    let Some(corpus) = corpus else {
        return (0..count)
            .map(|n| format!("passage {n}: {}", "some words of its own, ".repeat(n % 40)))
            .collect();
    };
    let text = fs_err::read_to_string(corpus).unwrap();
    text.lines()
        .take(count)
        .map(|line| {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            format!("{} {}", entry["title"].as_str().unwrap(), entry["text"].as_str().unwrap())
        })
        .collect()
}
