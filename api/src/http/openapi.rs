//! `/openapi.json` and `/docs`: the description of this interface, made from the handlers themselves.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::Shared;

/// Where the description is served.
pub(super) const ROUTE: &str = "/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Wellspring",
        description = "Documents in; passages and cited answers out.\n\n\
            Errors are `application/problem+json` (RFC 9457) with a stable `code`. Offsets are UTF-8 bytes of the stored \
            text, end exclusive; pages count from 1. Every response carries `X-Request-Id`, the request's own if it \
            sent one. 429 and 503 carry `Retry-After`. This version has no authentication: it listens on loopback \
            addresses only, and refuses foreign `Host` names and, for writes, foreign `Origin`s with 403.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "collections", description = "Sets of documents with one embedding model"),
        (name = "documents", description = "What was put in"),
        (name = "jobs", description = "What became of it"),
        (name = "search", description = "Passages for a query"),
        (name = "answers", description = "Cited answers to a question"),
        (name = "conversations", description = "Questions that follow each other, and what an agent may do"),
        (name = "tools", description = "What models, people and programs may call"),
        (name = "service", description = "Health and metrics"),
    )
)]
struct Description;

/// What is not said at a handler.
pub(super) fn base() -> utoipa::openapi::OpenApi {
    let mut api = Description::openapi();
    api.info.version = env!("CARGO_PKG_VERSION").to_owned();
    api
}

/// The whole description as the repository keeps it.
#[cfg(test)]
fn document() -> serde_json::Result<String> {
    let api = super::api().into_openapi();
    let mut text = serde_json::to_string_pretty(&api)?;
    text.push('\n');
    Ok(text)
}

/// Describe this interface
///
/// OpenAPI 3.1.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "service",
    responses((status = 200, description = "The description", content_type = "application/json", body = Object))
)]
pub(super) async fn show(State(server): State<Shared>) -> Json<utoipa::openapi::OpenApi> {
    Json((*server.openapi).clone())
}

/// The pages under `/docs`, which call nobody but this server. They set styles on elements themselves.
pub(super) fn docs() -> Router<Shared> {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
        img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";
    let ui = SwaggerUi::new("/docs").config(Config::new([ROUTE]).validator_url("none"));
    Router::from(ui).layer(map_response(|mut response: Response| async {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        response
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// `UPDATE_OPENAPI=1 cargo test -p wellspring-api openapi` rewrites the file.
    #[test]
    fn openapi_json_in_the_repository_is_what_the_code_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi.json");
        let wanted = super::document().unwrap();
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            fs_err::write(&path, &wanted).unwrap();
        }
        let kept = fs_err::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == wanted,
            "openapi.json differs from the code; if the change is meant, run \
             `UPDATE_OPENAPI=1 cargo test -p wellspring-api openapi` and commit it"
        );
    }

    #[test]
    fn every_operation_says_what_it_does_and_how_it_fails() {
        let api: serde_json::Value = serde_json::from_str(&super::document().unwrap()).unwrap();
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in api["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let place = format!("{method} {path}");
                assert!(
                    operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
                    "{place}: no summary"
                );
                assert!(
                    operation["description"].as_str().is_some_and(|text| !text.is_empty()),
                    "{place}: no description"
                );
                assert!(ids.insert(operation["operationId"].to_string()), "{place}: its id is taken");
                let responses = operation["responses"].as_object().unwrap();
                assert!(responses.keys().any(|status| status.starts_with('2')), "{place}: no success");
                if path.starts_with("/v1/") && !path.ends_with("/v1/collections") {
                    assert!(responses.keys().any(|status| status.starts_with('4')), "{place}: no errors");
                }
            }
        }
    }
}
