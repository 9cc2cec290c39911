//! The rules that every keeper of keys and of the audit log keeps.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use wellspring_store::accounts::{Accounts, Grant, NewKey, Right, Usage};
use wellspring_store::audit::{AuditFilter, AuditLog, NewAuditEntry};
use wellspring_store::clock::Clock;
use wellspring_store::*;

use super::fixture::{Fixture, document, id, kind, tenant};

/// What is under test: three views of one store.
pub(crate) struct Books {
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) audit: Arc<dyn AuditLog>,
    pub(crate) catalog: Fixture,
}

fn key(id: &str, tenant_name: &str) -> NewKey {
    let grant = Grant {
        scope: Scope::restricted(
            tenant(tenant_name),
            BTreeSet::from(["group:\"ops\"".to_owned(), "user:ada".to_owned()]),
            Collections::Only(BTreeSet::from([CollectionName::new("docs").unwrap()])),
        ),
        rights: [Right::Read, Right::Write].into_iter().collect(),
        tools: Some(BTreeSet::from(["search".to_owned()])),
    };
    NewKey {
        id: id.to_owned(),
        hash: *blake3::hash(id.as_bytes()).as_bytes(),
        name: "a key'); DROP TABLE api_keys; --".to_owned(),
        grant,
        created_by: Some("key:first".to_owned()),
        expires_at: None,
    }
}

pub(crate) async fn a_key_comes_back_as_it_was_given(b: &Books) {
    let made = b.accounts.create_key(key("k1", "one")).await.unwrap();
    assert_eq!(made.grant(), key("k1", "one").grant);
    let (found, hash) = b.accounts.living_key("k1").await.unwrap().unwrap();
    assert_eq!((&found, hash), (&made, key("k1", "one").hash));
    assert!(b.accounts.living_key("k2").await.unwrap().is_none());
    assert!(b.accounts.living_key("k1' OR '1'='1").await.unwrap().is_none());
    assert_eq!(kind(b.accounts.create_key(key("k1", "two")).await), ErrorKind::Conflict);
    let operator = NewKey { grant: Grant::operator(tenant("one")), ..key("k3", "one") };
    let operator = b.accounts.create_key(operator).await.unwrap();
    assert_eq!(operator.grant(), Grant::operator(tenant("one")));
}

pub(crate) async fn only_the_first_key_is_the_first(b: &Books) {
    assert!(b.accounts.create_first_key(key("k1", "one")).await.unwrap().is_some());
    assert!(b.accounts.create_first_key(key("k2", "one")).await.unwrap().is_none());
    b.accounts.revoke_key(None, "k1").await.unwrap();
    assert!(b.accounts.create_first_key(key("k3", "one")).await.unwrap().is_none(), "a revoked key counts");
}

pub(crate) async fn keys_end(b: &Books) {
    let clock = &b.catalog.clock;
    let soon = wellspring_store::clock::Clock::now(clock) + 60_000_000;
    b.accounts.create_key(NewKey { expires_at: Some(soon), ..key("brief", "one") }).await.unwrap();
    b.accounts.create_key(key("long", "one")).await.unwrap();
    clock.advance(Duration::from_secs(59));
    assert!(b.accounts.living_key("brief").await.unwrap().is_some());
    clock.advance(Duration::from_secs(1));
    assert!(b.accounts.living_key("brief").await.unwrap().is_none());
    assert_eq!(kind(b.accounts.revoke_key(Some(&tenant("two")), "long").await), ErrorKind::NotFound);
    assert!(b.accounts.living_key("long").await.unwrap().is_some(), "another tenant can't end it");
    let first = b.accounts.revoke_key(Some(&tenant("one")), "long").await.unwrap();
    assert!(b.accounts.living_key("long").await.unwrap().is_none());
    clock.advance(Duration::from_secs(5));
    assert_eq!(b.accounts.revoke_key(None, "long").await.unwrap(), first, "revoked once is revoked then");
    assert_eq!(kind(b.accounts.revoke_key(None, "none").await), ErrorKind::NotFound);
}

