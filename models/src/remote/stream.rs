//! Turns a streamed reply into events, and never mistakes a cut one for a whole one.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use reqwest::Response;
use sse_stream::{Sse, SseByteStream};
use tokio::time::{Instant, timeout_at};

use super::failure::transport_error;
use crate::chat::{ChatEvent, FinishReason, Usage};
use crate::error::{ErrorKind, ModelError, Result};
use crate::registry::Deadlines;
use crate::tools::ToolCall;

/// How long to wait for the usage that may follow the finish reason.
const USAGE_WAIT: Duration = Duration::from_secs(2);
/// Bytes of one line of a stream; more is an error.
const MAX_LINE: usize = 1 << 20;
/// Bytes of a whole stream; more is an error.
const MAX_STREAM: usize = 64 << 20;

/// What one event of a stream says.
pub(crate) enum Piece {
    /// Nothing to pass on.
    Nothing,
    /// More text; never empty.
    Text(String),
    /// Part of a call: work goes on.
    Progress,
    /// The endpoint says that nothing more comes.
    End,
    /// The endpoint says that it failed: how, and in its own words.
    Failed(ErrorKind, String),
}

/// The events of one provider's streams.
pub(crate) trait Dialect: Send + 'static {
    /// Reads one event's data, which is not empty. An error means that it is not what the API promises.
    fn read(&mut self, data: &str) -> Result<Piece, serde_json::Error>;

    /// Why it ended, once the endpoint has said so.
    fn finish(&self) -> Option<FinishReason>;

    /// The calls it made, in order, once it has ended; taken once.
    fn calls(&mut self) -> Vec<ToolCall>;

    /// What it used, once the endpoint has said so.
    fn usage(&self) -> Option<Usage>;
}

/// What a stream is read with.
pub(crate) struct Reading {
    /// Names the endpoint in messages.
    pub(crate) what: String,
    /// The model's configured name.
    pub(crate) name: String,
    pub(crate) deadlines: Deadlines,
    /// When the first token must be there.
    pub(crate) first: Instant,
    /// When everything must be there.
    pub(crate) end: Instant,
}

/// The events of `response`: tokens, then whole calls, then exactly one `Done` or one `Err`. `Done` comes only when the endpoint said so,
/// by a finish reason or by its last event. Dropping the stream closes the connection.
pub(crate) fn events(
    response: Response,
    dialect: impl Dialect,
    reading: Reading,
) -> BoxStream<'static, Result<ChatEvent>> {
    let named = reading.what.clone();
    let bytes = response.bytes_stream().map_err(move |error| transport_error(&named, error));
    let reader = Reader {
        events: SseByteStream::new(bounded(bytes, &reading.what)).boxed(),
        dialect,
        first: Some(reading.first),
        ending: VecDeque::new(),
        reading,
    };
    stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        let event = reader.next().await;
        let last = !matches!(event, Ok(ChatEvent::Token(_) | ChatEvent::Call(_)));
        Some((event, (!last).then_some(reader)))
    })
    .boxed()
}

/// The same bytes; an error ends them where a line or the whole is too long. A decoder keeps a line until it ends, so an
/// endless one would fill the memory.
fn bounded(
    bytes: impl futures::Stream<Item = Result<Bytes>> + Send + 'static,
    what: &str,
) -> BoxStream<'static, Result<Bytes>> {
    // The last event of some servers lacks its blank line; the decoder would drop it.
    let closed = bytes.chain(stream::once(async { Ok(Bytes::from_static(b"\n\n")) }));
    let what = what.to_owned();
    let mut whole = 0;
    let mut line = 0;
    let counted = closed.map(move |piece| {
        let piece = piece?;
        whole += piece.len();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            line += part.len();
            if line > MAX_LINE || whole > MAX_STREAM {
                let message =
                    format!("{what} sent a longer line or stream than any reply has; choose another model");
                return Err(ModelError::new(ErrorKind::Corrupt, message));
            }
            if part.ends_with(b"\n") {
                line = 0;
            }
        }
        Ok(piece)
    });
    counted.boxed()
}

