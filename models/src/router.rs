//! Several chat models as one: the next is tried when one can't serve, before anything was received and never after.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::time::{Instant, timeout};

use crate::chat::{ChatEvent, ChatModel, ChatReply, ChatRequest};
use crate::error::{ErrorKind, ModelError, Result};

/// Chat models in the order in which they are tried.
///
/// The next is tried after a failure that another endpoint may not have: no connection, 429, 5xx and overload, a passed
/// deadline, a reply that is damaged, an open breaker. A request or a key that an endpoint refuses is a fault of the
/// request or the configuration: it is the answer, and no other model hides it; nor is a call that a budget refused passed
/// on.
pub struct RoutedChat {
    name: String,
    models: Vec<Arc<dyn ChatModel>>,
    within: Option<Duration>,
}

impl RoutedChat {
    /// `Invalid` without a model.
    pub fn new(name: impl Into<String>, models: Vec<Arc<dyn ChatModel>>) -> Result<Self> {
        let name = name.into();
        if models.is_empty() {
            return Err(ModelError::new(
                ErrorKind::Invalid,
                format!("the route {name} has no model; name one"),
            ));
        }
        Ok(Self { name, models, within: None })
    }

    /// The same, shared out over `within`: each model gets an equal share of what is left, the last all of it. A share is
    /// for the whole reply or, of a stream, for its first event, after which nothing more is tried anyway. Without it a
    /// model that hangs keeps the others waiting for its own deadline.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within: Some(within), ..self }
    }

    /// What `call` gives for the first model that can serve; else the failure of the last. `Box`ed futures, since the
    /// call borrows the model.
    async fn first<T>(
        &self,
        call: impl for<'a> Fn(&'a dyn ChatModel) -> futures::future::BoxFuture<'a, Result<T>> + Send + Sync,
    ) -> Result<T> {
        let end = self.within.map(|within| Instant::now() + within);
        let mut failed = None;
        for (place, model) in self.models.iter().enumerate() {
            let result = match end {
                None => call(model.as_ref()).await,
                Some(end) => {
                    let left = u32::try_from(self.models.len() - place).unwrap_or(u32::MAX);
                    let share = end.saturating_duration_since(Instant::now()) / left;
                    let result = timeout(share, call(model.as_ref())).await;
                    result.unwrap_or_else(|_| Err(late(model.as_ref(), share)))
                }
            };
            match result {
                Err(error) if passes_on(&error) => {
                    tracing::warn!(model = model.name(), %error, "a chat model can't serve; the next is tried");
                    failed = Some(error);
                }
                result => return result,
            }
        }
        Err(failed.unwrap_or_else(|| ModelError::new(ErrorKind::Internal, "a route without models")))
    }
}

fn passes_on(error: &ModelError) -> bool {
    (error.is_transient() || error.kind() == ErrorKind::Corrupt) && error.refusal().is_none()
}

fn late(model: &dyn ChatModel, share: Duration) -> ModelError {
    let message = format!(
        "the chat model {} did not answer within its share of {} ms",
        model.name(),
        share.as_millis()
    );
    ModelError::new(ErrorKind::Timeout, message)
}

#[async_trait]
impl ChatModel for RoutedChat {
    fn name(&self) -> &str {
        &self.name
    }

    /// The least of all: whichever serves must be able to read the prompt.
    fn context_tokens(&self) -> usize {
        self.models.iter().map(|model| model.context_tokens()).min().unwrap_or(0)
    }

    async fn complete(&self, request: &ChatRequest) -> Result<ChatReply> {
        let request = request.clone();
        self.first(move |model| {
            let request = request.clone();
            Box::pin(async move { model.complete(&request).await })
        })
        .await
    }

    async fn stream(&self, request: &ChatRequest) -> Result<BoxStream<'static, Result<ChatEvent>>> {
        let request = request.clone();
        self.first(move |model| {
            let request = request.clone();
            Box::pin(async move {
                let mut events = model.stream(&request).await?;
                let Some(first) = events.next().await else {
                    let message =
                        format!("the chat model {} ended its stream without an event", model.name());
                    return Err(ModelError::new(ErrorKind::Unavailable, message));
                };
                let first = first?;
                Ok(stream::iter([Ok(first)]).chain(events).boxed())
            })
        })
        .await
    }
}
