//! Streams that a reader who was cut off can go on with, by `Last-Event-ID`, for a short while and within bounds.
//!
//! A stream is kept only where its request asks for it: any other stops its work the moment its reader is gone.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::sse::Event;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;
use wellspring_answer::{AnswerEvent, Asker};
use wellspring_retrieve::{ChunkId, CollectionScope, Retriever};

use super::limits::InProgress;
use super::{Shared, sse};
use crate::problem::{Code, Problem};

/// The section `streams`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StreamsConfig {
    /// Seconds for which a stream without a reader goes on, and can be gone on with.
    pub(crate) resume_seconds: u64,
    /// Streams kept at once; the oldest makes room.
    pub(crate) kept: usize,
    /// Bytes of one stream that are kept; a longer one can't be gone on with.
    pub(crate) bytes: usize,
}

impl Default for StreamsConfig {
    fn default() -> Self {
        Self { resume_seconds: 30, kept: 64, bytes: 512 << 10 }
    }
}

/// The streams kept by this process.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<VecDeque<Arc<Kept>>>);

/// Who may go on with a stream, and with which request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ticket {
    pub(super) asker: Asker,
    pub(super) scope: CollectionScope,
    /// Of the request's body.
    pub(super) request: blake3::Hash,
}

/// One stream.
#[derive(Debug)]
struct Kept {
    id: Uuid,
    ticket: Ticket,
    events: Mutex<Vec<(&'static str, Value)>>,
    /// Events so far, and whether the last is among them.
    progress: watch::Sender<(usize, bool)>,
    readers: watch::Sender<usize>,
}

/// Counts a reader while it lives.
struct Reader(Arc<Kept>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.readers.send_modify(|readers| *readers -= 1);
    }
}

impl Streams {
    fn add(&self, kept: Arc<Kept>, most: usize) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while streams.len() >= most.max(1) {
            streams.pop_front();
        }
        streams.push_back(kept);
    }

    fn remove(&self, id: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|kept| kept.id != id);
    }

    fn find(&self, id: Uuid, ticket: &Ticket) -> Option<Arc<Kept>> {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.iter().find(|kept| kept.id == id && kept.ticket == *ticket).cloned()
    }
}

/// Serves a stream that can be gone on with. Its work runs in a task of its own, up to `streams.resume_seconds` without a
/// reader.
pub(super) fn begin(
    server: Shared,
    ticket: Ticket,
    events: BoxStream<'static, AnswerEvent>,
    place: Option<InProgress>,
) -> impl Stream<Item = Event> + Send + 'static {
    let kept = Arc::new(Kept {
        id: Uuid::new_v4(),
        ticket,
        events: Mutex::default(),
        progress: watch::Sender::new((0, false)),
        readers: watch::Sender::new(0),
    });
    let config = server.app.config.streams.clone();
    server.streams.add(Arc::clone(&kept), config.kept);
    let reading = follow(Arc::clone(&kept), 0, HashSet::new());
    tokio::spawn(async move {
        work(&server, &kept, events, &config).await;
        drop(place);
        tokio::time::sleep(Duration::from_secs(config.resume_seconds)).await;
        server.streams.remove(kept.id);
    });
    reading
}

/// Takes the events in until the last, the server's end, or too long without a reader.
async fn work(
    server: &Shared,
    kept: &Kept,
    mut events: BoxStream<'static, AnswerEvent>,
    config: &StreamsConfig,
) {
    let mut bytes = 0;
    let mut readers = kept.readers.subscribe();
    let alone = async {
        loop {
            if readers.wait_for(|count| *count == 0).await.is_err() {
                return;
            }
            let back = readers.wait_for(|count| *count > 0);
            if tokio::time::timeout(Duration::from_secs(config.resume_seconds), back).await.is_err() {
                return;
            }
        }
    };
    tokio::pin!(alone);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = server.closing.was_cut() => {
                super::answers::ended("error");
                return kept.push("error", closing_problem(), true);
            }
            () = &mut alone => {
                super::answers::ended("abandoned");
                server.streams.remove(kept.id);
                return kept.push("error", problem(Code::Unavailable, "nobody read the stream any more"), true);
            }
        };
        let Some(event) = event else {
            tracing::error!("an answer's stream ended without a terminal event");
            super::answers::ended("error");
            return kept.push(
                "error",
                problem(Code::Internal, "the server failed before the end; its log says why"),
                true,
            );
        };
        let (name, last) = (event.name(), event.is_terminal());
        let data = match event {
            AnswerEvent::Error(error) => serde_json::to_value(Problem::from(error)).unwrap_or_default(),
            event => event.data(),
        };
        bytes += data.to_string().len();
        if bytes > config.bytes {
            // It goes on for the reader it has, and nobody can come back to it.
            server.streams.remove(kept.id);
        }
        if last {
            super::answers::ended(name);
        }
        kept.push(name, data, last);
        if last {
            return;
        }
    }
}

