//! `/openapi.json` and `/docs`: the description of this interface, made from the handlers themselves.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
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
            sent one. 429 and 503 carry `Retry-After`. Where authentication is on, send an API key as \
            `Authorization: Bearer ws_…` or `X-Api-Key: ws_…`; what a credential may not see is 404, what it may not do 403, \
            and answers carry `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`. Where it is off, the server \
            listens on loopback addresses only, and refuses foreign `Host` names and, for writes, foreign `Origin`s with 403.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "collections", description = "Sets of documents with one embedding model"),
        (name = "documents", description = "What was put in"),
        (name = "jobs", description = "What became of it"),
        (name = "search", description = "Passages for a query"),
        (name = "answers", description = "Cited answers to a question"),
        (name = "administration", description = "Keys, and what was done with them"),
        (name = "openai", description = "The same in OpenAI's shape, for the clients that speak it"),
        (name = "feedback", description = "What people did with what they were shown"),
        (name = "webhooks", description = "Who is told what happens to documents"),
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

/// Operation ids by method and route, such as `POST /v1/search`.
pub(super) fn operations(api: &utoipa::openapi::OpenApi) -> HashMap<String, String> {
    let mut ids = HashMap::new();
    for (path, item) in &api.paths.paths {
        let operations = [
            ("GET", &item.get),
            ("PUT", &item.put),
            ("POST", &item.post),
            ("DELETE", &item.delete),
            ("PATCH", &item.patch),
        ];
        for (method, operation) in operations {
            if let Some(id) = operation.as_ref().and_then(|operation| operation.operation_id.clone()) {
                ids.insert(format!("{method} {path}"), id);
            }
        }
    }
    ids
}

/// Adds to every operation what any request can meet: a wrong content type or name, a foreign host, a full server, a fault
/// of ours.
pub(super) fn complete(api: &mut utoipa::openapi::OpenApi) {
    let problem = || {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        ResponseBuilder::new()
            .description("Whatever else goes wrong; `code` says what")
            .content("application/problem+json", content)
            .build()
    };
    for item in api.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            operation.responses.responses.insert("default".to_owned(), problem().into());
        }
    }
}

/// The whole description as the repository keeps it.
#[cfg(test)]
fn document() -> serde_json::Result<String> {
    let mut api = super::policy::describe(super::api().into_openapi());
    complete(&mut api);
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
