//! Tests of fetching a model from a hub that loses bytes, lies about them, or lacks them.

use std::sync::{Arc, Mutex};

use serde_json::json;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::*;
use crate::local::TOKENIZER_FILES;
use crate::secret::Secret;

const REPOSITORY: &str = "Xenova/all-MiniLM-L12-v2";
const WEIGHTS: &[u8] = b"weights of a model, thirty-four b.";

/// Serves the weights: the first `cuts` times only ten bytes more than before, then the rest.
struct Weights {
    cuts: usize,
    ranges: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Respond for Weights {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let from = request.headers.get("range").map(|range| {
            range.to_str().unwrap().trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap()
        });
        let mut ranges = self.ranges.lock().unwrap();
        ranges.push(from);
        let start = from.unwrap_or(0);
        let end = if ranges.len() <= self.cuts { start + 10 } else { WEIGHTS.len() };
        let body = WEIGHTS[start..end].to_vec();
        match from {
            Some(_) => ResponseTemplate::new(206)
                .insert_header("content-range", format!("bytes {start}-{}/{}", end - 1, WEIGHTS.len()))
                .set_body_bytes(body),
            None => ResponseTemplate::new(200).set_body_bytes(body),
        }
    }
}

struct Bench {
    server: MockServer,
    cache: tempfile::TempDir,
    ranges: Arc<Mutex<Vec<Option<usize>>>>,
    config: HubConfig,
}

/// A hub with one model, whose weights have this checksum by its own account.
async fn bench(sha256: &str, cuts: usize) -> Bench {
    let server = MockServer::start().await;
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let small = json!({"model_max_length": 512, "pad_token": "[PAD]"}).to_string();
    let mut siblings: Vec<serde_json::Value> =
        TOKENIZER_FILES.iter().map(|file| json!({"rfilename": file, "size": small.len()})).collect();
    siblings.push(json!({
        "rfilename": "onnx/model.onnx", "size": WEIGHTS.len(), "lfs": {"sha256": sha256, "size": WEIGHTS.len()}
    }));
    let described =
        json!({"sha": "0123456789abcdef", "siblings": siblings, "tags": ["onnx", "license:apache-2.0"]});
    Mock::given(method("GET"))
        .and(path(format!("/api/models/{REPOSITORY}/revision/main")))
        .and(header("authorization", "Bearer hf_token"))
        .respond_with(ResponseTemplate::new(200).set_body_json(described))
        .mount(&server)
        .await;
    for file in TOKENIZER_FILES {
        Mock::given(path(format!("/{REPOSITORY}/resolve/0123456789abcdef/{file}")))
            .respond_with(ResponseTemplate::new(200).set_body_string(small.clone()))
            .mount(&server)
            .await;
    }
    Mock::given(path(format!("/{REPOSITORY}/resolve/0123456789abcdef/onnx/model.onnx")))
        .respond_with(Weights { cuts, ranges: Arc::clone(&ranges) })
        .mount(&server)
        .await;
    let config = HubConfig {
        endpoint: server.uri(),
        token: Some(Secret::new("hf_token")),
        offline: false,
        retry_wait: std::time::Duration::ZERO,
    };
    Bench { server, cache: tempfile::tempdir().unwrap(), ranges, config }
}

fn right() -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, WEIGHTS);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn fetch(bench: &Bench) -> Result<Pulled> {
    pull("all-MiniLM-L12-v2", bench.cache.path(), &bench.config, &mut |_| {}).await
}

/// Names of what is in the models folder.
fn installed(bench: &Bench) -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(bench.cache.path().join("models")) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_model_is_fetched_described_and_not_fetched_twice() {
    let bench = bench(&right(), 0).await;
    let mut seen = Vec::new();
    let mut report = |progress: PullProgress| seen.push((progress.done, progress.total));
    let pulled = pull("all-MiniLM-L12-v2", bench.cache.path(), &bench.config, &mut report).await.unwrap();
    let place = bench.cache.path().join("models/all-MiniLM-L12-v2");
    assert_eq!(pulled, Pulled::Fetched(place.clone()));
    assert!(seen.is_sorted() && seen.last().is_some_and(|(done, total)| done == total), "{seen:?}");

    let folder = ModelFolder::open(&place).unwrap();
    let manifest = folder.manifest();
    assert_eq!(
        (manifest.dimension, manifest.max_tokens, manifest.license.as_str()),
        (384, 128, "apache-2.0")
    );
    for file in folder.needed("fp32").unwrap() {
        folder.verify(file).unwrap();
    }
    assert_eq!(installed(&bench), ["all-MiniLM-L12-v2"]);

    let before = bench.server.received_requests().await.unwrap().len();
    assert_eq!(fetch(&bench).await.unwrap(), Pulled::Present(place));
    assert_eq!(bench.server.received_requests().await.unwrap().len(), before);
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_ended() {
    let bench = bench(&right(), 2).await;
    fetch(&bench).await.unwrap();
    assert_eq!(*bench.ranges.lock().unwrap(), [None, Some(10), Some(20)]);
}

#[tokio::test]
async fn a_failed_pull_leaves_no_model_and_the_next_one_uses_what_is_there() {
    let bench = bench(&right(), 0).await;
    // As often as one pull tries.
    Mock::given(path(format!("/{REPOSITORY}/resolve/0123456789abcdef/onnx/model.onnx")))
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(4)
        .with_priority(1)
        .mount(&bench.server)
        .await;
    assert_eq!(fetch(&bench).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(installed(&bench), [".pull-all-MiniLM-L12-v2-01234567"]);
    // What a try that was cut halfway leaves.
    let staging = bench.cache.path().join("models/.pull-all-MiniLM-L12-v2-01234567/model.onnx");
    fs_err::write(staging, &WEIGHTS[..24]).unwrap();
    fetch(&bench).await.unwrap();
    assert_eq!(*bench.ranges.lock().unwrap(), [Some(24)]);
    assert_eq!(installed(&bench), ["all-MiniLM-L12-v2"]);
}

#[tokio::test]
async fn a_wrong_checksum_leaves_no_model_and_nothing_to_go_on_with() {
    let bench = bench(&"0".repeat(64), 0).await;
    assert_eq!(fetch(&bench).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(installed(&bench), [".pull-all-MiniLM-L12-v2-01234567"]);
    assert!(!bench.cache.path().join("models/.pull-all-MiniLM-L12-v2-01234567/model.onnx").exists());
}

#[tokio::test]
async fn what_the_hub_lacks_or_refuses_is_told() {
    let bench = bench(&right(), 0).await;
    let missing = pull("bge-m3", bench.cache.path(), &bench.config, &mut |_| {}).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let unknown = pull("gpt-9", bench.cache.path(), &bench.config, &mut |_| {}).await.unwrap_err();
    assert!(unknown.to_string().contains("those that can: "), "{unknown}");
    let offline = HubConfig { offline: true, ..bench.config.clone() };
    let refused = pull("bge-m3", bench.cache.path(), &offline, &mut |_| {}).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(installed(&bench).is_empty());
}
