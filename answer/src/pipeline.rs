//! The two ways to ask, whole and streamed: one run behind both, and exactly one terminal event at its end.

use std::sync::Arc;

use futures::StreamExt;
use futures::channel::mpsc;
use futures::stream::{self, BoxStream};
use tracing::Instrument;
use wellspring_models::Registry;
use wellspring_retrieve::{CollectionScope, Retriever};

use crate::confidence::Weights;
use crate::config::AnswerConfig;
use crate::error::{AnswerError, ErrorKind, Result};
use crate::reply::{Answer, AnswerEvent, AnswerRequest};
use crate::run::{Events, Run};
use crate::spans;

/// Events made ahead of a slow reader; then the run waits.
const EVENTS_AHEAD: usize = 32;

/// Answers questions. Clones share everything.
#[derive(Clone)]
pub struct Answerer {
    pub(crate) retriever: Arc<Retriever>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) config: Arc<AnswerConfig>,
    pub(crate) weights: Arc<Weights>,
}

impl Answerer {
    /// `Invalid` if a setting is out of range or the file of weights is damaged. No model is called.
    pub fn new(retriever: Arc<Retriever>, registry: Arc<Registry>, config: AnswerConfig) -> Result<Self> {
        config.check()?;
        let weights = match &config.confidence_weights {
            Some(path) => Weights::read(path)?,
            None => Weights::shipped()?,
        };
        Ok(Self { retriever, registry, config: Arc::new(config), weights: Arc::new(weights) })
    }

    /// The whole answer, or a refusal (`abstained`), which is no error. Errors: those of a search; of the model if falling
    /// back is switched off. Dropping the future stops the generation.
    pub async fn answer(&self, scope: &CollectionScope, request: AnswerRequest) -> Result<Answer> {
        let mut events = self.events(scope.clone(), request, false);
        while let Some(event) = events.next().await {
            match event {
                AnswerEvent::Done(answer) | AnswerEvent::Refused(answer) => return Ok(*answer),
                AnswerEvent::Error(error) => return Err(error),
                _ => {}
            }
        }
        Err(AnswerError::new(ErrorKind::Internal, "the answer ended without a terminal event"))
    }

    /// The answer as it is made; see [`AnswerEvent`] for the order. Text is sent sentence by sentence, after each was
    /// checked, so that nothing unsupported is ever shown. Dropping the stream stops the generation.
    pub fn stream(&self, scope: &CollectionScope, request: AnswerRequest) -> BoxStream<'static, AnswerEvent> {
        self.events(scope.clone(), request, true)
    }

    /// The same, for a reader who takes the last event alone: the model is asked for the whole text at once.
    pub fn whole(&self, scope: &CollectionScope, request: AnswerRequest) -> BoxStream<'static, AnswerEvent> {
        self.events(scope.clone(), request, false)
    }

    fn events(
        &self,
        scope: CollectionScope,
        request: AnswerRequest,
        streamed: bool,
    ) -> BoxStream<'static, AnswerEvent> {
        let (sender, receiver) = mpsc::channel(EVENTS_AHEAD);
        let mut run = Run::new(self.clone(), scope, streamed, Events(sender));
        let span = spans::answer(streamed);
        let run = async move {
            let answer = run.answer(request).instrument(span.clone()).await;
            let last = match answer {
                Ok(answer) if answer.abstained => AnswerEvent::Refused(Box::new(answer)),
                Ok(answer) => AnswerEvent::Done(Box::new(answer)),
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "an answer failed");
                    AnswerEvent::Error(error)
                }
            };
            spans::ended(&span, &last);
            drop(span);
            run.events.send(last).await;
        };
        // Work and events are polled together: the run goes on only while somebody reads.
        let work = stream::once(run).filter_map(|()| std::future::ready(None));
        stream::select(receiver, work).boxed()
    }
}
