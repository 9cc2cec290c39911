//! Access lists that are changed where they stand.

use wellspring_store::*;

use crate::contract::fixture::*;

fn list(principals: &[&str]) -> Option<Vec<String>> {
    Some(principals.iter().map(|p| (*p).to_owned()).collect())
}

pub(crate) async fn an_access_list_changes_at_once(f: &Fixture) {
    let docs = f.docs().await;
    f.published(&docs, document("a", "a"), "first\nsecond\n").await;
    let (ada, bob) = (user(&["user:ada"]), user(&["user:bob"]));
    let (to_ada, to_bob) = (f.as_seen_by(&ada).await, f.as_seen_by(&bob).await);
    let before = f.catalog.last_seq(&docs).await.unwrap();
    let counted = async |scope: &Scope| {
        let shown = f.catalog.collection(scope, docs.name()).await.unwrap().1;
        (shown.documents, shown.chunks)
    };
    let jobs =
        async |scope: &CollectionScope| f.catalog.jobs(scope, None, None, 10).await.unwrap().items.len();
    for round in 0..50 {
        let (to, seen_by_ada) = if round % 2 == 0 { ("user:ada", true) } else { ("user:bob", false) };
        f.catalog.set_acl(&docs, &id("a"), list(&[to])).await.unwrap();
        for (who, scope, sees) in [(&ada, &to_ada, seen_by_ada), (&bob, &to_bob, !seen_by_ada)] {
            let texts = f.texts(scope).await;
            assert_eq!(texts.len(), if sees { 2 } else { 0 });
            assert_eq!(counted(who).await, if sees { (1, 2) } else { (0, 0) });
            assert_eq!(jobs(scope).await, usize::from(sees), "the job names the document, too");
            assert_eq!(f.catalog.document(scope, &id("a")).await.is_ok(), sees);
            let candidates = f.catalog.candidates(scope, None).await.unwrap().unwrap();
            assert_eq!(candidates.len(), if sees { 2 } else { 0 });
        }
    }
    f.catalog.set_acl(&docs, &id("a"), None).await.unwrap();
    assert_eq!((f.texts(&to_ada).await.len(), f.texts(&to_bob).await.len()), (2, 2));
    assert_eq!(f.catalog.last_seq(&docs).await.unwrap(), before, "no index is told to do anything");
}

pub(crate) async fn only_who_sees_a_document_changes_its_list(f: &Fixture) {
    let docs = f.docs().await;
    f.published(&docs, restricted("a", "a", &["user:ada", "group:ops"]), "a").await;
    let to_ada = f.as_seen_by(&user(&["user:ada"])).await;
    let to_bob = f.as_seen_by(&user(&["user:bob"])).await;
    assert_eq!(kind(f.catalog.set_acl(&to_bob, &id("a"), None).await), ErrorKind::NotFound);
    assert_eq!(kind(f.catalog.set_acl(&to_bob, &id("none"), None).await), ErrorKind::NotFound);
    // Out of one's own sight is not a place to put things.
    assert_eq!(
        kind(f.catalog.set_acl(&to_ada, &id("a"), list(&["user:bob"])).await),
        ErrorKind::Unauthorized
    );
    assert_eq!(kind(f.catalog.set_acl(&to_ada, &id("a"), list(&["a\nb"])).await), ErrorKind::Invalid);
    assert_eq!(f.texts(&to_bob).await, Vec::<String>::new());
    f.catalog.set_acl(&to_ada, &id("a"), list(&["user:ada", "user:bob"])).await.unwrap();
    assert_eq!(f.texts(&to_bob).await, ["a"]);
    assert_eq!(
        kind(f.catalog.accept(&to_bob, restricted("b", "b", &["user:ada"]), None).await),
        ErrorKind::Unauthorized
    );
    assert_eq!(f.accept(&to_bob, restricted("b", "b", &["user:ada", "user:bob"])).await.version, 1);
}

pub(crate) async fn a_changed_list_holds_for_versions_to_come(f: &Fixture) {
    let docs = f.docs().await;
    let to_bob = f.as_seen_by(&user(&["user:bob"])).await;
    let first = f.published(&docs, document("a", "a"), "old").await;
    f.accept(&docs, document("a", "b")).await;
    f.catalog.set_acl(&docs, &id("a"), list(&["user:ada"])).await.unwrap();
    let lease = f.lease().await;
    f.catalog.store_version(&lease, processed(first.key, 2, "new")).await.unwrap();
    f.catalog.publish(&lease, serde_json::Value::Null).await.unwrap();
    assert_eq!(f.texts(&docs).await, ["new"]);
    assert_eq!(f.texts(&to_bob).await, Vec::<String>::new());
    // A version on its way that the caller may not see keeps its own list.
    f.catalog.set_acl(&docs, &id("a"), None).await.unwrap();
    f.accept(&docs, restricted("a", "c", &["user:ada"])).await;
    f.catalog.set_acl(&to_bob, &id("a"), list(&["user:bob"])).await.unwrap();
    let lease = f.lease().await;
    f.catalog.store_version(&lease, processed(first.key, 3, "newer")).await.unwrap();
    f.catalog.publish(&lease, serde_json::Value::Null).await.unwrap();
    assert_eq!(f.texts(&to_bob).await, Vec::<String>::new());
}
