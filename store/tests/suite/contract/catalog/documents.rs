//! Collections and documents: made visible, replaced, listed, read.

use serde_json::json;
use wellspring_store::*;

use crate::contract::fixture::*;
use wellspring_store::jobs::JobState;

pub(crate) async fn collections_are_made_listed_and_deleted(f: &Fixture) {
    let scope = administrator();
    let docs = f.make(&scope, "docs").await;
    f.make(&scope, "b").await;
    let taken = NewCollection {
        name: docs.name().clone(),
        model: String::new(),
        fingerprint: String::new(),
        dimension: 4,
        settings: json!(null),
    };
    assert_eq!(kind(f.catalog.create_collection(&scope, taken).await), ErrorKind::Conflict);
    let names =
        |list: Vec<Collection>| list.into_iter().map(|c| c.name.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(f.catalog.collections(&scope).await.unwrap()), ["b", "docs"]);
    let (_, found) = f.catalog.collection(&scope, docs.name()).await.unwrap();
    assert_eq!((found.key, found.dimension, found.settings), (docs.key(), 4, json!({"overlap": 0})));
    f.catalog.delete_collection(&docs).await.unwrap();
    assert_eq!(kind(f.catalog.delete_collection(&docs).await), ErrorKind::NotFound);
    assert_eq!(kind(f.catalog.collection(&scope, docs.name()).await), ErrorKind::NotFound);
    assert_eq!(names(f.catalog.collections(&scope).await.unwrap()), ["b"]);
    let all = f.catalog.all_collections().await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].0.scope(), &scope);
}

pub(crate) async fn a_collection_made_again_is_empty(f: &Fixture) {
    let docs = f.docs().await;
    f.published(&docs, document("a", "old"), "old").await;
    f.catalog.delete_collection(&docs).await.unwrap();
    let again = f.docs().await;
    assert_ne!(docs.key(), again.key());
    assert_eq!(kind(f.catalog.document(&again, &id("a")).await), ErrorKind::NotFound);
    assert_eq!(f.catalog.collection(&administrator(), again.name()).await.unwrap().1.documents, 0);
    assert_eq!(f.published(&again, document("a", "new"), "new").await.version, 1);
}

pub(crate) async fn a_version_is_deleted_only_while_it_is_visible(f: &Fixture) {
    let docs = f.docs().await;
    f.published(&docs, document("a", "one\n"), "one\n").await;
    f.published(&docs, document("a", "two\n"), "two\n").await;
    for other in [1, 3] {
        assert_eq!(
            kind(f.catalog.delete_version(&docs, &id("a"), other).await),
            ErrorKind::Conflict,
            "{other}"
        );
    }
    f.catalog.document(&docs, &id("a")).await.unwrap();
    f.catalog.delete_version(&docs, &id("a"), 2).await.unwrap();
    assert_eq!(kind(f.catalog.document(&docs, &id("a")).await), ErrorKind::NotFound);
    assert_eq!(kind(f.catalog.delete_version(&docs, &id("a"), 2).await), ErrorKind::NotFound);
}

pub(crate) async fn a_document_is_visible_once_published(f: &Fixture) {
    let docs = f.docs().await;
    let lease = f.stored(&docs, document("a", "one\ntwo\n"), "one\ntwo\n").await;
    assert_eq!(kind(f.catalog.document(&docs, &id("a")).await), ErrorKind::NotFound);
    assert_eq!(kind(f.catalog.text(&docs, &id("a")).await), ErrorKind::NotFound);
    assert_eq!(f.texts(&docs).await, Vec::<String>::new());
    assert_eq!(f.catalog.publish(&lease, json!({"chunks": 2})).await.unwrap(), JobState::Indexed);

    let shown = f.catalog.document(&docs, &id("a")).await.unwrap();
    assert_eq!((shown.key, shown.version, shown.chunks, shown.pages), (lease.document_key, 1, 2, 1));
    assert_eq!((shown.title.as_deref(), shown.media_type.as_str()), (Some("A title"), "text/plain"));
    assert_eq!((shown.source.as_str(), shown.pipeline.as_str()), ("a.txt", "test/1"));
    assert_eq!(shown.content_hash, ContentHash::of(b"one\ntwo\n").to_hex());
    assert_eq!(shown.warnings, ["a warning"]);
    assert_eq!(f.texts(&docs).await, ["one\n", "two\n"]);
    let (text, pages, offsets) = f.catalog.text(&docs, &id("a")).await.unwrap();
    assert_eq!((text.as_str(), pages.len(), offsets), ("one\ntwo\n", 1, json!({"identity": true})));
    assert_eq!(f.catalog.blob(&docs, &id("a")).await.unwrap(), ContentHash::of(b"one\ntwo\n"));

    let chunks = f.catalog.chunks(&docs, &id("a")).await.unwrap();
    assert_eq!(
        chunks.iter().map(|c| (c.ordinal, c.start, c.end)).collect::<Vec<_>>(),
        [(0, 0, 4), (1, 4, 8)]
    );
    assert_eq!(chunks[1].headings, ["Top", "Part 1"]);
    assert_eq!((chunks[1].section, chunks[1].page), (Some((0, 8)), Some(1)));
    assert_eq!((chunks[1].language.as_deref(), chunks[1].document_id.as_str()), (Some("en"), "a"));
    let found =
        f.catalog.chunks_by_id(&docs, &[chunks[1].id.clone(), ChunkId("none".to_owned())]).await.unwrap();
    assert_eq!(found, chunks[1..]);
    let job = f.catalog.job(&administrator(), lease.job).await.unwrap();
    assert_eq!((job.state, job.report, job.version), (JobState::Indexed, json!({"chunks": 2}), 1));

    f.published(&docs, document("b", "to x/y.html\nplain\n"), "to x/y.html\nplain\n").await;
    let links: Vec<Vec<String>> =
        f.catalog.chunks(&docs, &id("b")).await.unwrap().into_iter().map(|chunk| chunk.links).collect();
    assert_eq!(links, [vec!["x/y.html".to_owned(), "\u{e9}?a=1&b".to_owned()], Vec::new()]);
}

