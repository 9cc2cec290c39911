//! Chunks of random and lifelike texts: spans slice the text exactly, cover it, ascend, and never exceed the limit.
use std::sync::Arc;

use proptest::prelude::*;
use wellspring_ingest::chunk::{Chunk, ChunkConfig, ChunkMode, Chunker, Input, Markup};
use wellspring_models::TokenCounter;
use wellspring_store::PageSpan;

mod code;
mod context;

/// Counts as WordPiece does: words in pieces of four letters, every other sign by itself, two special tokens.
struct Pieces;
impl TokenCounter for Pieces {
    fn count(&self, text: &str) -> usize {
        let (mut tokens, mut run) = (2, 0);
        for sign in text.chars() {
            if sign.is_alphanumeric() && (sign as u32) < 0x2e80 {
                tokens += usize::from(run % 4 == 0);
                run += 1;
            } else {
                tokens += usize::from(!sign.is_whitespace());
                run = 0;
            }
        }
        tokens
    }
}

/// Counts every byte, white space too: what word counts estimate too low.
struct Bytes;
impl TokenCounter for Bytes {
    fn count(&self, text: &str) -> usize {
        1 + text.len()
    }
}

fn chunks_with(
    counter: Arc<dyn TokenCounter>,
    config: ChunkConfig,
    text: &str,
    title: Option<&str>,
    markup: Markup,
) -> Vec<Chunk> {
    let chunker = Chunker::new(config, Arc::clone(&counter), 256).unwrap();
    let chunks = chunker.chunk(&Input { text, markup, title, pages: &[], outline: &[] });
    check(text, &chunks, chunker.max_tokens());
    for chunk in &chunks {
        assert_eq!(chunk.tokens, counter.count(&chunk.embedded_text), "{:?}", chunk.embedded_text);
    }
    if text.len() < 10_000 {
        assert_eq!(
            chunker.chunk(&Input { text, markup, title, pages: &[], outline: &[] }),
            chunks,
            "what was learned changed the result"
        );
    }
    chunks
}

fn chunks_of(text: &str) -> Vec<Chunk> {
    chunks_with(Arc::new(Pieces), ChunkConfig::default(), text, Some("Title"), Markup::Markdown)
}

fn check(text: &str, chunks: &[Chunk], limit: usize) {
    let mut covered = 0;
    let mut before = (0, 0);
    for (number, chunk) in chunks.iter().enumerate() {
        let body = text.get(chunk.span.clone()).expect("a span on character boundaries");
        assert!(!body.trim().is_empty(), "chunk {number} is blank");
        assert_eq!(body.trim_end(), body, "chunk {number} ends in white space");
        assert!(chunk.embedded_text.ends_with(body), "chunk {number} embeds something else");
        assert!(
            chunk.tokens <= limit || body.chars().count() == 1,
            "chunk {number} has {} tokens",
            chunk.tokens
        );
        assert!(
            number == 0 || (chunk.span.start > before.0 && chunk.span.end > before.1),
            "chunk {number} does not ascend"
        );
        assert!(chunk.overlap < body.len());
        if chunk.span.start > covered {
            let gap = text.get(covered..chunk.span.start).expect("a gap on character boundaries");
            assert!(gap.trim().is_empty(), "nothing holds {gap:?}");
        }
        if let Some((start, end)) = chunk.section {
            assert!(start <= chunk.span.start && chunk.span.end <= end && text.get(start..end).is_some());
        }
        covered = covered.max(chunk.span.end);
        before = (chunk.span.start, chunk.span.end);
    }
    assert!(
        text.get(covered..).expect("an end on a character boundary").trim().is_empty(),
        "the end is missing"
    );
}

fn paragraph(topic: &str, sentences: usize) -> String {
    (0..sentences)
        .map(|i| format!("The {topic} number {i} stands here as a plain sentence. "))
        .collect::<String>()
        .trim_end()
        .to_owned()
}

#[test]
fn chunks_know_their_headings_and_never_repeat_them() {
    let text = format!(
        "# Guide\n\n{}\n\n## Setup\n\n{}\n\n## Use\n\n{}\n",
        paragraph("intro", 8),
        paragraph("setup", 8),
        paragraph("use", 8)
    );
    let chunks = chunks_of(&text);
    assert_eq!(chunks.len(), 3);
    assert_eq!(chunks[1].headings, ["Guide", "Setup"]);
    assert!(
        chunks[1].embedded_text.starts_with("Title\nGuide\n\n## Setup\n\nThe setup number 0"),
        "{}",
        chunks[1].embedded_text
    );
    let (start, end) = chunks[1].section.unwrap();
    assert!(text[start..end].starts_with("## Setup") && text[start..end].ends_with("sentence."));
}

