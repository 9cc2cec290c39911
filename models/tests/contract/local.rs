//! The local models keep the contracts on real weights, and the same text always gives the same bits.

use wellspring_models::local::{LocalEmbedder, LocalReranker, ModelFolder, Runtime};
use wellspring_models::registry::{ModelsConfig, Registry};
use wellspring_models::{ErrorKind, TextKind};

use crate::embedder;
use crate::shared::{passages, registry};

const FP32: &str = "all-MiniLM-L6-v2/fp32";
const INT8: &str = "all-MiniLM-L6-v2/int8";

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[tokio::test]
async fn local_embedders_keep_the_contract() {
    let Some(registry) = registry(2) else { return };
    for name in [FP32, INT8] {
        let model = registry.embedder(name).await.unwrap();
        assert_eq!(model.info().name, name);
        embedder::keeps_contract(model.as_ref()).await;
    }
}

#[tokio::test]
async fn fp32_gives_the_reference_cosines_and_int8_stays_close() {
    let Some(registry) = registry(1) else { return };
    let texts = ["A man is eating food.", "A man is eating pasta.", "The sky is blue today."];
    let fp32 = registry.embedder(FP32).await.unwrap().embed(TextKind::Passage, &texts).await.unwrap();
    let near = cosine(&fp32[0].vector, &fp32[1].vector);
    let far = cosine(&fp32[0].vector, &fp32[2].vector);
    assert!((near - 0.7035).abs() < 1e-3 && (far + 0.0186).abs() < 1e-3, "{near} {far}");
    let int8 = registry.embedder(INT8).await.unwrap().embed(TextKind::Passage, &texts).await.unwrap();
    for (full, small) in fp32.iter().zip(&int8) {
        assert!(cosine(&full.vector, &small.vector) > 0.97);
    }
}

#[tokio::test]
async fn tokens_pooled_over_a_whole_text_are_its_vector_but_for_the_special_ones() {
    let Some(registry) = registry(1) else { return };
    for name in [FP32, INT8] {
        let model = registry.embedder(name).await.unwrap();
        for text in passages(8) {
            let whole = model.embed(TextKind::Passage, &[&text]).await.unwrap().remove(0);
            let tokens = model.tokens().unwrap().embed_tokens(&[&text]).await.unwrap().remove(0);
            let pooled = tokens.pooled([0..0, 0..text.len()]).unwrap();
            let near = cosine(&whole.vector, &pooled);
            assert!(near > 0.98, "{name}: {near} of {text:?}");
        }
    }
}

#[tokio::test]
async fn the_same_text_gives_the_same_bits_in_any_company_order_and_number_of_threads() {
    let (Some(one), Some(two)) = (registry(1), registry(2)) else { return };
    let texts = passages(200);
    for name in [FP32, INT8] {
        let (one, two) = (one.embedder(name).await.unwrap(), two.embedder(name).await.unwrap());
        let mut alone = Vec::new();
        for text in &texts {
            alone.extend(one.embed(TextKind::Passage, &[text]).await.unwrap());
        }
        let reversed: Vec<&str> = texts.iter().rev().map(String::as_str).collect();
        let mut together = two.embed(TextKind::Passage, &reversed).await.unwrap();
        together.reverse();
        // Equality of f32 would let -0.0 pass for 0.0.
        let bits = |vector: &[f32]| vector.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        for (number, (a, b)) in alone.iter().zip(&together).enumerate() {
            assert_eq!(bits(&a.vector), bits(&b.vector), "{name}, text {number}");
            assert_eq!((a.tokens, a.truncated), (b.tokens, b.truncated));
        }
    }
}

#[tokio::test]
async fn the_fingerprint_names_what_decides_the_bits() {
    let Some(registry) = registry(1) else { return };
    let fp32 = registry.embedder(FP32).await.unwrap().info().fingerprint.clone();
    let int8 = registry.embedder(INT8).await.unwrap().info().fingerprint.clone();
    assert_ne!(fp32, int8);
    for part in
        ["all-MiniLM-L6-v2;onnx=", ";pooling=mean;", ";norm=l2;", ";quant=fp32;", ";max=256;", "kernel=none"]
    {
        assert!(fp32.0.contains(part), "{fp32} lacks {part}");
    }
    assert!(!int8.0.contains("kernel=none"), "{int8}");
    // The bare name is one of the two, and the very same model.
    let bare = registry.embedder("all-MiniLM-L6-v2").await.unwrap();
    let named = registry.embedder(&bare.info().name).await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&bare, &named));
}

#[tokio::test]
async fn what_is_missing_is_named_with_its_remedy() {
    let empty = tempfile::tempdir().unwrap();
    let config = ModelsConfig { cache_dir: Some(empty.path().to_owned()), ..ModelsConfig::default() };
    let registry = Registry::new(config).unwrap();
    let error = registry.embedder("default").await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("make setup"), "{error}");
    let error = registry.embedder("../../etc/passwd").await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(registry.check().iter().any(|finding| !finding.ok && finding.fix.is_some()));

    let absent = Runtime::load(&empty.path().join("libnothing.so")).err();
    // Another test of this process may have loaded the library already; then any path gives that one.
    if let Some(error) = absent {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("wellspring doctor"), "{error}");
    }
}

#[tokio::test]
async fn damaged_weights_are_refused() {
    let Some(registry) = registry(1) else { return };
    let source = registry.cache_dir().join("models/all-MiniLM-L6-v2");
    let copy = tempfile::tempdir().unwrap();
    for entry in fs_err::read_dir(&source).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "model.onnx" {
            fs_err::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    let weights = copy.path().join("model_int8.onnx");
    let mut bytes = fs_err::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(&weights, bytes).unwrap();
    let runtime = Runtime::load(&registry.cache_dir().join("lib/libonnxruntime.so")).unwrap();
    let folder = ModelFolder::open(copy.path()).unwrap();
    let kind =
        |precision| LocalEmbedder::open(&runtime, &folder, precision, 1).err().map(|error| error.kind());
    assert_eq!(kind("int8"), Some(ErrorKind::Corrupt));
    assert_eq!(kind("fp32"), Some(ErrorKind::NotFound));
    assert_eq!(kind("fp16"), Some(ErrorKind::NotFound));
    let reranker = LocalReranker::open(&runtime, &folder, "int8", 1).err().map(|error| error.kind());
    assert_eq!(reranker, Some(ErrorKind::Invalid));
}
