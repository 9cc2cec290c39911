//! Runs one generation under a deadline and hands its text on as it comes.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::time::{Instant, timeout_at};
use wellspring_models::{ChatEvent, ChatModel, ChatRequest, ErrorKind, ModelError, Result};

/// A generation under way. Dropping it stops the model.
pub(crate) struct Generation {
    events: BoxStream<'static, Result<ChatEvent>>,
    deadline: Instant,
    budget: Duration,
}

impl Generation {
    /// Begins. `streamed` asks the model for pieces as they are made; otherwise the whole text comes as one piece, or not
    /// at all. The budget is for the whole generation.
    pub(crate) async fn start(
        model: &dyn ChatModel,
        request: &ChatRequest,
        streamed: bool,
        budget: Duration,
    ) -> Result<Self> {
        let deadline = Instant::now() + budget;
        let begin = async {
            if streamed {
                return model.stream(request).await;
            }
            let reply = model.complete(request).await?;
            let text = Some(reply.text).filter(|text| !text.is_empty()).map(ChatEvent::Token);
            let done =
                ChatEvent::Done { finish: reply.finish, usage: reply.usage, served_by: reply.served_by };
            Ok(stream::iter(text.into_iter().chain([done]).map(Ok)).boxed())
        };
        match timeout_at(deadline, begin).await {
            Ok(events) => Ok(Self { events: events?, deadline, budget }),
            Err(_) => Err(late(budget)),
        }
    }

    /// The next event. The one that says how it ended is the last; a stream that closes without it, and one that
    /// outlives its budget, is an error, whatever came before.
    pub(crate) async fn next(&mut self) -> Result<ChatEvent> {
        match timeout_at(self.deadline, self.events.next()).await {
            Ok(Some(event)) => event,
            Ok(None) => Err(ModelError::new(
                ErrorKind::Unavailable,
                "the chat stream closed before the model said that it was done; try again",
            )),
            Err(_) => Err(late(self.budget)),
        }
    }
}

fn late(budget: Duration) -> ModelError {
    let message = format!("the chat model did not finish within {} ms", budget.as_millis());
    ModelError::new(ErrorKind::Timeout, message)
}