pub(crate) async fn an_update_replaces_in_one_step(f: &Fixture) {
    let docs = f.docs().await;
    f.published(&docs, document("a", "old"), "old").await;
    f.clock.advance(MINUTE);
    let lease = f.stored(&docs, document("a", "new"), "new").await;
    assert_eq!(lease.version, 2);
    assert_eq!(f.texts(&docs).await, ["old"]);
    f.catalog.publish(&lease, json!(null)).await.unwrap();
    assert_eq!(f.texts(&docs).await, ["new"]);
    let shown = f.catalog.document(&docs, &id("a")).await.unwrap();
    assert_eq!(shown.version, 2);
    assert!(shown.updated_at > shown.created_at, "{} {}", shown.updated_at, shown.created_at);
    assert_eq!(f.catalog.collection(&administrator(), docs.name()).await.unwrap().1.documents, 1);
}

pub(crate) async fn text_and_spans_are_cut_at_characters(f: &Fixture) {
    let docs = f.docs().await;
    f.published(&docs, document("a", "x"), "aé€😀z").await; // 1 + 2 + 3 + 4 + 1 bytes
    let span = async |start, end| f.catalog.text_span(&docs, &id("a"), 1, start, end).await.unwrap();
    assert_eq!(span(0, 11).await, "aé€😀z");
    assert_eq!(span(1, 3).await, "é");
    assert_eq!(span(2, 6).await, "€", "a start within é moves forward");
    assert_eq!(span(1, 5).await, "é", "an end within € moves back");
    assert_eq!(span(7, 9).await, "", "nothing but the inside of a character");
    assert_eq!(span(10, 1_000_000).await, "z");
    assert_eq!(span(11, 12).await, "");
    assert_eq!(span(500, usize::MAX).await, "");
    assert_eq!(span(5, 2).await, "");
    assert_eq!(kind(f.catalog.text_span(&docs, &id("a"), 2, 0, 1).await), ErrorKind::NotFound);
    assert_eq!(kind(f.catalog.text_span(&docs, &id("b"), 1, 0, 1).await), ErrorKind::NotFound);
}

pub(crate) async fn long_texts_are_read_in_parts(f: &Fixture) {
    let docs = f.docs().await;
    // Lines of uneven length with characters of every width, across many pieces of storage.
    let lines: Vec<String> = (0..60).map(|i| format!("{i}{}\n", "aé€😀".repeat(i * 7 + 1))).collect();
    let text = lines.concat();
    assert!(text.len() > 100_000);
    f.published(&docs, document("a", "x"), &text).await;
    assert_eq!(f.catalog.text(&docs, &id("a")).await.unwrap().0, text);
    assert_eq!(f.texts(&docs).await, lines);
    for start in (0..text.len()).step_by(4099) {
        let end = (start + 9000).min(text.len());
        let (mut from, mut to) = (start, end);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        while !text.is_char_boundary(to) {
            to -= 1;
        }
        assert_eq!(f.catalog.text_span(&docs, &id("a"), 1, start, end).await.unwrap(), text[from..to]);
    }
}

