//! Jobs: leased, kept alive, retried, cancelled, ended, listed.

use std::time::Duration;

use serde_json::json;
use wellspring_store::catalog::IndexKind;
use wellspring_store::jobs::{Ending, JobId, JobState, Progress, Retry, Stage};
use wellspring_store::*;

use crate::contract::fixture::*;

fn retry(after: Duration, counts: bool) -> Retry {
    Retry { after, reason: "disk".to_owned(), message: "the disk was full".to_owned(), counts }
}

fn ending(state: JobState) -> Ending {
    Ending { state, reason: Some("encrypted".to_owned()), message: None, report: json!({"pages": 3}) }
}

pub(crate) async fn jobs_are_leased_once_and_in_order(f: &Fixture) {
    let docs = f.docs().await;
    assert!(f.catalog.lease("w", MINUTE).await.unwrap().is_none());
    let metadata = Metadata::from([("k".to_owned(), json!({"deep": [1, null, "x"]}))]);
    let new = NewDocument {
        media_type: Some("text/markdown".to_owned()),
        title: Some("T".to_owned()),
        metadata: metadata.clone(),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        ..restricted("a", "a", &["user:ada"])
    };
    let first = f.accept(&docs, new).await;
    let second = f.accept(&docs, document("b", "b")).await;
    let (one, two) = (f.lease().await, f.lease().await);
    assert_eq!((one.job, two.job), (first.job, second.job));
    assert!(f.catalog.lease("w", MINUTE).await.unwrap().is_none());
    assert_eq!((one.attempt, one.version, one.document.id.as_str()), (1, 1, "a"));
    assert_eq!((one.document.metadata, one.document.title.as_deref()), (metadata, Some("T")));
    assert_eq!(one.document.media_type.as_deref(), Some("text/markdown"));
    assert_eq!(one.document.acl, Some(vec!["user:ada".to_owned()]));
    assert_eq!(one.collection, docs);
    let job = f.catalog.job(&administrator(), first.job).await.unwrap();
    assert_eq!((job.state, job.attempts, job.stage), (JobState::Running, 1, Stage::Waiting));
}

pub(crate) async fn versions_of_a_document_are_made_one_after_the_other(f: &Fixture) {
    let docs = f.docs().await;
    for text in ["1", "2", "3"] {
        f.accept(&docs, document("a", text)).await;
    }
    for version in 1..=3 {
        let lease = f.lease().await;
        assert_eq!(lease.version, version);
        assert!(f.catalog.lease("w", MINUTE).await.unwrap().is_none(), "one at a time");
        if version == 2 {
            f.catalog.retry_job(&lease, retry(MINUTE, true)).await.unwrap();
            assert!(f.catalog.lease("w", MINUTE).await.unwrap().is_none(), "3 waits for 2");
            f.clock.advance(MINUTE);
            assert_eq!(f.lease().await.version, 2);
            f.clock.advance(MINUTE);
            let lease = f.lease().await;
            f.catalog.end_job(&lease, ending(JobState::Failed)).await.unwrap();
        } else {
            let text = version.to_string();
            f.catalog.store_version(&lease, processed(lease.document_key, version, &text)).await.unwrap();
            f.catalog.publish(&lease, json!(null)).await.unwrap();
        }
    }
    assert_eq!(f.texts(&docs).await, ["3"]);
}

pub(crate) async fn a_lost_lease_can_change_nothing(f: &Fixture) {
    let docs = f.docs().await;
    let lost = f.stored(&docs, document("a", "x"), "x").await;
    f.clock.advance(MINUTE);
    let taken = f.lease().await;
    assert_eq!((taken.job, taken.attempt), (lost.job, 2));
    assert!(taken.fence > lost.fence);
    let again = processed(lost.document_key, 1, "from the dead");
    for refused in [
        kind(f.catalog.heartbeat(&lost, Stage::Embed, None, MINUTE).await),
        kind(f.catalog.store_version(&lost, again.clone()).await),
        kind(f.catalog.publish(&lost, json!(null)).await),
        kind(f.catalog.end_job(&lost, ending(JobState::Failed)).await),
        kind(f.catalog.retry_job(&lost, retry(MINUTE, true)).await),
    ] {
        assert_eq!(refused, ErrorKind::Conflict);
    }
    f.catalog.publish(&taken, json!(null)).await.unwrap();
    assert_eq!(f.texts(&docs).await, ["x"], "what the first attempt stored was still good");
    assert_eq!(kind(f.catalog.publish(&taken, json!(null)).await), ErrorKind::Conflict);
    assert_eq!(kind(f.catalog.store_version(&taken, again).await), ErrorKind::Conflict);
}