#[test]
fn long_sections_overlap_by_whole_sentences_inside_the_section_only() {
    let text = format!("## One\n\n{}\n\n## Two\n\n{}\n", paragraph("first", 40), paragraph("second", 40));
    let chunks = chunks_of(&text);
    assert!(chunks.len() > 4);
    let two = text.find("## Two").unwrap();
    let mut overlapping = 0;
    for pair in chunks.windows(2) {
        let shared = &text[pair[1].span.start..pair[1].span.start + pair[1].overlap];
        if pair[1].overlap > 0 {
            overlapping += 1;
            assert!(shared.starts_with("The ") && shared.trim_end().ends_with('.'), "{shared:?}");
            assert!(Pieces.count(shared) <= 2 + 24);
            assert_eq!(pair[1].span.start > two, pair[0].span.end > two, "an overlap crosses sections");
        }
    }
    assert!(overlapping >= 3, "{overlapping}");
    let second = chunks.iter().find(|c| c.span.start == two).expect("a section begins a chunk");
    assert_eq!((second.overlap, second.headings.as_slice()), (0, ["Two".to_owned()].as_slice()));
}

#[test]
fn tiny_sections_are_joined_and_bare_headings_go_with_what_they_introduce() {
    let text = format!(
        "# Prices\n\n## Small\n\nTen.\n\n## Large\n\nTwenty.\n\n# Notes\n\n## Long\n\n{}\n",
        paragraph("note", 60)
    );
    let chunks = chunks_of(&text);
    assert_eq!(&text[chunks[0].span.clone()], "# Prices\n\n## Small\n\nTen.\n\n## Large\n\nTwenty.");
    assert_eq!(chunks[0].headings, ["Prices"]);
    assert!(text[chunks[1].span.clone()].starts_with("# Notes\n\n## Long\n\nThe note"));
    assert!(chunks.iter().skip(2).all(|c| c.headings == ["Notes", "Long"]));
    assert!(chunks.iter().skip(1).all(|c| c.tokens > 48));
}

#[test]
fn tables_that_fit_stay_whole_and_others_repeat_their_header_in_the_embedded_text() {
    let rows = |n: usize| (0..n).map(|i| format!("| item {i} | {i}.00 |\n")).collect::<String>();
    let header = "| name | price |\n|------|-------|\n";
    let text =
        format!("# T\n\n{}\n\n{header}{}\n{}\n", paragraph("before", 6), rows(8), paragraph("after", 6));
    let chunks = chunks_of(&text);
    assert!(
        chunks
            .iter()
            .any(|c| text[c.span.clone()].contains(header) && text[c.span.clone()].contains("| item 7 |"))
    );

    let text = format!("# T\n\nCaption.\n\n{header}{}\nEnd.\n", rows(120));
    let chunks = chunks_of(&text);
    assert!(chunks.len() > 4);
    for chunk in &chunks {
        let body = &text[chunk.span.clone()];
        assert_eq!(chunk.embedded_text.matches("| name | price |").count(), 1, "{}", chunk.embedded_text);
        assert_eq!(body.contains("| name | price |"), chunk.span.start < text.find("| item 0").unwrap());
        assert!(body.starts_with("# T") || body.starts_with("| item"), "a row is cut: {body:?}");
        assert_eq!(chunk.overlap, 0);
    }
}

