//! `/v1/embeddings`: texts in, the vectors of a configured embedder out.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wellspring_models::{TextKind, Work};

use super::super::Shared;
use super::super::caller::Identified;
use super::super::extract::ProblemJson;
use super::{ErrorBody, Failure};
use crate::problem::Problem;

/// Most texts in one request; OpenAI's number.
const MOST_TEXTS: usize = 2_048;

/// Texts to embed.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "model": "default", "input": ["two weeks' notice", "a water level sensor"] }))]
pub(super) struct EmbeddingBody {
    /// An embedder, or `default`.
    #[schema(example = "default")]
    model: String,
    /// A text, or up to 2048 of them; not tokens.
    #[schema(value_type = Value)]
    input: Value,
    /// `float`, or `base64`: little-endian 32-bit floats.
    #[serde(default)]
    encoding_format: Encoding,
    /// Keeps the first so many components and brings them to norm 1 again. How much that costs depends on whether the
    /// model was trained for it.
    #[serde(default)]
    #[schema(minimum = 1)]
    dimensions: Option<usize>,
    /// Whether the texts are searched for (`query`) or searched (`document`, the default): some models tell the two apart.
    #[serde(default)]
    input_type: InputType,
    /// Accepted, without effect.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it")]
    user: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    rest: Map<String, Value>,
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    #[default]
    Float,
    Base64,
}

/// Which side of a search the texts stand on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum InputType {
    #[serde(alias = "search_query")]
    Query,
    #[default]
    #[serde(alias = "search_document", alias = "passage")]
    Document,
}

/// The vectors.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Embeddings {
    /// Always `list`.
    object: &'static str,
    /// In the order of the texts.
    data: Vec<Item>,
    /// The embedder.
    model: String,
    usage: InputUsage,
}

/// One text's vector.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Item {
    /// Always `embedding`.
    object: &'static str,
    /// The text's place, from 0.
    index: usize,
    embedding: Vector,
}

/// Components, or their bytes as base64.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Vector {
    Float(Vec<f32>),
    Base64(String),
}

/// Tokens read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InputUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Embed texts
///
/// OpenAI's shape, over the embedders that collections use. A text that the model would not read to its end is refused
/// rather than cut.
#[utoipa::path(
    post, path = "/v1/embeddings", operation_id = "createEmbedding", tag = "openai", request_body = EmbeddingBody,
    responses(
        (status = 200, description = "The vectors", body = Embeddings),
        (status = 400, description = "Not JSON, no text, too many or too long ones, or tokens", body = ErrorBody),
        (status = 404, description = "No such embedder", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "Not JSON", body = ErrorBody),
        (status = 429, description = "A limit was reached", body = ErrorBody),
        (status = 503, description = "The embedder can't serve now", body = ErrorBody),
        (status = 504, description = "It took too long", body = ErrorBody),
    )
)]
pub(super) async fn embed(
    State(server): State<Shared>,
    sender: Result<Identified, Problem>,
    body: Result<ProblemJson<EmbeddingBody>, Problem>,
) -> Result<Json<Embeddings>, Failure> {
    let (Identified(sender), ProblemJson(body)) = (sender?, body?);
    if let Some(name) = body.rest.iter().find(|(_, value)| !value.is_null()).map(|(name, _)| name) {
        return Err(Failure::unsupported(name, format!("unknown member `{name}`")));
    }
    let texts = texts(&body.input)?;
    let embedder = match server.app.registry.embedder_for(&body.model, Work::QUERY, &sender.account()).await {
        Ok(embedder) => embedder,
        Err(error) if error.kind() == wellspring_models::ErrorKind::NotFound => {
            return Err(Failure::no_model(&body.model, "an embedder here"));
        }
        Err(error) => return Err(error.into()),
    };
    let info = embedder.info();
    let dimensions = body.dimensions.unwrap_or(info.dimension);
    if !(1..=info.dimension).contains(&dimensions) {
        let detail = format!("`dimensions` is {dimensions}; {} gives 1 to {}", info.name, info.dimension);
        return Err(Failure::unsupported("dimensions", detail));
    }
    let kind = match body.input_type {
        InputType::Query => TextKind::Query,
        InputType::Document => TextKind::Passage,
    };
    let made = embedder.embed(kind, &texts).await?;
    let mut tokens = 0;
    let mut data = Vec::with_capacity(made.len());
    for (index, embedding) in made.into_iter().enumerate() {
        if embedding.truncated > 0 {
            let detail = format!(
                "`input[{index}]` has {} tokens; {} reads {}: shorten it",
                embedding.tokens + embedding.truncated,
                info.name,
                info.max_tokens
            );
            return Err(Failure::unsupported("input", detail));
        }
        tokens += embedding.tokens as u64;
        let vector = shortened(embedding.vector, dimensions);
        let embedding = match body.encoding_format {
            Encoding::Float => Vector::Float(vector),
            Encoding::Base64 => Vector::Base64(bytes(&vector)),
        };
        data.push(Item { object: "embedding", index, embedding });
    }
    let usage = InputUsage { prompt_tokens: tokens, total_tokens: tokens };
    Ok(Json(Embeddings { object: "list", data, model: info.name.clone(), usage }))
}