struct Reader<D> {
    events: BoxStream<'static, Result<Sse, sse_stream::Error>>,
    dialect: D,
    /// When the first token must be there; `None` once it is.
    first: Option<Instant>,
    /// What is left to hand out once the end was read.
    ending: VecDeque<ChatEvent>,
    reading: Reading,
}

impl<D: Dialect> Reader<D> {
    /// The next event; everything but a token or a call is the last one.
    async fn next(&mut self) -> Result<ChatEvent> {
        if let Some(event) = self.ending.pop_front() {
            return Ok(event);
        }
        let event = self.read().await?;
        if !matches!(event, ChatEvent::Done { .. }) {
            return Ok(event);
        }
        self.ending.extend(self.dialect.calls().into_iter().map(ChatEvent::Call));
        match self.ending.pop_front() {
            Some(call) => {
                self.ending.push_back(event);
                Ok(call)
            }
            None => Ok(event),
        }
    }

    async fn read(&mut self) -> Result<ChatEvent> {
        loop {
            let now = Instant::now();
            let limit = match (self.dialect.finish(), self.first) {
                (Some(_), _) => now + USAGE_WAIT,
                (None, Some(first)) => first,
                (None, None) => now + Duration::from_millis(self.reading.deadlines.idle_ms),
            };
            let limit = limit.min(self.reading.end);
            let Ok(event) = timeout_at(limit, self.events.next()).await else {
                return self.finished().ok_or_else(|| self.late(limit));
            };
            let data = match event {
                Some(Ok(event)) => event.data.unwrap_or_default(),
                Some(Err(error)) => return self.finished().ok_or_else(|| self.broken(error)),
                None => return self.finished().ok_or_else(|| self.cut()),
            };
            let data = data.trim();
            if data.is_empty() {
                continue;
            }
            let ended = self.dialect.finish().is_some();
            match self.dialect.read(data).map_err(|error| self.garbled(error))? {
                // What comes after the end was said is not part of the reply.
                Piece::Text(text) if !ended => {
                    self.first = None;
                    return Ok(ChatEvent::Token(text));
                }
                Piece::Progress => self.first = None,
                Piece::Text(_) | Piece::Nothing => {}
                Piece::End => return Ok(self.done(self.dialect.finish().unwrap_or(FinishReason::Other))),
                Piece::Failed(kind, said) => return Err(self.reported(kind, &said)),
            }
        }
    }

    fn finished(&self) -> Option<ChatEvent> {
        self.dialect.finish().map(|finish| self.done(finish))
    }

    fn done(&self, finish: FinishReason) -> ChatEvent {
        ChatEvent::Done { finish, usage: self.dialect.usage(), served_by: self.reading.name.clone() }
    }

    fn reported(&self, kind: ErrorKind, said: &str) -> ModelError {
        let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
        ModelError::new(kind, format!("{} stopped with an error: {said}", self.reading.what))
    }

    fn garbled(&self, error: serde_json::Error) -> ModelError {
        let message =
            format!("{} sent a piece that is not what the API promises; try again", self.reading.what);
        ModelError::new(ErrorKind::Corrupt, message).with_source(error)
    }

    /// The connection broke, or what came is no stream of events.
    fn broken(&self, error: sse_stream::Error) -> ModelError {
        match error {
            sse_stream::Error::Body(inner) => match inner.downcast::<ModelError>() {
                Ok(error) if error.kind() == ErrorKind::Corrupt => *error,
                Ok(error) => self.cut().with_source(error),
                Err(error) => self.cut().with_source(error),
            },
            error => {
                let message =
                    format!("{} sent bytes that are no stream of events; try again", self.reading.what);
                ModelError::new(ErrorKind::Corrupt, message).with_source(error)
            }
        }
    }

    fn cut(&self) -> ModelError {
        ModelError::new(
            ErrorKind::Unavailable,
            format!("{} closed the stream before the reply was complete; try again", self.reading.what),
        )
    }

    fn late(&self, limit: Instant) -> ModelError {
        let missed = if limit == self.reading.end {
            "did not finish before `deadlines.total_ms`"
        } else if self.first.is_some() {
            "sent no token before `deadlines.first_token_ms`"
        } else {
            "paused longer than `deadlines.idle_ms`"
        };
        ModelError::new(ErrorKind::Timeout, format!("{} {missed}; raise it or try again", self.reading.what))
    }
}
