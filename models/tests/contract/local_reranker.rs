//! The local cross-encoder on real, if tiny, weights: loaded from a model folder, and calibrated.

use wellspring_models::ErrorKind;
use wellspring_models::fake::{OverlapReranker, Script, ScriptedChat};
use wellspring_models::registry::{ModelsConfig, Registry};
use wellspring_models::rerank::ListwiseReranker;

use crate::onnx::{BIAS, write_cross_encoder};
use crate::{reranker, shared};

/// A registry whose model folder holds just the tiny cross-encoder; `None` without ONNX Runtime.
fn tiny(threads: usize) -> Option<(Registry, tempfile::TempDir)> {
    let library = shared::library()?;
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("models/tiny");
    fs_err::create_dir_all(&folder).unwrap();
    write_cross_encoder(&folder);
    let config = ModelsConfig {
        cache_dir: Some(cache.path().to_owned()),
        onnxruntime: Some(library),
        default_reranker: Some("tiny".to_owned()),
        threads,
        ..ModelsConfig::default()
    };
    Some((Registry::new(config).unwrap(), cache))
}

#[tokio::test]
async fn local_rerankers_keep_the_contract_and_score_pairs_alone() {
    let (Some((one, _cache)), Some((two, _other))) = (tiny(1), tiny(2)) else { return };
    for registry in [&one, &two] {
        let model = registry.reranker(None).await.unwrap().unwrap();
        assert_eq!(model.name(), "tiny/fp32");
        reranker::keeps_contract(model.as_ref()).await;
        // Query and passage are told apart and read together: shared words count, others don't.
        let passages = ["paid leave is thirty days", "travel costs", "leave leave", ""];
        let scores = model.rerank("Paid leave", &passages).await.unwrap();
        let shared = [2.0, 0.0, 2.0, 0.0];
        assert_eq!(scores, shared.map(|count| count - BIAS));
        for (passage, score) in passages.iter().zip(&scores) {
            assert_eq!(model.rerank("Paid leave", &[passage]).await.unwrap(), [*score]);
        }
    }
}

#[tokio::test]
async fn a_logit_becomes_a_probability() {
    let Some((registry, _cache)) = tiny(1) else { return };
    let model = registry.reranker(Some("tiny/fp32")).await.unwrap().unwrap();
    assert_eq!(model.probability(0.0), Some(0.5));
    let probability = model.probability(0.5).unwrap();
    assert!((probability - 0.622_459_3).abs() < 1e-6, "1 / (1 + e^-0.5) is not {probability}");
    assert_eq!((model.probability(200.0), model.probability(-200.0)), (Some(1.0), Some(0.0)));
}

#[tokio::test]
async fn what_is_no_reranker_or_damaged_is_refused_and_doctor_says_so() {
    let Some((registry, cache)) = tiny(1) else { return };
    let finding = |registry: &Registry| {
        registry.check().into_iter().find(|finding| finding.what == "default reranker").unwrap()
    };
    assert!(finding(&registry).ok);
    assert!(registry.embedder("tiny").await.is_err());
    let weights = cache.path().join("models/tiny/model.onnx");
    let mut bytes = fs_err::read(&weights).unwrap();
    bytes.pop();
    fs_err::write(&weights, bytes).unwrap();
    assert_eq!(registry.reranker(None).await.err().unwrap().kind(), ErrorKind::Corrupt);
    let found = finding(&registry);
    assert!(!found.ok && found.fix.is_some(), "{found:?}");
}

#[tokio::test]
async fn other_rerankers_keep_the_contract() {
    reranker::keeps_contract(&OverlapReranker).await;
    let script = Script::reply("[2] > [4] > [3] > [1]");
    let chat = ScriptedChat::new("scripted", vec![script; 2]);
    reranker::keeps_contract(&ListwiseReranker::new(std::sync::Arc::new(chat))).await;
}
