//! The wall between tenants, access lists, and collections that a caller may not touch.

use std::collections::BTreeSet;

use serde_json::json;
use wellspring_store::*;

use crate::contract::fixture::*;

pub(crate) async fn tenants_do_not_see_each_other(f: &Fixture) {
    let (one, two) = (Scope::administrator(tenant("one")), Scope::administrator(tenant("two")));
    let (a, b) = (f.make(&one, "docs").await, f.make(&two, "docs").await);
    f.published(&a, document("same", "of one"), "of one").await;
    let job = f.accept(&b, document("same", "of two")).await.job;
    assert_eq!(kind(f.catalog.document(&b, &id("same")).await), ErrorKind::NotFound);
    assert_eq!(kind(f.catalog.job(&one, job).await), ErrorKind::NotFound);
    assert_eq!(kind(f.catalog.cancel_job(&one, job).await), ErrorKind::NotFound);
    let lease = f.lease().await;
    f.catalog.store_version(&lease, processed(lease.document_key, 1, "of two")).await.unwrap();
    f.catalog.publish(&lease, json!(null)).await.unwrap();

    assert_eq!(
        (f.texts(&a).await, f.texts(&b).await),
        (vec!["of one".to_owned()], vec!["of two".to_owned()])
    );
    let theirs = f.catalog.chunks(&b, &id("same")).await.unwrap().remove(0);
    assert_eq!(f.catalog.chunks_by_id(&a, std::slice::from_ref(&theirs.id)).await.unwrap(), []);
    assert_eq!(f.catalog.neighbours(&a, theirs.document_key, 1, 0, 1, 1).await.unwrap(), []);
    assert_eq!(f.catalog.index_entries(&a, theirs.document_key, 1).await.unwrap().len(), 0);
    assert_eq!(f.catalog.chunk_keys(&a, theirs.document_key, 1).await.unwrap(), []);
    assert!(f.catalog.known_vectors(&a, &[ContentHash::of(b"of two")]).await.unwrap().is_empty());
    assert!(!f.catalog.expected_keys(&a).await.unwrap().contains(theirs.key.0 as u64));
    let everything = Filter::And(Vec::new());
    assert!(
        !f.catalog.candidates(&a, Some(&everything)).await.unwrap().unwrap().contains(theirs.key.0 as u64)
    );
    assert!(!f.catalog.blob_in_use(&tenant("one"), &ContentHash::of(b"of two")).await.unwrap());
    assert_eq!(f.catalog.changes(&a, Seq(0), 10).await.unwrap().len(), 1);

    f.catalog.delete_document(&a, &id("same")).await.unwrap();
    f.catalog.delete_collection(&a).await.unwrap();
    assert_eq!(f.texts(&b).await, ["of two"]);
}

pub(crate) async fn hostile_names_are_only_names(f: &Fixture) {
    let docs = f.docs().await;
    let names = ["'; DROP TABLE documents; --", "../../etc/passwd", "%", "_", "a\u{202e}b", "ÄÖ 😀", "a"];
    for name in names {
        f.published(&docs, document(name, name), name).await;
    }
    for name in names {
        let shown = f.catalog.document(&docs, &id(name)).await.unwrap();
        assert_eq!(shown.id.as_str(), name);
        assert_eq!(f.catalog.chunks(&docs, &id(name)).await.unwrap()[0].text, name);
        let filter = Filter::Eq(filter::Field("_id".to_owned()), filter::Value::String(name.to_owned()));
        let page = f.catalog.documents(&docs, Some(&filter), None, 10).await.unwrap();
        assert_eq!(ids(&page.items), [name]);
    }
    let field = filter::Field("a') OR 1=1 --".to_owned());
    let page = f.catalog.documents(&docs, Some(&Filter::Exists(field)), None, 10).await.unwrap();
    assert_eq!(page.items.len(), 0);
    assert_eq!(f.catalog.chunks_by_id(&docs, &[ChunkId("\u{0}\"]".to_owned())]).await.unwrap(), []);
}

pub(crate) async fn access_lists_hide_documents(f: &Fixture) {
    let docs = f.docs().await;
    f.published(&docs, document("open", "open"), "open").await;
    let secret =
        f.published(&docs, restricted("secret", "secret", &["user:ada", "group:ops"]), "secret\n2\n").await;
    f.published(&docs, restricted("nobody", "nobody", &[]), "nobody").await;
    let (ada, bob) = (user(&["user:ada", "group:dev"]), user(&["user:bob"]));
    let (to_ada, to_bob) = (f.as_seen_by(&ada).await, f.as_seen_by(&bob).await);
    assert_eq!(f.texts(&docs).await, ["open", "secret\n", "2\n", "nobody"]);
    assert_eq!(f.texts(&to_ada).await, ["open", "secret\n", "2\n"]);
    assert_eq!(f.texts(&to_bob).await, ["open"]);
    assert_eq!(f.texts(&f.as_seen_by(&user(&[])).await).await, ["open"]);

    let chunk = f.catalog.chunks(&docs, &secret.id).await.unwrap().remove(0);
    assert_eq!(f.catalog.document(&to_ada, &secret.id).await.unwrap().id, secret.id);
    for refused in [
        kind(f.catalog.document(&to_bob, &secret.id).await),
        kind(f.catalog.text(&to_bob, &secret.id).await),
        kind(f.catalog.blob(&to_bob, &secret.id).await),
        kind(f.catalog.chunks(&to_bob, &secret.id).await),
        kind(f.catalog.text_span(&to_bob, &secret.id, 1, 0, 3).await),
        kind(f.catalog.delete_document(&to_bob, &secret.id).await),
    ] {
        assert_eq!(refused, ErrorKind::NotFound);
    }
    assert_eq!(f.catalog.chunks_by_id(&to_bob, std::slice::from_ref(&chunk.id)).await.unwrap(), []);
    assert_eq!(f.catalog.neighbours(&to_bob, secret.key, 1, 0, 1, 1).await.unwrap(), []);
    let page = f.catalog.documents(&to_bob, None, None, 10).await.unwrap();
    assert_eq!(ids(&page.items), ["open"]);
    let candidates =
        async |scope: &CollectionScope| f.catalog.candidates(scope, None).await.unwrap().unwrap().len();
    assert_eq!((candidates(&to_ada).await, candidates(&to_bob).await), (3, 1));
    let counts = async |scope: &Scope| f.catalog.collection(scope, docs.name()).await.unwrap().1;
    let (seen_by_ada, seen_by_bob) = (counts(&ada).await, counts(&bob).await);
    assert_eq!((seen_by_ada.documents, seen_by_ada.chunks), (2, 3));
    assert_eq!((seen_by_bob.documents, seen_by_bob.chunks), (1, 1));

    // An update can take a document away from somebody.
    f.published(&docs, restricted("secret", "moved", &["user:bob"]), "moved").await;
    assert_eq!(f.texts(&to_ada).await, ["open"]);
    assert_eq!(f.texts(&to_bob).await, ["open", "moved"]);
}

