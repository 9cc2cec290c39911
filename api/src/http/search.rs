//! `/v1/search`: passages for a query.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use wellspring_retrieve::{Mode, NeighbourConfig, SearchRequest, SearchResponse};
use wellspring_store::Filter;

use super::Shared;
use super::caller::Identified;
use super::collections::find;
use super::extract::ProblemJson;
use super::schema;
use crate::auth::Sender;
use crate::problem::{Code, Problem};

/// A search.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "collection": "default", "query": "how much notice does annual leave need", "k": 5,
    "filter": "lang = \"en\" and year >= 2024", "explain": true,
}))]
pub(super) struct SearchBody {
    /// The collection.
    #[serde(default = "default_collection")]
    #[schema(default = "default")]
    collection: String,
    /// What is looked for, in plain words, at most 8192 bytes; never parsed as a query language.
    query: String,
    /// Most hits, 1-1000.
    #[serde(default = "default_k")]
    #[schema(default = 10, minimum = 1, maximum = 1000)]
    k: usize,
    /// By words, by meaning, or both.
    #[serde(default)]
    #[schema(value_type = schema::Mode, default = "hybrid")]
    mode: Mode,
    /// Only documents whose metadata passes: the text form, or the JSON form of the same tree.
    #[serde(default)]
    #[schema(value_type = Option<schema::FilterInput>)]
    filter: Option<Value>,
    /// Whether the response says how each hit came about.
    #[serde(default)]
    explain: bool,
    /// Widens each hit by this many chunks before and after it, or to its section.
    #[serde(default)]
    #[schema(value_type = Option<schema::Neighbours>)]
    neighbours: Option<NeighbourConfig>,
}

/// The collection of a request that names none.
pub(super) fn default_collection() -> String {
    "default".to_owned()
}

fn default_k() -> usize {
    wellspring_retrieve::query::DEFAULT_K
}

/// Reads a filter in either of its forms.
pub(super) fn filter(input: Option<Value>) -> Result<Option<Filter>, Problem> {
    match input {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            Filter::parse(&text).map(Some).map_err(|error| Problem::from(error).at("filter"))
        }
        Some(tree) => serde_path_to_error::deserialize(tree).map(Some).map_err(|error| {
            let path = match error.path().to_string().as_str() {
                "." => "filter".to_owned(),
                inner => format!("filter.{inner}"),
            };
            Problem::new(Code::Invalid, format!("`{path}`: {}", error.inner())).at(path)
        }),
    }
}

/// Search
///
/// Passages, best first. A part of the search that failed is named in `degraded`; the rest is given all the same.
#[utoipa::path(
    post, path = "/v1/search", operation_id = "search", tag = "search", request_body = SearchBody,
    responses(
        (status = 200, description = "At most `k` passages", body = schema::SearchResponse),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such collection", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The collection's vectors are of another embedder", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "An empty or too long query, `k` out of range, a bad filter, an unknown member",
            body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "A limit of `budget` leaves no room; `code` names it: `budget-tenant-money`, …",
            body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Nothing could answer, or too many requests are in progress", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn search(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemJson(body): ProblemJson<SearchBody>,
) -> Result<Response, Problem> {
    let SearchBody { collection, query, k, mode, filter: input, explain, neighbours } = body;
    let filter = filter(input)?;
    let request = SearchRequest { k, mode, filter, explain, neighbours, ..SearchRequest::new(query) };
    let response = run(&server, &sender, &collection, request).await?;
    Ok(Json(response).into_response())
}

/// Searches under the sender's scope and at the sender's cost, and counts it; whatever door asks.
pub(super) async fn run(
    server: &Shared,
    sender: &Sender,
    collection: &str,
    request: SearchRequest,
) -> Result<SearchResponse, Problem> {
    let turn = server.pace.turn(sender.scope().tenant()).await?;
    let scope = find(server, sender.scope(), collection).await?;
    let mode = request.mode;
    let request = SearchRequest { account: Some(sender.account()), ..request };
    let response = server.app.retriever.search(&scope, request).await?;
    turn.done();
    super::metrics::searched(mode, &response);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tree_that_is_no_filter_names_its_place() {
        let problem = filter(Some(json!({ "and": [{ "exists": "a" }, { "eqq": ["a", 1] }] }))).unwrap_err();
        let problem = serde_json::to_value(problem).unwrap();
        assert!(problem["path"].as_str().unwrap().starts_with("filter.and[1]"), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("unknown variant `eqq`"), "{problem}");
        assert!(filter(Some(json!({ "exists": "a" }))).unwrap().is_some());
        assert!(filter(Some(Value::Null)).unwrap().is_none());
    }
}
