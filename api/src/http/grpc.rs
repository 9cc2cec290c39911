//! gRPC: search, answers and documents as streams, behind the very layers that every other route stands behind.
//!
//! Each method is a route of the router below, so that `authorise` and `policy` judge it like one: closed unless named. A layer
//! of its own turns what those layers refuse into a gRPC status.

mod answers;
mod health;
mod ingest;
mod refusal;
mod search;
mod wire;

/// The messages and services of `proto/wellspring/v1/wellspring.proto`; a test makes this file again.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
mod v1 {
    include!("grpc/wellspring.v1.rs");
}

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tonic::Status;
use tonic_health::pb::health_server::HealthServer;
use tower_http::catch_panic::CatchPanicLayer;

use super::guard::Hosts;
use super::limits::InProgress;
use super::{Shared, authorise, guard, limits, measure, panicked};
use crate::auth::Sender;
use crate::problem::Problem;
use refusal::status;
use v1::answer_service_server::AnswerServiceServer;
use v1::ingest_service_server::IngestServiceServer;
use v1::search_service_server::SearchServiceServer;

pub(super) const SEARCH: &str = "/wellspring.v1.SearchService/Search";
pub(super) const ANSWER: &str = "/wellspring.v1.AnswerService/Answer";
pub(super) const INGEST: &str = "/wellspring.v1.IngestService/Ingest";
pub(super) const WATCH: &str = "/wellspring.v1.IngestService/WatchJob";
/// The same for everybody, without data: whether the server lives, and what it offers.
pub(super) const OPEN: [&str; 4] = [HEALTH_CHECK, HEALTH_WATCH, REFLECTION, REFLECTION_ALPHA];

pub(super) const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// Still what most clients ask first.
const REFLECTION_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// What reflection tells, compiled from the `.proto` file.
const DESCRIPTORS: &[u8] = include_bytes!("../../proto/wellspring.binpb");

/// The gRPC door.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GrpcConfig {
    /// Address and port for HTTP/2 without TLS; only a loopback address while `auth.mode` is `off`. Off if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<String>,
}

/// Every service; one value for all of them.
#[derive(Clone)]
struct Services(Shared);

/// The routes for a listener on `port`.
pub(super) fn router(server: &Shared, port: u16) -> anyhow::Result<Router> {
    let services = Services(Arc::clone(server));
    let largest = server.app.config.server.max_json_bytes;
    let search = SearchServiceServer::new(services.clone()).max_decoding_message_size(largest);
    let answer = AnswerServiceServer::new(services.clone()).max_decoding_message_size(largest);
    let ingest = IngestServiceServer::new(services.clone()).max_decoding_message_size(largest);
    let health = HealthServer::new(services);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let unreadable = "the compiled description of the gRPC services can't be read";
    let newest = reflection().build_v1().context(unreadable)?;
    let alpha = reflection().build_v1alpha().context(unreadable)?;
    let hosts = Hosts::new(port, &server.app.config.server.allowed_hosts);
    let hosts = Arc::new(if server.authenticator.is_on() { hosts.with_any_name() } else { hosts });
    Ok(Router::new()
        .route_service(SEARCH, search)
        .route_service(ANSWER, answer)
        .route_service(INGEST, ingest.clone())
        .route_service(WATCH, ingest)
        .route_service(HEALTH_CHECK, health.clone())
        .route_service(HEALTH_WATCH, health)
        .route_service(REFLECTION, newest)
        .route_service(REFLECTION_ALPHA, alpha)
        .fallback(unknown)
        .layer(from_fn_with_state(Arc::clone(server), limits::deadline))
        .layer(from_fn_with_state(Arc::clone(server), authorise::authorise))
        .layer(from_fn_with_state(Arc::clone(server), limits::shed))
        .layer(from_fn_with_state(hosts, check))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(measure::measure))
        .layer(from_fn(refusal::translate)))
}

async fn unknown() -> Response {
    Status::unimplemented("there is no such method").into_http()
}

async fn check(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    // The services look at the path alone, and what guards them trusts that GET changes nothing.
    if request.method() != axum::http::Method::POST {
        return unknown().await;
    }
    match guard::refusal(&hosts, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

/// Who sent a message. Nobody gets here without having been asked.
fn sender<T>(request: &tonic::Request<T>) -> Result<Sender, Status> {
    let sender = request.extensions().get::<Sender>().cloned();
    sender.ok_or_else(|| status(&super::caller::unauthenticated()))
}

/// The place among the requests in progress, for what outlives a response's head.
fn place<T>(request: &tonic::Request<T>) -> Option<InProgress> {
    request.extensions().get::<InProgress>().cloned()
}

/// The collection of a message that names none.
fn or_default(collection: String) -> String {
    if collection.is_empty() { super::search::default_collection() } else { collection }
}

/// A message's filter; none if empty.
fn filter(text: String) -> Result<Option<wellspring_store::Filter>, Problem> {
    super::search::filter((!text.is_empty()).then(|| text.into()))
}