pub(crate) async fn heartbeats_extend_and_report(f: &Fixture) {
    let docs = f.docs().await;
    f.accept(&docs, document("a", "x")).await;
    let lease = f.lease().await;
    f.clock.advance(Duration::from_secs(59));
    let progress = Some(Progress { done: 3, total: 9 });
    assert!(!f.catalog.heartbeat(&lease, Stage::Embed, progress, MINUTE).await.unwrap());
    f.clock.advance(Duration::from_secs(59));
    assert!(f.catalog.lease("w", MINUTE).await.unwrap().is_none());
    let job = f.catalog.job(&administrator(), lease.job).await.unwrap();
    assert_eq!((job.stage, job.progress), (Stage::Embed, progress));
    // A lease that ran out and that nobody took is still good.
    f.clock.advance(MINUTE);
    assert!(!f.catalog.heartbeat(&lease, Stage::Store, None, MINUTE).await.unwrap());
    assert!(f.catalog.lease("w", MINUTE).await.unwrap().is_none());
}

pub(crate) async fn attempts_run_out(f: &Fixture) {
    let docs = f.docs().await;
    let job = f.accept(&docs, document("a", "x")).await.job;
    let lease = f.lease().await;
    f.catalog.store_version(&lease, processed(lease.document_key, 1, "x")).await.unwrap();
    for attempt in 2..=lease.max_attempts {
        f.clock.advance(MINUTE);
        assert_eq!(f.lease().await.attempt, attempt);
    }
    f.clock.advance(MINUTE);
    assert!(f.catalog.lease("w", MINUTE).await.unwrap().is_none());
    let dead = f.catalog.job(&administrator(), job).await.unwrap();
    assert_eq!((dead.state, dead.reason.as_deref()), (JobState::Dead, Some("attempts_exhausted")));
    assert!(dead.message.unwrap().contains("5 attempts"));
    assert_eq!(f.catalog.expected_keys(&docs).await.unwrap().len(), 1, "what it stored is kept");
    assert_eq!(f.texts(&docs).await, Vec::<String>::new());
    // The next version is not held up, and puts an end to it.
    assert_eq!(f.published(&docs, document("a", "y"), "y").await.version, 2);
    assert_eq!(f.catalog.expected_keys(&docs).await.unwrap().len(), 1);
    let over = f.catalog.job(&administrator(), job).await.unwrap();
    assert_eq!((over.state, over.reason.as_deref()), (JobState::Cancelled, Some("superseded")));
    assert_eq!(kind(f.catalog.requeue_job(&administrator(), job).await), ErrorKind::Conflict);
}

/// A document that was accepted and whose every attempt failed.
async fn dead(f: &Fixture, docs: &CollectionScope, id: &str, text: &str) -> JobId {
    let job = f.accept(docs, document(id, text)).await.job;
    while f.catalog.job(&administrator(), job).await.unwrap().state == JobState::Queued {
        f.catalog.retry_job(&f.lease().await, retry(Duration::ZERO, true)).await.unwrap();
    }
    job
}

pub(crate) async fn dead_jobs_keep_their_documents(f: &Fixture) {
    let docs = f.docs().await;
    let (one, two, three, four) = (
        dead(f, &docs, "one", "of one").await,
        dead(f, &docs, "two", "of two").await,
        dead(f, &docs, "three", "of three").await,
        dead(f, &docs, "four", "of four").await,
    );
    let scope = administrator();
    let held = async |text: &str| {
        f.catalog.blob_in_use(&tenant("default"), &ContentHash::of(text.as_bytes())).await.unwrap()
    };
    assert_eq!(f.catalog.purge(100).await.unwrap().versions, 0);
    assert!(held("of one").await && held("of two").await && held("of three").await && held("of four").await);

    let again = f.catalog.requeue_job(&scope, one).await.unwrap();
    assert_eq!((again.state, again.attempts, again.reason), (JobState::Queued, 0, None));
    let lease = f.lease().await;
    assert_eq!((lease.job, lease.attempt), (one, 1));
    f.catalog.store_version(&lease, processed(lease.document_key, 1, "of one")).await.unwrap();
    assert_eq!(f.catalog.publish(&lease, json!(null)).await.unwrap(), JobState::Indexed);
    assert_eq!(f.texts(&docs).await, ["of one"]);

    assert_eq!(f.catalog.cancel_job(&scope, two).await.unwrap().state, JobState::Cancelled);
    f.catalog.delete_document(&docs, &id("three")).await.unwrap();
    assert_eq!(f.catalog.job(&scope, three).await.unwrap().state, JobState::Cancelled);
    // The visible version is what was accepted last: the dead one must not replace it.
    f.published(&docs, document("four", "newer"), "newer").await;
    let before = dead(f, &docs, "four", "of four").await;
    let lease = {
        f.accept(&docs, document("four", "newer")).await;
        f.lease().await
    };
    f.catalog.end_job(&lease, ending(JobState::Unchanged)).await.unwrap();
    for over in [four, before] {
        assert_eq!(f.catalog.job(&scope, over).await.unwrap().reason.as_deref(), Some("superseded"));
        assert_eq!(kind(f.catalog.requeue_job(&scope, over).await), ErrorKind::Conflict);
    }
    for index in [IndexKind::Vector, IndexKind::Keyword] {
        let seq = f.catalog.last_seq(&docs).await.unwrap();
        f.catalog.record_watermark(&docs, index, 1, seq).await.unwrap();
    }
    f.catalog.purge(100).await.unwrap();
    assert!(held("of one").await && held("newer").await);
    assert!(!held("of two").await && !held("of three").await && !held("of four").await);
}

