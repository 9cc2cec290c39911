//! Tests of how names become models.

use super::*;
use crate::embed::TextKind;
use crate::fake::{Script, ScriptedChat};

fn registry(config: &str) -> (Registry, tempfile::TempDir) {
    let cache = tempfile::tempdir().unwrap();
    let mut config: ModelsConfig = serde_json::from_str(config).unwrap();
    config.cache_dir = Some(cache.path().to_owned());
    (Registry::new(config).unwrap(), cache)
}

const ENDPOINTS: &str = r#"{
    "embedders": [{"name": "far", "base_url": "http://127.0.0.1:1/v1", "model": "m", "dimension": 8}],
    "rerankers": [{"name": "near", "api": "tei", "base_url": "http://127.0.0.1:1"}],
    "chats": [{"name": "one", "base_url": "http://127.0.0.1:1/v1", "model": "m"},
              {"name": "two", "base_url": "http://127.0.0.1:1/v1", "model": "m"}]
}"#;

#[tokio::test]
async fn built_in_and_configured_names_are_found_and_shared() {
    let (registry, _cache) = registry(ENDPOINTS);
    let first = registry.embedder("fake/hash").await.unwrap();
    assert!(Arc::ptr_eq(&first, &registry.embedder("fake/hash").await.unwrap()));
    assert_eq!(registry.embedder("far").await.unwrap().info().dimension, 8);
    assert_eq!(registry.reranker(Some("fake/overlap")).await.unwrap().unwrap().name(), "fake/overlap");
    assert!(registry.reranker(None).await.unwrap().is_none());
    assert_eq!(registry.reranker(Some("near")).await.unwrap().unwrap().name(), "near");
    assert_eq!(registry.reranker(Some("chat/listwise")).await.unwrap().unwrap().name(), "chat/listwise");
    assert_eq!(registry.chat(None).unwrap().unwrap().name(), "one");
    assert_eq!(registry.chat(Some("two")).unwrap().unwrap().name(), "two");
    assert_eq!(registry.chat(Some("fake/offline")).unwrap().unwrap().name(), "fake/offline");
}

#[tokio::test]
async fn without_a_chat_model_there_is_none_and_an_unknown_one_is_an_error() {
    let (registry, _cache) = registry("{}");
    assert!(registry.chat(None).unwrap().is_none());
    let error = registry.chat(Some("gpt")).err().unwrap();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::NotFound, "there is no chat model gpt; configured: none")
    );
    assert_eq!(registry.reranker(Some("chat/listwise")).await.err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(registry.reranker(Some("x")).await.err().unwrap().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_registered_comes_first() {
    let (registry, _cache) = registry(r#"{"default_embedder": "mine", "default_chat": "fake/offline"}"#);
    let mine = HashEmbedder::new(4, 4);
    let calls = mine.calls();
    registry.register_embedder("mine", Arc::new(mine));
    registry.register_chat("fake/offline", Arc::new(ScriptedChat::new("mine", [Script::reply("x")])));
    registry.register_reranker("best", Arc::new(OverlapReranker));
    for name in ["default", "mine"] {
        registry.embedder(name).await.unwrap().embed(TextKind::Query, &["same"]).await.unwrap();
    }
    assert_eq!(calls.calls(), 2);
    assert_eq!(registry.chat(None).unwrap().unwrap().name(), "mine");
    assert!(registry.reranker(Some("best")).await.unwrap().is_some());
}

#[test]
fn what_cannot_work_is_refused_at_the_start() {
    let endpoint = r#"{"name": "a", "base_url": "http://x/v1", "model": "m", "dimension": 3}"#;
    let twice = format!(r#"{{"embedders": [{endpoint}, {endpoint}]}}"#);
    let zero = r#"{"embedders": [{"name": "a", "base_url": "http://x/v1", "model": "m", "dimension": 0}]}"#;
    let odd = r#"{"chats": [{"name": "a", "base_url": "x", "model": "m"}]}"#;
    let nameless = r#"{"rerankers": [{"name": "a", "api": "jina", "base_url": "http://x/v1"}]}"#;
    let nowhere = r#"{"rerankers": [{"name": "a", "api": "tei"}]}"#;
    for config in [twice.as_str(), zero, odd, nameless, nowhere] {
        let made = Registry::new(serde_json::from_str(config).unwrap());
        assert_eq!(made.err().map(|error| error.kind()), Some(ErrorKind::Invalid), "{config}");
    }
}

#[tokio::test]
async fn folders_are_listed_with_what_is_wrong_with_them() {
    let (registry, cache) = registry(ENDPOINTS);
    let folder = cache.path().join("models/small");
    fs_err::create_dir_all(&folder).unwrap();
    fs_err::create_dir_all(cache.path().join("models/.pull-other-01234567")).unwrap();
    let manifest = r#"{"name": "small", "dimension": 2, "max_tokens": 8, "license": "MIT",
        "files": {"model.onnx": {"sha256": "", "bytes": 3, "quantization": "fp32"}}}"#;
    fs_err::write(folder.join("model.json"), manifest).unwrap();
    fs_err::write(cache.path().join("models/.pull-other-01234567/model.json"), manifest).unwrap();

    let listed = registry.available();
    let names: Vec<&str> = listed.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(
        names,
        ["fake/hash", "far", "small", "chat/listwise", "fake/overlap", "near", "fake/offline", "one", "two"]
    );
    assert_eq!((listed[2].bytes, listed[2].license.as_deref()), (3, Some("MIT")));
    assert!(listed[2].problem.as_deref().is_some_and(|problem| problem.contains("missing")));
    fs_err::write(folder.join("model.onnx"), "abc").unwrap();
    assert_eq!(registry.available()[2].problem, None);

    let error = registry.embedder("nothing").await.err().unwrap().to_string();
    assert!(error.contains("models pull nothing") && error.contains("small"), "{error}");
    let error = registry.embedder("small/int8").await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let finding = registry.check().into_iter().find(|finding| finding.what == "default embedder").unwrap();
    assert!(!finding.ok && finding.fix.as_deref() == Some("run `make setup`"), "{finding:?}");
}
