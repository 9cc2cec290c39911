//! Feedback is kept once per id, bounded, its collection's only, and shown to nobody but the administrator.

use wellspring_store::feedback::NewFeedback;
use wellspring_store::*;

use crate::contract::fixture::*;

fn said(id: &str) -> NewFeedback {
    NewFeedback { id: id.to_owned(), event: serde_json::json!({ "query": id, "shown": ["a"] }) }
}

async fn kept(f: &Fixture, scope: &CollectionScope) -> Vec<String> {
    f.catalog.feedback(scope, None, 100).await.unwrap().items.into_iter().map(|one| one.id).collect()
}

pub(crate) async fn feedback_is_kept_once_and_bounded(f: &Fixture) {
    let docs = f.docs().await;
    let other = f.make(&administrator(), "other").await;
    assert!(f.catalog.record_feedback(&other, said("a"), 3).await.unwrap());
    for id in ["a", "b", "c", "d"] {
        assert!(f.catalog.record_feedback(&docs, said(id), 3).await.unwrap(), "{id}");
    }
    assert!(!f.catalog.record_feedback(&docs, said("d"), 3).await.unwrap(), "it is there already");
    assert_eq!(kept(f, &docs).await, ["b", "c", "d"]);
    assert_eq!(kept(f, &other).await, ["a"]);
    let page = f.catalog.feedback(&docs, None, 2).await.unwrap();
    assert_eq!((page.items.len(), page.items[0].at.as_str()), (2, "2026-03-01T12:00:00Z"));
    assert_eq!(page.items[0].event, said("b").event);
    let rest = f.catalog.feedback(&docs, page.next.as_deref(), 2).await.unwrap();
    assert_eq!((rest.items[0].id.as_str(), rest.items.len(), rest.next), ("d", 1, None));
    for bad in ["", "two words", "\u{e4}"] {
        assert_eq!(kind(f.catalog.record_feedback(&docs, said(bad), 3).await), ErrorKind::Invalid, "{bad:?}");
    }
    assert_eq!(kind(f.catalog.feedback(&docs, Some("x"), 2).await), ErrorKind::Invalid);
    assert_eq!(kind(f.catalog.feedback(&docs, None, 0).await), ErrorKind::Invalid);
}

pub(crate) async fn feedback_stays_behind_walls(f: &Fixture) {
    let docs = f.docs().await;
    let to_ada = f.as_seen_by(&user(&["user:ada"])).await;
    f.catalog.record_feedback(&to_ada, said("hers"), 10).await.unwrap();
    assert_eq!(kind(f.catalog.feedback(&to_ada, None, 10).await), ErrorKind::Unauthorized);
    assert_eq!(kept(f, &docs).await, ["hers"]);
    f.catalog.delete_collection(&docs).await.unwrap();
    assert_eq!(kind(f.catalog.feedback(&docs, None, 10).await), ErrorKind::NotFound);
    assert_eq!(kind(f.catalog.record_feedback(&docs, said("late"), 10).await), ErrorKind::NotFound);
    let again = f.docs().await;
    assert_eq!(kept(f, &again).await, Vec::<String>::new());
}
