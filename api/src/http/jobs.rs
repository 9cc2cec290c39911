//! `/v1/jobs`: what became of an accepted document, as a document or as a stream of events.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use uuid::Uuid;
use wellspring_store::jobs::{JobId, JobState};

use super::Shared;
use super::caller::Caller;
use super::collections::find;
use super::extract::{ProblemPath, ProblemQuery};
use super::limits::InProgress;
use super::{schema, sse};
use crate::problem::{Code, Problem};

/// Which jobs to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only jobs in this state.
    #[param(value_type = Option<schema::JobState>)]
    state: Option<JobState>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// At most this many, 1-1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

fn parse(id: &str) -> Result<JobId, Problem> {
    id.parse::<Uuid>().map(JobId).map_err(|_| Problem::new(Code::Invalid, "a job id is a UUID").at("id"))
}

/// List jobs
///
/// Of a collection, newest first, a page at a time.
#[utoipa::path(
    get, path = "/v1/collections/{collection}/jobs", operation_id = "listJobs", tag = "jobs",
    params(("collection" = String, Path, description = "The collection's name", example = "default"), ListQuery),
    responses(
        (status = 200, description = "A page of them", body = schema::JobList),
        (status = 404, description = "No such collection", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A bad state, cursor or limit", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(name): ProblemPath<String>,
    ProblemQuery(query): ProblemQuery<ListQuery>,
) -> Result<Response, Problem> {
    let scope = find(&server, &scope, &name).await?;
    let limit = super::page_size(query.limit)?;
    let page = server.app.store.catalog.jobs(&scope, query.state, query.cursor.as_deref(), limit).await?;
    Ok(Json(json!({ "jobs": page.items, "next": page.next })).into_response())
}

/// Show a job
///
/// Its state, what it is doing, and how it ended and why.
#[utoipa::path(
    get, path = "/v1/jobs/{id}", operation_id = "getJob", tag = "jobs",
    params(("id" = Uuid, Path, description = "The job's id", example = "0190a6e1-7c4d-7c3b-9d5a-3f1f6c1b2a3d")),
    responses(
        (status = 200, description = "The job", body = schema::Job),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(id): ProblemPath<String>,
) -> Result<Response, Problem> {
    Ok(Json(server.app.store.catalog.job(&scope, parse(&id)?).await?).into_response())
}

/// Cancel a job
///
/// A queued or dead job is cancelled at once, a running one soon; a finished one is left as it is.
#[utoipa::path(
    delete, path = "/v1/jobs/{id}", operation_id = "cancelJob", tag = "jobs",
    params(("id" = Uuid, Path, description = "The job's id", example = "0190a6e1-7c4d-7c3b-9d5a-3f1f6c1b2a3d")),
    responses(
        (status = 200, description = "Cancelled, or about to be (`cancel_requested`)", body = schema::Job),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has ended already", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn cancel(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(id): ProblemPath<String>,
) -> Result<Response, Problem> {
    Ok(Json(server.app.ingestor.cancel(&scope, parse(&id)?).await?).into_response())
}

/// Queue a dead job again
///
/// A job whose every attempt failed is `dead`, and its document is kept: this tries again, with all attempts before it.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/requeue", operation_id = "requeueJob", tag = "jobs",
    params(("id" = Uuid, Path, description = "The job's id", example = "0190a6e1-7c4d-7c3b-9d5a-3f1f6c1b2a3d")),
    responses(
        (status = 200, description = "Queued", body = schema::Job),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not dead", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn requeue(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(id): ProblemPath<String>,
) -> Result<Response, Problem> {
    Ok(Json(server.app.ingestor.requeue(&scope, parse(&id)?).await?).into_response())
}

/// Follow a job
///
/// Server-sent events: `job` with the job now and at every change, then `done` with the finished job, after which the
/// stream ends. `error` with a problem ends it instead when the job can't be read any more or the server closes.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/events", operation_id = "followJob", tag = "jobs",
    params(("id" = Uuid, Path, description = "The job's id", example = "0190a6e1-7c4d-7c3b-9d5a-3f1f6c1b2a3d")),
    responses(
        (status = 200, description = "The events", content_type = "text/event-stream", body = String,
            example = "event: job\ndata: {\"id\":\"0190a6e1-…\",\"state\":\"running\",\"stage\":\"embed\",…}\n\n\
                       event: done\ndata: {\"id\":\"0190a6e1-…\",\"state\":\"indexed\",\"stage\":\"done\",…}\n\n"),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn events(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(id): ProblemPath<String>,
    place: Option<Extension<InProgress>>,
) -> Result<Response, Problem> {
    let id = parse(&id)?;
    // An unknown job is a 404, not a stream with an error in it.
    server.app.store.catalog.job(&scope, id).await?;
    let changes = server.app.ingestor.events(&scope, id).boxed();
    let events = futures::stream::unfold(Some((server, changes, place)), |state| async move {
        let (server, mut changes, place) = state?;
        let change = tokio::select! {
            change = changes.next() => change,
            () = server.closing.asked() => return Some((sse::closing(), None)),
        };
        match change {
            Some(Ok(job)) if job.state.is_final() => Some((sse::event("done", &job), None)),
            Some(Ok(job)) => Some((sse::event("job", &job), Some((server, changes, place)))),
            Some(Err(error)) => Some((sse::event("error", &Problem::from(error)), None)),
            None => Some((sse::failed(), None)),
        }
    });
    Ok(sse::respond(events))
}
