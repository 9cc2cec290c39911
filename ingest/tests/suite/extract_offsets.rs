//! Properties of every extraction: offsets lead back to the source, text is clean, pages lie in it; nothing panics.
use std::path::Path;

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization as _;
use wellspring_ingest::extract::{Extracted, Libraries, Limits, extract};
use wellspring_ingest::offsets::{Basis, OffsetMap};

fn read(bytes: &[u8], name: &str) -> Option<Extracted> {
    extract(bytes, Some(name), None, &Limits::default(), &Libraries::default()).ok()
}

/// What must hold whatever the format.
fn check(found: &Extracted, source_len: usize) {
    let text = &found.text;
    assert!(!text.trim().is_empty());
    assert!(text.nfc().eq(text.chars()), "not in NFC");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "control characters");
    let hidden = |c: char| matches!(c, '\u{200b}' | '\u{feff}' | '\u{ad}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}');
    assert!(!text.chars().any(hidden), "invisible characters");
    let mut at = 0;
    for (range, span) in found.offsets.segments() {
        assert!(range.start >= at && range.end > range.start && range.end <= text.len(), "{range:?}");
        assert!(text.is_char_boundary(range.start) && text.is_char_boundary(range.end), "{range:?}");
        assert!(span.start <= span.end, "{span:?}");
        if *found.offsets.basis() == Basis::Bytes {
            assert!(span.end <= source_len as u64, "{span:?}");
        }
        at = range.end;
    }
    let mut at = 0;
    for page in &found.pages {
        assert!(page.start >= at && page.end > page.start && page.end <= text.len(), "{page:?}");
        assert!(text.is_char_boundary(page.start) && text.is_char_boundary(page.end), "{page:?}");
        at = page.end;
    }
    assert!(found.links.is_sorted_by_key(|link| link.at));
    assert!(found.links.iter().all(|link| text.is_char_boundary(link.at) && link.at < text.len()));
    let wire = serde_json::to_string(&found.offsets).unwrap();
    assert_eq!(serde_json::from_str::<OffsetMap>(&wire).unwrap(), found.offsets);
}

/// The source slices of a map say the same as the text, line ends, normalisation and invisible characters aside.
fn check_verbatim(found: &Extracted, source: &str) {
    assert_eq!(*found.offsets.basis(), Basis::Bytes);
    let plain = |s: &str| -> String {
        s.chars().filter(|c| !c.is_whitespace() && !c.is_control() && !is_format(*c)).nfc().collect()
    };
    for (range, span) in found.offsets.segments() {
        let mapped = source.get(span.start as usize..span.end as usize).unwrap();
        assert_eq!(plain(&found.text[range]), plain(mapped));
    }
    // Any word is found again by a look-up of its own range.
    for word in found.text.split_whitespace().take(50).filter(|w| w.is_ascii() && w.len() > 3) {
        let start = word.as_ptr() as usize - found.text.as_ptr() as usize;
        let spans = found.offsets.lookup(start..start + word.len());
        let mapped: String = spans.iter().map(|s| &source[s.start as usize..s.end as usize]).collect();
        assert_eq!(plain(&mapped), plain(word));
    }
}

fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

fn prose() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z ]{1,30}",
        Just("\r\n".to_owned()),
        Just("\n".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("e\u{301}o\u{308}".to_owned()),
        Just("\u{200b}\u{202e}hidden\u{202c}".to_owned()),
        Just("日本語 テキスト".to_owned()),
        Just("\u{1100}\u{1161}\u{11a8}".to_owned()),
        Just("a\u{a0}b\u{ad}c".to_owned()),
        Just("# Heading\n".to_owned()),
        Just("👩\u{200d}💻".to_owned()),
        "\\PC{1,10}",
    ];
    prop::collection::vec(piece, 1..30).prop_map(|v| v.concat())
}

#[test]
fn a_character_composed_over_a_removed_one_maps_to_all_of_its_bytes() {
    for source in
        ["\u{1100}\u{1161}\u{11a8}\u{feff}\u{1193d}", "e\u{feff}\u{301}", "a\u{200b}\u{327}\u{200b}\u{301} b"]
    {
        let found = read(source.as_bytes(), "a.txt").unwrap();
        check(&found, source.len());
        check_verbatim(&found, source);
    }
}

proptest! {
    #[test]
    fn text_and_markdown_map_to_their_bytes(body in prose(), mark in any::<bool>()) {
        let source = if mark { format!("\u{feff}{body}") } else { body };
        for name in ["a.txt", "a.md", "a.rs"] {
            if let Some(found) = read(source.as_bytes(), name) {
                check(&found, source.len());
                check_verbatim(&found, &source);
            }
        }
    }

    #[test]
    fn any_bytes_under_any_name_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..600), name in "a\\.(txt|md|html|csv|json|jsonl|eml|xml|rst|docx|xls)") {
        if let Some(found) = read(&bytes, &name) {
            check(&found, bytes.len());
        }
    }

    #[test]
    fn markup_of_any_shape_is_harmless(pieces in prop::collection::vec("</?(p|div|table|tr|td|ul|ol|li|h1|pre|b|blockquote)( (row|col)span=[0-9]+)?>|[a-z ]{0,12}|&[a-z]{2,5};?", 0..80)) {
        let source = format!("<html><body>{}", pieces.concat());
        if let Some(found) = read(source.as_bytes(), "a.html") {
            check(&found, source.len());
        }
    }

    #[test]
    fn tables_and_records_of_any_shape_are_harmless(rows in prop::collection::vec("([a-z|\"',;\t0-9]{0,20}\r?\n)|(\\{\"a\": \\[1, \\{\"b\": \"x\\\\u00e9\"\\}\\]\\}\n)", 0..20)) {
        let source = rows.concat();
        for name in ["a.csv", "a.json", "a.jsonl"] {
            if let Some(found) = read(source.as_bytes(), name) {
                check(&found, source.len());
            }
        }
    }
}

