//! What happens to jobs when things go wrong: models down, cancellations, restarts, shutdowns, many at once.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::pipeline_rig::{Rig, SOON, config, paragraph};
use futures::StreamExt;
use wellspring_ingest::{ErrorKind, IngestConfig};
use wellspring_store::DocumentId;
use wellspring_store::clock::TestClock;
use wellspring_store::jobs::{JobState, Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_every_time_is_dead_with_the_reason_and_goes_on_when_asked() {
    let rig = Rig::new().await;
    rig.gate.broken(true);
    let _pool = rig.ingestor.start(1);
    let (job, _) = rig.add("doc", &paragraph("walrus", 5)).await;
    assert_eq!((job.state, job.attempts), (JobState::Dead, job.max_attempts));
    assert_eq!((job.max_attempts, job.reason.as_deref()), (5, Some("embedder_unavailable")));
    assert!(job.message.unwrap().contains("makes no sense"));
    assert!(rig.find("walrus").await.1.is_empty());
    rig.ingestor.maintain().await.unwrap();

    rig.gate.broken(false);
    rig.ingestor.requeue(&rig.tenant, job.id).await.unwrap();
    let job = rig.wait(job.id).await;
    assert_eq!((job.state, job.attempts), (JobState::Indexed, 1));
    assert_eq!(rig.find("walrus").await.1, BTreeSet::from(["doc".to_owned()]));
    assert_eq!(rig.ingestor.requeue(&rig.tenant, job.id).await.unwrap_err().kind(), ErrorKind::Conflict);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_is_down_for_long_costs_no_document() {
    let rig = Rig::new().await;
    rig.gate.down(true);
    let _pool = rig.ingestor.start(2);
    let job = rig.submit("doc", &paragraph("walrus", 5)).await;
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("file.md"), paragraph("heron", 5)).unwrap();
    // A folder run does not wait for ever.
    let entries = wellspring_ingest::Ingestor::find(vec![folder.path().to_owned()]).await.unwrap();
    let lines: Vec<_> = rig.ingestor.ingest_entries(rig.scope.clone(), entries).collect().await;
    assert_eq!((lines.len(), lines[0].outcome), (1, wellspring_ingest::Outcome::Failed));
    assert_eq!(lines[0].reason.as_deref(), Some("embedder_unavailable"));
    assert!(lines[0].message.as_ref().unwrap().contains("accepted and kept"), "{lines:?}");
    // More failures than attempts are allowed.
    let calls = rig.gate.refused();
    let many = async {
        while rig.gate.refused() < calls + 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, many).await.unwrap();
    let seen = rig.store.catalog.job(&rig.tenant, job).await.unwrap();
    assert!(!seen.state.is_final(), "{seen:?}");
    rig.gate.down(false);
    assert_eq!(rig.wait(job).await.state, JobState::Indexed);
    let found = async {
        while rig.find("heron").await.1.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, found).await.unwrap();
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_comes_back_is_waited_for() {
    let clock = TestClock::at(1_000_000);
    let rig = Rig::with(config(), Arc::new(clock.clone())).await;
    rig.gate.down(true);
    let _pool = rig.ingestor.start(1);
    let job = rig.submit("doc", &paragraph("walrus", 5)).await;
    let events = rig.ingestor.events(&rig.tenant, job).filter_map(|seen| async move { seen.ok() });
    let mut events = std::pin::pin!(events);
    let failed = async {
        while !events.next().await.is_some_and(|seen| seen.state == JobState::Queued && seen.reason.is_some())
        {
        }
    };
    tokio::time::timeout(SOON, failed).await.unwrap();
    rig.gate.down(false);
    clock.advance(Duration::from_secs(1));
    let job = rig.wait(job).await;
    assert_eq!((job.state, job.attempts), (JobState::Indexed, 1), "a model that is down costs no attempt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_stops_a_job_in_the_middle() {
    let rig = Rig::new().await;
    rig.gate.open(false);
    let _pool = rig.ingestor.start(1);
    let running = rig.submit("doc", &paragraph("walrus", 50)).await;
    rig.until(running, Stage::Embed).await;
    let waiting = rig.submit("other", &paragraph("heron", 5)).await;
    rig.ingestor.cancel(&rig.tenant, waiting).await.unwrap();
    rig.ingestor.cancel(&rig.tenant, running).await.unwrap();
    for job in [running, waiting] {
        assert_eq!(rig.wait(job).await.state, JobState::Cancelled);
    }
    assert_eq!(rig.ingestor.cancel(&rig.tenant, running).await.unwrap_err().kind(), ErrorKind::Conflict);
    rig.gate.open(true);
    assert!(rig.find("walrus").await.1.is_empty());
    assert_eq!(rig.add("doc", &paragraph("walrus", 5)).await.0.state, JobState::Indexed);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_document_ends_the_job_that_makes_it() {
    let rig = Rig::new().await;
    rig.gate.open(false);
    let _pool = rig.ingestor.start(1);
    let job = rig.submit("doc", &paragraph("walrus", 50)).await;
    rig.until(job, Stage::Embed).await;
    rig.ingestor.delete(&rig.scope, &DocumentId::new("doc").unwrap()).await.unwrap();
    rig.gate.open(true);
    assert_eq!(rig.wait(job).await.state, JobState::Cancelled);
    assert!(rig.find("walrus").await.1.is_empty());
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_takes_up_what_a_dead_worker_left() {
    let clock = TestClock::at(1_000_000);
    let rig = Rig::with(config(), Arc::new(clock.clone())).await;
    rig.gate.open(false);
    let pool = rig.ingestor.start(1);
    let job = rig.submit("doc", &paragraph("walrus", 5)).await;
    rig.until(job, Stage::Embed).await;
    drop(pool);
    rig.gate.open(true);
    let again = Rig::another(&rig.store, &rig.gate, config(), "second");
    let _pool = again.start(1);
    let early = again.wait(&rig.tenant, job, Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Timeout, "the lease has not run out");
    clock.advance(Duration::from_secs(61));
    let job = again.wait(&rig.tenant, job, SOON).await.unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Indexed, 2));
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_finishes_or_hands_back_uncounted() {
    let rig = Rig::new().await;
    let pool = rig.ingestor.start(2);
    assert_eq!(rig.add("one", &paragraph("heron", 5)).await.0.state, JobState::Indexed);
    rig.gate.open(false);
    let job = rig.submit("two", &paragraph("walrus", 5)).await;
    rig.until(job, Stage::Embed).await;
    assert!(!pool.shutdown(Duration::from_millis(50)).await);
    let seen = rig.store.catalog.job(&rig.tenant, job).await.unwrap();
    assert_eq!((seen.state, seen.reason.as_deref()), (JobState::Queued, Some("shutdown")));
    rig.gate.open(true);
    let pool = rig.ingestor.start(2);
    let job = rig.wait(job).await;
    assert_eq!((job.state, job.attempts), (JobState::Indexed, 1));
    assert!(pool.shutdown(SOON).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_workers_leave_two_hundred_documents_clean() {
    let rig = Rig::with(
        IngestConfig { maintenance_publishes: 20, ..config() },
        Arc::new(wellspring_store::clock::SystemClock),
    )
    .await;
    let _pool = rig.ingestor.start(4);
    let mut jobs = Vec::new();
    for i in 0..200 {
        jobs.push(
            rig.submit(&format!("doc{i}"), &format!("# Doc {i}\n\n{}", paragraph(&format!("topic{i}"), 10)))
                .await,
        );
        if i % 10 == 0 {
            // Overtaken by a newer version before, while or after it is indexed.
            jobs.push(
                rig.submit(
                    &format!("doc{i}"),
                    &format!("# New {i}\n\n{}", paragraph(&format!("fresh{i}"), 10)),
                )
                .await,
            );
        }
    }
    for job in jobs {
        let job = rig.wait(job).await;
        assert!(matches!(job.state, JobState::Indexed | JobState::Cancelled), "{job:?}");
    }
    let (_, collection) = rig.store.catalog.collection(&rig.tenant, rig.scope.name()).await.unwrap();
    assert_eq!(collection.documents, 200);
    assert_eq!(
        rig.store.catalog.document(&rig.scope, &DocumentId::new("doc190").unwrap()).await.unwrap().version,
        2
    );
    assert!(rig.find("topic190").await.1.is_empty());
    assert_eq!(rig.find("fresh190").await.1.len(), 1);
    assert_eq!(rig.find("topic7").await.1.len(), 1);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_tell_of_progress_and_end_with_the_job() {
    let rig = Rig::with(
        IngestConfig { embed_batch: 1, lease_ms: 300, ..config() },
        Arc::new(wellspring_store::clock::SystemClock),
    )
    .await;
    rig.gate.open(false);
    let job = rig.submit("doc", &paragraph("walrus", 100)).await;
    let mut events = std::pin::pin!(rig.ingestor.events(&rig.tenant, job));
    let mut next = async || {
        let seen = tokio::time::timeout(SOON, events.next()).await.unwrap();
        seen.map(|job| job.unwrap())
    };
    assert_eq!(next().await.unwrap().state, JobState::Queued);
    let _pool = rig.ingestor.start(1);
    let halfway = loop {
        let seen = next().await.unwrap();
        if seen.progress.is_some() {
            break seen;
        }
        assert!(!seen.state.is_final(), "{seen:?}");
    };
    assert_eq!((halfway.state, halfway.stage), (JobState::Running, Stage::Embed));
    assert!(halfway.progress.unwrap().total > 1, "{halfway:?}");
    rig.gate.open(true);
    let mut states = Vec::new();
    while let Some(seen) = next().await {
        states.push(seen.state);
    }
    assert_eq!(states.iter().filter(|state| state.is_final()).count(), 1);
    assert_eq!(states.last(), Some(&JobState::Indexed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_were_never_accepted_are_swept_also_where_the_last_collection_is_gone() {
    let rig = Rig::new().await;
    let tenant = rig.scope.tenant();
    let bytes = futures::stream::iter([Ok("an upload that was cut".into())]).boxed();
    rig.store.blobs.put(tenant, bytes, 100).await.unwrap();
    rig.store.catalog.delete_collection(&rig.scope).await.unwrap();
    let _pool = rig.ingestor.start(1);
    let swept = async {
        while !rig.store.blobs.list(tenant).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, swept).await.expect("the bytes are left");
}