pub(crate) async fn principals_are_compared_exactly(f: &Fixture) {
    let docs = f.docs().await;
    f.published(&docs, restricted("a", "a", &["user:ada", "\"quoted\"", "true"]), "a").await;
    for (principal, sees) in [
        ("user:ada", true),
        ("\"quoted\"", true),
        ("true", true),
        ("USER:ADA", false),
        ("user:ada\u{0}", false),
        ("user:ada\u{0}x", false),
        ("user:ad", false),
        ("user:%", false),
        ("quoted", false),
        ("*", false),
        ("1", false),
        ("", false),
    ] {
        let scope = f.as_seen_by(&user(&[principal])).await;
        assert_eq!(f.texts(&scope).await.len(), usize::from(sees), "{principal:?}");
    }
}

pub(crate) async fn hidden_documents_cannot_be_replaced(f: &Fixture) {
    let docs = f.docs().await;
    f.published(&docs, restricted("a", "of ada", &["user:ada"]), "of ada").await;
    let to_bob = f.as_seen_by(&user(&["user:bob"])).await;
    assert_eq!(kind(f.catalog.accept(&to_bob, document("a", "of bob"), None).await), ErrorKind::Conflict);
    let to_ada = f.as_seen_by(&user(&["user:ada"])).await;
    assert_eq!(f.accept(&to_ada, restricted("a", "new", &["user:ada"])).await.version, 2);
    // Before the first version is visible, the list it was accepted with counts.
    f.accept(&to_ada, restricted("b", "of ada", &["user:ada"])).await;
    assert_eq!(kind(f.catalog.accept(&to_bob, document("b", "of bob"), None).await), ErrorKind::Conflict);
    assert_eq!(kind(f.catalog.delete_document(&to_bob, &id("b")).await), ErrorKind::NotFound);
    let jobs = f.catalog.jobs(&to_bob, None, None, 10).await.unwrap();
    assert_eq!(jobs.items.len(), 0);
    let hers = f.catalog.jobs(&to_ada, None, None, 10).await.unwrap();
    assert_eq!(hers.items.len(), 3);
    assert_eq!(kind(f.catalog.job(&user(&["user:bob"]), hers.items[0].id).await), ErrorKind::NotFound);
}

pub(crate) async fn collections_can_be_withheld(f: &Fixture) {
    let docs = f.docs().await;
    f.make(&administrator(), "other").await;
    let job = f.accept(&docs, document("a", "a")).await.job;
    let only = BTreeSet::from([CollectionName::new("other").unwrap()]);
    let scope = Scope::restricted(TenantId::default_tenant(), BTreeSet::new(), Collections::Only(only));
    assert_eq!(kind(f.catalog.collection(&scope, docs.name()).await), ErrorKind::NotFound);
    assert_eq!(f.catalog.collections(&scope).await.unwrap().len(), 1);
    assert_eq!(kind(f.catalog.job(&scope, job).await), ErrorKind::NotFound);
    let new = NewCollection {
        name: CollectionName::new("third").unwrap(),
        model: String::new(),
        fingerprint: String::new(),
        dimension: 1,
        settings: json!(null),
    };
    assert_eq!(kind(f.catalog.create_collection(&scope, new).await), ErrorKind::Unauthorized);
}

pub(crate) async fn a_scope_of_a_deleted_collection_sees_nothing(f: &Fixture) {
    let docs = f.docs().await;
    let shown = f.published(&docs, document("a", "a"), "a").await;
    f.catalog.delete_collection(&docs).await.unwrap();
    assert_eq!(f.texts(&docs).await, Vec::<String>::new());
    for refused in [
        kind(f.catalog.document(&docs, &id("a")).await),
        kind(f.catalog.documents(&docs, None, None, 1).await),
        kind(f.catalog.accept(&docs, document("b", "b"), None).await),
        kind(f.catalog.delete_document(&docs, &id("a")).await),
        kind(f.catalog.jobs(&docs, None, None, 1).await),
        kind(f.catalog.last_seq(&docs).await),
    ] {
        assert_eq!(refused, ErrorKind::NotFound);
    }
    assert_eq!(f.catalog.changes(&docs, Seq(0), 9).await.unwrap(), []);
    assert_eq!(f.catalog.index_entries(&docs, shown.key, 1).await.unwrap().len(), 0);
    assert!(f.catalog.expected_keys(&docs).await.unwrap().is_empty());
}
