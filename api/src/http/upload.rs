//! `POST /v1/collections/{collection}/documents`: takes a document in as a form or as JSON, and answers with its job.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use wellspring_ingest::{Content, IngestError, Submission};
use wellspring_store::catalog::IdempotencyKey;
use wellspring_store::{CollectionName, ContentHash, DocumentId, Metadata, Scope};

use super::authorise::About;
use super::caller::Caller;
use super::collections::find;
use super::extract::{ProblemPath, essence, is_json, parse, whole};
use super::form::{self, Form};
use super::{Shared, search};
use crate::problem::{Code, Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A document as JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "notes/otter.md", "text": "# Otter\n\nThe sensor is calibrated every spring.", "media_type": "text/markdown",
    "metadata": { "year": 2026, "lang": "en" },
}))]
pub(super) struct TextDocument {
    /// The text.
    text: Option<String>,
    /// In place of the text: an `https` address to fetch it from, where `fetch.enabled` and `fetch.hosts` allow it.
    #[schema(example = json!(null))]
    url: Option<String>,
    /// 1-512 bytes without control characters; a document of the same id is replaced. Made from the text if absent.
    id: Option<String>,
    /// The title; an extracted one is used if absent.
    title: Option<String>,
    /// What filters can ask for.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    metadata: Metadata,
    /// Principals that may see it; everybody if absent.
    acl: Option<Vec<String>>,
    /// What the text is, such as `text/markdown`; detected if absent.
    media_type: Option<String>,
}

/// A document as a form; the fields come in any order.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for openapi.json: described, never built")]
pub(super) struct FileForm {
    /// The bytes, with their file name.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: String,
    /// See `TextDocument`; the file name if absent.
    id: Option<String>,
    title: Option<String>,
    /// A JSON object.
    metadata: Option<String>,
    /// A JSON array of strings.
    acl: Option<String>,
}

/// What was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// The job that makes it searchable; see `/v1/jobs/{id}`.
    job: Uuid,
    #[schema(example = "notes/otter.md")]
    document_id: String,
    /// The version to come.
    #[schema(example = 1)]
    version: i64,
}

/// A document read from either kind of request.
pub(super) struct Incoming {
    pub(super) submission: Submission,
    /// Over everything that makes the request what it is.
    pub(super) request: ContentHash,
}

/// Add a document
///
/// Accepted means durable: when this returns 202 the bytes and the job are on disk. The document is searchable, whole,
/// once the job says `indexed`; until then an older version of it stays visible. The collection `default` is made with
/// its first document, any other must exist. The same `Idempotency-Key` with the same request gets the first answer
/// again. A `url` is fetched where `fetch.enabled` and `fetch.hosts` allow it.
#[utoipa::path(
    post, path = "/v1/collections/{collection}/documents", operation_id = "addDocument", tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", example = "default"),
        ("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters"),
    ),
    request_body(content((FileForm = "multipart/form-data"), (TextDocument = "application/json"))),
    responses(
        (status = 202, description = "Accepted; `Location` names the job", body = Accepted),
        (status = 400, description = "Malformed form or JSON, or it broke off", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The tenant holds as much as it may (`quota-exceeded`), or the access list would hide the \
            document from its sender", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such collection", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Larger than `ingest.max_upload_bytes`; nothing is kept of it", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Neither a form nor JSON", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No or several `file`s, a bad id or metadata, an unknown member, a `url` that is not fetched here, or an \
            idempotency key that was used for another request", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The queue is full; `Retry-After` says when to come back", body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(name): ProblemPath<String>,
    request: Request,
) -> Result<Response, Problem> {
    let name = CollectionName::new(name)?;
    let made_on_demand = name.as_str() == search::default_collection();
    if !made_on_demand {
        find(&server, &scope, name.as_str()).await?;
    }
    check_holding(&server, &scope).await?;
    server.app.ingestor.check_backlog().await?;
    let key = idempotency_key(request.headers())?;
    let Incoming { submission, request } = read(&server, request).await?;
    let collection = if made_on_demand {
        server.app.ensure_collection(&scope, &name).await?
    } else {
        find(&server, &scope, name.as_str()).await?
    };
    let document_id = submission.id.to_string();
    let about = About(document_id.clone());
    let idempotency = key.map(|key| IdempotencyKey { key, request });
    let repeated = idempotency.is_some();
    let accepted = server
        .app
        .ingestor
        .submit(&collection, submission, idempotency)
        .await
        .map_err(|error| mismatched(error, repeated))?;
    let location = HeaderValue::from_str(&format!("/v1/jobs/{}", accepted.job));
    let body = Accepted { job: accepted.job.0, document_id, version: accepted.version };
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    response.extensions_mut().insert(about);
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Refuses what would go beyond the tenant's quotas, before it is read. Uploads that are in progress at once may go beyond
/// by as many.
pub(super) async fn check_holding(server: &Shared, scope: &Scope) -> Result<(), Problem> {
    let limits = &server.app.config.limits;
    if !limits.limits_holding(scope.tenant()) {
        return Ok(());
    }
    let used = server.app.store.accounts.usage(scope.tenant()).await?;
    limits.check_holding(scope.tenant(), used).map_err(|why| Problem::new(Code::QuotaExceeded, why))
}

/// What a refused submission is: with an idempotency key a conflict means that the key was used for another request.
pub(super) fn mismatched(error: IngestError, repeated: bool) -> Problem {
    let mismatch = repeated && error.kind() == wellspring_ingest::ErrorKind::Conflict;
    if mismatch { Problem::new(Code::IdempotencyMismatch, error.to_string()) } else { error.into() }
}

/// The header's key, if the client sent one.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if is_key(key) => Ok(Some(key.to_owned())),
        _ => Err(Problem::new(Code::Invalid, "an idempotency key is 1-255 visible ASCII characters")
            .at("Idempotency-Key")),
    }
}

