//! `/v1/collections/{collection}/documents`: list, show, read and delete documents (`upload` adds them).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use wellspring_store::{CollectionScope, DocumentId, Filter, Scope};

use super::Shared;
use super::caller::Caller;
use super::collections::{Deleted, find};
use super::etag;
use super::extract::{ProblemPath, ProblemQuery};
use super::schema::{ChunkList, Document, DocumentList, DocumentText};
use crate::problem::Problem;

/// Where documents are added and listed.
pub(super) const ROUTE: &str = "/v1/collections/{collection}/documents";

/// Which documents to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The `next` of the page before.
    cursor: Option<String>,
    /// At most this many, 1-1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Only documents whose metadata passes.
    #[param(example = "lang = \"de\" and year >= 2024")]
    filter: Option<String>,
}

async fn place(
    server: &Shared,
    scope: &Scope,
    names: (String, String),
) -> Result<(CollectionScope, DocumentId), Problem> {
    let (collection, id) = names;
    Ok((find(server, scope, &collection).await?, DocumentId::new(id)?))
}

/// List documents
///
/// By id, a page at a time. Only visible versions are listed: what is still being read is in the jobs.
#[utoipa::path(
    get, path = "/v1/collections/{collection}/documents", operation_id = "listDocuments", tag = "documents",
    params(("collection" = String, Path, description = "The collection's name", example = "default"), ListQuery),
    responses(
        (status = 200, description = "A page of them", body = DocumentList),
        (status = 404, description = "No such collection", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A bad filter, cursor or limit", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(name): ProblemPath<String>,
    ProblemQuery(query): ProblemQuery<ListQuery>,
) -> Result<Response, Problem> {
    let filter = query
        .filter
        .as_deref()
        .map(Filter::parse)
        .transpose()
        .map_err(|error| Problem::from(error).at("filter"))?;
    let scope = find(&server, &scope, &name).await?;
    let limit = super::page_size(query.limit)?;
    let page =
        server.app.store.catalog.documents(&scope, filter.as_ref(), query.cursor.as_deref(), limit).await?;
    Ok(Json(json!({ "documents": page.items, "next": page.next })).into_response())
}

/// Show a document
///
/// What is known about its visible version. The `ETag` names that version; with it in `If-None-Match` the answer is 304
/// while it is the visible one.
#[utoipa::path(
    get, path = "/v1/collections/{collection}/documents/{id}", operation_id = "getDocument", tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", example = "default"),
        ("id" = String, Path, description = "The document's id, percent-encoded", example = "handbook/welcome.md"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags of versions that the client has"),
    ),
    responses(
        (status = 200, description = "The document", body = Document, headers(("ETag" = String, description = "Names the version"))),
        (status = 304, description = "It is one that the client has"),
        (status = 404, description = "No such document, or not visible yet", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(names): ProblemPath<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (scope, id) = place(&server, &scope, names).await?;
    let document = server.app.store.catalog.document(&scope, &id).await?;
    let tag = etag::of(&document);
    Ok(match etag::not_modified(&headers, &tag) {
        Some(response) => response,
        None => etag::with(Json(document).into_response(), &tag),
    })
}

/// Read a document's text
///
/// The stored text, which spans of chunks and citations are byte offsets into, and its pages.
#[utoipa::path(
    get, path = "/v1/collections/{collection}/documents/{id}/text", operation_id = "getDocumentText", tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", example = "default"),
        ("id" = String, Path, description = "The document's id, percent-encoded", example = "handbook/welcome.md"),
    ),
    responses(
        (status = 200, description = "The text", body = DocumentText),
        (status = 404, description = "No such document, or not visible yet", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn text(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(names): ProblemPath<(String, String)>,
) -> Result<Response, Problem> {
    let (scope, id) = place(&server, &scope, names).await?;
    let (text, pages, _) = server.app.store.catalog.text(&scope, &id).await?;
    Ok(Json(json!({ "document_id": id, "text": text, "pages": pages })).into_response())
}

/// List a document's chunks
///
/// In the order of the text, with their spans.
#[utoipa::path(
    get, path = "/v1/collections/{collection}/documents/{id}/chunks", operation_id = "listChunks", tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", example = "default"),
        ("id" = String, Path, description = "The document's id, percent-encoded", example = "handbook/welcome.md"),
    ),
    responses(
        (status = 200, description = "All of them", body = ChunkList),
        (status = 404, description = "No such document, or not visible yet", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn chunks(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(names): ProblemPath<(String, String)>,
) -> Result<Response, Problem> {
    let (scope, id) = place(&server, &scope, names).await?;
    let chunks = server.app.store.catalog.chunks(&scope, &id).await?;
    let chunks: Vec<_> = chunks
        .into_iter()
        .map(|chunk| {
            json!({
                "chunk_id": chunk.id, "ordinal": chunk.ordinal, "start": chunk.start, "end": chunk.end,
                "page": chunk.page, "headings": chunk.headings, "language": chunk.language, "text": chunk.text,
            })
        })
        .collect();
    Ok(Json(json!({ "document_id": id, "chunks": chunks })).into_response())
}

/// Download a document
///
/// The original bytes as they were uploaded, always as an attachment.
#[utoipa::path(
    get, path = "/v1/collections/{collection}/documents/{id}/content", operation_id = "downloadDocument", tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", example = "default"),
        ("id" = String, Path, description = "The document's id, percent-encoded", example = "handbook/welcome.md"),
    ),
    responses(
        (status = 200, description = "The bytes, as what they were read", content_type = "*/*"),
        (status = 404, description = "No such document, or not visible yet", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn content(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(names): ProblemPath<(String, String)>,
) -> Result<Response, Problem> {
    let (scope, id) = place(&server, &scope, names).await?;
    let catalog = &server.app.store.catalog;
    let document = catalog.document(&scope, &id).await?;
    let hash = catalog.blob(&scope, &id).await?;
    let bytes = server.app.store.blobs.get(scope.tenant(), &hash).await?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_str(&document.media_type);
    headers.insert(
        header::CONTENT_TYPE,
        media_type.unwrap_or(HeaderValue::from_static("application/octet-stream")),
    );
    if let Ok(disposition) = HeaderValue::from_str(&attachment(&document.source)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// `Content-Disposition` with the last part of the source as the file name (RFC 6266, RFC 8187).
fn attachment(source: &str) -> String {
    let name = source.rsplit(['/', '\\']).next().filter(|name| !name.is_empty()).unwrap_or("document");
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename*=UTF-8''{encoded}")
}

/// Delete a document
///
/// From the moment this returns no search, answer, count or citation holds it; its bytes leave the disk later. With
/// `If-Match` only the version that it names is deleted.
#[utoipa::path(
    delete, path = "/v1/collections/{collection}/documents/{id}", operation_id = "deleteDocument", tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", example = "default"),
        ("id" = String, Path, description = "The document's id, percent-encoded", example = "handbook/welcome.md"),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the version that may be deleted"),
    ),
    responses(
        (status = 200, description = "Gone", body = Deleted),
        (status = 412, description = "Another version is visible", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such document", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(names): ProblemPath<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Deleted>, Problem> {
    let (scope, id) = place(&server, &scope, names).await?;
    if !headers.contains_key(header::IF_MATCH) {
        let seq = server.app.ingestor.delete(&scope, &id).await?;
        return Ok(Json(Deleted { deleted: true, seq: Some(seq.0) }));
    }
    let document = server.app.store.catalog.document(&scope, &id).await?;
    let tag = etag::of(&document);
    etag::precondition(&headers, &tag)?;
    let deleted = server.app.ingestor.delete_version(&scope, &id, document.version).await;
    let seq = deleted.map_err(|error| match error.kind() {
        // A newer version was published since we looked.
        wellspring_ingest::ErrorKind::Conflict => etag::changed("another version"),
        _ => error.into(),
    })?;
    Ok(Json(Deleted { deleted: true, seq: Some(seq.0) }))
}

#[cfg(test)]
mod tests {
    use super::attachment;

    #[test]
    fn file_names_can_carry_nothing_into_the_header() {
        assert_eq!(attachment("a/b/Bericht 1.pdf"), "attachment; filename*=UTF-8''Bericht%201.pdf");
        assert_eq!(
            attachment("x\"\r\nSet-Cookie: a=b"),
            "attachment; filename*=UTF-8''x%22%0D%0ASet-Cookie%3A%20a%3Db"
        );
        assert_eq!(attachment("größe.md"), "attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe.md");
        assert_eq!(attachment("folder/"), "attachment; filename*=UTF-8''document");
    }
}
