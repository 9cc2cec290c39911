//! Documents that the best passages name or link to are found, and only while and where they may be.
use crate::support::{Text, World};
use wellspring_retrieve::{
    CollectionName, Filter, LinksConfig, Mode, Overrides, Passage, RetrieveConfig, SearchRequest,
};
use wellspring_store::{CollectionScope, names::NameKind};

const QUESTION: &str = "Which company supplies the flood gauge at the weir?";

fn config() -> RetrieveConfig {
    RetrieveConfig::default()
}

fn without() -> Overrides {
    Overrides { links: Some(false), ..Overrides::default() }
}

/// The first hop names the second, which shares no word with the question; forty others do.
async fn river() -> World {
    let world = World::new().await;
    let mut texts = vec![
        Text {
            id: "weir",
            title: Some("The weir at Lohbach"),
            text: "The flood gauge at the weir is an Otter Nine sensor with a radar head.",
            ..Text::default()
        },
        Text {
            id: "otter",
            title: Some("Otter Nine"),
            text: "Made by Skarrow Instruments in Dundee since 2019.",
            ..Text::default()
        },
    ];
    let others: Vec<(String, String)> = (0..40)
        .map(|i| {
            let text = format!("A company at station{i} keeps lock{i} shut.");
            (format!("other{i}"), text)
        })
        .collect();
    texts.extend(others.iter().map(|(id, text)| Text { id, text, ..Text::default() }));
    world.put_all(texts).await;
    world
}

async fn search(
    world: &World,
    scope: &CollectionScope,
    config: RetrieveConfig,
    request: SearchRequest,
) -> Vec<Passage> {
    world.retriever(config).search(scope, request).await.unwrap().hits
}

fn ids(hits: &[Passage]) -> Vec<&str> {
    hits.iter().map(|hit| hit.document_id.as_str()).collect()
}

fn place(hits: &[Passage], id: &str) -> Option<usize> {
    hits.iter().position(|hit| hit.document_id.as_str() == id)
}

fn top5(query: &str) -> SearchRequest {
    SearchRequest { k: 5, explain: true, ..SearchRequest::new(query) }
}

#[tokio::test]
async fn the_second_hop_is_found_through_the_first_and_says_so() {
    let world = river().await;
    for mode in [Mode::Hybrid, Mode::Dense, Mode::Keyword] {
        let request = SearchRequest { mode, ..top5(QUESTION) };
        let plain =
            search(&world, &world.scope, config(), SearchRequest { overrides: without(), ..request.clone() })
                .await;
        assert_eq!((place(&plain, "weir"), place(&plain, "otter")), (Some(0), None), "{mode:?}");
        let retriever = world.retriever(config());
        let response = retriever.search(&world.scope, SearchRequest { k: 40, ..request }).await.unwrap();
        let hits = response.hits;
        let otter = place(&hits, "otter").unwrap_or_else(|| panic!("{mode:?}: {:?}", ids(&hits)));
        let explain = hits[otter].explain.as_ref().unwrap();
        let link = &explain.links[0];
        assert_eq!(
            (link.from.as_ref(), link.name.as_str()),
            (Some(&hits[0].chunk_id), "Otter Nine"),
            "{mode:?}"
        );
        assert_eq!((link.kind, link.shared, link.outgoing), (NameKind::Title, 1, Some(1)));
        assert!(link.added > 0.0 && explain.fused == hits[otter].score);
        assert_eq!(hits[0].score, plain[0].score, "what nothing mentions keeps its score");
        assert!(hits.iter().all(|hit| hit.score.is_finite()));
        let ordered = |pair: &[Passage]| pair[0].score >= pair[1].score;
        assert!(hits.windows(2).all(ordered), "{mode:?}");
        let report = response.explain.unwrap().links.unwrap();
        assert_eq!((report.sources, report.hubs, report.linked), (5, 0, 1), "{mode:?}");
        // Of the keyword leg, which lists nothing without a shared word.
        assert_eq!(report.joined, usize::from(mode == Mode::Keyword), "{mode:?}");
    }
    let hits = search(&world, &world.scope, config(), top5(QUESTION)).await;
    assert!(place(&hits, "otter").is_some_and(|place| place < 5), "{:?}", ids(&hits));
}

