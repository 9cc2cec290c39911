//! Accepts connections under limits: how many, and how long and large a request's head may be.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::limits::LimitsConfig;

/// How long accepting rests after the system refused, for want of file descriptors mostly.
const REST: Duration = Duration::from_millis(100);

/// Requests in progress on one connection of HTTP/2.
const STREAMS: u32 = 128;
/// After how long a silence a peer is asked whether it is still there, and how long it has to say so.
const SILENCE: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(10);

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2, from its first byte on.
    Grpc,
}

/// What HTTP/2 begins with: `PRI * HTTP/2.0`, two empty lines and `SM` (RFC 9113, 3.4).
const PREFACE: usize = 24;
/// Between looks for the rest of it.
const LOOK: Duration = Duration::from_millis(50);

/// Whether a peer says what it must within `patience`. HTTP/1.1 has a timer for its heads; HTTP/2 has one only once it is spoken.
async fn begins(stream: &TcpStream, patience: Duration) -> bool {
    let whole = async {
        let mut bytes = [0; PREFACE];
        loop {
            match stream.peek(&mut bytes).await {
                Ok(PREFACE) => return true,
                Ok(0) | Err(_) => return false,
                Ok(_) => tokio::time::sleep(LOOK).await,
            }
        }
    };
    tokio::time::timeout(patience, whole).await.unwrap_or(false)
}

fn builder(protocol: Protocol, limits: &LimitsConfig) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(limits.header_read_seconds))
        .max_headers(limits.max_headers)
        .max_buf_size(limits.max_header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(SILENCE)
        .keep_alive_timeout(ANSWER);
    match protocol {
        Protocol::Http => builder.http1_only(),
        Protocol::Grpc => builder.http2_only(),
    }
}

/// Refuses a head that is larger than it may be: the parser looks at the bound between two reads, and a large piece gets past it.
async fn bounded_head(State(most): State<usize>, request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    // Of each field the name, a colon, a space, the value and the end of its line.
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    if target + fields.sum::<usize>() > most {
        return StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response();
    }
    next.run(request).await
}

/// Serves connections until `shutdown` resolves, then waits for those that are open to end what they do.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    protocol: Protocol,
    limits: &LimitsConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)));
    let builder = builder(protocol, limits);
    let router = router.layer(from_fn_with_state(limits.max_header_bytes, bounded_head));
    let patience = Duration::from_secs(limits.header_read_seconds);
    let open = GracefulShutdown::new();
    let closing = CancellationToken::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            // Closed never: the semaphore lives as long as this function.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => break,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                let gone = matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                );
                if !gone {
                    tokio::time::sleep(REST).await;
                }
                continue;
            }
        };
        // Answers are small or streamed: each piece should leave at once.
        drop(stream.set_nodelay(true));
        let service = TowerToHyperService::new(
            router.clone().map_request(|request: Request<Incoming>| request.map(Body::new)),
        );
        let (builder, watcher, closing) = (builder.clone(), open.watcher(), closing.clone());
        tokio::spawn(async move {
            if protocol == Protocol::Grpc {
                let begun = tokio::select! {
                    begun = begins(&stream, patience) => begun,
                    () = closing.cancelled() => false,
                };
                if !begun {
                    return;
                }
            }
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            if let Err(error) = watcher.watch(connection).await {
                tracing::trace!(error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    closing.cancel();
    open.shutdown().await;
    Ok(())
}
