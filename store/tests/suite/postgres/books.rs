//! The contracts of keys, users, audit log, ledger, kept replies, conversations and runs on PostgreSQL, and what holds when several
//! processes keep one set of books.

use std::sync::Arc;

use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;
use wellspring_store::audit::{AuditFilter, AuditLog, NewAuditEntry};
use wellspring_store::catalog::postgres::PostgresCatalog;
use wellspring_store::clock::TestClock;
use wellspring_store::conversations::{Conversations, NewTurn, Owner};
use wellspring_store::ledger::{Amount, Ceiling, Ceilings, NewEntry};
use wellspring_store::runs::{NewRun, RunState, Runs};
use wellspring_store::webhooks::{DeliveryRows, Receiver};
use wellspring_store::{Ledger, TenantId};

use super::{NOON, Opened, Release, open};
use crate::contract::fixture::{Fixture, document, tenant};
use crate::contract::{accounts, ledger, replies, talk, users};

/// One test per rule; afterwards the catalog must be sound.
macro_rules! tests {
    ($contract:ident, |$opened:ident| $under_test:expr; $($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let Some($opened) = open(RELEASE).await else { return };
            $contract::$rule($under_test).await;
            assert_eq!($opened.fixture.catalog.check().await.unwrap(), Vec::<String>::new());
        }
    )+};
}

macro_rules! account_tests {
    ($($rule:ident),+ $(,)?) => { tests!(accounts, |opened| &books(&opened); $($rule),+); };
}

macro_rules! user_tests {
    ($($rule:ident),+ $(,)?) => { tests!(users, |opened| &people(&opened); $($rule),+); };
}

macro_rules! ledger_tests {
    ($($rule:ident),+ $(,)?) => { tests!(ledger, |opened| &money(&opened); $($rule),+); };
}

macro_rules! reply_tests {
    ($($rule:ident),+ $(,)?) => { tests!(replies, |opened| &kept(&opened); $($rule),+); };
}

macro_rules! talk_tests {
    ($($rule:ident),+ $(,)?) => { tests!(talk, |opened| &talk::Talk {
        fixture: &opened.fixture,
        conversations: opened.catalog.as_ref(),
        runs: opened.catalog.as_ref(),
    }; $($rule),+); };
}

fn again(opened: &Opened) -> Fixture {
    Fixture { catalog: Arc::clone(&opened.fixture.catalog), clock: opened.fixture.clock.clone() }
}

fn books(opened: &Opened) -> accounts::Books {
    let (accounts, audit) = (Arc::clone(&opened.catalog), Arc::clone(&opened.catalog));
    accounts::Books { accounts, audit, catalog: again(opened) }
}

fn people(opened: &Opened) -> users::People {
    users::People { users: Arc::clone(&opened.catalog) as _, clock: opened.fixture.clock.clone() }
}

fn money(opened: &Opened) -> ledger::Books {
    ledger::Books { ledger: Arc::clone(&opened.catalog) as _, clock: opened.fixture.clock.clone() }
}

fn kept(opened: &Opened) -> replies::Kept {
    replies::Kept { replies: Arc::clone(&opened.catalog) as _, fixture: again(opened) }
}

mod pg16 {
    use super::*;
    const RELEASE: Release = Release::Pg16;
    accounts::account_rules!(account_tests);
    users::user_rules!(user_tests);
    ledger::rules!(ledger_tests);
    replies::rules!(reply_tests);
    talk::rules!(talk_tests);
}

mod pg18 {
    use super::*;
    const RELEASE: Release = Release::Pg18;
    accounts::account_rules!(account_tests);
    users::user_rules!(user_tests);
    ledger::rules!(ledger_tests);
    replies::rules!(reply_tests);
    talk::rules!(talk_tests);
}

async fn another(opened: &Opened) -> PostgresCatalog {
    PostgresCatalog::open(&opened.config, Arc::new(TestClock::at(NOON))).await.unwrap()
}

