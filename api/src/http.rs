//! The HTTP door: every route, and the layers that each request passes through.

mod access;
mod account;
mod answers;
mod asker;
mod audit;
mod authorise;
mod bulk;
mod caller;
mod classes;
mod closing;
mod collections;
mod connection;
mod conversations;
mod documents;
mod etag;
mod export;
mod extract;
mod feedback;
mod form;
mod grpc;
pub(crate) mod guard;
mod health;
mod jobs;
mod keys;
mod limits;
mod mcp;
mod measure;
mod metrics;
mod openai;
mod openapi;
mod pace;
mod page;
mod policy;
mod recut;
mod rerank;
pub(crate) mod resume;
mod schema;
mod search;
mod serve;
mod session;
mod spool;
mod sse;
mod tools;
mod trace;
mod turns;
mod upload;
mod usage;
mod webhooks;

use std::collections::HashMap;
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
use crate::auth::Authenticator;
use crate::auth::password::Passwords;
use crate::auth::sign_in::SignIns;
use crate::duty::Duty;
use crate::fetch::Fetcher;
use crate::limits::Rates;
use crate::problem::{Code, Problem};
use authorise::ClassRates;
use classes::Classes;
use closing::Closing;
use guard::Hosts;
use limits::Gate;
use pace::Pace;

pub(crate) use bulk::BulkConfig;
pub(crate) use feedback::FeedbackConfig;
pub(crate) use grpc::GrpcConfig;
pub(crate) use serve::{bind, serve};

/// What handlers share.
pub(crate) struct Server {
    app: App,
    recorder: PrometheusHandle,
    openapi: Arc<utoipa::openapi::OpenApi>,
    hosts: Hosts,
    gate: Gate,
    authenticator: Authenticator,
    passwords: Passwords,
    sign_ins: SignIns,
    logins: Rates,
    fetcher: Fetcher,
    rates: ClassRates,
    classes: Classes,
    pace: Pace,
    /// Operation ids by method and route, such as `POST /v1/search`.
    operations: HashMap<String, String>,
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
        .routes(routes!(access::set))
        .routes(routes!(bulk::add))
        .routes(routes!(export::show))
        .routes(routes!(documents::text))
        .routes(routes!(documents::chunks))
        .routes(routes!(documents::content))
        .routes(routes!(recut::preview))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::show, jobs::cancel))
        .routes(routes!(jobs::requeue))
        .routes(routes!(jobs::events))
        .routes(routes!(search::search))
        .routes(routes!(answers::answer))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(session::open, session::close))
        .routes(routes!(account::login))
        .routes(routes!(account::refresh))
        .routes(routes!(account::register))
        .routes(routes!(account::logout))
        .routes(routes!(usage::show))
        .routes(routes!(rerank::rerank))
        .routes(routes!(rerank::rerank_v2))
        .merge(openai::routes())
        .routes(routes!(feedback::say, feedback::list))
        .routes(routes!(feedback::export))
        .routes(routes!(webhooks::list))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::replay))
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

/// What a process that only works off jobs answers: whether it lives, can do its work, and what it counted.
fn probes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::show))
}

/// The whole service for a server that listens on `port`, and its state.
fn router(
    app: App,
    duty: Duty,
    authenticator: Authenticator,
    port: u16,
    recorder: PrometheusHandle,
    closing: Closing,
) -> (Router, Shared) {
    let largest_file = usize::try_from(app.config.ingest.max_upload_bytes).unwrap_or(usize::MAX);
    let largest_form = largest_file.saturating_add(4 * form::FIELD_LIMIT);
    let (everything, openapi) = api().split_for_parts();
    let mut openapi = policy::describe(openapi);
    openapi::complete(&mut openapi);
    let hosts = Hosts::new(port, &app.config.server.allowed_hosts);
    let server = Arc::new(Server {
        hosts: if authenticator.is_on() { hosts.with_any_name() } else { hosts },
        gate: Gate::new(app.config.server.max_concurrent_requests),
        rates: ClassRates::new(&app.config.limits),
        classes: Classes::new(&app.config.limits),
        pace: pace(&app.config),
        operations: openapi::operations(&openapi),
        authenticator,
        passwords: Passwords::new(),
        sign_ins: SignIns::new(Arc::clone(&app.store.users), app.config.auth.users.clone()),
        logins: Rates::new(app.config.auth.users.logins),
        fetcher: Fetcher::new(app.config.fetch.clone()),
        app,
        recorder,
        openapi: Arc::new(openapi),
        closing,
        streams: resume::Streams::default(),
    });
    let router = match duty.answers() {
        true => page::routes()
            .into_iter()
            .fold(everything, |router, (path, route)| router.route(path, route))
            .merge(openapi::docs())
            .merge(mcp::routes(&server)),
        false => probes().split_for_parts().0,
    };
    let router = router
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        // Bodies are bounded where they are read, each kind with its own limit; this bounds what stands around a file.
        .layer(DefaultBodyLimit::max(largest_form))
        // A layer wraps those above it: a request meets the last one first.
        .layer(from_fn_with_state(Arc::clone(&server), limits::deadline))
        .layer(from_fn_with_state(Arc::clone(&server), authorise::authorise))
        .layer(from_fn_with_state(Arc::clone(&server), limits::shed))
        .layer(from_fn_with_state(Arc::clone(&server), guard::check))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(guard::headers))
        .layer(from_fn(measure::measure))
        .with_state(Arc::clone(&server));
    (router, server)
}

/// At least a search per core.
fn pace(config: &crate::config::Config) -> Pace {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let patience = Duration::from_millis(config.limits.search_wait_ms);
    Pace::new(cores, config.server.max_concurrent_requests, patience)
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
