//! `/v1/answers`: a cited answer, whole or as a stream that says how it ended.

use axum::extract::State;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use wellspring_answer::{AnswerEvent, AnswerRequest};
use wellspring_retrieve::Mode;

use super::caller::Identified;
use super::collections::find;
use super::extract::ProblemJson;
use super::limits::InProgress;
use super::search::{default_collection, filter};
use super::{Shared, schema, sse};
use crate::problem::Problem;

/// A question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "collection": "default", "question": "How much notice does annual leave need?", "stream": false }))]
pub(super) struct Question {
    /// The collection.
    #[serde(default = "default_collection")]
    #[schema(default = "default")]
    collection: String,
    /// In plain words, at most 8192 bytes.
    question: String,
    /// Whether the answer comes as server-sent events.
    #[serde(default)]
    stream: bool,
    /// Passages to answer from, 1-50; the operator's number if absent.
    #[schema(minimum = 1, maximum = 50)]
    k: Option<usize>,
    /// How passages are found.
    #[serde(default)]
    #[schema(value_type = schema::Mode, default = "hybrid")]
    mode: Mode,
    /// Only documents whose metadata passes: the text form, or the JSON form of the same tree.
    #[serde(default)]
    #[schema(value_type = Option<schema::FilterInput>)]
    filter: Option<Value>,
    /// A configured chat model, or `extractive` for quoted sentences; the operator's if absent.
    model: Option<String>,
}

/// Answer a question
///
/// Every citation was checked: `quote` is byte for byte the stored text of the version from `start` to `end`. Where the
/// documents say too little the answer is a refusal (`abstained`) with the reason, which is no error.
///
/// With `"stream": true` the answer is server-sent events: `retrieval` first; then `token` (whole checked sentences),
/// `citation`, `warning` and `usage` as they come; and last exactly one of `done` (with the whole answer), `refused`
/// (the same, abstained) and `error` (with a problem). Closing the connection stops the generation.
#[utoipa::path(
    post, path = "/v1/answers", operation_id = "answer", tag = "answers", request_body = Question,
    responses(
        (status = 200, description = "The answer, or a refusal", content(
            (schema::Answer = "application/json"),
            (schema::ServerSentEvent = "text/event-stream", example = "event: retrieval\ndata: {\"passages\":[…],\"degraded\":[]}\n\n\
                event: token\ndata: {\"text\":\"Leave needs two weeks' notice. [1]\"}\n\n\
                event: citation\ndata: {\"n\":1,\"document_id\":\"handbook/leave.md\",…}\n\n\
                event: done\ndata: {\"answer\":\"Leave needs two weeks' notice. [1]\",…}\n\n"),
        )),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such collection or chat model", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The collection's vectors are of another embedder", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "An empty or too long question, `k` out of range, a bad filter, an unknown member",
            body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "A limit of `budget` leaves no room; `code` names it: `budget-tenant-money`, …",
            body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Search or model can't serve now", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "It took longer than the request timeout; a stream has none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn answer(
    State(server): State<Shared>,
    Identified(sender): Identified,
    place: Option<Extension<InProgress>>,
    ProblemJson(body): ProblemJson<Question>,
) -> Result<Response, Problem> {
    let Question { collection, question, stream, k, mode, filter: input, model } = body;
    let filter = filter(input)?;
    let scope = find(&server, sender.scope(), &collection).await?;
    let account = Some(sender.account());
    let request = AnswerRequest { k, mode, filter, model, account, ..AnswerRequest::new(question) };
    if !stream {
        let answer = server.app.answerer.answer(&scope, request).await.inspect_err(|_| ended("error"))?;
        ended(if answer.abstained { "refused" } else { "done" });
        return Ok(Json(answer).into_response());
    }
    let mut events = server.app.answerer.stream(&scope, request);
    // What is wrong with the request shows before anything is streamed, and is a problem with its own status.
    let first = match events.next().await {
        Some(AnswerEvent::Error(error)) => {
            ended("error");
            return Err(error.into());
        }
        first => first,
    };
    Ok(sse::respond(until_the_end(server, futures::stream::iter(first).chain(events).boxed(), place)))
}

/// The events up to and with the terminal one; a server that must close ends the stream itself.
fn until_the_end(
    server: Shared,
    events: BoxStream<'static, AnswerEvent>,
    place: Option<Extension<InProgress>>,
) -> impl futures::Stream<Item = Event> + Send + 'static {
    futures::stream::unfold(Some((server, events, place)), |state| async move {
        let (server, mut events, place) = state?;
        let event = tokio::select! {
            event = events.next() => event,
            () = server.closing.was_cut() => {
                ended("error");
                return Some((sse::closing(), None));
            }
        };
        match event {
            Some(AnswerEvent::Error(error)) => {
                ended("error");
                Some((sse::event("error", &Problem::from(error)), None))
            }
            Some(event) if event.is_terminal() => {
                ended(event.name());
                Some((sse::event(event.name(), &event.data()), None))
            }
            Some(event) => Some((sse::event(event.name(), &event.data()), Some((server, events, place)))),
            None => {
                tracing::error!("an answer's stream ended without a terminal event");
                ended("error");
                Some((sse::failed(), None))
            }
        }
    })
}

/// Counts an answer by how it ended.
pub(super) fn ended(outcome: &'static str) {
    metrics::counter!("wellspring_answers_total", "outcome" => outcome).increment(1);
}
