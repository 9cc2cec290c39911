//! A stand-in for a Qdrant server that speaks its protocol: gRPC, the real messages, every search an exact scan. It shows what our
//! side does, on any machine; how Qdrant itself answers is for a real one to show.

mod state;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use qdrant_client::qdrant::collections_server::CollectionsServer;
use qdrant_client::qdrant::points_server::PointsServer;
use qdrant_client::qdrant::qdrant_server::QdrantServer;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status};

use state::State;

/// The key that every call has to bring.
pub(super) const KEY: &str = "a secret of the tests";

#[derive(Clone)]
pub(super) struct StandIn {
    state: Arc<Mutex<State>>,
}

/// Starts one of this version; it ends with the test's runtime.
pub(super) fn start(version: &str) -> SocketAddr {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let server = StandIn { state: Arc::new(Mutex::new(State::new(version))) };
    let router = Server::builder()
        .add_service(QdrantServer::with_interceptor(server.clone(), with_key))
        .add_service(CollectionsServer::with_interceptor(server.clone(), with_key))
        .add_service(PointsServer::with_interceptor(server, with_key));
    tokio::spawn(router.serve_with_incoming(incoming));
    address
}

fn with_key(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("api-key") {
        Some(key) if key == KEY => Ok(request),
        _ => Err(Status::unauthenticated("Must provide an API key")),
    }
}
