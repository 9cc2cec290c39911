//! Writes a tiny cross-encoder with real weights: an ONNX file, a tokenizer and the description of both.
//!
//! Its logit is the number of words that query and passage share, counted with repetition, less a bias. It needs what
//! real ones need: token types, an attention mask, special tokens, and an output called `logits`.

use std::fmt::Write as _;
use std::path::Path;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

const WORDS: [&str; 8] = ["paid", "leave", "days", "is", "thirty", "travel", "costs", "year"];
/// `[PAD]`, `[CLS]`, `[SEP]`, `[UNK]`, whose vectors are zero.
const SPECIAL: usize = 4;
/// Taken off every logit.
pub(crate) const BIAS: f32 = 1.5;

/// Makes `folder` a model folder of the reranker `tiny`.
pub(crate) fn write_cross_encoder(folder: &Path) {
    let files: [(&str, Vec<u8>); 5] = [
        ("model.onnx", model()),
        ("tokenizer.json", tokenizer().to_string().into_bytes()),
        ("config.json", json!({"pad_token_id": 0}).to_string().into_bytes()),
        ("special_tokens_map.json", json!({"pad_token": "[PAD]"}).to_string().into_bytes()),
        (
            "tokenizer_config.json",
            json!({"model_max_length": 32, "pad_token": "[PAD]"}).to_string().into_bytes(),
        ),
    ];
    let mut entries = serde_json::Map::new();
    for (name, bytes) in files {
        let sha256 = digest(&SHA256, &bytes).as_ref().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        let mut entry = json!({"sha256": sha256, "bytes": bytes.len()});
        if name == "model.onnx" {
            entry["quantization"] = json!("fp32");
        }
        entries.insert(name.to_owned(), entry);
        fs_err::write(folder.join(name), bytes).unwrap();
    }
    let manifest =
        json!({"name": "tiny", "license": "MIT", "kind": "reranker", "max_tokens": 32, "files": entries});
    fs_err::write(folder.join("model.json"), manifest.to_string()).unwrap();
}

fn tokenizer() -> Value {
    let special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"];
    let vocab: serde_json::Map<String, Value> =
        special.iter().chain(&WORDS).enumerate().map(|(id, word)| ((*word).to_owned(), json!(id))).collect();
    let added: Vec<Value> = special
        .iter()
        .enumerate()
        .map(|(id, word)| {
            json!({"id": id, "content": word, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        "decoder": null, "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"},
    })
}

/// The graph: both sides' bags of words, their product summed, less the bias.
fn model() -> Vec<u8> {
    let size = SPECIAL + WORDS.len();
    let table: Vec<f32> = (0..size * size)
        .map(|at| if at / size == at % size && at / size >= SPECIAL { 1.0 } else { 0.0 })
        .collect();
    let float = || vec![("to", Attribute::Int(1))];
    let last = || vec![("axes", Attribute::Ints(2))];
    let over_tokens = || vec![("axes", Attribute::Ints(1)), ("keepdims", Attribute::Int(0))];
    let over_words = || vec![("axes", Attribute::Ints(1)), ("keepdims", Attribute::Int(1))];
    let nodes = [
        node("Gather", &["table", "input_ids"], "words", vec![]),
        node("Cast", &["attention_mask"], "mask", float()),
        node("Unsqueeze", &["mask"], "mask3", last()),
        node("Cast", &["token_type_ids"], "types", float()),
        node("Unsqueeze", &["types"], "types3", last()),
        node("Mul", &["words", "mask3"], "seen", vec![]),
        node("Mul", &["seen", "types3"], "second", vec![]),
        node("Sub", &["seen", "second"], "first", vec![]),
        node("ReduceSum", &["first"], "query", over_tokens()),
        node("ReduceSum", &["second"], "passage", over_tokens()),
        node("Mul", &["query", "passage"], "shared", vec![]),
        node("ReduceSum", &["shared"], "count", over_words()),
        node("Sub", &["count", "bias"], "logits", vec![]),
    ];
    let mut graph = Vec::new();
    nodes.iter().for_each(|node| bytes_field(&mut graph, 1, node));
    bytes_field(&mut graph, 2, b"tiny");
    bytes_field(&mut graph, 5, &tensor("table", &[size, size], &table));
    bytes_field(&mut graph, 5, &tensor("bias", &[1], &[BIAS]));
    for name in ["input_ids", "attention_mask", "token_type_ids"] {
        bytes_field(&mut graph, 11, &value(name, 7, &["batch", "tokens"]));
    }
    bytes_field(&mut graph, 12, &value("logits", 1, &["batch", "one"]));
    let mut opset = Vec::new();
    int_field(&mut opset, 2, 11);
    let mut model = Vec::new();
    int_field(&mut model, 1, 6);
    bytes_field(&mut model, 7, &graph);
    bytes_field(&mut model, 8, &opset);
    model
}

enum Attribute {
    Int(u64),
    Ints(u64),
}

/// A `NodeProto`.
fn node(kind: &str, inputs: &[&str], output: &str, attributes: Vec<(&str, Attribute)>) -> Vec<u8> {
    let mut node = Vec::new();
    inputs.iter().for_each(|input| bytes_field(&mut node, 1, input.as_bytes()));
    bytes_field(&mut node, 2, output.as_bytes());
    bytes_field(&mut node, 4, kind.as_bytes());
    for (name, attribute) in attributes {
        let mut written = Vec::new();
        bytes_field(&mut written, 1, name.as_bytes());
        match attribute {
            Attribute::Int(value) => {
                int_field(&mut written, 3, value);
                int_field(&mut written, 20, 2);
            }
            Attribute::Ints(value) => {
                int_field(&mut written, 8, value);
                int_field(&mut written, 20, 7);
            }
        }
        bytes_field(&mut node, 5, &written);
    }
    node
}

/// A `TensorProto` of floats.
fn tensor(name: &str, dims: &[usize], values: &[f32]) -> Vec<u8> {
    let mut tensor = Vec::new();
    dims.iter().for_each(|dim| int_field(&mut tensor, 1, *dim as u64));
    int_field(&mut tensor, 2, 1);
    bytes_field(&mut tensor, 8, name.as_bytes());
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    bytes_field(&mut tensor, 9, &raw);
    tensor
}

/// A `ValueInfoProto` of an element type (1 float, 7 int64) with named dimensions.
fn value(name: &str, element: u64, dims: &[&str]) -> Vec<u8> {
    let mut shape = Vec::new();
    for dim in dims {
        let mut named = Vec::new();
        bytes_field(&mut named, 2, dim.as_bytes());
        bytes_field(&mut shape, 1, &named);
    }
    let mut tensor = Vec::new();
    int_field(&mut tensor, 1, element);
    bytes_field(&mut tensor, 2, &shape);
    let mut kind = Vec::new();
    bytes_field(&mut kind, 1, &tensor);
    let mut value = Vec::new();
    bytes_field(&mut value, 1, name.as_bytes());
    bytes_field(&mut value, 2, &kind);
    value
}

fn int_field(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn bytes_field(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