#[test]
fn a_caption_stays_with_its_table_and_is_repeated_with_the_header() {
    let rows = |n: usize| (0..n).map(|i| format!("| item {i} | {i}.00 |\n")).collect::<String>();
    let header = "| name | price |\n|------|-------|\n";
    let caption = "Prices in euros, year ended December 31:";
    let text = format!("# T\n\n{}\n\n{caption}\n\n{header}{}\nEnd.\n", paragraph("before", 8), rows(60));
    let of = |text: &str, captions| {
        let config = ChunkConfig { captions, ..ChunkConfig::default() };
        chunks_with(Arc::new(Pieces), config, text, Some("Title"), Markup::Markdown)
    };
    let table: Vec<Chunk> =
        of(&text, true).into_iter().filter(|c| text[c.span.clone()].contains("| item")).collect();
    assert!(table.len() > 2);
    let first = &table[0];
    assert!(text[first.span.start + first.overlap..].starts_with(caption), "{first:?}");
    for chunk in &table {
        assert_eq!(chunk.embedded_text.matches(caption).count(), 1, "{}", chunk.embedded_text);
        assert_eq!(chunk.embedded_text.matches(header).count(), 1, "{}", chunk.embedded_text);
    }
    let without = of(&text, false);
    assert!(without.iter().filter(|c| c.embedded_text.contains(caption)).count() < table.len());
    assert!(without.iter().any(|c| c.embedded_text.contains(header) && !c.embedded_text.contains(caption)));
    // One that fits whole does too.
    let text = format!(
        "# T\n\n{}\n\n{caption}\n\n{header}{}\n{}\n",
        paragraph("before", 11),
        rows(9),
        paragraph("after", 8)
    );
    let whole = format!("{caption}\n\n{header}{}", rows(9));
    assert!(of(&text, true).iter().any(|c| text[c.span.clone()].contains(whole.trim_end())));
}

#[test]
fn code_blocks_that_fit_stay_whole() {
    let code = (0..20).map(|i| format!("let value_{i} = {i};\n\n")).collect::<String>();
    let text =
        format!("# C\n\n{}\n\n```rust\n{code}```\n\n{}\n", paragraph("before", 10), paragraph("after", 10));
    let chunks = chunks_of(&text);
    assert!(
        chunks
            .iter()
            .any(|c| text[c.span.clone()].contains("```rust") && text[c.span.clone()].contains("value_19"))
    );
}

#[test]
fn source_code_has_no_headings() {
    let text = "# not a heading\ndef f():\n    return 1\n".repeat(3);
    let chunks = chunks_with(Arc::new(Pieces), ChunkConfig::default(), &text, None, Markup::Plain);
    assert!(chunks.iter().all(|c| c.headings.is_empty() && c.section.is_none()));
}

#[test]
fn whole_mode_is_title_space_text() {
    let config = ChunkConfig { mode: ChunkMode::Whole, ..ChunkConfig::default() };
    let text = format!("# A\n\n{}\n", paragraph("long", 200));
    let chunker = Chunker::new(config, Arc::new(Pieces), 256).unwrap();
    let chunks = chunker.chunk(&Input {
        text: &text,
        markup: Markup::Plain,
        title: Some("T"),
        pages: &[],
        outline: &[],
    });
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].embedded_text, format!("T {}", text.trim()));
    assert!(chunks[0].tokens > 256);
    assert!(
        chunker
            .chunk(&Input { text: " \n ", markup: Markup::Plain, title: Some("T"), pages: &[], outline: &[] })
            .is_empty()
    );
}

#[test]
fn pages_are_the_first_one_touched() {
    let text = format!("{}\n\n{}", paragraph("one", 12), paragraph("two", 12));
    let middle = paragraph("one", 12).len();
    let pages = [
        PageSpan { page: 3, start: 0, end: middle },
        PageSpan { page: 5, start: middle + 2, end: text.len() },
    ];
    let chunker =
        Chunker::new(ChunkConfig { overlap_tokens: 0, ..ChunkConfig::default() }, Arc::new(Pieces), 256)
            .unwrap();
    let chunks = chunker.chunk(&Input {
        text: &text,
        markup: Markup::Markdown,
        title: None,
        pages: &pages,
        outline: &[],
    });
    assert_eq!(chunks.first().unwrap().page, Some(3));
    assert_eq!(chunks.last().unwrap().page, Some(5));
}

#[test]
fn an_edit_leaves_the_chunks_of_other_sections_as_they_were() {
    let make = |third: &str| {
        (0..6)
            .map(|i| {
                format!(
                    "## S{i}\n\n{}\n\n",
                    if i == 3 { third.to_owned() } else { paragraph(&format!("s{i}"), 20) }
                )
            })
            .collect::<String>()
    };
    let hashes =
        |text: &str| chunks_of(text).into_iter().map(|c| (c.headings, c.content_hash)).collect::<Vec<_>>();
    let (old, new) = (hashes(&make(&paragraph("old", 20))), hashes(&make(&paragraph("new thing", 30))));
    let fresh: Vec<_> = new.iter().filter(|c| !old.contains(c)).collect();
    assert!(
        !fresh.is_empty() && fresh.iter().all(|(headings, _)| headings == &["S3".to_owned()]),
        "{fresh:?}"
    );
}