/// Whether a client may use this as an idempotency key.
pub(super) fn is_key(key: &str) -> bool {
    (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

async fn read(server: &Shared, request: Request) -> Result<Incoming, Problem> {
    if is_json(request.headers()) {
        let patience = server.request_timeout();
        let limit = server.app.config.server.max_json_bytes;
        let body = tokio::time::timeout(patience, whole(request, limit)).await.map_err(|_| {
            Problem::new(
                Code::Timeout,
                format!("the body did not come within {} seconds", patience.as_secs()),
            )
        })??;
        let document: TextDocument = parse(&body)?;
        return match document.url.clone() {
            Some(url) => of_page(server, url, document).await,
            None => of_text(document),
        };
    }
    match essence(request.headers()).as_deref() {
        Some("multipart/form-data") => of_form(form::read(server, request).await?),
        _ => Err(Problem::new(
            Code::UnsupportedMediaType,
            "send a document as `multipart/form-data` with a `file`, or as `application/json` with a `text`",
        )),
    }
}

pub(super) fn of_text(document: TextDocument) -> Result<Incoming, Problem> {
    let TextDocument { text, url, id, title, metadata, acl, media_type } = document;
    if url.is_some() {
        let detail =
            "`url`: only a single document is fetched by its address; send it alone, or send the text";
        return Err(Problem::new(Code::Invalid, detail).at("url"));
    }
    let text = text.ok_or_else(|| Problem::new(Code::Invalid, "`text` is missing").at("text"))?;
    let hash = ContentHash::of(text.as_bytes());
    let id = document_id(id, None, hash)?;
    let source = id.to_string();
    let content = Content::Bytes(Bytes::from(text));
    Ok(incoming(Submission { id, source, content, media_type, title, metadata, acl }, hash))
}

/// A page that is fetched now; the same address asked for again is the same request, whatever it holds by then.
async fn of_page(server: &Shared, url: String, document: TextDocument) -> Result<Incoming, Problem> {
    let TextDocument { text, url: _, id, title, metadata, acl, media_type } = document;
    if text.is_some() {
        return Err(Problem::new(Code::Invalid, "`text` or `url`, not both").at("url"));
    }
    let page = server
        .fetcher
        .fetch(&url)
        .await
        .map_err(|refused| Problem::new(Code::Invalid, format!("`url`: {refused}")).at("url"))?;
    let id = document_id(id, Some(&url), ContentHash::of(&page.bytes))?;
    let media_type = media_type.or(Some(page.media_type));
    let (source, content) = (page.url.to_string(), Content::Bytes(page.bytes));
    Ok(incoming(
        Submission { id, source, content, media_type, title, metadata, acl },
        ContentHash::of(url.as_bytes()),
    ))
}

fn of_form(form: Form) -> Result<Incoming, Problem> {
    let Form { file: form::File { name, media_type, spooled }, id, title, metadata, acl } = form;
    let id = document_id(id, name.as_deref(), spooled.hash)?;
    let source = name.unwrap_or_else(|| id.to_string());
    let content = Content::Stream(spooled.content);
    let metadata = metadata.unwrap_or_default();
    Ok(incoming(Submission { id, source, content, media_type, title, metadata, acl }, spooled.hash))
}

/// The id given, else the file's name, else one made from the content: the same bytes are the same document.
fn document_id(given: Option<String>, name: Option<&str>, hash: ContentHash) -> Result<DocumentId, Problem> {
    let id = given
        .or_else(|| name.map(str::to_owned))
        .unwrap_or_else(|| format!("content-{}", &hash.to_hex()[..32]));
    DocumentId::new(id).map_err(|error| Problem::from(error).at("id"))
}

pub(super) fn incoming(submission: Submission, content: ContentHash) -> Incoming {
    let Submission { id, source, content: _, media_type, title, metadata, acl } = &submission;
    // JSON keeps the parts apart, and maps are ordered: equal requests have equal hashes.
    let parts = serde_json::json!([content.to_hex(), id, source, media_type, title, metadata, acl]);
    Incoming { request: ContentHash::of(parts.to_string().as_bytes()), submission }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn text(json: Value) -> Result<Incoming, Problem> {
        of_text(serde_json::from_value(json).unwrap())
    }

    #[test]
    fn the_request_hash_covers_what_is_said_and_nothing_else() {
        let hash = |json| text(json).unwrap().request;
        let plain = serde_json::json!({ "text": "a", "id": "x" });
        assert_eq!(hash(plain.clone()), hash(serde_json::json!({ "id": "x", "text": "a", "metadata": {} })));
        for other in [
            serde_json::json!({ "text": "b", "id": "x" }),
            serde_json::json!({ "text": "a", "id": "y" }),
            serde_json::json!({ "text": "a", "id": "x", "title": "t" }),
            serde_json::json!({ "text": "a", "id": "x", "acl": [] }),
            serde_json::json!({ "text": "a", "id": "x", "metadata": { "k": 1 } }),
        ] {
            assert_ne!(hash(plain.clone()), hash(other));
        }
    }

    #[test]
    fn a_text_without_an_id_has_one_made_from_it() {
        let made = |words: &str| text(serde_json::json!({ "text": words })).unwrap().submission.id;
        assert_eq!(made("same"), made("same"));
        assert_ne!(made("same"), made("other"));
        assert!(made("same").as_str().starts_with("content-"));
    }
}