fn problem(code: Code, detail: &str) -> Value {
    serde_json::to_value(Problem::new(code, detail)).unwrap_or_default()
}

fn closing_problem() -> Value {
    problem(Code::Unavailable, "the server is shutting down; try again")
}

impl Kept {
    fn push(&self, name: &'static str, data: Value, last: bool) {
        let count = {
            let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            events.push((name, data));
            events.len()
        };
        self.progress.send_replace((count, last));
    }
}

/// The events from place `from` on, without what is in `gone`, each with its id.
fn follow(kept: Arc<Kept>, from: usize, gone: HashSet<String>) -> impl Stream<Item = Event> + Send + 'static {
    kept.readers.send_modify(|readers| *readers += 1);
    let reader = Reader(Arc::clone(&kept));
    let progress = kept.progress.subscribe();
    futures::stream::unfold(Some((reader, progress, from, gone)), |state| async move {
        let (reader, mut progress, at, gone) = state?;
        let (count, ended) = *progress.wait_for(|(count, ended)| *count > at || *ended).await.ok()?;
        if count <= at {
            return None;
        }
        let (name, mut data) = {
            let events = reader.0.events.lock().unwrap_or_else(PoisonError::into_inner);
            events.get(at).cloned()?
        };
        without(&mut data, &gone);
        let event = sse::event(name, &data).id(format!("{}/{at}", reader.0.id));
        let over = ended && at + 1 == count;
        Some((event, (!over).then_some((reader, progress, at + 1, gone))))
    })
}

/// Goes on with a stream after the event that was seen last. Every passage and citation that was sent or is still to be
/// sent is looked up again under the caller's scope first: what is gone is left out, and a stream that cites it can't be
/// gone on with. `None` if the header is none of ours; `NotFound` for a stream that is not there, not this caller's, or of
/// another request, which look the same.
pub(super) async fn go_on(
    server: &Shared,
    last_id: Option<&str>,
    ticket: &Ticket,
) -> Option<Result<impl Stream<Item = Event> + Send + 'static + use<>, Problem>> {
    let (id, at) = last_id?.split_once('/')?;
    let (id, at) = (id.parse::<Uuid>().ok()?, at.parse::<usize>().ok()?);
    let Some(kept) = server.streams.find(id, ticket) else {
        let message = "there is no such stream to go on with: it is over, was begun by another request, or took too long; ask again";
        return Some(Err(Problem::new(Code::NotFound, message)));
    };
    let events = kept.events.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let gone = match gone(&server.app.retriever, &ticket.scope, &events).await {
        Ok(gone) => gone,
        Err(problem) => return Some(Err(problem)),
    };
    if events.iter().any(|(name, data)| cites(name, data, &gone)) {
        server.streams.remove(id);
        let message = "a document that the answer cites was changed or deleted meanwhile; ask again";
        return Some(Err(Problem::new(Code::Conflict, message)));
    }
    Some(Ok(follow(kept, at + 1, gone)))
}

/// Chunks in the events that the scope does not see any more.
async fn gone(
    retriever: &Retriever,
    scope: &CollectionScope,
    events: &[(&'static str, Value)],
) -> Result<HashSet<String>, Problem> {
    let mut named = HashMap::new();
    events.iter().for_each(|(_, data)| chunks(data, &mut named));
    let ids: Vec<ChunkId> = named.values().cloned().collect();
    for passage in retriever.fetch(scope, &ids).await? {
        named.remove(&passage.chunk_id.0);
    }
    Ok(named.into_keys().collect())
}

fn chunks(data: &Value, found: &mut HashMap<String, ChunkId>) {
    match data {
        Value::Object(members) => {
            if let Some(id) = members.get("chunk_id").and_then(Value::as_str) {
                found.insert(id.to_owned(), ChunkId(id.to_owned()));
            }
            members.values().for_each(|member| chunks(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| chunks(item, found)),
        _ => {}
    }
}

/// Whether an event cites what is gone, rather than listing it as found.
fn cites(name: &str, data: &Value, gone: &HashSet<String>) -> bool {
    let is_gone = |citation: &Value| citation["chunk_id"].as_str().is_some_and(|id| gone.contains(id));
    match name {
        "citation" => is_gone(data),
        "done" => data["citations"].as_array().into_iter().flatten().any(is_gone),
        _ => false,
    }
}

fn without(data: &mut Value, gone: &HashSet<String>) {
    if let Some(passages) = data.get_mut("passages").and_then(Value::as_array_mut) {
        passages.retain(|passage| passage["chunk_id"].as_str().is_none_or(|id| !gone.contains(id)));
    }
}