#[test]
fn hostile_texts_end_and_keep_to_the_limit() {
    let texts = [
        "word ".repeat(20_000),
        "漢字".repeat(4_000),
        "👩‍👩‍👧‍👦".repeat(1_500),
        "e\u{301}\u{302}\u{303}".repeat(5_000),
        "\u{301}".repeat(5_000),
        "# ".repeat(5_000),
        "# h\n".repeat(5_000),
        "> ".repeat(5_000),
        "- a\n".repeat(5_000),
        "[".repeat(5_000),
        "*a_".repeat(5_000),
        "`".repeat(5_000),
        format!("```\n{}", "x = 1\n".repeat(5_000)),
        format!("| a |\n|---|\n| {} |\n", "cell ".repeat(10_000)),
        format!("| {} |\n|{}\n{}", "h | ".repeat(3_000), "---|".repeat(3_001), "| 1 | 2 |\n".repeat(500)),
        format!("# {}\n\ntext", "long heading ".repeat(20)),
    ];
    for text in &texts {
        for markup in [Markup::Markdown, Markup::Plain] {
            let chunks = chunks_with(Arc::new(Pieces), ChunkConfig::default(), text, Some("A title"), markup);
            assert!(!chunks.is_empty());
        }
    }
    chunks_of(&"a".repeat(1_000_000));
    for text in ["\u{301}".repeat(3_000), "a b\n\n".repeat(3_000), "漢 字".repeat(3_000)] {
        chunks_with(Arc::new(Bytes), ChunkConfig::default(), &text, Some("A title"), Markup::Markdown);
    }
}

fn markdown() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => "[a-z]{1,12}", 1 => "[A-Z0-9_-]{1,20}", 1 => "\\PC{1,8}", 1 => "[漢字仮名]{1,30}", 1 => "[\u{300}-\u{30f}]{1,3}",
        1 => Just("👩‍👩‍👧‍👦".to_owned()), 1 => "[*_`#|\\[\\]()<>!~$]{1,4}", 1 => "[a-z]{80,300}",
    ];
    let line = prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "));
    let block = prop_oneof![
        2 => (1..5_usize, "[a-zé ]{0,30}").prop_map(|(level, title)| format!("{} {title}\n\n", "#".repeat(level))),
        5 => prop::collection::vec(line.clone(), 1..6).prop_map(|lines| lines.join(". ") + "\n\n"),
        2 => prop::collection::vec(line.clone(), 1..12).prop_map(|lines| lines.iter().map(|l| format!("- {l}\n")).collect::<String>() + "\n"),
        2 => prop::collection::vec(line.clone(), 0..30).prop_map(|lines| "| a | b |\n|---|---|\n".to_owned() + &lines.iter().map(|l| format!("| {} | x |\n", l.replace('|', "/"))).collect::<String>() + "\n"),
        1 => prop::collection::vec(line.clone(), 0..40).prop_map(|lines| format!("```\n{}\n```\n\n", lines.join("\n    "))),
        1 => line.prop_map(|l| format!("> {l}\n>\n> {l}\n")),
        1 => "\\PC{0,40}[\r\n\t \u{a0}\u{2028}]{0,5}",
    ];
    prop::collection::vec(block, 0..25).prop_map(|blocks| blocks.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn spans_slice_cover_ascend_and_fit(
        text in markdown(),
        title in proptest::option::of("[A-Za-z ]{0,60}"),
        target in 16_usize..300,
        max in proptest::option::of(16_usize..300),
        overlap in 0_usize..200,
        plain in any::<bool>(),
        by_bytes in any::<bool>(),
    ) {
        let config = ChunkConfig { target_tokens: target, max_tokens: max, overlap_tokens: overlap, ..ChunkConfig::default() };
        let counter: Arc<dyn TokenCounter> = if by_bytes { Arc::new(Bytes) } else { Arc::new(Pieces) };
        let markup = if plain { Markup::Plain } else { Markup::Markdown };
        let chunks = chunks_with(counter, config, &text, title.as_deref(), markup);
        prop_assert_eq!(chunks.is_empty(), text.trim().is_empty());
    }
}
