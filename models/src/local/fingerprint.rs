//! Says what decides the bits of a local model's vectors.

use super::folder::{ModelFolder, PoolingKind};
use crate::embed::Fingerprint;
use crate::error::Result;

/// Hexadecimal digits of a checksum that are kept.
const DIGITS: usize = 16;

/// The fingerprint of `folder` at `precision`.
///
/// Quantised matrix products run on different instructions on different processors, with different rounding (without
/// VNNI sums of products saturate), so the kernel class is part of it; for `fp32` it is not, where differences between
/// processors stay in the last bits.
pub(super) fn fingerprint(folder: &ModelFolder, precision: &str) -> Result<Fingerprint> {
    let manifest = folder.manifest();
    let (_, onnx) = folder.onnx(precision)?;
    let tokenizer = folder.entry("tokenizer.json")?;
    let pooling = match manifest.pooling {
        PoolingKind::Mean => "mean",
        PoolingKind::Cls => "cls",
    };
    let prefixes = if manifest.query_prefix.is_empty() && manifest.passage_prefix.is_empty() {
        "none".to_owned()
    } else {
        let both = format!("{}\0{}", manifest.query_prefix, manifest.passage_prefix);
        short(blake3::hash(both.as_bytes()).to_hex().as_str()).to_owned()
    };
    let kernel = if precision == "fp32" { "none" } else { kernel_class() };
    Ok(Fingerprint(format!(
        "{name};onnx={onnx};tokenizer={tokenizer};pooling={pooling};norm=l2;quant={precision};prefix={prefixes};max={max};kernel={kernel}",
        name = manifest.name,
        onnx = short(&onnx.sha256),
        tokenizer = short(&tokenizer.sha256),
        max = manifest.max_tokens,
    )))
}

fn short(digest: &str) -> &str {
    digest.get(..DIGITS).unwrap_or(digest)
}

/// Whether 8-bit products keep their precision here: on x86-64 without VNNI sums saturate, and quality with them.
pub(crate) fn int8_is_sound() -> bool {
    !cfg!(target_arch = "x86_64") || kernel_class() == "vnni"
}

/// Which instructions ONNX Runtime multiplies 8-bit integers with on this processor.
fn kernel_class() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512vnni") || std::is_x86_feature_detected!("avxvnni") {
            return "vnni";
        }
        if std::is_x86_feature_detected!("avx2") {
            return "avx2";
        }
    }
    "other"
}