pub(crate) async fn documents_are_listed_in_pages(f: &Fixture) {
    let docs = f.docs().await;
    for name in ["d", "b", "a", "e", "c"] {
        f.published(&docs, document(name, name), name).await;
    }
    f.stored(&docs, document("bb", "not yet"), "not yet").await;
    let first = f.catalog.documents(&docs, None, None, 2).await.unwrap();
    assert_eq!(ids(&first.items), ["a", "b"]);
    f.catalog.delete_document(&docs, &id("b")).await.unwrap();
    let second = f.catalog.documents(&docs, None, first.next.as_deref(), 2).await.unwrap();
    assert_eq!(ids(&second.items), ["c", "d"]);
    let third = f.catalog.documents(&docs, None, second.next.as_deref(), 2).await.unwrap();
    assert_eq!((ids(&third.items), third.next), (vec!["e"], None));
    assert_eq!(kind(f.catalog.documents(&docs, None, None, 0).await), ErrorKind::Invalid);
    assert_eq!(kind(f.catalog.documents(&docs, None, None, 1001).await), ErrorKind::Invalid);
}

pub(crate) async fn duplicates_are_found_by_bytes(f: &Fixture) {
    let docs = f.docs().await;
    let other = f.make(&administrator(), "other").await;
    // What the report of a document says when it is published.
    let named = async |scope: &CollectionScope, document: NewDocument| {
        let lease = f.stored(scope, document, "same").await;
        f.catalog.publish(&lease, json!({ "chunks": 1 })).await.unwrap();
        let report = f.catalog.job(&administrator(), lease.job).await.unwrap().report;
        assert_eq!(report["chunks"], 1);
        report.get("duplicate_of").and_then(|id| id.as_str()).map(str::to_owned)
    };
    let restricted = |name, acl| restricted(name, "same", acl);
    // One that not everybody may see is named to those alone who share its list.
    assert_eq!(named(&docs, restricted("secret", &["user:ada"])).await, None);
    assert_eq!(named(&docs, document("c", "same")).await, None);
    assert_eq!(named(&docs, restricted("theirs", &["user:bob"])).await.as_deref(), Some("c"));
    assert_eq!(named(&docs, restricted("z", &["user:ada"])).await.as_deref(), Some("c"));
    assert_eq!(named(&other, document("a", "same")).await, None, "in another collection");
    assert_eq!(named(&docs, document("b", "same")).await.as_deref(), Some("c"));
    assert_eq!(named(&docs, document("b", "same")).await.as_deref(), Some("c"), "an update");
    assert_eq!(named(&docs, document("c", "same")).await.as_deref(), Some("b"));
    f.catalog.delete_document(&docs, &id("c")).await.unwrap();
    assert_eq!(named(&docs, document("b", "same")).await, None);
    assert_eq!(named(&docs, document("new", "of its own")).await, None);
}

pub(crate) async fn a_document_without_chunks_can_be_published(f: &Fixture) {
    let docs = f.docs().await;
    let shown = f.published(&docs, document("a", ""), "").await;
    assert_eq!(shown.chunks, 0);
    assert_eq!(f.catalog.text(&docs, &id("a")).await.unwrap().0, "");
    assert_eq!(f.catalog.chunks(&docs, &id("a")).await.unwrap(), []);
}

pub(crate) async fn broken_input_is_refused(f: &Fixture) {
    let docs = f.docs().await;
    let control = restricted("a", "x", &["user:a\u{0}b"]);
    assert_eq!(kind(f.catalog.accept(&docs, control, None).await), ErrorKind::Invalid);
    assert_eq!(kind(f.catalog.accept(&docs, document("a", "x"), key("a b", "r")).await), ErrorKind::Invalid);
    f.accept(&docs, document("a", "x")).await;
    let lease = f.lease().await;
    let good = processed(lease.document_key, 1, "é\nb\n");
    let broken: [fn(&mut ProcessedDocument); 7] = [
        |p| p.chunks[0].end = 1,
        |p| p.chunks[1].end = 99,
        |p| p.chunks[0].start = 4,
        |p| p.chunks[0].section = Some((1, 2)),
        |p| p.chunks[0].vector = vec![1.0],
        |p| p.chunks[0].vector[0] = f32::NAN,
        |p| p.chunks[1].ordinal = 0,
    ];
    for (case, harm) in broken.into_iter().enumerate() {
        let mut bad = good.clone();
        harm(&mut bad);
        assert_eq!(kind(f.catalog.store_version(&lease, bad).await), ErrorKind::Invalid, "case {case}");
    }
    assert_eq!(kind(f.catalog.publish(&lease, json!(null)).await), ErrorKind::Invalid, "nothing was stored");
    f.catalog.store_version(&lease, good).await.unwrap();
    f.catalog.publish(&lease, json!(null)).await.unwrap();
}