#[tokio::test]
async fn links_follow_updates_deletes_and_whatever_comes_later() {
    let world = World::new().await;
    world
        .add(
            "weir",
            "The flood gauge at the weir is described in [the sheet](sheets/gauge.md), see Otter Nine too.",
        )
        .await;
    let linked = async || {
        let hits = search(&world, &world.scope, config(), top5("flood gauge at the weir")).await;
        let mut linked: Vec<String> = hits
            .iter()
            .filter(|hit| hit.explain.as_ref().is_some_and(|explain| !explain.links.is_empty()))
            .map(|hit| hit.document_id.to_string())
            .collect();
        linked.sort_unstable();
        linked
    };
    assert!(linked().await.is_empty());
    // What was mentioned before it was there is led to as soon as it is.
    world.add("sheets/gauge", "Radar, 24 volts.").await;
    world.put(Text { id: "n", title: Some("Otter Nine"), text: "Dundee, 2019.", ..Text::default() }).await;
    assert_eq!(linked().await, ["n", "sheets/gauge"]);
    world.put(Text { id: "n", title: Some("Otter Ten"), text: "Dundee, 2020.", ..Text::default() }).await;
    assert_eq!(linked().await, ["sheets/gauge"], "a version's names go with it");
    world.delete("sheets/gauge").await;
    assert!(linked().await.is_empty());
}

#[tokio::test]
async fn links_that_no_text_shows_are_followed_too() {
    let world = World::new().await;
    let text = "The flood gauge at the weir is described elsewhere.";
    world.put(Text { id: "docs/weir", text, links: &["../sheets/gauge.html#size"], ..Text::default() }).await;
    world.add("sheets/gauge.html", "Radar, 24 volts.").await;
    let hits = search(&world, &world.scope, config(), top5("flood gauge at the weir")).await;
    let sheet = hits.iter().find(|hit| hit.document_id.as_str() == "sheets/gauge.html").unwrap();
    let link = &sheet.explain.as_ref().unwrap().links[0];
    assert_eq!((link.kind, link.name.as_str()), (NameKind::Address, "../sheets/gauge.html#size"));
}

#[tokio::test]
async fn links_cross_no_wall_and_no_filter() {
    let world = World::new().await;
    world.add("weir", "The flood gauge at the weir is an Otter Nine sensor.").await;
    let secret = Text {
        id: "otter",
        title: Some("Otter Nine"),
        text: "Made by Skarrow Instruments.",
        acl: Some(&["user:ada"]),
        metadata: serde_json::json!({ "secret": true }),
        ..Text::default()
    };
    world.put(secret).await;
    let (ada, bob) = (world.seen_by(&["user:ada"]).await, world.seen_by(&["user:bob"]).await);
    let keyword = || SearchRequest { mode: Mode::Keyword, ..top5("flood gauge at the weir") };
    assert_eq!(ids(&search(&world, &ada, config(), keyword()).await), ["weir", "otter"]);
    assert_eq!(ids(&search(&world, &bob, config(), keyword()).await), ["weir"]);
    let filter = Some(Filter::parse("not secret = true").unwrap());
    let filtered = SearchRequest { filter, ..keyword() };
    assert_eq!(ids(&search(&world, &ada, config(), filtered).await), ["weir"]);
    let other = world.collection("default", "second").await;
    world
        .put_into(
            &other,
            Text { id: "weir", text: "The flood gauge at the weir is an Otter Nine.", ..Text::default() },
        )
        .await;
    assert_eq!(ids(&search(&world, &other, config(), keyword()).await), ["weir"]);
}