pub(crate) async fn keys_are_listed_in_pages_and_per_tenant(b: &Books) {
    for (name, of) in [("c", "one"), ("a", "one"), ("b", "one"), ("d", "two")] {
        b.accounts.create_key(key(name, of)).await.unwrap();
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = b.accounts.keys(Some(&tenant("one")), cursor.as_deref(), 2).await.unwrap();
        seen.extend(page.items.into_iter().map(|key| key.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a", "b", "c"]);
    assert_eq!(b.accounts.keys(None, None, 10).await.unwrap().items.len(), 4);
    assert_eq!(b.accounts.keys(Some(&tenant("none")), None, 10).await.unwrap().items, []);
    assert_eq!(kind(b.accounts.keys(None, None, 0).await), ErrorKind::Invalid);
}

pub(crate) async fn senseless_keys_are_refused(b: &Books) {
    let limited_admin = {
        let mut made = key("k", "one");
        made.grant.rights = [Right::Admin].into_iter().collect();
        made
    };
    let mut hostile = key("k", "one");
    hostile.grant.scope =
        Scope::restricted(tenant("one"), BTreeSet::from(["a\u{0}b".to_owned()]), Collections::All);
    let mut useless = key("k", "one");
    useless.grant.rights = [].into_iter().collect();
    for wrong in [
        limited_admin,
        hostile,
        useless,
        NewKey { name: String::new(), ..key("k", "one") },
        NewKey { name: "x".repeat(257), ..key("k", "one") },
        NewKey { name: "a\nb".to_owned(), ..key("k", "one") },
        NewKey { id: "../k".to_owned(), ..key("k", "one") },
    ] {
        assert_eq!(kind(b.accounts.create_key(wrong.clone()).await), ErrorKind::Invalid, "{wrong:?}");
    }
    assert_eq!(b.accounts.keys(None, None, 10).await.unwrap().items, []);
}

pub(crate) async fn usage_follows_what_is_held(b: &Books) {
    let f = &b.catalog;
    let (one, two) = (Scope::administrator(tenant("one")), Scope::administrator(tenant("two")));
    let used = async |name: &str| b.accounts.usage(&tenant(name)).await.unwrap();
    assert_eq!(used("one").await, Usage::default());
    let docs = f.make(&one, "docs").await;
    let others = f.make(&two, "docs").await;
    f.accept(&docs, document("a", "12345")).await;
    assert_eq!(used("one").await, Usage { documents: 1, bytes: 5, chunks: 0 }, "what waits is held");
    f.catalog.delete_document(&docs, &id("a")).await.unwrap();
    f.published(&docs, document("b", "123"), "one\ntwo\n").await;
    assert_eq!(used("one").await, Usage { documents: 1, bytes: 3, chunks: 2 });
    f.published(&docs, document("b", "1234567"), "one\n").await;
    assert_eq!(
        used("one").await,
        Usage { documents: 1, bytes: 7, chunks: 1 },
        "a replaced version is let go"
    );
    assert_eq!(used("two").await, Usage::default());
    f.published(&others, document("b", "1"), "x").await;
    f.catalog.delete_document(&docs, &id("b")).await.unwrap();
    assert_eq!(used("one").await, Usage::default());
    assert_eq!(used("two").await, Usage { documents: 1, bytes: 1, chunks: 1 });
    f.catalog.delete_collection(&others).await.unwrap();
    assert_eq!(used("two").await, Usage::default());
}

fn entry(of: &str, actor: &str, object: &str) -> NewAuditEntry {
    NewAuditEntry {
        tenant: tenant(of),
        actor: actor.to_owned(),
        action: "addDocument".to_owned(),
        collection: Some("docs".to_owned()),
        object: Some(object.to_owned()),
        outcome: 202,
        request: Some("r-1".to_owned()),
    }
}

pub(crate) async fn only_old_entries_of_the_audit_log_are_forgotten(b: &Books) {
    let kept = async || {
        let page = b.audit.entries(AuditFilter::default(), None, 100).await.unwrap();
        page.items.into_iter().filter_map(|entry| entry.object).collect::<Vec<_>>()
    };
    for object in ["a", "b", "c"] {
        b.audit.append(entry("one", "key:a", object)).await.unwrap();
    }
    let first_day = b.catalog.clock.now();
    b.catalog.clock.advance(Duration::from_secs(86_400));
    b.audit.append(entry("two", "key:b", "d")).await.unwrap();
    assert_eq!(b.audit.forget(first_day, 100).await.unwrap(), 0, "none is from before it");
    assert_eq!(
        b.audit.forget(first_day + 1, 2).await.unwrap(),
        2,
        "the oldest first, and no more than asked"
    );
    assert_eq!(kept().await, ["d", "c"]);
    assert_eq!(b.audit.forget(first_day + 1, 100).await.unwrap(), 1);
    assert_eq!(b.audit.forget(first_day + 1, 100).await.unwrap(), 0);
    assert_eq!(kept().await, ["d"]);
}

pub(crate) async fn the_audit_log_is_read_newest_first_and_per_tenant(b: &Books) {
    for (of, actor, object) in
        [("one", "key:a", "x"), ("two", "key:b", "x"), ("one", "key:c", "y"), ("one", "key:a", "y")]
    {
        b.audit.append(entry(of, actor, object)).await.unwrap();
        b.catalog.clock.advance(Duration::from_secs(1));
    }
    let ask = async |filter: AuditFilter| b.audit.entries(filter, None, 100).await.unwrap().items;
    let of_one = AuditFilter { tenant: Some(tenant("one")), ..AuditFilter::default() };
    let entries = ask(of_one.clone()).await;
    let shown: Vec<_> =
        entries.iter().map(|e| (e.actor.as_str(), e.object.as_deref().unwrap(), e.at.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("key:a", "y", "2026-03-01T12:00:03Z"),
            ("key:c", "y", "2026-03-01T12:00:02Z"),
            ("key:a", "x", "2026-03-01T12:00:00Z")
        ]
    );
    assert_eq!(ask(AuditFilter { actor: Some("key:a".into()), ..of_one.clone() }).await.len(), 2);
    assert_eq!(ask(AuditFilter { object: Some("x".into()), ..of_one.clone() }).await.len(), 1);
    assert_eq!(ask(AuditFilter::default()).await.len(), 4);
    let page = b.audit.entries(of_one.clone(), None, 2).await.unwrap();
    let rest = b.audit.entries(of_one, page.next.as_deref(), 2).await.unwrap();
    assert_eq!((page.items.len(), rest.items.len(), rest.next), (2, 1, None));
    b.audit.append(entry("one", "key:a", &"ä".repeat(4096))).await.unwrap();
    let long = ask(AuditFilter::default()).await.remove(0);
    assert_eq!(long.object.unwrap(), "ä".repeat(512), "long names are cut at a character");
}

/// Hands every rule's name to a macro.
macro_rules! account_rules {
    ($then:ident) => {
        $then! {
            a_key_comes_back_as_it_was_given,
            only_the_first_key_is_the_first,
            keys_end,
            keys_are_listed_in_pages_and_per_tenant,
            senseless_keys_are_refused,
            usage_follows_what_is_held,
            the_audit_log_is_read_newest_first_and_per_tenant,
            only_old_entries_of_the_audit_log_are_forgotten,
        }
    };
}
pub(crate) use account_rules;
