//! Whoever wants to know is told once of everything that happened to the documents of one tenant, in order.

use std::time::Duration;

use wellspring_store::webhooks::{Attempt, Delivery, DeliveryState, Planned, Receiver};
use wellspring_store::*;

use crate::contract::fixture::*;

fn receiver(endpoint: &str) -> Receiver {
    Receiver {
        endpoint: endpoint.to_owned(),
        tenant: TenantId::default_tenant(),
        kinds: Default::default(),
        collections: Default::default(),
    }
}

async fn plan(f: &Fixture, receiver: &Receiver) -> Planned {
    f.catalog.plan_deliveries(receiver, 100).await.unwrap()
}

async fn due(f: &Fixture, endpoint: &str) -> Vec<Delivery> {
    f.catalog.due_deliveries(&receiver(endpoint), 100).await.unwrap()
}

fn failed(retry: Option<Duration>) -> Attempt {
    Attempt { status: Some(500), error: Some("it said 500".to_owned()), retry }
}

pub(crate) async fn receivers_are_told_once_of_what_is_theirs(f: &Fixture) {
    let docs = f.docs().await;
    f.published(&docs, document("before", "x\n"), "x\n").await;
    let all = receiver("all");
    let few = Receiver {
        kinds: ["document.deleted".to_owned()].into(),
        collections: ["docs".to_owned()].into(),
        ..receiver("few")
    };
    let elsewhere = Receiver { tenant: tenant("elsewhere"), ..receiver("elsewhere") };
    for one in [&all, &few, &elsewhere] {
        assert_eq!(plan(f, one).await, Planned::default(), "nobody is told of what was before");
    }
    f.published(&docs, document("a", "a\n"), "a\n").await;
    f.catalog.delete_document(&docs, &id("a")).await.unwrap();
    let other = f.make(&administrator(), "other").await;
    f.published(&other, document("b", "b\n"), "b\n").await;
    f.catalog.delete_document(&other, &id("b")).await.unwrap();
    f.catalog.delete_collection(&other).await.unwrap();

    assert_eq!(plan(f, &all).await, Planned { deliveries: 5, lost: 0 });
    assert_eq!(plan(f, &all).await, Planned::default(), "each event is planned once");
    let told = due(f, "all").await;
    let kinds: Vec<&str> = told.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["job.indexed", "document.deleted", "job.indexed", "document.deleted", "collection.deleted"]
    );
    let first = &told[0];
    assert_eq!(first.payload["type"], "job.indexed");
    assert_eq!(first.payload["data"]["document_id"], "a");
    assert_eq!((&first.payload["data"]["version"], first.attempts), (&serde_json::json!(1), 0));
    assert_eq!(first.payload["timestamp"], "2026-03-01T12:00:00Z");
    assert!(!first.payload.to_string().contains("a\\n"), "no text of a document is told");

    assert_eq!(plan(f, &few).await.deliveries, 1);
    assert_eq!(due(f, "few").await[0].payload["data"]["document_id"], "a");
    assert_eq!(plan(f, &elsewhere).await, Planned::default());
    // Whoever takes a receiver's name for another tenant gets nothing that was planned before.
    let heir = Receiver { tenant: tenant("elsewhere"), ..all };
    assert_eq!(f.catalog.due_deliveries(&heir, 100).await.unwrap(), vec![]);
}

pub(crate) async fn deliveries_are_retried_given_up_and_replayed(f: &Fixture) {
    let docs = f.docs().await;
    let all = receiver("all");
    plan(f, &all).await;
    f.published(&docs, document("a", "a\n"), "a\n").await;
    plan(f, &all).await;
    let one = due(f, "all").await.remove(0);
    f.catalog.settle_delivery(&one.id, failed(Some(MINUTE))).await.unwrap();
    assert_eq!(due(f, "all").await, vec![], "it waits");
    f.clock.advance(MINUTE);
    let again = due(f, "all").await.remove(0);
    assert_eq!((again.id.as_str(), again.attempts, again.status), (one.id.as_str(), 1, Some(500)));
    assert_eq!((again.error.as_deref(), &again.payload), (Some("it said 500"), &one.payload));
    f.catalog.settle_delivery(&one.id, failed(None)).await.unwrap();
    assert_eq!(due(f, "all").await, vec![]);
    let page =
        f.catalog.deliveries(&administrator(), None, Some(DeliveryState::Failed), None, 10).await.unwrap();
    assert_eq!((page.items.len(), page.items[0].attempts), (1, 2));
    let replayed = f.catalog.replay_delivery(&administrator(), &one.id).await.unwrap();
    assert_eq!((replayed.state, replayed.attempts), (DeliveryState::Pending, 0));
    let well = Attempt { status: Some(204), error: None, retry: None };
    f.catalog.settle_delivery(&due(f, "all").await[0].id, well).await.unwrap();
    let page = f.catalog.deliveries(&administrator(), Some("all"), None, None, 10).await.unwrap();
    let one = &page.items[0];
    assert_eq!((one.state, one.status, one.error.as_deref()), (DeliveryState::Delivered, Some(204), None));
}

