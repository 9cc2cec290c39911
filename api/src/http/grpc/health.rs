//! The standard health service: serving until shutdown begins, for the server as a whole and each of its services.

use futures::StreamExt;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::Services;
use super::v1::{answer_service_server, ingest_service_server, search_service_server};

/// The empty name is the server as a whole.
const KNOWN: [&str; 4] = [
    "",
    search_service_server::SERVICE_NAME,
    answer_service_server::SERVICE_NAME,
    ingest_service_server::SERVICE_NAME,
];

impl Services {
    fn status(&self) -> HealthCheckResponse {
        let closing = self.0.closing.is_closing();
        let status = if closing { ServingStatus::NotServing } else { ServingStatus::Serving };
        HealthCheckResponse { status: status.into() }
    }
}

#[tonic::async_trait]
impl Health for Services {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !KNOWN.contains(&request.get_ref().service.as_str()) {
            return Err(Status::not_found("there is no such service"));
        }
        Ok(Response::new(self.status()))
    }

    /// Ends when the server closes: an open stream would hold the shutdown up.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        if !KNOWN.contains(&request.get_ref().service.as_str()) {
            // What the protocol asks for: a service may come to be known later.
            let unknown = HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() };
            return Ok(Response::new(futures::stream::iter([Ok(unknown)]).boxed()));
        }
        let services = self.clone();
        let now = futures::stream::iter([Ok(self.status())]);
        let end = futures::stream::once(async move {
            services.0.closing.asked().await;
            Ok(services.status())
        });
        Ok(Response::new(now.chain(end).boxed()))
    }
}
