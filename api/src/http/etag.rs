//! Entity tags of documents: `If-None-Match` spares reading what is known, `If-Match` keeps a client from deleting what it
//! has not seen (RFC 9110, section 13).

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use wellspring_store::Document;

use crate::problem::{Code, Problem};

/// The tag of a document's visible version. Version numbers begin again when a deleted id is used again, hashes do not.
pub(super) fn of(document: &Document) -> String {
    format!("\"{}-{}\"", document.version, document.content_hash.get(..16).unwrap_or(&document.content_hash))
}

/// `304` if the client has this already.
pub(super) fn not_modified(headers: &HeaderMap, tag: &str) -> Option<Response> {
    let known = tags(headers, header::IF_NONE_MATCH).ok()??;
    // A weak comparison: `W/` says only that bytes may differ.
    let same = |one: &String| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag;
    known.iter().any(same).then(|| with(StatusCode::NOT_MODIFIED.into_response(), tag))
}

/// `precondition-failed` if the client wants another version than this one.
pub(super) fn precondition(headers: &HeaderMap, tag: &str) -> Result<(), Problem> {
    match tags(headers, header::IF_MATCH)? {
        None => Ok(()),
        Some(wanted) if wanted.iter().any(|one| one == "*" || one == tag) => Ok(()),
        Some(_) => Err(changed(tag)),
    }
}

/// What a client is told that has seen another version.
pub(super) fn changed(tag: &str) -> Problem {
    Problem::new(
        Code::PreconditionFailed,
        format!("the document is {tag} now, which `If-Match` does not name"),
    )
}

/// The response with the tag.
pub(super) fn with(mut response: Response, tag: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// The tags that a header lists; `None` without it.
fn tags(headers: &HeaderMap, name: HeaderName) -> Result<Option<Vec<String>>, Problem> {
    let mut tags = Vec::new();
    for value in headers.get_all(&name) {
        let text = value.to_str().map_err(|_| {
            Problem::new(Code::BadRequest, format!("`{name}` is not a list of entity tags")).at(name.as_str())
        })?;
        tags.extend(text.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()));
    }
    Ok((!tags.is_empty()).then_some(tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_known_version_is_not_sent_again() {
        let tag = "\"3-abc\"";
        for known in
            [&["\"3-abc\""][..], &["W/\"3-abc\""], &["\"1\", \"3-abc\""], &["\"1\"", "\"3-abc\""], &["*"]]
        {
            let response = not_modified(&headers(header::IF_NONE_MATCH, known), tag).unwrap();
            assert_eq!(
                (response.status(), &response.headers()["etag"]),
                (StatusCode::NOT_MODIFIED, &HeaderValue::from_static(tag))
            );
        }
        for other in [&["\"2-abc\""][..], &[]] {
            assert!(not_modified(&headers(header::IF_NONE_MATCH, other), tag).is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_write_needs_the_version_it_names() {
        let tag = "\"3-abc\"";
        precondition(&HeaderMap::new(), tag).unwrap();
        precondition(&headers(header::IF_MATCH, &["\"3-abc\""]), tag).unwrap();
        precondition(&headers(header::IF_MATCH, &["*"]), tag).unwrap();
        // A strong comparison: a weak tag never matches.
        for other in ["\"2-abc\"", "W/\"3-abc\""] {
            let problem = precondition(&headers(header::IF_MATCH, &[other]), tag).unwrap_err();
            assert_eq!(problem.code(), "precondition-failed");
        }
    }
}
