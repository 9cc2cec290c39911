//! Which right each route needs. What is not named here needs one all the same: reading to read, writing to write.

use axum::http::Method;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{OpenApi, RefOr, Response, ResponseBuilder};
use wellspring_store::accounts::Right;

use super::{account, grpc};

/// What a route asks of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: everybody may.
    Nothing,
    /// Nothing, but it shows more to some: a credential is looked at where there is one.
    Anything,
    /// This right.
    Right(Right),
}

/// Which of the limits a request counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Class {
    /// Searches, answers and what else runs a model.
    Query,
    /// Documents taken in.
    Upload,
    /// Streams that mostly wait.
    Wait,
    /// Everything else.
    Plain,
}

/// What people say about results.
const FEEDBACK: &str = "/v1/collections/{collection}/feedback";
/// POSTed, but only read.
const ASKED_BY_POST: [&str; 13] = [
    "/v1/search",
    "/v1/answers",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/rerank",
    "/v2/rerank",
    FEEDBACK,
    "/v1/conversations/{conversation}/messages",
    "/v1/conversations/{conversation}/approve",
    "/v1/tools/execute",
    "/v1/tools/batch",
    super::recut::ROUTE,
    "/mcp",
];
/// The web page, the description and its viewer: the same for everybody, without data.
const OPEN: [&str; 3] = ["/", "/health", "/openapi.json"];
const OPEN_UNDER: [&str; 2] = ["/ui/", "/docs"];
/// Whoever keeps the walls.
const ADMINISTRATION: [&str; 3] = ["/v1/keys", "/v1/audit", "/v1/webhooks"];

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// What a request needs; `route` is the template that matched, if one did.
pub(super) fn need(method: &Method, route: Option<&str>) -> Need {
    let Some(route) = route else { return Need::Right(Right::Read) };
    if grpc::OPEN.contains(&route) || (account::OPEN.contains(&route) && *method == Method::POST) {
        return Need::Nothing;
    }
    if reads(method) && (OPEN.contains(&route) || OPEN_UNDER.iter().any(|start| route.starts_with(start))) {
        return Need::Nothing;
    }
    let administered =
        |base: &str| route == base || route.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'));
    match route {
        super::session::ROUTE => Need::Nothing,
        grpc::SEARCH | grpc::ANSWER | grpc::WATCH => Need::Right(Right::Read),
        // Whatever the method: the service looks at the path alone.
        grpc::INGEST => Need::Right(Right::Write),
        "/ready" | account::LOGOUT => Need::Anything,
        "/metrics" => Need::Right(Right::Operator),
        _ if ADMINISTRATION.iter().any(|base| administered(base)) => Need::Right(Right::Admin),
        "/v1/collections/{collection}" if *method == Method::DELETE => Need::Right(Right::Admin),
        super::export::ROUTE => Need::Right(Right::Admin),
        // What people said about results is the administrator's to read; what one says oneself is not.
        _ if administered(FEEDBACK) && reads(method) => Need::Right(Right::Admin),
        // Conversations are the asker's own: whoever may ask may also keep and delete them.
        _ if administered("/v1/conversations") => Need::Right(Right::Read),
        _ if reads(method) || ASKED_BY_POST.contains(&route) => Need::Right(Right::Read),
        _ => Need::Right(Right::Write),
    }
}

/// Which limits a request counts against.
pub(super) fn class(method: &Method, route: Option<&str>) -> Class {
    match route {
        Some(route) if route.ends_with("/events") => Class::Wait,
        Some(grpc::WATCH) => Class::Wait,
        Some(grpc::INGEST) => Class::Upload,
        Some(grpc::SEARCH | grpc::ANSWER) => Class::Query,
        Some(route) if ASKED_BY_POST.contains(&route) => Class::Query,
        Some(route)
            if !reads(method)
                && route.starts_with("/v1/collections/")
                && (route.contains("/documents") || route.ends_with("/bulk")) =>
        {
            if *method == Method::POST {
                Class::Upload
            } else {
                Class::Plain
            }
        }
        _ => Class::Plain,
    }
}