#[test]
fn front_matter_becomes_metadata_and_offsets_stay_true() {
    let source = "---\r\ntitle: \"The heron\"\r\ntags: [bird, water]\r\nversion: 3\r\n---\r\n# Body\r\n\r\nA cafe\u{301} by the lake.\r\n";
    let found = read(source.as_bytes(), "heron.md").unwrap();
    assert_eq!(found.title.as_deref(), Some("The heron"));
    assert_eq!(found.metadata["tags"], serde_json::json!(["bird", "water"]));
    assert_eq!(found.metadata["version"], 3);
    assert_eq!(found.text, "# Body\n\nA café by the lake.\n");
    check_verbatim(&found, source);
    let at = found.text.find("lake").unwrap();
    let spans = found.offsets.lookup(at..at + 4);
    assert_eq!(spans.len(), 1);
    assert_eq!(&source[spans[0].start as usize..spans[0].end as usize], "lake");
}

#[test]
fn a_page_keeps_structure_and_loses_its_furniture() {
    let source = "<html><head><title>Limits – Heron docs</title></head><body><nav><a href=/>Home</a> <a href=/x>Products</a></nav><main><h1>Limits</h1>\
        <p>Every key has a <b>rate</b> limit.</p><table><tr><th>Plan<th>Requests</tr><tr><td>Free<td>60</tr></table>\
        <ul><li>one<ul><li>inner</ul><li>two</ul><pre><code class=\"language-sh\">curl -v\n  x</code></pre><p style='display: none'>ignore all</p></main><footer>© 2026</footer></body></html>";
    let found = read(source.as_bytes(), "limits.html").unwrap();
    assert_eq!(
        found.text,
        "# Limits\n\nEvery key has a rate limit.\n\n| Plan | Requests |\n| --- | --- |\n| Free | 60 |\n\n- one\n  - inner\n- two\n\n```sh\ncurl -v\n  x\n```"
    );
    assert_eq!(found.title.as_deref(), Some("Limits"));
    let at = found.text.find("Free").unwrap();
    let span = &found.offsets.lookup(at..at + 4)[0];
    assert!(source[span.start as usize..span.end as usize].starts_with("Free"));
}

#[test]
fn long_tables_repeat_their_header() {
    let mut source = String::from("name,price\n");
    for i in 0..100 {
        source.push_str(&format!("item {i},{i}.50\n"));
    }
    let found = read(source.as_bytes(), "prices.csv").unwrap();
    assert_eq!(found.text.matches("| name | price |").count(), 3);
    check(&found, source.len());
    let at = found.text.find("item 77").unwrap();
    let span = &found.offsets.lookup(at..at + 7)[0];
    assert_eq!(&source[span.start as usize..span.end as usize], "item 77,77.50\n");
}

#[test]
fn committed_documents_hold_every_property() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/corpus");
    assert!(folder.is_dir(), "{} is missing", folder.display());
    let mut stack = vec![folder];
    let mut read_files = 0;
    while let Some(folder) = stack.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                stack.push(path);
                continue;
            }
            let bytes = fs_err::read(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.ends_with(".pdf") {
                continue;
            }
            let found = extract(&bytes, Some(&name), None, &Limits::default(), &Libraries::default());
            let found = found.unwrap_or_else(|failure| unreachable!("{name}: {failure}"));
            check(&found, bytes.len());
            read_files += 1;
        }
    }
    assert!(read_files > 0);
}

#[test]
fn links_of_a_page_stand_where_their_words_do() {
    let source = "<html><head><title>Leave</title></head><body><nav><a href=/>Home</a> <a href=/all>All pages</a></nav><main><h1>Leave</h1>\
        <p>Whoever is ill reads <a href='../health/sick%20notes.html#when'>the rules for sick notes</a> first, and asks \
        <a href=mailto:hr@example.org>the office</a> afterwards.</p><p>Everything else is as it was on \
        <a href=\"https://example.org/old?year=2024&amp;page=3\">the old&nbsp;page</a>.</p></main><footer><a href=/imprint>Imprint</a></footer></body></html>";
    let found = read(source.as_bytes(), "leave.html").unwrap();
    let told: Vec<_> =
        found.links.iter().map(|link| (&found.text[link.at..], link.target.as_str())).collect();
    assert_eq!(told.len(), 2, "{told:?} in {}", found.text);
    assert!(told[0].0.starts_with("the rules for sick notes first"), "{told:?}");
    assert_eq!(told[0].1, "../health/sick%20notes.html#when");
    assert!(told[1].0.starts_with("the old page."), "{told:?}");
    assert_eq!(told[1].1, "https://example.org/old?year=2024&page=3");
}

#[test]
fn links_with_equal_words_stand_one_after_the_other() {
    let source = "<html><body><main><h1>Forms</h1><p>The form for leave is <a href=leave.html>here</a>, the one for sick notes is \
        <a href=sick.html>here</a>, and nothing else is asked of anybody who works with us.</p></main></body></html>";
    let found = read(source.as_bytes(), "forms.html").unwrap();
    let told: Vec<_> = found.links.iter().map(|link| (link.at, link.target.as_str())).collect();
    let [(first, "leave.html"), (second, "sick.html")] = told[..] else {
        panic!("{told:?} in {}", found.text)
    };
    assert!(first < second, "{told:?}");
    assert!(found.text[second..].starts_with("here, and nothing"), "{told:?} in {}", found.text);
}
