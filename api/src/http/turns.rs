//! `/v1/conversations/{id}/messages` and `/approve`: ask in a conversation, and decide what its agent may do.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use wellspring_answer::{
    AgentRequest, Answer, AnswerEvent, AnswerRequest, Asker, ConversationStore, Exchange, KeptAnswer,
    KeptTurn, Verdict,
};
use wellspring_retrieve::Mode;

use super::answers::{Serving, serve};
use super::asker::allowed;
use super::caller::Identified;
use super::conversations::{place, recall};
use super::extract::{ProblemJson, ProblemPath};
use super::limits::InProgress;
use super::search::filter;
use super::{Shared, schema};
use crate::problem::{Code, Problem};

/// Earlier turns that a question is understood from.
const HISTORY: usize = 6;

/// A question in a conversation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "question": "And how much notice does it need?" }))]
pub(super) struct NewMessage {
    /// In plain words, at most 8192 bytes; understood from what was asked before.
    question: String,
    /// Whether the answer comes as server-sent events.
    #[serde(default)]
    stream: bool,
    /// Whether an agent looks for the answer: a chat model that searches several times and may call tools.
    #[serde(default)]
    agent: bool,
    /// Passages to answer from, 1-50; for an agent, of one search.
    #[schema(minimum = 1, maximum = 50)]
    k: Option<usize>,
    /// How passages are found.
    #[serde(default)]
    #[schema(value_type = schema::Mode, default = "hybrid")]
    mode: Mode,
    /// Only documents whose metadata passes.
    #[serde(default)]
    #[schema(value_type = Option<schema::FilterInput>)]
    filter: Option<Value>,
    /// A configured chat model, or `extractive` for quoted sentences; the operator's if absent.
    model: Option<String>,
}

/// A decision about a call that waits.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallDecision {
    /// The run.
    #[schema(value_type = String)]
    run: Uuid,
    /// The call, as the paused run names it.
    call: String,
    /// Whether it may be made.
    approve: bool,
    /// What the model is told with a rejection.
    reason: Option<String>,
    /// Whether what follows comes as server-sent events.
    #[serde(default)]
    stream: bool,
}

