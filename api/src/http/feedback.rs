//! `/v1/collections/{collection}/feedback`: what people did with what they were shown, and judgements made of it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use wellspring_eval::dataset::qrels_text;
use wellspring_eval::feedback::{Event, Rule, judge};
use wellspring_retrieve::query::MAX_QUERY_BYTES;
use wellspring_store::feedback::{Feedback, NewFeedback};
use wellspring_store::{CollectionScope, DocumentId, ErrorKind};

use super::Shared;
use super::caller::Caller;
use super::collections::find;
use super::extract::{ProblemJson, ProblemPath, ProblemQuery};
use crate::problem::{Code, Problem};

/// Most results that one event may name.
const MOST_SHOWN: usize = 1_000;
/// Bytes of one event as it is kept.
const MOST_BYTES: usize = 256 << 10;
/// Events read from the catalog at a time.
const PAGE: u32 = 1_000;

/// What people say about results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FeedbackConfig {
    /// The newest events kept of each collection, at least 1.
    pub(crate) most_per_collection: u32,
}

impl Default for FeedbackConfig {
    fn default() -> Self {
        Self { most_per_collection: 100_000 }
    }
}

/// What was asked, what was shown, and what the person did with it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "query": "hotel costs", "shown": ["travel.md", "leave.md"], "clicked": ["travel.md"], "up": ["travel.md"], "session": "a1",
}))]
pub(super) struct Said {
    /// Tells repeats apart: the same id is kept once. 1-255 visible ASCII characters; made if absent.
    #[serde(skip_serializing)]
    id: Option<String>,
    /// At most 8192 bytes.
    query: String,
    /// 1 to 1000 results, best first: document ids, or `{"document", "chunk"}` where passages were shown.
    shown: Vec<Shown>,
    /// Ids of documents or chunks that were opened.
    #[serde(default)]
    clicked: Vec<String>,
    /// Ids that got a thumb up.
    #[serde(default)]
    up: Vec<String>,
    /// Ids that got a thumb down.
    #[serde(default)]
    down: Vec<String>,
    /// Tells people or visits apart; opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// RFC 3339; now if absent.
    #[schema(format = DateTime)]
    time: Option<String>,
}

/// Something that was shown.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Shown {
    Document(String),
    Chunk(ShownChunk),
}

/// A passage that was shown.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShownChunk {
    document: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chunk: Option<String>,
}

/// What was kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Kept {
    id: String,
    /// False where the id was there already: nothing was changed.
    new: bool,
}

/// Say what people did with results
///
/// Thumbs and clicks; `eval judgements` makes a test set of them. Only ids and the question are kept.
#[utoipa::path(
    post, path = "/v1/collections/{collection}/feedback", operation_id = "addFeedback", tag = "feedback",
    params(("collection" = String, Path, description = "The collection's name", example = "default")),
    request_body = Said,
    responses(
        (status = 201, description = "Kept", body = Kept),
        (status = 200, description = "It was there already", body = Kept),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such collection", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Nothing was shown, something is named that was not shown, or a bad id",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn say(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(name): ProblemPath<String>,
    ProblemJson(mut said): ProblemJson<Said>,
) -> Result<Response, Problem> {
    let scope = find(&server, &scope, &name).await?;
    let id = said.id.take().unwrap_or_else(|| Uuid::now_v7().to_string());
    said.time.get_or_insert_with(|| jiff::Timestamp::now().to_string());
    let event = checked(&said)?;
    let most = server.app.config.feedback.most_per_collection;
    let feedback = NewFeedback { id: id.clone(), event };
    let new = server.app.store.catalog.record_feedback(&scope, feedback, most).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Kept { id, new })).into_response())
}

