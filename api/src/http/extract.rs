//! Reads requests: JSON bodies, paths and queries, whose every fault becomes a problem that names the place.

use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures::StreamExt;
use serde::de::DeserializeOwned;

use super::Shared;
use crate::problem::{Code, Problem};

/// A JSON body of at most `server.max_json_bytes`, read into a type that refuses unknown members.
#[derive(Debug)]
pub(super) struct ProblemJson<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Shared> for ProblemJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &Shared) -> Result<Self, Self::Rejection> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "this endpoint reads JSON: send the header `content-type: application/json`",
            ));
        }
        let body = whole(request, server.app.config.server.max_json_bytes).await?;
        parse(&body).map(Self)
    }
}

/// Whether the content type is `application/json` or ends in `+json`.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    essence(headers).is_some_and(|essence| essence == "application/json" || essence.ends_with("+json"))
}

/// The content type in lower case without its parameters.
pub(super) fn essence(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// The whole body, or `too-large` as soon as that is known.
pub(super) async fn whole(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let too_large =
        || Problem::new(Code::TooLarge, format!("the body is larger than {limit} bytes, the limit here"));
    let declared =
        request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut chunks = Body::into_data_stream(request.into_body());
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk =
            chunk.map_err(|_| Problem::new(Code::BadRequest, "the body ended before it was whole"))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// Reads JSON: `bad-request` if it is not JSON, `invalid` with the path if it is not what was asked for.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // An array would be read as the members in their order of declaration, which nobody promised.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::new(Code::Invalid, "the body is a JSON array where an object is wanted").at("."));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        wrong(path, error.inner())
    })?;
    reader.end().map_err(|error| wrong(".".to_owned(), &error))?;
    Ok(value)
}

/// Reads a value that was parsed before, as [`parse`] does.
pub(super) fn read<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    if value.is_array() {
        return Err(Problem::new(Code::Invalid, "the body is a JSON array where an object is wanted").at("."));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        wrong(path, error.inner())
    })
}

fn wrong(path: String, error: &serde_json::Error) -> Problem {
    match error.classify() {
        serde_json::error::Category::Data => {
            let place = if path == "." { String::new() } else { format!("`{path}`: ") };
            Problem::new(Code::Invalid, format!("{place}{error}")).at(path)
        }
        _ => Problem::new(Code::BadRequest, format!("the body is not JSON: {error}")),
    }
}

/// The path's parameters, percent-decoded.
#[derive(Debug)]
pub(super) struct ProblemPath<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for ProblemPath<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(rejection)) => Err(Problem::new(
                Code::BadRequest,
                format!("the path can't be read: {}", rejection.body_text()),
            )),
            Err(rejection) => {
                tracing::error!(error = %rejection, "a route and its handler disagree about path parameters");
                Err(Problem::new(Code::Internal, "the server failed to read the path"))
            }
        }
    }
}

/// The query string's parameters.
#[derive(Debug)]
pub(super) struct ProblemQuery<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for ProblemQuery<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Query::<T>::from_request_parts(parts, state).await.map(|Query(value)| Self(value)).map_err(
            |rejection: QueryRejection| {
                Problem::new(Code::Invalid, format!("the query string is wrong: {}", rejection.body_text()))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only reading matters here")]
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only reading matters here")]
        k: u8,
    }

    fn problem(body: &[u8]) -> serde_json::Value {
        serde_json::to_value(parse::<Outer>(body).unwrap_err()).unwrap()
    }

    #[test]
    fn faults_name_their_place() {
        let wrong = problem(br#"{"inner":{"k":-1}}"#);
        assert_eq!((wrong["code"].as_str(), wrong["path"].as_str()), (Some("invalid"), Some("inner.k")));
        let unknown = problem(br#"{"inner":{"k":1,"x":2}}"#);
        assert_eq!(unknown["path"], "inner.x");
        assert!(unknown["detail"].as_str().unwrap().contains("unknown field `x`"));
        let missing = problem(b"{}");
        assert!(missing["detail"].as_str().unwrap().contains("missing field `inner`"));
    }

    #[test]
    fn what_is_not_json_is_another_fault() {
        for body in [&b""[..], b"{", b"{\"inner\":{\"k\":1}} x", b"{\"inner\":\"\xff\"}"] {
            assert_eq!(problem(body)["code"], "bad-request", "{body:?}");
        }
    }
}
