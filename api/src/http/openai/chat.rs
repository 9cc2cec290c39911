//! `/v1/chat/completions`: a collection as a chat model, its answers cited and checked like all others.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::StreamExt;
use uuid::Uuid;
use wellspring_answer::{Answer, AnswerEvent, AnswerRequest};
use wellspring_store::{CollectionName, CollectionScope, Scope};

use super::super::answers::ended;
use super::super::caller::Identified;
use super::super::extract::ProblemJson;
use super::super::limits::InProgress;
use super::super::search::filter;
use super::super::{Shared, schema, sse};
use super::chunks::{Chunks, until_the_end};
use super::wire::{ChatBody, Choice, Completion, Reply, TokenUsage, extra, finish_reason};
use super::{ErrorBody, Failure};
use crate::footnotes::footnotes;
use crate::problem::Problem;

/// Answer as a chat model
///
/// OpenAI's shape: `model` names a collection, the last message is the question. The answer is that of `/v1/answers`,
/// checks included; its citations stand as footnotes in the text and as data in `wellspring`. A question that the
/// documents do not answer gets a text that says so, with the reason in `refusal`.
///
/// With `"stream": true` events carry whole checked sentences; the last one has a `finish_reason` and `wellspring`, and
/// `[DONE]` follows. A stream that fails ends with an `error` event instead: neither `finish_reason` nor `[DONE]` comes.
#[utoipa::path(
    post, path = "/v1/chat/completions", operation_id = "createChatCompletion", tag = "openai", request_body = ChatBody,
    responses(
        (status = 200, description = "The answer, or a refusal", content(
            (Completion = "application/json"),
            (schema::ServerSentEvent = "text/event-stream", example = "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\
                \"delta\":{\"content\":\"Leave needs two weeks' notice. [1]\"},\"finish_reason\":null}],…}\n\ndata: [DONE]\n\n"),
        )),
        (status = 400, description = "Not JSON, no question, or something that is not offered", body = ErrorBody),
        (status = 404, description = "No such collection", body = ErrorBody),
        (status = 409, description = "The collection's vectors are of another embedder", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "Not JSON", body = ErrorBody),
        (status = 429, description = "A limit was reached", body = ErrorBody),
        (status = 500, description = "A fault of the server, or what the model wrote was no reply", body = ErrorBody),
        (status = 503, description = "Search or model can't serve now", body = ErrorBody),
        (status = 504, description = "It took too long", body = ErrorBody),
    )
)]
pub(super) async fn complete(
    State(server): State<Shared>,
    sender: Result<Identified, Problem>,
    place: Option<Extension<InProgress>>,
    body: Result<ProblemJson<ChatBody>, Problem>,
) -> Result<Response, Failure> {
    let (Identified(sender), ProblemJson(mut body)) = (sender?, body?);
    let question = body.question()?;
    let history = body.history()?;
    let ignored = body.ignored()?;
    let extras = body.wellspring.take().unwrap_or_default();
    let filter = filter(extras.filter)?;
    let scope = collection(&server, sender.scope(), &body.model).await?;
    let request = AnswerRequest {
        k: extras.k,
        mode: extras.mode,
        filter,
        model: extras.model,
        history,
        account: Some(sender.account()),
        ..AnswerRequest::new(question)
    };
    if !body.stream.unwrap_or(false) {
        let answer = server.app.answerer.answer(&scope, request).await.inspect_err(|_| ended("error"))?;
        ended(if answer.abstained { "refused" } else { "done" });
        return Ok(Json(whole(answer, body.model, &ignored)).into_response());
    }
    let mut events = server.app.answerer.stream(&scope, request);
    // What is wrong with the request shows before anything is streamed, and has a status of its own.
    let first = match events.next().await {
        Some(AnswerEvent::Error(error)) => {
            ended("error");
            return Err(error.into());
        }
        first => first,
    };
    let chunks =
        Chunks::new(id(), body.model, body.stream_options.unwrap_or_default().include_usage, ignored);
    let events = futures::stream::iter(first).chain(events).boxed();
    Ok(sse::respond(until_the_end(server, events, chunks, place)))
}

/// The collection that a model's name stands for.
async fn collection(server: &Shared, scope: &Scope, model: &str) -> Result<CollectionScope, Failure> {
    let missing = || Failure::no_model(model, "a collection");
    let name = CollectionName::new(model).map_err(|_| missing())?;
    match server.app.store.catalog.collection(scope, &name).await {
        Ok((scope, _)) => Ok(scope),
        Err(error) if error.kind() == wellspring_store::ErrorKind::NotFound => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

fn id() -> String {
    format!("chatcmpl-{}", Uuid::now_v7().simple())
}

fn whole(answer: Answer, model: String, ignored: &[String]) -> Completion {
    let notes = footnotes(&answer.citations);
    let content =
        if notes.is_empty() { answer.answer.clone() } else { format!("{}\n\n{notes}", answer.answer) };
    let message =
        Reply { role: "assistant", content, refusal: answer.reason.clone().filter(|_| answer.abstained) };
    Completion {
        id: id(),
        object: "chat.completion",
        created: jiff::Timestamp::now().as_second(),
        model,
        choices: vec![Choice { index: 0, message, logprobs: None, finish_reason: finish_reason(&answer) }],
        usage: TokenUsage::of(&answer),
        wellspring: extra(&answer, ignored),
    }
}