/// Says in the description which operations need a credential and how they refuse.
pub(super) fn describe(mut api: OpenApi) -> OpenApi {
    let components = api.components.get_or_insert_default();
    components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components
        .add_security_scheme("header", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Api-Key"))));
    for (path, item) in &mut api.paths.paths {
        let operations = [
            (Method::GET, &mut item.get),
            (Method::PUT, &mut item.put),
            (Method::POST, &mut item.post),
            (Method::DELETE, &mut item.delete),
            (Method::PATCH, &mut item.patch),
        ];
        for (method, operation) in operations {
            let (Some(operation), Need::Right(_)) = (operation, need(&method, Some(path))) else { continue };
            operation.security = Some(vec![
                SecurityRequirement::new("key", Vec::<String>::new()),
                SecurityRequirement::new("header", Vec::<String>::new()),
            ]);
            let refusals = [
                ("401", "No credential, or not a good one"),
                ("403", "The credential does not allow this"),
                ("429", "Too many requests; `Retry-After` says when to come back"),
            ];
            for (status, said) in refusals {
                operation
                    .responses
                    .responses
                    .entry(status.to_owned())
                    .or_insert_with(|| RefOr::T(problem(said)));
            }
        }
    }
    api
}

fn problem(description: &str) -> Response {
    let content = utoipa::openapi::ContentBuilder::new()
        .schema(Some(utoipa::openapi::Ref::from_schema_name("Problem")))
        .build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_routes_are_closed() {
        assert_eq!(need(&Method::GET, None), Need::Right(Right::Read));
        assert_eq!(need(&Method::GET, Some("/v1/anything-new")), Need::Right(Right::Read));
        for method in
            [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE, Method::CONNECT]
        {
            assert_eq!(need(&method, Some("/v1/anything-new")), Need::Right(Right::Write), "{method}");
            assert_ne!(need(&method, Some("/docs/x")), Need::Nothing, "{method}");
        }
        assert_eq!(need(&Method::GET, Some("/v1/keys/{id}")), Need::Right(Right::Admin));
        assert_eq!(need(&Method::GET, Some("/v1/keysmith")), Need::Right(Right::Read));
        assert_eq!(need(&Method::DELETE, Some("/v1/collections/{collection}")), Need::Right(Right::Admin));
    }

    #[test]
    fn methods_of_grpc_are_routes_like_any_other() {
        assert_eq!(need(&Method::POST, Some(grpc::SEARCH)), Need::Right(Right::Read));
        assert_eq!(need(&Method::POST, Some(grpc::INGEST)), Need::Right(Right::Write));
        assert_eq!(need(&Method::GET, Some(grpc::INGEST)), Need::Right(Right::Write));
        assert_eq!(need(&Method::POST, Some("/wellspring.v1.SearchService/New")), Need::Right(Right::Write));
        assert!(grpc::OPEN.iter().all(|route| need(&Method::POST, Some(route)) == Need::Nothing));
        assert_eq!(class(&Method::POST, Some(grpc::INGEST)), Class::Upload);
        assert_eq!(class(&Method::POST, Some(grpc::ANSWER)), Class::Query);
    }

    #[test]
    fn uploads_and_questions_count_apart() {
        let documents = Some("/v1/collections/{collection}/documents");
        assert_eq!(class(&Method::POST, documents), Class::Upload);
        assert_eq!(class(&Method::GET, documents), Class::Plain);
        assert_eq!(class(&Method::POST, Some("/v1/search")), Class::Query);
        assert_eq!(class(&Method::GET, Some("/v1/jobs/{id}/events")), Class::Wait);
        assert_eq!(class(&Method::GET, None), Class::Plain);
    }
}
