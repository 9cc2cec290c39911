//! The HTTP door: every route, and the layers that each request passes through.

mod answers;
mod asker;
mod caller;
mod closing;
mod collections;
mod conversations;
mod documents;
mod extract;
mod form;
pub(crate) mod guard;
mod health;
mod jobs;
mod limits;
mod measure;
mod metrics;
mod openapi;
mod page;
pub(crate) mod resume;
mod schema;
mod search;
mod serve;
mod spool;
mod sse;
mod tools;
mod turns;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::{Code, Problem};
use closing::Closing;
use guard::Hosts;
use limits::Gate;

pub(crate) use serve::{bind, serve};

/// What handlers share.
pub(crate) struct Server {
    app: App,
    recorder: PrometheusHandle,
    openapi: Arc<utoipa::openapi::OpenApi>,
    hosts: Hosts,
    gate: Gate,
    closing: Closing,
    streams: resume::Streams,
}

/// The state of every handler.
pub(crate) type Shared = Arc<Server>;

impl Server {
    /// Where uploads wait until they are whole: the disk that they will stay on.
    fn scratch(&self) -> PathBuf {
        self.app.store.folder().map_or_else(std::env::temp_dir, |folder| folder.root().to_owned())
    }

    fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.app.config.server.request_timeout_seconds)
    }
}

/// Every operation that `openapi.json` describes.
fn api() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(collections::create, collections::list))
        .routes(routes!(collections::show, collections::delete))
        .routes(routes!(upload::add, documents::list))
        .routes(routes!(documents::show, documents::delete))
        .routes(routes!(documents::text))
        .routes(routes!(documents::chunks))
        .routes(routes!(documents::content))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::show, jobs::cancel))
        .routes(routes!(jobs::requeue))
        .routes(routes!(jobs::events))
        .routes(routes!(search::search))
        .routes(routes!(answers::answer))
        .routes(routes!(conversations::create, conversations::list))
        .routes(routes!(conversations::show, conversations::delete))
        .routes(routes!(turns::ask))
        .routes(routes!(turns::approve))
        .routes(routes!(tools::list))
        .routes(routes!(tools::execute))
        .routes(routes!(tools::batch))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::show))
        .routes(routes!(openapi::show))
}

/// The whole service for a server that listens on `port`.
fn router(app: App, port: u16, recorder: PrometheusHandle, closing: Closing) -> Router {
    let largest_file = usize::try_from(app.config.ingest.max_upload_bytes).unwrap_or(usize::MAX);
    let largest_form = largest_file.saturating_add(4 * form::FIELD_LIMIT);
    let (router, openapi) = api().split_for_parts();
    let server = Arc::new(Server {
        hosts: Hosts::new(port, &app.config.server.allowed_hosts),
        gate: Gate::new(app.config.server.max_concurrent_requests),
        app,
        recorder,
        openapi: Arc::new(openapi),
        closing,
        streams: resume::Streams::default(),
    });
    let router = page::routes().into_iter().fold(router, |router, (path, route)| router.route(path, route));
    router
        .merge(openapi::docs())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        // Bodies are bounded where they are read, each kind with its own limit; this bounds what stands around a file.
        .layer(DefaultBodyLimit::max(largest_form))
        // A layer wraps those above it: a request meets the last one first.
        .layer(from_fn_with_state(Arc::clone(&server), limits::deadline))
        .layer(from_fn_with_state(Arc::clone(&server), limits::shed))
        .layer(from_fn_with_state(Arc::clone(&server), guard::check))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(guard::headers))
        .layer(from_fn(measure::measure))
        .with_state(server)
}

async fn unknown(uri: Uri) -> Problem {
    Problem::new(Code::NotFound, format!("there is nothing at {}; see /docs", uri.path()))
}

async fn wrong_method(method: Method, request: Request) -> Response {
    let path = request.uri().path();
    Problem::new(
        Code::MethodNotAllowed,
        format!("{path} does not know {method}; the `Allow` header names what it does"),
    )
    .into_response()
}

/// The message may hold a client's data: it goes to the log through the panic hook, not to the client.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Problem::new(Code::Internal, "the server failed; the cause is in its log under this request's id")
        .into_response()
}

/// Items of a page: 100 unless asked otherwise, 1 to 1000.
fn page_size(limit: Option<u32>) -> Result<u32, Problem> {
    match limit.unwrap_or(100) {
        limit @ 1..=1000 => Ok(limit),
        limit => {
            Err(Problem::new(Code::Invalid, format!("`limit` is {limit}; it must be 1 to 1000")).at("limit"))
        }
    }
}
