//! Names lead to what is visible: found whatever came first, and gone with the version that bore them.

use wellspring_store::names::{Bearer, NameHash, NameKind, mentions};
use wellspring_store::*;

use crate::contract::fixture::*;

/// What the mentions of a text lead to under a scope: kind of name and document.
async fn led(f: &Fixture, scope: &CollectionScope, text: &str) -> Vec<(NameKind, DocumentKey)> {
    let bearers = bearers(f, scope, text, 3).await;
    bearers.into_iter().map(|bearer| (bearer.kind, bearer.document)).collect()
}

async fn bearers(f: &Fixture, scope: &CollectionScope, text: &str, most: usize) -> Vec<Bearer> {
    let names: Vec<NameHash> =
        mentions::in_text(text, "x", &[]).into_iter().map(|mention| mention.hash).collect();
    f.catalog.bearers(scope, &names, most).await.unwrap()
}

/// Publishes a document under a title.
async fn titled(f: &Fixture, scope: &CollectionScope, new: NewDocument, title: &str, text: &str) -> Document {
    let name = new.id.clone();
    f.accept(scope, new).await;
    let lease = f.lease().await;
    let made = ProcessedDocument {
        title: Some(title.to_owned()),
        ..processed(lease.document_key, lease.version, text)
    };
    f.catalog.store_version(&lease, made).await.unwrap();
    let mention = format!("named {title} there");
    assert_eq!(led(f, scope, &mention).await, [], "{title}: a version to come leads nowhere");
    f.catalog.publish(&lease, serde_json::json!(null)).await.unwrap();
    f.catalog.document(scope, &name).await.unwrap()
}

pub(crate) async fn names_follow_the_visible_version(f: &Fixture) {
    let docs = f.docs().await;
    let first = titled(f, &docs, document("a", "1"), "Not Yet Visible", "one\ntwo\n").await;
    assert_eq!(led(f, &docs, "named Not Yet Visible").await, [(NameKind::Title, first.key)]);
    assert_eq!(led(f, &docs, "[it](a.txt)").await, [(NameKind::Address, first.key)]);
    let section = bearers(f, &docs, "see Part 1 there", 3).await;
    let chunks = f.catalog.chunks(&docs, &id("a")).await.unwrap();
    assert_eq!(section[0].kind, NameKind::Heading);
    assert_eq!(section[0].chunk, Some(chunks[1].key));
    assert_eq!(section[0].chunks, chunks[0].key.0..chunks[1].key.0 + 1);

    // An update takes the old title away, in one step with the old text.
    titled(f, &docs, document("a", "2"), "Another Name", "three\n").await;
    assert_eq!(led(f, &docs, "named Not Yet Visible").await, []);
    assert_eq!(led(f, &docs, "as Another Name says").await, [(NameKind::Title, first.key)]);
    assert_eq!(led(f, &docs, "see Part 1 there").await, []);

    f.catalog.delete_document(&docs, &id("a")).await.unwrap();
    assert_eq!(led(f, &docs, "as Another Name says").await, []);
    f.flushed(&docs).await;
    f.catalog.purge(10).await.unwrap();
    assert_eq!(f.catalog.bearers(&docs, &[], 3).await.unwrap(), []);
}

pub(crate) async fn names_respect_every_wall(f: &Fixture) {
    let docs = f.docs().await;
    let secret = restricted("secret", "secret", &["user:ada"]);
    let hers = f.published(&docs, secret, "secret").await;
    let (ada, bob) = (f.as_seen_by(&user(&["user:ada"])).await, f.as_seen_by(&user(&["user:bob"])).await);
    let mention = "see secret.txt for it";
    assert_eq!(led(f, &ada, mention).await, [(NameKind::Address, hers.key)]);
    assert_eq!(led(f, &bob, mention).await, []);
    let other = f.make(&Scope::administrator(tenant("other")), "docs").await;
    assert_eq!(led(f, &other, mention).await, []);
    let second = f.make(&administrator(), "second").await;
    assert_eq!(led(f, &second, mention).await, []);
    f.catalog.delete_collection(&docs).await.unwrap();
    assert_eq!(led(f, &ada, mention).await, []);
    while f.catalog.purge(10).await.unwrap().versions > 0 {}
}

pub(crate) async fn names_of_many_lead_nowhere(f: &Fixture) {
    let docs = f.docs().await;
    for number in 0..3 {
        // The fixture gives every document the same headings.
        f.published(&docs, document(&format!("d{number}"), "x"), "x").await;
    }
    let found = async |most| bearers(f, &docs, "see Part 0 there", most).await.len();
    assert_eq!((found(3).await, found(2).await), (3, 0));
    for number in 3..70 {
        f.published(&docs, restricted(&format!("d{number}"), "x", &["user:ada"]), "x").await;
    }
    let to_bob = f.as_seen_by(&user(&["user:bob"])).await;
    assert_eq!(bearers(f, &to_bob, "see Part 0 there", 1_000).await.len(), 0);
}
