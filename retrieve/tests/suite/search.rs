//! Searches over a real store: modes, filters, walls, bounds, and documents that change meanwhile.
use crate::support::{Text, World};
use serde_json::json;
use wellspring_retrieve::{
    ChunkId, ErrorKind, Filter, Fusion, KeywordScoring, Mode, NeighbourConfig, Overrides, RetrieveConfig,
    SearchRequest, SearchResponse, document_ranking,
};

fn request(query: &str, mode: Mode) -> SearchRequest {
    SearchRequest { mode, ..SearchRequest::new(query) }
}

fn ids(response: &SearchResponse) -> Vec<&str> {
    response.hits.iter().map(|hit| hit.document_id.as_str()).collect()
}

async fn library() -> World {
    let world = World::new().await;
    for (id, text, year, lang) in [
        ("leave", "Paid leave is thirty days a year.\n\nUnused leave expires in March.", 2024, "en"),
        ("travel", "Travel costs are paid back within two weeks.", 2025, "en"),
        ("urlaub", "Der Urlaub beträgt dreißig Tage im Jahr.", 2025, "de"),
        ("codes", "Error E4711 means that the token has expired.", 2023, "en"),
    ] {
        let metadata = json!({ "year": year, "lang": lang });
        world.put(Text { id, text, title: Some(id), metadata, ..Text::default() }).await;
    }
    world
}

fn scoring(k1: f32, b: f32) -> KeywordScoring {
    KeywordScoring { k1, b, ..KeywordScoring::default() }
}

const MODES: [Mode; 3] = [Mode::Hybrid, Mode::Dense, Mode::Keyword];

#[tokio::test]
async fn every_mode_finds_the_passage_and_says_where_it_stands() {
    let world = library().await;
    let retriever = world.retriever(RetrieveConfig::default());
    for mode in MODES {
        let response = retriever.search(&world.scope, request("paid leave days", mode)).await.unwrap();
        let hit = &response.hits[0];
        assert_eq!(hit.document_id.as_str(), "leave", "{mode:?}");
        assert_eq!((hit.text.as_str(), hit.start, hit.end), ("Paid leave is thirty days a year.", 0, 33));
        assert_eq!((hit.source.as_str(), hit.title.as_deref(), hit.version), ("leave.md", Some("leave"), 1));
        assert!(response.degraded.is_empty() && response.explain.is_none());
        assert!(response.hits.windows(2).all(|pair| pair[0].score >= pair[1].score), "{mode:?}");
        let json = serde_json::to_value(hit).unwrap();
        let mut fields: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "chunk_id",
                "document_id",
                "end",
                "headings",
                "language",
                "metadata",
                "page",
                "score",
                "source",
                "start",
                "text",
                "title",
                "version",
            ]
        );
    }
}

#[tokio::test]
async fn an_identifier_is_found_by_words() {
    let world = library().await;
    let retriever = world.retriever(RetrieveConfig::default());
    for mode in [Mode::Hybrid, Mode::Keyword] {
        let response = retriever.search(&world.scope, request("E4711", mode)).await.unwrap();
        assert_eq!(ids(&response)[0], "codes", "{mode:?}");
    }
}

#[tokio::test]
async fn filters_hold_in_every_mode() {
    let world = library().await;
    let retriever = world.retriever(RetrieveConfig::default());
    for mode in MODES {
        for (filter, expected) in [
            ("lang = \"de\"", vec!["urlaub"]),
            ("year >= 2025", vec!["travel", "urlaub"]),
            ("year = 1999", vec![]),
        ] {
            let filter = Some(Filter::parse(filter).unwrap());
            let query = "paid leave Urlaub Tage travel costs expired";
            let found = retriever
                .search(&world.scope, SearchRequest { filter, ..request(query, mode) })
                .await
                .unwrap();
            let mut found = ids(&found);
            found.sort_unstable();
            assert_eq!(found, expected, "{mode:?}");
        }
    }
}