#[tokio::test]
async fn nobody_changes_or_removes_entries_of_the_audit_log() {
    let Some(opened) = open(Release::Pg18).await else { return };
    let entry = NewAuditEntry {
        tenant: tenant("one"),
        actor: "key:a".to_owned(),
        action: "deleteDocument".to_owned(),
        collection: None,
        object: Some("nul\0".to_owned()),
        outcome: 200,
        request: None,
    };
    opened.catalog.append(entry).await.unwrap();
    let mut superuser = opened.server.superuser(&opened.database).await.unwrap();
    for harm in ["DELETE FROM audit", "UPDATE audit SET actor = 'somebody else'", "TRUNCATE audit"] {
        let refused = sqlx::query(harm).execute(&mut superuser).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
    superuser.close().await.unwrap();
    assert_eq!(opened.catalog.entries(AuditFilter::default(), None, 10).await.unwrap().items.len(), 1);
}

/// Of ten calls that two processes want to make at once, as many are let through as the day has room for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_never_reserve_the_same_room() {
    let Some(opened) = open(Release::Pg18).await else { return };
    let other = another(&opened).await;
    let entry = |request: String| NewEntry {
        tenant: tenant("acme"),
        key: None,
        request,
        purpose: "answer".to_owned(),
        model: "m".to_owned(),
        worst: Amount { input_tokens: 60, output_tokens: 40, micros: 0, ..Amount::default() },
    };
    let day = Ceiling { tokens: Some(350), micros: None };
    let ceilings = Ceilings { day, ..Ceilings::default() };
    let tries = (0..10).map(|i| {
        let catalog: &dyn Ledger = if i % 2 == 0 { opened.catalog.as_ref() } else { &other };
        catalog.reserve(entry(format!("r{i}")), ceilings)
    });
    let got = futures::future::try_join_all(tries).await.unwrap();
    assert_eq!(got.iter().filter(|reserved| reserved.is_ok()).count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn turns_and_decisions_of_two_processes_follow_each_other() {
    let Some(opened) = open(Release::Pg18).await else { return };
    let other = another(&opened).await;
    let docs = opened.fixture.docs().await;
    let owner = Owner { tenant: TenantId::default_tenant(), key: Some("ada".to_owned()) };
    let talk = opened.catalog.create_conversation(&owner, &docs, None, 5).await.unwrap();
    let turn = || NewTurn { question: "what?".to_owned(), standalone: None, answer: json!(null) };
    let tries = (0..8).map(|i| {
        let catalog: &dyn Conversations = if i % 2 == 0 { opened.catalog.as_ref() } else { &other };
        catalog.add_turn(&owner, talk.id, turn(), 100)
    });
    let mut numbers = futures::future::try_join_all(tries).await.unwrap();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<u32>>());

    let id = Uuid::now_v7();
    let run = NewRun { id, conversation: Some(talk.id), body: json!({}), seconds: 60 };
    opened.catalog.keep_run(&owner, &docs, run).await.unwrap();
    let decisions = (0..4).map(|i| {
        let catalog: &dyn Runs = if i % 2 == 0 { opened.catalog.as_ref() } else { &other };
        catalog.change_run(&owner, id, 1, RunState::Running, json!({ "by": i }))
    });
    let decided = futures::future::join_all(decisions).await;
    assert_eq!(decided.iter().filter(|one| one.is_ok()).count(), 1);
}

/// Two processes that look for what is due never get the same delivery, until the time of an attempt is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_delivery_is_one_process_s_at_a_time() {
    let Some(opened) = open(Release::Pg18).await else { return };
    let other = another(&opened).await;
    let docs = opened.fixture.docs().await;
    let all = Receiver {
        endpoint: "all".to_owned(),
        tenant: TenantId::default_tenant(),
        kinds: Default::default(),
        collections: Default::default(),
    };
    opened.catalog.plan_deliveries(&all, 100).await.unwrap();
    for name in ["a", "b", "c", "d"] {
        opened.fixture.published(&docs, document(name, "x"), "x\n").await;
    }
    let plans = [opened.catalog.plan_deliveries(&all, 100), other.plan_deliveries(&all, 100)];
    let planned = futures::future::try_join_all(plans).await.unwrap();
    assert_eq!(planned.iter().map(|one| one.deliveries).sum::<u64>(), 4, "each event is planned once");
    let takes = [opened.catalog.due_deliveries(&all, 100), other.due_deliveries(&all, 100)];
    let taken = futures::future::try_join_all(takes).await.unwrap();
    assert_eq!(taken.iter().map(Vec::len).sum::<usize>(), 4);
    opened.fixture.clock.advance(std::time::Duration::from_secs(121));
    assert_eq!(opened.catalog.due_deliveries(&all, 100).await.unwrap().len(), 4, "its process died");
}
