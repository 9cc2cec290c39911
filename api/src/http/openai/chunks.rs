//! An answer's events as OpenAI's chunks: text as it is checked, one end, and `[DONE]` only after a whole answer.

use std::collections::VecDeque;

use axum::Extension;
use axum::response::sse::Event;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use serde_json::{Value, json};
use wellspring_answer::{Answer, AnswerEvent};

use super::super::Shared;
use super::super::answers::ended;
use super::super::limits::InProgress;
use super::Failure;
use super::wire::{TokenUsage, extra, finish_reason};
use crate::footnotes::footnotes;
use crate::problem::{Code, Problem};

/// The line that ends a whole stream.
const DONE: &str = "[DONE]";

/// Turns events into the data of chunks.
pub(super) struct Chunks {
    id: String,
    created: i64,
    model: String,
    include_usage: bool,
    ignored: Vec<String>,
    /// Whether the chunk that names the role was made.
    opened: bool,
    /// The text sent so far.
    sent: String,
}

impl Chunks {
    pub(super) fn new(id: String, model: String, include_usage: bool, ignored: Vec<String>) -> Self {
        let created = jiff::Timestamp::now().as_second();
        Self { id, created, model, include_usage, ignored, opened: false, sent: String::new() }
    }

    /// The data of the events to send for one event of the answer, and whether it was the last.
    pub(super) fn of(&mut self, event: AnswerEvent) -> (Vec<String>, bool) {
        let mut data = Vec::new();
        if !self.opened {
            self.opened = true;
            data.push(self.chunk(json!({ "role": "assistant", "content": "" }), None).to_string());
        }
        match event {
            AnswerEvent::Token(text) => data.push(self.text(&text)),
            AnswerEvent::Done(answer) => {
                let told = answer.answer.trim() == self.sent.trim();
                let notes = footnotes(&answer.citations);
                if !told {
                    // What was streamed can't be taken back; what stands now is said.
                    data.push(self.text(&format!(
                        "\n\n(A source changed while this was written. What stands: {})",
                        answer.answer
                    )));
                }
                if !notes.is_empty() {
                    data.push(self.text(&format!("\n\n{notes}")));
                }
                self.finish(&answer, json!({}), &mut data);
                return (data, true);
            }
            AnswerEvent::Refused(answer) => {
                let before = if self.sent.is_empty() { "" } else { "\n\n" };
                let text = format!("{before}{}", answer.answer);
                data.push(self.text(&text));
                self.finish(&answer, json!({ "refusal": answer.reason }), &mut data);
                return (data, true);
            }
            AnswerEvent::Error(error) => {
                data.push(failed(error.into()));
                return (data, true);
            }
            // Only agents wait for a person, and none is at work here.
            AnswerEvent::Paused(_) => {
                let problem =
                    Problem::new(Code::Internal, "the answer waits for a person, which it never should");
                data.push(failed(problem.into()));
                return (data, true);
            }
            AnswerEvent::Step(_) | AnswerEvent::Partial(_) => {}
            AnswerEvent::Retrieval { .. }
            | AnswerEvent::Citation(_)
            | AnswerEvent::Warning(_)
            | AnswerEvent::Usage(_) => {}
        }
        (data, false)
    }

    fn text(&mut self, text: &str) -> String {
        self.sent.push_str(text);
        self.chunk(json!({ "content": text }), None).to_string()
    }

    fn finish(&self, answer: &Answer, delta: Value, data: &mut Vec<String>) {
        let mut last = self.chunk(delta, Some(finish_reason(answer)));
        last["wellspring"] = extra(answer, &self.ignored);
        data.push(last.to_string());
        if self.include_usage {
            let mut usage = self.chunk(json!({}), None);
            usage["choices"] = json!([]);
            usage["usage"] = json!(TokenUsage::of(answer));
            data.push(usage.to_string());
        }
        data.push(DONE.to_owned());
    }

    fn chunk(&self, delta: Value, finish: Option<&str>) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
        })
    }
}

/// The data of the event that ends a stream which is no answer.
fn failed(failure: Failure) -> String {
    json!(failure.body()).to_string()
}

/// The chunks up to the end; a server that must close ends the stream itself.
pub(super) fn until_the_end(
    server: Shared,
    events: BoxStream<'static, AnswerEvent>,
    chunks: Chunks,
    place: Option<Extension<InProgress>>,
) -> impl Stream<Item = Event> + Send + 'static {
    struct State {
        server: Shared,
        events: BoxStream<'static, AnswerEvent>,
        chunks: Chunks,
        ready: VecDeque<String>,
        over: bool,
        _place: Option<Extension<InProgress>>,
    }
    let state = State { server, events, chunks, ready: VecDeque::new(), over: false, _place: place };
    futures::stream::unfold(state, |mut state| async move {
        loop {
            if let Some(data) = state.ready.pop_front() {
                return Some((Event::default().data(data), state));
            }
            if state.over {
                return None;
            }
            let event = tokio::select! {
                event = state.events.next() => event,
                () = state.server.closing.was_cut() => {
                    ended("error");
                    let detail = "the server is shutting down; try again";
                    state.over = true;
                    state.ready.push_back(failed(Problem::new(Code::Unavailable, detail).into()));
                    continue;
                }
            };
            let Some(event) = event else {
                tracing::error!("an answer's stream ended without a terminal event");
                ended("error");
                state.over = true;
                let detail = "the server failed before the end; its log says why";
                state.ready.push_back(failed(Problem::new(Code::Internal, detail).into()));
                continue;
            };
            if event.is_terminal() {
                ended(event.name());
            }
            let (data, over) = state.chunks.of(event);
            state.ready.extend(data);
            state.over = over;
        }
    })
}
