//! JSON-RPC with an MCP server: a session that is opened when it is needed, and replies as JSON or as a stream of events.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt, stream};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sse_stream::SseByteStream;
use tokio::sync::Mutex;
use wellspring_answer::{AnswerError, ErrorKind};

use crate::tools::endpoint::Endpoint;

/// The revision that is spoken; a server may choose another one, which is then named in its stead.
const REVISION: &str = "2025-06-18";
const SESSION: &str = "mcp-session-id";
/// Characters of a server's error that are passed on.
const SAID: usize = 300;

/// What a server agreed to.
#[derive(Debug, Clone)]
struct Session {
    /// `None` for a server without sessions.
    id: Option<HeaderValue>,
    revision: HeaderValue,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Wire {
    endpoint: Endpoint,
    session: Mutex<Option<Session>>,
    next: AtomicU64,
}

/// Why a request brought nothing.
enum Failed {
    /// The server knows the session no more: nothing was done.
    Forgotten,
    Error(AnswerError),
}

impl From<AnswerError> for Failed {
    fn from(error: AnswerError) -> Self {
        Self::Error(error)
    }
}

impl Wire {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, session: Mutex::new(None), next: AtomicU64::new(1) }
    }

    /// Longest time for one request.
    pub(super) fn timeout(&self) -> Duration {
        self.endpoint.timeout
    }

    /// The result of a method. A session that the server forgot is opened anew, once.
    pub(super) async fn request(&self, method: &str, params: Value) -> Result<Value, AnswerError> {
        for last in [false, true] {
            let session = self.session().await?;
            match self.exchange(method, params.clone(), Some(&session)).await {
                Ok((result, _)) => return Ok(result),
                Err(Failed::Error(error)) => return Err(error),
                Err(Failed::Forgotten) if !last => *self.session.lock().await = None,
                Err(Failed::Forgotten) => break,
            }
        }
        Err(self.endpoint.failed(ErrorKind::Unavailable, "opens no session that it remembers"))
    }

    /// The session, opened if there is none.
    async fn session(&self) -> Result<Session, AnswerError> {
        let mut kept = self.session.lock().await;
        if let Some(session) = kept.as_ref() {
            return Ok(session.clone());
        }
        let hello = json!({
            "protocolVersion": REVISION,
            "capabilities": {},
            "clientInfo": { "name": "wellspring", "version": env!("CARGO_PKG_VERSION") },
        });
        let (result, id) = match self.exchange("initialize", hello, None).await {
            Ok(done) => done,
            Err(Failed::Error(error)) => return Err(error),
            Err(Failed::Forgotten) => {
                return Err(self.endpoint.failed(ErrorKind::Unavailable, "has no MCP endpoint there"));
            }
        };
        let revision = result["protocolVersion"].as_str().and_then(|told| HeaderValue::try_from(told).ok());
        let Some(revision) = revision else { return Err(self.garbled()) };
        let session = Session { id, revision };
        let greeted = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let response = self.send(greeted, Some(&session)).await?;
        if let Some(refusal) = self.endpoint.refusal(&response) {
            return Err(refusal);
        }
        Ok(kept.insert(session).clone())
    }

    /// One request and its result, with the session that the server names in its head.
    async fn exchange(
        &self,
        method: &str,
        params: Value,
        session: Option<&Session>,
    ) -> Result<(Value, Option<HeaderValue>), Failed> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let response = self.send(message, session).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Err(Failed::Forgotten);
        }
        if let Some(refusal) = self.endpoint.refusal(&response) {
            return Err(refusal.into());
        }
        let named = response.headers().get(SESSION).cloned();
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let streamed = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let mut reply = match streamed {
            true => self.streamed(response, id).await?,
            false => {
                let body = self.endpoint.body(response).await?;
                serde_json::from_slice(&body).map_err(|_| self.garbled())?
            }
        };
        if let Some(error) = reply.get("error") {
            let said = error["message"].as_str().unwrap_or("no reason given");
            let said: String = said.chars().take(SAID).collect();
            // Codes of JSON-RPC 2.0: the request was not one that it takes.
            let asked_wrongly = matches!(error["code"].as_i64(), Some(-32602..=-32600));
            let kind = if asked_wrongly { ErrorKind::Invalid } else { ErrorKind::Unavailable };
            return Err(self.endpoint.failed(kind, &format!("refused: {said}")).into());
        }
        match reply.get_mut("result") {
            Some(result) => Ok((result.take(), named)),
            None => Err(self.garbled().into()),
        }
    }

    async fn send(&self, message: Value, session: Option<&Session>) -> Result<Response, AnswerError> {
        let mut request =
            self.endpoint.post(message.to_string()).header(ACCEPT, "application/json, text/event-stream");
        if let Some(session) = session {
            request = request.header("mcp-protocol-version", session.revision.clone());
            if let Some(id) = &session.id {
                request = request.header(SESSION, id.clone());
            }
        }
        self.endpoint.send(request).await
    }

    /// The reply to request `id` among the events of a stream; what else the server says there is passed over.
    async fn streamed(&self, response: Response, id: u64) -> Result<Value, AnswerError> {
        let most = self.endpoint.max_bytes;
        let pieces = stream::try_unfold((response, 0), move |(mut response, read)| async move {
            let Some(piece) = response.chunk().await.map_err(Cut::Broken)? else { return Ok(None) };
            let read = read + piece.len();
            if read > most { Err(Cut::TooLong) } else { Ok(Some((piece, (response, read)))) }
        });
        let mut events = SseByteStream::new(pieces.boxed());
        while let Some(event) = events.next().await {
            let event = event.map_err(|error| match error {
                sse_stream::Error::Body(inner) => match inner.downcast::<Cut>().as_deref() {
                    Ok(Cut::TooLong) => self.endpoint.too_long(),
                    Ok(Cut::Broken(error)) => self.endpoint.broken(error),
                    Err(_) => self.garbled(),
                },
                _ => self.garbled(),
            })?;
            let reply: Option<Value> = event.data.and_then(|data| serde_json::from_str(&data).ok());
            if let Some(reply) = reply.filter(|reply| reply["id"] == id && reply.get("method").is_none()) {
                return Ok(reply);
            }
        }
        Err(self.endpoint.failed(ErrorKind::Unavailable, "closed its stream without a reply"))
    }

    fn garbled(&self) -> AnswerError {
        self.endpoint.failed(ErrorKind::Unavailable, "sent what is no reply of the Model Context Protocol")
    }
}

/// Why a stream ended early.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("it is longer than allowed")]
    TooLong,
    #[error("it broke off")]
    Broken(#[source] reqwest::Error),
}
