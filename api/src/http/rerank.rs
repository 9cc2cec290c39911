//! `/v1/rerank` in Cohere's shape: texts in the order of their relevance to a query.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use wellspring_models::{Account, Embedder, ErrorKind, Reranker, TextKind, TokenVectors, Work};
use wellspring_retrieve::query::MAX_QUERY_BYTES;

use super::Shared;
use super::caller::Identified;
use super::extract::ProblemJson;
use crate::problem::{Code, Problem};

/// Most documents in one request; Cohere's number.
const MOST_DOCUMENTS: usize = 1_000;

/// Documents to put in order. Both versions of Cohere's API are read as far as they agree.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "query": "how much notice does leave need", "top_n": 1,
    "documents": ["Annual leave needs two weeks' notice.", "The sensor measures water levels."],
}))]
pub(super) struct RerankBody {
    /// A reranker; the configured one if absent. Where none is configured the default embedder's token vectors decide.
    model: Option<String>,
    /// At most 8192 bytes.
    query: String,
    /// 1 to 1000 texts, or objects with a `text`.
    documents: Vec<Candidate>,
    /// Most results; all if absent.
    #[schema(minimum = 1)]
    top_n: Option<usize>,
    /// Whether results carry their texts.
    #[serde(default)]
    return_documents: Option<bool>,
    /// Accepted: only `["text"]` means something here.
    #[serde(default)]
    rank_fields: Option<Vec<String>>,
    /// Accepted, without effect: a model reads as much as it can.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it")]
    max_chunks_per_doc: Option<Value>,
    /// Accepted, without effect: a model reads as much as it can.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it")]
    max_tokens_per_doc: Option<Value>,
    /// Accepted, without effect.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it")]
    priority: Option<Value>,
}

/// A text, or an object with one.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Candidate {
    Text(String),
    Object(TextObject),
}

/// A text in an object.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(super) struct TextObject {
    text: String,
}

impl Candidate {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Object(object) => &object.text,
        }
    }
}

/// The documents in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reranked {
    id: Uuid,
    /// Best first; of equal scores the one that was sent first.
    results: Vec<RankedDocument>,
    meta: Meta,
}

/// A document's place.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RankedDocument {
    /// Its place among the documents sent, from 0.
    index: usize,
    /// 0 to 1.
    relevance_score: f32,
    /// With `return_documents` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<TextObject>,
}

/// How the scores came about.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Meta {
    api_version: ApiVersion,
    billed_units: BilledUnits,
    /// The model that scored.
    model: String,
    method: Method,
    /// Whether scores are probabilities that mean the same for every query.
    calibrated: bool,
}

/// Cohere's.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApiVersion {
    #[schema(example = "1")]
    version: &'static str,
}

/// Cohere's: one search unit for each hundred documents begun.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BilledUnits {
    search_units: usize,
}

/// What scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Method {
    /// A reranker.
    Reranker,
    /// No reranker is configured: each word of the query with its best match among those of the document.
    LateInteraction,
    /// No reranker is configured, and the embedder gives no token vectors: one vector per text.
    Cosine,
}

/// Scores of all documents, 0 to 1.
struct Scores {
    scores: Vec<f32>,
    model: String,
    method: Method,
    calibrated: bool,
}

/// Rerank texts
///
/// Cohere's shape. Scores are those of the reranker named or configured; without one, of the default embedder, and `meta`
/// says which.
#[utoipa::path(
    post, path = "/v1/rerank", operation_id = "rerank", tag = "search", request_body = RerankBody,
    responses(
        (status = 200, description = "The order", body = Reranked),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No documents or too many, an empty or too long query, an unknown model",
            body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The model can't serve now", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "It took too long", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rerank(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemJson(body): ProblemJson<RerankBody>,
) -> Result<Json<Reranked>, Problem> {
    ranked(&server, &sender.account(), body, "1").await.map(Json)
}

/// Rerank texts, second version
///
/// The same as `/v1/rerank`, at the address that Cohere's newer clients use.
#[utoipa::path(
    post, path = "/v2/rerank", operation_id = "rerankV2", tag = "search", request_body = RerankBody,
    responses(
        (status = 200, description = "The order", body = Reranked),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No documents or too many, an empty or too long query, an unknown model",
            body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The model can't serve now", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "It took too long", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rerank_v2(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemJson(body): ProblemJson<RerankBody>,
) -> Result<Json<Reranked>, Problem> {
    ranked(&server, &sender.account(), body, "2").await.map(Json)
}

async fn ranked(
    server: &Shared,
    account: &Account,
    body: RerankBody,
    version: &'static str,
) -> Result<Reranked, Problem> {
    check(&body)?;
    let texts: Vec<&str> = body.documents.iter().map(Candidate::text).collect();
    let found = scores(server, account, body.model.as_deref(), &body.query, &texts).await?;
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by(|a, b| found.scores[*b].total_cmp(&found.scores[*a]).then(a.cmp(b)));
    order.truncate(body.top_n.unwrap_or(usize::MAX));
    let shows = body.return_documents.unwrap_or(false);
    let results = order.into_iter().map(|index| RankedDocument {
        index,
        relevance_score: found.scores[index],
        document: shows.then(|| TextObject { text: texts[index].to_owned() }),
    });
    Ok(Reranked {
        id: Uuid::now_v7(),
        results: results.collect(),
        meta: Meta {
            api_version: ApiVersion { version },
            billed_units: BilledUnits { search_units: texts.len().div_ceil(100) },
            model: found.model,
            method: found.method,
            calibrated: found.calibrated,
        },
    })
}