#[tokio::test]
async fn access_lists_tenants_and_collections_are_walls() {
    let world = World::new().await;
    let secret = "The secret project is called Heron.";
    world.put(Text { id: "secret", text: secret, acl: Some(&["user:ada"]), ..Text::default() }).await;
    world.add("open", "The open project is called Swift.").await;
    let other = world.collection("other", "test").await;
    world
        .put_into(&other, Text { id: "theirs", text: "Their project is called Crane.", ..Text::default() })
        .await;
    let second = world.collection("default", "second").await;
    world
        .put_into(&second, Text { id: "second", text: "Another project is called Stork.", ..Text::default() })
        .await;
    let retriever = world.retriever(RetrieveConfig::default());
    let (ada, bob) = (world.seen_by(&["user:ada"]).await, world.seen_by(&["user:bob"]).await);
    for mode in MODES {
        let search = async |scope| {
            let response = retriever.search(scope, request("project called Heron", mode)).await.unwrap();
            let mut found: Vec<String> =
                response.hits.iter().map(|hit| hit.document_id.to_string()).collect();
            found.sort_unstable();
            found
        };
        assert_eq!(search(&ada).await, ["open", "secret"], "{mode:?}");
        assert_eq!(search(&bob).await, ["open"], "{mode:?}");
        assert_eq!(search(&other).await, ["theirs"], "{mode:?}");
        assert_eq!(search(&second).await, ["second"], "{mode:?}");
    }
    let all = retriever.search(&world.scope, SearchRequest::new("secret project")).await.unwrap();
    let secret_id =
        all.hits.iter().find(|hit| hit.document_id.as_str() == "secret").unwrap().chunk_id.clone();
    assert_eq!(retriever.fetch(&ada, std::slice::from_ref(&secret_id)).await.unwrap().len(), 1);
    assert!(retriever.fetch(&bob, std::slice::from_ref(&secret_id)).await.unwrap().is_empty());
    assert!(retriever.fetch(&other, &[secret_id]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_deleted_or_updated_document_is_never_shown_in_an_old_form() {
    let world = library().await;
    let retriever = world.retriever(RetrieveConfig::default());
    let before = retriever.search(&world.scope, SearchRequest::new("paid leave days")).await.unwrap();
    let old = before.hits[0].chunk_id.clone();
    world.put(Text { id: "leave", text: "Paid leave is now forty days.", ..Text::default() }).await;
    for mode in MODES {
        let response = retriever.search(&world.scope, request("paid leave days", mode)).await.unwrap();
        let leave: Vec<_> = response.hits.iter().filter(|hit| hit.document_id.as_str() == "leave").collect();
        assert_eq!(leave.len(), 1, "{mode:?}");
        assert_eq!((leave[0].version, leave[0].text.as_str()), (2, "Paid leave is now forty days."));
    }
    assert!(retriever.fetch(&world.scope, &[old]).await.unwrap().is_empty());
    world.delete("leave").await;
    for mode in MODES {
        let response = retriever.search(&world.scope, request("paid leave days", mode)).await.unwrap();
        assert!(!ids(&response).contains(&"leave"), "{mode:?}");
    }
}

#[tokio::test]
async fn enough_hits_are_found_below_invisible_ones() {
    let world = World::new().await;
    let words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"];
    for (place, word) in words.iter().enumerate() {
        world.add(&format!("d{place}"), &format!("common words and {word}")).await;
    }
    for place in 0..6 {
        world.delete(&format!("d{place}")).await;
    }
    let retriever = world.retriever(RetrieveConfig { depth: 1, ..RetrieveConfig::default() });
    for mode in MODES {
        let response =
            retriever.search(&world.scope, SearchRequest { k: 4, ..request("common words", mode) }).await;
        assert_eq!(response.unwrap().hits.len(), 4, "{mode:?}");
    }
}

#[tokio::test]
async fn bad_requests_name_their_limit() {
    let world = library().await;
    let retriever = world.retriever(RetrieveConfig::default());
    let long = "x".repeat(8 * 1024 + 1);
    let base = || SearchRequest::new("leave");
    let overrides = |overrides| SearchRequest { overrides, ..base() };
    for (request, words) in [
        (SearchRequest::new(""), "empty"),
        (SearchRequest::new(" \t\u{0} \n"), "empty"),
        (SearchRequest::new(long), "8192"),
        (SearchRequest { k: 0, ..base() }, "1 to 1000"),
        (SearchRequest { k: 1_000_000_000, ..base() }, "1 to 1000"),
        (SearchRequest { neighbours: Some(widened(11, 0, None)), ..base() }, "0 to 10"),
        (SearchRequest { neighbours: Some(widened(0, 0, Some(9))), ..base() }, "200 to 100000"),
        (
            overrides(Overrides { fusion: Some(Fusion::default().with_weight(1.5)), ..Overrides::default() }),
            "0 to 1",
        ),
        (
            overrides(Overrides { fusion: Some(Fusion::Rrf { k: 0, weight: 0.5 }), ..Overrides::default() }),
            "1 to 1000",
        ),
        (overrides(Overrides { mmr: Some(f32::NAN), ..Overrides::default() }), "0 (novelty)"),
        (overrides(Overrides { depth: Some(0), ..Overrides::default() }), "depth"),
        (overrides(Overrides { keyword: Some(scoring(1.2, 1.5)), ..Overrides::default() }), "keyword.b"),
    ] {
        let error = retriever.search(&world.scope, request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    for k in [1, 1_000] {
        assert!(
            !retriever.search(&world.scope, SearchRequest { k, ..base() }).await.unwrap().hits.is_empty()
        );
    }
    let query = "paid\u{0}leave\r\n\u{feff}days";
    assert_eq!(ids(&retriever.search(&world.scope, SearchRequest::new(query)).await.unwrap())[0], "leave");
}

#[tokio::test]
async fn an_empty_collection_and_a_query_without_words_find_nothing() {
    let world = World::new().await;
    let retriever = world.retriever(RetrieveConfig::default());
    for mode in MODES {
        assert!(retriever.search(&world.scope, request("leave", mode)).await.unwrap().hits.is_empty());
    }
    world.add("a", "Some text here.").await;
    assert!(retriever.search(&world.scope, request("?!", Mode::Keyword)).await.unwrap().hits.is_empty());
}

#[tokio::test]
async fn equal_texts_are_shown_once_unless_asked_and_documents_are_capped() {
    let world = World::new().await;
    world.add("a", "The limit is five megabytes.\n\nThe limit of the plan.\n\nThe limit of the team.").await;
    world.add("b", "The limit is five megabytes.").await;
    let retriever = world.retriever(RetrieveConfig::default());
    let query = || SearchRequest::new("limit five megabytes");
    let search = async |overrides: Overrides| {
        let response = retriever.search(&world.scope, SearchRequest { overrides, ..query() }).await.unwrap();
        ids(&response).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(search(Overrides::default()).await, ["a", "a", "a"]);
    let kept = search(Overrides { collapse_duplicates: Some(false), ..Overrides::default() }).await;
    assert_eq!(kept, ["a", "b", "a", "a"], "equal scores go by chunk key");
    let capped =
        Overrides { per_document: Some(1), collapse_duplicates: Some(false), ..Overrides::default() };
    assert_eq!(search(capped).await, ["a", "b"]);
    let novel = Overrides { mmr: Some(0.1), collapse_duplicates: Some(false), ..Overrides::default() };
    let novel = search(novel).await;
    assert_eq!((novel.len(), novel[0].as_str(), novel[3].as_str()), (4, "a", "b"), "the copy comes last");
}

#[tokio::test]
async fn words_are_weighed_as_the_operator_or_the_request_says() {
    let world = World::new().await;
    world
        .add("often", "pump pump pump pump and a great many other words that make this text a long one")
        .await;
    world.add("once", "pump here").await;
    let request = |keyword| SearchRequest {
        overrides: Overrides { keyword, ..Overrides::default() },
        ..request("pump", Mode::Keyword)
    };
    // Length counts for all or for nothing.
    let (short_first, often_first) = (scoring(10.0, 1.0), scoring(10.0, 0.0));
    for (config, asked, first) in
        [(often_first, None, "often"), (short_first, None, "once"), (often_first, Some(short_first), "once")]
    {
        let retriever = world.retriever(RetrieveConfig { keyword: config, ..RetrieveConfig::default() });
        let response = retriever.search(&world.scope, request(asked)).await.unwrap();
        assert_eq!(ids(&response)[0], first, "{config:?} {asked:?}");
    }
}

#[tokio::test]
async fn a_correction_is_proposed_from_what_the_caller_may_see() {
    let world = library().await;
    let secret = "The project is called Nightingale.";
    world.put(Text { id: "secret", text: secret, acl: Some(&["board"]), ..Text::default() }).await;
    let retriever = world.retriever(RetrieveConfig::default());
    let meant = async |scope, query: &str, fuzzy| {
        let overrides = Overrides { keyword_fuzzy: fuzzy, ..Overrides::default() };
        let request = SearchRequest { overrides, ..SearchRequest::new(query) };
        retriever.search(scope, request).await.unwrap().did_you_mean
    };
    assert_eq!(meant(&world.scope, "Travle costs", None).await.as_deref(), Some("Travel costs"));
    assert_eq!(meant(&world.scope, "Travle costs", Some(false)).await, None);
    assert_eq!(meant(&world.scope, "travel costs", None).await, None);
    let (board, clerk) = (world.seen_by(&["board"]).await, world.seen_by(&["clerk"]).await);
    assert_eq!(meant(&board, "nightingele", None).await.as_deref(), Some("nightingale"));
    assert_eq!(meant(&clerk, "nightingele", None).await, None);
    world.delete("secret").await;
    assert_eq!(meant(&board, "nightingele", None).await, None);
}

#[tokio::test]
async fn a_document_ranking_goes_as_deep_as_asked() {
    let world = World::new().await;
    world.add("many", &["apple pie recipe"; 30].join("\n\n")).await;
    world.add("copy", "apple pie recipe").await;
    world.add("near", "apple tart recipe").await;
    world.add("far", "steam engine manual").await;
    let retriever = world.retriever(RetrieveConfig { depth: 1, ..RetrieveConfig::default() });
    for mode in MODES {
        let response =
            retriever.search_documents(&world.scope, request("apple pie recipe", mode), 3).await.unwrap();
        let ranking = document_ranking(&response.hits);
        let documents: Vec<&str> = ranking.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(documents, ["copy", "many", "near"], "{mode:?}: equal scores go by id");
        assert_eq!(ranking[0].1, ranking[1].1);
        assert_eq!(response.hits.len(), 3);
    }
    let all = retriever.search_documents(&world.scope, request("apple", Mode::Dense), 100).await.unwrap();
    assert_eq!(all.hits.len(), 4);
    assert!(retriever.search_documents(&world.scope, SearchRequest::new("apple"), 0).await.is_err());
}

#[tokio::test]
async fn neighbours_widen_a_passage_within_its_document() {
    let world = World::new().await;
    let text = "First about cats.\n\nSecond about dogs.\n\nThird about birds.\n\nFourth about fish.";
    world.add("pets", text).await;
    let retriever = world.retriever(RetrieveConfig::default());
    let neighbours = Some(widened(1, 1, None));
    let request = SearchRequest { k: 1, neighbours, ..SearchRequest::new("dogs second") };
    let hit = retriever.search(&world.scope, request).await.unwrap().hits.remove(0);
    let context = hit.context.as_ref().unwrap();
    assert_eq!(context.text, "First about cats.\n\nSecond about dogs.\n\nThird about birds.");
    assert_eq!(&text[context.start..context.end], context.text);
    assert_eq!(&text[hit.start..hit.end], hit.text);
    assert_eq!(hit.reading(), (context.text.as_str(), context.start));
}

fn widened(before: u32, after: u32, section: Option<u32>) -> NeighbourConfig {
    NeighbourConfig { before, after, section }
}

#[tokio::test]
async fn a_passage_is_widened_to_its_section_up_to_the_limit() {
    let world = World::new().await;
    let long: String = (0..60).map(|i| format!("Zeile {i} über Äpfel.\n\n")).collect();
    let text = format!(
        "# Pets\n\nAbout cats.\n\nAbout dogs.\n\n# Fruit\n\n{long}About the quince.\n\n{long}# End\n\nLast."
    );
    let at = |heading: &str| text.find(heading).unwrap();
    let sections = [(0, at("# Fruit")), (at("# Fruit"), at("# End")), (at("# End"), text.len())];
    world.put(Text { id: "d", text: &text, sections: &sections, ..Text::default() }).await;
    let retriever = world.retriever(RetrieveConfig::default());
    let search = async |query: &str, neighbours| {
        let request = SearchRequest { k: 1, neighbours: Some(neighbours), ..SearchRequest::new(query) };
        let hit = retriever.search(&world.scope, request).await.unwrap().hits.remove(0);
        let context = hit.context.clone().unwrap();
        assert!(context.start <= hit.start && hit.end <= context.end);
        assert_eq!(context.text[hit.start - context.start..hit.end - context.start], hit.text);
        if hit.document_id.as_str() == "d" {
            assert_eq!(&text[context.start..context.end], context.text);
        }
        context.text
    };
    let pets = "# Pets\n\nAbout cats.\n\nAbout dogs.";
    assert_eq!(search("dogs", widened(0, 0, Some(1_000))).await.trim_end(), pets);
    let next = format!("{pets}\n\n# Fruit");
    assert_eq!(search("dogs", widened(0, 1, Some(1_000))).await, next);
    for bytes in [300, 301, 302, 303] {
        let part = search("quince", widened(0, 0, Some(bytes))).await;
        assert!(part.len() <= bytes as usize && part.len() > 200, "{part}");
        assert!(part.starts_with("Zeile") || part.starts_with('\n'), "{part}");
        assert!(part.contains("About the quince.") && part.trim_end().ends_with('.'), "{part}");
    }
    world.add("plain", "Nothing but a lone sentence about ferrets.").await;
    assert_eq!(
        search("ferrets", widened(0, 0, Some(1_000))).await,
        "Nothing but a lone sentence about ferrets."
    );
}

#[tokio::test]
async fn fetch_keeps_the_order_asked_and_leaves_out_what_is_unknown() {
    let world = library().await;
    let retriever = world.retriever(RetrieveConfig::default());
    let hits =
        retriever.search(&world.scope, SearchRequest::new("leave travel token Urlaub")).await.unwrap().hits;
    let mut wanted: Vec<ChunkId> = hits.iter().map(|hit| hit.chunk_id.clone()).rev().collect();
    wanted.insert(1, ChunkId("0".repeat(32)));
    let fetched = retriever.fetch(&world.scope, &wanted).await.unwrap();
    wanted.remove(1);
    assert_eq!(fetched.iter().map(|passage| passage.chunk_id.clone()).collect::<Vec<_>>(), wanted);
}
