//! The life of documents: added, unchanged, edited, replaced, deleted, duplicated, and not readable.
use std::collections::BTreeSet;
use std::time::Duration;

use crate::pipeline_rig::{Rig, SOON, config, paragraph};
use futures::StreamExt;
use serde_json::json;
use wellspring_ingest::{ErrorKind, FileReport, IngestConfig, Ingestor, Outcome, Summary};
use wellspring_store::jobs::{JobState, Stage};
use wellspring_store::{CollectionName, DocumentId, NewCollection};

fn only(id: &str) -> BTreeSet<String> {
    BTreeSet::from([id.to_owned()])
}

fn sections(third: &str) -> String {
    let body = |i: usize| if i == 3 { third.to_owned() } else { paragraph(&format!("part{i}"), 20) };
    (0..6).map(|i| format!("## Section {i}\n\n{}\n\n", body(i))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_lives_and_dies() {
    let rig = Rig::new().await;
    let _pool = rig.ingestor.start(2);
    let calls = rig.gate.calls();

    let (job, first) = rig.add("guide", &sections(&paragraph("walrus", 20))).await;
    assert_eq!((job.state, job.attempts, job.stage), (JobState::Indexed, 1, Stage::Done));
    assert!(first.chunks >= 6 && first.embedded == first.chunks && first.reused == 0 && first.truncated == 0);
    assert_eq!(calls.texts(), first.chunks);
    assert_eq!(rig.find("walrus").await, (only("guide"), only("guide")));
    for chunk in rig.store.catalog.chunks(&rig.scope, &DocumentId::new("guide").unwrap()).await.unwrap() {
        assert_eq!(chunk.language.as_deref(), Some("en"));
        assert_eq!(chunk.title.as_deref(), Some("Section 0"));
    }

    let (job, _) = rig.add("guide", &sections(&paragraph("walrus", 20))).await;
    assert_eq!((job.state, calls.texts()), (JobState::Unchanged, first.chunks));

    let (job, second) = rig.add("guide", &sections(&paragraph("penguin", 20))).await;
    assert_eq!((job.state, job.version), (JobState::Indexed, 3));
    assert!(
        second.embedded > 0 && second.embedded <= 4 && second.reused == second.chunks - second.embedded,
        "{second:?}"
    );
    assert_eq!(calls.texts(), first.chunks + second.embedded);
    assert!(rig.find("walrus").await.1.is_empty());
    assert_eq!(rig.find("penguin").await.1, only("guide"));

    let mut told = Rig::markdown("guide", &sections(&paragraph("penguin", 20)));
    told.metadata.insert("team".to_owned(), json!("ops"));
    let job = rig.ingestor.submit(&rig.scope, told, None).await.unwrap().job;
    assert_eq!(rig.wait(job).await.state, JobState::Indexed);
    assert_eq!(calls.texts(), first.chunks + second.embedded, "metadata alone costs no embedding");
    let id = DocumentId::new("guide").unwrap();
    assert_eq!(rig.store.catalog.document(&rig.scope, &id).await.unwrap().metadata["team"], json!("ops"));

    rig.ingestor.delete(&rig.scope, &id).await.unwrap();
    assert_eq!(rig.find("penguin").await, (BTreeSet::new(), BTreeSet::new()));
    rig.check_clean().await;
    let (job, _) = rig.add("guide", &sections(&paragraph("heron", 20))).await;
    assert_eq!(job.state, JobState::Indexed);
    assert_eq!(rig.find("heron").await.1, only("guide"));
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_version_stays_until_the_new_one_is_there() {
    let rig = Rig::new().await;
    let _pool = rig.ingestor.start(1);
    rig.add("doc", &paragraph("walrus", 5)).await;
    rig.gate.open(false);
    let job = rig.submit("doc", &paragraph("penguin", 5)).await;
    rig.until(job, Stage::Embed).await;
    let id = DocumentId::new("doc").unwrap();
    assert_eq!(rig.store.catalog.document(&rig.scope, &id).await.unwrap().version, 1);
    assert_eq!(rig.find("walrus").await.1, only("doc"));
    rig.gate.open(true);
    assert_eq!(rig.wait(job).await.state, JobState::Indexed);
    assert_eq!(rig.store.catalog.document(&rig.scope, &id).await.unwrap().version, 2);
    assert!(rig.find("walrus").await.1.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_bytes_are_found_and_embedded_once() {
    let rig = Rig::new().await;
    let _pool = rig.ingestor.start(1);
    let text = format!("# Title\n\n{}", paragraph("walrus", 30));
    let (_, first) = rig.add("a", &text).await;
    let (job, second) = rig.add("b", &text).await;
    assert_eq!((job.state, second.duplicate_of.as_deref()), (JobState::Indexed, Some("a")));
    assert_eq!((first.duplicate_of, second.embedded, second.reused), (None, 0, first.chunks));
    assert_eq!(rig.gate.calls().texts(), first.embedded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_is_not_the_collections_is_refused() {
    let rig = Rig::new().await;
    let _pool = rig.ingestor.start(1);
    let name = CollectionName::new("old").unwrap();
    let new = NewCollection {
        name: name.clone(),
        model: "fake/hash".to_owned(),
        fingerprint: "another".to_owned(),
        dimension: 256,
        settings: json!(null),
    };
    rig.store.catalog.create_collection(&rig.tenant, new).await.unwrap();
    let (scope, _) = rig.store.catalog.collection(&rig.tenant, &name).await.unwrap();
    let job = rig.ingestor.submit(&scope, Rig::markdown("a", "text"), None).await.unwrap().job;
    let job = rig.wait(job).await;
    assert_eq!((job.state, job.reason.as_deref()), (JobState::Failed, Some("model_mismatch")));
    let message = job.message.unwrap();
    assert!(message.contains("another") && message.contains("fake/hash;v=1"), "{message}");
    assert_eq!(rig.gate.calls().calls(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_on_submissions_are_named() {
    let rig = Rig::with(
        IngestConfig { max_upload_bytes: 10, max_metadata_bytes: 20, max_acl_entries: 1, ..config() },
        std::sync::Arc::new(wellspring_store::clock::SystemClock),
    )
    .await;
    let mut wordy = Rig::markdown("a", "text");
    wordy.metadata.insert("key".to_owned(), json!("a long value that is too much"));
    let mut shared = Rig::markdown("a", "text");
    shared.acl = Some(vec!["user:a".to_owned(), "user:b".to_owned()]);
    for (submission, limit) in
        [(wordy, "max_metadata_bytes"), (shared, "max_acl_entries"), (Rig::markdown("a", "eleven bytes"), "")]
    {
        let error = rig.ingestor.submit(&rig.scope, submission, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(limit), "{error}");
    }
    assert!(rig.store.blobs.list(rig.scope.tenant()).await.unwrap().is_empty());
}

async fn run(rig: &Rig, root: &std::path::Path) -> (Vec<FileReport>, Summary) {
    let entries = Ingestor::find(vec![root.to_owned()]).await.unwrap();
    let mut files: Vec<FileReport> = rig.ingestor.ingest_entries(rig.scope.clone(), entries).collect().await;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut summary = Summary::default();
    files.iter().for_each(|file| summary.add(file));
    (files, summary)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_with_bad_files_is_ingested_and_the_second_run_does_nothing() {
    let root = tempfile::tempdir().unwrap();
    for i in 0..12 {
        fs_err::write(
            root.path().join(format!("good{i:02}.md")),
            format!("# Good {i}\n\n{}", paragraph(&format!("topic{i}"), 12)),
        )
        .unwrap();
    }
    fs_err::write(root.path().join("empty.md"), "").unwrap();
    fs_err::write(
        root.path().join("noise.bin"),
        (0..4096_u32).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes()).collect::<Vec<_>>(),
    )
    .unwrap();
    fs_err::write(root.path().join("broken.pdf"), b"%PDF-1.7\nnothing of the kind").unwrap();
    fs_err::write(root.path().join("same.md"), fs_err::read(root.path().join("good00.md")).unwrap()).unwrap();
    fs_err::write(root.path().join("large.md"), "x ".repeat(1_000_000)).unwrap();
    let rig = Rig::with(
        IngestConfig { max_upload_bytes: 1_000_000, ..config() },
        std::sync::Arc::new(wellspring_store::clock::SystemClock),
    )
    .await;
    let pool = rig.ingestor.start(3);

    let (files, summary) = tokio::time::timeout(SOON, run(&rig, root.path())).await.unwrap();
    assert_eq!((summary.files, summary.count(Outcome::Indexed)), (17, 13), "{summary:?}");
    assert_eq!(summary.duplicates, 1);
    let of = |name: &str| files.iter().find(|f| f.path.ends_with(name)).unwrap();
    for name in ["empty.md", "noise.bin", "broken.pdf", "large.md"] {
        assert!(matches!(of(name).outcome, Outcome::Skipped | Outcome::Failed), "{:?}", of(name));
        assert!(of(name).reason.is_some() && of(name).message.is_some(), "{:?}", of(name));
    }
    assert_eq!(of("large.md").reason.as_deref(), Some("too_large"));
    assert_eq!(of("empty.md").reason.as_deref(), Some("empty"));
    assert_eq!(of("good03.md").document_id.as_deref(), Some("good03.md"));
    let texts = rig.gate.calls().texts();

    let (_, again) = tokio::time::timeout(SOON, run(&rig, root.path())).await.unwrap();
    assert_eq!((again.count(Outcome::Unchanged), again.count(Outcome::Indexed)), (13, 0), "{again:?}");
    assert_eq!(rig.gate.calls().texts(), texts);
    fs_err::write(root.path().join("good05.md"), "# Good 5\n\nAnother text.").unwrap();
    let (_, third) = tokio::time::timeout(SOON, run(&rig, root.path())).await.unwrap();
    assert_eq!((third.count(Outcome::Unchanged), third.count(Outcome::Indexed)), (12, 1), "{third:?}");
    assert!(pool.shutdown(Duration::from_secs(10)).await);
    rig.check_clean().await;
}
