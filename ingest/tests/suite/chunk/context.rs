//! Chunks cut where the meaning drifts, and chunks whose vectors know the text around them.
use std::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;
use wellspring_ingest::chunk::{Boundaries, Chunk, ChunkConfig, Chunker, Drift, Input, Markup, Pooling};
use wellspring_ingest::{CollectionSettings, InProcess, preview};
use wellspring_models::fake::HashEmbedder;
use wellspring_models::registry::ModelsConfig;
use wellspring_models::{Embedder, EmbedderInfo, Embedding, Registry, TextKind, TokenCounter};

use super::{Pieces, check};

fn late(target_tokens: usize) -> ChunkConfig {
    ChunkConfig {
        target_tokens,
        min_tokens: 8,
        overlap_tokens: 0,
        pooling: Pooling::Late,
        ..ChunkConfig::default()
    }
}

fn semantic(target_tokens: usize) -> ChunkConfig {
    ChunkConfig {
        max_tokens: Some(target_tokens * 5 / 4),
        pooling: Pooling::Chunk,
        boundaries: Boundaries::Semantic,
        ..late(target_tokens)
    }
}

fn input(text: &str) -> Input<'_> {
    Input { text, markup: Markup::Markdown, title: Some("T"), pages: &[], outline: &[] }
}

fn cut(config: &ChunkConfig, text: &str) -> Vec<Chunk> {
    Chunker::new(config.clone(), Arc::new(Pieces), 256).unwrap().chunk(&input(text))
}

/// A vector per sentence: of topic A where it says "wells", of topic B where it does not.
fn vectors(text: &str, runs: &[Vec<Range<usize>>]) -> Vec<Vec<Vec<f32>>> {
    let one = |unit: &Range<usize>| match text[unit.clone()].contains("wells") {
        true => vec![1.0, 0.0],
        false => vec![0.0, 1.0],
    };
    runs.iter().map(|run| run.iter().map(one).collect()).collect()
}

#[test]
fn prose_is_cut_where_its_subject_changes() {
    let wells = "The wells of the north give more water than those of the south do. ";
    let taxes = "A tax return of a small company is due in the month of May each year. ";
    let text = format!("# One\n\n{}{}{}", wells.repeat(5), taxes.repeat(9), wells.repeat(4));
    let chunker = Chunker::new(semantic(160), Arc::new(Pieces), 256).unwrap();
    let runs = chunker.runs(&input(&text));
    assert_eq!(
        runs.iter().map(Vec::len).collect::<Vec<_>>(),
        [18],
        "the heading goes with its first sentence"
    );
    let drift = Drift::between(&runs, &vectors(&text, &runs));
    let chunks = chunker.chunk_along(&input(&text), &drift);
    check(&text, &chunks, chunker.max_tokens());
    let mixed = chunks.iter().filter(|chunk| {
        let own = &text[chunk.span.clone()];
        own.contains("wells") && own.contains("tax")
    });
    assert_eq!(mixed.count(), 0, "{:?}", chunks.iter().map(|c| &text[c.span.clone()]).collect::<Vec<_>>());
    // Without knowledge of the drift the same text is cut in equal parts, across the subjects.
    let blind = chunker.chunk(&input(&text));
    assert!(
        blind.iter().any(|c| text[c.span.clone()].contains("wells") && text[c.span.clone()].contains("tax"))
    );
    let structural = Chunker::new(late(160), Arc::new(Pieces), 256).unwrap();
    assert!(structural.runs(&input(&text)).is_empty(), "nobody asks where nobody wants to know");
}

#[test]
fn what_fits_and_what_is_no_prose_is_not_asked_about() {
    let chunker = Chunker::new(semantic(100), Arc::new(Pieces), 256).unwrap();
    assert!(chunker.runs(&input("# One\n\nShort. Text. That. Fits.\n")).is_empty());
    let table = format!("| a | b |\n|---|---|\n{}", "| one two | three four |\n".repeat(60));
    assert!(chunker.runs(&input(&table)).is_empty());
    let code = format!("# C\n\n```\n{}```\n\nOne. Two. Three.\n", "let a = b.c(d);\n".repeat(60));
    let runs = chunker.runs(&input(&code));
    let end = code.find("```\n\nOne").unwrap();
    assert!(runs.iter().flatten().all(|unit| unit.start == 0 || unit.start > end), "{runs:?}");
}

