//! Turns a streamed reply into events, and never mistakes a cut one for a whole one.

use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use reqwest::Response;
use sse_stream::{Sse, SseByteStream};
use tokio::time::{Instant, timeout_at};

use super::http::transport_error;
use super::wire::{Chunk, WireUsage, error_text};
use crate::chat::{ChatEvent, FinishReason, Usage};
use crate::error::{ErrorKind, ModelError, Result};
use crate::registry::Deadlines;

/// How long to wait for the usage that may follow the finish reason.
const USAGE_WAIT: Duration = Duration::from_secs(2);

/// The events of `response`: tokens, then exactly one `Done` or one `Err`. `Done` comes only when the endpoint said so,
/// by a finish reason or by `[DONE]`. Dropping the stream closes the connection.
pub(super) fn events(
    response: Response,
    what: String,
    deadlines: Deadlines,
    first: Instant,
    end: Instant,
) -> BoxStream<'static, Result<ChatEvent>> {
    // The last event of some servers lacks its blank line; the decoder would drop it.
    let bytes = response.bytes_stream().chain(stream::once(async { Ok(bytes::Bytes::from_static(b"\n\n")) }));
    let named = what.clone();
    let bytes = bytes.map_err(move |error| transport_error(&named, error));
    let reader = Reader {
        events: SseByteStream::new(bytes.boxed()).boxed(),
        what,
        idle: Duration::from_millis(deadlines.idle_ms),
        first: Some(first),
        end,
        finish: None,
        usage: None,
    };
    stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        let event = reader.next().await;
        let last = !matches!(event, Ok(ChatEvent::Token(_)));
        Some((event, (!last).then_some(reader)))
    })
    .boxed()
}

struct Reader {
    events: BoxStream<'static, Result<Sse, sse_stream::Error>>,
    what: String,
    idle: Duration,
    /// When the first token must be there; `None` once it is.
    first: Option<Instant>,
    end: Instant,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

impl Reader {
    /// The next event; everything but a token is the last one.
    async fn next(&mut self) -> Result<ChatEvent> {
        loop {
            let now = Instant::now();
            let limit = match (self.finish, self.first) {
                (Some(_), _) => now + USAGE_WAIT,
                (None, Some(first)) => first,
                (None, None) => now + self.idle,
            };
            let limit = limit.min(self.end);
            let Ok(event) = timeout_at(limit, self.events.next()).await else {
                return self.finished().ok_or_else(|| self.late(limit));
            };
            let data = match event {
                Some(Ok(event)) => event.data.unwrap_or_default(),
                Some(Err(error)) => return self.finished().ok_or_else(|| self.cut().with_source(error)),
                None => return self.finished().ok_or_else(|| self.cut()),
            };
            let data = data.trim();
            if data == "[DONE]" {
                return Ok(ChatEvent::Done {
                    finish: self.finish.unwrap_or(FinishReason::Other),
                    usage: self.usage,
                });
            }
            if data.is_empty() {
                continue;
            }
            if let Some(token) = self.take(data)? {
                self.first = None;
                return Ok(ChatEvent::Token(token));
            }
        }
    }

    /// The text of one piece, if it holds any; its finish reason and usage are kept.
    fn take(&mut self, data: &str) -> Result<Option<String>> {
        let chunk: Chunk = serde_json::from_str(data).map_err(|error| {
            ModelError::new(
                ErrorKind::Corrupt,
                format!("{} sent a piece that is not JSON; try again", self.what),
            )
            .with_source(error)
        })?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(self.reported(&error_text(&error)));
        }
        if let Some(usage) = chunk.usage.and_then(WireUsage::usage) {
            self.usage = Some(usage);
        }
        let Some(choice) = chunk.choices.unwrap_or_default().into_iter().next() else {
            return Ok(None);
        };
        let ended = self.finish.is_some();
        if !ended {
            self.finish = choice.finish();
        }
        let text =
            choice.message.and_then(|said| said.content.or(said.refusal)).filter(|text| !text.is_empty());
        // What comes after the end was said is not part of the reply.
        Ok(if ended { None } else { text })
    }

    fn finished(&self) -> Option<ChatEvent> {
        self.finish.map(|finish| ChatEvent::Done { finish, usage: self.usage })
    }

    fn reported(&self, said: &str) -> ModelError {
        let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
        let kind = if said.contains("rate_limit") {
            ErrorKind::RateLimited
        } else if said.contains("context_length") || said.contains("invalid_request") {
            ErrorKind::Invalid
        } else {
            ErrorKind::Unavailable
        };
        ModelError::new(kind, format!("{} stopped with an error: {said}", self.what))
    }

    fn cut(&self) -> ModelError {
        ModelError::new(
            ErrorKind::Unavailable,
            format!("{} closed the stream before the reply was complete; try again", self.what),
        )
    }

    fn late(&self, limit: Instant) -> ModelError {
        let missed = if limit == self.end {
            "did not finish before `deadlines.total_ms`"
        } else if self.first.is_some() {
            "sent no token before `deadlines.first_token_ms`"
        } else {
            "paused longer than `deadlines.idle_ms`"
        };
        ModelError::new(ErrorKind::Timeout, format!("{} {missed}; raise it or try again", self.what))
    }
}