pub(crate) async fn retries_wait_and_count(f: &Fixture) {
    let docs = f.docs().await;
    let job = f.accept(&docs, document("a", "x")).await.job;
    for _ in 0..20 {
        let lease = f.lease().await;
        assert_eq!(lease.attempt, 1);
        assert_eq!(
            f.catalog.retry_job(&lease, retry(Duration::ZERO, false)).await.unwrap(),
            JobState::Queued
        );
    }
    for attempt in 1..=5 {
        let lease = f.lease().await;
        assert_eq!(lease.attempt, attempt);
        let state = f.catalog.retry_job(&lease, retry(MINUTE, true)).await.unwrap();
        assert_eq!(state, if attempt < 5 { JobState::Queued } else { JobState::Dead });
        let seen = f.catalog.job(&administrator(), job).await.unwrap();
        assert_eq!(
            (seen.reason.as_deref(), seen.message.as_deref()),
            (Some("disk"), Some("the disk was full"))
        );
        assert!(f.catalog.lease("w", MINUTE).await.unwrap().is_none());
        f.clock.advance(MINUTE);
    }
    assert!(f.catalog.lease("w", MINUTE).await.unwrap().is_none());
}

pub(crate) async fn jobs_that_fail_do_not_keep_others_waiting(f: &Fixture) {
    let docs = f.docs().await;
    for name in ["a", "b"] {
        f.accept(&docs, document(name, name)).await;
        f.catalog.retry_job(&f.lease().await, retry(Duration::ZERO, false)).await.unwrap();
        f.clock.advance(Duration::from_millis(1));
    }
    let fresh = f.accept(&docs, document("fresh", "x")).await.job;
    assert_eq!(f.lease().await.job, fresh);
    // Then whoever has waited for longest.
    let order = [f.lease().await, f.lease().await].map(|lease| lease.document.id.to_string());
    assert_eq!(order, ["a", "b"]);
}

pub(crate) async fn a_job_queued_again_does_not_undo_a_newer_version(f: &Fixture) {
    let docs = f.docs().await;
    f.published(&docs, document("a", "x"), "x").await;
    let old = dead(f, &docs, "a", "old").await;
    f.accept(&docs, document("a", "x")).await;
    let newer = f.lease().await;
    f.catalog.requeue_job(&administrator(), old).await.unwrap();
    let older = f.lease().await;
    assert_eq!(older.job, old);
    f.catalog.store_version(&older, processed(older.document_key, older.version, "old")).await.unwrap();
    f.catalog.end_job(&newer, ending(JobState::Unchanged)).await.unwrap();
    assert_eq!(f.catalog.publish(&older, json!(null)).await.unwrap(), JobState::Cancelled);
    assert_eq!(f.texts(&docs).await, ["x"]);
}

pub(crate) async fn a_newer_version_says_what_it_waits_for(f: &Fixture) {
    let docs = f.docs().await;
    let (first, second) =
        (f.accept(&docs, document("a", "x")).await.job, f.accept(&docs, document("a", "y")).await.job);
    let seen = async || f.catalog.job(&administrator(), second).await.unwrap();
    f.catalog.retry_job(&f.lease().await, retry(Duration::ZERO, false)).await.unwrap();
    assert_eq!(seen().await.reason.as_deref(), Some("earlier_version_waits"));
    assert!(seen().await.message.unwrap().contains("the disk was full"));
    let lease = f.lease().await;
    assert_eq!(lease.job, first);
    f.catalog.end_job(&lease, ending(JobState::Failed)).await.unwrap();
    assert_eq!(f.lease().await.job, second);
    assert_eq!(seen().await.reason, None);
}

