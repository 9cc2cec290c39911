//! Kept searches, asked again under other settings.
use crate::support::{Text, World};
use wellspring_retrieve::{LinksConfig, Mode, RecordConfig, RetrieveConfig, SearchRequest};

fn recording() -> RetrieveConfig {
    RetrieveConfig {
        record: RecordConfig { enabled: true, ..RecordConfig::default() },
        ..RetrieveConfig::default()
    }
}

#[tokio::test]
async fn a_kept_search_says_what_other_settings_change() {
    let world = World::new().await;
    world.add("weir", "The flood gauge at the weir is an Otter Nine sensor.").await;
    world
        .put(Text { id: "otter", title: Some("Otter Nine"), text: "Made in Dundee.", ..Text::default() })
        .await;
    world.add("old", "A flood gauge of old.").await;
    let retriever = world.retriever(recording());
    let request = || SearchRequest { mode: Mode::Keyword, ..SearchRequest::new("flood gauge") };
    assert_eq!(retriever.search(&world.scope, request()).await.unwrap().hits.len(), 3);
    // Neither a ranking of documents nor a search without recording is kept.
    retriever.search_documents(&world.scope, request(), 5).await.unwrap();
    world.retriever(RetrieveConfig::default()).search(&world.scope, request()).await.unwrap();
    let kept = world.store.catalog.recorded_queries(&world.scope, 10).await.unwrap();
    assert_eq!(kept.len(), 1);
    let written = serde_json::to_string(&kept[0].query.request).unwrap();
    assert!(written.contains("flood gauge") && !written.contains("Dundee"), "{written}");

    let same = retriever.replay(&world.scope, &kept[0]).await.unwrap();
    assert!(!same.is_changed() && same.overlap_at_10 == 1.0, "{same:?}");
    let links = LinksConfig { enabled: false, ..LinksConfig::default() };
    let without = world.retriever(RetrieveConfig { links, ..recording() });
    let changed = without.replay(&world.scope, &kept[0]).await.unwrap();
    assert_eq!((changed.new.len(), changed.lost.len(), changed.gone), (0, 1, 0));
    assert!((changed.overlap_at_10 - 2.0 / 3.0).abs() < 1e-9);
    world.delete("old").await;
    let later = retriever.replay(&world.scope, &kept[0]).await.unwrap();
    assert_eq!((later.lost.len(), later.gone), (0, 1), "what was deleted is nobody's doing");
    assert_eq!(world.store.catalog.recorded_queries(&world.scope, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_kept_search_is_asked_again_with_the_rights_of_then() {
    let world = World::new().await;
    world
        .put(Text {
            id: "secret",
            text: "The flood gauge plan.",
            acl: Some(&["user:ada"]),
            ..Text::default()
        })
        .await;
    world.add("open", "The flood gauge.").await;
    let bob = world.seen_by(&["user:bob"]).await;
    let retriever = world.retriever(recording());
    retriever.search(&bob, SearchRequest::new("flood gauge plan")).await.unwrap();
    let kept = world.store.catalog.recorded_queries(&world.scope, 10).await.unwrap();
    let replayed = retriever.replay(&world.scope, &kept[0]).await.unwrap();
    assert!(!replayed.is_changed(), "{replayed:?}");
}
