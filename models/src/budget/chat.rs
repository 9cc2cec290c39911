//! A chat model that is paid for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::time::Instant;

use super::meter::Ticket;
use super::toll::{Toll, Used};
use crate::chat::{ChatEvent, ChatModel, ChatReply, ChatRequest, Usage};
use crate::error::{ErrorKind, ModelError, Result};
use crate::openai::ApproximateCounter;
use crate::registry::Deadlines;
use crate::tokens::TokenCounter;
use crate::tools::ToolCall;

/// Tokens that providers put around each message.
const AROUND_MESSAGE: usize = 8;
/// Tokens that providers put around the whole.
const AROUND_ALL: usize = 16;

/// A chat model each of whose tries is reserved before and settled after. A stream is settled where it ends: at what the
/// provider says, without that at an upper estimate of what was sent and received, and at its worst where it is cut or
/// nobody reads on.
pub(crate) struct PaidChat {
    inner: Arc<dyn ChatModel>,
    toll: Toll,
    deadlines: Deadlines,
}

impl PaidChat {
    /// `inner` must not try again by itself.
    pub(crate) fn new(inner: Arc<dyn ChatModel>, toll: Toll, deadlines: Deadlines) -> Self {
        Self { inner, toll, deadlines }
    }
}

/// The most a try can use, as estimated upwards ([`ApproximateCounter`]): all that is sent, and all that may be written.
fn worst(request: &ChatRequest) -> Usage {
    let sent: usize = request
        .messages
        .iter()
        .map(|message| ApproximateCounter.count(&message.content) + AROUND_MESSAGE)
        .sum();
    Usage {
        input_tokens: (sent + ApproximateCounter.count(&request.beside()) + AROUND_ALL) as u64,
        output_tokens: u64::from(request.max_tokens),
        ..Usage::default()
    }
}

/// Tokens of a call that a model asks for, from above.
fn written(call: &ToolCall) -> usize {
    ApproximateCounter.count(&call.name) + ApproximateCounter.count(&call.arguments_text())
}

/// What was sent and this much text.
fn received(worst: Usage, text_tokens: usize) -> Usage {
    Usage { output_tokens: worst.output_tokens.min(text_tokens as u64), ..worst }
}

#[async_trait]
impl ChatModel for PaidChat {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn context_tokens(&self) -> usize {
        self.inner.context_tokens()
    }

    async fn complete(&self, request: &ChatRequest) -> Result<ChatReply> {
        let worst = worst(request);
        let end = Instant::now() + Duration::from_millis(self.deadlines.total_ms);
        let attempt = || async {
            let reply = self.inner.complete(request).await?;
            let used = match reply.usage {
                Some(usage) => Used::Told(usage),
                None => {
                    let calls: usize = reply.calls.iter().map(written).sum();
                    Used::AtMost(received(worst, ApproximateCounter.count(&reply.text) + calls))
                }
            };
            Ok((reply, used))
        };
        self.toll.pay(worst, end, attempt).await
    }

    async fn stream(&self, request: &ChatRequest) -> Result<BoxStream<'static, Result<ChatEvent>>> {
        let Deadlines { first_token_ms, total_ms, .. } = self.deadlines;
        let end = Instant::now() + Duration::from_millis(first_token_ms.min(total_ms));
        let (events, ticket) = self.toll.open(worst(request), end, || self.inner.stream(request)).await?;
        let state = Some(Paying { events, ticket, text_tokens: 0 });
        Ok(stream::unfold(state, |state| async { Some(state?.next().await) }).boxed())
    }
}

/// A stream whose ticket is open.
struct Paying {
    events: BoxStream<'static, Result<ChatEvent>>,
    ticket: Ticket,
    /// Of the text so far, from above.
    text_tokens: usize,
}

impl Paying {
    /// The next event, and what is left of the stream: nothing after the last one, by which the ticket is settled. A
    /// stream that just ends is settled, too, and yields an error.
    async fn next(mut self) -> (Result<ChatEvent>, Option<Self>) {
        match self.events.next().await {
            Some(Ok(ChatEvent::Token(text))) => {
                self.text_tokens += ApproximateCounter.count(&text);
                (Ok(ChatEvent::Token(text)), Some(self))
            }
            Some(Ok(ChatEvent::Call(call))) => {
                self.text_tokens += written(&call);
                (Ok(ChatEvent::Call(call)), Some(self))
            }
            Some(Ok(done)) => {
                if let ChatEvent::Done { usage: Some(usage), .. } = &done {
                    self.ticket.told(*usage).await;
                } else {
                    let worst = self.ticket.worst();
                    self.ticket.estimated(received(worst, self.text_tokens)).await;
                }
                (Ok(done), None)
            }
            Some(Err(error)) => {
                self.ticket.lost().await;
                (Err(error), None)
            }
            None => {
                self.ticket.lost().await;
                let message = "the chat stream closed before the model said that it was done; try again";
                (Err(ModelError::new(ErrorKind::Unavailable, message)), None)
            }
        }
    }
}
