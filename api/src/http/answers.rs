//! `/v1/answers`: a cited answer, whole or as a stream that says how it ended.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use wellspring_answer::{AgentRequest, AnswerEvent, AnswerRequest, Exchange};
use wellspring_retrieve::Mode;

use super::asker::{allowed, asker};
use super::caller::Identified;
use super::collections::find;
use super::extract::ProblemJson;
use super::limits::InProgress;
use super::resume::{self, Ticket};
use super::search::{default_collection, filter};
use super::{Shared, schema, sse};
use crate::problem::{Code, Problem};

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
    /// What was asked and answered before, oldest first; the question is understood from the last six.
    #[serde(default)]
    #[schema(value_type = Vec<schema::Exchange>)]
    history: Vec<Exchange>,
    /// A JSON schema, of an object: the answer is given in it, field by field, as `structured`. Needs a chat model.
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
    /// Whether an agent looks for the answer: a chat model that searches several times and may call tools that need no
    /// person's approval.
    #[serde(default)]
    agent: bool,
    /// Whether a stream can be gone on with after a cut: it then has event ids and goes on for a while without a reader.
    #[serde(default)]
    resumable: bool,
}

/// Answer a question
///
/// Every citation was checked: `quote` is byte for byte the stored text of the version from `start` to `end`. Where the
/// documents say too little the answer is a refusal (`abstained`) with the reason, which is no error.
///
/// With `"stream": true` the answer is server-sent events: `retrieval` first; then `token` (whole checked sentences),
/// `citation`, `warning` and `usage` as they come; and last exactly one of `done` (with the whole answer), `refused`
/// (the same, abstained) and `error` (with a problem). Closing the connection stops the generation.
///
/// With `"resumable": true` a reader that was cut off sends the same request again with the header `Last-Event-ID` within
/// `streams.resume_seconds`, and gets the events after that one; passages and citations are looked up again before. With a
/// `schema`, `partial` events hold the object as far as it was written and checked. With `"agent": true`, `step` events come
/// before `retrieval`.
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
        (status = 409, description = "The collection's vectors are of another embedder, or a stream cites what is gone", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "An empty or too long question, `k` out of range, a bad filter, an unknown member",
            body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "A limit of the agent, or a limit of `budget` leaves no room; `code` names it: \
            `budget-tenant-money`, …", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Search or model can't serve now", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "It took longer than the request timeout; a stream has none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn answer(
    State(server): State<Shared>,
    Identified(sender): Identified,
    place: Option<Extension<InProgress>>,
    headers: HeaderMap,
    ProblemJson(value): ProblemJson<Value>,
) -> Result<Response, Problem> {
    let request = blake3::hash(value.to_string().as_bytes());
    let body: Question = super::extract::read(value)?;
    let Question {
        collection,
        question,
        stream,
        k,
        mode,
        filter: input,
        model,
        history,
        schema,
        agent,
        resumable,
    } = body;
    let filter = filter(input)?;
    let collection = find(&server, sender.scope(), &collection).await?;
    let asker = asker(&sender);
    let ticket = Ticket { asker: asker.clone(), scope: collection.clone(), request };
    if stream && resumable {
        let last_id = headers.get("last-event-id").and_then(|value| value.to_str().ok());
        if let Some(events) = resume::go_on(&server, last_id, &ticket).await {
            let events = events?.inspect(move |_| {
                // Whoever reads has a place, whether the answer is made or only told again.
                let _ = &place;
            });
            return Ok(sse::respond(events));
        }
    }
    let account = Some(sender.account());
    let request =
        AnswerRequest { k, mode, filter, model, history, schema, account, ..AnswerRequest::new(question) };
    let events = match agent {
        // Nobody could be found again to decide: what needs a person is not offered.
        true => {
            let allowed = allowed(&sender);
            let request = AgentRequest { request, allowed, asker, conversation: None, may_wait: false };
            server.app.agent.stream(&collection, request)
        }
        false if stream => server.app.answerer.stream(&collection, request),
        false => server.app.answerer.whole(&collection, request),
    };
    serve(Serving { server, stream, place, ticket: resumable.then_some(ticket) }, events).await
}

/// How events are served.
pub(super) struct Serving {
    pub(super) server: Shared,
    /// As they come, or only the last.
    pub(super) stream: bool,
    pub(super) place: Option<Extension<InProgress>>,
    /// For a stream that can be gone on with.
    pub(super) ticket: Option<Ticket>,
}

/// The response made of an answer's events.
pub(super) async fn serve(
    serving: Serving,
    mut events: BoxStream<'static, AnswerEvent>,
) -> Result<Response, Problem> {
    let Serving { server, stream, place, ticket } = serving;
    if !stream {
        while let Some(event) = events.next().await {
            let name = event.name();
            match event {
                AnswerEvent::Done(answer) | AnswerEvent::Refused(answer) => {
                    ended(name);
                    return Ok(Json(answer).into_response());
                }
                AnswerEvent::Paused(paused) => {
                    ended(name);
                    return Ok(super::turns::paused(&paused));
                }
                AnswerEvent::Error(error) => {
                    ended(name);
                    return Err(error.into());
                }
                _ => {}
            }
        }
        tracing::error!("an answer's stream ended without a terminal event");
        return Err(Problem::new(Code::Internal, "the server failed before the end; its log says why"));
    }
    // What is wrong with the request shows before anything is streamed, and is a problem with its own status.
    let first = match events.next().await {
        Some(AnswerEvent::Error(error)) => {
            ended("error");
            return Err(error.into());
        }
        first => first,
    };
    let events = futures::stream::iter(first).chain(events).boxed();
    Ok(match ticket {
        Some(ticket) => {
            sse::respond(resume::begin(server, ticket, events, place.map(|Extension(place)| place)))
        }
        None => sse::respond(until_the_end(server, events, place)),
    })
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
