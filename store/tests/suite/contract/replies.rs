//! The rules that every keeper of replies obeys, as functions over the trait and the catalog beside it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wellspring_store::replies::NewReply;
use wellspring_store::{CollectionScope, ContentHash, ErrorKind, Replies};

use super::fixture::*;

/// Kept replies under test, and the catalog that they follow.
pub(crate) struct Kept {
    pub(crate) replies: Arc<dyn Replies>,
    pub(crate) fixture: Fixture,
}

fn ask(name: &str) -> ContentHash {
    ContentHash::of(name.as_bytes())
}

fn reply(name: &str, sources: &[(&str, i64)]) -> NewReply {
    NewReply {
        ask: ask(name),
        reply: json!({ "text": name }),
        sources: sources.iter().map(|(document, version)| (id(document), *version)).collect(),
        keep: Duration::from_secs(3_600),
        most: 100,
    }
}

impl Kept {
    async fn docs(&self) -> CollectionScope {
        let docs = self.fixture.docs().await;
        for name in ["a", "b"] {
            self.fixture.published(&docs, document(name, name), name).await;
        }
        docs
    }

    async fn keep(&self, scope: &CollectionScope, reply: NewReply) -> bool {
        self.replies.keep_reply(scope, reply).await.unwrap()
    }

    async fn holds(&self, scope: &CollectionScope, name: &str) -> bool {
        let found = self.replies.reply(scope, ask(name)).await.unwrap();
        assert!(found.as_ref().is_none_or(|found| *found == json!({ "text": name })), "{found:?}");
        found.is_some()
    }
}

pub(crate) async fn a_reply_is_kept_for_its_ask_its_tenant_and_its_time(kept: &Kept) {
    let docs = kept.docs().await;
    assert!(kept.keep(&docs, reply("q", &[("a", 1), ("b", 1)])).await);
    assert!(kept.holds(&docs, "q").await);
    assert!(!kept.holds(&docs, "another").await);
    let elsewhere = kept.fixture.make(&wellspring_store::Scope::administrator(tenant("other")), "docs").await;
    assert!(!kept.holds(&elsewhere, "q").await);
    kept.fixture.clock.advance(Duration::from_secs(3_600));
    assert!(!kept.holds(&docs, "q").await);
}

pub(crate) async fn a_later_reply_replaces_an_earlier_one(kept: &Kept) {
    let docs = kept.docs().await;
    for text in ["first", "second"] {
        assert!(kept.keep(&docs, NewReply { reply: json!(text), ..reply("q", &[("a", 1)]) }).await);
    }
    assert_eq!(kept.replies.reply(&docs, ask("q")).await.unwrap(), Some(json!("second")));
}

pub(crate) async fn a_reply_goes_with_any_of_its_documents(kept: &Kept) {
    let docs = kept.docs().await;
    for name in ["of a", "of both"] {
        let sources: &[(&str, i64)] = if name == "of a" { &[("a", 1)] } else { &[("a", 1), ("b", 1)] };
        assert!(kept.keep(&docs, reply(name, sources)).await);
    }
    kept.fixture.catalog.delete_document(&docs, &id("b")).await.unwrap();
    assert!(kept.holds(&docs, "of a").await);
    assert!(!kept.holds(&docs, "of both").await);
    kept.fixture.published(&docs, document("a", "changed"), "changed").await;
    assert!(!kept.holds(&docs, "of a").await, "a new version is another document");
}

pub(crate) async fn what_changed_meanwhile_is_not_kept(kept: &Kept) {
    let docs = kept.docs().await;
    assert!(!kept.keep(&docs, reply("q", &[("a", 2)])).await, "no such version yet");
    assert!(!kept.keep(&docs, reply("q", &[("a", 1), ("nobody", 1)])).await);
    kept.fixture.catalog.delete_document(&docs, &id("a")).await.unwrap();
    assert!(!kept.keep(&docs, reply("q", &[("a", 1)])).await);
    assert!(!kept.holds(&docs, "q").await);
}

pub(crate) async fn replies_go_with_their_collection(kept: &Kept) {
    let docs = kept.docs().await;
    assert!(kept.keep(&docs, reply("q", &[("a", 1)])).await);
    kept.fixture.catalog.delete_collection(&docs).await.unwrap();
    assert_eq!(kind(kept.replies.reply(&docs, ask("q")).await), ErrorKind::NotFound);
    let again = kept.fixture.docs().await;
    assert!(!kept.holds(&again, "q").await);
}

pub(crate) async fn kept_replies_are_bounded(kept: &Kept) {
    let docs = kept.docs().await;
    for name in ["1", "2", "3"] {
        assert!(kept.keep(&docs, NewReply { most: 2, ..reply(name, &[("a", 1)]) }).await);
    }
    assert!(!kept.holds(&docs, "1").await);
    assert!(kept.holds(&docs, "2").await && kept.holds(&docs, "3").await);
}

/// Hands every rule's name to a macro.
macro_rules! rules {
    ($then:ident) => {
        $then! {
            a_reply_is_kept_for_its_ask_its_tenant_and_its_time,
            a_later_reply_replaces_an_earlier_one,
            a_reply_goes_with_any_of_its_documents,
            what_changed_meanwhile_is_not_kept,
            replies_go_with_their_collection,
            kept_replies_are_bounded,
        }
    };
}
pub(crate) use rules;
