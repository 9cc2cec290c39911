//! Bounds what is in progress: refuses instead of queueing, and ends requests that take too long.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::classes::Place;
use super::{Shared, bulk, documents, grpc, health};
use crate::problem::{Code, Problem};

/// A place among the requests in progress. A handler whose work outlives its response's head keeps a clone until the
/// body has ended.
#[derive(Debug, Clone)]
pub(super) struct InProgress {
    _permit: Arc<OwnedSemaphorePermit>,
    _gauge: Arc<InFlightGauge>,
    share: Option<Arc<Place>>,
}

impl InProgress {
    /// Keeps a tenant's place as long as the request's own.
    pub(super) fn share(&mut self, place: Arc<Place>) {
        self.share = Some(place);
    }
}

/// Counts a request in `wellspring_http_requests_in_flight` while it lives.
#[derive(Debug)]
struct InFlightGauge;

impl InFlightGauge {
    fn new() -> Self {
        metrics::gauge!("wellspring_http_requests_in_flight").increment(1.0);
        Self
    }
}

impl Drop for InFlightGauge {
    fn drop(&mut self) {
        metrics::gauge!("wellspring_http_requests_in_flight").decrement(1.0);
    }
}

/// The places.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<Semaphore>);

impl Gate {
    /// As many as this at once.
    pub(super) fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))))
    }
}

/// Answers 503 where no place is left. Health, readiness and metrics are always answered: a full server is not a dead one.
pub(super) async fn shed(State(server): State<Shared>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if health::ALWAYS_ANSWERED.contains(&path) || path == grpc::HEALTH_CHECK {
        return next.run(request).await;
    }
    let Ok(permit) = Arc::clone(&server.gate.0).try_acquire_owned() else {
        metrics::counter!("wellspring_http_requests_shed_total").increment(1);
        let limit = server.app.config.server.max_concurrent_requests;
        return Problem::new(
            Code::Unavailable,
            format!("{limit} requests are in progress, the limit here (`server.max_concurrent_requests`); try again"),
        )
        .retry_after(Duration::from_secs(1))
        .into_response();
    };
    let place = InProgress { _permit: Arc::new(permit), _gauge: Arc::new(InFlightGauge::new()), share: None };
    request.extensions_mut().insert(place.clone());
    let response = next.run(request).await;
    drop(place);
    response
}

/// Answers 504 after `server.request_timeout_seconds`. A stream's head comes in time and its body is not counted; an
/// upload has a deadline for every piece instead.
pub(super) async fn deadline(State(server): State<Shared>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let uploads = route.is_some_and(|route| [documents::ROUTE, bulk::ROUTE].contains(&route));
    if request.method() == Method::POST && uploads {
        return next.run(request).await;
    }
    let limit = server.request_timeout();
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            Code::Timeout,
            format!(
                "the request took longer than {} seconds (`server.request_timeout_seconds`)",
                limit.as_secs()
            ),
        )
        .into_response(),
    }
}
