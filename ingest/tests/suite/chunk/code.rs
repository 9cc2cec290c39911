//! Source code: chunks follow functions and types, and whatever is broken is still cut whole.

use super::*;
use wellspring_ingest::extract::{Extracted, Libraries, Limits, extract};

fn read(text: &str, name: &str) -> Option<Extracted> {
    extract(text.as_bytes(), Some(name), None, &Limits::default(), &Libraries::default()).ok()
}

fn cut(source: &Extracted, config: ChunkConfig) -> Vec<Chunk> {
    let counter: Arc<dyn TokenCounter> = Arc::new(Pieces);
    let chunker = Chunker::new(config, Arc::clone(&counter), 256).unwrap();
    let outline = &source.outline;
    let chunks = chunker.chunk(&Input {
        text: &source.text,
        markup: Markup::Plain,
        title: Some("f"),
        pages: &[],
        outline,
    });
    check(&source.text, &chunks, chunker.max_tokens());
    chunks
}

/// A file of this language with a class or module, two long functions in it and a short one outside.
fn sources() -> Vec<(&'static str, String)> {
    let body = |line: &str, n: usize| (0..n).map(|i| line.replace('N', &i.to_string())).collect::<String>();
    vec![
        (
            "a.rs",
            format!(
                "//! Keeps things.\n\nuse std::fs;\n\n/// A store.\npub struct Store;\n\nimpl Store {{\n    /// Opens the store.\n    #[must_use]\n    pub fn open() -> Self {{\n{}        Store\n    }}\n\n    /// Closes it.\n    fn close(self) {{\n{}    }}\n}}\n\nfn short() {{}}\n",
                body("        let value_N = fs::read(\"N\");\n", 7),
                body("        drop(value_N);\n", 20)
            ),
        ),
        (
            "a.py",
            format!(
                "import os\n\nclass Store:\n    \"\"\"Keeps things.\"\"\"\n\n    @staticmethod\n    def open(path):\n{}\n    def close(self):\n{}\ndef short():\n    pass\n",
                body("        value_N = os.stat('N')\n", 16),
                body("        del self.value_N\n", 20)
            ),
        ),
        (
            "a.ts",
            format!(
                "import fs from 'fs';\n\n/** Keeps things. */\nexport class Store {{\n  open(path: string) {{\n{}  }}\n\n  close() {{\n{}  }}\n}}\n\nexport const short = () => 1;\n",
                body("    const valueN = fs.statSync('N');\n", 16),
                body("    delete this.valueN;\n", 20)
            ),
        ),
        (
            "a.js",
            format!(
                "class Store {{\n  open(path) {{\n{}  }}\n  close() {{}}\n}}\nfunction short() {{}}\n",
                body("    let valueN = 'N';\n", 30)
            ),
        ),
        (
            "A.java",
            format!(
                "package p;\n\n/** Keeps things. */\npublic class Store {{\n  void open() {{\n{}  }}\n\n  void close() {{\n{}  }}\n}}\n",
                body("    int valueN = read(N);\n", 20),
                body("    close(valueN);\n", 20)
            ),
        ),
        (
            "a.go",
            format!(
                "package p\n\n// Store keeps things.\ntype Store struct{{}}\n\n// Open opens.\nfunc (s *Store) Open() {{\n{}}}\n\nfunc short() {{}}\n",
                body("\tvalueN := read(N)\n", 30)
            ),
        ),
        (
            "a.cpp",
            format!(
                "namespace kept {{\n\nclass Store {{\n  void open() {{\n{}  }}\n  void close() {{}}\n}};\n\n}}\n",
                body("    int valueN = read(N);\n", 30)
            ),
        ),
        (
            "a.c",
            format!(
                "/* Opens. */\nint open_store(void) {{\n{}  return 0;\n}}\n\nstatic void short_one(void) {{}}\n",
                body("  int valueN = read(N);\n", 30)
            ),
        ),
    ]
}

#[test]
fn chunks_begin_with_functions_and_know_what_they_stand_in() {
    let sources = sources();
    let of = |name: &str| {
        let source = read(&sources.iter().find(|(n, _)| *n == name).unwrap().1, name).unwrap();
        let chunks = cut(&source, ChunkConfig { min_tokens: 16, ..ChunkConfig::default() });
        (source.text, chunks)
    };
    let (text, chunks) = of("a.rs");
    let open = chunks.iter().find(|c| text[c.span.clone()].contains("pub fn open")).unwrap();
    assert!(
        text[open.span.clone()].starts_with("impl Store {\n    /// Opens the store.\n    #[must_use]"),
        "{open:?}"
    );
    assert!(text[open.span.clone()].trim_end().ends_with('}'), "{open:?}");
    let close = chunks.iter().find(|c| text[c.span.clone()].contains("fn close")).unwrap();
    assert_eq!(close.headings, ["Store", "close"]);
    assert!(text[close.span.clone()].starts_with("    /// Closes it."), "{close:?}");
    assert!(close.embedded_text.starts_with("f\nStore\n\n    /// Closes it."), "{}", close.embedded_text);
    let (text, chunks) = of("a.py");
    let open = chunks.iter().find(|c| text[c.span.clone()].contains("def open")).unwrap();
    assert!(text[open.span.clone()].contains("    @staticmethod\n    def open"));
    assert!(chunks.iter().any(|c| c.headings == ["Store", "close"]));
    let off = ChunkConfig { code: false, ..ChunkConfig::default() };
    assert!(cut(&read(&sources[0].1, "a.rs").unwrap(), off).iter().all(|c| c.headings.is_empty()));
}

#[test]
fn every_language_is_cut_along_its_parts() {
    for (name, text) in sources() {
        let source = read(&text, name).unwrap();
        assert!(source.outline.len() >= 2, "{name}: {:?}", source.outline);
        let chunks = cut(&source, ChunkConfig::default());
        assert!(chunks.iter().any(|c| !c.headings.is_empty()), "{name}");
        // A function that fits is in one chunk.
        let small =
            source.outline.iter().filter(|item| Pieces.count(&source.text[item.start..item.end]) < 150);
        for item in small {
            let whole = source.text[item.start..item.end].trim();
            assert!(
                chunks.iter().any(|c| source.text[c.span.clone()].contains(whole)),
                "{name}: {} is cut",
                item.name
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn broken_sources_are_cut_like_any_text(
        which in 0_usize..8,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, "[(){}\\[\\];:\"'/*#<>=\n a-z]{0,12}|\\PC{0,3}"), 0..12),
        target in 16_usize..250,
        overlap in 0_usize..60,
    ) {
        let (name, mut text) = sources().swap_remove(which);
        for (at, length, put) in edits {
            let at = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.ceil_char_boundary((at + length).min(text.len()));
            text.replace_range(at..end, &put);
        }
        let config = ChunkConfig { target_tokens: target, overlap_tokens: overlap, ..ChunkConfig::default() };
        if let Some(source) = read(&text, name) {
            let chunks = cut(&source, config.clone());
            prop_assert_eq!(cut(&source, config), chunks);
        }
    }
}