/// The event as it is kept, which is what `eval` reads.
fn checked(said: &Said) -> Result<Value, Problem> {
    let wrong = |path: &str, detail: String| Err(Problem::new(Code::Invalid, detail).at(path));
    if said.query.len() > MAX_QUERY_BYTES {
        return wrong(
            "query",
            format!("`query` has {} bytes, the limit is {MAX_QUERY_BYTES}", said.query.len()),
        );
    }
    if said.shown.len() > MOST_SHOWN {
        return wrong(
            "shown",
            format!("`shown` has {} results, the limit is {MOST_SHOWN}", said.shown.len()),
        );
    }
    // An id that is named again says nothing more, and each is compared with all that were shown.
    for (name, ids) in [("clicked", said.clicked.len()), ("up", said.up.len()), ("down", said.down.len())] {
        if ids > MOST_SHOWN {
            return wrong(name, format!("`{name}` has {ids} ids, the limit is {MOST_SHOWN}"));
        }
    }
    let event = json!(said);
    let bytes = event.to_string().len();
    if bytes > MOST_BYTES {
        return wrong(".", format!("the feedback has {bytes} bytes, the limit is {MOST_BYTES}"));
    }
    match Event::deserialize(&event) {
        Err(error) => wrong(".", error.to_string()),
        Ok(read) => match read.fault() {
            Some(fault) => wrong(".", fault),
            None => Ok(event),
        },
    }
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The `next` of the page before.
    cursor: Option<String>,
    /// At most this many, 1-1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A page of feedback.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FeedbackList {
    /// Oldest first.
    feedback: Vec<KeptFeedback>,
    /// Give it back as `cursor` for the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
}

/// One event.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeptFeedback {
    id: String,
    /// RFC 3339: when it was received.
    #[schema(format = DateTime)]
    at: String,
    /// What was said, ids of documents that are gone left out.
    #[schema(value_type = Object)]
    event: Value,
}

/// List feedback
///
/// Oldest first, a page at a time. Documents that were deleted meanwhile are left out of it.
#[utoipa::path(
    get, path = "/v1/collections/{collection}/feedback", operation_id = "listFeedback", tag = "feedback",
    params(("collection" = String, Path, description = "The collection's name", example = "default"), ListQuery),
    responses(
        (status = 200, description = "A page of it", body = FeedbackList),
        (status = 403, description = "For administrators only", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such collection", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A bad cursor or limit", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(name): ProblemPath<String>,
    ProblemQuery(query): ProblemQuery<ListQuery>,
) -> Result<Json<FeedbackList>, Problem> {
    let scope = find(&server, &scope, &name).await?;
    let limit = super::page_size(query.limit)?;
    let page = server.app.store.catalog.feedback(&scope, query.cursor.as_deref(), limit).await?;
    let mut seen = Seen::default();
    let mut feedback = Vec::with_capacity(page.items.len());
    for Feedback { id, event, at } in page.items {
        if let Some(event) = seen.without_deleted(&server, &scope, event).await? {
            feedback.push(KeptFeedback { id, at, event });
        }
    }
    Ok(Json(FeedbackList { feedback, next: page.next }))
}

/// In which form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// `jsonl`: the log that `eval judgements --feedback` reads. `qrels`: judgements in BEIR's columns. `judgements`: the
    /// same as JSON, with the queries' texts and what people disagree about.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// What clicks of different sessions must weigh together before they make a document relevant; 3 if absent.
    #[param(minimum = 1, maximum = 1000)]
    clicks: Option<u32>,
}

/// A form of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Jsonl,
    Qrels,
    Judgements,
}

