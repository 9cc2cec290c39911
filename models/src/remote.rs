//! What every endpoint over HTTP needs, whatever it speaks: requests with deadlines and retries, streams that say how
//! they ended, and a gate that keeps load and failures within bounds.

mod breaker;
mod endpoint;
mod failure;
mod gate;
mod stream;

pub use breaker::BreakerConfig;
pub(crate) use endpoint::{Credential, Endpoint, client_builder};
pub(crate) use failure::{error_text, transport_error};
pub(crate) use gate::GateConfig;
pub(crate) use stream::{Dialect, Piece};
