//! `AnswerService`: a cited answer as it is made, which ends with one terminal message or an error status.

use futures::StreamExt;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status};
use wellspring_answer::{AnswerEvent, AnswerRequest, Exchange};

use super::refusal::status;
use super::search::read_mode;
use super::v1::answer_response::Event;
use super::v1::answer_service_server::AnswerService;
use super::{Services, filter, or_default, place, sender, v1};
use crate::auth::Sender;
use crate::http::Shared;
use crate::http::answers::ended;
use crate::http::collections::find;
use crate::http::limits::InProgress;
use crate::problem::{Code, Problem};

type Events = BoxStream<'static, AnswerEvent>;

#[tonic::async_trait]
impl AnswerService for Services {
    type AnswerStream = BoxStream<'static, Result<v1::AnswerResponse, Status>>;

    async fn answer(
        &self,
        request: Request<v1::AnswerRequest>,
    ) -> Result<Response<Self::AnswerStream>, Status> {
        let (sender, place) = (sender(&request)?, place(&request));
        let mut events =
            self.asked(&sender, request.into_inner()).await.map_err(|problem| status(&problem))?;
        // What is wrong with the request is the call's own status, before anything is streamed.
        let first = match events.next().await {
            Some(AnswerEvent::Error(error)) => {
                ended("error");
                return Err(status(&error.into()));
            }
            first => first,
        };
        let events = futures::stream::iter(first).chain(events).boxed();
        Ok(Response::new(told(self.0.clone(), events, place).boxed()))
    }
}

impl Services {
    async fn asked(&self, sender: &Sender, asked: v1::AnswerRequest) -> Result<Events, Problem> {
        let v1::AnswerRequest { collection, question, k, mode, filter: input, model, history } = asked;
        let filter = filter(input)?;
        let scope = find(&self.0, sender.scope(), &or_default(collection)).await?;
        let request = AnswerRequest {
            k: (k > 0).then(|| usize::try_from(k).unwrap_or(usize::MAX)),
            mode: read_mode(mode)?,
            filter,
            model: (!model.is_empty()).then_some(model),
            history: history
                .into_iter()
                .map(|v1::Exchange { question, answer }| Exchange { question, answer })
                .collect(),
            account: Some(sender.account()),
            ..AnswerRequest::new(question)
        };
        Ok(self.0.app.answerer.stream(&scope, request))
    }
}

/// The messages up to and with the terminal one; a server that must close ends the stream itself.
fn told(
    server: Shared,
    events: Events,
    place: Option<InProgress>,
) -> impl futures::Stream<Item = Result<v1::AnswerResponse, Status>> + Send + 'static {
    futures::stream::unfold(Some((server, events, place)), |state| async move {
        let (server, mut events, place) = state?;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = server.closing.was_cut() => {
                    ended("error");
                    return Some((Err(Status::unavailable("the server is shutting down; try again")), None));
                }
            };
            let Some(event) = event else {
                tracing::error!("an answer's stream ended without a terminal event");
                ended("error");
                return Some((Err(Status::internal("the server failed before the end")), None));
            };
            let (name, last) = (event.name(), event.is_terminal());
            if last {
                ended(name);
            }
            match message(event) {
                Ok(Some(event)) => {
                    let state = (!last).then_some((server, events, place));
                    return Some((Ok(v1::AnswerResponse { event: Some(event) }), state));
                }
                Ok(None) => {}
                Err(problem) => return Some((Err(status(&problem)), None)),
            }
        }
    })
}

/// The event as a message; `None` for those that this door does not ask for.
fn message(event: AnswerEvent) -> Result<Option<Event>, Problem> {
    Ok(Some(match event {
        AnswerEvent::Retrieval { passages, degraded } => Event::Retrieval(v1::Retrieval {
            passages: passages.into_iter().map(|numbered| numbered.passage.into()).collect(),
            degraded: degraded.into_iter().map(Into::into).collect(),
        }),
        AnswerEvent::Token(text) => Event::Token(v1::Token { text }),
        AnswerEvent::Citation(citation) => Event::Citation((*citation).into()),
        AnswerEvent::Warning(warning) => Event::Warning(warning.into()),
        AnswerEvent::Usage(usage) => {
            Event::Usage(v1::Usage { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens })
        }
        AnswerEvent::Done(answer) => Event::Done((*answer).into()),
        AnswerEvent::Refused(answer) => Event::Refused((*answer).into()),
        AnswerEvent::Error(error) => return Err(error.into()),
        // Of agents and of schemas, which a request here can't ask for.
        AnswerEvent::Step(_) | AnswerEvent::Partial(_) => return Ok(None),
        AnswerEvent::Paused(_) => {
            return Err(Problem::new(
                Code::Internal,
                "the answer waits for a person, who can't be asked here",
            ));
        }
    }))
}