/// Export feedback
///
/// All of it, documents that were deleted meanwhile left out.
#[utoipa::path(
    get, path = "/v1/collections/{collection}/feedback/export", operation_id = "exportFeedback", tag = "feedback",
    params(("collection" = String, Path, description = "The collection's name", example = "default"), ExportQuery),
    responses(
        (status = 200, description = "The export", content(
            (Object = "application/json"), (String = "application/x-ndjson"), (String = "text/tab-separated-values"))),
        (status = 403, description = "For administrators only", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such collection", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A bad format", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn export(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(name): ProblemPath<String>,
    ProblemQuery(query): ProblemQuery<ExportQuery>,
) -> Result<Response, Problem> {
    let clicks = query.clicks.unwrap_or(Rule::default().clicks);
    if !(1..=1_000).contains(&clicks) {
        return Err(
            Problem::new(Code::Invalid, format!("`clicks` is {clicks}; it must be 1 to 1000")).at("clicks")
        );
    }
    let scope = find(&server, &scope, &name).await?;
    let events = all(&server, &scope).await?;
    let body = |kind: &'static str, text: String| {
        ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
    };
    if query.format == Format::Jsonl {
        let lines: Vec<String> = events.iter().map(|event| format!("{event}\n")).collect();
        return Ok(body("application/x-ndjson", lines.concat()));
    }
    // Judging a hundred thousand events takes longer than an asynchronous thread may be held.
    let judged = tokio::task::spawn_blocking(move || {
        let events: Vec<Event> = events.iter().filter_map(|event| Event::deserialize(event).ok()).collect();
        let judgements = judge(&events, Rule { clicks });
        let text = qrels_text(&judgements.qrels);
        (judgements, text)
    });
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "feedback can't be judged");
        Problem::new(Code::Internal, "the feedback can't be judged; the log says why")
    };
    let (judgements, text) = judged.await.map_err(|panic| failed(&panic))?;
    Ok(match query.format {
        Format::Qrels => body("text/tab-separated-values", text.map_err(|error| failed(&error))?),
        _ => Json(judgements).into_response(),
    })
}

async fn all(server: &Shared, scope: &CollectionScope) -> Result<Vec<Value>, Problem> {
    let (mut events, mut seen, mut cursor) = (Vec::new(), Seen::default(), None::<String>);
    loop {
        let page = server.app.store.catalog.feedback(scope, cursor.as_deref(), PAGE).await?;
        for one in page.items {
            events.extend(seen.without_deleted(server, scope, one.event).await?);
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(events),
        }
    }
}

/// Which documents are visible, each looked up once.
#[derive(Default)]
struct Seen(BTreeMap<String, bool>);

impl Seen {
    /// The event without what is no longer visible; `None` where nothing is left that was shown.
    async fn without_deleted(
        &mut self,
        server: &Shared,
        scope: &CollectionScope,
        mut event: Value,
    ) -> Result<Option<Value>, Problem> {
        let shown = event["shown"].as_array().cloned().unwrap_or_default();
        let (mut kept, mut known) = (Vec::new(), Vec::new());
        for one in shown {
            let document = one.as_str().or(one["document"].as_str()).unwrap_or_default().to_owned();
            if !self.is_visible(server, scope, &document).await? {
                continue;
            }
            known.extend(one["chunk"].as_str().map(str::to_owned));
            known.push(document);
            kept.push(one);
        }
        if kept.is_empty() {
            return Ok(None);
        }
        event["shown"] = json!(kept);
        for list in ["clicked", "up", "down"] {
            if let Some(ids) = event[list].as_array_mut() {
                ids.retain(|id| id.as_str().is_some_and(|id| known.iter().any(|known| known == id)));
            }
        }
        Ok(Some(event))
    }

    async fn is_visible(
        &mut self,
        server: &Shared,
        scope: &CollectionScope,
        id: &str,
    ) -> Result<bool, Problem> {
        if let Some(visible) = self.0.get(id) {
            return Ok(*visible);
        }
        let visible = match DocumentId::new(id) {
            Err(_) => false,
            Ok(document) => match server.app.store.catalog.document(scope, &document).await {
                Ok(_) => true,
                Err(error) if error.kind() == ErrorKind::NotFound => false,
                Err(error) => return Err(error.into()),
            },
        };
        self.0.insert(id.to_owned(), visible);
        Ok(visible)
    }
}