#[tokio::test]
async fn a_query_raises_what_it_names_and_a_collection_can_stay_out() {
    let world = World::new().await;
    let texts = [
        ("a", "Travel policy", "Costs are paid back."),
        ("b", "Notes", "The travel policy says: costs are paid back."),
    ];
    for (id, title, text) in texts {
        world.put(Text { id, title: Some(title), text, ..Text::default() }).await;
    }
    let hits = search(&world, &world.scope, config(), top5("what does the travel policy say")).await;
    let named = hits.iter().find(|hit| hit.document_id.as_str() == "a").unwrap();
    let link = &named.explain.as_ref().unwrap().links[0];
    assert_eq!((link.from.as_ref(), link.kind, link.name.as_str()), (None, NameKind::Title, "travel policy"));
    let except = vec![CollectionName::new("test").unwrap()];
    let config = RetrieveConfig { links: LinksConfig { except, ..LinksConfig::default() }, ..config() };
    let hits = search(&world, &world.scope, config, top5("what does the travel policy say")).await;
    assert!(hits.iter().all(|hit| hit.explain.as_ref().unwrap().links.is_empty()));
}

#[tokio::test]
async fn lists_shared_names_and_common_words_lead_nowhere() {
    let world = World::new().await;
    let names: Vec<String> = (0..31).map(|i| format!("Entry Number{i}")).collect();
    let list = format!("The great index names {}.", names.join(", "));
    world.add("list", &list).await;
    let entries: Vec<(String, &String)> =
        names.iter().enumerate().map(|(i, name)| (format!("e{i}"), name)).collect();
    let documents = entries.iter().map(|(id, title)| Text {
        id,
        title: Some(title),
        text: "Quite short.",
        ..Text::default()
    });
    world.put_all(documents.collect()).await;
    for i in 0..4 {
        world
            .put(Text {
                id: &format!("m{i}"),
                title: Some("Annual Report"),
                text: "Short again.",
                ..Text::default()
            })
            .await;
    }
    for i in 0..8 {
        world.add(&format!("film{i}"), "It was a film about films, and the film was long.").await;
    }
    world.put(Text { id: "film", title: Some("Film"), text: "Coated plastic.", ..Text::default() }).await;
    world
        .add("prose", "The lantern keeper read the Annual Report and made a Film about Entry Number3.")
        .await;
    let request = |query| SearchRequest { mode: Mode::Keyword, ..top5(query) };
    let retriever = world.retriever(config());
    let hub = retriever.search(&world.scope, request("great index")).await.unwrap();
    let report = hub.explain.unwrap().links.unwrap();
    assert_eq!((report.hubs, report.linked), (1, 0));
    let prose = retriever.search(&world.scope, request("lantern keeper")).await.unwrap();
    assert_eq!(ids(&prose.hits), ["prose", "e3"]);
}

#[tokio::test]
async fn a_heading_of_its_own_leads_to_no_other_document() {
    let world = World::new().await;
    let policy =
        "# Eating There\nThe ration at the lodge is paid, see Packing Up.\n\n# Sleeping Well\nBring a bag.";
    world.put(Text { id: "policy", text: policy, ..Text::default() }).await;
    let other = "# Eating There\nSoup.\n\n# Packing Up\nNo boxes.";
    world.put(Text { id: "canteen", text: other, ..Text::default() }).await;
    let request = SearchRequest { mode: Mode::Keyword, ..top5("ration at the lodge") };
    let hits = search(&world, &world.scope, config(), request).await;
    let links: Vec<&str> = hits
        .iter()
        .flat_map(|hit| {
            hit.explain.iter().flat_map(|explain| explain.links.iter().map(|link| link.name.as_str()))
        })
        .collect();
    assert_eq!(links, ["Packing Up"], "{:?}", ids(&hits));
}

#[tokio::test]
async fn settings_out_of_range_are_refused() {
    for links in [
        LinksConfig { sources: 0, ..LinksConfig::default() },
        LinksConfig { discount: f64::NAN, ..LinksConfig::default() },
        LinksConfig { title_bonus: 1.1, ..LinksConfig::default() },
        LinksConfig { max_links: 0, ..LinksConfig::default() },
        LinksConfig { max_shared: 61, ..LinksConfig::default() },
    ] {
        let config = RetrieveConfig { links, ..config() };
        assert!(config.check().unwrap_err().to_string().contains("links."));
    }
}
