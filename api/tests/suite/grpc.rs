//! The gRPC door: the same walls as HTTP, streams that end, and a description that only grows.

mod contract;
mod door;

/// The client's side of `proto/wellspring/v1/wellspring.proto`; `contract` makes this file again.
#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub(crate) mod v1 {
    include!("grpc/wellspring.v1.rs");
}

use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};

use crate::support::{PATIENCE, Server};

/// The setting that opens the door on a free port.
pub(crate) const OPEN: (&str, &str) = ("grpc.listen", "127.0.0.1:0");

/// A connection to a server that was started with [`OPEN`] and has printed its first key, if it asks who calls.
pub(crate) async fn connect(server: &mut Server) -> Channel {
    let line = server.next_line();
    let address = line.strip_prefix("listening for gRPC on ").unwrap_or_else(|| panic!("{line:?}"));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.timeout(PATIENCE).connect().await.unwrap()
}

/// A message with a key.
pub(crate) fn by<T>(token: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let value = MetadataValue::try_from(format!("Bearer {token}")).unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}
