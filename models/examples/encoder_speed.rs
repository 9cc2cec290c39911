//! Measures a local embedder on the first passages of a BEIR folder: load time and tokens per second.
//!
//! `cargo run -p wellspring-models --example encoder_speed -- MODEL THREADS COUNT BEIR_FOLDER [VECTORS.jsonl]`
//!
//! COUNT 0 means the whole corpus; with a last argument the vectors of passages and queries are written there.
#![expect(clippy::print_stdout, reason = "its output is the measurement")]

use std::io::Write;
use std::time::Instant;

use serde_json::{Value, json};
use wellspring_models::{Embedder, ModelsConfig, Registry, TextKind};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, threads, count, folder, rest @ ..] = arguments.as_slice() else {
        return Err("usage: encoder_speed MODEL THREADS COUNT BEIR_FOLDER [VECTORS.jsonl]".into());
    };
    let config =
        ModelsConfig { threads: threads.parse()?, embedding_cache_bytes: 0, ..ModelsConfig::default() };
    let limit = match count.parse()? {
        0 => usize::MAX,
        count => count,
    };
    let passages = read(&format!("{folder}/corpus.jsonl"), limit)?;

    let started = Instant::now();
    let embedder = Registry::new(config)?.embedder(model).await?;
    embedder.embed(TextKind::Query, &["first"]).await?;
    let load = started.elapsed();
    // One text per thread, so that all of them have loaded the model before the clock starts.
    let warm: Vec<&str> = passages.iter().take(8).map(|(_, text)| text.as_str()).collect();
    embedder.embed(TextKind::Passage, &warm).await?;

    let texts: Vec<&str> = passages.iter().map(|(_, text)| text.as_str()).collect();
    let started = Instant::now();
    let vectors = embedder.embed(TextKind::Passage, &texts).await?;
    let seconds = started.elapsed().as_secs_f64();
    let tokens: usize = vectors.iter().map(|embedding| embedding.tokens).sum();

    let started = Instant::now();
    let counter = embedder.counter();
    let counted: usize = texts.iter().map(|text| counter.count(text)).sum();
    let counting = started.elapsed().as_secs_f64();
    let report = json!({
        "model": embedder.info().name, "threads": threads, "passages": texts.len(), "tokens": tokens,
        "load_s": load.as_secs_f64(), "embed_s": seconds, "tokens_per_s": tokens as f64 / seconds,
        "counted_tokens_per_s": counted as f64 / counting,
    });
    println!("{report}");
    if let [path, ..] = rest {
        write_vectors(path, folder, embedder.as_ref(), &passages, &vectors).await?;
    }
    Ok(())
}

async fn write_vectors(
    path: &str,
    folder: &str,
    embedder: &dyn Embedder,
    passages: &[(String, String)],
    vectors: &[wellspring_models::Embedding],
) -> Result<(), Failure> {
    let mut file = std::io::BufWriter::new(fs_err::File::create(path)?);
    for ((id, _), embedding) in passages.iter().zip(vectors) {
        writeln!(file, "{}", json!({"kind": "passage", "id": id, "vector": embedding.vector}))?;
    }
    for (id, text) in read(&format!("{folder}/queries.jsonl"), usize::MAX)? {
        let embedding = &embedder.embed(TextKind::Query, &[&text]).await?[0];
        writeln!(file, "{}", json!({"kind": "query", "id": id, "vector": embedding.vector}))?;
    }
    Ok(())
}

/// Ids and texts (title, a space, text) of a BEIR file.
fn read(path: &str, limit: usize) -> Result<Vec<(String, String)>, Failure> {
    let text = fs_err::read_to_string(path)?;
    let mut entries = Vec::new();
    for line in text.lines().take(limit) {
        let entry: Value = serde_json::from_str(line)?;
        let field = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        entries.push((field("_id"), format!("{} {}", field("title"), field("text")).trim_start().to_owned()));
    }
    Ok(entries)
}