pub(crate) async fn events_are_kept_no_longer_than_they_are_needed(f: &Fixture) {
    let docs = f.docs().await;
    let (all, slow) = (receiver("all"), receiver("slow"));
    plan(f, &all).await;
    plan(f, &slow).await;
    f.published(&docs, document("a", "a\n"), "a\n").await;
    f.catalog.delete_document(&docs, &id("a")).await.unwrap();
    assert_eq!(plan(f, &all).await.deliveries, 2);
    f.flushed(&docs).await;
    f.catalog.purge(10).await.unwrap();
    assert_eq!(
        plan(f, &slow).await,
        Planned { deliveries: 2, lost: 0 },
        "a purge waits for whoever was not told"
    );
    f.catalog.purge(10).await.unwrap();
    f.catalog.keep_receivers(&["all".to_owned()]).await.unwrap();
    assert_eq!(due(f, "slow").await, vec![], "nobody of that name is told any more");
    assert_eq!(plan(f, &slow).await, Planned::default(), "and whoever comes again is new");
    f.published(&docs, document("b", "b\n"), "b\n").await;
    for one in [&all, &slow] {
        assert_eq!(plan(f, one).await, Planned { deliveries: 1, lost: 0 }, "{}", one.endpoint);
    }
    let page = f
        .catalog
        .deliveries(&administrator(), Some("slow"), Some(DeliveryState::Failed), None, 10)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 2);
    f.clock.advance(MINUTE * 60 * 24 * 31);
    f.catalog.purge(10).await.unwrap();
    let page = f.catalog.deliveries(&administrator(), None, None, None, 10).await.unwrap();
    assert!(page.items.iter().all(|one| one.state == DeliveryState::Pending), "{:?}", page.items);
}

pub(crate) async fn deliveries_stay_behind_walls_and_bounds(f: &Fixture) {
    let docs = f.docs().await;
    let all = receiver("all");
    plan(f, &all).await;
    for name in ["a", "b", "c"] {
        f.published(&docs, document(name, "x\n"), "x\n").await;
    }
    assert_eq!(f.catalog.plan_deliveries(&all, 2).await.unwrap().deliveries, 2, "no more wait than may");
    assert_eq!(f.catalog.plan_deliveries(&all, 2).await.unwrap().deliveries, 0);
    let ids: Vec<String> = due(f, "all").await.into_iter().map(|one| one.id).collect();
    let well = Attempt { status: Some(200), error: None, retry: None };
    f.catalog.settle_delivery(&ids[0], well).await.unwrap();
    assert_eq!(
        f.catalog.plan_deliveries(&all, 2).await.unwrap().deliveries,
        1,
        "what did not fit was not forgotten"
    );
    let page = f.catalog.deliveries(&administrator(), None, None, None, 2).await.unwrap();
    let rest = f.catalog.deliveries(&administrator(), None, None, page.next.as_deref(), 2).await.unwrap();
    let listed: Vec<&str> = page
        .items
        .iter()
        .chain(&rest.items)
        .map(|one| one.payload["data"]["document_id"].as_str().unwrap())
        .collect();
    assert_eq!((listed, rest.next), (vec!["c", "b", "a"], None));
    let ada = user(&["user:ada"]);
    assert_eq!(kind(f.catalog.deliveries(&ada, None, None, None, 2).await), ErrorKind::Unauthorized);
    assert_eq!(kind(f.catalog.replay_delivery(&ada, &ids[0]).await), ErrorKind::Unauthorized);
    let stranger = Scope::administrator(tenant("elsewhere"));
    assert_eq!(f.catalog.deliveries(&stranger, None, None, None, 2).await.unwrap().items, vec![]);
    assert_eq!(kind(f.catalog.replay_delivery(&stranger, &ids[0]).await), ErrorKind::NotFound);
}