pub(crate) async fn cancelling_works_in_every_state(f: &Fixture) {
    let docs = f.docs().await;
    let scope = administrator();
    let queued = f.accept(&docs, document("queued", "x")).await.job;
    assert_eq!(f.catalog.cancel_job(&scope, queued).await.unwrap().state, JobState::Cancelled);
    assert_eq!(kind(f.catalog.cancel_job(&scope, queued).await), ErrorKind::Conflict);

    let running = f.stored(&docs, document("running", "x"), "x").await;
    let seen = f.catalog.cancel_job(&scope, running.job).await.unwrap();
    assert_eq!((seen.state, seen.cancel_requested), (JobState::Running, true));
    assert!(f.catalog.heartbeat(&running, Stage::Embed, None, MINUTE).await.unwrap());
    assert_eq!(f.catalog.publish(&running, json!(null)).await.unwrap(), JobState::Cancelled);
    assert_eq!(f.texts(&docs).await, Vec::<String>::new());

    let dead = f.stored(&docs, document("dead", "x"), "x").await;
    f.catalog.cancel_job(&scope, dead.job).await.unwrap();
    f.clock.advance(MINUTE);
    assert!(f.catalog.lease("w", MINUTE).await.unwrap().is_none());
    assert_eq!(f.catalog.job(&scope, dead.job).await.unwrap().state, JobState::Cancelled);

    let retried = f.stored(&docs, document("retried", "x"), "x").await;
    f.catalog.cancel_job(&scope, retried.job).await.unwrap();
    assert_eq!(f.catalog.retry_job(&retried, retry(MINUTE, false)).await.unwrap(), JobState::Cancelled);

    f.published(&docs, document("done", "x"), "x").await;
    let done = f.catalog.jobs(&docs, Some(JobState::Indexed), None, 1).await.unwrap().items.remove(0);
    let refused = f.catalog.cancel_job(&scope, done.id).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("indexed"), "{refused}");
    assert_eq!(f.catalog.expected_keys(&docs).await.unwrap().len(), 1);
}

pub(crate) async fn jobs_end_with_their_reason(f: &Fixture) {
    let docs = f.docs().await;
    for state in [JobState::Unchanged, JobState::Skipped, JobState::Failed, JobState::Cancelled] {
        let lease = f.stored(&docs, document("a", "x"), "x").await;
        for wrong in [JobState::Queued, JobState::Running, JobState::Indexed, JobState::Dead] {
            assert_eq!(kind(f.catalog.end_job(&lease, ending(wrong)).await), ErrorKind::Invalid);
        }
        f.catalog.end_job(&lease, ending(state)).await.unwrap();
        let job = f.catalog.job(&administrator(), lease.job).await.unwrap();
        assert_eq!((job.state, job.stage, job.progress), (state, Stage::Done, None));
        assert_eq!(
            (job.reason.as_deref(), job.message, job.report),
            (Some("encrypted"), None, json!({"pages": 3}))
        );
    }
    assert!(f.catalog.expected_keys(&docs).await.unwrap().is_empty());
    assert_eq!(kind(f.catalog.document(&docs, &id("a")).await), ErrorKind::NotFound);
}

pub(crate) async fn jobs_are_listed_newest_first(f: &Fixture) {
    let docs = f.docs().await;
    let mut made = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        made.push(f.accept(&docs, document(name, name)).await.job);
    }
    f.catalog.cancel_job(&administrator(), made[1]).await.unwrap();
    let listed = |page: &catalog::Page<wellspring_store::jobs::Job>| {
        page.items.iter().map(|job| job.id).collect::<Vec<_>>()
    };
    let first = f.catalog.jobs(&docs, None, None, 2).await.unwrap();
    assert_eq!(listed(&first), [made[4], made[3]]);
    f.accept(&docs, document("f", "f")).await;
    let second = f.catalog.jobs(&docs, None, first.next.as_deref(), 3).await.unwrap();
    assert_eq!(listed(&second), [made[2], made[1], made[0]]);
    let queued = f.catalog.jobs(&docs, Some(JobState::Queued), first.next.as_deref(), 9).await.unwrap();
    assert_eq!((listed(&queued), queued.next), (vec![made[2], made[0]], None));
    assert_eq!(kind(f.catalog.jobs(&docs, None, Some("x"), 9).await), ErrorKind::Invalid);
    assert_eq!(kind(f.catalog.jobs(&docs, None, None, 0).await), ErrorKind::Invalid);
}

pub(crate) async fn the_backlog_is_counted(f: &Fixture) {
    let docs = f.docs().await;
    assert_eq!(f.catalog.backlog().await.unwrap(), (0, 0));
    f.accept(&docs, document("a", "a")).await;
    f.clock.advance(MINUTE);
    f.accept(&docs, document("b", "b")).await;
    f.lease().await;
    f.clock.advance(Duration::from_secs(5));
    assert_eq!(f.catalog.backlog().await.unwrap(), (2, 65));
}
