//! Chunks of real documents under the real tokenizer: none is over what the model reads. Prints how fast that was.
use std::path::PathBuf;
use std::time::{Duration, Instant};

use wellspring_ingest::chunk::{ChunkConfig, Chunker, Input, Markup};
use wellspring_models::Registry;
use wellspring_models::registry::ModelsConfig;

/// Texts of the shared documents and of the fixtures: (name, text).
fn texts() -> Vec<(String, String)> {
    let mut roots = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/corpus"))];
    roots.extend(
        std::env::var_os("WELLSPRING_TEST_SHARED").map(|shared| PathBuf::from(shared).join("documents")),
    );
    let mut texts = Vec::new();
    for entry in roots.iter().flat_map(ignore::Walk::new).flatten() {
        let text = entry
            .file_type()
            .is_some_and(|kind| kind.is_file())
            .then(|| fs_err::read_to_string(entry.path()).ok())
            .flatten();
        texts.extend(
            text.filter(|t| t.len() < 8 << 20).map(|text| (entry.path().display().to_string(), text)),
        );
    }
    texts.sort();
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_chunk_of_a_real_document_is_over_the_limit() {
    let Ok(embedder) = Registry::new(ModelsConfig::default()).unwrap().embedder("default").await else {
        eprintln!("skipped: the default model is not in the cache");
        return;
    };
    let (counter, limit) = (embedder.counter(), embedder.info().max_tokens);
    let chunker = Chunker::new(ChunkConfig::default(), counter.clone(), limit).unwrap();
    let (mut bytes, mut chunks, mut tokens, mut bodies, mut small) = (0, 0_usize, 0, 0, 0);
    let (texts, mut spent) = (texts(), Duration::ZERO);
    for (name, text) in &texts {
        let markup =
            if name.ends_with(".md") || name.ends_with(".html") { Markup::Markdown } else { Markup::Plain };
        let clock = Instant::now();
        let made = chunker.chunk(&Input { text, markup, title: Some("A title"), pages: &[], outline: &[] });
        spent += clock.elapsed();
        bytes += text.len();
        chunks += made.len();
        for chunk in &made {
            let exact = counter.count(&chunk.embedded_text);
            assert!(
                exact <= limit && exact == chunk.tokens,
                "{name}: {exact} tokens, {} claimed, at {:?}",
                chunk.tokens,
                chunk.span
            );
            tokens += chunk.tokens;
            bodies += chunk.span.len();
            small += usize::from(chunk.tokens < 48);
        }
    }
    let seconds = spent.as_secs_f64();
    let clock = Instant::now();
    let again: usize = texts.iter().take(50).map(|(_, text)| counter.count(text)).sum();
    let plain = again as f64 / clock.elapsed().as_secs_f64();
    eprintln!(
        "{} texts, {bytes} bytes, {chunks} chunks of {} tokens on average, {:.1} % below 48, {:.2} times the text, {:.1} MB/s, {:.0} tokens/s (tokenizer alone {plain:.0})",
        texts.len(),
        tokens / chunks.max(1),
        small as f64 * 100.0 / chunks.max(1) as f64,
        bodies as f64 / bytes.max(1) as f64,
        bytes as f64 / 1e6 / seconds,
        tokens as f64 / seconds,
    );
}
