//! The catalog contract on PostgreSQL, and what several processes may do to one database at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wellspring_store::catalog::Catalog;
use wellspring_store::catalog::postgres::{PostgresCatalog, PostgresConfig, probe};
use wellspring_store::clock::TestClock;
use wellspring_store::{ErrorKind, Seq};

use super::{NOON, Release, open};
use crate::contract::catalog as contract;
use crate::contract::fixture::{Fixture, MINUTE, document, processed};

/// One test per rule; afterwards the catalog must be sound.
macro_rules! tests {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let Some(opened) = open(RELEASE).await else { return };
            contract::$rule(&opened.fixture).await;
            assert_eq!(opened.fixture.catalog.check().await.unwrap(), Vec::<String>::new());
        }
    )+};
}

mod pg16 {
    use super::{Release, contract, open};
    const RELEASE: Release = Release::Pg16;
    contract::rules!(tests);
}

mod pg18 {
    use super::{Release, contract, open};
    const RELEASE: Release = Release::Pg18;
    contract::rules!(tests);
}

async fn another(opened: &super::Opened) -> Arc<dyn Catalog> {
    let clock = TestClock::at(NOON);
    Arc::new(PostgresCatalog::open(&opened.config, Arc::new(clock)).await.unwrap())
}

#[tokio::test]
async fn several_processes_open_a_new_database_at_once() {
    let Some(server) = super::server(Release::Pg18) else { return };
    let database = server.database().await;
    let config = wellspring_store::catalog::postgres::PostgresConfig {
        max_connections: 2,
        ..wellspring_store::catalog::postgres::PostgresConfig::new(
            server.url(super::server::OWNER, &database),
        )
    };
    let opened = (0..4).map(|_| PostgresCatalog::open(&config, Arc::new(TestClock::at(NOON))));
    for catalog in futures::future::join_all(opened).await {
        catalog.unwrap().ping().await.unwrap();
    }
}

/// Whoever follows the sequence never finds a number below one that it has seen: the writers below end in any order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_become_visible_in_the_order_of_their_numbers() {
    let Some(opened) = open(Release::Pg18).await else { return };
    let f = &opened.fixture;
    let docs = f.docs().await;
    for i in 0..40 {
        f.accept(&docs, document(&format!("d{i}"), &format!("text {i}"))).await;
    }
    let writers = (0..4).map(|worker| {
        let catalog = Arc::clone(&f.catalog);
        tokio::spawn(async move {
            while let Some(lease) = catalog.lease(&format!("w{worker}"), MINUTE).await.unwrap() {
                // Some are long, so that transactions overlap.
                let lines = if lease.document_key.0 % 3 == 0 { 400 } else { 1 };
                let text = format!("line of {}\n", lease.document.id).repeat(lines);
                catalog.store_version(&lease, processed(lease.document_key, 1, &text)).await.unwrap();
                catalog.publish(&lease, json!(null)).await.unwrap();
            }
        })
    });
    let writing = futures::future::try_join_all(writers);
    let follower = another(&opened).await;
    let scope = docs.clone();
    let following = tokio::spawn(async move {
        let (mut after, mut seen) = (Seq(0), BTreeSet::new());
        while seen.len() < 40 {
            for change in follower.changes(&scope, after, 3).await.unwrap() {
                assert!(change.seq > after);
                after = change.seq;
                seen.insert(change.document);
            }
        }
    });
    writing.await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), following)
        .await
        .expect("a change was passed over: it became visible after a later one")
        .unwrap();
}

#[tokio::test]
async fn a_job_of_another_process_wakes_a_waiting_worker() {
    let Some(opened) = open(Release::Pg18).await else { return };
    let docs = opened.fixture.docs().await;
    let other = another(&opened).await;
    // Announcements from before it listens are lost, so one has to be repeated until it does.
    let woken = async {
        let waiting = other.work_arrives();
        tokio::pin!(waiting);
        for i in 0.. {
            opened.fixture.accept(&docs, document(&format!("d{i}"), "x")).await;
            if tokio::time::timeout(Duration::from_millis(100), &mut waiting).await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), woken).await.expect("no announcement came");
    assert!(other.lease("w", MINUTE).await.unwrap().is_some());
}

/// The server ends every connection, as a restart does; nobody but the log notices.
#[tokio::test]
async fn lost_connections_are_made_anew() {
    let Some(opened) = open(Release::Pg18).await else { return };
    let f = &opened.fixture;
    let docs = f.docs().await;
    for round in 0..3 {
        let mut superuser = opened.server.superuser("postgres").await.unwrap();
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
            .bind(&opened.database)
            .execute(&mut superuser)
            .await
            .unwrap();
        f.published(&docs, document(&format!("d{round}"), &format!("{round}")), "text").await;
    }
    assert_eq!(f.catalog.documents(&docs, None, None, 10).await.unwrap().items.len(), 3);
}

#[tokio::test]
async fn what_cannot_be_reached_or_read_is_said() {
    let config = wellspring_store::catalog::postgres::PostgresConfig::new(
        "postgres://nobody:secret@127.0.0.1:1/none?sslmode=disable",
    );
    let refused = PostgresCatalog::open(&config, Arc::new(TestClock::at(0))).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    assert!(!refused.chain().contains("secret") && !format!("{config:?}").contains("secret"));
    let Some(opened) = open(Release::Pg16).await else { return };
    let mut superuser = opened.server.superuser(&opened.database).await.unwrap();
    sqlx::raw_sql("INSERT INTO _sqlx_migrations VALUES (9999, 'later', now(), true, '\\x00', 1)")
        .execute(&mut superuser)
        .await
        .unwrap();
    let newer = PostgresCatalog::open(&opened.config, Arc::new(TestClock::at(0))).await.unwrap_err();
    assert_eq!(newer.kind(), ErrorKind::Conflict);
    assert!(newer.to_string().contains("newer release"), "{newer}");
}

/// NUL is the one character that PostgreSQL's text cannot hold.
#[tokio::test]
async fn a_nul_in_a_title_does_not_refuse_the_document() {
    let Some(opened) = open(Release::Pg16).await else { return };
    let f: &Fixture = &opened.fixture;
    let docs = f.docs().await;
    let mut new = document("a", "x");
    new.source = "a\0b.txt".to_owned();
    f.accept(&docs, new).await;
    let lease = f.lease().await;
    let mut made = processed(lease.document_key, 1, "text\0with\n");
    made.title = Some("one\0two".to_owned());
    f.catalog.store_version(&lease, made).await.unwrap();
    f.catalog.publish(&lease, json!(null)).await.unwrap();
    assert_eq!(f.texts(&docs).await, ["text\0with\n"]);
    let kept = f.catalog.document(&docs, &crate::contract::fixture::id("a")).await.unwrap();
    assert_eq!((kept.title.as_deref(), kept.source.as_str()), (Some("one\u{fffd}two"), "a\u{fffd}b.txt"));
}

#[tokio::test]
async fn a_look_at_a_database_says_what_it_is_and_makes_nothing() {
    for release in [Release::Pg16, Release::Pg18] {
        let Some(server) = super::server(release) else { continue };
        let config = PostgresConfig::new(server.url(super::server::OWNER, &server.database().await));
        for begun in [false, true] {
            // The second look comes before the schema is made as well: the first one made nothing.
            let found = probe(&config).await.unwrap();
            assert!(!found.begun && found.pgvector.is_some(), "{found:?}");
            if begun {
                PostgresCatalog::open(&config, Arc::new(TestClock::at(NOON))).await.unwrap();
                assert!(probe(&config).await.unwrap().begun);
            }
        }
    }
}