pub(crate) async fn an_idempotency_key_repeats_the_first_answer(f: &Fixture) {
    let docs = f.docs().await;
    let first = f.catalog.accept(&docs, document("a", "x"), key("k", "r")).await.unwrap();
    let again = f.catalog.accept(&docs, document("a", "x"), key("k", "r")).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(
        kind(f.catalog.accept(&docs, document("a", "y"), key("k", "other")).await),
        ErrorKind::Conflict
    );
    let other = f.make(&administrator(), "other").await;
    assert_ne!(f.catalog.accept(&other, document("a", "x"), key("k", "r")).await.unwrap().job, first.job);
    assert_eq!(f.catalog.accept(&docs, document("a", "x"), None).await.unwrap().version, 2);
    let lease = f.lease().await;
    assert_eq!((lease.job, lease.version), (first.job, 1));
}

pub(crate) async fn counts_follow_what_is_visible(f: &Fixture) {
    let docs = f.docs().await;
    let counts = async || {
        let (_, c) = f.catalog.collection(&administrator(), docs.name()).await.unwrap();
        (c.documents, c.chunks)
    };
    f.published(&docs, document("a", "1"), "one\ntwo\n").await;
    f.published(&docs, document("b", "2"), "one\n").await;
    assert_eq!(counts().await, (2, 3));
    f.published(&docs, document("a", "3"), "one\ntwo\nthree\n").await;
    assert_eq!(counts().await, (2, 4));
    f.catalog.delete_document(&docs, &id("a")).await.unwrap();
    assert_eq!(counts().await, (1, 1));
    f.flushed(&docs).await;
    f.catalog.purge(100).await.unwrap();
    assert_eq!(counts().await, (1, 1));
}

pub(crate) async fn filters_apply_to_documents_and_chunks(f: &Fixture) {
    let docs = f.docs().await;
    for (name, year) in [("a", 2023), ("b", 2024), ("c", 2025)] {
        let metadata =
            Metadata::from([("year".to_owned(), json!(year)), ("_id".to_owned(), json!("forged"))]);
        f.published(&docs, NewDocument { metadata, ..document(name, name) }, name).await;
    }
    let found = async |text: &str| {
        let filter = Filter::parse(text).unwrap();
        let page = f.catalog.documents(&docs, Some(&filter), None, 10).await.unwrap();
        let names: Vec<String> = page.items.into_iter().map(|d| d.id.as_str().to_owned()).collect();
        let keys: Vec<ChunkKey> = (1..10).map(ChunkKey).collect();
        let mut chunks = f.catalog.visible_chunks(&docs, &keys, Some(&filter)).await.unwrap();
        chunks.sort_by_key(|chunk| chunk.key);
        assert_eq!(chunks.iter().map(|c| c.document_id.as_str()).collect::<Vec<_>>(), names, "{text}");
        let candidates = f.catalog.candidates(&docs, Some(&filter)).await.unwrap().unwrap();
        assert_eq!(
            candidates.iter().collect::<Vec<_>>(),
            chunks.iter().map(|c| c.key.0 as u64).collect::<Vec<_>>()
        );
        names
    };
    assert_eq!(found("year >= 2024").await, ["b", "c"]);
    assert_eq!(found("not year = 2024").await, ["a", "c"]);
    assert_eq!(found(r#"_id = "b" or _source ^= "c""#).await, ["b", "c"]);
    assert_eq!(found(r#"_id = "forged""#).await, Vec::<String>::new());
    assert_eq!(
        found(r#"_language = "en" and _pages = 1 and _title = "A title" and exists(_updated_at)"#)
            .await
            .len(),
        3
    );
    assert_eq!(found("_created_at < \"2000-01-01\"").await.len(), 0);
    let unknown = Filter::Exists(filter::Field("_secret".to_owned()));
    assert_eq!(kind(f.catalog.candidates(&docs, Some(&unknown)).await), ErrorKind::Invalid);
    assert_eq!(f.catalog.candidates(&docs, None).await.unwrap(), None);
}

pub(crate) async fn neighbours_stay_within_the_version(f: &Fixture) {
    let docs = f.docs().await;
    let first = f.published(&docs, document("a", "1"), "0\n1\n2\n3\n4\n").await;
    f.published(&docs, document("b", "2"), "x\n").await;
    let around = async |ordinal, before, after| {
        let chunks = f.catalog.neighbours(&docs, first.key, 1, ordinal, before, after).await.unwrap();
        chunks.into_iter().map(|chunk| chunk.ordinal).collect::<Vec<_>>()
    };
    assert_eq!(around(2, 1, 1).await, [1, 2, 3]);
    assert_eq!(around(0, 9, 1).await, [0, 1]);
    assert_eq!(around(4, 0, u32::MAX).await, [4]);
    assert_eq!(around(9, 1, 1).await, Vec::<u32>::new());
    assert_eq!(f.catalog.neighbours(&docs, first.key, 2, 0, 1, 1).await.unwrap(), []);
    f.catalog.delete_document(&docs, &id("a")).await.unwrap();
    assert_eq!(around(2, 1, 1).await, Vec::<u32>::new());
}
