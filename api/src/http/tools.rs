//! `/v1/tools`: the registered tools, and calls of them by a person or a program.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use wellspring_answer::MAX_BATCH;

use super::Shared;
use super::asker::allowed;
use super::caller::Identified;
use super::extract::ProblemJson;
use super::schema::{ToolList, ToolOutcome, ToolOutcomes};
use crate::problem::{Code, Problem};

/// Calls of one batch that are made at a time.
const AT_A_TIME: usize = 4;

/// One call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "calculator", "arguments": { "expression": "12 * 49.90" } }))]
pub(super) struct ToolCall {
    /// The tool.
    name: String,
    /// Its arguments, checked against its schema before anything is called.
    #[serde(default = "no_arguments")]
    #[schema(value_type = Object)]
    arguments: Value,
}

fn no_arguments() -> Value {
    json!({})
}

/// Some calls.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolBatch {
    /// 1-16.
    #[schema(min_items = 1, max_items = 16)]
    calls: Vec<ToolCall>,
}

/// List tools
///
/// Those that this caller may use, with the JSON schemas of their arguments.
#[utoipa::path(
    get, path = "/v1/tools", operation_id = "listTools", tag = "tools",
    responses(
        (status = 200, description = "By name", body = ToolList),
        (status = 403, description = "Not allowed", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(server): State<Shared>, Identified(sender): Identified) -> Response {
    let toolbox = server.app.agent.toolbox();
    toolbox.refresh().await;
    let tools = toolbox.list(&allowed(&sender));
    Json(json!({ "tools": tools })).into_response()
}

/// Call a tool
///
/// Whoever calls it here decides about it: approval is for calls of models.
#[utoipa::path(
    post, path = "/v1/tools/execute", operation_id = "executeTool", tag = "tools", request_body = ToolCall,
    responses(
        (status = 200, description = "What it gave", body = ToolOutcome),
        (status = 404, description = "No such tool", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Arguments that do not fit, or that the tool refuses", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The tool can't be reached", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "The tool took too long", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn execute(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemJson(ToolCall { name, arguments }): ProblemJson<ToolCall>,
) -> Result<Response, Problem> {
    let toolbox = server.app.agent.toolbox();
    toolbox.refresh().await;
    let result = toolbox.call(&allowed(&sender), &name, arguments).await?;
    Ok(Json(json!({ "name": name, "result": result })).into_response())
}

/// Call several tools
///
/// Each stands alone: what fails carries a problem in place of a result. In the order of the calls.
#[utoipa::path(
    post, path = "/v1/tools/batch", operation_id = "executeTools", tag = "tools", request_body = ToolBatch,
    responses(
        (status = 200, description = "What each gave", body = ToolOutcomes),
        (status = 422, description = "No call, or more than 16", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn batch(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemJson(ToolBatch { calls }): ProblemJson<ToolBatch>,
) -> Result<Response, Problem> {
    if calls.is_empty() || calls.len() > MAX_BATCH {
        let message = format!("there are {} calls; a batch has 1 to {MAX_BATCH}", calls.len());
        return Err(Problem::new(Code::Invalid, message).at("calls"));
    }
    let allowed = &allowed(&sender);
    let toolbox = server.app.agent.toolbox();
    toolbox.refresh().await;
    let made = calls.into_iter().map(|ToolCall { name, arguments }| async move {
        match toolbox.call(allowed, &name, arguments).await {
            Ok(result) => json!({ "name": name, "result": result }),
            Err(error) => json!({ "name": name, "problem": Problem::from(error) }),
        }
    });
    let results: Vec<Value> = futures::stream::iter(made).buffered(AT_A_TIME).collect().await;
    Ok(Json(json!({ "results": results })).into_response())
}