#[test]
fn late_chunks_are_read_with_what_stands_around_them() {
    let sentence = |i: usize| format!("Sentence number {i} of the section says some plain words here. ");
    let prose = |from: usize, to: usize| (from..to).map(sentence).collect::<String>();
    let text = format!("# One\n\n{}\n\n# Two\n\n{}", prose(0, 40), prose(40, 44));
    let chunks = cut(&late(40), &text);
    let alone = cut(&ChunkConfig { pooling: Pooling::Chunk, ..late(40) }, &text);
    let spans = |chunks: &[Chunk]| chunks.iter().map(|c| c.span.clone()).collect::<Vec<_>>();
    assert_eq!(spans(&chunks), spans(&alone), "only the vectors differ");
    assert!(alone.iter().all(|chunk| chunk.window.is_none()));
    let second = text.find("# Two").unwrap();
    for (chunk, plain) in chunks.iter().zip(&alone) {
        let window = chunk.window.as_ref().unwrap();
        assert_ne!(chunk.content_hash, plain.content_hash, "vectors of both kinds are never mixed");
        assert_eq!(chunk.embedded_text, plain.embedded_text);
        assert!(window.span.start <= chunk.span.start && chunk.span.end <= window.span.end);
        assert_eq!(window.span.start < second, window.span.end <= second, "no window leaves its section");
        let read = format!("{}{}", window.lead, &text[window.span.clone()]);
        assert!(Pieces.count(&read) <= 256);
    }
    // In the middle of the long section, most of what is read is context, on both sides.
    let middle = &chunks[chunks.len() / 2];
    let window = middle.window.as_ref().unwrap();
    assert!(window.span.len() > 2 * middle.span.len());
    assert!(window.span.start < middle.span.start || window.span.end > middle.span.end);
    let windows: std::collections::BTreeSet<usize> =
        chunks.iter().map(|chunk| Arc::as_ptr(chunk.window.as_ref().unwrap()) as usize).collect();
    assert!(windows.len() < chunks.len(), "neighbours share windows");
    // A change far away changes no hash; one in the window does.
    let changed = cut(&late(40), &text.replace("number 0 of", "number 9 of"));
    assert_ne!(changed[0].content_hash, chunks[0].content_hash);
    assert_eq!(changed.last().unwrap().content_hash, chunks.last().unwrap().content_hash);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_text_keeps_the_promises_of_chunks(
        parts in prop::collection::vec("(# [A-Z][a-z]{2,8}\n\n|([a-zé字]{1,9} ){3,30}[.。]( |\n\n)|\\| a \\| b \\|\n\\|---\\|---\\|\n\\| 1 \\| 2 \\|\n\n|```\nx = 1\n```\n\n)", 1..40),
        target in 24_usize..120,
        seed in any::<u32>(),
    ) {
        let text = parts.concat();
        let chunker = Chunker::new(semantic(target), Arc::new(Pieces), 256).unwrap();
        let runs = chunker.runs(&input(&text));
        for run in &runs {
            prop_assert!(run.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
        let any = |unit: &Range<usize>| {
            let turn = (unit.start as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) as f32 / 1e9;
            vec![turn.cos(), turn.sin()]
        };
        let vectors: Vec<Vec<Vec<f32>>> = runs.iter().map(|run| run.iter().map(any).collect()).collect();
        let chunks = chunker.chunk_along(&input(&text), &Drift::between(&runs, &vectors));
        check(&text, &chunks, chunker.max_tokens());
        let chunks = cut(&late(target), &text);
        check(&text, &chunks, 256);
        for chunk in &chunks {
            let window = chunk.window.as_ref().unwrap();
            prop_assert!(window.span.start <= chunk.span.start && chunk.span.end <= window.span.end);
            let read = format!("{}{}", window.lead, &text[window.span.clone()]);
            prop_assert!(Pieces.count(&read) <= 256.max(chunk.tokens));
        }
    }
}

/// One vector per text and none per token, as remote models.
struct Remote(HashEmbedder);

#[async_trait::async_trait]
impl Embedder for Remote {
    fn info(&self) -> &EmbedderInfo {
        self.0.info()
    }
    fn counter(&self) -> Arc<dyn TokenCounter> {
        self.0.counter()
    }
    async fn embed(&self, kind: TextKind, texts: &[&str]) -> wellspring_models::Result<Vec<Embedding>> {
        self.0.embed(kind, texts).await
    }
}

#[test]
fn a_model_without_token_vectors_is_refused_late_chunking() {
    let settings = |pooling| CollectionSettings { chunk: ChunkConfig { pooling, ..ChunkConfig::default() } };
    let remote = Remote(HashEmbedder::default());
    let error = settings(Pooling::Late).suits(&remote).unwrap_err();
    assert!(error.to_string().contains("chunk.pooling"), "{error}");
    assert!(settings(Pooling::Chunk).suits(&remote).is_ok());
    assert!(settings(Pooling::Late).suits(&remote.0).is_ok());
}

#[tokio::test]
async fn a_preview_shows_where_chunks_end_and_what_they_are_read_in() {
    let embedder: Arc<dyn Embedder> = Arc::new(HashEmbedder::default());
    let wells = "Wells of the north give more water than wells of the south give. ";
    let taxes = "Companies pay taxes each May, small companies pay taxes later. ";
    let text = format!("# One\n\n{}{}", wells.repeat(4), taxes.repeat(8));
    let config = ChunkConfig { pooling: Pooling::Late, ..semantic(70) };
    let chunker = Chunker::new(config, embedder.counter(), embedder.info().max_tokens).unwrap();
    let bytes = text.clone().into_bytes().into();
    let shown = preview(&InProcess::default(), &chunker, &embedder, bytes, "a.md", None).await.unwrap();
    assert!(shown.chunks.len() > 1);
    for chunk in &shown.chunks {
        assert!(!(chunk.text.contains("Wells") && chunk.text.contains("taxes")), "{:?}", chunk.text);
        let (start, end) = chunk.read_in.unwrap();
        assert!(start <= chunk.start && chunk.end <= end && end <= text.len());
    }
}

/// The point of it: a sentence that does not name its subject is nearer to a question about the subject when it is read
/// where it stands.
#[tokio::test]
async fn context_brings_a_pronoun_nearer_to_its_subject() {
    let Ok(embedder) = Registry::new(ModelsConfig::default()).unwrap().embedder("all-MiniLM-L6-v2").await
    else {
        eprintln!("skipped: the default model is not in the cache");
        return;
    };
    let text = "Berlin is the capital and largest city of Germany, both by area and by population. Its more than 3.85 million inhabitants make it the European Union's most populous city, as measured by population within city limits. The city is also one of the states of Germany, and is the third smallest state in the country in terms of area.";
    let question = embedder.embed(TextKind::Query, &["Berlin"]).await.unwrap().remove(0).vector;
    let cosine = |v: &[f32]| v.iter().zip(&question).map(|(a, b)| a * b).sum::<f32>();
    let tokens = embedder.tokens().unwrap().embed_tokens(&[text]).await.unwrap().remove(0);
    for start in ["Its more", "The city"] {
        let from = text.find(start).unwrap();
        let to = from + text[from..].find(". ").map_or(text.len() - from, |end| end + 1);
        let alone = embedder.embed(TextKind::Passage, &[&text[from..to]]).await.unwrap().remove(0).vector;
        let read = tokens.pooled([0..0, from..to]).unwrap();
        assert!(cosine(&read) > cosine(&alone) + 0.05, "{start}: {} {}", cosine(&read), cosine(&alone));
    }
}
