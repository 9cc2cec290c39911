//! `/mcp`: the Model Context Protocol over streamable HTTP, one caller per request and nothing kept in between.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use super::Shared;
use super::caller::Identified;
use crate::auth::Sender;
use crate::mcp::Mcp;

/// Where the protocol is spoken.
const ROUTE: &str = "/mcp";

/// The route. `Host` and `Origin` are checked before it like for every other one.
pub(super) fn routes(server: &Shared) -> Router<Shared> {
    let app = server.app.clone();
    let mut config = StreamableHttpServerConfig::default();
    // Sessions would outlive the credential that opened them, and bind a client to one server of several.
    config.legacy_session_mode = false;
    config.json_response = true;
    config.max_request_body_bytes = app.config.server.max_json_bytes;
    // The guard before every route knows the names of this server.
    let config = config.disable_allowed_hosts().disable_allowed_origins();
    let service = StreamableHttpService::new(
        move || Ok(Mcp::per_request(app.clone(), sender)),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    Router::new().route_service(ROUTE, service).layer(from_fn_with_state(Arc::clone(server), identify))
}

/// Turns the credential into a scope before the protocol sees the request; what is refused here is a problem.
async fn identify(State(server): State<Shared>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match Identified::from_request_parts(&mut parts, &server).await {
        Ok(Identified(sender)) => {
            parts.extensions.insert(sender);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Who sent the message that is being handled.
fn sender(extensions: &rmcp::model::Extensions) -> Option<Sender> {
    extensions.get::<Parts>()?.extensions.get::<Sender>().cloned()
}