/// The texts of an input in any of its forms.
fn texts(input: &Value) -> Result<Vec<&str>, Failure> {
    let wrong = |detail: String| Failure::unsupported("input", detail);
    let texts: Vec<&str> = match input {
        Value::String(text) => vec![text],
        Value::Array(items) if items.is_empty() => return Err(wrong("`input` is empty".to_owned())),
        Value::Array(items) if items.len() > MOST_TEXTS => {
            return Err(wrong(format!("`input` has {} texts, the limit is {MOST_TEXTS}", items.len())));
        }
        Value::Array(items) => items
            .iter()
            .map(|item| {
                item.as_str().ok_or_else(|| {
                    wrong("`input` holds tokens or something else than texts: tokens mean nothing to other models, send \
                        texts (`check_embedding_ctx_length=False` in LangChain)".to_owned())
                })
            })
            .collect::<Result<_, _>>()?,
        _ => return Err(wrong("`input` is a text or a list of texts".to_owned())),
    };
    match texts.iter().position(|text| text.is_empty()) {
        Some(place) => Err(wrong(format!("`input[{place}]` is empty"))),
        None => Ok(texts),
    }
}

/// The first components, of norm 1 again; a vector that has no length there stays as it is.
fn shortened(mut vector: Vec<f32>, dimensions: usize) -> Vec<f32> {
    if dimensions < vector.len() {
        vector.truncate(dimensions);
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if norm > f32::MIN_POSITIVE {
            vector.iter_mut().for_each(|x| *x /= norm);
        }
    }
    vector
}

fn bytes(vector: &[f32]) -> String {
    STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn inputs_are_texts() {
        assert_eq!(texts(&json!("a")).unwrap(), ["a"]);
        assert_eq!(texts(&json!(["a", "b"])).unwrap(), ["a", "b"]);
        for bad in
            [json!([]), json!(""), json!(["a", ""]), json!([1, 2]), json!([[1]]), json!(7), json!(null)]
        {
            assert!(texts(&bad).is_err(), "{bad}");
        }
        assert!(texts(&json!(vec!["x"; MOST_TEXTS])).is_ok());
        assert!(texts(&json!(vec!["x"; MOST_TEXTS + 1])).is_err());
    }

    #[test]
    fn a_shortened_vector_has_norm_one_and_bytes_are_little_endian() {
        assert_eq!(shortened(vec![0.6, 0.0, 0.8], 3), [0.6, 0.0, 0.8]);
        assert_eq!(shortened(vec![0.6, 0.8, 0.0], 1), [1.0]);
        assert_eq!(shortened(vec![0.0, 1.0], 1), [0.0]);
        assert_eq!(STANDARD.decode(bytes(&[1.0, -2.0])).unwrap(), [0, 0, 128, 63, 0, 0, 0, 192]);
    }
}
