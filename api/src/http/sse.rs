//! Server-sent events: named JSON events, keep-alive comments, and what every stream does when the server closes.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use serde::Serialize;

use crate::problem::{Code, Problem};

/// Proxies and browsers give a silent connection up after about half a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One event with a JSON payload.
pub(super) fn event(name: &str, payload: &impl Serialize) -> Event {
    match serde_json::to_string(payload) {
        Ok(json) => Event::default().event(name).data(json),
        Err(error) => {
            tracing::error!(%error, event = name, "an event can't be written as JSON");
            Event::default()
                .event("error")
                .data(r#"{"code":"internal","detail":"the server failed to write an event"}"#)
        }
    }
}

/// The terminal event of a stream that the closing server cuts.
pub(super) fn closing() -> Event {
    event(
        "error",
        &Problem::new(Code::Unavailable, "the server is shutting down; try again").retry_after(KEEP_ALIVE),
    )
}

/// The terminal event of a stream that stopped without one: a fault of ours.
pub(super) fn failed() -> Event {
    event("error", &Problem::new(Code::Internal, "the server failed before the end; its log says why"))
}

/// The response that carries the events.
pub(super) fn respond(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    use futures::StreamExt;
    let mut response = Sse::new(events.map(Ok::<_, Infallible>))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive"))
        .into_response();
    // A proxy that buffers would hold events back.
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}