/// Ask in a conversation
///
/// The question is understood from the last six turns, by the chat model or by rules without one; `standalone` says how, where
/// that differs. The answer is that of `/v1/answers`, and is kept: as places in documents, not as text.
///
/// With `"agent": true` a chat model looks for the answer itself, within limits, and every step is in `steps`. It may have to
/// wait for a person: then the response is the paused run (or the stream ends with `paused`), and `/approve` goes on with it.
#[utoipa::path(
    post, path = "/v1/conversations/{conversation}/messages", operation_id = "addMessage", tag = "conversations", request_body = NewMessage,
    params(("conversation" = String, Path, description = "Its id", example = "019a0000-0000-7000-8000-000000000000")),
    responses(
        (status = 200, description = "The answer, or a refusal", content(
            (schema::Answer = "application/json"),
            (String = "text/event-stream", example = "event: token\ndata: {\"text\":\"Two weeks. [1]\"}\n\nevent: done\ndata: {…}\n\n"),
        )),
        (status = 202, description = "The agent waits for a person", body = schema::Paused),
        (status = 404, description = "No such conversation", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "An empty or too long question, a bad filter, an agent without a chat model", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "A limit of the conversation or of the agent", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Search or model can't serve now", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "It took too long", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn ask(
    State(server): State<Shared>,
    Identified(sender): Identified,
    in_progress: Option<Extension<InProgress>>,
    ProblemPath(id): ProblemPath<String>,
    ProblemJson(body): ProblemJson<NewMessage>,
) -> Result<Response, Problem> {
    let NewMessage { question, stream, agent, k, mode, filter: input, model } = body;
    let filter = filter(input)?;
    let (conversation, collection, asker) = place(&server, &sender, &id).await?;
    let turns = recall(&server, &asker, &collection, conversation.id, HISTORY).await?;
    let history = turns.into_iter().map(|(_, turn, answer)| Exchange {
        question: turn.standalone.unwrap_or(turn.question),
        answer: answer.answer,
    });
    let request = AnswerRequest {
        k,
        mode,
        filter,
        model,
        history: history.collect(),
        account: Some(sender.account()),
        ..AnswerRequest::new(question.clone())
    };
    let events = match agent {
        true => server.app.agent.stream(
            &collection,
            AgentRequest {
                request,
                allowed: allowed(&sender),
                asker: asker.clone(),
                conversation: Some(conversation.id),
                may_wait: true,
            },
        ),
        false if stream => server.app.answerer.stream(&collection, request),
        false => server.app.answerer.whole(&collection, request),
    };
    let events = keeping(&server, asker, conversation.id, question, events);
    serve(Serving { server, stream, place: in_progress, ticket: None }, events).await
}

/// Decide what an agent may do
///
/// The call of a tool that waits is made, or refused with the reason, and the run goes on: to its answer, or to the next call
/// that must wait. Of two decisions one counts; a run that nobody decides about expires.
#[utoipa::path(
    post, path = "/v1/conversations/{conversation}/approve", operation_id = "approveCall", tag = "conversations", request_body = CallDecision,
    params(("conversation" = String, Path, description = "Its id", example = "019a0000-0000-7000-8000-000000000000")),
    responses(
        (status = 200, description = "The answer, or a refusal", content(
            (schema::Answer = "application/json"),
            (String = "text/event-stream", example = "event: step\ndata: {…}\n\nevent: done\ndata: {…}\n\n"),
        )),
        (status = 202, description = "The agent waits for a person again", body = schema::Paused),
        (status = 404, description = "No such conversation or run, or it has expired", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was decided already, or waits for another call", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "An unknown member", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Search or model can't serve now", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn approve(
    State(server): State<Shared>,
    Identified(sender): Identified,
    in_progress: Option<Extension<InProgress>>,
    ProblemPath(id): ProblemPath<String>,
    ProblemJson(CallDecision { run, call, approve, reason, stream }): ProblemJson<CallDecision>,
) -> Result<Response, Problem> {
    let (conversation, collection, asker) = place(&server, &sender, &id).await?;
    let kept = server.app.store.runs.run(&crate::talk::owner(&asker), run).await?;
    if kept.conversation != Some(conversation.id) {
        return Err(Problem::new(Code::NotFound, format!("there is no run {run} in this conversation")));
    }
    let reason = reason.map(|reason| reason.chars().take(1_000).collect());
    let verdict = Verdict { call, approve, reason };
    let (question, events) =
        server.app.agent.resume(&collection, asker.clone(), allowed(&sender), run, verdict).await?;
    let events = keeping(&server, asker, conversation.id, question, events);
    serve(Serving { server, stream, place: in_progress, ticket: None }, events).await
}

/// The same events; an answer is kept before it is told of.
fn keeping(
    server: &Shared,
    asker: Asker,
    id: Uuid,
    question: String,
    events: BoxStream<'static, AnswerEvent>,
) -> BoxStream<'static, AnswerEvent> {
    let store = Arc::clone(&server.app.conversations);
    let keeper = Arc::new((store, asker, question));
    events
        .then(move |event| {
            let keeper = Arc::clone(&keeper);
            async move {
                let (store, asker, question) = keeper.as_ref();
                match event {
                    AnswerEvent::Done(answer) => match keep(store, asker, id, question, &answer).await {
                        Ok(()) => AnswerEvent::Done(answer),
                        Err(error) => AnswerEvent::Error(error),
                    },
                    AnswerEvent::Refused(answer) => match keep(store, asker, id, question, &answer).await {
                        Ok(()) => AnswerEvent::Refused(answer),
                        Err(error) => AnswerEvent::Error(error),
                    },
                    other => other,
                }
            }
        })
        .boxed()
}

async fn keep(
    store: &Arc<dyn ConversationStore>,
    asker: &Asker,
    id: Uuid,
    question: &str,
    answer: &Answer,
) -> wellspring_answer::Result<()> {
    let standalone = answer.details.standalone.clone();
    let turn = KeptTurn { question: question.to_owned(), standalone, answer: KeptAnswer::of(answer) };
    store.add(asker, id, turn).await.map(|_| ())
}

/// What a request that is not streamed is answered with.
pub(super) fn paused(paused: &wellspring_answer::Paused) -> Response {
    (axum::http::StatusCode::ACCEPTED, axum::Json(paused)).into_response()
}