fn check(body: &RerankBody) -> Result<(), Problem> {
    let wrong = |path: &str, detail: String| Err(Problem::new(Code::Invalid, detail).at(path));
    if body.query.trim().is_empty() {
        return wrong("query", "`query` is empty".to_owned());
    }
    if body.query.len() > MAX_QUERY_BYTES {
        return wrong(
            "query",
            format!("`query` has {} bytes, the limit is {MAX_QUERY_BYTES}", body.query.len()),
        );
    }
    if !(1..=MOST_DOCUMENTS).contains(&body.documents.len()) {
        let detail = format!("`documents` has {}; it must have 1 to {MOST_DOCUMENTS}", body.documents.len());
        return wrong("documents", detail);
    }
    if body.top_n == Some(0) {
        return wrong("top_n", "`top_n` is 0; it must be 1 or more".to_owned());
    }
    match body.rank_fields.as_deref() {
        None | Some([]) => Ok(()),
        Some([field]) if field == "text" => Ok(()),
        Some(_) => wrong("rank_fields", "`rank_fields` can only be [\"text\"] here".to_owned()),
    }
}

async fn scores(
    server: &Shared,
    account: &Account,
    model: Option<&str>,
    query: &str,
    texts: &[&str],
) -> Result<Scores, Problem> {
    let registry = &server.app.registry;
    let within = Duration::from_secs(server.app.config.server.request_timeout_seconds);
    match registry.reranker_for(model, account, within).await {
        Ok(Some(reranker)) => by_reranker(reranker.as_ref(), query, texts).await,
        Ok(None) => {
            let embedder =
                registry.embedder_for(&registry.config().default_embedder, Work::RERANK, account).await?;
            by_embedder(embedder.as_ref(), query, texts).await
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Problem::from(error).at("model")),
        Err(error) => Err(error.into()),
    }
}

async fn by_reranker(reranker: &dyn Reranker, query: &str, texts: &[&str]) -> Result<Scores, Problem> {
    let raw = reranker.rerank(query, texts).await?;
    let model = reranker.name().to_owned();
    let probable: Option<Vec<f32>> = raw.iter().map(|score| reranker.probability(*score)).collect();
    let (scores, calibrated) = match probable {
        Some(scores) => (scores, true),
        None if raw.iter().all(|score| (0.0..=1.0).contains(score)) => (raw, false),
        // Any score as one between 0 and 1, in the same order.
        None => (raw.into_iter().map(|score| 1.0 / (1.0 + (-score).exp())).collect(), false),
    };
    Ok(Scores { scores, model, method: Method::Reranker, calibrated })
}

async fn by_embedder(embedder: &dyn Embedder, query: &str, texts: &[&str]) -> Result<Scores, Problem> {
    let model = embedder.info().name.clone();
    if let Some(tokens) = embedder.tokens() {
        let mut all = vec![query];
        all.extend(texts);
        let mut vectors = tokens.embed_tokens(&all).await?;
        let documents = vectors.split_off(1);
        // A thousand long documents take a good part of a second.
        let scored = tokio::task::spawn_blocking(move || {
            documents.iter().map(|document| best_matches(&vectors[0], document)).collect()
        });
        let scores = scored.await.map_err(|panic| {
            Problem::from(
                wellspring_models::ModelError::new(ErrorKind::Internal, "scoring was interrupted")
                    .with_source(panic),
            )
        })?;
        return Ok(Scores { scores, model, method: Method::LateInteraction, calibrated: false });
    }
    let asked = embedder.embed(TextKind::Query, &[query]).await?;
    let read = embedder.embed(TextKind::Passage, texts).await?;
    let dot = |other: &[f32]| {
        asked.iter().flat_map(|one| one.vector.iter()).zip(other).map(|(a, b)| a * b).sum::<f32>()
    };
    let scores = read.iter().map(|one| dot(&one.vector).clamp(0.0, 1.0)).collect();
    Ok(Scores { scores, model, method: Method::Cosine, calibrated: false })
}

/// The mean over the query's tokens of the best cosine with a token of the document (Khattab and Zaharia, SIGIR 2020),
/// brought to 0 to 1 by leaving out what is below 0. A text without tokens scores 0.
fn best_matches(query: &TokenVectors, document: &TokenVectors) -> f32 {
    if query.spans.is_empty() || document.spans.is_empty() {
        return 0.0;
    }
    let best = |token: usize| {
        let own = query.vector(token);
        let cosines = (0..document.spans.len())
            .map(|other| own.iter().zip(document.vector(other)).map(|(a, b)| a * b).sum::<f32>());
        cosines.fold(0.0_f32, f32::max)
    };
    let sum: f32 = (0..query.spans.len()).map(best).sum();
    (sum / query.spans.len() as f32).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(vectors: &[[f32; 2]]) -> TokenVectors {
        TokenVectors {
            spans: (0..vectors.len()).map(|at| at..at + 1).collect(),
            vectors: vectors.concat(),
            norms: vec![1.0; vectors.len()],
            dimension: 2,
        }
    }

    #[test]
    fn each_token_of_the_query_counts_its_best_match() {
        let query = tokens(&[[1.0, 0.0], [0.0, 1.0]]);
        assert_eq!(best_matches(&query, &tokens(&[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])), 1.0);
        assert_eq!(best_matches(&query, &tokens(&[[1.0, 0.0]])), 0.5);
        assert_eq!(best_matches(&query, &tokens(&[[-1.0, 0.0]])), 0.0);
        assert_eq!(best_matches(&query, &tokens(&[])), 0.0);
        assert_eq!(best_matches(&tokens(&[]), &query), 0.0);
    }
}
